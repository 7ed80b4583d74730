//! What must be done so that a gateway is what files say: asked first, then done step by step.

use serde_json::{Map, Value, json};
use sluicegate::Channel;
use sluicegate::admin::Limits;
use sluicegate::credential::KeyHash;
use sluicegate::tenant::IpNetwork;

use super::document::{Document, Kind, Thing};
use super::settle::settle;
use crate::client::{Client, Failure, segment};

/// In the free data of what was made by applying files: what may be pruned.
const MARK: &str = "applied";
/// So much of a key's hash is its fingerprint.
const FINGERPRINT: usize = 16;

/// What must be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// How many things are the same already.
    pub(super) same: usize,
}

/// One change to one thing.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) deed: Deed,
    /// What differs: the field, what it is, what it shall be. Nothing secret.
    pub(super) changes: Vec<(String, Value, Value)>,
    /// How it is done.
    calls: Vec<Call>,
}

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Make,
    Change,
    Remove,
}

impl Deed {
    pub(super) fn word(self) -> &'static str {
        match self {
            Deed::Make => "make",
            Deed::Change => "change",
            Deed::Remove => "remove",
        }
    }
}

#[derive(Debug)]
struct Call {
    method: &'static str,
    path: String,
    body: Value,
    /// The state that it was planned on.
    etag: Option<String>,
}

impl Call {
    fn new(method: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body, etag: None }
    }

    fn on(self, thing: &Value) -> Self {
        Self { etag: thing["etag"].as_str().map(str::to_owned), ..self }
    }
}

/// What must be done for a document, in the order in which it must be.
pub(super) fn of(client: &Client, document: &mut Document, prune: bool) -> Result<Plan, Failure> {
    let names_groups = [Kind::User, Kind::Policy, Kind::Key];
    let groups = match names_groups.iter().any(|kind| document.things.contains_key(kind)) {
        true => all(client, Kind::Group)?,
        false => Vec::new(),
    };
    settle(document, &groups);
    let document = &*document;
    let mut plan = Plan::default();
    let (mut pruned, mut members) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        if kind > Kind::User {
            plan.steps.append(&mut members);
        }
        let Some(wanted) = document.things.get(&kind) else { continue };
        let known = all(client, kind)?;
        let find = |name: &str, owner: Option<&str>| {
            let is = |it: &&Value| {
                it[kind.identity()].as_str() == Some(name)
                    && owner.is_none_or(|owner| it["organization"].as_str() == Some(owner))
            };
            let mut found = known.iter().filter(is);
            let first = found.next();
            match found.next() {
                // Organizations may name their keys alike.
                Some(_) if kind == Kind::Key => Err(format!(
                    "key `{name}` is there in several organizations; name its `organization` or its `group`"
                )),
                _ => Ok(first),
            }
        };
        let (mut names, mut owners, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        if kind == Kind::Channel {
            for (channel, secret) in &document.channels {
                names.push(channel.name.clone());
                plan.put(channel_step(client, channel, secret.as_deref(), find(&channel.name, None)?)?);
            }
        }
        for thing in wanted {
            let name = text(thing, kind.identity());
            let owner = if kind == Kind::Key { owner(thing, document, &groups) } else { None };
            let found = find(&name, owner.as_deref())?;
            if kind == Kind::Key {
                let whose = (name.clone(), owner);
                if owners.contains(&whose) {
                    return Err(format!("key `{name}` is declared twice in one organization"));
                }
                owners.push(whose);
                kept.extend(found.and_then(|it| it["id"].as_str()));
            }
            let step = match kind {
                Kind::Policy => policy_step(client, &name, thing, found)?,
                _ => step(kind, &name, thing, found)?,
            };
            plan.put(step);
            if let (Kind::Group, Some(wanted)) = (kind, thing.get("members").and_then(Value::as_array)) {
                // Who is put into a group must be there first.
                members.extend(plan.members(&name, wanted, found, prune)?);
            }
            names.push(name);
        }
        if prune {
            let gone = known.iter().filter(|it| may_prune(kind, it));
            pruned.extend(gone.filter_map(|it| {
                let name = it[kind.identity()].as_str()?;
                // An alias says which key it is within its organization alone.
                let is_wanted = match kind {
                    Kind::Key => it["id"].as_str().is_some_and(|id| kept.contains(&id)),
                    _ => names.iter().any(|known| known == name),
                };
                (!is_wanted).then(|| removal(kind, name, it))
            }));
        }
    }
    plan.steps.append(&mut members);
    // What hangs on others goes first.
    plan.steps.extend(pruned.into_iter().rev());
    Ok(plan)
}

/// The organization that a key is declared in: its own word for it, or that of its group.
fn owner(key: &Thing, document: &Document, groups: &[Value]) -> Option<String> {
    if let Some(named) = key.get("organization").and_then(Value::as_str) {
        return Some(named.to_owned());
    }
    let group = key.get("group")?.as_str()?;
    let is = |it: &Value| ["id", "alias"].iter().any(|name| it[*name].as_str() == Some(group));
    let declared = document.things.get(&Kind::Group).into_iter().flatten();
    let mut all = declared.map(|it| Value::Object(it.clone())).chain(groups.iter().cloned());
    let found = all.find(is)?;
    Some(found["organization"].as_str().unwrap_or("default").to_owned())
}

impl Plan {
    fn put(&mut self, step: Option<Step>) {
        match step {
            Some(step) => self.steps.push(step),
            None => self.same += 1,
        }
    }

    /// The members of a group. Those whom the files don't name stay, unless what is gone is pruned.
    fn members(
        &mut self,
        group: &str,
        wanted: &[Value],
        known: Option<&Value>,
        prune: bool,
    ) -> Result<Vec<Step>, Failure> {
        let mut steps = Vec::new();
        let members = known.and_then(|it| it["members"].as_array()).map_or(&[][..], Vec::as_slice);
        let of_group = format!("/groups/{}/members", segment(group));
        for member in wanted {
            let Value::Object(member) = member else {
                return Err(format!(
                    "each of the `members` of group `{group}` must be a mapping with its `user`"
                ));
            };
            let user = text(member, "user");
            let is = members.iter().find(|it| it["user"].as_str() == Some(user.as_str())).map(own);
            let changes = differences(Kind::Group, member, is.as_ref())?;
            let (deed, call) = match &is {
                None => (Deed::Make, Call::new("POST", of_group.clone(), member.clone().into())),
                Some(_) => {
                    let path = format!("{of_group}/{}", segment(&user));
                    (Deed::Change, Call::new("PATCH", path, changed(&changes)))
                }
            };
            let name = format!("{group}: member {user}");
            let is_same = deed == Deed::Change && changes.is_empty();
            let step = Step { kind: Kind::User, name, deed, changes, calls: vec![call] };
            match is_same {
                true => self.same += 1,
                false => steps.push(step),
            }
        }
        for member in members.iter().filter(|_| prune) {
            let user = member["user"].as_str().unwrap_or_default();
            if !wanted.iter().any(|it| it["user"].as_str() == Some(user)) {
                let call = Call::new("DELETE", format!("{of_group}/{}", segment(user)), Value::Null);
                let (name, deed) = (format!("{group}: member {user}"), Deed::Remove);
                steps.push(Step { kind: Kind::User, name, deed, changes: Vec::new(), calls: vec![call] });
            }
        }
        Ok(steps)
    }
}

/// A member with their own limits alone: what the group gives isn't theirs to declare.
fn own(member: &Value) -> Value {
    let mut own = member.clone();
    take_out(&mut own["limits"], &member["given"]);
    own
}

/// Takes the single limits of `gone` out of limits, amount by amount.
fn take_out(limits: &mut Value, gone: &Value) {
    let (Some(limits), Some(gone)) = (limits.as_object_mut(), gone.as_object()) else { return };
    for (name, inner) in gone {
        let Some(kept) = limits.get_mut(name) else { continue };
        match inner {
            Value::Object(_) => take_out(kept, inner),
            _ => *kept = without(kept, inner),
        }
        if is_nothing(kept) {
            limits.remove(name);
        }
    }
}

/// The amounts of one window but those of `gone`. One stands by itself, several are a list.
fn without(amounts: &Value, gone: &Value) -> Value {
    let gone = amounts_of(gone);
    let mut left: Vec<_> = amounts_of(amounts).iter().filter(|it| !gone.contains(it)).cloned().collect();
    match left.len() {
        1 => left.remove(0),
        _ => left.into(),
    }
}

fn amounts_of(amounts: &Value) -> &[Value] {
    amounts.as_array().map_or(std::slice::from_ref(amounts), Vec::as_slice)
}

/// Does a step. What is shown once of it comes back.
pub(super) fn take(client: &Client, step: &Step) -> Result<Option<String>, Failure> {
    let (mut secret, mut version) = (None, Value::Null);
    for call in &step.calls {
        let mut body = call.body.clone();
        // A policy's version has its number only when it is there.
        if body.get("version").is_some_and(Value::is_null) {
            body["version"] = version.clone();
        }
        let answer = client.ask(call.method, &call.path, &body, call.etag.as_deref())?;
        version = answer.get("number").cloned().unwrap_or(version);
        // A channel's `secret` says where its credential is, and isn't it.
        if step.kind == Kind::Key {
            secret = answer.get("secret").and_then(Value::as_str).map(str::to_owned).or(secret);
        }
    }
    Ok(secret)
}

/// Everything of a kind that there is.
fn all(client: &Client, kind: Kind) -> Result<Vec<Value>, Failure> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    // BOUND: as many pages as there are.
    loop {
        // Policies are listed whole.
        let page = if kind == Kind::Policy { String::new() } else { format!("?limit=1000{cursor}") };
        let mut answer = client.get(&format!("/{}{page}", kind.section()))?;
        if let Some(Value::Array(more)) = answer.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        match answer.get("next").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={}", segment(next)),
            None => return Ok(items),
        }
    }
}

/// What is made by applying files carries a mark; channels and policies, which are the installation's, need none.
fn may_prune(kind: Kind, it: &Value) -> bool {
    let is_stored = it["source"].as_str() != Some("file");
    is_stored && (matches!(kind, Kind::Channel | Kind::Policy) || it["metadata"][MARK] == true)
}

fn removal(kind: Kind, name: &str, it: &Value) -> Step {
    let id = it["id"].as_str().unwrap_or(name);
    let call = Call::new("DELETE", format!("/{}/{}", kind.section(), segment(id)), Value::Null).on(it);
    Step { kind, name: name.to_owned(), deed: Deed::Remove, changes: Vec::new(), calls: vec![call] }
}

fn text(thing: &Thing, name: &str) -> String {
    thing.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What differs between what a thing shall be and what it is.
fn differences(
    kind: Kind,
    wanted: &Thing,
    is: Option<&Value>,
) -> Result<Vec<(String, Value, Value)>, Failure> {
    let mut changes = Vec::new();
    for (field, value) in wanted {
        let skipped = matches!(field.as_str(), "members" | "user" if kind == Kind::Group) || field == "key";
        // Whoever is there already is put into groups by their `members`.
        let placed = kind == Kind::User && field == "groups" && is.is_some();
        if skipped || placed || (field == kind.identity() && kind != Kind::Group) || field == "id" {
            continue;
        }
        let want = normal(field, value)?;
        let now = is.map(|it| normal(field, &it[field.as_str()])).transpose()?.unwrap_or_default();
        let mut want_marked = want.clone();
        if field == "metadata" && now[MARK] == true {
            want_marked[MARK] = true.into();
        }
        if now != want_marked && !(is_nothing(&now) && is_nothing(&want)) {
            changes.push((field.clone(), now, want_marked));
        }
    }
    Ok(changes)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Limits and addresses may be written in several ways; they are compared as the gateway writes them.
fn normal(field: &str, value: &Value) -> Result<Value, Failure> {
    match (field, value) {
        ("limits", Value::Object(_)) => {
            let limits: Limits =
                serde_json::from_value(value.clone()).map_err(|why| format!("limits: {why}"))?;
            serde_json::to_value(limits).map_err(|why| format!("limits: {why}"))
        }
        // An address may be written without the length of its network.
        ("allowed_ips", Value::Array(items)) => {
            let written = |item: &Value| match item {
                Value::String(text) => {
                    IpNetwork::try_from(text.clone()).map_or_else(|_| item.clone(), |net| json!(net))
                }
                _ => item.clone(),
            };
            Ok(items.iter().map(written).collect())
        }
        _ => Ok(value.clone()),
    }
}

fn changed(changes: &[(String, Value, Value)]) -> Value {
    changes.iter().map(|(field, _, after)| (field.clone(), after.clone())).collect::<Map<_, _>>().into()
}

fn step(kind: Kind, name: &str, wanted: &Thing, is: Option<&Value>) -> Result<Option<Step>, Failure> {
    let (section, mut changes) = (kind.section(), differences(kind, wanted, is)?);
    let Some(is) = is else {
        let mut body = wanted.clone();
        // Members are put into it one by one, when they are there.
        body.remove("members");
        let metadata = body.entry("metadata").or_insert_with(|| json!({}));
        if let Some(map) = metadata.as_object_mut() {
            map.insert(MARK.to_owned(), true.into());
        }
        let calls = vec![Call::new("POST", format!("/{section}"), body.into())];
        return Ok(Some(Step { kind, name: name.to_owned(), deed: Deed::Make, changes, calls }));
    };
    let id = is["id"].as_str().unwrap_or(name);
    let path = format!("/{section}/{}", segment(id));
    if let Some((field, now, want)) = changes.iter().find(|(field, ..)| is_fixed(kind, field)) {
        return Err(format!(
            "the `{field}` of {} `{name}` is {now} and can't become {want}; remove it, or declare another",
            kind.word()
        ));
    }
    let mut calls = Vec::new();
    if !changes.is_empty() {
        calls.push(Call::new("PATCH", &*path, changed(&changes)).on(is));
    }
    let chosen = wanted.get("key").and_then(Value::as_str).filter(|_| kind == Kind::Key);
    if let Some(key) = chosen.filter(|key| is["hash"] != json!(KeyHash::of(key))) {
        calls.push(Call::new("POST", format!("{path}/regenerate"), json!({"key": key})));
        changes.push(("key".to_owned(), Value::Null, "another".into()));
    }
    Ok((!calls.is_empty()).then(|| Step { kind, name: name.to_owned(), deed: Deed::Change, changes, calls }))
}

/// What a thing is made with and keeps.
fn is_fixed(kind: Kind, field: &str) -> bool {
    field == "organization" && kind != Kind::Organization
}

/// A policy's text is a version of it; the newest that is declared runs, unless `activate` says no.
fn policy_step(
    client: &Client,
    name: &str,
    wanted: &Thing,
    is: Option<&Value>,
) -> Result<Option<Step>, Failure> {
    let path = format!("/policies/{}", segment(name));
    let mut body = wanted.clone();
    body.remove("name");
    let runs = body.remove("activate") != Some(Value::Bool(false));
    let number = |field: &str| is.and_then(|it| it[field].as_i64());
    let compared = if runs { number("active") } else { number("newest") };
    let now = match compared {
        Some(number) => Some(client.get(&format!("{path}/versions/{number}"))?),
        None => None,
    };
    let mut compare = body.clone();
    compare.remove("note");
    let mut changes = Vec::new();
    for (field, value) in &compare {
        let before = now.as_ref().map(|it| it[field.as_str()].clone()).unwrap_or_default();
        if before != *value {
            let shown = |value: &Value| match value {
                Value::String(text) if field == "text" => format!("{} lines", text.lines().count()).into(),
                other => other.clone(),
            };
            changes.push((field.clone(), shown(&before), shown(value)));
        }
    }
    if changes.is_empty() && now.is_some() {
        return Ok(None);
    }
    let mut calls = vec![Call::new("PUT", &*path, body.into())];
    if runs {
        calls.push(Call::new("POST", format!("{path}/activate"), json!({"version": null})));
    }
    let deed = if is.is_some() { Deed::Change } else { Deed::Make };
    Ok(Some(Step { kind: Kind::Policy, name: name.to_owned(), deed, changes, calls }))
}

/// A channel is compared as the catalogue completes it; its credential by its fingerprints.
fn channel_step(
    client: &Client,
    wanted: &Channel,
    secret: Option<&str>,
    is: Option<&Value>,
) -> Result<Option<Step>, Failure> {
    let mut whole = serde_json::to_value(wanted).map_err(|why| why.to_string())?;
    let Some(is) = is else {
        whole["id"] = "".into();
        let shown = [("provider", json!(wanted.provider)), ("models", json!(wanted.models.len()))];
        let changes = shown.map(|(field, value)| (field.to_owned(), Value::Null, value)).to_vec();
        let calls = vec![Call::new("POST", "/channels", json!({"channel": whole, "secret": secret}))];
        return Ok(Some(Step {
            kind: Kind::Channel,
            name: wanted.name.clone(),
            deed: Deed::Make,
            changes,
            calls,
        }));
    };
    let path = format!("/channels/{}", segment(is["id"].as_str().unwrap_or_default()));
    let (mut changes, mut body) = (Vec::new(), Value::Object(Map::new()));
    let fields = whole.as_object().cloned().unwrap_or_default();
    for (field, value) in fields {
        let skipped = matches!(field.as_str(), "id" | "name" | "source" | "secret" | "more_keys");
        let before = &is[field.as_str()];
        let same = match field.as_str() {
            // Their values aren't shown.
            "headers" => names(before) == names(&value),
            _ => *before == hidden(&value) || (is_nothing(before) && is_nothing(&value)),
        };
        if !skipped && !same {
            let shown = match field.as_str() {
                "headers" => (json!(names(before)), json!(names(&value))),
                _ => (hidden(before), hidden(&value)),
            };
            body[field.as_str()] = value;
            changes.push((field, shown.0, shown.1));
        }
    }
    if let Some(secret) = secret {
        let prints: Vec<String> = secret.lines().map(fingerprint).collect();
        let keys = client.get(&format!("{path}/keys"))?;
        let known =
            keys["items"].as_array().into_iter().flatten().filter_map(|it| it["fingerprint"].as_str());
        if !known.eq(prints.iter().map(String::as_str)) {
            body["secret"] = secret.into();
            changes.push(("credential".to_owned(), Value::Null, "another".into()));
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let calls = vec![Call::new("PATCH", path, body).on(is)];
    Ok(Some(Step { kind: Kind::Channel, name: wanted.name.clone(), deed: Deed::Change, changes, calls }))
}

/// A value as the gateway shows it: who signs in at an address, and how, is left out.
fn hidden(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.split_once("://") {
            Some((scheme, rest)) => {
                let (place, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
                match place.rsplit_once('@') {
                    Some((_, host)) => format!("{scheme}://…@{host}{path}").into(),
                    None => value.clone(),
                }
            }
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(hidden).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), hidden(value))).collect())
        }
        _ => value.clone(),
    }
}

fn names(headers: &Value) -> Vec<&String> {
    let mut names: Vec<&String> = headers.as_object().into_iter().flat_map(Map::keys).collect();
    names.sort_unstable();
    names
}

fn fingerprint(key: &str) -> String {
    let mut text = KeyHash::of(key).to_string();
    text.truncate(FINGERPRINT);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(value: Value) -> Thing {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn only_what_differs_is_changed() {
        let is = json!({
            "id": "rd", "alias": "R&D", "limits": {"total_tokens": {"day": 2_000_000}}, "models": [], "etag": "1-a",
            "metadata": {"applied": true}, "organization": "default",
        });
        let same = thing(
            json!({"id": "rd", "alias": "R&D", "limits": {"total_tokens": {"day": "2M"}}, "models": [], "metadata": {}}),
        );
        assert!(step(Kind::Group, "rd", &same, Some(&is)).unwrap().is_none());
        let other =
            thing(json!({"id": "rd", "alias": "Research", "limits": {"total_tokens": {"day": "3M"}}}));
        let step_to = step(Kind::Group, "rd", &other, Some(&is)).unwrap().unwrap();
        assert_eq!(step_to.deed, Deed::Change);
        let fields: Vec<_> = step_to.changes.iter().map(|(field, ..)| field.as_str()).collect();
        assert_eq!(fields, ["alias", "limits"]);
        assert_eq!(step_to.calls[0].etag.as_deref(), Some("1-a"));
        let moved = thing(json!({"id": "rd", "organization": "acme"}));
        assert!(step(Kind::Group, "rd", &moved, Some(&is)).unwrap_err().contains("can't become"));
    }

    #[test]
    fn what_a_group_gives_its_members_is_nothing_that_a_file_of_theirs_lacks() {
        let group = json!({"members": [{
            "user": "li", "role": "user", "given": {"spend": {"day": "5 USD"}, "models": {"m": {"requests": {"day": 9}}}},
            "limits": {"spend": {"day": "5 USD"}, "requests": {"minute": 20}, "models": {"m": {"requests": {"day": 9}}}},
        }]});
        for (limits, changes) in [
            (json!({"requests": {"minute": 20}}), 0),
            (json!({"requests": {"minute": 30}}), 1),
            (json!({}), 1),
            (json!({"requests": {"minute": 20}, "spend": {"day": "5 USD"}}), 1),
        ] {
            let wanted = [json!({"user": "li", "limits": limits})];
            let steps = Plan::default().members("rd", &wanted, Some(&group), false).unwrap();
            assert_eq!(steps.len(), changes, "{limits}");
        }
    }

    #[test]
    fn what_a_group_gives_is_taken_out_amount_by_amount() {
        for (limits, given, own_limits) in [
            (
                json!({"spend": {"month": ["100 USD", "80 USD soft"]}}),
                json!({"spend": {"month": "80 USD soft"}}),
                json!({"spend": {"month": "100 USD"}}),
            ),
            (
                json!({"concurrency": ["5", "4 soft", "3 soft"]}),
                json!({"concurrency": ["4 soft"]}),
                json!({"concurrency": ["5", "3 soft"]}),
            ),
            (
                json!({"spend": {"day": ["5 USD", "4 USD soft"]}, "requests": {"day": 9}}),
                json!({"spend": {"day": ["5 USD", "4 USD soft"]}}),
                json!({"requests": {"day": 9}}),
            ),
            (json!({"spend": {"day": "5 USD"}}), json!({}), json!({"spend": {"day": "5 USD"}})),
        ] {
            let member = json!({"user": "li", "limits": limits, "given": given});
            assert_eq!(own(&member)["limits"], own_limits, "{member}");
        }
    }

    #[test]
    fn what_is_made_carries_the_mark_and_what_lacks_it_is_left_alone() {
        let made =
            step(Kind::Key, "ci", &thing(json!({"alias": "ci", "group": "rd"})), None).unwrap().unwrap();
        assert_eq!(made.calls[0].body["metadata"][MARK], true);
        for (kind, it, may) in [
            (Kind::Key, json!({"metadata": {"applied": true}, "source": "database"}), true),
            (Kind::Key, json!({"metadata": {}, "source": "database"}), false),
            (Kind::Group, json!({"metadata": {"applied": true}, "source": "file"}), false),
            (Kind::Channel, json!({"source": "database"}), true),
            (Kind::Channel, json!({"source": "file"}), false),
        ] {
            assert_eq!(may_prune(kind, &it), may, "{it}");
        }
    }

    #[test]
    fn a_chosen_key_is_compared_by_its_hash_and_never_shown() {
        let key = "sk-0123456789abcdefghijklmnop";
        let is = |hash: Value| json!({"id": "k1", "alias": "ci", "hash": hash, "etag": "1-a"});
        let wanted = thing(json!({"alias": "ci", "key": key}));
        assert!(step(Kind::Key, "ci", &wanted, Some(&is(json!(KeyHash::of(key))))).unwrap().is_none());
        let other =
            step(Kind::Key, "ci", &wanted, Some(&is(json!(KeyHash::of("another"))))).unwrap().unwrap();
        assert!(!format!("{:?}", other.changes).contains(key));
        assert_eq!(other.calls[0].path, "/keys/k1/regenerate");
    }
}

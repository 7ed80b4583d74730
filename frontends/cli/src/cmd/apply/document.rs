//! What files declare, read and checked before anything is changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sluicegate::Channel;
use sluicegate::config::{Environment, Severity, Source, nearest};
use sluicegate::core::SecretRef;

use crate::client::Failure;

/// One thing that files declare: its fields, by name.
pub(crate) type Thing = Map<String, Value>;

/// Everything that files declare.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// By kind, in the order of the files.
    pub(crate) things: BTreeMap<Kind, Vec<Thing>>,
    /// Channels, with what is to be sealed of each.
    pub(crate) channels: Vec<(Channel, Option<String>)>,
}

/// What can be declared, in the order in which it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Organization,
    Group,
    User,
    Channel,
    Policy,
    Key,
}

impl Kind {
    pub(crate) const ALL: [Kind; 6] =
        [Kind::Organization, Kind::Group, Kind::User, Kind::Channel, Kind::Policy, Kind::Key];

    /// As messages call one.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Organization => "organization",
            Kind::Group => "group",
            Kind::User => "user",
            Kind::Channel => "channel",
            Kind::Policy => "policy",
            Kind::Key => "key",
        }
    }

    /// As files and addresses call many.
    pub(crate) fn section(self) -> &'static str {
        match self {
            Kind::Organization => "organizations",
            Kind::Group => "groups",
            Kind::User => "users",
            Kind::Channel => "channels",
            Kind::Policy => "policies",
            Kind::Key => "keys",
        }
    }

    /// The field that says which one it is.
    pub(crate) fn identity(self) -> &'static str {
        match self {
            Kind::Organization | Kind::Group | Kind::User => "id",
            Kind::Channel | Kind::Policy => "name",
            Kind::Key => "alias",
        }
    }

    fn fields(self) -> Vec<String> {
        let schema = match self {
            Kind::Organization => "NewOrganization",
            Kind::Group => "NewGroup",
            Kind::User => "NewUser",
            Kind::Key => "NewKey",
            Kind::Policy => "NewPolicyVersion",
            // A channel's are those of a configuration file, whose reader checks them.
            Kind::Channel => return Vec::new(),
        };
        let mut fields = sluicegate_server::openapi::fields(schema);
        match self {
            Kind::Policy => fields.extend(["name", "file", "activate"].map(str::to_owned)),
            // What passes by itself can't be declared: it would be another at each apply.
            Kind::Key => fields.retain(|name| name != "ttl"),
            _ => {}
        }
        fields
    }
}

/// Reads every file that the command line names.
pub(crate) fn read(places: &[PathBuf]) -> Result<Document, Failure> {
    let mut document = Document::default();
    let mut channels = Vec::new();
    for path in files(places)? {
        let text = std::fs::read_to_string(&path)
            .map_err(|why| format!("`{}` can't be read: {why}", path.display()))?;
        add(&mut document, &mut channels, &path, &text)?;
    }
    if !channels.is_empty() {
        document.channels = lowered(&channels)?;
        document.things.insert(Kind::Channel, Vec::new());
    }
    Ok(document)
}

fn files(places: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for place in places {
        if !place.is_dir() {
            all.push(place.clone());
            continue;
        }
        let entries = std::fs::read_dir(place)
            .map_err(|why| format!("the folder `{}` can't be read: {why}", place.display()))?;
        let is_yaml = |path: &PathBuf| path.extension().is_some_and(|it| it == "yaml" || it == "yml");
        let mut inside: Vec<PathBuf> =
            entries.filter_map(|it| Some(it.ok()?.path())).filter(is_yaml).collect();
        if inside.is_empty() {
            return Err(format!("the folder `{}` has no *.yaml or *.yml file", place.display()));
        }
        inside.sort();
        all.extend(inside);
    }
    Ok(all)
}

fn add(document: &mut Document, channels: &mut Vec<Value>, path: &Path, text: &str) -> Result<(), Failure> {
    let at = |what: String| format!("`{}`: {what}", path.display());
    let root: Value = serde_saphyr::from_str(text).map_err(|why| at(why.to_string()))?;
    let root = match root {
        Value::Object(map) => map,
        Value::Null => return Ok(()),
        _ => return Err(at("the file must hold sections such as `groups:`".to_owned())),
    };
    let sections: Vec<&str> = Kind::ALL.iter().map(|kind| kind.section()).collect();
    for (section, list) in root {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.section() == section) else {
            let hint = nearest(&section, sections.iter().copied()).map_or_else(
                || format!("there are {}", sections.join(", ")),
                |it| format!("did you mean `{it}`?"),
            );
            return Err(at(format!("there is no section `{section}`; {hint}")));
        };
        let Value::Array(items) = list else {
            return Err(at(format!("`{section}` must be a list")));
        };
        for item in items {
            let thing = checked(kind, item, document, path).map_err(at)?;
            match kind {
                Kind::Channel => channels.push(thing.into()),
                _ => document.things.entry(kind).or_default().push(thing),
            }
        }
        // A section that is empty declares that there is nothing.
        document.things.entry(kind).or_default();
    }
    Ok(())
}

fn checked(kind: Kind, item: Value, document: &Document, path: &Path) -> Result<Thing, Failure> {
    let (word, identity) = (kind.word(), kind.identity());
    let Value::Object(mut thing) = item else {
        return Err(format!("each of `{}` must be a mapping", kind.section()));
    };
    let name = match thing.get(identity) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        _ => return Err(format!("a {word} needs its `{identity}`, by which it is found again")),
    };
    let same = |other: &Thing| {
        let whose = |it: &Thing| ["organization", "group"].map(|field| it.get(field).cloned());
        let alike = other.get(identity).and_then(Value::as_str) == Some(name.as_str());
        // Organizations may name their keys alike; whose each is may be for the gateway to say.
        alike && (kind != Kind::Key || whose(other) == whose(&thing))
    };
    if document.things.get(&kind).is_some_and(|all| all.iter().any(same)) {
        return Err(format!("{word} `{name}` is declared twice"));
    }
    let fields = kind.fields();
    if let Some(odd) = thing.keys().find(|field| !fields.is_empty() && !fields.contains(field)) {
        let hint = nearest(odd, fields.iter().map(String::as_str))
            .map_or_else(|| format!("there are {}", fields.join(", ")), |it| format!("did you mean `{it}`?"));
        return Err(format!("{word} `{name}` has no field `{odd}`; {hint}"));
    }
    if kind == Kind::Policy {
        script(&mut thing, &name, path)?;
    }
    if let Some(Value::String(key)) = thing.get("key").filter(|_| kind == Kind::Key) {
        let filled = filled(key).map_err(|why| format!("key `{name}`: {why}"))?;
        thing.insert("key".to_owned(), filled.into());
    }
    Ok(thing)
}

/// A policy's script stands beside it, or in a file beside the file.
fn script(thing: &mut Thing, name: &str, path: &Path) -> Result<(), Failure> {
    match (thing.remove("file"), thing.contains_key("text")) {
        (None, true) => Ok(()),
        (Some(Value::String(file)), false) => {
            let script = path.parent().unwrap_or(Path::new("")).join(file);
            let text = std::fs::read_to_string(&script)
                .map_err(|why| format!("the script `{}` can't be read: {why}", script.display()))?;
            thing.insert("text".to_owned(), text.into());
            Ok(())
        }
        _ => Err(format!("policy `{name}` needs its script: as `text`, or in a `file` beside this one")),
    }
}

/// A text that may be `${NAME}`: then what the environment has.
fn filled(text: &str) -> Result<String, Failure> {
    let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return Ok(text.to_owned());
    };
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("the environment variable `{name}` isn't set")),
    }
}

/// Channels as a configuration file has them, completed from the catalogue.
fn lowered(channels: &[Value]) -> Result<Vec<(Channel, Option<String>)>, Failure> {
    let text = json!({"version": 1, "channels": channels}).to_string();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let loaded =
        sluicegate::config::load(Source { path: "channels", text: &text }, &Environment::new(&variable));
    let wrong = |it: &&sluicegate::config::Diagnostic| {
        it.severity == Severity::Error && it.at.starts_with("channels")
    };
    let errors: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(wrong)
        .map(|it| format!("{}: {}; {}", it.at, it.message, it.remedy))
        .collect();
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    let split = |mut channel: Channel| {
        // What isn't set here is the gateway's own to look up.
        let inline = |key: &SecretRef| match key {
            SecretRef::Inline(secret) => Some(secret.expose().to_owned()),
            SecretRef::Env(name) => variable(name),
            _ => None,
        };
        let keys: Vec<String> =
            std::iter::once(&channel.secret).chain(&channel.more_keys).filter_map(inline).collect();
        if !keys.is_empty() {
            channel.secret = SecretRef::None;
            channel.more_keys.clear();
        }
        (channel, (!keys.is_empty()).then(|| keys.join("\n")))
    };
    Ok(loaded.declared.channels.into_iter().map(split).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Document, Failure> {
        let (mut document, mut channels) = (Document::default(), Vec::new());
        add(&mut document, &mut channels, Path::new("a.yaml"), text)?;
        document.channels = lowered(&channels)?;
        Ok(document)
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_meant() {
        for (text, want) in [
            ("group: []", "did you mean `groups`?"),
            ("groups: {}", "must be a list"),
            ("groups: [{alias: a}]", "needs its `id`"),
            ("groups: [{id: a}, {id: a}]", "group `a` is declared twice"),
            ("keys: [{alias: a, organization: o}, {alias: a, organization: o}]", "key `a` is declared twice"),
            ("keys: [{alias: a}, {alias: a}]", "key `a` is declared twice"),
            ("groups: [{id: a, limit: {}}]", "did you mean `limits`?"),
            ("keys: [{alias: a, ttl: 1d}]", "has no field `ttl`"),
            ("policies: [{name: p}]", "needs its script"),
            ("keys: [{alias: a, key: '${NO_SUCH_VARIABLE}'}]", "`NO_SUCH_VARIABLE` isn't set"),
            ("channels: [{name: c, provider: opnai, models: [m]}]", "openai"),
            ("[]", "must hold sections"),
        ] {
            let error = read_text(text).err().unwrap_or_else(|| panic!("{text} is read"));
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn two_organizations_may_name_their_keys_alike() {
        let keys =
            "keys: [{alias: ci, organization: a}, {alias: ci, organization: b}, {alias: ci, group: g}]";
        assert_eq!(read_text(keys).unwrap().things[&Kind::Key].len(), 3);
    }

    #[test]
    fn channels_are_completed_and_their_credentials_kept_apart() {
        let text = "channels: [{name: c, provider: openai, credential: sk-plain, models: [gpt-5.4]}]";
        let document = read_text(text).unwrap();
        let (channel, secret) = &document.channels[0];
        assert_eq!(secret.as_deref(), Some("sk-plain"));
        assert_eq!(channel.secret, SecretRef::None);
        assert!(channel.models[0].price.is_known());
    }
}

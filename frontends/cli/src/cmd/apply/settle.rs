//! Files may name a group by its alias, and put a user into it from either side: here each is said one way, as the gateway says it.

use serde_json::Value;

use super::document::{Document, Kind, Thing};

/// Names groups by their ids, and lets users be placed by the groups that name them as members. `groups` are those that there are.
pub(super) fn settle(document: &mut Document, groups: &[Value]) {
    let declared = document.things.get(&Kind::Group).cloned().unwrap_or_default();
    for (kind, field) in [(Kind::Key, "group"), (Kind::Policy, "group")] {
        for thing in document.things.get_mut(&kind).into_iter().flatten() {
            let organization = thing.get("organization").and_then(Value::as_str).map(str::to_owned);
            if let Some(Value::String(name)) = thing.get_mut(field) {
                *name = id_of(name, organization.as_deref(), &declared, groups);
            }
        }
    }
    for user in document.things.get_mut(&Kind::User).into_iter().flatten() {
        let id = user.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let organization = user.get("organization").and_then(Value::as_str).map(str::to_owned);
        if let Some(Value::Array(names)) = user.get_mut("groups") {
            // As a member somebody has a role and limits, too: that is the fuller word.
            names.retain(|name| {
                let name = name.as_str().unwrap_or_default();
                let group = id_of(name, organization.as_deref(), &declared, groups);
                !declared.iter().any(|it| is_named(it, &group) && has_member(it, &id))
            });
        }
    }
}

fn id_of(name: &str, organization: Option<&str>, declared: &[Thing], groups: &[Value]) -> String {
    let known = groups.iter().filter_map(Value::as_object);
    let mut all = declared.iter().chain(known.clone());
    if all.any(|it| is_named(it, name)) {
        return name.to_owned();
    }
    let is = |it: &&Thing| {
        it.get("alias").and_then(Value::as_str) == Some(name)
            && organization.is_none_or(|wanted| organization_of(it) == wanted)
    };
    let mut found: Vec<&str> =
        declared.iter().chain(known).filter(is).filter_map(|it| it.get("id")?.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [id] => (*id).to_owned(),
        // The gateway says what is wrong with it.
        _ => name.to_owned(),
    }
}

fn is_named(group: &Thing, id: &str) -> bool {
    group.get("id").and_then(Value::as_str) == Some(id)
}

fn organization_of(group: &Thing) -> &str {
    group.get("organization").and_then(Value::as_str).unwrap_or("default")
}

fn has_member(group: &Thing, user: &str) -> bool {
    let members = group.get("members").and_then(Value::as_array);
    members.is_some_and(|members| members.iter().any(|member| member["user"].as_str() == Some(user)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_are_named_by_their_ids_and_members_placed_once() {
        let things = |value: Value| -> Vec<Thing> {
            value.as_array().unwrap().iter().map(|it| it.as_object().cloned().unwrap()).collect()
        };
        let mut document = Document::default();
        let groups =
            json!([{"id": "rd", "alias": "research", "organization": "acme", "members": [{"user": "li"}]}]);
        document.things.insert(Kind::Group, things(groups));
        let users = json!([{"id": "li", "organization": "acme", "groups": ["research", "ops"]}, {"id": "wu", "groups": ["rd"]}]);
        document.things.insert(Kind::User, things(users));
        let keys = json!([
            {"alias": "a", "group": "research"}, {"alias": "b", "group": "rd"}, {"alias": "c", "group": "twice"},
            {"alias": "d", "group": "twice", "organization": "acme"}, {"alias": "e", "group": "nowhere"},
        ]);
        document.things.insert(Kind::Key, things(keys));
        document.things.insert(Kind::Policy, things(json!([{"name": "p", "group": "research"}])));
        let there = [
            json!({"id": "g1", "alias": "twice", "organization": "default"}),
            json!({"id": "g2", "alias": "twice", "organization": "acme"}),
            json!({"id": "rd", "alias": "research", "organization": "acme"}),
        ];
        settle(&mut document, &there);
        let of = |kind, field: &str| -> Vec<Value> {
            document.things[&kind].iter().map(|it| it[field].clone()).collect()
        };
        assert_eq!(of(Kind::Key, "group"), ["rd", "rd", "twice", "g2", "nowhere"]);
        assert_eq!(of(Kind::Policy, "group"), ["rd"]);
        assert_eq!(of(Kind::User, "groups"), [json!(["ops"]), json!(["rd"])]);
    }
}

//! What can be done with a thing that was made: links from the answer that tells of it to the operations that name it.

use serde_json::{Map, Value, json};

use super::{Operation, parameters, path};
use crate::routes::Entry;

/// Links from an operation that makes something to those that take what it made, by their ids.
pub(super) fn of(
    entry: &Entry,
    operation: &Operation,
    entries: &[Entry],
    schemas: &Map<String, Value>,
) -> Map<String, Value> {
    let mut links = Map::new();
    let (201, Some(schema)) = operation.answer else { return links };
    let (from, known) = (path(entry.path), parameters(entry.path));
    for other in entries {
        let (to, Some(named)) = (path(other.path), other.operation) else { continue };
        let below =
            to.strip_prefix(from.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !below || (&other.method, other.path) == (&entry.method, entry.path) {
            continue;
        }
        let needed = parameters(other.path);
        let new: Vec<&String> = needed.iter().filter(|name| !known.contains(name)).collect();
        // What names no id is about all of them; what needs two ids more is about something else.
        if new.len() > 1 || (new.is_empty() && known.is_empty()) {
            continue;
        }
        let mut values: Map<String, Value> =
            known.iter().map(|name| (name.clone(), json!(format!("$request.path.{name}")))).collect();
        if let Some(name) = new.first() {
            let Some(place) = place(name, &schemas[schema]) else { continue };
            values.insert((*name).clone(), json!(format!("$response.body#{place}")));
        }
        links.insert(named.id.to_owned(), json!({"operationId": named.id, "parameters": values}));
    }
    links
}

/// Where an answer says the id of what was made.
fn place(name: &str, schema: &Value) -> Option<String> {
    let has = |field: &str| schema["properties"].get(field).is_some();
    match () {
        () if has("id") => Some("/id".to_owned()),
        () if has(name) && schema["properties"][name]["$ref"].is_string() => Some(format!("/{name}/id")),
        () if has(name) => Some(format!("/{name}")),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    #[test]
    fn what_was_made_leads_to_what_can_be_done_with_it() {
        let document: Value = serde_json::from_str(document()).unwrap();
        for (route, link, parameters) in [
            ("/api/v1/keys", "updateKey", json!({"key": "$response.body#/key/id"})),
            ("/api/v1/keys", "regenerateKey", json!({"key": "$response.body#/key/id"})),
            ("/api/v1/groups", "deleteGroup", json!({"group": "$response.body#/id"})),
            ("/api/v1/groups", "addMember", json!({"group": "$response.body#/id"})),
            (
                "/api/v1/groups/{group}/members",
                "removeMember",
                json!({"group": "$request.path.group", "user": "$response.body#/user"}),
            ),
        ] {
            let links = &document["paths"][route]["post"]["responses"]["201"]["links"];
            assert_eq!(links[link], json!({"operationId": link, "parameters": parameters}), "{links}");
        }
        let put = &document["paths"]["/api/v1/policies/{policy}"]["put"]["responses"]["201"]["links"];
        assert_eq!(put["getPolicy"]["parameters"], json!({"policy": "$request.path.policy"}), "{put}");
    }
}

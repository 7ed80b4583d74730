//! The OpenAPI 3.1 document, made from the same table that the routes are registered from.

mod link;

use std::sync::OnceLock;

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use crate::console;
use crate::routes::{self, Entry};

/// What the document says about a route.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its id: the name of the function in generated clients.
    pub id: &'static str,
    /// The part of the document that it stands in.
    pub tag: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its query parameters: name and meaning.
    pub query: &'static [(&'static str, &'static str)],
    /// The schema of its body, by name.
    pub body: Option<&'static str>,
    /// Its status when all is well, and the schema of its answer, by name.
    pub answer: (u16, Option<&'static str>),
    /// Whether it is answered as a table, too, when `accept` asks for `text/csv`.
    pub csv: bool,
    /// Whether anybody is answered, whoever they are.
    pub public: bool,
}

impl Operation {
    /// An operation without query or body that answers 200.
    pub const fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self { id, tag, summary, query: &[], body: None, answer: (200, None), csv: false, public: false }
    }

    /// With these query parameters.
    #[must_use]
    pub const fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    /// With a body of this schema.
    #[must_use]
    pub const fn body(self, schema: &'static str) -> Self {
        Self { body: Some(schema), ..self }
    }

    /// With this status and an answer of this schema.
    #[must_use]
    pub const fn answers(self, status: u16, schema: &'static str) -> Self {
        Self { answer: (status, Some(schema)), ..self }
    }

    /// For anybody, whoever they are.
    #[must_use]
    pub const fn public(self) -> Self {
        Self { public: true, ..self }
    }

    /// As a table, too.
    #[must_use]
    pub const fn or_csv(self) -> Self {
        Self { csv: true, ..self }
    }

    /// With this status and no body.
    #[must_use]
    pub const fn answers_nothing(self, status: u16) -> Self {
        Self { answer: (status, None), ..self }
    }
}

/// The schemas that operations name. Kept as data: it is the contract that clients are generated from, and tests hold
/// the types against it.
const SCHEMAS: [&str; 2] = [include_str!("openapi/schemas.json"), include_str!("openapi/native.json")];

/// Every schema, by name.
fn schemas() -> Map<String, Value> {
    let files = SCHEMAS.iter().filter_map(|text| serde_json::from_str::<Map<_, _>>(text).ok());
    files.flatten().collect()
}

/// The fields of a schema, by name.
pub fn fields(schema: &str) -> Vec<String> {
    let all = schemas();
    let fields = all.get(schema).and_then(|schema| schema["properties"].as_object());
    fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

/// The document, as text. Made once.
pub fn document() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| build(&routes::table()).to_string())
}

fn build(entries: &[Entry]) -> Value {
    let (mut paths, schemas) = (Map::new(), schemas());
    for entry in entries {
        let Some(operation) = &entry.operation else { continue };
        let path = paths.entry(path(entry.path)).or_insert_with(|| json!({}));
        let mut described = describe(operation, entry, &schemas);
        let links = link::of(entry, operation, entries, &schemas);
        if !links.is_empty() {
            described["responses"][operation.answer.0.to_string()]["links"] = Value::Object(links);
        }
        path[entry.method.as_str().to_ascii_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sluicegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Management of a Sluicegate gateway. Its inference routes follow OpenAI's and \
                Anthropic's documents, its compatible management routes LiteLLM's. Amounts of money are in nano-USD, prices in pico-USD per token, times in milliseconds since 1970.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "security": [{"bearer": []}, {"session": []}, {"secureSession": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": security(),
            "responses": {"Error": {
                "description": "What went wrong: the kind as `code`, the remedy in the message.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }},
        },
    })
}

/// How one shows who one is. Over TLS the cookie has a name that browsers let nobody else set.
fn security() -> Value {
    let cookie = |name: &str, when: &str| {
        json!({
            "type": "apiKey", "in": "cookie", "name": name,
            "description": format!(
                "Set by signing in{when}. A change by it needs the header x-sluicegate-csrf, with any value."
            ),
        })
    };
    json!({
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "A key, an access token or the administrator's key.",
        },
        "session": cookie(console::PLAIN, " without TLS"),
        "secureSession": cookie(console::SECURE, " over TLS"),
    })
}

fn describe(operation: &Operation, entry: &Entry, schemas: &Map<String, Value>) -> Value {
    let optional = |place: &str, name: &str, meaning: &str| json!({"name": name, "in": place, "description": meaning, "schema": {"type": "string"}});
    let path = parameters(entry.path);
    let path = path
        .iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let query = operation.query.iter().map(|(name, meaning)| optional("query", name, meaning));
    let headers = headers(entry).into_iter().map(|(name, meaning)| optional("header", name, meaning));
    let (status, schema) = operation.answer;
    let mut answer = json!({"description": operation.summary});
    if let Some(schema) = schema {
        answer["content"] = content(schema);
        if operation.csv {
            answer["content"]["text/csv"] = json!({"schema": {"type": "string"}});
        }
    }
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": path.chain(query).chain(headers).collect::<Vec<_>>(),
        "responses": {status.to_string(): answer},
    });
    for status in refusals(entry) {
        described["responses"][status.to_string()] = json!({"$ref": "#/components/responses/Error"});
    }
    if operation.public {
        described["security"] = json!([]);
    }
    if let Some(schema) = operation.body {
        // No body at all is an empty object.
        let required = schemas[schema]["required"].as_array().is_some_and(|fields| !fields.is_empty());
        described["requestBody"] = json!({"required": required, "content": content(schema)});
    }
    described
}

/// Whether a route asks or changes one of the things that have an `etag`.
fn is_of_tagged(entry: &Entry) -> bool {
    let Some(rest) = entry.path.strip_prefix("/api/v1/") else { return false };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        [kind, one] => {
            let kinds = ["keys", "groups", "users", "organizations", "channels", "policies"];
            one.starts_with('{') && kinds.contains(&kind)
        }
        ["settings"] => true,
        ["groups", _, "members", one] => one.starts_with('{'),
        ["policies", _, "shadow" | "activate" | "rollback"] => entry.method != Method::GET,
        _ => false,
    }
}

/// Headers that a route heeds.
fn headers(entry: &Entry) -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    if entry.method != Method::GET && is_of_tagged(entry) {
        all.push((
            "if-match",
            "The `etag` of what the change was decided on, in quotes; another state is refused.",
        ));
    }
    if entry.method == Method::POST {
        all.push((
            "idempotency-key",
            "A key made up for this request: sent again under it within a day, it is done once.",
        ));
    }
    all
}

/// The statuses of refusals.
fn refusals(entry: &Entry) -> Vec<u16> {
    let mut all = vec![400, 401, 403, 404, 413, 429, 500, 503];
    if entry.method != Method::GET {
        all.push(409);
        if is_of_tagged(entry) {
            all.push(412);
        }
    }
    if entry.method == Method::POST {
        all.push(422);
    }
    // What others are asked for: a channel's upstream, a provider.
    if entry.path.starts_with("/api/v1/channels/") || entry.path.starts_with("/api/v1/session/oidc/") {
        all.extend([501, 502, 504]);
    }
    all.sort_unstable();
    all
}

fn content(schema: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

/// A path of the router as OpenAPI writes it: `{model:.*}` becomes `{model}`.
fn path(route: &str) -> String {
    let mut out = String::with_capacity(route.len());
    for segment in route.split_inclusive('}') {
        match segment.split_once(':').filter(|_| segment.ends_with('}')) {
            Some((before, _)) => {
                out.push_str(before);
                out.push('}');
            }
            None => out.push_str(segment),
        }
    }
    out
}

fn parameters(route: &str) -> Vec<String> {
    let path = path(route);
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn parsed() -> Value {
        serde_json::from_str(document()).unwrap()
    }

    #[test]
    fn every_route_of_the_native_api_is_described() {
        let document = parsed();
        for entry in routes::table() {
            let described =
                document["paths"][path(entry.path)][entry.method.as_str().to_ascii_lowercase()].is_object();
            assert_eq!(described, entry.operation.is_some(), "{} {}", entry.method, entry.path);
            if entry.path.starts_with("/api/v1") {
                assert!(described, "{} {} is not in the document", entry.method, entry.path);
            }
        }
    }

    #[test]
    fn schemas_are_read_and_each_stands_in_one_file() {
        let mut seen = BTreeSet::new();
        for text in SCHEMAS {
            let file: Map<String, Value> = serde_json::from_str(text).unwrap();
            for name in file.keys() {
                assert!(seen.insert(name.clone()), "{name} is there twice");
            }
        }
        assert!(fields("Key").contains(&"alias".to_owned()));
    }

    #[test]
    fn operation_ids_are_unique() {
        let mut seen = BTreeSet::new();
        for operation in routes::table().iter().filter_map(|entry| entry.operation) {
            assert!(seen.insert(operation.id), "{} is there twice", operation.id);
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        fn references(value: &Value, into: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(to)) = map.get("$ref") {
                        into.insert(to.clone());
                    }
                    map.values().for_each(|value| references(value, into));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, into)),
                _ => {}
            }
        }
        let document = parsed();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        for reference in &used {
            assert!(
                document.pointer(reference.trim_start_matches('#')).is_some(),
                "{reference} leads nowhere"
            );
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(used.contains(&format!("#/components/schemas/{name}")), "{name} is used by nothing");
        }
    }

    #[test]
    fn patterns_of_the_router_are_left_out() {
        assert_eq!(path("/v1/models/{model:.*}"), "/v1/models/{model}");
        assert_eq!(path("/a/{b}/c/{d}"), "/a/{b}/c/{d}");
        assert_eq!(parameters("/a/{b}/c/{d:.*}"), ["b", "d"]);
    }
}

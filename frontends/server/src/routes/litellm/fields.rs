//! The fields and parameters of a LiteLLM request: taken one by one, so that what nobody took can be named instead of being
//! ignored.

use std::cell::RefCell;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use sluicegate::admin::{ModelEdit, Patch};
use sluicegate::config::{nearest, parse_count, parse_duration_ms};
use sluicegate::distinct;
use sluicegate::money::parse_decimal;
use sluicegate::tenant::ACCESS_GROUP;
use sluicegate::{Error, ErrorKind, ModelName, Result};

use super::known::{CONFINING, KNOWN};

/// Names in `models` that stand for "no restriction here".
const ALL_MODELS: [&str; 4] = ["all-team-models", "all-proxy-models", "*", "all-org-models"];

/// Marks errors of a field that is missing, or of the wrong type, with LiteLLM's word for which.
pub const VALIDATION: &str = "validation";
/// What was sent instead, as JSON.
pub const INPUT: &str = "input";
/// Where that isn't told: it may be a secret.
const UNTOLD: [&str; 11] = [
    "api_key",
    "credential_values",
    "current_password",
    "key",
    "keys",
    "litellm_params",
    "model_info",
    "new_key",
    "new_master_key",
    "new_password",
    "password",
];
/// That is told up to so many bytes.
const INPUT_MAX: usize = 256;

/// A field that was sent: a value, or null to clear it.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent<T> {
    /// It wasn't sent: leave what there is.
    Absent,
    /// It was sent as null: clear what there is.
    Null,
    /// It was sent.
    Value(T),
}

impl<T> Sent<T> {
    /// The value; `None` when there is none, for whatever reason.
    pub fn value(self) -> Option<T> {
        match self {
            Sent::Value(value) => Some(value),
            Sent::Absent | Sent::Null => None,
        }
    }

    /// Applies it to what there is.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Sent::Absent => {}
            Sent::Null => *to = None,
            Sent::Value(value) => *to = Some(value),
        }
    }

    /// The change that it asks for.
    pub fn patch(self) -> Patch<T> {
        match self {
            Sent::Absent => Patch::Keep,
            Sent::Null => Patch::Clear,
            Sent::Value(value) => Patch::Set(value),
        }
    }

    /// The same, of what its value becomes.
    ///
    /// # Errors
    /// Whatever `f` says.
    pub fn map<U>(self, f: impl FnOnce(T) -> Result<U>) -> Result<Sent<U>> {
        Ok(match self {
            Sent::Absent => Sent::Absent,
            Sent::Null => Sent::Null,
            Sent::Value(value) => Sent::Value(f(value)?),
        })
    }
}

/// The fields that are left.
#[derive(Debug)]
pub struct Fields {
    map: Map<String, Value>,
    /// What was asked for: the names that there are.
    asked: Vec<String>,
    warnings: Vec<String>,
}

impl Fields {
    /// The fields of a body.
    pub fn new(map: Map<String, Value>) -> Self {
        Self { map, asked: Vec::new(), warnings: Vec::new() }
    }

    /// A field as it is.
    pub fn take(&mut self, name: &str) -> Sent<Value> {
        self.asked.push(name.to_owned());
        match self.map.remove(name) {
            None => Sent::Absent,
            Some(Value::Null) => Sent::Null,
            Some(value) => Sent::Value(value),
        }
    }

    /// Whether a field was sent, and nobody has taken it.
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A text.
    ///
    /// # Errors
    /// `InvalidRequest` when it is something else. The other getters likewise.
    pub fn text(&mut self, name: &str) -> Result<Sent<String>> {
        self.take(name).map(|value| match value {
            Value::String(text) => Ok(text),
            other => Err(wrong(name, "a string", &other)),
        })
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn required(&mut self, name: &str) -> Result<String> {
        self.text(name)?.value().filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    /// True or false.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn flag(&mut self, name: &str) -> Result<Sent<bool>> {
        self.take(name).map(|value| value.as_bool().ok_or_else(|| wrong(name, "true or false", &value)))
    }

    /// A count, 0 or more, of at most 2⁶³ − 1.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn count(&mut self, name: &str) -> Result<Sent<i64>> {
        self.take(name).map(|value| count(name, &value))
    }

    /// An amount of USD, in nano-USD.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn usd(&mut self, name: &str) -> Result<Sent<i64>> {
        self.take(name).map(|value| usd(name, &value))
    }

    /// A length of time in milliseconds, such as `30d`.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn duration_ms(&mut self, name: &str) -> Result<Sent<u64>> {
        self.text(name)?.map(|text| {
            parse_duration_ms(&text).map_err(|why| {
                Error::new(ErrorKind::InvalidRequest, format!("`{name}`: {why}")).with("param", name)
            })
        })
    }

    /// Texts.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn texts(&mut self, name: &str) -> Result<Sent<Vec<String>>> {
        self.take(name).map(|value| {
            let items = match value {
                Value::Array(items) => items,
                // One is as good as a list of one.
                text @ Value::String(_) => vec![text],
                other => return Err(wrong(name, "a list of strings", &other)),
            };
            let text = |item: Value| match item {
                Value::String(text) => Ok(text),
                other => Err(wrong(name, "a list of strings", &other)),
            };
            items.into_iter().map(text).collect()
        })
    }

    /// Models: names or prefixes ending in `*`. Words that mean "all" become the empty list, which means the same here.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn models(&mut self) -> Result<Sent<Vec<ModelName>>> {
        self.texts("models")?.map(|models| {
            if models.iter().any(|model| ALL_MODELS.contains(&model.as_str())) {
                return Ok(Vec::new());
            }
            Ok(models.into_iter().map(ModelName::from).collect())
        })
    }

    /// Models, and access groups by their ids, of something new.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn access(&mut self) -> Result<Vec<ModelName>> {
        let mut models = self.models()?.value().unwrap_or_default();
        models.extend(self.access_group_ids()?.value().unwrap_or_default());
        Ok(models)
    }

    /// The same of something that is there: what isn't sent of the two stays.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn access_change(&mut self) -> Result<(Patch<Vec<ModelName>>, Option<ModelEdit>)> {
        let list = |sent: Sent<Vec<ModelName>>| match sent {
            Sent::Absent => None,
            Sent::Null => Some(Vec::new()),
            Sent::Value(names) => Some(names),
        };
        let opens_all = self.names_all_models();
        Ok(match (list(self.models()?), list(self.access_group_ids()?)) {
            (None, None) => (Patch::Keep, None),
            (Some(models), None) if opens_all => (Patch::Set(models), None),
            (Some(models), None) => (Patch::Keep, Some(ModelEdit::Models(models))),
            (None, Some(groups)) => (Patch::Keep, Some(ModelEdit::AccessGroups(groups))),
            (Some(mut models), Some(groups)) => {
                models.extend(groups);
                match opens_all {
                    true => (Patch::Set(models), None),
                    // Who sends back what they were shown, without the last access group, doesn't mean every model.
                    false => (Patch::Keep, Some(ModelEdit::All(models))),
                }
            }
        })
    }

    /// Whether `models` says in a word that it is every model.
    fn names_all_models(&self) -> bool {
        let is_all = |it: &Value| it.as_str().is_some_and(|name| ALL_MODELS.contains(&name));
        match self.map.get("models") {
            Some(Value::Array(models)) => models.iter().any(is_all),
            Some(one) => is_all(one),
            None => false,
        }
    }

    fn access_group_ids(&mut self) -> Result<Sent<Vec<ModelName>>> {
        let name = |id: String| ModelName::from(format!("{ACCESS_GROUP}{id}"));
        self.texts("access_group_ids")?.map(|ids| Ok(ids.into_iter().map(name).collect()))
    }

    /// Other names for models.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn aliases(&mut self, name: &'static str) -> Result<Sent<IndexMap<ModelName, ModelName>>> {
        self.object(name)?.map(|map| {
            let pair = |(from, to): (String, Value)| match to {
                Value::String(to) => Ok((ModelName::from(from), ModelName::from(to))),
                other => Err(wrong(name, "an object of strings", &other)),
            };
            map.into_iter().map(pair).collect()
        })
    }

    /// An object.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn object(&mut self, name: &str) -> Result<Sent<Map<String, Value>>> {
        self.take(name).map(|value| match value {
            Value::Object(map) => Ok(map),
            other => Err(wrong(name, "an object", &other)),
        })
    }

    /// Objects: one at least, and no more than `max`.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn items(&mut self, name: &str, max: usize) -> Result<Vec<Map<String, Value>>> {
        let items = match self.take(name) {
            Sent::Value(Value::Array(items)) if (1..=max).contains(&items.len()) => items,
            Sent::Value(other) => return Err(wrong(name, &format!("a list of 1 to {max} objects"), &other)),
            Sent::Absent | Sent::Null => return Err(missing(name)),
        };
        let object = |item| match item {
            Value::Object(map) => Ok(map),
            other => Err(wrong(name, "a list of objects", &other)),
        };
        items.into_iter().map(object).collect()
    }

    /// Lists that LiteLLM keeps in the metadata, by name; null takes one out.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn kept_in_metadata(&mut self, names: &[&str]) -> Result<Map<String, Value>> {
        let mut kept = Map::new();
        for name in names {
            match self.texts(name)? {
                Sent::Absent => {}
                Sent::Null => {
                    kept.insert((*name).to_owned(), Value::Null);
                }
                Sent::Value(texts) => {
                    kept.insert((*name).to_owned(), texts.into());
                }
            }
        }
        Ok(kept)
    }

    /// The free data of something new, with what LiteLLM keeps in it.
    ///
    /// # Errors
    /// See [`Fields::text`].
    pub fn metadata_with(&mut self, names: &[&str]) -> Result<Map<String, Value>> {
        let mut metadata = self.object("metadata")?.value().unwrap_or_default();
        metadata.extend(self.kept_in_metadata(names)?.into_iter().filter(|(_, value)| !value.is_null()));
        Ok(metadata)
    }

    /// Says something about the request.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// What has no effect: every field of LiteLLM's that nobody took and that asks for something. Said before anything is done.
    ///
    /// # Errors
    /// `InvalidRequest` of a name that nobody knows: what was meant, a cap for one, would be missing; and of what caps or confines.
    pub fn finish(&mut self) -> Result<Vec<String>> {
        for (name, value) in std::mem::take(&mut self.map) {
            if !KNOWN.contains(&name.as_str()) {
                return Err(unknown(&name, &self.asked));
            }
            if says_nothing(&value) {
                continue;
            }
            if let Some((_, instead)) = CONFINING.iter().find(|(confining, _)| *confining == name) {
                let message = format!(
                    "`{name}` has no effect here, and what it is to hold back wouldn't be: {instead}"
                );
                return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name));
            }
            self.warnings.push(format!("`{name}` has no effect here"));
        }
        Ok(std::mem::take(&mut self.warnings))
    }
}

fn unknown(name: &str, asked: &[String]) -> Error {
    let hint = match nearest(name, asked.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "neither LiteLLM nor we know it: leave it out".to_owned(),
    };
    Error::new(ErrorKind::InvalidRequest, format!("unknown field `{name}`; {hint}")).with("param", name)
}

/// An object, no name in it twice.
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        distinct(deserializer).map(Self::new)
    }
}

/// The parameters of a query.
#[derive(Debug)]
pub struct Query {
    map: Map<String, Value>,
    read: RefCell<Vec<&'static str>>,
}

impl Query {
    /// These parameters.
    pub fn new(map: Map<String, Value>) -> Self {
        Self { map, read: RefCell::default() }
    }

    /// One of them; an empty one counts as none.
    pub fn text(&self, name: &'static str) -> Option<&str> {
        self.read.borrow_mut().push(name);
        self.map.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// One that must be there.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn required(&self, name: &'static str) -> Result<&str> {
        self.text(name).ok_or_else(|| missing(name))
    }

    /// What has no effect: every parameter that nobody asked for and that would only show the same otherwise.
    ///
    /// # Errors
    /// `InvalidRequest` of any other one: a filter that isn't one here would look as if it had found everything.
    pub fn finish(&self) -> Result<Vec<String>> {
        let read = self.read.borrow();
        // As Python writes it, too.
        let is_false = |value: &Value| value.as_str().is_some_and(|it| it.eq_ignore_ascii_case("false"));
        let is_said = |value: &Value| !says_nothing(value) && !is_false(value);
        let mut warnings = Vec::new();
        for (name, value) in self.map.iter().filter(|(_, value)| is_said(value)) {
            if read.contains(&name.as_str()) {
                continue;
            }
            let is_first = name == "page" && value.as_str() == Some("1");
            if !is_first && !SHAPING.contains(&name.as_str()) {
                return Err(unserved(name, &read));
            }
            warnings.push(format!("the parameter `{name}` has no effect here"));
        }
        Ok(warnings)
    }
}

/// Parameters of LiteLLM's that order what is answered, say more of it, or ask for more than is asked for without them.
const SHAPING: [&str; 21] = [
    "debug",
    "expand",
    "include_created_by_keys",
    "include_current_utc_day",
    "include_metadata",
    "include_model_access_groups",
    "include_team_keys",
    "include_team_models",
    "key_limit",
    "page_size",
    "return_full_object",
    "return_wildcard_routes",
    "search_team_id_match",
    "size",
    "sort_by",
    "sort_order",
    "sortBy",
    "sortOrder",
    "substring_matching",
    "summarize",
    "timezone",
];

fn unserved(name: &str, read: &[&'static str]) -> Error {
    let hint = match nearest(name, read.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "leave it out".to_owned(),
    };
    let message = format!(
        "the parameter `{name}` isn't served here, and more would be answered than it asks for; {hint}"
    );
    Error::new(ErrorKind::InvalidRequest, message).with("param", name)
}

/// Values that clients send for "not set".
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        // A form's lists that nothing was put into.
        Value::Object(map) => map.values().all(says_nothing),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// A count out of a JSON value: a whole number, or one as text.
pub fn count(name: &str, value: &Value) -> Result<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Err(wrong(name, "a whole number, 0 or more", value)),
    };
    let count = parse_count(&text).ok().and_then(|n| i64::try_from(n).ok());
    count.ok_or_else(|| wrong(name, "a whole number, 0 or more", value))
}

/// An amount of USD out of a JSON value, in nano-USD.
pub fn usd(name: &str, value: &Value) -> Result<i64> {
    let nano = match value {
        Value::Number(number) => parse_decimal(&number.to_string(), 9),
        Value::String(text) => parse_decimal(text, 9),
        _ => None,
    };
    nano.filter(|nano| *nano >= 0).ok_or_else(|| wrong(name, "an amount of USD, 0 or more", value))
}

/// A field that must be there and isn't.
pub fn missing(name: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("`{name}` is missing"))
        .with("param", name)
        .with(VALIDATION, "missing")
}

fn wrong(name: &str, want: &str, sent: &Value) -> Error {
    let error = Error::new(ErrorKind::InvalidRequest, format!("`{name}` must be {want}"))
        .with("param", name)
        .with(VALIDATION, "value_error");
    // What was sent is told to who sent it, unless it is much.
    match sent.to_string() {
        text if text.len() <= INPUT_MAX && !UNTOLD.contains(&name) => error.with(INPUT, text),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(map) = value else { panic!("not an object") };
        Fields::new(map)
    }

    #[test]
    fn absent_null_and_value_differ() {
        let mut f = fields(json!({"a": null, "b": "x"}));
        assert_eq!(f.text("a").unwrap().patch(), Patch::Clear);
        assert_eq!(f.text("b").unwrap().patch(), Patch::Set("x".to_owned()));
        assert_eq!(f.text("c").unwrap().patch(), Patch::Keep);
    }

    #[test]
    fn amounts_are_exact_and_never_negative() {
        let mut f =
            fields(json!({"a": 0.1, "b": 100, "c": 1e-9, "d": -1, "e": "x", "f": 1.5, "g": -3, "h": 20.0}));
        assert_eq!(f.usd("a").unwrap().value(), Some(100_000_000));
        assert_eq!(f.usd("b").unwrap().value(), Some(100_000_000_000));
        assert_eq!(f.usd("c").unwrap().value(), Some(1));
        assert!(f.usd("d").is_err());
        assert!(f.usd("e").is_err());
        assert!(f.count("f").is_err());
        assert!(f.count("g").is_err());
        assert_eq!(f.count("h").unwrap().value(), Some(20));
    }

    #[test]
    fn words_for_all_models_mean_all() {
        for (models, want) in [(json!(["all-team-models"]), 0), (json!([]), 0), (json!(["a", "openai/*"]), 2)]
        {
            let mut f = fields(json!({ "models": models }));
            assert_eq!(f.models().unwrap().value().unwrap().len(), want);
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        let read =
            serde_json::from_str::<Fields>(r#"{"max_budget": 1, "key_alias": "a", "max_budget": 1000}"#);
        assert!(read.unwrap_err().to_string().contains("`max_budget` is there twice"));
        assert!(serde_json::from_str::<Fields>(r#"{"a": {"b": 1}, "b": 1}"#).is_ok());
        assert!(serde_json::from_str::<Fields>("[]").is_err());
    }

    #[test]
    fn parameters_that_nobody_asked_for_are_named_and_those_that_narrow_refused() {
        let asked = |value: Value, name| {
            let Value::Object(map) = value else { panic!("an object") };
            let query = Query::new(map);
            query.text(name);
            query.finish()
        };
        let shaped = json!({"page": "2", "team_id": "", "sort_by": "spend", "user_models_only": "False"});
        assert_eq!(asked(shaped, "page").unwrap(), ["the parameter `sort_by` has no effect here"]);
        for (narrows, hint) in [
            (json!({"model": "m"}), "leave it out"),
            (json!({"page": "2"}), "leave it out"),
            (json!({"user_di": "u"}), "did you mean `user_id`?"),
        ] {
            let error = asked(narrows.clone(), "user_id").unwrap_err();
            assert!(error.message().contains(hint), "{narrows}: {error}");
        }
    }

    #[test]
    fn what_nobody_took_is_named_unless_it_says_nothing() {
        let mut f =
            fields(json!({"policies": ["x"], "config": {}, "spend": null, "permissions": {"a": true}}));
        assert_eq!(
            f.finish().unwrap(),
            ["`policies` has no effect here", "`permissions` has no effect here"]
        );
    }

    #[test]
    fn a_name_that_nobody_knows_is_refused_with_the_one_that_was_meant() {
        for (body, hint) in [
            (json!({"max_bugdet": 1}), "did you mean `max_budget`?"),
            (json!({"max_bugdet": null}), "did you mean `max_budget`?"),
            (json!({"weather": "fine"}), "leave it out"),
        ] {
            let mut f = fields(body.clone());
            f.usd("max_budget").unwrap();
            let error = f.finish().unwrap_err();
            assert!(error.message().contains(hint), "{body}: {error}");
        }
    }

    #[test]
    fn the_tables_of_names_are_in_order_and_agree() {
        assert!(KNOWN.is_sorted());
        assert!(CONFINING.is_sorted());
        assert!(CONFINING.iter().all(|(name, _)| KNOWN.contains(name)));
    }

    #[test]
    fn what_caps_or_confines_and_has_no_use_is_refused() {
        let refused = |body: Value| fields(body).finish().err().map(|error| error.message().to_owned());
        assert!(refused(json!({"tag_rpm_limit": {"a": 1}})).unwrap().contains("/tag/new"));
        assert!(refused(json!({"max_budget": 0})).is_some());
        assert_eq!(refused(json!({"tag_rpm_limit": {}, "max_budget": null, "enforced_params": []})), None);
    }
}

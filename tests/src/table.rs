//! The table of decisions, `tests/data/decide/*.yaml`: cases that every face of the engine must answer alike.
//!
//! `tests/data/decide/README.md` describes the files. The faces differ in how a request gets to the engine; loading,
//! binding and comparing is the same for all and stands here.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};

/// One case: a host, and what is asked of it in turn.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its file and note, for messages.
    pub name: String,
    /// The host's options, clock included.
    pub options: Value,
    /// The error with which opening must fail, if it must.
    pub fails: Option<Value>,
    /// What is asked.
    pub steps: Vec<Step>,
}

/// One request and what must come back.
#[derive(Clone, Debug)]
pub struct Step {
    /// The request; `$names` in it stand for what was bound before.
    pub request: Value,
    /// What its answer must hold.
    pub want: Value,
}

/// Every case of the folder, in the order of files and lines.
///
/// # Panics
/// When a file can't be read or isn't a table.
#[must_use]
pub fn cases(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no cases", folder.display());
    files.iter().flat_map(|path| file(path)).collect()
}

fn file(path: &Path) -> Vec<Case> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{stem}: {e}"));
    let table: Map<String, Value> = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{stem}: {e}"));
    only(&table, &["note", "options", "cases"], &stem);
    let shared = table.get("options").cloned().unwrap_or_else(|| json!({}));
    let all = table.get("cases").and_then(Value::as_array).unwrap_or_else(|| panic!("{stem}: no cases"));
    all.iter().map(|case| one(&stem, &shared, case)).collect()
}

fn one(stem: &str, shared: &Value, case: &Value) -> Case {
    let case = case.as_object().unwrap_or_else(|| panic!("{stem}: a case is a mapping"));
    let name = format!("{stem}: {}", case.get("note").and_then(Value::as_str).expect("each case has a note"));
    only(case, &["note", "options", "fails", "steps"], &name);
    let mut options = shared.as_object().cloned().unwrap_or_default();
    options.extend(case.get("options").and_then(Value::as_object).cloned().unwrap_or_default());
    let start = options.get("manual_clock_ms").and_then(Value::as_i64);
    let steps = case.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let steps = steps.iter().map(|step| asked(step, start, &name)).collect();
    Case { options: Value::Object(options), fails: case.get("fails").cloned(), steps, name }
}

/// A step: its verb beside `want`, and `at_ms` after the clock's start.
fn asked(step: &Value, start: Option<i64>, name: &str) -> Step {
    let mut request = step.as_object().unwrap_or_else(|| panic!("{name}: a step is a mapping")).clone();
    let want = request.remove("want").unwrap_or_else(|| panic!("{name}: a step wants nothing"));
    request.entry("v").or_insert(json!(1));
    if let Some(at) = request.remove("at_ms").and_then(|at| at.as_i64()) {
        let start = start.unwrap_or_else(|| panic!("{name}: `at_ms` needs `manual_clock_ms`"));
        request.insert("now_ms".to_owned(), json!(start + at));
    }
    Step { request: Value::Object(request), want }
}

fn only(map: &Map<String, Value>, known: &[&str], name: &str) {
    for key in map.keys() {
        assert!(known.contains(&key.as_str()), "{name}: `{key}` isn't one of {known:?}");
    }
}

/// What `$names` stand for within one case.
#[derive(Clone, Debug, Default)]
pub struct Bound(HashMap<String, Value>);

impl Bound {
    /// The value with every bound `$name` replaced.
    #[must_use]
    pub fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.0.get(text).cloned().unwrap_or_else(|| value.clone()),
            Value::Array(all) => Value::Array(all.iter().map(|v| self.fill(v)).collect()),
            Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), self.fill(v))).collect()),
            other => other.clone(),
        }
    }

    /// Compares, and binds names that `want` names for the first time.
    ///
    /// # Errors
    /// Where they differ first, as a path, with both sides.
    pub fn check(&mut self, want: &Value, got: &Value) -> Result<(), String> {
        self.compare(want, got, "answer")
    }

    fn compare(&mut self, want: &Value, got: &Value, at: &str) -> Result<(), String> {
        let differ = || Err(format!("{at}: wanted {want}, got {got}"));
        match want {
            Value::String(name) if name.starts_with('$') => match self.0.get(name) {
                Some(bound) if bound == got => Ok(()),
                Some(bound) => Err(format!("{at}: `{name}` is {bound}, got {got}")),
                None if got.is_null() => differ(),
                None => {
                    self.0.insert(name.clone(), got.clone());
                    Ok(())
                }
            },
            Value::Object(map) => {
                if let Some(kind) = map.keys().find(|key| key.starts_with('$')) {
                    return self.special(kind, &map[kind], got, at);
                }
                if !got.is_object() {
                    return differ();
                }
                map.iter().try_for_each(|(key, want)| {
                    // What isn't there compares as null, so that `null` wants absence.
                    self.compare(want, got.get(key).unwrap_or(&Value::Null), &format!("{at}.{key}"))
                })
            }
            Value::Array(all) => match got.as_array() {
                Some(got) if got.len() == all.len() => all
                    .iter()
                    .zip(got)
                    .enumerate()
                    .try_for_each(|(n, (want, got))| self.compare(want, got, &format!("{at}[{n}]"))),
                _ => differ(),
            },
            plain if plain == got => Ok(()),
            _ => differ(),
        }
    }

    fn special(&mut self, kind: &str, want: &Value, got: &Value, at: &str) -> Result<(), String> {
        match (kind, want, got) {
            ("$text", Value::String(part), Value::String(text)) => text
                .contains(part.as_str())
                .then_some(())
                .ok_or_else(|| format!("{at}: {part:?} isn't in {text:?}")),
            // All of them, in this order; others may stand between.
            ("$has", Value::Array(parts), Value::Array(all)) => {
                let mut rest = all.iter();
                parts.iter().try_for_each(|part| {
                    let found = rest.any(|one| self.compare(part, one, at).is_ok());
                    found.then_some(()).ok_or_else(|| format!("{at}: no {part} (in this order) in {got}"))
                })
            }
            ("$lacks", Value::Array(parts), Value::Array(all)) => parts.iter().try_for_each(|part| {
                let found = all.iter().any(|one| self.compare(part, one, at).is_ok());
                (!found).then_some(()).ok_or_else(|| format!("{at}: there is {part} in {got}"))
            }),
            // Text that holds JSON, such as a body to send.
            ("$json", want, Value::String(text)) => match serde_json::from_str(text) {
                Ok(inner) => self.compare(want, &inner, at),
                Err(why) => Err(format!("{at}: no JSON: {why}: {text}")),
            },
            _ => Err(format!("{at}: wanted {kind} {want}, got {got}")),
        }
    }
}

/// Runs one case against a host that `open` makes of the options; `handle` sends one request and gives the answer, both
/// as JSON text. A failed opening gives the error as `{"kind": …, "code": …, "message": …}`.
///
/// # Errors
/// What went otherwise than the case wants.
pub fn run<H>(
    case: &Case,
    open: impl FnOnce(&str) -> Result<H, Value>,
    mut handle: impl FnMut(&mut H, &str) -> String,
) -> Result<(), String> {
    let mut bound = Bound::default();
    let mut host = match (open(&case.options.to_string()), &case.fails) {
        (Ok(host), None) => host,
        (Err(error), Some(want)) => {
            return bound.check(want, &error).map_err(|why| format!("{}: opening: {why}", case.name));
        }
        (Ok(_), Some(_)) => return Err(format!("{}: opens, and must not", case.name)),
        (Err(error), None) => return Err(format!("{}: doesn't open: {error}", case.name)),
    };
    for (n, step) in case.steps.iter().enumerate() {
        let request = bound.fill(&step.request).to_string();
        let said = handle(&mut host, &request);
        let wrong = |why: String| format!("{}: step {}: {why}\n  answer: {said}", case.name, n + 1);
        let answer: Value = serde_json::from_str(&said).map_err(|why| wrong(why.to_string()))?;
        bound.check(&step.want, &answer).map_err(wrong)?;
    }
    Ok(())
}

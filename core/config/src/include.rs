//! LiteLLM's `include`: further files whose lists are appended and whose mappings are merged.

use crate::diagnostic::Severity;
use crate::reader::{Item, Load};
use crate::yaml::{self, Entry, Node, Value};

/// BOUND: so many files are read by one load.
const MAX_FILES: usize = 64;

/// Reads what the top-level key `include` names and merges it in.
pub(crate) fn resolve(load: &mut Load<'_>, root: &mut Node) {
    let mut seen: Vec<String> = load.files.clone();
    merge_includes(load, root, &mut seen);
}

fn merge_includes(load: &mut Load<'_>, root: &mut Node, seen: &mut Vec<String>) {
    let Some(list) = root.get("include").cloned() else { return };
    let base = load.files.get(usize::from(list.place.file)).cloned().unwrap_or_default();
    let item = Item { node: &list, at: "include".to_owned(), place: list.place };
    for name in item.texts(load) {
        let path = beside(&base, &name);
        if seen.contains(&path) || seen.len() >= MAX_FILES {
            let message = format!("`{path}` is included twice, or there are more than {MAX_FILES} files");
            item.say(load, Severity::Error, "include", message, "include each file once");
            continue;
        }
        seen.push(path.clone());
        let text = match (load.environment.file)(&path) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("the file `{path}` can't be read: {why}");
                item.say(load, Severity::Error, "include", message, "correct the path, or remove it");
                continue;
            }
        };
        let number = u16::try_from(load.files.len()).unwrap_or(u16::MAX);
        load.files.push(path.clone());
        let mut duplicates = Vec::new();
        let parsed = yaml::parse(&text, number, &mut |refusal| duplicates.push(refusal));
        for refusal in duplicates {
            load.refuse(Severity::Error, refusal);
        }
        match parsed {
            Ok(mut included) => {
                if !matches!(included.value, Value::Map(_) | Value::Null) {
                    let message = format!("the file `{path}` is no mapping");
                    item.say(load, Severity::Error, "include", message, "write settings into it");
                    continue;
                }
                merge_includes(load, &mut included, seen);
                merge(root, included);
            }
            Err(refusal) => load.refuse(Severity::Error, refusal),
        }
    }
}

/// Lists are appended, mappings merged; of two values the included one counts.
fn merge(into: &mut Node, from: Node) {
    match (&mut into.value, from.value) {
        (Value::List(into), Value::List(from)) => into.extend(from),
        (Value::Map(into), Value::Map(from)) => {
            for entry in from {
                if entry.key == "include" {
                    continue;
                }
                match into.iter_mut().find(|own| own.key == entry.key) {
                    Some(own) => merge(&mut own.value, entry.value),
                    None => into.push(Entry { ..entry }),
                }
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from,
    }
}

/// `name`, seen from the directory of `file`.
pub(crate) fn beside(file: &str, name: &str) -> String {
    match file.rsplit_once(['/', '\\']) {
        Some((directory, _)) if !name.starts_with('/') && !name.contains(":\\") => {
            format!("{directory}/{name}")
        }
        _ => name.to_owned(),
    }
}

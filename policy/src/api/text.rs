//! Texts, numbers and maps. Written here rather than taken from the script runtime, so that work on long texts is paid
//! for by the byte.

use rhai::{Array, Dynamic, Engine, EvalAltResult, INT, ImmutableString, Map, Position};
use sluicegate_core::tenant::matches_pattern;

use super::{int, text};
use crate::run::{Outcome, charge};
use crate::sandbox::{MAX_ARRAY_LEN, MAX_STRING_BYTES};

pub(super) fn register(engine: &mut Engine) {
    questions(engine);
    changes(engine);
    joins(engine);
    numbers(engine);
    engine.register_fn("len", |map: &mut Map| int(map.len()));
    engine.register_fn("is_empty", |map: &mut Map| map.is_empty());
    engine.register_fn("contains", |map: &mut Map, key: &str| map.contains_key(key));
    engine.register_fn("keys", |map: &mut Map| {
        map.keys().map(|key| Dynamic::from(text(key))).collect::<Array>()
    });
}

fn questions(engine: &mut Engine) {
    engine.register_get("len", |own: &mut ImmutableString| length(own));
    engine.register_fn("len", |own: &mut ImmutableString| length(own));
    engine.register_get("is_empty", |own: &mut ImmutableString| own.is_empty());
    engine.register_fn("is_empty", |own: &mut ImmutableString| own.is_empty());
    engine
        .register_fn("contains", |own: &str, part: &str| paid(own.len() + part.len(), || own.contains(part)));
    engine.register_fn("starts_with", |own: &str, part: &str| paid(part.len(), || own.starts_with(part)));
    engine.register_fn("ends_with", |own: &str, part: &str| paid(part.len(), || own.ends_with(part)));
    engine.register_fn("matches", |own: &str, pattern: &str| {
        paid(pattern.len(), || matches_pattern(pattern, own))
    });
    engine.register_fn("index_of", |own: &str, part: &str| {
        paid(own.len() + part.len(), || own.find(part).map_or(-1, |at| int(own[..at].chars().count())))
    });
}

fn changes(engine: &mut Engine) {
    engine.register_fn("to_lower", |own: &str| paid(own.len(), || text(&own.to_lowercase())));
    engine.register_fn("to_upper", |own: &str| paid(own.len(), || text(&own.to_uppercase())));
    engine.register_fn("trim", |own: &str| paid(own.len(), || text(own.trim())));
    engine.register_fn("sub_string", |own: &str, start: INT, count: INT| {
        let (start, count) = (usize::try_from(start).unwrap_or(0), usize::try_from(count).unwrap_or(0));
        paid(own.len(), || text(&own.chars().skip(start).take(count).collect::<String>()))
    });
    engine.register_fn("replace", replace);
    engine.register_fn("split", split);
}

fn joins(engine: &mut Engine) {
    engine.register_fn("+", |own: &str, number: INT| paid(own.len(), || text(&format!("{own}{number}"))));
    engine.register_fn("+", |number: INT, own: &str| paid(own.len(), || text(&format!("{number}{own}"))));
    engine.register_fn("+", |own: &str, number: f64| paid(own.len(), || text(&format!("{own}{number:?}"))));
    engine.register_fn("+", |number: f64, own: &str| paid(own.len(), || text(&format!("{number:?}{own}"))));
    engine.register_fn("+", |own: &str, truth: bool| paid(own.len(), || text(&format!("{own}{truth}"))));
}

fn numbers(engine: &mut Engine) {
    engine.register_fn("to_int", |own: f64| own.trunc() as INT);
    engine.register_fn("to_int", |own: INT| own);
    engine.register_fn("to_float", |own: INT| own as f64);
    engine.register_fn("to_float", |own: f64| own);
    engine.register_fn("floor", |own: f64| own.floor());
    engine.register_fn("ceiling", |own: f64| own.ceil());
    engine.register_fn("round", |own: f64| own.round());
    engine.register_fn("parse_int", |own: &str| {
        own.trim()
            .parse::<INT>()
            .map_err(|_| Box::<EvalAltResult>::from(format!("`{own}` is no whole number")))
    });
}

/// In characters.
fn length(own: &ImmutableString) -> Outcome<INT> {
    paid(own.len(), || int(own.chars().count()))
}

fn replace(own: &str, part: &str, with: &str) -> Outcome<ImmutableString> {
    charge(own.len() + part.len())?;
    let grown = own.matches(part).count().saturating_mul(with.len()).saturating_add(own.len());
    // BOUND: before the text is built, not after.
    if grown > MAX_STRING_BYTES {
        return Err(too_large("text"));
    }
    paid(grown, || text(&own.replace(part, with)))
}

fn split(own: &str, by: &str) -> Outcome<Array> {
    charge(own.len() + by.len())?;
    let parts: Array = own.split(by).take(MAX_ARRAY_LEN + 1).map(|part| Dynamic::from(text(part))).collect();
    if parts.len() > MAX_ARRAY_LEN { Err(too_large("array")) } else { Ok(parts) }
}

fn paid<T>(bytes: usize, work: impl FnOnce() -> T) -> Outcome<T> {
    charge(bytes)?;
    Ok(work())
}

fn too_large(what: &str) -> Box<EvalAltResult> {
    EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE).into()
}

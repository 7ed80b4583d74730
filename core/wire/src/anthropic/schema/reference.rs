//! What the references of a schema refer to.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::Looks;
use crate::json::{Bad, Cursor, Kind, Val, unescape};
use crate::texts::place;

/// Where definitions stand.
const HOLDERS: [&str; 2] = ["$defs", "definitions"];

/// A schema and its definitions by their names.
pub(super) struct Definitions<'a> {
    root: Val<'a>,
    named: [HashMap<Cow<'a, str>, Val<'a>>; 2],
}

impl<'a> Definitions<'a> {
    pub(super) fn of(root: Val<'a>) -> Self {
        let named = HOLDERS
            .map(|holder| root.get(holder).into_iter().flat_map(Val::members).collect::<HashMap<_, _>>());
        Self { root, named }
    }

    /// What a pointer such as `#/$defs/a` leads to, as far as there is time.
    pub(super) fn resolve(&self, pointer: &str, looks: &mut Looks) -> Option<Val<'a>> {
        let steps = pointer.strip_prefix('#')?.split('/').skip(1);
        let steps: Vec<String> = steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        let holder = HOLDERS.iter().position(|holder| steps.first().is_some_and(|step| step == holder));
        let named = holder.and_then(|holder| self.named.get(holder)).zip(steps.get(1));
        let (mut found, rest) = match named {
            Some((named, name)) => (*named.get(name.as_str())?, steps.get(2..)),
            None => (self.root, Some(steps.as_slice())),
        };
        for step in rest.into_iter().flatten() {
            if !looks.look(found) {
                return None;
            }
            let listed = || found.elements().nth(step.parse().ok()?);
            found = found.get(step).or_else(listed)?;
        }
        Some(found)
    }
}

/// Whether a schema refers to itself, in however many steps; `None` when there isn't the time to tell.
pub(super) fn leads_back(definitions: &Definitions<'_>, looks: &mut Looks) -> Option<bool> {
    let whole = definitions.root.raw();
    let found = references(whole);
    // Each pointer once, by a number: which references stand in what it leads to, and where each of them leads.
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut within: Vec<Range<usize>> = Vec::new();
    let mut leads_to: Vec<usize> = Vec::with_capacity(found.len());
    for (_, pointer) in &found {
        let number = *numbers.entry(pointer).or_insert(within.len());
        leads_to.push(number);
        if number == within.len() {
            let at = definitions.resolve(pointer, looks).map_or(0..0, |v| place(whole, v));
            let before = |end: usize| found.partition_point(|(at, _)| *at < end);
            within.push(before(at.start)..before(at.end));
        }
    }
    // Depth first: one that is still open when it is met again is on a circle.
    let mut state = vec![State::New; within.len()];
    for first in 0..within.len() {
        let mut open = vec![(first, 0)];
        while let Some((at, seen)) = open.last_mut() {
            let (at, nth) = (*at, *seen);
            *seen += 1;
            if !looks.spend(1) {
                return None;
            }
            let next = within.get(at).and_then(|within| within.clone().nth(nth));
            if nth == 0 && state.get(at) == Some(&State::Done) {
                open.pop();
                continue;
            }
            set(&mut state, at, State::Open);
            match next.and_then(|reference| leads_to.get(reference).copied()) {
                None => {
                    set(&mut state, at, State::Done);
                    open.pop();
                }
                Some(next) if state.get(next) == Some(&State::Open) => return Some(true),
                Some(next) if state.get(next) == Some(&State::New) => open.push((next, 0)),
                Some(_) => {}
            }
        }
    }
    Some(false)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

fn set(states: &mut [State], at: usize, state: State) {
    if let Some(known) = states.get_mut(at) {
        *known = state;
    }
}

/// The references within a schema, each with where it stands, in order.
fn references(text: &str) -> Vec<(usize, Cow<'_, str>)> {
    let mut found = Vec::new();
    // INVARIANT: the text is valid JSON, of which nothing is misread.
    let _ = walk(&mut Cursor::new(text), text, true, &mut found);
    found
}

/// One pass over a schema, or over what holds schemas by names. Values that are only shown refer to nothing.
// BOUND: the body's own nesting is bounded.
fn walk<'a>(
    cursor: &mut Cursor<'a>,
    text: &'a str,
    is_schema: bool,
    found: &mut Vec<(usize, Cow<'a, str>)>,
) -> Result<(), Bad> {
    let kind = cursor.kind()?;
    if !matches!(kind, Kind::Object | Kind::Array) {
        return cursor.skip().map(drop);
    }
    let mut more = cursor.enter()?;
    while more {
        if kind == Kind::Array {
            walk(cursor, text, true, found)?;
            more = cursor.more(b']')?;
            continue;
        }
        let name = unescape(cursor.name()?.0.of(text));
        match &*name {
            "$ref" if is_schema && cursor.kind()? == Kind::String => {
                let pointer = cursor.skip()?;
                found.push((pointer.start, unescape(pointer.of(text))));
            }
            "const" | "enum" | "default" | "example" | "examples" if is_schema => drop(cursor.skip()?),
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
                if is_schema =>
            {
                walk(cursor, text, false, found)?;
            }
            _ => walk(cursor, text, true, found)?,
        }
        more = cursor.more(b'}')?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_refers_to_itself_is_known() {
        for (schema, want) in [
            (r##"{"properties":{"a":{"$ref":"#"}}}"##, true),
            (
                r##"{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"items":{"$ref":"#/$defs/a"}}}}"##,
                true,
            ),
            (
                r##"{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"},"c":{"$ref":"#/$defs/b"}}},"b":{}}}"##,
                false,
            ),
            (r##"{"anyOf":[{},{"items":{"$ref":"#/anyOf/1"}}]}"##, true),
            (r##"{"definitions":{"a~b":{"$ref":"#/definitions/a~0b"}}}"##, true),
            // A member may have any name, and what is shown is no schema.
            (r##"{"properties":{"$ref":{"type":"string"},"default":{"$ref":"#"}}}"##, true),
            (r##"{"default":{"$ref":"#"},"examples":[{"$ref":"#"}],"enum":[{"$ref":"#"}]}"##, false),
            (r##"{"$ref":"#/$defs/gone"}"##, false),
            (r#"{"type":"string"}"#, false),
        ] {
            let root = Val::trusted(schema);
            let found = leads_back(&Definitions::of(root), &mut Looks::at(root));
            assert_eq!(found, Some(want), "{schema}");
        }
    }

    #[test]
    fn a_large_schema_leads_back_only_if_it_does() {
        // A chain of definitions, each of which refers to the next one twice.
        let chain = |n: usize, last: &str| {
            let one = |at: usize| {
                let next = if at + 1 < n { format!("#/$defs/d{}", at + 1) } else { last.to_owned() };
                format!(
                    r#""d{at}":{{"properties":{{"a":{{"$ref":"{next}"}},"b":{{"items":{{"$ref":"{next}"}}}}}}}}"#
                )
            };
            let all: Vec<String> = (0..n).map(one).collect();
            format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, all.join(","))
        };
        for (last, want) in [("#/$defs/none", false), ("#/$defs/d1000", true)] {
            let schema = chain(2_000, last);
            let root = Val::trusted(&schema);
            let mut looks = Looks::at(root);
            assert_eq!(leads_back(&Definitions::of(root), &mut looks), Some(want));
            assert!(looks.0 > schema.len() * 31, "each is looked at once");
        }
    }
}

//! What the references of a schema refer to.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use percent_encoding::percent_decode_str;

use crate::json::{Bad, Cursor, Kind, Val, unescape};
use crate::texts::place;

/// So often as much as it is long is read of a schema, and a little.
// BOUND: each schema is read with all that is in it, and a reference may bring in much of it again, and into descriptions.
const LOOKS: usize = 64;
const LOOKS_LEAST: usize = 128 << 10;
/// And so much of all schemas that a request has written otherwise, besides.
// BOUND: a request may have many small ones.
const LOOKS_SHARED: usize = 4 << 20;

/// A step from a reference to another takes as long as reading so many bytes.
const STEP_BYTES: usize = 4;

/// How much may still be read of a schema, in bytes.
#[derive(Debug)]
pub(crate) struct Looks(usize);

impl Looks {
    pub(crate) fn at(root: Val<'_>) -> Self {
        Self(LOOKS_LEAST).with(root)
    }

    /// What the schemas of a request share.
    pub(crate) fn shared() -> Self {
        Self(LOOKS_SHARED)
    }

    /// This and what a schema has by itself.
    pub(crate) fn with(&self, root: Val<'_>) -> Self {
        Self(root.raw().len().saturating_mul(LOOKS).saturating_add(self.0))
    }

    /// What is left of this when a schema left so much of both: its own goes first.
    pub(crate) fn keep(&mut self, left: Self) {
        self.0 = self.0.min(left.0);
    }

    /// Takes half of what is left away, to be [given back](Looks::give) later.
    pub(crate) fn half(&mut self) -> Self {
        let half = self.0 / 2;
        self.0 -= half;
        Self(half)
    }

    pub(crate) fn give(&mut self, more: Self) {
        self.0 = self.0.saturating_add(more.0);
    }

    /// Whether there is time to read it once.
    pub(crate) fn look(&mut self, v: Val<'_>) -> bool {
        self.spend(v.raw().len())
    }

    fn spend(&mut self, bytes: usize) -> bool {
        self.0 = self.0.saturating_sub(bytes);
        self.0 > 0
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0 == 0
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.0
    }
}

/// So many bytes a member costs while it waits for those before it to be written.
pub(crate) const MEMBER_BYTES: usize = 80;
const HELD: usize = 8;
const HELD_LEAST: usize = 1 << 20;

/// How much may still wait in memory while what is within it is written.
// BOUND: references may bring in an object with many members on each level.
pub(crate) struct Held {
    left: usize,
    is_over: bool,
}

impl Held {
    pub(crate) fn at(root: Val<'_>) -> Self {
        Self { left: root.raw().len().saturating_mul(HELD).saturating_add(HELD_LEAST), is_over: false }
    }

    /// Whether there is room for so many members. What is held is let go of again.
    pub(crate) fn hold(&mut self, members: usize) -> bool {
        let left = self.left.checked_sub(members.saturating_mul(MEMBER_BYTES));
        self.is_over |= left.is_none();
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    pub(crate) fn let_go(&mut self, members: usize) {
        self.left = self.left.saturating_add(members.saturating_mul(MEMBER_BYTES));
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.left
    }
}

/// What pointers within a schema lead to.
pub(crate) struct Definitions<'a> {
    root: Val<'a>,
    /// What stands in each object and list that one has led through, by where that begins.
    // BOUND: each member of the schema stands in one of them.
    within: HashMap<usize, Within<'a>>,
}

impl<'a> Definitions<'a> {
    pub(crate) fn of(root: Val<'a>) -> Self {
        Self { root, within: HashMap::new() }
    }

    /// What a pointer such as `#/$defs/a` leads to, as far as there is time.
    pub(crate) fn resolve(&mut self, pointer: &str, looks: &mut Looks) -> Option<Val<'a>> {
        let path = path(pointer)?;
        let mut found = self.root;
        for step in steps(&path) {
            found = self.within(found, &step, looks)?;
        }
        Some(found)
    }

    /// What stands in an object or a list by that name or number.
    pub(crate) fn within(&mut self, v: Val<'a>, step: &str, looks: &mut Looks) -> Option<Val<'a>> {
        let within = match self.within.entry(v.raw().as_ptr() as usize) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if !looks.look(v) => return None,
            Entry::Vacant(new) => new.insert(Within::of(v)),
        };
        within.get(step).filter(|found| !found.is_null())
    }
}

/// The path of a pointer within its schema; `None` for any other.
pub(crate) fn path(pointer: &str) -> Option<Cow<'_, str>> {
    let pointer = pointer.strip_prefix('#')?;
    // It stands in an address, where `<` is `%3C`.
    let path = percent_decode_str(pointer).decode_utf8().unwrap_or(Cow::Borrowed(pointer));
    // What isn't a path is an anchor's name.
    (path.is_empty() || path.starts_with('/')).then_some(path)
}

/// The names and numbers that a path leads by.
pub(crate) fn steps(path: &str) -> impl Iterator<Item = String> + use<'_> {
    path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"))
}

/// What stands in an object, by its name, or in a list, by its number.
enum Within<'a> {
    Object(HashMap<Cow<'a, str>, Val<'a>>),
    List(Vec<Val<'a>>),
}

impl<'a> Within<'a> {
    fn of(v: Val<'a>) -> Self {
        match v.kind() {
            Kind::Array => Self::List(v.elements().collect()),
            _ => Self::Object(v.members().collect()),
        }
    }

    fn get(&self, step: &str) -> Option<Val<'a>> {
        match self {
            Self::Object(members) => members.get(step).copied(),
            Self::List(elements) => elements.get(step.parse::<usize>().ok()?).copied(),
        }
    }
}

/// How long a schema is with what its references say in each place, each way once where they lead back; `None` when there
/// isn't the time to tell.
pub(crate) fn written_out(schema: &str) -> Option<usize> {
    let root = Val::trusted(schema);
    Followed::of(&mut Definitions::of(root), &mut Looks::at(root)).map(|followed| followed.bytes)
}

/// What one learns of a schema by going where its references lead.
pub(crate) struct Followed {
    /// Whether it refers to itself, in however many steps.
    pub(crate) leads_back: bool,
    /// Where the definitions begin that nothing leads to.
    pub(crate) idle: HashSet<usize>,
    /// How long it is, as [`written_out`] says it.
    bytes: usize,
}

impl Followed {
    /// `None` when there isn't the time to tell.
    pub(crate) fn of(definitions: &mut Definitions<'_>, looks: &mut Looks) -> Option<Self> {
        let whole = definitions.root.raw();
        let mut found = Found::of(whole);
        let used = found.used(definitions, looks);
        let is_used = |n: usize| used.get(n).copied().unwrap_or_default();
        found.references.retain(|it| !it.is_shown && it.holder.is_none_or(is_used));
        let (leads_back, bytes) = followed(&found.references, definitions, looks)?;
        let idle = found.definitions.iter().enumerate().filter(|(n, _)| !is_used(*n));
        Some(Self { leads_back, idle: idle.map(|(_, it)| it.place.start).collect(), bytes })
    }
}

/// Whether these references lead back, and how long the schema is with what they lead to in the place of each.
fn followed(
    found: &[Reference<'_>],
    definitions: &mut Definitions<'_>,
    looks: &mut Looks,
) -> Option<(bool, usize)> {
    let whole = definitions.root.raw();
    // Each place that a pointer leads to once, by a number: which references stand in it, and where each of them leads.
    let mut pointers: HashMap<&str, usize> = HashMap::new();
    let mut places: HashMap<(usize, usize), usize> = HashMap::new();
    let mut within: Vec<Range<usize>> = Vec::new();
    let mut leads_to: Vec<usize> = Vec::with_capacity(found.len());
    // How long what it leads to is, written out as far as that is known.
    let mut bytes: Vec<usize> = Vec::new();
    for Reference { pointer, .. } in found {
        if let Some(number) = pointers.get(&**pointer) {
            leads_to.push(*number);
            continue;
        }
        let at = definitions.resolve(pointer, looks).map_or(0..0, |v| place(whole, v));
        // There are many ways to write a pointer.
        let number = *places.entry((at.start, at.end)).or_insert(within.len());
        pointers.insert(pointer, number);
        leads_to.push(number);
        if number == within.len() {
            let before = |end: usize| found.partition_point(|it| it.at < end);
            within.push(before(at.start)..before(at.end));
            bytes.push(at.len());
        }
    }
    if looks.is_over() {
        return None;
    }
    // Depth first: one that is still open when it is met again is on a circle.
    let mut leads_back = false;
    let mut state = vec![State::New; within.len()];
    for first in 0..within.len() {
        let mut open = vec![(first, 0)];
        while let Some((at, seen)) = open.last_mut() {
            let (at, nth) = (*at, *seen);
            *seen += 1;
            if !looks.spend(STEP_BYTES) {
                return None;
            }
            if nth == 0 && state.get(at) == Some(&State::Done) {
                open.pop();
                continue;
            }
            set(&mut state, at, State::Open);
            let next = within.get(at).and_then(|within| within.clone().nth(nth));
            match next.and_then(|reference| leads_to.get(reference).copied()) {
                None => {
                    set(&mut state, at, State::Done);
                    open.pop();
                    // Who led here says all of it, too.
                    if let Some((from, _)) = open.last() {
                        add(&mut bytes, *from, at);
                    }
                }
                Some(next) => match state.get(next) {
                    Some(State::New) => open.push((next, 0)),
                    Some(State::Done) => add(&mut bytes, at, next),
                    Some(State::Open) | None => leads_back = true,
                },
            }
        }
    }
    let all = leads_to.iter().filter_map(|number| bytes.get(*number));
    Some((leads_back, all.fold(whole.len(), |sum, bytes| sum.saturating_add(*bytes))))
}

fn add(bytes: &mut [usize], to: usize, from: usize) {
    let more = bytes.get(from).copied().unwrap_or(0);
    if let Some(sum) = bytes.get_mut(to) {
        *sum = sum.saturating_add(more);
    }
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

/// A reference within a schema.
struct Reference<'a> {
    at: usize,
    pointer: Cow<'a, str>,
    /// The innermost definition that it stands in, by number.
    holder: Option<usize>,
    /// It stands in a value that is only shown, and refers to nothing.
    is_shown: bool,
}

/// A schema that waits to be referred to, and the one that it stands in.
struct Definition {
    place: Range<usize>,
    holder: Option<usize>,
}

/// The references and definitions within a schema, in the order in which they begin.
#[derive(Default)]
struct Found<'a> {
    references: Vec<Reference<'a>>,
    definitions: Vec<Definition>,
}

impl<'a> Found<'a> {
    fn of(text: &'a str) -> Self {
        let mut found = Self::default();
        let root = Here { holds: Holds::Schema, holder: None, is_shown: false };
        // INVARIANT: the text is valid JSON, of which nothing is misread.
        let _ = found.walk(&mut Cursor::new(text), text, root);
        found
    }

    /// One pass over what stands here.
    // BOUND: the body's own nesting is bounded.
    fn walk(&mut self, cursor: &mut Cursor<'a>, text: &'a str, here: Here) -> Result<(), Bad> {
        let kind = cursor.kind()?;
        if !matches!(kind, Kind::Object | Kind::Array) {
            return cursor.skip().map(drop);
        }
        let schema = Here { holds: Holds::Schema, ..here };
        let mut more = cursor.enter()?;
        while more {
            if kind == Kind::Array {
                self.walk(cursor, text, schema)?;
                more = cursor.more(b']')?;
                continue;
            }
            let name = unescape(cursor.name()?.0.of(text));
            match (here.holds, &*name) {
                (Holds::Schema, "$ref") if cursor.kind()? == Kind::String => {
                    let span = cursor.skip()?;
                    let pointer = unescape(span.of(text));
                    let Here { holder, is_shown, .. } = here;
                    self.references.push(Reference { at: span.start, pointer, holder, is_shown });
                }
                (Holds::Schema, "const" | "enum" | "default" | "example" | "examples") => {
                    self.walk(cursor, text, Here { is_shown: true, ..schema })?;
                }
                (Holds::Schema, "properties" | "patternProperties" | "dependentSchemas") => {
                    self.walk(cursor, text, Here { holds: Holds::Schemas, ..here })?;
                }
                (Holds::Schema, "$defs" | "definitions") => {
                    self.walk(cursor, text, Here { holds: Holds::Definitions, ..here })?;
                }
                (Holds::Definitions, _) if !here.is_shown => {
                    cursor.kind()?;
                    let (number, start) = (self.definitions.len(), cursor.at());
                    self.definitions.push(Definition { place: start..start, holder: here.holder });
                    self.walk(cursor, text, Here { holder: Some(number), ..schema })?;
                    if let Some(definition) = self.definitions.get_mut(number) {
                        definition.place.end = cursor.at();
                    }
                }
                _ => self.walk(cursor, text, schema)?,
            }
            more = cursor.more(b'}')?;
        }
        Ok(())
    }

    /// Which definitions something leads to, from outside of all of them on. What shows a reference may be referred to itself:
    /// it counts here.
    fn used(&self, definitions: &mut Definitions<'_>, looks: &mut Looks) -> Vec<bool> {
        let whole = definitions.root.raw();
        let mut used = vec![false; self.definitions.len()];
        let mut within: HashMap<Option<usize>, Vec<&str>> = HashMap::new();
        for it in &self.references {
            within.entry(it.holder).or_default().push(&it.pointer);
        }
        let mut known: HashSet<&str> = HashSet::new();
        let mut left = within.remove(&None).unwrap_or_default();
        // BOUND: each reference once.
        while let Some(pointer) = left.pop() {
            if !known.insert(pointer) {
                continue;
            }
            let found = definitions.resolve(pointer, looks);
            let mut holder = found.and_then(|found| self.holder(place(whole, found).start));
            // What stands around it is written, too.
            while let Some(number) = holder
                && let Some(is_used) = used.get_mut(number).filter(|is_used| !**is_used)
            {
                *is_used = true;
                left.extend(within.remove(&holder).unwrap_or_default());
                holder = self.definitions.get(number).and_then(|it| it.holder);
            }
        }
        used
    }

    /// The innermost definition that this place is in.
    fn holder(&self, at: usize) -> Option<usize> {
        let mut last = self.definitions.partition_point(|it| it.place.start <= at).checked_sub(1);
        // BOUND: of nesting.
        while let Some(before) = last.and_then(|number| self.definitions.get(number))
            && before.place.end <= at
        {
            last = before.holder;
        }
        last
    }
}

/// Where one is in a schema.
#[derive(Clone, Copy)]
struct Here {
    holds: Holds,
    holder: Option<usize>,
    is_shown: bool,
}

/// What members are there: of a schema, schemas by names, or definitions by names.
#[derive(Clone, Copy)]
enum Holds {
    Schema,
    Schemas,
    Definitions,
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
            (
                r##"{"not":{"$ref":"#/definitions/a~0b"},"definitions":{"a~b":{"$ref":"#/definitions/a~0b"}}}"##,
                true,
            ),
            // A member may have any name, and what is shown is no schema.
            (r##"{"properties":{"$ref":{"type":"string"},"default":{"$ref":"#"}}}"##, true),
            (r##"{"default":{"$ref":"#"},"examples":[{"$ref":"#"}],"enum":[{"$ref":"#"}]}"##, false),
            (r##"{"$ref":"#/$defs/gone"}"##, false),
            (r##"{"$ref":"#anchor","$defs":{"anchor":{"$anchor":"anchor"}}}"##, false),
            (
                r##"{"$ref":"#/$defs/5%","$defs":{"F<B>":{"items":{"$ref":"#/$defs/F%3CB%3e"}},"5%":{"$ref":"#/$defs/F<B>"}}}"##,
                true,
            ),
            (r##"{"$defs":{"F<B>":{}},"items":{"$ref":"#/$defs/F%3CB%3E"}}"##, false),
            (r#"{"type":"string"}"#, false),
        ] {
            assert_eq!(follow(schema).0.leads_back, want, "{schema}");
        }
    }

    fn follow(schema: &str) -> (Followed, Looks) {
        let root = Val::trusted(schema);
        let mut looks = Looks::at(root);
        (Followed::of(&mut Definitions::of(root), &mut looks).unwrap(), looks)
    }

    #[test]
    fn definitions_that_nothing_leads_to_are_idle() {
        let circle = r##""n":{"properties":{"next":{"$ref":"#/$defs/n"}}}"##;
        let pair = r##""x":{"items":{"$ref":"#/$defs/y"}},"y":{"items":{"$ref":"#/$defs/x"}}"##;
        for (schema, idle, leads_back) in [
            (format!(r##"{{"$defs":{{{circle},{pair}}}}}"##), 3, false),
            (format!(r##"{{"$defs":{{{circle},{pair}}},"items":{{"$ref":"#/$defs/y"}}}}"##), 1, true),
            // What leads into one leads to it, and to what that refers to.
            (
                format!(r##"{{"not":{{"$ref":"#/$defs/n/properties"}},"$defs":{{{circle},{pair}}}}}"##),
                2,
                true,
            ),
            (
                format!(
                    r##"{{"items":{{"$ref":"#/$defs/o/$defs/i"}},"$defs":{{"o":{{"$defs":{{"i":{{}},"j":{{"$ref":"#"}}}},"not":{{"$ref":"#/$defs/p"}}}},"p":{{}},{circle}}}}}"##
                ),
                2,
                false,
            ),
            // A member of that name is none, and what shows a reference may be referred to.
            (r##"{"properties":{"$defs":{"a":{"$ref":"#"}}}}"##.to_owned(), 0, true),
            (format!(r##"{{"default":{{"$ref":"#/$defs/n"}},"$defs":{{{circle}}}}}"##), 0, true),
        ] {
            let (followed, _) = follow(&schema);
            assert_eq!((followed.idle.len(), followed.leads_back), (idle, leads_back), "{schema}");
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
            let (followed, looks) = follow(&schema);
            assert_eq!(followed.leads_back, want);
            assert!(looks.0 > schema.len() * (LOOKS - 2), "each is looked at once");
        }
    }

    #[test]
    fn what_a_schema_says_in_each_place_is_counted() {
        let defined = r##""$defs":{"a":{"items":{"$ref":"#/$defs/b"}},"b":{"type":"string"}}"##;
        let (a, b) = (r##"{"items":{"$ref":"#/$defs/b"}}"##.len(), r#"{"type":"string"}"#.len());
        for (rest, more) in [
            ("", 0),
            (r##""items":{"$ref":"#/$defs/a"},"##, b + (a + b)),
            (
                r##""anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"},{"$ref":"#/$defs/a"}],"##,
                b + 2 * (a + b) + b,
            ),
        ] {
            let schema = format!("{{{rest}{defined}}}");
            assert_eq!(written_out(&schema), Some(schema.len() + more), "{schema}");
        }
        let itself = r##"{"items":{"$ref":"#"}}"##;
        assert_eq!(written_out(itself), Some(2 * itself.len()), "once");
    }

    #[test]
    fn pointers_to_anywhere_are_followed_at_once() {
        // As zod-to-json-schema writes what it has said before.
        let each = |n: usize| {
            let description = "d".repeat(120);
            format!(
                r##""a{n}":{{"type":"object","description":"{description}"}},"b{n}":{{"$ref":"#/properties/a{n}"}}"##
            )
        };
        let all: Vec<String> = (0..2_000).map(each).collect();
        let schema = format!(r#"{{"properties":{{{}}}}}"#, all.join(","));
        let (followed, looks) = follow(&schema);
        assert!(!followed.leads_back);
        assert!(looks.0 > schema.len() * (LOOKS - 3), "each object is read once");
    }
}

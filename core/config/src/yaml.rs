//! YAML (and JSON, which is a subset of it) into a tree in which every key and value knows its place.
//!
//! The tree is bounded: a file can't be larger, deeper or, by aliases, more numerous than the constants say.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// A file can't be larger, in bytes.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Lists and mappings can't be nested deeper.
pub(crate) const MAX_DEPTH: usize = 64;
/// There can't be more values, those that aliases repeat included.
pub(crate) const MAX_NODES: usize = 400_000;
/// One mapping can't have more keys.
const MAX_KEYS: usize = 10_000;

/// Where something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file's number within one load.
    pub(crate) file: u16,
    /// From 1.
    pub(crate) line: u32,
    /// From 1, in characters.
    pub(crate) column: u32,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A value. Scalars keep their text: whether `1e-6` is a number or a name is decided by whoever reads it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    /// `plain`: written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// Why a text is no usable tree.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) remedy: &'static str,
}

impl Node {
    fn null(place: Place) -> Self {
        Self { value: Value::Null, place }
    }

    /// The value of `key`, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The keys; none when this is no mapping.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Node::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| 1 + entry.value.count()).sum(),
            Value::Null | Value::Scalar { .. } => 0,
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
            Value::Null | Value::Scalar { .. } => 0,
        }
    }
}

/// Parses one document. An empty text is null. `warn` hears of duplicate keys: the first one counts.
pub(crate) fn parse(text: &str, file: u16, warn: &mut dyn FnMut(Refusal)) -> Result<Node, Refusal> {
    let start = Place { file, line: 1, column: 1 };
    let refuse = |code, place, message: String, remedy| Refusal { code, place, message, remedy };
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, more than the {MAX_BYTES} that are read", text.len());
        return Err(refuse("too_large", start, message, "split it, or create what it declares over the API"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = text.find('\0') {
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let place = Place { line: u32::try_from(line + 1).unwrap_or(u32::MAX), ..start };
        return Err(refuse(
            "syntax",
            place,
            "there is a zero byte in the file".into(),
            "save it as UTF-8 text",
        ));
    }
    let mut builder = Builder { file, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    let mut parser = Parser::new_from_str(text);
    // BOUND: the parser makes progress with each event, and MAX_BYTES bounds the events.
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| {
            let place = Place {
                file,
                line: u32::try_from(e.marker().line()).unwrap_or(u32::MAX).max(1),
                column: u32::try_from(e.marker().col()).unwrap_or(u32::MAX).saturating_add(1),
            };
            refuse(
                "syntax",
                place,
                e.info().to_lowercase(),
                "mend the YAML: indent with spaces, quote what is special",
            )
        })?;
        if matches!(event, Event::DocumentStart(_)) && builder.root.is_some() {
            let message = "there is more than one document in the file".to_owned();
            return Err(refuse(
                "syntax",
                builder.place(&span),
                message,
                "keep one document: remove the `---` line",
            ));
        }
        builder.take(event, &span, warn)?;
    }
    Ok(builder.root.unwrap_or_else(|| Node::null(start)))
}

enum Open {
    List {
        items: Vec<Node>,
        place: Place,
        anchor: usize,
    },
    Map {
        entries: Vec<Entry>,
        pending: Option<(String, Place)>,
        merges: Vec<Node>,
        place: Place,
        anchor: usize,
    },
}

struct Builder {
    file: u16,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn place(&self, span: &Span) -> Place {
        Place {
            file: self.file,
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col()).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    fn take(&mut self, event: Event<'_>, span: &Span, warn: &mut dyn FnMut(Refusal)) -> Result<(), Refusal> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null && !self.wants_key() {
                    Value::Null
                } else {
                    Value::Scalar { text: text.into_owned(), plain }
                };
                self.put(Node { value, place }, anchor, 1, warn)
            }
            Event::SequenceStart(anchor, _) => {
                self.enter(Open::List { items: Vec::new(), place, anchor }, place)
            }
            Event::MappingStart(anchor, _) => self.enter(
                Open::Map { entries: Vec::new(), pending: None, merges: Vec::new(), place, anchor },
                place,
            ),
            Event::SequenceEnd | Event::MappingEnd => self.leave(warn),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().unwrap_or_else(|| Node::null(place));
                if self.open.len() + node.depth() > MAX_DEPTH {
                    return Err(too_deep(place));
                }
                let count = node.count();
                self.put(node, 0, count, warn)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { pending: None, .. }))
    }

    fn enter(&mut self, open: Open, place: Place) -> Result<(), Refusal> {
        if self.wants_key() {
            return Err(Refusal {
                code: "syntax",
                place,
                message: "a list or mapping is used as a key".into(),
                remedy: "keys are plain text; quote a key that starts with a bracket or brace",
            });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        self.open.push(open);
        Ok(())
    }

    fn leave(&mut self, warn: &mut dyn FnMut(Refusal)) -> Result<(), Refusal> {
        match self.open.pop() {
            Some(Open::List { items, place, anchor }) => {
                self.put(Node { value: Value::List(items), place }, anchor, 1, warn)
            }
            Some(Open::Map { mut entries, merges, place, anchor, .. }) => {
                // What a merge key brings in yields to the mapping's own keys, and to earlier merges.
                for entry in merges.into_iter().flat_map(flatten_merge) {
                    if entries.len() < MAX_KEYS && !entries.iter().any(|own| own.key == entry.key) {
                        entries.push(entry);
                    }
                }
                self.put(Node { value: Value::Map(entries), place }, anchor, 1, warn)
            }
            None => Ok(()),
        }
    }

    fn put(
        &mut self,
        node: Node,
        anchor: usize,
        count: usize,
        warn: &mut dyn FnMut(Refusal),
    ) -> Result<(), Refusal> {
        self.nodes = self.nodes.saturating_add(count);
        if self.nodes > MAX_NODES {
            return Err(Refusal {
                code: "too_large",
                place: node.place,
                message: format!(
                    "the file holds more than {MAX_NODES} values, those that aliases repeat included"
                ),
                remedy: "split it, or use fewer aliases",
            });
        }
        if anchor > 0 {
            // Kept once for each anchor, so counted once more: anchors of anchors can't multiply unseen.
            self.nodes = self.nodes.saturating_add(node.count());
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, pending, merges, .. }) => match pending.take() {
                None => {
                    let Value::Scalar { text, .. } = node.value else {
                        return Err(Refusal {
                            code: "syntax",
                            place: node.place,
                            message: "a list or mapping is used as a key".into(),
                            remedy: "keys are plain text",
                        });
                    };
                    *pending = Some((text, node.place));
                }
                Some((key, _)) if key == "<<" => merges.push(node),
                Some((key, place)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                        warn(Refusal {
                            code: "duplicate_key",
                            place,
                            message: format!(
                                "`{key}` stands twice in one mapping, first in line {}",
                                first.place.line
                            ),
                            remedy: "remove one of the two, or join their contents",
                        });
                    } else if entries.len() >= MAX_KEYS {
                        return Err(Refusal {
                            code: "too_large",
                            place,
                            message: format!("one mapping has more than {MAX_KEYS} keys"),
                            remedy: "create these over the API instead",
                        });
                    } else {
                        entries.push(Entry { key, place, value: node });
                    }
                }
            },
        }
        Ok(())
    }
}

fn too_deep(place: Place) -> Refusal {
    Refusal {
        code: "too_large",
        place,
        message: format!("lists and mappings are nested deeper than {MAX_DEPTH}"),
        remedy: "no setting is nested that deep: check the indentation",
    }
}

fn flatten_merge(node: Node) -> Vec<Entry> {
    match node.value {
        Value::Map(entries) => entries,
        Value::List(items) => items
            .into_iter()
            .flat_map(|item| match item.value {
                Value::Map(entries) => entries,
                _ => Vec::new(),
            })
            .collect(),
        Value::Null | Value::Scalar { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<(Node, usize), &'static str> {
        let mut warned = 0;
        parse(text, 0, &mut |_| warned += 1).map(|node| (node, warned)).map_err(|refusal| refusal.code)
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let (node, _) = tree("a:\n  - x: 1\n    模型: [\"q\"]\n").unwrap();
        let Value::List(items) = &node.get("a").unwrap().value else { panic!("{node:?}") };
        let entry = &items[0].entries()[1];
        assert_eq!((entry.place.line, entry.place.column), (3, 5));
        let Value::List(inner) = &entry.value.value else { panic!("{entry:?}") };
        assert_eq!((inner[0].place.line, inner[0].place.column), (3, 10));
    }

    #[test]
    fn json_is_read_too() {
        let (node, _) = tree("{\"a\": {\"b\": [1, null, \"null\"]}}").unwrap();
        let Value::List(items) = &node.get("a").unwrap().get("b").unwrap().value else { panic!("{node:?}") };
        assert!(matches!(items[1].value, Value::Null));
        assert!(matches!(&items[2].value, Value::Scalar { plain: false, .. }));
    }

    #[test]
    fn merge_keys_yield_to_own_keys() {
        let (node, _) = tree("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n").unwrap();
        let merged = node.get("use").unwrap();
        let text = |key| match &merged.get(key).unwrap().value {
            Value::Scalar { text, .. } => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((text("x"), text("y")), ("1".to_owned(), "3".to_owned()));
    }

    #[test]
    fn duplicates_are_reported_and_bombs_are_refused() {
        assert_eq!(tree("a: 1\na: 2\n").unwrap().1, 1);
        assert_eq!(tree(&"[".repeat(100)).unwrap_err(), "too_large");
        assert_eq!(tree("a: b: c").unwrap_err(), "syntax");
        assert_eq!(tree("---\na: 1\n---\nb: 1\n").unwrap_err(), "syntax");
        assert_eq!(tree("a: \0").unwrap_err(), "syntax");
        assert_eq!(tree(&" ".repeat(MAX_BYTES + 1)).unwrap_err(), "too_large");
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert_eq!(tree(&bomb).unwrap_err(), "too_large");
    }
}

//! Custom tools that were declared as functions: what they are given is taken out of its object again. And the tool that is given
//! the answer: that becomes its text.

use crate::ir::{Event, Item, Stop, ToolKind};
use crate::json::{Val, unescape};
use crate::names::Names;

/// Turns the calls of wrapped tools back into calls of custom ones, as their fragments come.
#[derive(Debug, Default)]
pub(crate) struct Unwrap {
    calls: Vec<Call>,
    answer: Option<Answer>,
    /// Other tools are called.
    others: bool,
}

/// The call of the tool that is given the answer, in the only choice.
#[derive(Debug)]
struct Answer {
    tool: u32,
    said: bool,
}

#[derive(Debug)]
struct Call {
    choice: u32,
    tool: u32,
    /// The arguments so far.
    json: String,
    /// Where the next piece of the text begins, once its beginning is known.
    at: Option<usize>,
    over: bool,
}

impl Unwrap {
    pub(crate) fn event(&mut self, item: Item, names: &Names, on: &mut impl FnMut(Item)) {
        let choice = item.choice;
        let Some(event) = self.unless_answer(item.event, names, &mut |event| on(Item { choice, event }))
        else {
            return;
        };
        match event {
            Event::ToolStart { tool, id, name, kind: ToolKind::Function } if names.is_wrapped(&name) => {
                self.calls.push(Call { choice, tool, json: String::new(), at: None, over: false });
                on(Item { choice, event: Event::ToolStart { tool, id, name, kind: ToolKind::Custom } });
            }
            Event::ToolArgs { tool, json } => {
                let found = self.calls.iter_mut().find(|call| call.choice == choice && call.tool == tool);
                let text = match found {
                    Some(call) => call.push(&json),
                    None => json,
                };
                if !text.is_empty() {
                    on(Item { choice, event: Event::ToolArgs { tool, json: text } });
                }
            }
            event => on(Item { choice, event }),
        }
    }

    /// An event that isn't of the tool that is given the answer, with the tools behind that one counted without it.
    fn unless_answer(&mut self, event: Event, names: &Names, say: &mut impl FnMut(Event)) -> Option<Event> {
        match (event, &mut self.answer) {
            (Event::ToolStart { tool, name, .. }, None) if names.takes_answer(&name) => {
                self.answer = Some(Answer { tool, said: false });
                None
            }
            (Event::ToolArgs { tool, json }, Some(answer)) if tool == answer.tool => {
                answer.said = true;
                say(Event::Text(json));
                None
            }
            (Event::Stop { reason, sequence }, Some(answer)) => {
                // Nothing given is an empty object.
                if !std::mem::replace(&mut answer.said, true) {
                    say(Event::Text("{}".to_owned()));
                }
                let reason = if reason == Stop::ToolUse && !self.others { Stop::End } else { reason };
                Some(Event::Stop { reason, sequence })
            }
            (Event::ToolStart { tool, id, name, kind }, answer) => {
                self.others = true;
                let tool = behind(tool, answer.as_ref());
                Some(Event::ToolStart { tool, id, name, kind })
            }
            (Event::ToolArgs { tool, json }, answer) => {
                Some(Event::ToolArgs { tool: behind(tool, answer.as_ref()), json })
            }
            (event, _) => Some(event),
        }
    }

    /// The end: what couldn't be understood goes on as it came.
    pub(crate) fn end(&mut self, on: &mut impl FnMut(Item)) {
        for call in self.calls.drain(..).filter(|call| call.at.is_none() && !call.over) {
            if !call.json.trim().is_empty() {
                on(Item { choice: call.choice, event: Event::ToolArgs { tool: call.tool, json: call.json } });
            }
        }
    }
}

/// The number of a tool among those that the caller knows.
fn behind(tool: u32, answer: Option<&Answer>) -> u32 {
    tool - u32::from(answer.is_some_and(|answer| answer.tool < tool))
}

impl Call {
    /// Takes a fragment; gives the piece of the text that is known by now.
    fn push(&mut self, json: &str) -> String {
        self.json.push_str(json);
        if self.over {
            return String::new();
        }
        if self.at.is_none() {
            self.at = beginning(&self.json);
        }
        let Some(from) = self.at else {
            // Something stands before the text: the whole object tells.
            // Only what ends like one is worth reading again: this is asked after each fragment.
            if self.json.trim_end().ends_with('}')
                && let Ok(v) = Val::parse(&self.json)
            {
                self.over = true;
                return v.get_str("input").map_or_else(|| self.json.clone(), |text| text.into_owned());
            }
            return String::new();
        };
        let rest = self.json.get(from..).unwrap_or_default();
        let (len, over) = readable(rest);
        self.over = over;
        self.at = Some(from + len);
        unescape(&format!("\"{}\"", rest.get(..len).unwrap_or_default())).into_owned()
    }
}

/// Where the text begins in `{"input":"…`.
fn beginning(json: &str) -> Option<usize> {
    let mut rest = json;
    for mark in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_start_matches([' ', '\n', '\r', '\t']).strip_prefix(mark)?;
    }
    Some(json.len() - rest.len())
}

/// How much of the inside of a JSON string can be decoded by itself, and whether the string ends there.
fn readable(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let mut at = 0;
    // BOUND: each turn consumes a byte at least.
    while let Some(byte) = bytes.get(at) {
        let len = match byte {
            b'"' => return (at, true),
            b'\\' => match bytes.get(at + 1) {
                None => return (at, false),
                // The other half of a pair may follow.
                Some(b'u') if text.get(at + 2..at + 4).is_some_and(is_high) => match text.get(at + 6..at + 8)
                {
                    None if bytes.len() < at + 8 => return (at, false),
                    Some("\\u") => 12,
                    _ => 6,
                },
                Some(b'u') => 6,
                Some(_) => 2,
            },
            _ => 1,
        };
        if at + len > bytes.len() {
            return (at, false);
        }
        at += len;
    }
    (at, false)
}

fn is_high(hex: &str) -> bool {
    hex.starts_with(['d', 'D']) && hex.get(1..).is_some_and(|h| h.starts_with(['8', '9', 'a', 'b', 'A', 'B']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(json: &str, pieces: usize) -> String {
        let mut names = Names::default();
        names.wrap("patch");
        let (mut unwrap, mut text) = (Unwrap::default(), String::new());
        let mut on = |item: Item| match item.event {
            Event::ToolStart { kind, .. } => assert_eq!(kind, ToolKind::Custom),
            Event::ToolArgs { json, .. } => text.push_str(&json),
            _ => {}
        };
        let start =
            Event::ToolStart { tool: 0, id: "c".into(), name: "patch".into(), kind: ToolKind::Function };
        unwrap.event(Item { choice: 0, event: start }, &names, &mut on);
        let chars: Vec<char> = json.chars().collect();
        for piece in chars.chunks(pieces) {
            let json = piece.iter().collect();
            unwrap.event(Item { choice: 0, event: Event::ToolArgs { tool: 0, json } }, &names, &mut on);
        }
        unwrap.end(&mut on);
        text
    }

    #[test]
    fn a_text_comes_out_of_its_object_however_it_is_cut() {
        for (json, want) in [
            (r#"{"input":"*** Begin\n+\"a\\b\"\u4f60\ud83d\ude00é"}"#, "*** Begin\n+\"a\\b\"你😀é"),
            (" {\n \"input\" : \"x\" } ", "x"),
            (r#"{"note":1,"input":"x\ty"}"#, "x\ty"),
            (r#"{"input":"\ud83d!"}"#, "\u{fffd}!"),
            (r#"{"input":""}"#, ""),
            (r#"{"other":"x"}"#, r#"{"other":"x"}"#),
            ("*** bare", "*** bare"),
            (r#"{"input":"cut off"#, "cut off"),
            ("", ""),
        ] {
            for pieces in [1, 2, 3, 5, 1_000] {
                assert_eq!(unwrapped(json, pieces), want, "{json} in pieces of {pieces}");
            }
        }
    }
}

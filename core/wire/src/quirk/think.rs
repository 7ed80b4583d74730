//! Reasoning that stands in an answer's text, between `<think>` and `</think>`, told apart as it arrives.

use crate::ir::Event;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// So much white space may stand before the opening tag, in bytes.
// BOUND: what may still become a tag is held back.
const LEAD_MAX: usize = 64;

/// Tells reasoning from text, for one choice.
#[derive(Debug, Default)]
pub(crate) struct Think {
    place: Place,
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing but white space was seen.
    #[default]
    Before,
    Within,
    /// Behind the closing tag: white space there belongs to neither.
    Behind,
    Text,
}

impl Think {
    /// Takes the next piece of text.
    pub(crate) fn push(&mut self, text: &str, emit: &mut impl FnMut(Event)) {
        self.held.push_str(text);
        // BOUND: each round leaves a place for good.
        loop {
            let before = self.place;
            self.step(emit);
            if self.place == before {
                return;
            }
        }
    }

    /// What is held back comes out: nothing follows.
    pub(crate) fn finish(&mut self, emit: &mut impl FnMut(Event)) {
        let rest = std::mem::take(&mut self.held);
        match self.place {
            _ if rest.is_empty() => {}
            Place::Within => emit(Event::Thinking(rest)),
            Place::Behind => {}
            Place::Before | Place::Text => emit(Event::Text(rest)),
        }
    }

    fn step(&mut self, emit: &mut impl FnMut(Event)) {
        match self.place {
            Place::Before => {
                let start = self.held.trim_start();
                if let Some(rest) = start.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.place = Place::Within;
                } else if !OPEN.starts_with(start) || self.held.len() > LEAD_MAX {
                    self.place = Place::Text;
                }
            }
            Place::Within => match self.held.split_once(CLOSE) {
                Some((thought, rest)) => {
                    if !thought.is_empty() {
                        emit(Event::Thinking(thought.to_owned()));
                    }
                    self.held = rest.to_owned();
                    self.place = Place::Behind;
                }
                None => {
                    let kept = held_back(&self.held);
                    let thought: String = self.held.drain(..self.held.len() - kept).collect();
                    if !thought.is_empty() {
                        emit(Event::Thinking(thought));
                    }
                }
            },
            Place::Behind => {
                let start = self.held.trim_start();
                let begins = !start.is_empty();
                self.held = start.to_owned();
                if begins {
                    self.place = Place::Text;
                }
            }
            Place::Text => {
                let text = std::mem::take(&mut self.held);
                if !text.is_empty() {
                    emit(Event::Text(text));
                }
            }
        }
    }
}

/// How many bytes at the end may still become the closing tag.
fn held_back(text: &str) -> usize {
    (1..CLOSE.len()).rev().find(|n| CLOSE.get(..*n).is_some_and(|part| text.ends_with(part))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[&str]) -> (String, String) {
        let (mut thought, mut text) = (String::new(), String::new());
        let mut on = |event| match event {
            Event::Thinking(more) => thought.push_str(&more),
            Event::Text(more) => text.push_str(&more),
            other => panic!("{other:?}"),
        };
        let mut think = Think::default();
        pieces.iter().for_each(|piece| think.push(piece, &mut on));
        think.finish(&mut on);
        (thought, text)
    }

    #[test]
    fn tags_are_found_wherever_pieces_end() {
        for (whole, thought, text) in [
            ("\n<think>\nwhy</think>\n\nso", "\nwhy", "so"),
            ("plain <think>no</think>", "", "plain <think>no</think>"),
            ("<thin", "", "<thin"),
            ("<think>open < end </thin", "open < end </thin", ""),
            ("<think></think>x", "", "x"),
            ("", "", ""),
            ("<think>猫</think>猫 ", "猫", "猫 "),
        ] {
            let want = (thought.to_owned(), text.to_owned());
            assert_eq!(told(&[whole]), want, "{whole}");
            let each: Vec<String> = whole.chars().map(String::from).collect();
            let each: Vec<&str> = each.iter().map(String::as_str).collect();
            assert_eq!(told(&each), want, "{whole} by characters");
        }
    }
}

//! Reasoning that stands in an answer's text, between `<think>` and `</think>`, told apart as it arrives.

use sluicegate_core::quirk::ThinkTags;

use crate::ir::Event;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// So much white space may stand before the opening tag, in bytes.
// BOUND: what may still become a tag is held back.
const LEAD_MAX: usize = 64;

/// Tells reasoning from text, for one choice.
#[derive(Debug)]
pub(crate) struct Think {
    tags: ThinkTags,
    place: Place,
    held: String,
    /// The model's template is taken to have opened the tag.
    // QUIRK(vllm, 2026-11, https://docs.vllm.ai/en/latest/features/reasoning_outputs/): without a parser, what DeepSeek-R1, QwQ, Qwen3-Thinking
    // and MiniMax-M2 answer has the closing tag alone.
    opened: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing but white space was seen.
    #[default]
    Before,
    Within,
    /// The same without an opening tag: it is taken to be so.
    Opened,
    /// Behind the closing tag: white space there belongs to neither.
    Behind,
    Text,
}

impl Think {
    pub(crate) fn new(tags: ThinkTags) -> Self {
        Self { tags, place: Place::default(), held: String::new(), opened: tags == ThinkTags::Opened }
    }

    /// Takes all of a text: that a template opened its tag shows by its end then, unless the answer was cut off before. Where it only may
    /// have, such an answer is text.
    pub(crate) fn whole(&mut self, text: &str, is_cut: bool, emit: &mut impl FnMut(Event)) {
        self.opened = match self.tags {
            ThinkTags::None | ThinkTags::Tagged => false,
            ThinkTags::Closing => text.contains(CLOSE),
            ThinkTags::Opened => is_cut || text.contains(CLOSE),
        };
        self.push(text, emit);
        self.finish(emit);
    }

    /// What was thought has come beside the text: what has no opening tag is text, then.
    pub(crate) fn apart(&mut self, emit: &mut impl FnMut(Event)) {
        match self.place {
            Place::Before => self.place = Place::Text,
            Place::Opened => {
                self.finish(emit);
                self.place = Place::Text;
            }
            Place::Within | Place::Behind | Place::Text => {}
        }
    }

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
            Place::Within | Place::Opened => emit(Event::Thinking(rest)),
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
                    // Who must answer in JSON isn't let think first.
                    let is_form = start.starts_with(['{', '[']);
                    self.place = if self.opened && !is_form { Place::Opened } else { Place::Text };
                }
            }
            Place::Within | Place::Opened => match self.held.split_once(CLOSE) {
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

    fn told(tags: ThinkTags, tell: impl FnOnce(&mut Think, &mut dyn FnMut(Event))) -> (String, String) {
        let (mut thought, mut text) = (String::new(), String::new());
        let mut on = |event| match event {
            Event::Thinking(more) => thought.push_str(&more),
            Event::Text(more) => text.push_str(&more),
            other => panic!("{other:?}"),
        };
        tell(&mut Think::new(tags), &mut on);
        (thought, text)
    }

    fn told_by_characters(tags: ThinkTags, whole: &str) -> (String, String) {
        told(tags, |think, mut on| {
            whole.chars().for_each(|c| think.push(c.encode_utf8(&mut [0; 4]), &mut on));
            think.finish(&mut on);
        })
    }

    fn told_at_once(tags: ThinkTags, whole: &str, is_cut: bool) -> (String, String) {
        told(tags, |think, mut on| think.whole(whole, is_cut, &mut on))
    }

    fn pair(thought: &str, text: &str) -> (String, String) {
        (thought.to_owned(), text.to_owned())
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
            for tags in [ThinkTags::Tagged, ThinkTags::Closing, ThinkTags::Opened] {
                if tags != ThinkTags::Tagged && !whole.trim_start().starts_with(OPEN) {
                    continue;
                }
                assert_eq!(told_at_once(tags, whole, false), pair(thought, text), "{whole}");
                assert_eq!(told_by_characters(tags, whole), pair(thought, text), "{whole} by characters");
            }
        }
    }

    #[test]
    fn a_tag_that_a_template_opened_is_closed_alone() {
        for (whole, is_cut, thought, text) in [
            ("Okay.\n</think>\n\nso", false, "Okay.\n", "so"),
            ("\n</think>so </think>", false, "\n", "so </think>"),
            ("</think>so", false, "", "so"),
            ("Okay, then", true, "Okay, then", ""),
            ("Okay </thi", true, "Okay </thi", ""),
            (r#"{"a":1}"#, true, "", r#"{"a":1}"#),
            (" [1]", false, "", " [1]"),
        ] {
            let opened = ThinkTags::Opened;
            assert_eq!(told_at_once(opened, whole, is_cut), pair(thought, text), "{whole}");
            assert_eq!(told_by_characters(opened, whole), pair(thought, text), "{whole} by characters");
            for tags in [ThinkTags::Tagged, ThinkTags::Closing] {
                assert_eq!(told_by_characters(tags, whole), pair("", whole), "{whole} {tags:?}");
            }
            let closes = whole.contains(CLOSE);
            let want = if closes { pair(thought, text) } else { pair("", whole) };
            assert_eq!(told_at_once(ThinkTags::Closing, whole, is_cut), want, "{whole} closing");
        }
        // A whole answer without its end was none of thoughts; of a stream nobody knows.
        assert_eq!(told_at_once(ThinkTags::Opened, "plain", false), pair("", "plain"));
        assert_eq!(told_by_characters(ThinkTags::Opened, "plain"), pair("plain", ""));
    }

    #[test]
    fn thoughts_beside_the_text_leave_it_as_it_is() {
        for (before, after, thought, text) in [
            ("", "so</think>", "", "so</think>"),
            ("", "<think>so</think>", "", "<think>so</think>"),
            ("\n", "so", "", "\nso"),
            ("Okay", " so", "Okay", " so"),
            ("<think>why", "</think>so", "why", "so"),
        ] {
            let got = told(ThinkTags::Opened, |think, mut on| {
                think.push(before, &mut on);
                think.apart(&mut on);
                think.push(after, &mut on);
                think.finish(&mut on);
            });
            assert_eq!(got, pair(thought, text), "{before:?} {after:?}");
        }
    }
}

//! Reasoning in chat completions: the format has no place for it, so each server has its own.

use std::borrow::Cow;

use super::answer::non_empty;
use crate::ir::{Event, Maker, Seal};
use crate::json::Val;
use crate::loss::Losses;

/// Reads what was thought, and its seals.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    /// How much of a thought came since the last seal, in bytes, by choice.
    open: Vec<(u32, usize)>,
}

/// A piece of a thought.
pub(super) struct Piece<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) seal: Option<Seal>,
    /// Only its maker can read it: it has no text.
    pub(super) is_closed: bool,
}

impl Thoughts {
    /// Reads a message, `whole` or the next piece of a stream.
    pub(super) fn read(
        &mut self,
        choice: u32,
        said: Val<'_>,
        whole: bool,
        losses: &mut Losses,
        emit: &mut impl FnMut(Event),
    ) {
        // All names, first the ones with text.
        let plain = ["reasoning_content", "reasoning"].iter().find_map(|name| non_empty(said.get_str(name)));
        let pieces = pieces(said, losses);
        // A whole answer has each thought with its seal: better than all of them in one.
        let plain = plain.filter(|_| !whole || pieces.iter().all(|piece| piece.text.is_empty()));
        let says_twice = plain.is_some();
        if let Some(text) = plain {
            self.set(choice, self.open(choice) + text.len());
            emit(Event::Thinking(text.into_owned()));
        }
        for piece in pieces {
            let open = self.open(choice);
            // QUIRK(litellm, sluicegate, 2026-11): a stream's block that is sealed holds the whole thought once more.
            let rest = match piece.seal {
                Some(_) if !whole => piece.text.get(open..).unwrap_or_default(),
                _ => &*piece.text,
            };
            if !says_twice && !rest.is_empty() {
                self.set(choice, open + rest.len());
                emit(Event::Thinking(rest.to_owned()));
            }
            if let Some(seal) = piece.seal {
                self.set(choice, 0);
                emit(if piece.is_closed { Event::Redacted(seal) } else { Event::Signature(seal) });
            }
        }
    }

    fn open(&self, choice: u32) -> usize {
        self.open.iter().find(|(index, _)| *index == choice).map_or(0, |(_, open)| *open)
    }

    fn set(&mut self, choice: u32, open: usize) {
        match self.open.iter_mut().find(|(index, _)| *index == choice) {
            Some((_, known)) => *known = open,
            // BOUND: as many as an answer has choices.
            None => self.open.push((choice, open)),
        }
    }
}

fn pieces<'a>(said: Val<'a>, losses: &mut Losses) -> Vec<Piece<'a>> {
    let blocks: Vec<_> = elements(said, "thinking_blocks").filter_map(block).collect();
    if !blocks.is_empty() {
        return blocks;
    }
    details(said, losses)
}

/// The details of a message's reasoning.
pub(super) fn details<'a>(said: Val<'a>, losses: &mut Losses) -> Vec<Piece<'a>> {
    elements(said, "reasoning_details").filter_map(|detail| self::detail(detail, losses)).collect()
}

fn elements<'a>(said: Val<'a>, name: &str) -> impl Iterator<Item = Val<'a>> {
    said.get(name).into_iter().flat_map(Val::elements)
}

/// Anthropic's own blocks, as LiteLLM and we have them.
fn block(block: Val<'_>) -> Option<Piece<'_>> {
    let sealed = |name: &str| non_empty(block.get_str(name)).map(|seal| Seal::read(Maker::Anthropic, &seal));
    match block.get_str("type").as_deref() {
        Some("redacted_thinking") => {
            Some(Piece { text: Cow::default(), seal: Some(sealed("data")?), is_closed: true })
        }
        _ => Some(Piece {
            text: block.get_str("thinking").unwrap_or_default(),
            seal: sealed("signature"),
            is_closed: false,
        }),
    }
}

// QUIRK(openrouter, 2026-11, https://openrouter.ai/docs/use-cases/reasoning-tokens): a list of typed details, each with the
// format of its maker; MiniMax has the same where reasoning is split off.
fn detail<'a>(detail: Val<'a>, losses: &mut Losses) -> Option<Piece<'a>> {
    let kind = detail.get_str("type");
    let is_closed = kind.as_deref() == Some("reasoning.encrypted");
    let sealed = non_empty(detail.get_str(if is_closed { "data" } else { "signature" }));
    let format = detail.get_str("format").unwrap_or_default();
    let maker = [("anthropic", Maker::Anthropic), ("google", Maker::Gemini), ("openai", Maker::Openai)]
        .into_iter()
        .find_map(|(word, maker)| format.contains(word).then_some(maker));
    let seal = match (sealed, maker) {
        (Some(data), Some(maker)) => Some(Seal::new(maker, data)),
        (Some(_), None) => {
            losses.dropped("reasoning_details[].signature", "whose it is isn't known: nobody takes it back");
            None
        }
        (None, _) => None,
    };
    if is_closed {
        // The others' seals stand beside a thought, or before a call.
        let hides = maker == Some(Maker::Anthropic);
        return Some(Piece { text: Cow::default(), seal: Some(seal?), is_closed: hides });
    }
    let text = detail.get_str("text").or_else(|| detail.get_str("summary")).unwrap_or_default();
    Some(Piece { text, seal, is_closed: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read: thoughts as they are, `<maker data>` for signatures, `[maker data]` for what is hidden.
    fn read(said: &[&str], whole: bool) -> (String, usize) {
        let (mut thoughts, mut losses, mut out) = (Thoughts::default(), Losses::default(), String::new());
        for said in said {
            thoughts.read(0, Val::trusted(said), whole, &mut losses, &mut |event| match event {
                Event::Thinking(text) => out.push_str(&text),
                Event::Signature(seal) => out.push_str(&format!("<{:?} {}>", seal.maker, seal.data)),
                Event::Redacted(seal) => out.push_str(&format!("[{:?} {}]", seal.maker, seal.data)),
                other => panic!("{other:?}"),
            });
        }
        (out, losses.count())
    }

    #[test]
    fn whole_answers() {
        for (said, want, lost) in [
            (r#"{"reasoning_content":"","reasoning":"why"}"#, "why", 0),
            (
                r#"{"reasoning_details":[{"type":"reasoning.text","text":"why","format":"MiniMax-response-v1"}]}"#,
                "why",
                0,
            ),
            (
                r#"{"reasoning":"why","reasoning_details":[{"type":"reasoning.text","text":"why","signature":"s","format":"anthropic-claude-v1"}]}"#,
                "why<Anthropic s>",
                0,
            ),
            (
                r#"{"reasoning":"sum","reasoning_details":[{"type":"reasoning.summary","summary":"sum","format":"openai-responses-v1"},{"type":"reasoning.encrypted","data":"d","format":"openai-responses-v1"}]}"#,
                "sum<Openai d>",
                0,
            ),
            (
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"google-gemini-v1"}]}"#,
                "<Gemini d>",
                0,
            ),
            (
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"xai-responses-v1"}]}"#,
                "",
                1,
            ),
            (
                r#"{"reasoning_content":"onetwo","thinking_blocks":[{"type":"thinking","thinking":"one","signature":"1"},{"type":"redacted_thinking","data":"r"},{"type":"thinking","thinking":"two","signature":"sluicegate-seal:gemini:2"}]}"#,
                "one<Anthropic 1>[Anthropic r]two<Gemini 2>",
                0,
            ),
            (
                r#"{"reasoning_content":"why","thinking_blocks":[{"type":"thinking","thinking":"","signature":"s"}]}"#,
                "why<Anthropic s>",
                0,
            ),
        ] {
            assert_eq!(read(&[said], true), (want.to_owned(), lost), "{said}");
        }
    }

    #[test]
    fn streams_say_nothing_twice() {
        for (said, want) in [
            // As LiteLLM has it.
            (
                &[
                    r#"{"reasoning_content":"wh","thinking_blocks":[{"type":"thinking","thinking":"wh","signature":null}]}"#,
                    r#"{"reasoning_content":"y","thinking_blocks":[{"type":"thinking","thinking":"y"}]}"#,
                    r#"{"reasoning_content":"","thinking_blocks":[{"type":"thinking","thinking":"","signature":"s"}]}"#,
                ][..],
                "why<Anthropic s>",
            ),
            // As we have it.
            (
                &[
                    r#"{"reasoning_content":"wh"}"#,
                    r#"{"reasoning_content":"y"}"#,
                    r#"{"thinking_blocks":[{"type":"thinking","thinking":"why","signature":"s"}]}"#,
                    r#"{"reasoning_content":"so"}"#,
                    r#"{"thinking_blocks":[{"type":"thinking","thinking":"so","signature":"t"}]}"#,
                ],
                "why<Anthropic s>so<Anthropic t>",
            ),
            (
                &[
                    r#"{"reasoning_details":[{"type":"reasoning.text","text":"wh","format":"anthropic-claude-v1"}]}"#,
                    r#"{"reasoning":"y","reasoning_details":[{"type":"reasoning.text","text":"y","format":"anthropic-claude-v1"}]}"#,
                    r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1"}]}"#,
                ],
                "why<Anthropic s>",
            ),
        ] {
            assert_eq!(read(said, false), (want.to_owned(), 0), "{said:?}");
        }
    }
}

//! A whole answer as a `generateContent` response.

use sluicegate_core::Usage;

use super::encode::source_of;
use super::{finish_reason, part};
use crate::ir::{AnswerBlock, Choice, Citation, Head, Said, Seal, ToolKind};
use crate::json::{Array, Object, Val, object};
use crate::loss::Losses;
use crate::names::Names;
use crate::openai_chat::object_or_wrapped;
use crate::sound;
use crate::usage::write_gemini;

/// Encodes the choices of an answer.
pub(crate) fn body(
    head: &Head,
    choices: &[Choice],
    usage: &Usage,
    names: &Names,
    losses: &mut Losses,
) -> String {
    object(|o| {
        o.array("candidates", |a| {
            for choice in choices {
                a.object(|o| {
                    o.object("content", |o| {
                        o.array("parts", |a| parts(a, choice, names, losses));
                        o.str("role", "model");
                    });
                    o.str("finishReason", finish_reason(choice.reason_aloud()));
                    o.num("index", u64::from(choice.index));
                    grounds(o, &choice.citations, &choice.said(), losses);
                    logprobs(o, &choice.logprobs);
                });
            }
        });
        o.raw("usageMetadata", &write_gemini(usage));
        o.str("modelVersion", &head.model);
        o.str("responseId", &head.id);
    })
}

/// Samples as a part.
pub(super) fn spoken(o: &mut Object<'_>, data: &str) {
    o.object("inlineData", |o| {
        o.str("mimeType", sound::PCM);
        o.str("data", data);
    });
}

fn parts(a: &mut Array<'_>, choice: &Choice, names: &Names, losses: &mut Losses) {
    // What seals the part that follows.
    let mut pending: Option<&Seal> = None;
    for block in &choice.blocks {
        match block {
            AnswerBlock::Text(text) | AnswerBlock::Refusal(text) => a.object(|o| {
                o.str("text", text);
                sign(o, pending.take());
            }),
            AnswerBlock::Thinking { text, seal } if !text.is_empty() => {
                a.object(|o| thought(o, text, seal.as_ref()));
            }
            AnswerBlock::Thinking { seal, .. } => {
                if let Some(unused) = std::mem::replace(&mut pending, seal.as_ref()) {
                    a.object(|o| thought(o, "", Some(unused)));
                }
            }
            AnswerBlock::Redacted(seal) => a.object(|o| redacted(o, seal)),
            AnswerBlock::Image(source) => a.object(|o| {
                source_of(o, source, "image/png");
                sign(o, pending.take());
            }),
            AnswerBlock::Tool { id, name, kind, args, .. } => a.object(|o| {
                o.object("functionCall", |o| call(o, id, names.restore(name), *kind, args, losses));
                sign(o, pending.take());
            }),
        }
    }
    if !choice.sound.transcript.is_empty() {
        a.object(|o| o.str("text", &choice.sound.transcript));
    }
    if !choice.sound.pieces.is_empty() {
        a.object(|o| {
            spoken(o, &sound::joined(&choice.sound.pieces));
            sign(o, pending.take());
        });
    }
    if let Some(unused) = pending {
        a.object(|o| thought(o, "", Some(unused)));
    }
}

pub(super) fn sign(o: &mut Object<'_>, seal: Option<&Seal>) {
    if let Some(seal) = seal {
        o.str("thoughtSignature", &part::shown_seal(seal));
    }
}

pub(super) fn thought(o: &mut Object<'_>, text: &str, seal: Option<&Seal>) {
    o.str("text", text);
    o.bool("thought", true);
    sign(o, seal);
}

/// A thought that only its maker can read: what marks it is that it has no text at all.
pub(super) fn redacted(o: &mut Object<'_>, seal: &Seal) {
    o.bool("thought", true);
    sign(o, Some(seal));
}

pub(super) fn call(
    o: &mut Object<'_>,
    id: &str,
    name: &str,
    kind: ToolKind,
    args: &str,
    losses: &mut Losses,
) {
    if !id.is_empty() {
        o.str("id", id);
    }
    o.str("name", name);
    match kind {
        ToolKind::Custom => o.object("args", |o| o.str("input", args)),
        ToolKind::Function => {
            o.raw("args", &object_or_wrapped(args, "tool_calls[].function.arguments", losses));
        }
    }
}

/// What was found, each source once, and what of the text comes from it: that is counted in bytes here.
pub(super) fn grounds(o: &mut Object<'_>, citations: &[Citation], said: &Said, losses: &mut Losses) {
    if citations.is_empty() {
        return;
    }
    let mut sources: Vec<(&str, Option<&str>)> = Vec::new();
    let mut supports = Vec::new();
    for citation in citations {
        let source = (citation.url.as_str(), citation.title.as_deref());
        let at = sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        match citation.place.map(|place| said.bytes_of(place)) {
            Some(Some(segment)) => supports.push((segment, at as u64)),
            Some(None) => losses.dropped("groundingSupports", "the place in the text isn't known here"),
            None => {}
        }
    }
    o.object("groundingMetadata", |o| {
        o.array("groundingChunks", |a| {
            for (url, title) in &sources {
                a.object(|o| {
                    o.object("web", |o| {
                        o.str("uri", url);
                        o.str("title", title.unwrap_or_default());
                    });
                });
            }
        });
        if supports.is_empty() {
            return;
        }
        o.array("groundingSupports", |a| {
            for ((from, text), source) in &supports {
                a.object(|o| {
                    o.object("segment", |o| {
                        o.num("startIndex", *from as u64);
                        o.num("endIndex", (from + text.len()) as u64);
                        o.str("text", text);
                    });
                    o.array("groundingChunkIndices", |a| a.raw(&source.to_string()));
                });
            }
        });
    });
}

/// Chat completions' lists as Gemini's two.
pub(super) fn logprobs(o: &mut Object<'_>, arrays: &[String]) {
    if arrays.is_empty() {
        return;
    }
    let tokens: Vec<Val<'_>> = arrays.iter().flat_map(|array| Val::trusted(array).elements()).collect();
    let entry = |o: &mut Object<'_>, token: Val<'_>| {
        o.str("token", &token.get_str("token").unwrap_or_default());
        o.raw("logProbability", token.get("logprob").map_or("-9999.0", Val::raw));
    };
    o.object("logprobsResult", |o| {
        o.array("topCandidates", |a| {
            for token in &tokens {
                let tops = token.get("top_logprobs");
                a.object(|o| {
                    o.array("candidates", |a| {
                        tops.into_iter().flat_map(Val::elements).for_each(|top| a.object(|o| entry(o, top)));
                    });
                });
            }
        });
        o.array("chosenCandidates", |a| tokens.iter().for_each(|token| a.object(|o| entry(o, *token))));
    });
}

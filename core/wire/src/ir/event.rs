//! An answer in the neutral model, as it arrives.

use super::{Seal, Source, ToolKind};
use crate::json::Val;

/// An event of one choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) choice: u32,
    pub(crate) event: Event,
}

/// One step of an answer. Usage isn't among them: the tap reads it, in whatever shape it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Text(String),
    Refusal(String),
    Thinking(String),
    /// Seals the thinking before it; without any, what follows.
    Signature(Seal),
    /// A thought that only its maker can read.
    Redacted(Seal),
    /// Tools are numbered from 0 in each choice, by order of appearance.
    ToolStart {
        tool: u32,
        id: String,
        name: String,
        kind: ToolKind,
    },
    /// A fragment of the arguments' JSON, or of the text that a custom tool takes.
    ToolArgs {
        tool: u32,
        json: String,
    },
    /// A picture, whole.
    Image(Source),
    /// A piece of what is spoken: samples in base64.
    Sound(String),
    /// What is spoken, in words.
    Transcript(String),
    /// Where something in the text before it comes from.
    Citation(Citation),
    /// Of the text before it: a JSON array of `{token, logprob, bytes, top_logprobs}`, as chat completions have it.
    Logprobs(String),
    /// The upstream's own word for the end that follows, where no other format has one.
    Native(String),
    Stop {
        reason: Stop,
        sequence: Option<String>,
    },
}

/// A source on the web.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Citation {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
    /// From where to where in the text of its choice the words stand that it backs, in characters.
    pub(crate) place: Option<(u64, u64)>,
}

/// A place as OpenAI's formats write it. One that is empty says nothing.
pub(crate) fn place_of(note: Val<'_>) -> Option<(u64, u64)> {
    note.get_u64("start_index").zip(note.get_u64("end_index")).filter(|(from, to)| from < to)
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    End,
    Length,
    Sequence,
    ToolUse,
    Refusal,
    /// The provider paused a long turn of its own tools.
    Pause,
}

impl Stop {
    /// The reason of an answer that may have been a refusal, where nothing else says so.
    pub(crate) fn refused(self, refuses: bool) -> Self {
        if refuses && self == Stop::End { Stop::Refusal } else { self }
    }
}

//! An answer in the neutral model, as it arrives.

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
    /// Seals the thinking before it.
    Signature(String),
    Redacted(String),
    /// Tools are numbered from 0 in each choice, by order of appearance.
    ToolStart {
        tool: u32,
        id: String,
        name: String,
    },
    /// A fragment of the arguments' JSON.
    ToolArgs {
        tool: u32,
        json: String,
    },
    Stop {
        reason: Stop,
        sequence: Option<String>,
    },
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

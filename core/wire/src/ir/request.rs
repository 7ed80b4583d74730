//! A request in the neutral model.

/// A chat request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) model: String,
    pub(crate) system: Vec<SystemText>,
    /// Turns in order; no two neighbours have the same role.
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: Option<ToolChoice>,
    pub(crate) parallel_tools: Option<bool>,
    pub(crate) max_output: Option<u64>,
    /// Numbers as text.
    pub(crate) temperature: Option<String>,
    pub(crate) top_p: Option<String>,
    pub(crate) top_k: Option<String>,
    pub(crate) stop: Vec<String>,
    pub(crate) stream: bool,
    pub(crate) user: Option<String>,
    pub(crate) reasoning: Option<Reasoning>,
    pub(crate) format: OutputFormat,
    pub(crate) tier: Option<Tier>,
}

/// One system text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SystemText {
    pub(crate) text: String,
    /// `cache_control`, as JSON.
    pub(crate) cache: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) blocks: Vec<Block>,
}

/// A piece of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Text {
        text: String,
        cache: Option<String>,
    },
    Image {
        source: Source,
        cache: Option<String>,
    },
    Document {
        source: Source,
        name: Option<String>,
        cache: Option<String>,
    },
    /// `input` is the text of a JSON object.
    ToolUse {
        id: String,
        name: String,
        input: String,
        cache: Option<String>,
    },
    ToolResult {
        id: String,
        content: Vec<Block>,
        is_error: bool,
        cache: Option<String>,
    },
    Thinking {
        text: String,
        signature: Option<String>,
    },
    Redacted {
        data: String,
    },
}

impl Block {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Block::Text { text: text.into(), cache: None }
    }
}

/// Where media come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Base64 { media_type: String, data: String },
    Url(String),
    Text(String),
}

/// A tool that the caller runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// The JSON schema of its input, as JSON.
    pub(crate) schema: Option<String>,
    pub(crate) strict: Option<bool>,
    pub(crate) cache: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    None,
    /// Any one, but one.
    Required,
    Named(String),
}

/// How much the model should think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reasoning {
    Off,
    Effort(Effort),
    /// In tokens.
    Budget(u64),
    /// As much as the model sees fit.
    Adaptive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    pub(crate) const ALL: [Effort; 6] =
        [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Xhigh => "xhigh",
            Effort::Max => "max",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }

    /// The thinking budget that stands for it, in tokens. Each doubles the one below, from Anthropic's least.
    pub(crate) const fn budget(self) -> u64 {
        match self {
            Effort::Minimal | Effort::Low => 1_024,
            Effort::Medium => 2_048,
            Effort::High => 4_096,
            Effort::Xhigh => 8_192,
            Effort::Max => 16_384,
        }
    }

    /// The effort that a budget stands for: the least whose budget reaches it.
    pub(crate) fn of_budget(tokens: u64) -> Self {
        Self::ALL.into_iter().skip(1).find(|effort| tokens <= effort.budget()).unwrap_or(Effort::Max)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    #[default]
    Text,
    JsonObject,
    /// A schema, as JSON.
    JsonSchema {
        name: Option<String>,
        schema: String,
        strict: Option<bool>,
    },
}

/// What to serve from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Auto,
    Standard,
}

impl Request {
    /// Appends to the last turn if it has that role, else begins one.
    pub(crate) fn add(&mut self, role: Role, blocks: impl IntoIterator<Item = Block>) {
        let mut blocks = blocks.into_iter().peekable();
        if blocks.peek().is_none() {
            return;
        }
        match self.messages.last_mut().filter(|last| last.role == role) {
            Some(last) => last.blocks.extend(blocks),
            None => self.messages.push(Message { role, blocks: blocks.collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_and_budget_agree() {
        for effort in Effort::ALL {
            let back = Effort::of_budget(effort.budget());
            assert_eq!(back, effort.max(Effort::Low));
            assert_eq!(Effort::parse(effort.as_str()), Some(effort));
        }
        assert_eq!(
            (Effort::of_budget(1), Effort::of_budget(3_000), Effort::of_budget(u64::MAX)),
            (Effort::Low, Effort::High, Effort::Max)
        );
    }
}

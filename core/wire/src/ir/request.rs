//! A request in the neutral model.

use std::borrow::Cow;

use super::Seal;
use crate::json::{Val, object};

/// A chat request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) model: String,
    pub(crate) system: Vec<SystemText>,
    /// Turns in order; no two neighbours have the same role.
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Vec<Tool>,
    /// Functions that don't say so are strict.
    pub(crate) strict_unsaid: bool,
    pub(crate) tool_choice: Option<ToolChoice>,
    /// The provider is to search the web by itself.
    pub(crate) search: Option<WebSearch>,
    /// The tools that may be called now, by name; empty is all of them.
    pub(crate) allowed_tools: Vec<String>,
    pub(crate) parallel_tools: Option<bool>,
    pub(crate) max_output: Option<u64>,
    /// Numbers as text.
    pub(crate) temperature: Option<String>,
    pub(crate) top_p: Option<String>,
    pub(crate) top_k: Option<String>,
    pub(crate) seed: Option<String>,
    pub(crate) presence_penalty: Option<String>,
    pub(crate) frequency_penalty: Option<String>,
    /// How many answers.
    pub(crate) n: Option<u64>,
    pub(crate) logprobs: Option<Logprobs>,
    pub(crate) stop: Vec<String>,
    pub(crate) stream: bool,
    /// Tools were declared as `functions`: calls are to come back likewise.
    pub(crate) as_functions: bool,
    pub(crate) user: Option<String>,
    /// Who asks, as OpenAI's responses are told it beside: to find who abuses them.
    pub(crate) safety_id: Option<String>,
    /// What the caller notes of the call: a JSON object.
    pub(crate) metadata: Option<String>,
    /// How long the prompt cache is to be kept.
    pub(crate) cache_retention: Option<String>,
    pub(crate) reasoning: Option<Reasoning>,
    /// Whether the caller wants to read what was thought, and how: `auto`, `concise` or `detailed`.
    pub(crate) summary: Option<String>,
    /// `low`, `medium` or `high`: how long an answer should be.
    pub(crate) verbosity: Option<String>,
    /// What to speak, as chat completions say it in `audio`: JSON.
    pub(crate) audio: Option<String>,
    /// Whether pictures are wanted in the answer.
    pub(crate) pictures: bool,
    /// What tells the provider which calls share a prompt cache.
    pub(crate) cache_key: Option<String>,
    pub(crate) format: OutputFormat,
    pub(crate) tier: Option<Tier>,
}

/// Whether the tokens' probabilities are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logprobs {
    /// Of how many others at each place.
    pub(crate) top: Option<u64>,
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
    /// `detail` is how closely it is to be looked at, where that was said: `low`, `high` or whatever OpenAI's models take.
    Image {
        source: Source,
        detail: Option<String>,
        cache: Option<String>,
    },
    Document {
        source: Source,
        name: Option<String>,
        cache: Option<String>,
    },
    Audio {
        source: Source,
    },
    /// `input` is the text of a JSON object, or what a custom tool was given.
    ToolUse {
        id: String,
        name: String,
        kind: ToolKind,
        input: String,
        cache: Option<String>,
    },
    ToolResult {
        id: String,
        content: Vec<Block>,
        is_error: bool,
        cache: Option<String>,
    },
    /// A thought. One without a text seals what follows it, or ends the turn.
    Thinking {
        text: String,
        seal: Option<Seal>,
    },
    Redacted {
        seal: Seal,
    },
}

impl Block {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Block::Text { text: text.into(), cache: None }
    }

    /// The place of its mark for the prompt cache.
    pub(crate) fn mark(&mut self) -> Option<&mut Option<String>> {
        match self {
            Block::Text { cache, .. }
            | Block::Image { cache, .. }
            | Block::Document { cache, .. }
            | Block::ToolUse { cache, .. }
            | Block::ToolResult { cache, .. } => Some(cache),
            Block::Audio { .. } | Block::Thinking { .. } | Block::Redacted { .. } => None,
        }
    }

    /// Whether the prompt cache is to be written up to here.
    pub(crate) fn is_cached(&self) -> bool {
        match self {
            Block::Text { cache, .. }
            | Block::Image { cache, .. }
            | Block::Document { cache, .. }
            | Block::ToolUse { cache, .. }
            | Block::ToolResult { cache, .. } => cache.is_some(),
            Block::Audio { .. } | Block::Thinking { .. } | Block::Redacted { .. } => false,
        }
    }
}

/// Where media come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Base64 {
        media_type: String,
        data: String,
    },
    Url(String),
    Text(String),
    /// Stored at the provider, under this id.
    Stored(String),
}

/// A tool that the caller runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) kind: ToolKind,
    pub(crate) description: Option<String>,
    /// The JSON schema of its input, as JSON; of a custom tool what its text must be like, if anything.
    pub(crate) schema: Option<String>,
    pub(crate) strict: Option<bool>,
    pub(crate) cache: Option<String>,
}

impl Tool {
    /// The schema of its input as that of an object, which it is whatever else it may be there.
    pub(crate) fn object_schema(&self) -> Option<Cow<'_, str>> {
        let text = self.schema.as_deref()?;
        let schema = Val::trusted(text);
        if schema.get("type").is_some_and(|kind| kind.as_str().is_some()) {
            return Some(Cow::Borrowed(text));
        }
        Some(Cow::Owned(object(|o| {
            o.str("type", "object");
            let others = schema.members().filter(|(name, _)| name != "type");
            others.for_each(|(name, value)| o.raw(&name, value.raw()));
        })))
    }
}

/// How the web is to be searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WebSearch {
    /// `low`, `medium` or `high`: how much of what is found is read.
    pub(crate) size: Option<String>,
    /// At most so many searches.
    pub(crate) max_uses: Option<u64>,
    /// Sites to keep to; empty is all.
    pub(crate) allowed: Vec<String>,
    /// Sites to leave out.
    pub(crate) blocked: Vec<String>,
    /// Where the user is.
    pub(crate) place: Option<Place>,
}

impl WebSearch {
    /// Whether it isn't the whole web that may be searched.
    pub(crate) fn is_kept_to_sites(&self) -> bool {
        !self.allowed.is_empty() || !self.blocked.is_empty()
    }
}

/// Where somebody is, roughly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) city: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) timezone: Option<String>,
}

/// What a tool is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolKind {
    /// A JSON object.
    #[default]
    Function,
    /// A text.
    Custom,
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
        description: Option<String>,
        schema: String,
        strict: Option<bool>,
    },
}

/// What to serve from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Auto,
    Standard,
    Flex,
    Priority,
}

/// What asks for JSON where the target has no mode for it, or wants to hear the word.
pub(crate) const JSON_HINT: &str = "Answer with one JSON object and nothing else.";
/// Why that is said.
pub(crate) const JSON_HINT_WHY: &str = "said in words too: the target wants the word JSON in what is said";

impl Request {
    /// Whether an answer in JSON is asked for and the turns don't have the word. `in_results`: whether those of tools count.
    pub(crate) fn wants_unsaid_json(&self, in_results: bool) -> bool {
        let says = |block: &Block| match block {
            Block::Text { text, .. } => says_json(text),
            Block::ToolResult { content, .. } if in_results => {
                content.iter().any(|inner| matches!(inner, Block::Text { text, .. } if says_json(text)))
            }
            _ => false,
        };
        self.format == OutputFormat::JsonObject
            && !self.messages.iter().flat_map(|turn| &turn.blocks).any(says)
    }

    /// Whether it stands in the system prompt.
    pub(crate) fn system_says_json(&self) -> bool {
        self.system.iter().any(|said| says_json(&said.text))
    }

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

fn says_json(text: &str) -> bool {
    text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
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

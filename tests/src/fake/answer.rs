//! What the upstream answers, before any format: a function of the request.
//!
//! - The last message is a tool's result: the text repeats all results of that turn,
//!   unless one says `go on`: then tools are called again.
//! - Tools are offered (and not forbidden): the first one is called with arguments
//!   made up from its schema; with `parallel` in the user's text there is a call of
//!   every tool, and of a single tool twice.
//! - Otherwise the text is `echo: ` and the last user text.
//!
//! Tokens: input is the words of all texts, 3 a message and 10 a tool; output is
//! the words of thought and text, and a token for each 4 characters of arguments.

use serde_json::{Map, Value, json};

/// A tool on offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The JSON Schema of its arguments.
    pub schema: Value,
}

/// What the request asks, in no format's words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// The model's name with its directives.
    pub model: String,
    /// An answer as a stream.
    pub stream: bool,
    /// The text of the last user message.
    pub text: String,
    /// The results of the tools, when they are what the last turn holds.
    pub results: Vec<String>,
    /// Tools on offer, none when the caller forbids them.
    pub tools: Vec<Tool>,
    /// The tool that the caller demands.
    pub demanded: Option<String>,
    /// The caller wants at most one call.
    pub one_call: bool,
    /// The most output tokens.
    pub max_output: Option<u64>,
    /// Texts that end the output.
    pub stops: Vec<String>,
    /// The caller asked for reasoning.
    pub reasoning: bool,
    /// The caller asked for a JSON object.
    pub as_json: bool,
    /// Messages, the system's included.
    pub messages: u64,
    /// Words in all texts.
    pub words: u64,
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

/// Why the output ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was complete.
    Stop,
    /// This stop text came.
    StopText(String),
    /// The ceiling was reached.
    Length,
    /// Tools are to be called.
    Tools,
}

/// The answer, in no format's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Thought before the text.
    pub thought: Option<String>,
    /// The text; empty with tool calls.
    pub text: String,
    /// Calls of tools.
    pub calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Finish,
    /// Input tokens.
    pub input: u64,
    /// Output tokens, those of thought included.
    pub output: u64,
    /// Output tokens of thought.
    pub thinking: u64,
}

/// Words as the upstream counts them.
#[must_use]
pub fn word_count(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

impl Ask {
    /// Answers; the text is made `pad` bytes longer.
    #[must_use]
    pub fn answer(&self, pad: usize) -> Answer {
        let thought = self.reasoning.then(|| "let me think about that".to_owned());
        let goes_on = self.results.is_empty() || self.results.iter().any(|said| said.contains("go on"));
        let calls = if goes_on { self.calls() } else { Vec::new() };
        let mut text = String::new();
        if calls.is_empty() {
            text = if self.results.is_empty() {
                format!("echo: {}", self.text)
            } else {
                format!("tools said: {}", self.results.join("; "))
            };
            if self.as_json {
                text = json!({ "echo": self.text }).to_string();
            }
            if pad > 0 {
                text.push_str(&" word".repeat(pad.div_ceil(5)));
            }
        }
        let mut finish = if calls.is_empty() { Finish::Stop } else { Finish::Tools };
        if let Some((at, stop)) =
            self.stops.iter().filter_map(|s| text.find(s.as_str()).map(|at| (at, s))).min()
        {
            text.truncate(at);
            finish = Finish::StopText(stop.clone());
        }
        let thinking = thought.as_deref().map_or(0, word_count);
        if let Some(most) = self.max_output {
            let most = usize::try_from(most.saturating_sub(thinking)).unwrap_or(usize::MAX);
            if calls.is_empty() && text.split_whitespace().count() > most {
                text = text.split_inclusive(' ').take(most).collect();
                finish = Finish::Length;
            }
        }
        let argued: u64 = calls.iter().map(|c| (c.arguments.chars().count() as u64).div_ceil(4)).sum();
        Answer {
            input: self.words + 3 * self.messages + 10 * self.tools.len() as u64,
            output: thinking + word_count(&text) + argued,
            thinking,
            thought,
            text,
            calls,
            finish,
        }
    }

    fn calls(&self) -> Vec<ToolCall> {
        let parallel = !self.one_call && self.text.contains("parallel");
        let mut chosen: Vec<&Tool> = match &self.demanded {
            Some(name) => self.tools.iter().filter(|t| t.name == *name).collect(),
            None if parallel => self.tools.iter().collect(),
            None => self.tools.iter().take(1).collect(),
        };
        if parallel && let [only] = chosen[..] {
            chosen.push(only);
        }
        let made = |(n, tool): (usize, &&Tool)| ToolCall {
            name: tool.name.clone(),
            arguments: arguments(&tool.schema, &self.text, n).to_string(),
        };
        chosen.iter().enumerate().map(made).collect()
    }
}

/// Arguments that fit the schema's top level: the user's text, numbers, true.
fn arguments(schema: &Value, text: &str, call: usize) -> Value {
    let mut out = Map::new();
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            let value = match property.get("type").and_then(Value::as_str) {
                Some("integer" | "number") => json!(call + 1),
                Some("boolean") => json!(true),
                Some("array") => json!([]),
                Some("object") => json!({}),
                _ => property.pointer("/enum/0").cloned().unwrap_or_else(|| json!(text)),
            };
            out.insert(name.clone(), value);
        }
    }
    Value::Object(out)
}

impl Answer {
    /// The text in the pieces of a stream: a word each, spaces kept.
    pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
        text.split_inclusive(' ')
    }

    /// Arguments in fragments of five characters, which parse only when joined.
    pub(super) fn fragments(arguments: &str) -> Vec<String> {
        let chars: Vec<char> = arguments.chars().collect();
        chars.chunks(5).map(|c| c.iter().collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Tool {
        Tool {
            name: name.into(),
            schema: json!({"type":"object","properties":{"q":{"type":"string"},"n":{"type":"integer"}}}),
        }
    }

    #[test]
    fn echoes_and_counts() {
        let ask = Ask { text: "one two".into(), words: 2, messages: 1, ..Ask::default() };
        let answer = ask.answer(0);
        assert_eq!((answer.text.as_str(), answer.input, answer.output), ("echo: one two", 5, 3));
        assert_eq!(answer.finish, Finish::Stop);
    }

    #[test]
    fn keeps_to_the_ceiling_and_stops() {
        let ask = Ask { text: "a b c d".into(), max_output: Some(2), ..Ask::default() };
        assert_eq!(ask.answer(0).finish, Finish::Length);
        assert_eq!(ask.answer(0).output, 2);
        let ask = Ask { text: "a b c d".into(), stops: vec!["c".into()], ..Ask::default() };
        assert_eq!(ask.answer(0).finish, Finish::StopText("c".into()));
    }

    #[test]
    fn calls_tools_alone_and_in_parallel() {
        let mut ask = Ask { text: "go".into(), tools: vec![tool("x"), tool("y")], ..Ask::default() };
        assert_eq!(
            ask.answer(0).calls,
            [ToolCall { name: "x".into(), arguments: r#"{"q":"go","n":1}"#.into() }]
        );
        ask.text = "parallel".into();
        assert_eq!(ask.answer(0).calls.len(), 2);
        ask.results = vec!["42".into()];
        assert_eq!(ask.answer(0).text, "tools said: 42");
        ask.results = vec!["42, go on".into()];
        assert_eq!(ask.answer(0).calls.len(), 2);
    }
}

//! Folds events into a whole answer.

use std::collections::HashSet;

use super::{Citation, Event, Item, Said, Seal, Source, Stop, ToolKind};

/// What stands at the head of an answer, or of each of its chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) created_s: i64,
    pub(crate) model: String,
}

/// A block of a whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerBlock {
    Text(String),
    Refusal(String),
    Thinking {
        text: String,
        seal: Option<Seal>,
    },
    Redacted(Seal),
    Image(Source),
    /// `args` is the text of the arguments' JSON, possibly empty, or what a custom tool is given.
    Tool {
        tool: u32,
        id: String,
        name: String,
        kind: ToolKind,
        args: String,
    },
}

/// One whole choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) index: u32,
    pub(crate) blocks: Vec<AnswerBlock>,
    pub(crate) stop: Option<Stop>,
    /// The upstream's own word for it, where no other format has one.
    pub(crate) native: Option<String>,
    pub(crate) sequence: Option<String>,
    /// Each once, in order.
    pub(crate) citations: Vec<Citation>,
    cited: HashSet<Citation>,
    /// Arrays as they came, in order.
    pub(crate) logprobs: Vec<String>,
    pub(crate) sound: Sound,
}

/// What a choice speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sound {
    /// Samples in base64.
    pub(crate) pieces: Vec<String>,
    /// The same in words, where they are known.
    pub(crate) transcript: String,
}

/// Collects the events of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold {
    choices: Vec<Choice>,
}

impl Fold {
    pub(crate) fn add(&mut self, item: Item) {
        let at = match self.choices.iter().position(|c| c.index == item.choice) {
            Some(at) => at,
            None => {
                self.choices.push(Choice { index: item.choice, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        if let Some(choice) = self.choices.get_mut(at) {
            choice.add(item.event);
        }
    }

    /// The choices by index; at least one.
    pub(crate) fn finish(self) -> Vec<Choice> {
        let mut choices = self.choices;
        if choices.is_empty() {
            choices.push(Choice::default());
        }
        choices.sort_by_key(|choice| choice.index);
        choices
    }
}

impl Choice {
    fn add(&mut self, event: Event) {
        match (event, self.blocks.last_mut()) {
            (Event::Text(more), Some(AnswerBlock::Text(text)))
            | (Event::Refusal(more), Some(AnswerBlock::Refusal(text)))
            | (Event::Thinking(more), Some(AnswerBlock::Thinking { text, seal: None })) => {
                text.push_str(&more)
            }
            (Event::Signature(found), Some(AnswerBlock::Thinking { seal: seal @ None, .. })) => {
                *seal = Some(found)
            }
            (Event::Text(text), _) => self.blocks.push(AnswerBlock::Text(text)),
            (Event::Refusal(text), _) => self.blocks.push(AnswerBlock::Refusal(text)),
            (Event::Thinking(text), _) => self.blocks.push(AnswerBlock::Thinking { text, seal: None }),
            (Event::Signature(seal), _) => {
                self.blocks.push(AnswerBlock::Thinking { text: String::new(), seal: Some(seal) })
            }
            (Event::Redacted(seal), _) => self.blocks.push(AnswerBlock::Redacted(seal)),
            (Event::Image(source), _) => self.blocks.push(AnswerBlock::Image(source)),
            (Event::Sound(piece), _) => self.sound.pieces.push(piece),
            (Event::Transcript(more), _) => self.sound.transcript.push_str(&more),
            (Event::Citation(citation), _) => {
                if self.cited.insert(citation.clone()) {
                    self.citations.push(citation);
                }
            }
            (Event::Logprobs(array), _) => self.logprobs.push(array),
            (Event::ToolStart { tool, id, name, kind }, _) => {
                self.blocks.push(AnswerBlock::Tool { tool, id, name, kind, args: String::new() })
            }
            (Event::ToolArgs { tool: wanted, json }, _) => {
                let open = self.blocks.iter_mut().rev().find_map(|block| match block {
                    AnswerBlock::Tool { tool, args, .. } if *tool == wanted => Some(args),
                    _ => None,
                });
                if let Some(args) = open {
                    args.push_str(&json);
                }
            }
            (Event::Native(word), _) => self.native = Some(word),
            (Event::Stop { reason, sequence }, _) => {
                self.stop = Some(reason);
                self.sequence = sequence.or(self.sequence.take());
            }
        }
    }

    /// Its text, for places in it.
    pub(crate) fn said(&self) -> Said {
        let mut said = Said::default();
        self.blocks.iter().for_each(|block| match block {
            AnswerBlock::Text(text) | AnswerBlock::Refusal(text) => said.push(text),
            _ => {}
        });
        said
    }

    /// Why it ended. A tool call makes it `ToolUse`, whatever the upstream called it.
    pub(crate) fn reason(&self) -> Stop {
        let stop = self.stop.unwrap_or(Stop::End);
        let calls = self.blocks.iter().any(|block| matches!(block, AnswerBlock::Tool { .. }));
        if calls && stop == Stop::End { Stop::ToolUse } else { stop }
    }

    /// The same in a format whose texts don't say that they refuse: there the reason does.
    pub(crate) fn reason_aloud(&self) -> Stop {
        let refuses = self.blocks.iter().any(|block| matches!(block, AnswerBlock::Refusal(_)));
        self.reason().refused(refuses)
    }
}

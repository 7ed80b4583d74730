//! The neutral chat model: what every format is decoded into and encoded from.
//!
//! It keeps what has a meaning in more than one format. Numbers and JSON values stay text, so that none loses
//! precision or key order on the way through.

mod answer;
mod event;
mod pair;
mod request;
mod said;
mod seal;

pub(crate) use answer::{AnswerBlock, Choice, Fold, Head, Sound};
pub(crate) use event::{Citation, Event, Item, Stop, place_of};
pub(crate) use request::{
    Block, Effort, JSON_HINT, JSON_HINT_WHY, Message, OutputFormat, Place, Reasoning, Request, Role, Source,
    SystemText, Tier, Tool, ToolChoice, ToolKind, WebSearch,
};
pub(crate) use said::Said;
pub(crate) use seal::{FOREIGN, FOREIGN_BYTES, Maker, Seal};

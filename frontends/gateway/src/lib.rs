//! The Sluicegate engine with real time, sockets and stores: the crate that a Rust service adds.
//!
//! [`Gateway::open`] reads a configuration in any dialect and opens the store; a [`Worker`] then serves requests in the
//! OpenAI and Anthropic formats, with keys, limits, fallbacks and accounting, without any HTTP server. Hosts with an
//! HTTP client of their own drive the [`engine::Engine`] by its verbs, or the JSON [`envelope`] that Python and C share.
//!
//! Deliberately absent: an HTTP server (`sluicegate-server`), HTTP statuses of our own, translation (`sluicegate-wire`),
//! decisions (`sluicegate-core`).

mod answer;
mod background;
mod body_text;
mod clock;
mod conversation;
mod distinct;
mod gateway;
mod history;
pub mod journal;
mod jwt;
mod load;
mod made_up;
mod maintain;
mod master;
mod metrics;
mod pass;
mod probe;
mod queue;
mod raw;
mod repair;
mod response;
mod running;
mod script;
mod serve;
mod start;
mod stream;
mod tokenizer;
mod trial;
mod upload;

pub mod admin;
pub mod backup;
pub mod credential;
pub mod directory;
pub mod envelope;
pub mod guardrail;
pub mod prepare;
pub mod record;
pub mod secret;
pub mod store;
pub mod upstream;

pub use answer::{
    Address, Answer, AnswerBody, CountedBy, Facts, Inbound, Rejection, Remaining, TRANSLATION_HEADER, Told,
    asked_translation,
};
pub use background::FollowStream;
pub use clock::{ManualClock, SystemClock};
pub use distinct::distinct;
pub use gateway::{Gateway, ModelCard, Options, Worker};
pub use history::{Course, Phase, ReplayDone, ReplayOptions, figures, replay, time_of};
pub use jwt::is_by_token;
pub use load::{ConfigText, Variables, load, process_variables};
pub use master::KeyStrength;
pub use metrics::METRICS_TYPE;
pub use pass::PassThrough;
pub use raw::RawStream;
pub use repair::{Repair, repair};
pub use response::InputItems;
pub use sluicegate_config as config;
pub use sluicegate_core as core;
pub use sluicegate_core::*;
pub use sluicegate_policy as policy;
pub use sluicegate_wire as wire;
pub use stream::AnswerStream;
pub use tokenizer::estimate as count_tokens;
pub use upload::Upload;

//! Bytes to a neutral chat model and back: wire formats, server-sent events and the byte path. Pure: no sockets, no
//! clock, no tenants, no prices.
//!
//! One call goes through here twice. On the way out, [`scan`] reads the body once and yields [`Facts`];
//! [`Scanned::prepare`] splices the few edits into the original bytes, or translates when the upstream speaks another
//! format and says in [`Losses`] what it couldn't carry over. On the way back, a [`Bridge`] passes the answer through,
//! or translates it, and keeps [`Observed`]: usage, progress, errors. Errors are understood by [`Fault::classify`] and
//! written in the caller's own format by [`Report`].
//!
//! ```
//! use bytes::Bytes;
//! use sluicegate_core::Format;
//! use sluicegate_wire::{Bridge, BridgeOptions, Edits, End, scan};
//!
//! let body = Bytes::from_static(br#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#);
//! let scanned = scan(Format::OpenaiChat, &body)?;
//! assert_eq!(scanned.facts().model, "fast");
//! let edits = Edits { model: Some("gpt-4o-mini"), max_output: Some(512), ..Edits::default() };
//! let prepared = scanned.prepare(&edits, Format::OpenaiChat)?;
//! assert_eq!(
//!     prepared.body,
//!     r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}],"max_tokens":512}"#
//! );
//!
//! let mut bridge = Bridge::new(BridgeOptions {
//!     reply: prepared.reply,
//!     ..BridgeOptions::new(Format::OpenaiChat, Format::OpenaiChat)
//! });
//! let mut answer = Vec::new();
//! let upstream = Bytes::from_static(
//!     br#"{"choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":8,"completion_tokens":1}}"#,
//! );
//! bridge.push(upstream, &mut |bytes| answer.extend_from_slice(&bytes));
//! bridge.finish(End::Eof, &mut |bytes| answer.extend_from_slice(&bytes));
//! assert_eq!(bridge.observed().usage.map(|usage| usage.total_tokens()), Some(9));
//! # Ok::<(), sluicegate_wire::WireError>(())
//! ```
//!
//! Deliberately absent: HTTP statuses of our own (the server's), retries (the gateway's), any decision (core's).

mod anthropic;
mod base64;
mod bridge;
mod cohere;
pub mod conversation;
mod count;
mod error;
mod facts;
mod fault;
mod foreign;
mod form;
mod gemini;
mod heed;
mod ir;
mod json;
mod lines;
mod loss;
mod media;
mod names;
mod observed;
mod ollama;
mod openai_chat;
mod openai_completions;
mod openai_responses;
mod overlay;
mod plain;
mod prepare;
mod present;
mod quirk;
mod reference;
mod report;
mod scan;
mod screen;
mod search;
mod sound;
mod splice;
pub mod sse;
mod tap;
mod texts;
mod tier;
mod translate;
mod unwrap;
mod usage;
mod value;

pub use bridge::{Bridge, BridgeOptions, End, MAX_BODY_BYTES, Reply};
pub use error::{Result, WireError};
pub use facts::{Facts, Mock};
pub use fault::{Fault, FaultClass};
pub use form::{FormEvent, FormField, FormReader, form_boundary, form_fields, form_governs, form_json};
pub use gemini::{EventArray, count_request};
pub use json::MAX_DEPTH;
pub use loss::{Loss, LossKind, Losses};
pub use observed::{MediaOut, Observed};
pub use openai_responses::input_tokens_request;
pub use overlay::{Headers, OverlayContext, overlay};
pub use prepare::Prepared;
pub use present::{NumberedEvent, Numbering, Shown};
pub use report::{Report, google_status};
pub use scan::{Addressed, Scanned, scan, scan_addressed};
pub use screen::{Screen, Stopped};
pub use sluicegate_core::concern::Concern;
pub use splice::{CeilingField, Edits};
pub use tap::charged_by;
pub use texts::{Side, Texts, without_logprobs};
pub use usage::said_in;

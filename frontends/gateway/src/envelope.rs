//! One JSON envelope for every host that isn't Rust: Python and C send the same texts and get the same answers.
//!
//! A [`Host`] owns a gateway and the runtime that it lives on. Hosts with an HTTP client of their own ask it to
//! *decide*, send what it says, and *report* how that went, until it says that the call is over. A decided attempt that
//! is never reported becomes held at its deadline: it counts against its limits until somebody reconciles it.
//!
//! ```
//! use sluicegate::envelope::Host;
//!
//! let host = Host::open(r#"{"config": "version: 1\nchannels: []\n", "environment": {}}"#)?;
//! let answer = host.handle(r#"{"v": 1, "decide": {"key": "sk-nobody", "call": {"format": "openai_chat", "model": "m"}}}"#);
//! assert!(answer.contains("unauthenticated"), "{answer}");
//! # Ok::<(), sluicegate::Error>(())
//! ```

mod answer;
mod calls;
mod host;
mod request;

pub use answer::{
    Answer, Completed, CompletedFacts, CompletedRemaining, Explained, Failed, Fault, RemainingLimit, Step,
    Tried,
};
pub use host::Host;
pub use request::{
    Ask, CallFacts, HostOptions, KeyReference, Reference, ReportRequest, ReportedOutcome, Request, Verb,
};

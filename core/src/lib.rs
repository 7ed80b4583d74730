//! The Sluicegate engine: who may call what, where the call goes, what happens when an upstream fails, and what it may
//! cost. Pure and deterministic: no I/O, no clock, no randomness of its own. Time and a seed are arguments.
//!
//! Ordinary users want the crate [`sluicegate`](https://docs.rs/sluicegate), which wires this one to sockets, stores
//! and scripts. Deliberately absent here: HTTP, bodies, wire formats, databases, script languages, async.
//!
//! # Words
//! A [`Caller`](tenant::Caller) is what a key resolves to, with its *scope chain*: every scope that limits it. A
//! [`Channel`](channel::Channel) is one credentialed upstream endpoint; a *model group* is a requested name and the
//! channels that serve it. A [`Limit`](limit::Limit) bounds one metric over one window for one scope. An *attempt* is
//! one try of one call at one channel; a *reservation* is what it may cost at most. The [`Engine`](engine::Engine)
//! answers a [`Call`](call::Call) with an [`Admission`](engine::Admission), which says step by step what to do next.

pub mod by_class;
pub mod call;
pub mod channel;
pub mod check;
pub mod concern;
pub mod count;
pub mod decision;
pub mod edit;
pub mod engine;
pub mod error;
pub mod guardrail;
pub mod hash;
pub mod header;
pub mod health;
pub mod ids;
pub mod journal;
mod json;
pub mod ledger;
pub mod limit;
pub mod money;
pub mod openai;
pub mod pattern;
pub mod ports;
pub mod price;
pub mod prompt;
pub mod quirk;
pub mod record;
pub mod replay;
pub mod search;
pub mod snapshot;
pub mod tally;
pub mod tenant;
pub mod time;
pub mod usage;

pub use by_class::ByClass;
pub use call::{Call, Format, Needs, Rehearsal, Thinking, Translated, is_older_gemini};
pub use channel::{Channel, ChannelModel, Secret, SecretRef};
pub use count::{CacheWrites, Counted, Counting, ImageRule, ImageSize, Media, Tokenizer};
pub use decision::{DENIAL, Denial, Exclusion, Explanation, OutcomeClass, Reason};
pub use engine::{Admission, Attempt, Engine, Next, Outcome};
pub use error::{Error, ErrorKind, Result, Retry};
pub use ids::{CallId, ChannelId, GroupId, KeyId, ModelName, OrganizationId, ProviderId, UserId};
pub use limit::{Limit, Metric, Mode, Scope, ScopeKind, ScopeLimits, WhenShort, Window};
pub use price::{Price, ServiceTier};
pub use record::{AttemptRecord, DeniedBy, RecordEntry, RecordRow, UsageRecord};
pub use snapshot::{Declared, Snapshot};
pub use tenant::{ApiKey, Caller, Group, Membership, ModelAccess, Organization, Role, User};
pub use time::{Clock, Timestamp};
pub use usage::{Usage, UsageSource};

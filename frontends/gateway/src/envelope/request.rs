//! What hosts send.

use std::collections::HashMap;

use serde::Deserialize;
use sluicegate_core::{Format, Needs, OutcomeClass, Secret, ServiceTier, Thinking, Usage};

/// How to open a [`Host`](super::Host).
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostOptions {
    /// The configuration as text, in any dialect.
    pub config: Option<String>,
    /// The configuration's path: read when `config` is absent, named in messages otherwise.
    pub config_path: Option<String>,
    /// The database: `memory` (the default without a data directory), a path, or `postgres://…`.
    pub database: Option<String>,
    /// Where the embedded database lives.
    pub data_dir: Option<String>,
    /// The administrator's key.
    pub master_key: Option<Secret>,
    /// The variables that the configuration may refer to; absent: the process's environment.
    pub environment: Option<HashMap<String, Secret>>,
    /// Start a clock at this time, in milliseconds since 1970, that stands still until a request names another `now_ms`.
    /// Absent: the system's clock.
    pub manual_clock_ms: Option<i64>,
    /// Serve the built-in demo channel when the configuration has no channel.
    pub demo: bool,
}

/// One request: exactly one of the verbs beside `v` and `now_ms`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The envelope's version: 1.
    pub v: u32,
    /// Sets a manual clock before anything else.
    pub now_ms: Option<i64>,
    /// May this call go ahead, and where?
    pub decide: Option<Box<Ask>>,
    /// Why would this call go where? Nothing is reserved.
    pub explain: Option<Box<Ask>>,
    /// How the attempt went. Answers with the next step.
    pub report: Option<Box<ReportRequest>>,
    /// A wait is over: what now?
    pub next: Option<Reference>,
    /// The caller went away.
    pub cancel: Option<Reference>,
    /// What a key has used and what is left of its limits.
    pub remaining: Option<KeyReference>,
    /// Send this request, and wait for its whole answer. It is asked for with `body`, and never streams.
    pub complete: Option<Box<Ask>>,
}

/// What is asked.
#[derive(Debug)]
pub enum Verb {
    /// See [`Request::decide`].
    Decide(Box<Ask>),
    /// See [`Request::explain`].
    Explain(Box<Ask>),
    /// See [`Request::report`].
    Report(Box<ReportRequest>),
    /// See [`Request::next`].
    Next(Reference),
    /// See [`Request::cancel`].
    Cancel(Reference),
    /// See [`Request::remaining`].
    Remaining(KeyReference),
    /// See [`Request::complete`].
    Complete(Box<Ask>),
}

impl Request {
    /// The one verb.
    ///
    /// # Errors
    /// `InvalidRequest` when there is none, or more than one.
    pub fn verb(self) -> sluicegate_core::Result<Verb> {
        let mut verbs = [
            self.decide.map(Verb::Decide),
            self.explain.map(Verb::Explain),
            self.report.map(Verb::Report),
            self.next.map(Verb::Next),
            self.cancel.map(Verb::Cancel),
            self.remaining.map(Verb::Remaining),
            self.complete.map(Verb::Complete),
        ]
        .into_iter()
        .flatten();
        match (verbs.next(), verbs.next()) {
            (Some(verb), None) => Ok(verb),
            _ => Err(sluicegate_core::Error::new(
                sluicegate_core::ErrorKind::InvalidRequest,
                "name exactly one of `decide`, `explain`, `report`, `next`, `cancel`, `remaining` and `complete`",
            )),
        }
    }
}

/// A call under way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its id, from the decision.
    pub call: String,
}

/// A key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyReference {
    /// The credential.
    pub key: Secret,
}

/// A call to decide about: either its facts, or its body, from which the facts are read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The credential of whoever calls.
    pub key: Option<Secret>,
    /// The facts.
    #[serde(default)]
    pub call: Option<CallFacts>,
    /// The format of `body`.
    #[serde(default)]
    pub format: Option<Format>,
    /// The request's body, as text. The answer then holds the body to send.
    #[serde(default)]
    pub body: Option<String>,
    /// The seed of random choices; absent: a new one.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Where the caller connects from.
    #[serde(default)]
    pub client_ip: Option<std::net::IpAddr>,
}

/// The facts of a call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFacts {
    /// The format.
    pub format: Format,
    /// The model as requested.
    pub model: String,
    /// Whether the answer is streamed.
    #[serde(default)]
    pub stream: bool,
    /// The most input tokens that can be billed; absent: the model's context window.
    #[serde(default)]
    pub input_bound: Option<u64>,
    /// A plausible count of input tokens.
    #[serde(default)]
    pub input_estimate: Option<u64>,
    /// The output ceiling that the caller named.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// The least output that makes sense, in tokens: a thinking budget plus 1,024; default 0.
    #[serde(default)]
    pub min_output: u64,
    /// Output tokens of each choice that may be billed beyond the ceiling, such as those of a predicted output; default 0.
    #[serde(default)]
    pub extra_output: u64,
    /// What the call says of thinking; default: nothing.
    #[serde(default)]
    pub thinking: Thinking,
    /// How many choices; default 1.
    #[serde(default)]
    pub choices: Option<u32>,
    /// What the call needs of a model.
    #[serde(default)]
    pub needs: Needs,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The end customer.
    #[serde(default)]
    pub customer: Option<String>,
}

/// How an attempt went.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// The call.
    pub call: String,
    /// How it went.
    pub outcome: ReportedOutcome,
}

/// How an attempt went. A status with its body is enough; the class is then read from them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportedOutcome {
    /// The upstream's status; absent when none came.
    pub status: Option<u16>,
    /// The upstream's body as text: usage is read from a successful one, the class from any other.
    pub body: Option<String>,
    /// The class, when the host knows better than status and body say (`unreachable`, `timeout`, `broken`,
    /// `client_gone` have no body to say it).
    pub class: Option<OutcomeClass>,
    /// The tokens used, when the host has read them.
    pub usage: Option<Usage>,
    /// The service tier that the answer says it was served at (`standard`, `flex`, `batch`, `priority`, `ultrafast`), when the
    /// host has read it; else it is read from the body.
    pub service_tier: Option<ServiceTier>,
    /// Output tokens delivered as far as the host can tell, for an answer that broke off or reports nothing.
    pub delivered_tokens: Option<u64>,
    /// The pause that the upstream asked for, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

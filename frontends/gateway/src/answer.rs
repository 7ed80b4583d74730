//! What a frontend hands to the gateway, and what it gets back. No HTTP types: any frontend can speak them.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::channel::Translation;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::guardrail::GuardrailMarks;
use sluicegate_core::ledger::LimitState;
use sluicegate_core::{CallId, DENIAL, Error, ErrorKind, Explanation, Format, Retry, Secret};
use sluicegate_wire::Report;

use crate::background::FollowStream;
use crate::raw::RawStream;
use crate::stream::AnswerStream;

/// What the address of a request says where its body doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The model, decoded.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// One inference request.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The format of its body; the answer has the same.
    pub format: Format,
    /// The path that it came to, for keys that aren't for every one; left out, it is none but a call.
    pub path: Option<Box<str>>,
    /// What its address says, in formats that have the model there. Without it, the body's `model` and `stream` count.
    pub address: Option<Address>,
    /// The key that the caller presented, wherever their SDK puts it.
    pub credential: Option<Secret>,
    /// The body, decompressed.
    pub body: Bytes,
    /// Where the caller connects from, trusted proxies taken into account.
    pub client_ip: Option<IpAddr>,
    /// Our id for the call; made by the gateway when the frontend gives none.
    pub id: Option<CallId>,
    /// Request headers that may matter upstream, lower case: `anthropic-version`, `anthropic-beta`, `openai-beta`,
    /// `traceparent`. Others are ignored.
    pub headers: Vec<(String, String)>,
    /// The caller's headers that channels ask for, lower case: see [`Snapshot::wanted_headers`](sluicegate_core::Snapshot::wanted_headers).
    /// Mostly none.
    pub client_headers: Vec<(String, String)>,
    /// Tags from headers.
    pub tags: Vec<String>,
    /// Whether to say why it went where it went, in [`Facts::told`].
    pub explain: bool,
    /// What the caller wants of translations: they can only ask for more than its channels do.
    pub translation: Translation,
}

impl Inbound {
    /// A request with nothing but a body and a key.
    pub fn new(format: Format, credential: &str, body: impl Into<Bytes>) -> Self {
        Self {
            format,
            path: None,
            address: None,
            credential: Some(Secret::new(credential)),
            body: body.into(),
            client_ip: None,
            id: None,
            headers: Vec::new(),
            client_headers: Vec::new(),
            tags: Vec::new(),
            explain: false,
            translation: Translation::default(),
        }
    }
}

/// The header by which a caller wants a call whole or not at all, lower case.
pub const TRANSLATION_HEADER: &str = "x-sluicegate-translation";

/// What the value of [`TRANSLATION_HEADER`] asks for; without one, whatever the channels do.
///
/// # Errors
/// `InvalidRequest` for a word that there isn't: who asks for more mustn't get less because of a slip.
pub fn asked_translation(value: Option<&[u8]>) -> Result<Translation, Error> {
    match value.map(<[u8]>::trim_ascii) {
        None | Some(b"drop") => Ok(Translation::Drop),
        Some(b"strict") => Ok(Translation::Strict),
        Some(_) => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("the header `{TRANSLATION_HEADER}` is `strict` or `drop`"),
        )),
    }
}

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    /// The body.
    pub body: AnswerBody,
    /// What a whole body is, where it isn't JSON.
    pub content_type: Option<String>,
    /// What there is to say about it.
    pub facts: Facts,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// One document, of JSON where [`Answer::content_type`] says nothing else.
    Full(Bytes),
    /// Server-sent events. The call is settled when the stream ends or is dropped.
    Stream(Box<AnswerStream>),
    /// Server-sent events of a response that is worked on in the background, whether or not somebody reads them.
    Follow(Box<FollowStream>),
    /// What isn't looked at, such as sound, as it comes. The call is settled when it ends or is dropped.
    Raw(Box<RawStream>),
}

/// What the gateway says about a call, besides its answer: frontends put it into `x-sluicegate-*` headers.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Our id for the call.
    pub id: Option<CallId>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The channel that answered, by name.
    pub channel: Option<String>,
    /// The model that answered, as its upstream knows it.
    pub upstream_model: Option<String>,
    /// The cheaper model that was asked instead, because a limit left no more.
    pub downgraded: Option<String>,
    /// The upstream's own id for the request, when it gave one.
    pub upstream_request_id: Option<String>,
    /// What the call cost, in nano-USD; `None` for a stream, whose end it is not, and for a model without a price.
    pub spend: Option<i64>,
    /// Whether the model has a known price.
    pub unpriced: bool,
    /// The output ceiling that was sent, when the gateway set or lowered it.
    pub ceiling: Option<u64>,
    /// What is left of the limits of the caller's own scopes.
    pub remaining: Vec<Remaining>,
    /// Who counted, where tokens were to be counted.
    pub counted_by: Option<CountedBy>,
    /// What the translation dropped or approximated.
    pub losses: Vec<String>,
    /// What guardrails did until the answer began.
    pub guardrails: GuardrailMarks,
    /// Why it went where it went, when that was asked. As operators see it: what of it a caller may see is for frontends to
    /// heed.
    pub told: Option<Box<Told>>,
}

/// Who counts a call's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// The upstream that would serve it.
    Upstream,
    /// The gateway: nobody else could be asked.
    Gateway,
}

impl CountedBy {
    /// As a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            CountedBy::Upstream => "upstream",
            CountedBy::Gateway => "gateway",
        }
    }
}

/// Why a call went where it went.
#[derive(Clone, Debug)]
pub struct Told {
    /// Who called.
    pub caller: Arc<BoundCaller>,
    /// Every reason until then.
    pub explanation: Explanation,
    /// How every limit of the caller's chain stands now.
    pub limits: Vec<LimitState>,
}

/// What is left of one limit of the caller's own scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The limit: scope, metric, window and model if any, such as `key-total_tokens-day`.
    pub name: Arc<str>,
    /// The most that may be used.
    pub max: i64,
    /// What is left.
    pub remaining: i64,
    /// When it resets, as milliseconds since the epoch; `None` when it never does.
    pub resets_at_ms: Option<i64>,
}

/// A call that got no answer.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Why: kind, retry and context.
    pub error: Error,
    /// The same, to be rendered in the caller's format.
    pub report: Report,
    /// The status that the upstream gave, when its refusal of the request itself is passed on.
    pub upstream_status: Option<u16>,
    /// What there is to say about it.
    pub facts: Facts,
}

impl Rejection {
    /// A rejection for an error of ours.
    pub fn new(error: Error) -> Self {
        let mut report = Report::new(error.kind(), error.message());
        for (key, value) in error.context() {
            match *key {
                "param" => report.param = Some(value.clone()),
                DENIAL => {}
                _ => report.extra.push(((*key).to_owned(), value.clone())),
            }
        }
        Self { error, report, upstream_status: None, facts: Facts::default() }
    }

    /// The body in the caller's format.
    pub fn body(&self, format: Format) -> Bytes {
        match self.error.retry() {
            Retry::AfterMs(ms) => self.report.clone().with_retry(format, ms).body(format),
            _ => self.report.body(format),
        }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

//! Responses that are kept for their callers: conversations go on from them, and they can be read again.
//!
//! What a response is kept under is its owner and its id; a foreign id is answered as one that nobody has. A conversation that
//! goes on is put together from what is kept and sent whole, so that any channel can serve it, with a bound that is known. Only
//! where its own channel keeps it too, and is asked again, the caller's own bytes go there as they are.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate_core::engine::{Attempt, BoundCaller};
use sluicegate_core::{Call, CallId, Caller, ChannelId, Error, ErrorKind, Format, Result, Timestamp, hash};
use sluicegate_wire::conversation::{
    Keeper, Turn, conversation_of, input_items, item_count, item_ids, references, with_history, with_items,
};
use sluicegate_wire::{Report, Scanned, Shown, scan};

use crate::answer::Rejection;
use crate::background::{self, Live};
use crate::gateway::{Gateway, Inner};
use crate::store::{KeptResponse, ResponseOwner};

/// A larger response isn't kept, with its input, in bytes.
// BOUND: of a row.
const KEPT_MAX: usize = 8 << 20;
/// Input items are listed so many at a time, at most.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 20;
/// Of so many responses a call may name items, and of so many bytes.
const NAMED_MAX: usize = 1_024;
const NAMED_BYTES_MAX: usize = 64 << 20;

/// A call that goes on from a response that is kept.
pub(crate) struct Continued {
    /// The request as it came.
    original: Box<Scanned>,
    /// The channel that has the conversation as well; empty when none does.
    channel: ChannelId,
    conversation: u64,
    unseen: u64,
    /// The response that it goes on from as a whole; `None` when it only refers to items.
    previous: Option<String>,
    /// The conversation that it is of, which gets what is said.
    thread: Option<String>,
    /// So many items of the whole input were there before.
    before: usize,
}

/// Puts a conversation together that the call goes on from, or refers to items of. Any other call stays as it is.
///
/// # Errors
/// `InvalidRequest` when nobody has that response or item, when it belongs to somebody else or isn't kept any more, or when the
/// whole is larger than a body may be.
pub(crate) async fn continued(
    inner: &Inner,
    caller: &Arc<BoundCaller>,
    scanned: Box<Scanned>,
) -> std::result::Result<(Box<Scanned>, Option<Box<Continued>>), Box<Rejection>> {
    if scanned.format() != Format::OpenaiResponses {
        return Ok((scanned, None));
    }
    let previous = scanned.facts().previous_response.clone();
    let thread = conversation_of(scanned.body())
        .map_err(|why| crate::serve::rejection(Report::from(&why), why.kind()))?;
    if previous.is_none() && thread.is_none() && !scanned.refers_to_items() {
        return Ok((scanned, None));
    }
    let owner = ResponseOwner::of(&caller.caller);
    let named = named(inner, &owner, scanned.body()).await?;
    let turns = match (&previous, &thread) {
        (Some(id), _) => turns(inner, &owner, id).await?,
        (None, Some(id)) => {
            if scanned.facts().store == Some(false) {
                let message = "a conversation keeps what is said in it: leave `store` out";
                return Err(Box::new(Rejection::new(Error::new(ErrorKind::InvalidRequest, message))));
            }
            vec![crate::conversation::as_turn(inner, &owner, id).await.map_err(Rejection::new)?]
        }
        (None, None) => Vec::new(),
    };
    let Some(last) = turns.last().or(named.last()) else { return Ok((scanned, None)) };
    let bodies: Vec<&str> = named.iter().map(|it| &*it.body).collect();
    let limit = inner.file.host.body_limit_bytes;
    let own = match named.is_empty() {
        true => scanned.body().clone(),
        false => with_items(scanned.body(), &bodies, limit).ok_or_else(|| too_large(limit))?,
    };
    let history: Vec<Turn<'_>> =
        turns.iter().map(|turn| Turn { input: &turn.input, response: &turn.body }).collect();
    let body = if history.is_empty() { own.clone() } else { with_history(&own, &history) };
    if body.len() as u64 > limit {
        return Err(too_large(limit));
    }
    // The caller's own references are items by now. Upstreams look others up among those of all tenants.
    if let Some((at, id)) = references(&body).into_iter().next().filter(|_| thread.is_some()) {
        let message = format!("no item with the id `{}` is kept for this key", shown(&id));
        return Err(unknown("item_not_found", format!("input[{at}].id"), message));
    }
    let mut whole = scan(Format::OpenaiResponses, &body)
        .map(Box::new)
        .map_err(|why| Rejection::new(Error::new(why.kind(), why.message().to_owned())))?;
    let used = || turns.iter().chain(&named);
    let unseen = used().fold(0u64, |sum, turn| sum.saturating_add(turn.unseen));
    whole.continues(previous.as_deref(), unseen);
    // What is to be found in one place must all be there.
    let is_there = named.iter().all(|it| it.channel == last.channel);
    let continued = Box::new(Continued {
        channel: if is_there { last.channel.clone() } else { ChannelId::from("") },
        conversation: last.conversation,
        unseen,
        previous,
        thread,
        before: item_count(whole.body()).saturating_sub(item_count(&own)),
        original: scanned,
    });
    Ok((whole, Some(continued)))
}

/// A conversation, the oldest turn first; at least one.
async fn turns(
    inner: &Inner,
    owner: &ResponseOwner,
    id: &str,
) -> std::result::Result<Vec<KeptResponse>, Box<Rejection>> {
    let turns = inner.store.conversation(owner, id, inner.clock.now()).await.map_err(Rejection::new)?;
    if turns.is_empty() {
        let message = format!("no response with the id `{}` is kept for this key", shown(id));
        return Err(unknown("previous_response_not_found", "previous_response_id".to_owned(), message));
    }
    if let Some(status) = turns.last().and_then(|last| background::unfinished(&last.body)) {
        let message = format!("the response `{}` is {status}: go on from one that is completed", shown(id));
        return Err(unknown("previous_response_not_completed", "previous_response_id".to_owned(), message));
    }
    Ok(turns)
}

/// The responses whose items the input refers to, in the order in which it does, each once.
async fn named(
    inner: &Inner,
    owner: &ResponseOwner,
    body: &[u8],
) -> std::result::Result<Vec<KeptResponse>, Box<Rejection>> {
    let mut found: Vec<KeptResponse> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    let mut size = 0;
    for (at, id) in references(body) {
        if known.contains(&id) {
            continue;
        }
        let kept =
            inner.store.response_of_item(owner, &id, inner.clock.now()).await.map_err(Rejection::new)?;
        let Some(kept) = kept else {
            let message =
                format!("no item with the id `{}` is kept for this key: send the item itself", shown(&id));
            return Err(unknown("item_not_found", format!("input[{at}]"), message));
        };
        size += kept.body.len();
        // BOUND: memory of a call, and of what it makes the database read.
        if found.len() >= NAMED_MAX || size > NAMED_BYTES_MAX {
            return Err(too_large(inner.file.host.body_limit_bytes));
        }
        known.extend(item_ids(&kept.body));
        found.push(kept);
    }
    Ok(found)
}

fn unknown(code: &'static str, param: String, message: String) -> Box<Rejection> {
    let report = Report {
        code: Some(code.into()),
        param: Some(param),
        ..Report::new(ErrorKind::InvalidRequest, message.as_str())
    };
    let rejection = Rejection::new(Error::new(ErrorKind::InvalidRequest, message));
    Box::new(Rejection { report, ..rejection })
}

fn too_large(limit_bytes: u64) -> Box<Rejection> {
    let message = format!(
        "the conversation is larger than {limit_bytes} bytes: begin a new one, or send what matters of it in `input`"
    );
    Box::new(Rejection::new(Error::new(ErrorKind::PayloadTooLarge, message)))
}

pub(crate) fn shown(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl Continued {
    /// What was read anew still is the conversation.
    pub(crate) fn mark(&self, scanned: &mut Scanned) {
        scanned.continues(self.previous.as_deref(), self.unseen);
    }

    /// What a response says of what it goes on from, whoever makes it.
    pub(crate) fn shown(&self) -> Shown {
        let shown = self.previous.iter().fold(Shown::default(), |shown, id| shown.previous(id));
        self.thread.iter().fold(shown, |shown, id| shown.conversation(id))
    }

    /// The conversation stays where it is, if it can.
    pub(crate) fn bind(&self, call: &mut Call) {
        call.conversation = Some(self.conversation);
        call.bound |= !self.channel.as_str().is_empty();
    }

    /// The request as it came, for the channel that has the conversation.
    pub(crate) fn at(&self, attempt: &Attempt) -> Option<&Scanned> {
        let is_own = attempt.channel().id == self.channel
            && attempt.endpoint().format.is_of_responses()
            && attempt.key() == 0;
        is_own.then_some(&self.original)
    }
}

/// A response that is to be kept, until it is there.
pub(crate) struct Keep {
    owner: ResponseOwner,
    /// What it is made from; `None` when that is too large to be kept, so that only its conversation is told.
    input: Option<Arc<str>>,
    /// The conversation that gets what is said, and what is new of the input.
    thread: Option<(String, String)>,
    /// The work on it in the background, and what is held for that, beside what an attempt sends.
    job: Option<(Arc<Live>, u64)>,
    previous: Option<String>,
    conversation: Option<u64>,
    channel: ChannelId,
    created_at: Timestamp,
    expires_at: Timestamp,
    keeper: Keeper,
}

impl Keep {
    /// Whether the caller wants the response kept: unless told otherwise, as the format has it.
    pub(crate) fn begin(
        inner: &Inner,
        caller: &Arc<BoundCaller>,
        scanned: &Scanned,
        continued: Option<&Continued>,
    ) -> Option<Box<Self>> {
        let facts = scanned.facts();
        let kept_ms = inner.host.load().retention.responses_ms;
        if scanned.format() != Format::OpenaiResponses || facts.store == Some(false) || kept_ms == 0 {
            return None;
        }
        let now = inner.clock.now();
        let before = continued.map_or(0, |it| it.before);
        let thread = continued.and_then(|it| it.thread.clone());
        let thread = thread.map(|id| (id, input_items(scanned.body(), before)));
        // A conversation may go on otherwise: what a response in it was made from is all of the input.
        let input = input_items(scanned.body(), if thread.is_some() { 0 } else { before });
        let input = Some(input).filter(|input| input.len() <= KEPT_MAX).map(Arc::from);
        (input.is_some() || thread.is_some()).then(|| {
            Box::new(Self {
                owner: ResponseOwner::of(&caller.caller),
                input,
                thread,
                job: None,
                previous: continued.and_then(|it| it.previous.clone()),
                conversation: continued.map(|it| it.conversation),
                channel: ChannelId::from(""),
                created_at: now,
                expires_at: now.plus_ms(i64::try_from(kept_ms).unwrap_or(i64::MAX)),
                keeper: Keeper::new(facts.stream),
            })
        })
    }

    /// The attempt that answers. In the format's own words, its channel keeps the response too; with one of several keys it may
    /// be of an account that the next call isn't sent with.
    pub(crate) fn made_by(&mut self, attempt: &Attempt, format: Format, sent: &Scanned) {
        let keeps = format == Format::OpenaiResponses && sent.facts().store != Some(false);
        let one = attempt.channel().key_count() <= 1;
        self.channel = if keeps && one { attempt.channel().id.clone() } else { ChannelId::from("") };
    }

    /// It is worked on in the background, for which so many bytes are held: what is kept of it until it is there, as JSON. `None`
    /// when it is too large for that.
    pub(crate) fn begin_job(&mut self, live: &Arc<Live>, held: u64, body: String) -> Option<KeptResponse> {
        let (id, input) = (live.id(), Arc::clone(self.input.as_ref()?));
        self.job = Some((Arc::clone(live), held));
        // Whoever made it knows it by another id.
        self.channel = ChannelId::from("");
        Some(KeptResponse {
            conversation: self.conversation.unwrap_or_else(|| hash::stable(id.as_bytes())),
            owner: self.owner.clone(),
            id: id.to_owned(),
            previous: self.previous.clone(),
            channel: ChannelId::from(""),
            unseen: 0,
            created_at: self.created_at,
            expires_at: self.expires_at,
            input,
            body: body.into(),
        })
    }

    /// An attempt sends so many bytes, which are held beside everything else.
    ///
    /// # Errors
    /// When work in the background would hold more than it may.
    pub(crate) fn sends(&self, inner: &Inner, bytes: u64) -> Result<()> {
        let Some((job, held)) = &self.job else { return Ok(()) };
        inner.jobs.holds(&self.owner, job, held.saturating_add(bytes))
    }

    /// So many bytes are held of what it is made from.
    pub(crate) fn held(&self) -> u64 {
        let own = self.input.as_ref().map_or(0, |input| input.len());
        let said = self.thread.as_ref().map_or(0, |(_, input)| input.len());
        own.saturating_add(said) as u64
    }

    pub(crate) fn push(&mut self, bytes: &Bytes) {
        self.keeper.push(bytes);
    }

    /// The call has ended: keeps its response, if there is one.
    pub(crate) fn done(mut self, inner: &Arc<Inner>) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        // Whatever is kept of it: it has ended, and what it cost is charged.
        if let Some((job, _)) = &self.job {
            job.note_answered();
        }
        let body = self.keeper.take()?;
        let fits = |input: &Arc<str>| input.len().saturating_add(body.len()) <= KEPT_MAX;
        let input = self.input.take().filter(fits);
        if input.is_none() && self.thread.is_none() {
            return None;
        }
        let response: Value = serde_json::from_str(&body).ok()?;
        let id = response.get("id")?.as_str()?.to_owned();
        let status = response.get("status").and_then(Value::as_str);
        let is_failed = status == Some("failed");
        // Of work in the background, whoever comes for it later is to see why.
        let is_over = matches!(status, Some("completed" | "incomplete")) || is_failed && self.job.is_some();
        if !is_over {
            return None;
        }
        // What is told apart by how it stands is written as we do.
        let body = if is_failed { response.to_string() } else { body };
        let thoughts =
            response.pointer("/usage/output_tokens_details/reasoning_tokens").and_then(Value::as_u64);
        let items = item_ids(&body);
        let job = self.job.take().map(|(job, _)| job);
        let thread = self.thread.take().filter(|_| !is_failed);
        let kept = KeptResponse {
            conversation: self.conversation.unwrap_or_else(|| hash::stable(id.as_bytes())),
            owner: self.owner,
            id,
            previous: self.previous,
            channel: if job.is_some() { ChannelId::from("") } else { self.channel },
            unseen: thoughts.unwrap_or(0),
            created_at: self.created_at,
            expires_at: self.expires_at,
            input: input.clone().unwrap_or_else(|| "".into()),
            body: body.into(),
        };
        let (store, now) = (Arc::clone(&inner.store), inner.clock.now());
        Some(Box::pin(async move {
            let stored = match &job {
                _ if input.is_none() => Ok(()),
                Some(job) => store.replace_response(&kept, &items).await.map(|_| job.note_kept()),
                None => store.keep_response(&kept, &items).await,
            };
            if let Err(error) = stored {
                tracing::warn!(%error, "a response couldn't be kept: nobody can go on from it");
            }
            let Some((id, input)) = thread else { return };
            let said = crate::conversation::said(&input, &kept);
            let lives = (now, kept.expires_at);
            let added = store.add_to_conversation(&kept.owner, &id, &said, lives, None).await;
            if let Err(error) = added {
                tracing::warn!(%error, "a conversation couldn't be told what was said in it");
            }
        }))
    }
}

/// Which input items to list.
#[derive(Clone, Debug, Default)]
pub struct InputItems {
    /// At most so many: 1 to 100; default 20.
    pub limit: Option<usize>,
    /// Those behind the item of this id.
    pub after: Option<String>,
    /// The oldest first. Default: the newest.
    pub ascending: bool,
}

impl Gateway {
    /// A response that is kept for this caller, as JSON.
    ///
    /// # Errors
    /// `NotFound` when there is none: never was, or belongs to somebody else, or isn't kept any more.
    pub async fn response(&self, caller: &Caller, id: &str) -> Result<String> {
        let owner = ResponseOwner::of(caller);
        background::as_it_stands(&self.inner, &owner, id).await?.ok_or_else(|| missing(id))
    }

    /// Forgets a response. What went on from it stays and can't go on.
    ///
    /// # Errors
    /// As [`response`](Self::response).
    pub async fn forget_response(&self, caller: &Caller, id: &str) -> Result<()> {
        let owner = ResponseOwner::of(caller);
        let key = (owner.clone(), id.to_owned());
        background::end(&self.inner, &key).await?;
        self.inner.jobs.let_go(&key);
        let gone = self.inner.store.forget_response(&owner, id, self.inner.clock.now()).await?;
        if gone { Ok(()) } else { Err(missing(id)) }
    }

    /// Everything that a response was made from, item by item, as the format lists it.
    ///
    /// # Errors
    /// As [`response`](Self::response); `InvalidRequest` when `limit` or `after` make no sense.
    pub async fn response_input(&self, caller: &Caller, id: &str, page: &InputItems) -> Result<Value> {
        limit_of(page)?;
        let owner = ResponseOwner::of(caller);
        let turns = self.inner.store.conversation(&owner, id, self.inner.clock.now()).await?;
        if turns.is_empty() {
            return Err(missing(id));
        }
        let mut items: Vec<Value> = Vec::new();
        let last = turns.len() - 1;
        for (at, turn) in turns.iter().enumerate() {
            items.extend(listed(turn));
            if at < last {
                let response: Value = serde_json::from_str(&turn.body).unwrap_or_default();
                let output = response.get("output").and_then(Value::as_array).cloned();
                items.extend(output.unwrap_or_default());
            }
        }
        paged(items, page)
    }
}

/// Items, the oldest first, as the format lists them.
fn paged(mut items: Vec<Value>, page: &InputItems) -> Result<Value> {
    let limit = limit_of(page)?;
    if !page.ascending {
        items.reverse();
    }
    let from = match &page.after {
        None => 0,
        Some(after) => {
            let at = items.iter().position(|item| id_of(item).as_ref() == Some(after));
            at.map(|at| at + 1)
                .ok_or_else(|| wrong("after", format!("no item has the id `{}`", shown(after))))?
        }
    };
    let more = items.len() > from + limit;
    Ok(page_of(items.into_iter().skip(from).take(limit).collect(), more))
}

/// A page of items, as the format lists them.
pub(crate) fn page_of(data: Vec<Value>, more: bool) -> Value {
    json!({
        "object": "list",
        "first_id": data.first().and_then(id_of),
        "last_id": data.last().and_then(id_of),
        "has_more": more,
        "data": data,
    })
}

fn id_of(item: &Value) -> Option<String> {
    item.get("id").and_then(Value::as_str).map(str::to_owned)
}

pub(crate) fn limit_of(page: &InputItems) -> Result<usize> {
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(wrong("limit", format!("`limit` must be from 1 to {PAGE_MAX}, not {limit}")))
}

/// What the ids of things are made of that a call makes.
pub(crate) fn bare(call: &CallId) -> &str {
    call.as_str().strip_prefix("call-").unwrap_or(call.as_str())
}

pub(crate) fn wrong(name: &'static str, message: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, message).with("param", name)
}

/// The turn's own input items, each with the type and id that it may lack.
fn listed(turn: &KeptResponse) -> Vec<Value> {
    named_items(&turn.input, turn.id.strip_prefix("resp_").unwrap_or(&turn.id))
}

/// Items, each with the type that it may lack, and with an id that has `made` in it if it has none.
pub(crate) fn named_items(items: &str, made: &str) -> Vec<Value> {
    let mut items: Vec<Value> = serde_json::from_str(items).unwrap_or_default();
    for (at, item) in items.iter_mut().enumerate() {
        let Some(fields) = item.as_object_mut() else { continue };
        if !fields.contains_key("type") {
            fields.insert("type".to_owned(), json!("message"));
        }
        if fields.get("type").and_then(Value::as_str) == Some("message")
            && let Some(text) = fields.get("content").and_then(Value::as_str).map(str::to_owned)
        {
            let kind = if fields.get("role").and_then(Value::as_str) == Some("assistant") {
                "output_text"
            } else {
                "input_text"
            };
            fields.insert("content".to_owned(), json!([{"type": kind, "text": text}]));
        }
        let prefix = match fields.get("type").and_then(Value::as_str) {
            Some("message") => "msg",
            Some("reasoning") => "rs",
            Some("function_call") => "fc",
            Some("custom_tool_call") => "ctc",
            Some("function_call_output" | "custom_tool_call_output") => "fco",
            _ => "item",
        };
        if fields.get("id").is_none_or(Value::is_null) {
            fields.insert("id".to_owned(), json!(format!("{prefix}_{made}_in{at}")));
        }
    }
    items
}

pub(crate) fn missing(id: &str) -> Error {
    let message = format!("no response with the id `{}` is kept for this key", shown(id));
    Error::new(ErrorKind::NotFound, message)
}

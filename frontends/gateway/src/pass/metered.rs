//! Calls that are passed through in a format that we know: they are let in, reserved and charged like a call of that format for
//! the model that their body names.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use sluicegate_config::{ModelFacts, model_facts, provider};
use sluicegate_core::call::{Billed, PASS_THROUGH_PREFIX};
use sluicegate_core::concern::Concern;
use sluicegate_core::decision::Denial;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::quirk::{Quirks, RequestChange};
use sluicegate_core::snapshot::{Snapshot, Unpriced};
use sluicegate_core::{Call, CallId, Channel, ChannelModel, Error, ErrorKind, Format, ModelName, Translated};
use sluicegate_wire::{Addressed, Report, Scanned, scan_addressed};

use super::allows;
use crate::answer::Rejection;
use crate::response::wrong;
use crate::serve::{refuse_unbounded, rejection};
use crate::upload::{MODEL_BYTES_MAX, Upload};

/// A body that isn't here by then never comes.
const READ_TIME: Duration = Duration::from_secs(600);
/// Nothing is known of the model: no model writes more.
const UNKNOWN_OUTPUT: u64 = 2_097_152;

/// A call in a known format.
pub(super) struct Metered {
    pub(super) format: Format,
    /// The body, which goes on as it is.
    pub(super) body: Bytes,
    scanned: Box<Scanned>,
    model: ModelName,
    /// A stream whose upstream needn't say what it used.
    is_silent: bool,
}

/// What an operation's address says.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    format: Format,
    /// The model, where it stands there.
    model: Option<&'a str>,
    stream: bool,
}

/// What calls to this path are in, if that is a format that we know: of any provider's, below whatever address.
fn place(path: &str) -> Option<Place<'_>> {
    // Servers may read a path in any case, and with a slash behind it.
    let path = path.trim_end_matches('/');
    let lower = path.to_ascii_lowercase();
    let (before, last) = lower.rsplit_once('/')?;
    let plain = |format, model| Some(Place { format, model, stream: false });
    // Azure's deployments are models, whatever the body says.
    let deployment = || {
        let at = lower.find("/deployments/")? + "/deployments/".len();
        path.get(at..)?.split('/').next()
    };
    match last {
        "completions" if before.ends_with("/chat") => plain(Format::OpenaiChat, deployment()),
        "completions" => plain(Format::OpenaiCompletions, deployment()),
        "embeddings" => plain(Format::OpenaiEmbeddings, deployment()),
        "responses" => plain(Format::OpenaiResponses, None),
        // Those of OpenAI's threads are no calls.
        "messages" if !before.contains("/threads/") => plain(Format::AnthropicMessages, None),
        _ => {
            let (_, verb) = last.rsplit_once(':')?;
            let stream = match verb {
                "generatecontent" => false,
                "streamgeneratecontent" => true,
                _ => return None,
            };
            let (model, _) = path.rsplit('/').next()?.rsplit_once(':')?;
            Some(Place { format: Format::GeminiGenerate, model: Some(model), stream })
        }
    }
}

/// The channels that may pass a call to `name` on.
pub(super) fn channels<'a>(
    snapshot: &'a Snapshot,
    caller: &'a BoundCaller,
    name: &str,
    path: &'a str,
) -> impl Iterator<Item = (&'a Channel, &'a ChannelModel)> {
    let group = snapshot.model_group(&format!("{PASS_THROUGH_PREFIX}{name}"));
    let candidates = group.into_iter().flat_map(|group| &group.candidates);
    candidates.filter_map(|it| snapshot.resolve(*it)).filter(|(channel, model)| {
        channel.enabled && model.is_pass_through() && caller.caller.may_use(channel) && allows(channel, path)
    })
}

impl Metered {
    /// Reads the body of a call to `path`, if it is of a format that we know and any channel passes it on; else leaves it.
    pub(super) async fn read(
        snapshot: &Snapshot,
        caller: &BoundCaller,
        (name, path): (&str, &str),
        body: &mut Option<Upload>,
    ) -> Result<Option<Self>, Box<Rejection>> {
        let Some(place) = place(path) else { return Ok(None) };
        if channels(snapshot, caller, name, path).next().is_none() {
            return Ok(None);
        }
        let Some(upload) = body.take() else { return Ok(None) };
        let bytes = tokio::time::timeout(READ_TIME, whole(upload))
            .await
            .unwrap_or_else(|_| {
                let message = "the body didn't come in time; send it again";
                Err(Error::new(ErrorKind::InvalidRequest, message))
            })
            .map_err(Rejection::new)?;
        let read = match place.model.filter(|_| place.format != Format::GeminiGenerate) {
            Some(model) => with_model(&bytes, model),
            None => bytes.clone(),
        };
        let at = place.model.map(|model| Addressed { model, stream: place.stream });
        let scanned = scan_addressed(place.format, &read, at)
            .map_err(|error| rejection(Report::from(&error), error.kind()))?;
        refuse_unbounded(&scanned, caller.has_strict_spend())?;
        // Nothing is taken out of what passes: what picks other models must not be in it.
        let takes =
            |channel: &Channel, field: &str| channel.client_overrides.iter().any(|name| name == field);
        let picks = scanned
            .facts()
            .fields(Concern::Routing)
            .find(|field| channels(snapshot, caller, name, path).any(|(channel, _)| !takes(channel, field)));
        if let Some(field) = picks {
            let message = format!("`{field}` picks other models than the one that is charged; leave it out");
            return Err(Box::new(Rejection::new(wrong(field, message))));
        }
        let (model, several) = {
            let (first, mut others) = scanned.facts().models();
            (ModelName::from(place.model.unwrap_or(first)), others.next().is_some())
        };
        if several {
            let message = "what is passed through is for one model: name one".to_owned();
            return Err(Box::new(Rejection::new(wrong("model", message))));
        }
        let format = place.format;
        let tells = |channel: &Channel| {
            let drops = |change: &RequestChange| matches!(change, RequestChange::Drop(fields) if fields.iter().any(|name| name == "stream_options"));
            // Who doesn't take the wish says it unasked.
            channel.quirks.request.iter().any(|it| drops(&it.change) && it.concerns(format, model.as_str()))
        };
        let asks = scanned.facts().stream && !scanned.facts().include_usage;
        let is_silent = asks
            && matches!(format, Format::OpenaiChat | Format::OpenaiCompletions)
            && channels(snapshot, caller, name, path).any(|(channel, _)| !tells(channel));
        let of_channel =
            channels(snapshot, caller, name, path).any(|(channel, _)| channel.has_strict_spend());
        let metered = Self { format, body: bytes, scanned: Box::new(scanned), model, is_silent };
        metered.check_stream(of_channel || caller.has_strict_spend())?;
        Ok(Some(metered))
    }

    /// Whether budgets that only become known with the call let it.
    pub(super) fn check(&self, strict_spend: bool) -> Result<(), Box<Rejection>> {
        refuse_unbounded(&self.scanned, strict_spend)?;
        self.check_stream(strict_spend)
    }

    /// What a model thinks unseen can only be charged where the stream says how much that was.
    fn check_stream(&self, strict_spend: bool) -> Result<(), Box<Rejection>> {
        if !strict_spend || !self.is_silent {
            return Ok(());
        }
        let message = "this stream wouldn't say what it used, and it has a strict budget: send `\"stream_options\":{\"include_usage\":true}`";
        Err(Box::new(Rejection::new(wrong("stream_options", message.to_owned()))))
    }

    /// The call that it is, with what it can use and what it is charged by; and why it is refused, if the caller may not use the model by
    /// any name, or it has no price and such are refused.
    pub(super) fn call(
        &self,
        snapshot: &Snapshot,
        caller: &BoundCaller,
        (name, path): (&str, &str),
        id: CallId,
    ) -> (Call, Option<Denial>) {
        let group = format!("{PASS_THROUGH_PREFIX}{name}");
        let all: Vec<_> = channels(snapshot, caller, name, path).collect();
        let is_own = |it: &&ChannelModel| !it.is_pass_through() && it.upstream == self.model;
        let own: Vec<&ChannelModel> =
            all.iter().flat_map(|(channel, _)| &channel.models).filter(is_own).collect();
        let own_name = format!("{group}/{}", self.model);
        let mut names = vec![self.model.as_str(), own_name.as_str()];
        names.extend(own.iter().map(|model| model.group.as_str()));
        let may_call = caller.caller.may_call_as(&names);
        let listed = all.iter().find_map(|(channel, _)| facts(channel, &self.model));
        let priced = own.iter().find(|model| model.price.is_known());
        let price = priced.map(|model| &model.price).or(listed.as_ref().map(|facts| &facts.price));
        let fee = all.iter().map(|(_, model)| model.price.per_request_nano_usd).max().unwrap_or(0);
        let billed = price.filter(|price| price.is_known()).map(|price| {
            let mut price = price.clone();
            price.per_request_nano_usd = price.per_request_nano_usd.saturating_add(fee);
            Box::new(Billed { model: self.model.clone(), price })
        });
        let model = || self.model.clone();
        let denial = if !may_call {
            Some(Denial::UnknownModel { model: model(), available: Vec::new() })
        } else if billed.is_none() && snapshot.declared.quota.unpriced == Unpriced::Deny {
            Some(Denial::Unpriced { model: model() })
        } else {
            None
        };
        let first = own.first();
        let window =
            first.and_then(|it| it.context_window).or(listed.as_ref().and_then(|it| it.context_window));
        let most = first.and_then(|it| it.max_output).or(listed.as_ref().and_then(|it| it.max_output));
        let beyond =
            first.and_then(|it| it.extra_reasoning).or(listed.as_ref().and_then(|it| it.extra_reasoning));
        let mut call = self.scanned.facts().call(id, self.format);
        let quirks = || all.iter().map(|(channel, _)| &*channel.quirks);
        // No ceiling is written into what is passed through: one holds where each maker reads it by the name that it came by.
        let named = quirks()
            .map(|quirks| self.scanned.heeded_ceiling(quirks, self.model.as_str()))
            .try_fold(0, |most, named| Some(most.max(named?)));
        let ceiling = named.or(most).unwrap_or(UNKNOWN_OUTPUT);
        let beside = || quirks().map(|quirks| self.beside(quirks, &call)).max().unwrap_or(0);
        let thoughts = beyond.unwrap_or_else(beside);
        let output = match thoughts {
            0 => ceiling,
            // They must fit the context window, too.
            _ => ceiling.saturating_add(thoughts).min(window.unwrap_or(UNKNOWN_OUTPUT).max(ceiling)),
        };
        // As it came, translated by nobody.
        (call.format, call.extra_translated) = (Format::PassThrough, Translated::default());
        // A record of what never was a call of the channel's says for which model it was.
        call.model = ModelName::from(if may_call { group } else { own_name });
        call.fallbacks = None;
        call.input_bound = call.input_bound.or(window);
        call.extra_output = match self.format {
            Format::OpenaiEmbeddings => 0,
            _ => output.saturating_add(call.extra_output),
        };
        call.needs = sluicegate_core::call::Needs::default();
        call.billed = billed;
        (call, denial)
    }

    /// What the model may think on top of its ceiling.
    fn beside(&self, quirks: &Quirks, call: &Call) -> u64 {
        // The body goes as it came: what it says of thinking is what is sent.
        let all = quirks.beside_of(self.model.as_str(), false);
        all.iter().find(|it| it.is_in(self.format)).map_or(0, |it| it.tokens(call, self.format))
    }

    /// Whoever may not use a model learns nothing of it.
    pub(super) fn unknown(&self, name: &str) -> Error {
        let message = format!(
            "there is no model `{}` at `{PASS_THROUGH_PREFIX}{name}` for this key; ask for it, or for `{PASS_THROUGH_PREFIX}{name}/*`, to be added to the key's models",
            self.model
        );
        Error::new(ErrorKind::ModelNotFound, message).with("param", "model")
    }
}

/// What the price list knows of a model at a channel's provider.
fn facts(channel: &Channel, model: &ModelName) -> Option<ModelFacts> {
    provider(channel.provider.as_str()).and_then(|provider| model_facts(&provider, model.as_str()))
}

/// The whole body.
async fn whole(mut upload: Upload) -> Result<Bytes, Error> {
    let mut all = BytesMut::new();
    // BOUND: of each call under way.
    while let Some(piece) = upload.pieces.recv().await {
        all.put_slice(&piece?);
        if all.len() > MODEL_BYTES_MAX {
            let message = format!(
                "the body is longer than {} MiB, as no call to a model is; send less",
                MODEL_BYTES_MAX >> 20
            );
            return Err(Error::new(ErrorKind::PayloadTooLarge, message));
        }
    }
    Ok(all.freeze())
}

/// The body as it is read where its address names the model: what it says itself of that isn't heeded there, and may be missing.
fn with_model(body: &Bytes, model: &str) -> Bytes {
    let says =
        serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|read| read.get("model").is_some());
    let Some(rest) = body.trim_ascii_start().strip_prefix(b"{").filter(|_| !says) else {
        return body.clone();
    };
    let mut read = format!("{{\"model\":{},", serde_json::Value::from(model)).into_bytes();
    read.extend_from_slice(rest);
    read.into()
}

/// A body that is sent again from its beginning.
pub(super) fn again(body: Bytes) -> crate::upstream::Rest {
    let length = body.len() as u64;
    let (sender, pieces) = tokio::sync::mpsc::channel(1);
    // INVARIANT: there is room for one.
    drop(sender.try_send(Ok(body)));
    crate::upstream::Rest::new(pieces, Some(length), |_: &Bytes| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_which_format_calls_are_in() {
        let plain = |format| Some(Place { format, model: None, stream: false });
        let of = |format, model, stream| Some(Place { format, model: Some(model), stream });
        for (path, want) in [
            ("/chat/completions", plain(Format::OpenaiChat)),
            ("/v1/chat/completions/", plain(Format::OpenaiChat)),
            ("/V1/Chat/Completions", plain(Format::OpenaiChat)),
            ("/completions", plain(Format::OpenaiCompletions)),
            ("/responses", plain(Format::OpenaiResponses)),
            ("/responses/resp_1/cancel", None),
            ("/responses/compact", None),
            ("/v1/messages", plain(Format::AnthropicMessages)),
            ("/v1/messages/count_tokens", None),
            ("/v1/messages/batches", None),
            ("/threads/thread_1/messages", None),
            ("/embeddings", plain(Format::OpenaiEmbeddings)),
            ("/models/gemini-3-pro:generateContent", of(Format::GeminiGenerate, "gemini-3-pro", false)),
            ("/v1beta/models/Gemini-x:streamGenerateContent", of(Format::GeminiGenerate, "Gemini-x", true)),
            ("/models/gemini-3-pro:countTokens", None),
            ("/deployments/Mine/chat/completions", of(Format::OpenaiChat, "Mine", false)),
            ("/files", None),
            ("", None),
        ] {
            assert_eq!(place(path), want, "{path}");
        }
    }

    #[test]
    fn a_body_without_a_model_is_read_with_that_of_its_address() {
        for (body, want) in [
            (r#" {"messages":[]}"#, r#"{"model":"de\"ar","messages":[]}"#),
            (r#"{"messages":[],"model":"cheap"}"#, r#"{"messages":[],"model":"cheap"}"#),
            // What stands twice is seen twice.
            (r#"{"n":1,"n":2}"#, r#"{"model":"de\"ar","n":1,"n":2}"#),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(with_model(&Bytes::from(body), "de\"ar"), want, "{body}");
        }
    }
}

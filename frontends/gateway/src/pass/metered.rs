//! Calls that are passed through in a format that we know: they are let in, reserved and charged like a call of that format for
//! the model that their body names.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use sluicegate_config::unlisted_model;
use sluicegate_core::call::{Billed, BilledAt, PASS_THROUGH_PREFIX};
use sluicegate_core::channel::UNKNOWN_WINDOW;
use sluicegate_core::concern::Concern;
use sluicegate_core::decision::Denial;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::quirk::{Quirks, RequestChange};
use sluicegate_core::snapshot::{Snapshot, Unpriced};
use sluicegate_core::{Call, CallId, Channel, ChannelModel, Error, ErrorKind, Format, ModelName, Translated};
use sluicegate_wire::{Addressed, Report, Scanned, scan_addressed};
use smallvec::SmallVec;

use super::allows;
use crate::answer::Rejection;
use crate::response::wrong;
use crate::serve::{refuse_unbounded, rejection};
use crate::upload::{MODEL_BYTES_MAX, Upload};

/// A body that isn't here by then never comes.
const READ_TIME: Duration = Duration::from_secs(600);

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
        let bytes = whole(upload).await.map_err(Rejection::new)?;
        let read = match place.model.filter(|_| place.format != Format::GeminiGenerate) {
            Some(model) => with_model(&bytes, model),
            None => bytes.clone(),
        };
        let at = place.model.map(|model| Addressed { model, stream: place.stream });
        let scanned = scan_addressed(place.format, &read, at)
            .map_err(|error| rejection(Report::from(&error), error.kind()))?;
        refuse_unbounded(&scanned, place.format, caller.has_strict_spend())?;
        let all: SmallVec<[&Channel; 4]> =
            channels(snapshot, caller, name, path).map(|(channel, _)| channel).collect();
        let model = one_model(&scanned, &place, &all)?;
        let is_silent = is_silent(&scanned, (place.format, &model), &all);
        let metered =
            Self { format: place.format, body: bytes, scanned: Box::new(scanned), model, is_silent };
        let of_channel = all.iter().any(|channel| channel.has_strict_spend());
        metered.check_stream(of_channel || caller.has_strict_spend())?;
        Ok(Some(metered))
    }

    /// Whether budgets that only become known with the call let it.
    pub(super) fn check(&self, strict_spend: bool) -> Result<(), Box<Rejection>> {
        refuse_unbounded(&self.scanned, self.format, strict_spend)?;
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
        let own_name = format!("{group}/{}", self.model);
        let all: Vec<_> = channels(snapshot, caller, name, path)
            .map(|(channel, passed)| At { channel, passed, model: model_at(channel, &self.model) })
            .collect();
        let mut names = vec![self.model.as_str(), own_name.as_str()];
        let own = all.iter().flat_map(|at| listed(at.channel, &self.model));
        names.extend(own.map(|model| model.group.as_str()));
        let may_call = caller.caller.may_call_as(&names);
        let billed = billed(&self.model, &all);
        let denial = if !may_call {
            Some(Denial::UnknownModel { model: self.model.clone(), available: Vec::new() })
        } else if billed.is_none() && snapshot.declared.quota.unpriced == Unpriced::Deny {
            Some(Denial::Unpriced { model: self.model.clone() })
        } else {
            None
        };
        let mut call = self.scanned.facts().call(id, self.format);
        let output = |at: &At<'_>| {
            let ceiling = self.scanned.heeded_ceiling(&at.channel.quirks, self.model.as_str());
            output_bound(&call, ceiling, &at.channel.quirks, &at.model)
        };
        let output = all.iter().map(output).max().unwrap_or(UNKNOWN_WINDOW);
        // Whichever of them serves it.
        let mut windows = all.iter().map(|at| at.model.context_window);
        let window = windows.try_fold(0, |most, window| Some(window?.max(most))).filter(|most| *most > 0);
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

    /// Whoever may not use a model learns nothing of it.
    pub(super) fn unknown(&self, name: &str) -> Error {
        let (model, place) = (&self.model, format!("{PASS_THROUGH_PREFIX}{name}"));
        let message = format!(
            "there is no model `{model}` at `{place}` for this key; ask for it, or for `{place}/*`, to be added to the key's models"
        );
        Error::new(ErrorKind::ModelNotFound, message).with("param", "model")
    }
}

/// A channel that may pass a call on.
struct At<'a> {
    channel: &'a Channel,
    /// What stands there for all that is passed through.
    passed: &'a ChannelModel,
    /// The call's model, as it is there.
    model: ChannelModel,
}

/// What a channel lists by this name of the upstream's.
fn listed<'a>(channel: &'a Channel, model: &ModelName) -> impl Iterator<Item = &'a ChannelModel> {
    channel.models.iter().filter(move |it| !it.is_pass_through() && it.upstream == *model)
}

/// The entry of the operator's that stands for this model among others and has a price; of several the one that says most of the name.
fn standing<'a>(channel: &'a Channel, model: &ModelName) -> Option<&'a ChannelModel> {
    let stands = |it: &&ChannelModel| {
        let upstream = it.upstream.as_str();
        let is_one = upstream.split_once('*').is_some_and(|(before, after)| {
            // What the `*` of the group stands for is put in the place of this one, wherever it is.
            let name = model.as_str();
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        });
        is_one && !it.is_pass_through() && it.price.is_known()
    };
    channel.models.iter().filter(stands).max_by_key(|it| it.upstream.as_str().len())
}

/// A model as it is at a channel, listed there or not.
fn model_at(channel: &Channel, model: &ModelName) -> ChannelModel {
    if let Some(priced) = listed(channel, model).find(|it| it.price.is_known()) {
        return priced.clone();
    }
    let unlisted = unlisted_model(channel, model.as_str());
    // What is said of it alone goes before what is said of all that it is one of.
    let alone = listed(channel, model).next().cloned();
    let Some(own) = standing(channel, model) else {
        return match alone {
            Some(own) => ChannelModel { price: unlisted.price, regions: unlisted.regions, ..own },
            None => unlisted,
        };
    };
    let said = |of: fn(&ChannelModel) -> Option<u64>| {
        alone.as_ref().and_then(of).or_else(|| of(own)).or_else(|| of(&unlisted))
    };
    ChannelModel {
        price: own.price.clone(),
        regions: own.regions.clone(),
        context_window: said(|it| it.context_window),
        max_output: said(|it| it.max_output),
        extra_reasoning: said(|it| it.extra_reasoning),
        ..unlisted
    }
}

/// What a call to a model is charged by: the price that it has at each channel, or at the first that knows one, with the fee for what
/// is passed through.
fn billed(model: &ModelName, all: &[At<'_>]) -> Option<Box<Billed>> {
    let first = all.iter().find(|at| at.model.price.is_known())?;
    let mut each = all.iter().map(|at| {
        let own = if at.model.price.is_known() { &at.model } else { &first.model };
        let mut price = own.price.clone();
        price.per_request_nano_usd =
            price.per_request_nano_usd.saturating_add(at.passed.price.per_request_nano_usd);
        BilledAt { channel: at.channel.id.clone(), price, regions: own.regions.clone() }
    });
    let BilledAt { price, regions, .. } = each.next()?;
    let elsewhere = each.filter(|at| (&at.price, &at.regions) != (&price, &regions)).collect();
    Some(Box::new(Billed { model: model.clone(), price, regions, elsewhere }))
}

/// The most output that each choice of a call in its own format is billed at a channel with these quirks, where the model is this.
/// No ceiling is written into what is passed through: `ceiling` is the one that its maker reads, by the name that it came by. Without one
/// a model writes its longest answer, and whatever it thinks beside that.
fn output_bound(call: &Call, ceiling: Option<u64>, quirks: &Quirks, model: &ChannelModel) -> u64 {
    let beside = || {
        // The body goes as it came: what it says of thinking is what is sent.
        let all = quirks.beside_of(model.upstream.as_str(), false, ceiling.is_some());
        all.iter().find(|it| it.is_in(call.format)).map_or(0, |it| it.tokens(call, call.format))
    };
    let thoughts = model.extra_reasoning.unwrap_or_else(beside);
    model.most_output(ceiling.or(model.max_output).unwrap_or(UNKNOWN_WINDOW), thoughts)
}

/// The one model that a call is for. Nothing is taken out of what passes: what picks other models must not be in it.
fn one_model(scanned: &Scanned, place: &Place<'_>, all: &[&Channel]) -> Result<ModelName, Box<Rejection>> {
    let takes = |channel: &Channel, field: &str| channel.client_overrides.iter().any(|name| name == field);
    let picks = scanned
        .facts()
        .fields(Concern::Routing)
        .find(|field| all.iter().any(|channel| !takes(channel, field)));
    if let Some(field) = picks {
        let message = format!("`{field}` picks other models than the one that is charged; leave it out");
        return Err(Box::new(Rejection::new(wrong(field, message))));
    }
    let (first, mut others) = scanned.facts().models();
    if others.next().is_some() {
        let message = "what is passed through is for one model: name one".to_owned();
        return Err(Box::new(Rejection::new(wrong("model", message))));
    }
    Ok(ModelName::from(place.model.unwrap_or(first)))
}

/// Whether it is a stream of which some channel's upstream needn't say what it used.
fn is_silent(scanned: &Scanned, (format, model): (Format, &ModelName), all: &[&Channel]) -> bool {
    let tells = |channel: &Channel| {
        let drops = |change: &RequestChange| matches!(change, RequestChange::Drop(fields) if fields.iter().any(|name| name == "stream_options"));
        // Who doesn't take the wish says it unasked.
        channel.quirks.request.iter().any(|it| drops(&it.change) && it.concerns(format, model.as_str()))
    };
    let is_unasked = scanned.facts().stream && !scanned.facts().include_usage;
    is_unasked
        && matches!(format, Format::OpenaiChat | Format::OpenaiCompletions)
        && all.iter().any(|channel| !tells(channel))
}

/// The whole body, if it comes in time.
async fn whole(upload: Upload) -> Result<Bytes, Error> {
    let read = tokio::time::timeout(READ_TIME, pieces(upload)).await;
    read.unwrap_or_else(|_| {
        let message = "the body didn't come in time; send it again";
        Err(Error::new(ErrorKind::InvalidRequest, message))
    })
}

async fn pieces(mut upload: Upload) -> Result<Bytes, Error> {
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
    fn output_is_bounded_by_the_ceiling_that_is_read_else_by_the_longest_answer_and_thought() {
        let quirks: Quirks = serde_json::from_str(
            r#"{"beside":[{"id":"c","most":10,"covered":true,"source":"s","checked":"d"},{"id":"u","most":70,"covered":false,"source":"s","checked":"d"}]}"#,
        )
        .unwrap();
        let none = Quirks::default();
        for (ceiling, (longest, window, own), quirks, want) in [
            (Some(50), (Some(200), Some(1_000), None), &quirks, 60),
            (None, (Some(200), Some(1_000), None), &quirks, 270),
            (None, (Some(200), Some(220), None), &quirks, 220),
            // What is known of the model goes before its provider's.
            (None, (Some(200), Some(1_000), Some(0)), &quirks, 200),
            (Some(50), (Some(200), Some(1_000), Some(500)), &quirks, 550),
            (Some(50), (Some(200), Some(30), Some(500)), &quirks, 50),
            (None, (Some(200), None, None), &none, 200),
            (None, (None, None, None), &quirks, UNKNOWN_WINDOW),
        ] {
            let model = ChannelModel {
                context_window: window,
                max_output: longest,
                extra_reasoning: own,
                ..unlisted_model(&Channel::new("c", "c", "mock"), "m")
            };
            let call = Call::new("c", Format::OpenaiChat, "m");
            let note = format!("{ceiling:?} {longest:?} {window:?} {own:?}");
            assert_eq!(output_bound(&call, ceiling, quirks, &model), want, "{note}");
        }
    }

    #[test]
    fn an_entry_stands_for_what_its_star_may_be_and_what_is_said_of_one_alone_goes_before() {
        let mut channel = Channel::new("c", "c", "openai");
        let entry = |upstream: &str, input: Option<u64>, max_output: Option<u64>, thoughts: Option<u64>| {
            let price = sluicegate_core::price::Price { input, output: input, ..Default::default() };
            let other = unlisted_model(&Channel::new("c", "c", "mock"), upstream);
            ChannelModel { price, max_output, extra_reasoning: thoughts, ..other }
        };
        channel.models = vec![
            entry("*", Some(1), Some(8_192), None),
            entry("vendor/*-latest", Some(3), None, None),
            entry("in-house", None, Some(200_000), Some(200_000)),
            entry("listed", Some(7), Some(9), None),
        ];
        for (model, want) in [
            ("vendor/big-latest", (Some(3), None, None)),
            ("vendor/-latest", (Some(3), None, None)),
            // Shorter than what stands around the star.
            ("vendor-latest", (Some(1), Some(8_192), None)),
            ("vendor/big", (Some(1), Some(8_192), None)),
            ("in-house", (Some(1), Some(200_000), Some(200_000))),
            ("listed", (Some(7), Some(9), None)),
        ] {
            let at = model_at(&channel, &ModelName::from(model));
            assert_eq!((at.price.input, at.max_output, at.extra_reasoning), want, "{model}");
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

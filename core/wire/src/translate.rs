//! From one format to another, through the neutral model.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use sluicegate_core::Format;

use crate::bridge::{Body, BridgeOptions, End, Reply, cut_off, fault_of};
use crate::error::{Result, WireError};
use crate::fault::{Fault, FaultClass};
use crate::ir::{Citation, Event, Fold, Head, Item, Request, ToolChoice};
use crate::json::{Val, object};
use crate::lines::Lines;
use crate::loss::Losses;
use crate::names::Names;
use crate::observed::Observed;
use crate::prepare::Prepared;
use crate::report::Report;
use crate::scan::Scanned;
use crate::splice::{Edits, ceiling_name};
use crate::sse::{Splitter, fields};
use crate::tap::Tap;
use crate::unwrap::Unwrap;
use crate::{anthropic, cohere, gemini, ollama, openai_chat, openai_completions, openai_responses};

/// The output ceiling for Anthropic when neither the caller nor the host names one, in tokens: it wants one.
const DEFAULT_MAX_OUTPUT: u64 = 8_192;

/// Translates a request.
pub(crate) fn request(scanned: &Scanned, edits: &Edits<'_>, target: Format) -> Result<Prepared> {
    let mut losses = Losses::default();
    let mut names = Names::default();
    let body = Val::trusted(scanned.text());
    let mut request = match scanned.format() {
        Format::AnthropicMessages => anthropic::request(body, edits.drop, &mut losses)?,
        Format::GeminiGenerate => {
            let request = gemini::request(body, edits.drop, &mut losses)?;
            let facts = scanned.facts();
            Request { model: facts.model.clone(), stream: facts.stream, ..request }
        }
        Format::OpenaiResponses => openai_responses::request(body, edits.drop, &mut losses)?,
        Format::OpenaiCompletions => {
            let request = openai_completions::request(body, edits.drop, &mut losses)?;
            // One that names no ceiling has the format's own.
            Request { max_output: scanned.facts().max_output, ..request }
        }
        _ => openai_chat::request(body, edits.drop, &mut losses)?,
    };
    if let Some(model) = edits.model {
        request.model = model.to_owned();
    }
    crate::heed::heed(&mut request, target, edits.quirks, &mut losses);
    names.as_functions = request.as_functions;
    crate::search::heed_choice(&mut request, scanned.format(), &mut losses);
    crate::search::heed_target(&mut request, target, edits.web_search, &mut losses);
    let mut declared = HashSet::new();
    if let Some(twice) = request.tools.iter().find(|tool| !declared.insert(tool.name.as_str())) {
        // Calls of either could not be told apart.
        return Err(WireError::invalid(format!(
            "the tool `{}` is declared twice: give each its own name",
            twice.name
        ))
        .at("tools"));
    }
    heed_undeclared(&mut request, &mut losses);
    crate::heed::heed_choice(&mut request, target, edits.quirks, &mut losses);
    request.max_output = edits.max_output.or(request.max_output);
    // QUIRK(anthropic, 2026-11): the ids of a conversation's calls are unique there; some upstreams count anew in each answer.
    // Everywhere those of a turn are.
    request.distinguish(target == Format::AnthropicMessages);
    // Gemini's results stand by the names of their calls, and are put right where they are written.
    if target != Format::GeminiGenerate {
        request.pair(&mut losses);
    }
    let text = match target {
        Format::AnthropicMessages => {
            let max = request.max_output.unwrap_or(DEFAULT_MAX_OUTPUT);
            anthropic::form_as_tool(&mut request, &mut names, &mut losses)?;
            anthropic::encode(&request, max, edits.set, &mut names, &mut losses)?
        }
        Format::GeminiGenerate => gemini::encode(&request, edits.set, &mut names, &mut losses)?,
        Format::OpenaiResponses => openai_responses::encode(&request, edits.set, &mut names, &mut losses)?,
        Format::CohereChat => cohere::encode(&request, edits.set, &mut names, &mut losses)?,
        Format::OllamaChat => ollama::encode(&request, edits.set, &mut names, &mut losses)?,
        _ => {
            let ceiling = ceiling_name(target, edits.ceiling_field, &request.model);
            openai_chat::encode(&request, ceiling, edits, &mut names, &mut losses)?
        }
    };
    let text = set_once(text, edits.set);
    let echo = (scanned.format() == Format::OpenaiResponses).then(|| {
        let previous = scanned.facts().previous_response.as_deref();
        openai_responses::echo(body, previous).into()
    });
    let reply = Reply {
        hide_usage: false,
        names: names.into(),
        usage_wanted: scanned.facts().include_usage,
        echo,
        wav: target == Format::GeminiGenerate
            && gemini::wanted_sound(&request)?.is_some_and(|sound| sound.wav),
        model: (target == Format::CohereChat).then(|| request.model.as_str().into()),
        ..Reply::default()
    };
    Ok(Prepared { body: Bytes::from(text), losses, reply, streams: false })
}

/// A choice among tools that the target isn't told of, such as a provider's own, would be refused.
fn heed_undeclared(request: &mut Request, losses: &mut Losses) {
    let Request { tools, tool_choice, allowed_tools, search, .. } = request;
    let declared: HashSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let is_declared = |name: &String| declared.contains(name.as_str());
    if matches!(tool_choice, Some(ToolChoice::Named(name)) if !is_declared(name)) {
        losses.dropped("tool_choice", "the tool that it names isn't one that the target is told of");
        *tool_choice = None;
    }
    let asked = allowed_tools.len();
    allowed_tools.retain(is_declared);
    if allowed_tools.len() == asked {
        return;
    }
    losses.approximated("tool_choice", "not all allowed tools are ones that the target is told of");
    if allowed_tools.is_empty() {
        tools.clear();
        if search.is_none() {
            *tool_choice = None;
        }
    }
}

/// What a channel sets was appended: of a field of that name that we had written ourselves nothing stays.
fn set_once(text: String, set: &[(&str, &str)]) -> String {
    let is_set = |name: &str| set.iter().any(|(set, _)| *set == name);
    if set.is_empty() || Val::trusted(&text).members().filter(|(name, _)| is_set(name)).count() <= set.len() {
        return text;
    }
    object(|o| {
        let own = Val::trusted(&text).members().filter(|(name, _)| !is_set(name));
        own.for_each(|(name, value)| o.raw(&name, value.raw()));
        set.iter().for_each(|(name, value)| o.raw(name, value));
    })
}

/// What is left of an event for a caller who can't be spoken to, or told more than a text.
fn heard(event: Event, caller: Format, losses: &mut Losses) -> Option<Event> {
    let hears = matches!(caller, Format::OpenaiChat | Format::GeminiGenerate);
    match event {
        Event::Sound(_) if !hears => {
            losses.dropped("audio", "the caller's format has no sound in answers");
            None
        }
        Event::Transcript(words) if !hears => Some(Event::Text(words)),
        event if caller == Format::OpenaiCompletions => openai_completions::told(event, losses),
        event => Some(event),
    }
}

/// Translates one answer.
#[derive(Debug)]
pub(crate) struct Translator {
    tap: Tap,
    source: Source,
    decoder: Decoder,
    unwrap: Unwrap,
    sink: Sink,
    caller: Format,
    names: std::sync::Arc<Names>,
    present_model: Option<String>,
    input_estimate: u64,
    /// What is spoken is put into a file.
    wav: bool,
    losses: Losses,
    /// The last event was written.
    done: bool,
}

#[derive(Debug)]
enum Source {
    Stream(Splitter),
    Lines(Lines),
    Body(Body),
}

#[derive(Debug)]
enum Decoder {
    Chat(openai_chat::Decoder),
    Anthropic(anthropic::Decoder),
    Gemini(gemini::Decoder),
    Responses(openai_responses::Decoder),
    Cohere(cohere::Decoder),
    Ollama(ollama::Decoder),
}

#[derive(Debug)]
enum Sink {
    Chat(openai_chat::Encoder),
    Completions(openai_completions::Encoder),
    Anthropic(anthropic::Encoder),
    Gemini(gemini::Encoder),
    Responses { encoder: Box<openai_responses::Encoder>, whole: bool },
    Whole { head: Head, fold: Fold },
}

impl Decoder {
    fn read(&mut self, v: Val<'_>, on: &mut impl FnMut(Item)) {
        match self {
            Decoder::Chat(decoder) => decoder.read(v, on),
            Decoder::Anthropic(decoder) => decoder.read(v, on),
            Decoder::Gemini(decoder) => decoder.read(v, on),
            Decoder::Responses(decoder) => decoder.read(v, on),
            Decoder::Cohere(decoder) => decoder.read(v, on),
            Decoder::Ollama(decoder) => decoder.read(v, on),
        }
    }

    /// The upstream has said everything.
    fn finish(&mut self, on: &mut impl FnMut(Item)) {
        if let Decoder::Gemini(decoder) = self {
            decoder.finish(on);
        }
    }
}

impl Sink {
    /// The model's name, once it is known.
    fn model(&mut self, model: &str) {
        match self {
            Sink::Chat(encoder) => encoder.model(model),
            Sink::Completions(encoder) => encoder.model(model),
            Sink::Anthropic(encoder) => encoder.model(model),
            Sink::Gemini(encoder) => encoder.model(model),
            Sink::Responses { encoder, .. } => encoder.model(model),
            Sink::Whole { .. } => {}
        }
    }

    /// The tier that serves it, once it is known. Responses say it at their end.
    fn tier(&mut self, word: &str) {
        match self {
            Sink::Chat(encoder) => encoder.tier(word),
            Sink::Anthropic(encoder) => encoder.tier(word),
            Sink::Completions(_) | Sink::Gemini(_) | Sink::Responses { .. } | Sink::Whole { .. } => {}
        }
    }

    fn event(&mut self, item: Item, names: &Names, text: &mut String) {
        match self {
            Sink::Chat(encoder) => encoder.event(item, names, text),
            Sink::Completions(encoder) => encoder.event(item, text),
            Sink::Anthropic(encoder) => encoder.event(item, names, text),
            Sink::Gemini(encoder) => encoder.event(item, names, text),
            Sink::Responses { encoder, whole: false } => encoder.event(item, names, text),
            Sink::Responses { encoder, whole: true } => encoder.event(item, names, &mut String::new()),
            Sink::Whole { fold, .. } => fold.add(item),
        }
    }

    fn streams(&self) -> bool {
        !matches!(self, Sink::Whole { .. } | Sink::Responses { whole: true, .. })
    }
}

impl Translator {
    pub(crate) fn new(options: BridgeOptions) -> Self {
        let prefix = match options.caller {
            Format::AnthropicMessages => "msg_",
            Format::GeminiGenerate => "",
            Format::OpenaiCompletions => "cmpl-",
            _ => "chatcmpl-",
        };
        let head = Head {
            id: format!("{prefix}{}", options.id),
            created_s: options.created_s,
            model: options
                .present_model
                .clone()
                .or_else(|| options.reply.model.as_deref().map(str::to_owned))
                .unwrap_or_default(),
        };
        let sink = match (options.caller_streams, options.caller) {
            (streams, Format::OpenaiResponses) => {
                let encoder = openai_responses::Encoder::new(head, &options.id, options.reply.echo.clone());
                Sink::Responses { encoder: Box::new(encoder), whole: !streams }
            }
            (false, _) => Sink::Whole { head, fold: Fold::default() },
            (true, Format::AnthropicMessages) => {
                Sink::Anthropic(anthropic::Encoder::new(head, options.input_estimate))
            }
            (true, Format::GeminiGenerate) => Sink::Gemini(gemini::Encoder::new(head)),
            (true, Format::OpenaiCompletions) => {
                Sink::Completions(openai_completions::Encoder::new(head, options.reply.usage_wanted))
            }
            (true, _) => Sink::Chat(openai_chat::Encoder::new(head, options.reply.usage_wanted)),
        };
        Self {
            tap: Tap::new(options.upstream, options.reply.quirks.clone()),
            source: match (options.upstream_streams, options.upstream.streams_lines()) {
                (true, false) => Source::Stream(Splitter::new(options.max_frame_bytes)),
                (true, true) => Source::Lines(Lines::new(options.max_frame_bytes)),
                (false, _) => Source::Body(Body::new(options.max_body_bytes)),
            },
            decoder: match options.upstream {
                Format::AnthropicMessages => Decoder::Anthropic(anthropic::Decoder::default()),
                Format::GeminiGenerate => Decoder::Gemini(gemini::Decoder::default()),
                Format::OpenaiResponses => Decoder::Responses(openai_responses::Decoder::default()),
                Format::CohereChat => Decoder::Cohere(cohere::Decoder::default()),
                Format::OllamaChat => Decoder::Ollama(ollama::Decoder::default()),
                _ => Decoder::Chat(openai_chat::Decoder::heeding(&options.reply)),
            },
            unwrap: Unwrap::default(),
            sink,
            caller: options.caller,
            names: options.reply.names,
            present_model: options.present_model,
            input_estimate: options.input_estimate,
            wav: options.reply.wav,
            losses: Losses::default(),
            done: false,
        }
    }

    pub(crate) fn observed(&self) -> &Observed {
        &self.tap.observed
    }

    /// What couldn't be carried over to the caller's format, by reading, writing, and putting the whole together.
    pub(crate) fn losses(&self) -> Losses {
        let read = match &self.decoder {
            Decoder::Anthropic(decoder) => &decoder.losses,
            Decoder::Gemini(decoder) => &decoder.losses,
            Decoder::Responses(decoder) => &decoder.losses,
            Decoder::Cohere(decoder) => &decoder.losses,
            Decoder::Ollama(decoder) => &decoder.losses,
            Decoder::Chat(decoder) => &decoder.losses,
        };
        let mut all = read.clone();
        match &self.sink {
            Sink::Gemini(encoder) => all.join(&encoder.losses),
            Sink::Anthropic(encoder) => all.join(&encoder.losses),
            Sink::Responses { encoder, .. } => all.join(&encoder.losses),
            Sink::Chat(_) | Sink::Completions(_) | Sink::Whole { .. } => {}
        }
        all.join(&self.losses);
        all
    }

    pub(crate) fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) -> Result<(), Fault> {
        let mut whole = Vec::new();
        match &mut self.source {
            Source::Body(body) => return body.push(chunk),
            Source::Stream(splitter) => {
                splitter.feed(chunk, |data, range| whole.push(data.slice(range))).map(drop)
            }
            Source::Lines(lines) => lines.feed(chunk, |line| whole.push(line)),
        }
        .map_err(|e| Fault::new(FaultClass::Server, e.to_string()))?;
        let mut text = String::new();
        for frame in whole {
            self.frame(&frame, &mut text);
        }
        if !text.is_empty() {
            out(Bytes::from(text));
        }
        Ok(())
    }

    fn frame(&mut self, frame: &[u8], text: &mut String) {
        if self.done {
            return;
        }
        // Our own last frame is written when the answer is settled, not when the upstream closes.
        let data = match &self.source {
            Source::Lines(_) => Some(Cow::Borrowed(frame)),
            Source::Stream(_) | Source::Body(_) => fields(frame).data,
        };
        if let Some(data) = &data {
            self.tap.document(data);
        }
        let closed = std::mem::take(&mut self.tap.observed.closed);
        if let Some(data) = data
            && let Some(v) = Val::from_bytes(&data)
        {
            self.read(Some(v), text);
        }
        if closed && !self.tap.observed.finished && !self.tap.observed.first_content {
            // An end without any answer is a failure, not an empty success.
            self.tap.observed.error.get_or_insert_with(cut_off);
        }
        if self.tap.observed.error.is_some() {
            self.fail(text);
        } else if closed {
            self.complete(text);
        }
    }

    /// Hands on what an upstream's document says; without one, what only its end tells.
    fn read(&mut self, v: Option<Val<'_>>, text: &mut String) {
        let Self { decoder, unwrap, sink, names, tap, losses, caller, .. } = self;
        sink.model(tap.observed.served_model.as_deref().unwrap_or_default());
        if let Some(tier) = &tap.observed.served_tier {
            sink.tier(tier);
        }
        let places = matches!(caller, Format::OpenaiChat | Format::OpenaiResponses);
        let mut on = |item: Item| {
            if places && matches!(&item.event, Event::Citation(Citation { place: None, .. })) {
                losses.approximated(openai_responses::PLACES, "where in the text it belongs isn't known");
            }
            let Some(event) = heard(item.event, *caller, losses) else {
                return;
            };
            let item = Item { event, ..item };
            unwrap.event(item, names, &mut |item| {
                if names.as_functions && matches!(item.event, Event::ToolStart { tool: 1.., .. }) {
                    losses.dropped("tool_calls", "there is room for one call");
                }
                sink.event(item, names, text);
            });
        };
        match v {
            Some(v) => decoder.read(v, &mut on),
            None => decoder.finish(&mut on),
        }
    }

    /// The stream broke after it began: the caller gets an error event in its own format.
    fn fail(&mut self, text: &mut String) {
        self.done = true;
        if let Some(report) = self.tap.observed.error.as_ref().map(Report::from) {
            self.tell(&report, text);
        }
    }

    fn tell(&mut self, report: &Report, text: &mut String) {
        let (usage, _) = self.tap.observed.settlement(self.input_estimate);
        match &mut self.sink {
            Sink::Responses { encoder, whole: false } => encoder.fail(report, &usage, text),
            sink if sink.streams() => text.push_str(&String::from_utf8_lossy(&report.event(self.caller))),
            _ => {}
        }
    }

    fn complete(&mut self, text: &mut String) {
        self.done = true;
        self.read(None, text);
        self.tap.observed.finished = true;
        self.tap.observed.closed = true;
        // The caller is told what the call is settled with.
        let (usage, _) = self.tap.observed.settlement(self.input_estimate);
        let Self { unwrap, sink, names, .. } = self;
        unwrap.end(&mut |item| sink.event(item, names, text));
        match &mut self.sink {
            Sink::Responses { encoder, whole } => {
                let tier = self.tap.observed.served_tier.as_deref();
                if *whole {
                    *text = encoder.end(&usage, tier, &mut String::new());
                } else {
                    encoder.end(&usage, tier, text);
                }
            }
            Sink::Chat(encoder) => encoder.end(&usage, &self.names, text),
            Sink::Completions(encoder) => encoder.end(&usage, text),
            Sink::Anthropic(encoder) => encoder.end(&usage, text),
            Sink::Gemini(encoder) => encoder.end(&usage, &self.names, text),
            Sink::Whole { head, fold } => {
                if let (None, Some(served)) = (&self.present_model, &self.tap.observed.served_model) {
                    head.model.clone_from(served);
                }
                let choices = std::mem::take(fold).finish();
                let served = (&usage, self.tap.observed.served_tier.as_deref());
                match (self.caller, choices.first()) {
                    (Format::AnthropicMessages, Some(choice)) => {
                        text.push_str(&anthropic::body(head, choice, served, &self.names, &mut self.losses));
                    }
                    (Format::GeminiGenerate, _) => {
                        text.push_str(&gemini::body(head, &choices, &usage, &self.names, &mut self.losses));
                    }
                    (Format::OpenaiCompletions, _) => {
                        text.push_str(&openai_completions::body(head, &choices, &usage));
                    }
                    _ => text.push_str(&openai_chat::body(head, &choices, served, &self.names, self.wav)),
                }
            }
        }
    }

    /// An error of the host's own, as the next event of the stream.
    pub(crate) fn told(&self, report: &Report) -> Bytes {
        match &self.sink {
            Sink::Responses { encoder, .. } => report.numbered(encoder.next_number()),
            _ => report.event(self.caller),
        }
    }

    pub(crate) fn finish(&mut self, end: End, out: &mut impl FnMut(Bytes)) {
        let mut text = String::new();
        match end {
            End::ClientGone => return,
            End::Failed(report) => self.failed(report, &mut text),
            End::Eof => self.eof(&mut text),
        }
        if !text.is_empty() {
            out(Bytes::from(text));
        }
    }

    fn failed(&mut self, report: Report, text: &mut String) {
        if self.done {
            return;
        }
        self.done = true;
        self.tap.observed.error.get_or_insert_with(|| fault_of(&report));
        self.tell(&report, text);
    }

    fn eof(&mut self, text: &mut String) {
        match &mut self.source {
            Source::Body(body) => {
                let body = body.take();
                self.tap.body(&body);
                match Val::from_bytes(&body) {
                    // An answer that could still be refused: nothing was written, nothing is.
                    _ if self.tap.observed.error.is_some() => return,
                    Some(v) => self.read(Some(v), text),
                    None => return,
                }
            }
            Source::Stream(splitter) => {
                let tail = splitter.finish();
                self.frame(&tail, text);
            }
            Source::Lines(lines) => {
                let tail = lines.finish();
                self.frame(&tail, text);
            }
        }
        if self.done {
            return;
        }
        if self.tap.observed.finished {
            self.complete(text);
        } else {
            self.tap.observed.error = Some(cut_off());
            self.fail(text);
        }
    }
}

#[cfg(test)]
mod tests;

//! A `generateContent` answer, whole or streamed, into events.

use std::collections::{BTreeMap, BTreeSet};

use super::{member, part, stop_of};
use crate::ir::{Citation, Event, Item, Said, Source, Stop, ToolKind};
use crate::json::{Val, object};
use crate::loss::Losses;
use crate::sound::is_pcm;

/// So many places are told of one answer, and so many are looked for in each response.
// BOUND: each is a source of its own, with its address and title; behind them sources come without places.
const PLACES_MAX: usize = 256;

/// A place in the answer's text, in characters.
type Place = (u64, u64);

/// Reads the responses of a stream, or one whole body.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    candidates: Vec<Candidate>,
    /// The answer's id: ids of calls that have none are made of it.
    id: String,
    pub(crate) losses: Losses,
}

#[derive(Debug, Default)]
struct Candidate {
    index: u32,
    tools: u32,
    /// Something was said, or called.
    spoke: bool,
    /// Why it ended, as far as that was said: the last word counts, at the end.
    reason: Option<String>,
    /// The upstream's own words for it.
    message: Option<String>,
    /// What was said, for places in it, and from which byte on each part of the last response stands.
    said: Said,
    starts: Vec<usize>,
    /// The places that were told, each with its chunk.
    placed: BTreeSet<(u64, Place)>,
}

impl Decoder {
    /// Reads one response of the stream, or the whole body.
    pub(crate) fn read(&mut self, v: Val<'_>, on: &mut impl FnMut(Item)) {
        // A stream that wasn't asked for as events is a list.
        for response in v.elements() {
            self.response(response, on);
        }
        self.response(v, on);
    }

    fn response(&mut self, v: Val<'_>, on: &mut impl FnMut(Item)) {
        if let Some(id) = member(v, "responseId").and_then(Val::as_str).filter(|_| self.id.is_empty()) {
            self.id = id.into_owned();
        }
        let blocked = member(v, "promptFeedback").and_then(|said| member(said, "blockReason"));
        if let Some(reason) = blocked.and_then(Val::as_str) {
            let feedback = member(v, "promptFeedback");
            let message = feedback.and_then(|said| member(said, "blockReasonMessage")).and_then(Val::as_str);
            let why = message.map(|text| format!(" ({text})")).unwrap_or_default();
            let message = format!("the prompt was blocked: {reason}{why}");
            self.end(0, Some("SAFETY".to_owned()), Some(message));
        }
        for found in v.get("candidates").into_iter().flat_map(Val::elements) {
            let index = found.get_u64("index").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let mut emit = |event| on(Item { choice: index, event });
            let at = self.place(index);
            if let Some(candidate) = self.candidates.get_mut(at) {
                candidate.starts.clear();
            }
            if let Some(parts) = found.get("content").and_then(|content| content.get("parts")) {
                parts.elements().for_each(|part| self.part(at, part, &mut emit));
            }
            if let Some(candidate) = self.candidates.get_mut(at) {
                sources(found, candidate, &mut emit);
            }
            logprobs(found, &mut emit);
            let word = |name| member(found, name).and_then(Val::as_str).map(|word| word.into_owned());
            let reason = word("finishReason").filter(|word| word != "FINISH_REASON_UNSPECIFIED");
            self.end(index, reason, word("finishMessage"));
        }
    }

    fn place(&mut self, index: u32) -> usize {
        match self.candidates.iter().position(|candidate| candidate.index == index) {
            Some(at) => at,
            None => {
                self.candidates.push(Candidate { index, ..Candidate::default() });
                self.candidates.len() - 1
            }
        }
    }

    fn end(&mut self, index: u32, reason: Option<String>, message: Option<String>) {
        let at = self.place(index);
        if let Some(candidate) = self.candidates.get_mut(at) {
            candidate.reason = reason.or(candidate.reason.take());
            candidate.message = message.or(candidate.message.take());
        }
    }

    fn part(&mut self, at: usize, part: Val<'_>, emit: &mut impl FnMut(Event)) {
        let Self { candidates, id, losses } = self;
        let Some(candidate) = candidates.get_mut(at) else {
            return;
        };
        candidate.starts.extend(candidate.said.bytes());
        let seal = part::seal_of(part);
        let thought = part.get("thought").and_then(Val::as_bool) == Some(true);
        if let Some(text) = part.get_str("text") {
            if thought {
                if !text.is_empty() {
                    emit(Event::Thinking(text.into_owned()));
                }
                return seal.into_iter().for_each(|seal| emit(Event::Signature(seal)));
            }
            seal.into_iter().for_each(|seal| emit(Event::Signature(seal)));
            if !text.is_empty() {
                candidate.say(text.into_owned(), emit);
            }
            return;
        }
        seal.into_iter().for_each(|seal| emit(Event::Signature(seal)));
        if let Some(call) = member(part, "functionCall") {
            let tool = candidate.tools;
            candidate.tools += 1;
            candidate.spoke = true;
            let own = call.get_str("id").filter(|id| !id.is_empty());
            let id = own.map_or_else(|| part::made_up_id(id, candidate.index, tool), |id| id.into_owned());
            let name = call.get_str("name").unwrap_or_default().into_owned();
            emit(Event::ToolStart { tool, id, name, kind: ToolKind::Function });
            if let Some(args) = call.get("args") {
                emit(Event::ToolArgs { tool, json: args.raw().to_owned() });
            }
        } else if let Some(code) = member(part, "executableCode").and_then(|code| code.get_str("code")) {
            losses.approximated("content.parts[].executableCode", "code that the provider ran becomes text");
            candidate.say(format!("\n```python\n{}\n```\n", code.trim_end()), emit);
        } else if let Some(result) = member(part, "codeExecutionResult") {
            losses.approximated("content.parts[].codeExecutionResult", "what code printed becomes text");
            let output = result.get_str("output").unwrap_or_default();
            candidate.say(format!("\n```\n{}\n```\n", output.trim_end()), emit);
        } else if let Some(media) = member(part, "inlineData").or_else(|| member(part, "fileData")) {
            let path = "content.parts[].inlineData";
            if let Some(data) = samples(media) {
                candidate.spoke = true;
                return emit(Event::Sound(data));
            }
            match picture(media) {
                // Sketches on the way to the one that is the answer.
                Some(_) if thought => {
                    losses.dropped(path, "pictures in thoughts have no place in the target")
                }
                Some(source) => {
                    candidate.spoke = true;
                    emit(Event::Image(source));
                }
                None => losses.dropped(path, "the caller's format has no place for such media in answers"),
            }
        }
    }

    /// The end: only now is known why it ended, as reasons may come early and more than once.
    pub(crate) fn finish(&mut self, on: &mut impl FnMut(Item)) {
        for candidate in std::mem::take(&mut self.candidates) {
            let mut emit = |event| on(Item { choice: candidate.index, event });
            let Some(word) = candidate.reason else {
                continue;
            };
            let reason = stop_of(&word);
            if word != "STOP" && matches!(reason, None | Some(Stop::End)) {
                self.losses.approximated("candidates[].finishReason", native(&word));
                emit(Event::Native(word.clone()));
            }
            if !candidate.spoke && matches!(reason, None | Some(Stop::Refusal)) {
                let said = candidate.message.unwrap_or_else(|| match reason {
                    None => format!("the model's answer can't be used: {word}"),
                    Some(_) => format!("the answer was blocked: {word}"),
                });
                emit(Event::Refusal(said));
                emit(Event::Stop { reason: Stop::Refusal, sequence: None });
                continue;
            }
            emit(Event::Stop { reason: reason.unwrap_or(Stop::End), sequence: None });
        }
    }
}

/// A reason to end that others have no word for.
fn native(word: &str) -> &'static str {
    match word {
        "MALFORMED_FUNCTION_CALL" => "it ended with MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE" => "it ended with MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL" => "it ended with UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS" => "it ended with TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE" => "it ended with MISSING_THOUGHT_SIGNATURE",
        "OTHER" => "it ended with OTHER",
        _ => "it ended for a reason that only Gemini's format has",
    }
}

/// What is spoken in a part, in base64.
fn samples(media: Val<'_>) -> Option<String> {
    let media_type = member(media, "mimeType").and_then(Val::as_str)?;
    let data = member(media, "data").and_then(Val::as_str)?;
    is_pcm(&media_type).then(|| data.into_owned())
}

/// A picture in a part, inline or by its address.
fn picture(media: Val<'_>) -> Option<Source> {
    let media_type = member(media, "mimeType").and_then(Val::as_str)?.to_ascii_lowercase();
    let text = |name| member(media, name).and_then(Val::as_str).filter(|text| !text.is_empty());
    let source = match text("data") {
        Some(data) => Source::Base64 { media_type: media_type.clone(), data: data.into_owned() },
        None => Source::Url(text("fileUri")?.into_owned()),
    };
    media_type.starts_with("image/").then_some(source)
}

/// Where the answer's text comes from: what a search found, and what it cites.
fn sources(found: Val<'_>, candidate: &mut Candidate, emit: &mut impl FnMut(Event)) {
    let mut cite = |url: Option<Val<'_>>, title: Option<Val<'_>>, place| {
        if let Some(url) = url.and_then(Val::as_str).filter(|url| !url.is_empty()) {
            let title = title.and_then(Val::as_str).map(|title| title.into_owned());
            emit(Event::Citation(Citation { url: url.into_owned(), title, place }));
        }
    };
    let grounds = member(found, "groundingMetadata");
    let list = |name| grounds.and_then(|grounds| member(grounds, name)).into_iter().flat_map(Val::elements);
    let backed = candidate.backed(list("groundingSupports"));
    for (n, chunk) in (0..).zip(list("groundingChunks")) {
        let source =
            chunk.get("web").or_else(|| member(chunk, "retrievedContext")).or_else(|| chunk.get("maps"));
        let (url, title) = (source.and_then(|s| s.get("uri")), source.and_then(|s| s.get("title")));
        match backed.get(&n) {
            Some(places) => places.iter().for_each(|place| cite(url, title, Some(*place))),
            None => cite(url, title, None),
        }
    }
    let cited = member(found, "citationMetadata")
        .and_then(|cited| member(cited, "citationSources").or_else(|| cited.get("citations")));
    for (n, source) in cited.into_iter().flat_map(Val::elements).enumerate() {
        let place = if n < PLACES_MAX { candidate.place(source) } else { None };
        cite(source.get("uri"), source.get("title"), place);
    }
}

impl Candidate {
    fn say(&mut self, text: String, emit: &mut impl FnMut(Event)) {
        self.spoke = true;
        self.said.push(&text);
        emit(Event::Text(text));
    }

    /// What each chunk backs.
    fn backed<'a>(&mut self, supports: impl Iterator<Item = Val<'a>>) -> BTreeMap<u64, BTreeSet<Place>> {
        let mut backed: BTreeMap<u64, BTreeSet<Place>> = BTreeMap::new();
        for support in supports.take(PLACES_MAX) {
            let Some(place) = member(support, "segment").and_then(|segment| self.place(segment)) else {
                continue;
            };
            let chunks = member(support, "groundingChunkIndices").into_iter().flat_map(Val::elements);
            for chunk in chunks.filter_map(Val::as_u64).filter(|chunk| self.tells(*chunk, place)) {
                backed.entry(chunk).or_default().insert(place);
            }
        }
        backed
    }

    /// Whether there is room for a place. Responses of a stream may repeat what was told.
    fn tells(&mut self, chunk: u64, place: Place) -> bool {
        let known = (chunk, place);
        self.placed.contains(&known) || self.placed.len() < PLACES_MAX && self.placed.insert(known)
    }

    /// The place of a segment, which is counted in bytes: of a part in a whole answer, of all that was said in a stream. Its words
    /// tell which; without them only an answer in one part is sure.
    fn place(&self, segment: Val<'_>) -> Option<Place> {
        let number = |name| member(segment, name).and_then(Val::as_u64).and_then(|n| usize::try_from(n).ok());
        let (from, to) = (number("startIndex").unwrap_or(0), number("endIndex")?);
        let words = segment.get_str("text");
        let is_sure = words.is_some() || self.starts.as_slice() == [0];
        let part = self.starts.get(number("partIndex").unwrap_or(0)).copied();
        [part, Some(0)].into_iter().flatten().filter(|_| is_sure).find_map(|start| {
            let (place, text) = self.said.place_of(start.checked_add(from)?, start.checked_add(to)?)?;
            words.as_ref().is_none_or(|words| words == text).then_some(place)
        })
    }
}

/// Probabilities as chat completions have them.
fn logprobs(candidate: Val<'_>, emit: &mut impl FnMut(Event)) {
    let Some(result) = member(candidate, "logprobsResult") else {
        return;
    };
    let tops: Vec<Val<'_>> = member(result, "topCandidates").into_iter().flat_map(Val::elements).collect();
    let entry = |o: &mut crate::json::Object<'_>, token: Val<'_>| {
        o.str("token", &token.get_str("token").unwrap_or_default());
        o.raw("logprob", member(token, "logProbability").map_or("-9999.0", Val::raw));
        o.raw("bytes", "null");
    };
    let mut list = String::from("[");
    for (at, chosen) in member(result, "chosenCandidates").into_iter().flat_map(Val::elements).enumerate() {
        if at > 0 {
            list.push(',');
        }
        list.push_str(&object(|o| {
            entry(o, chosen);
            let others = tops.get(at).and_then(|top| top.get("candidates"));
            o.array("top_logprobs", |a| {
                others.into_iter().flat_map(Val::elements).for_each(|token| a.object(|o| entry(o, token)));
            });
        }));
    }
    if list.len() > 1 {
        list.push(']');
        emit(Event::Logprobs(list));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_answer_has_so_many_places_and_each_once() {
        const MANY: usize = 2 * PLACES_MAX;
        let support = |at: usize| {
            let segment = json!({"startIndex": at, "endIndex": at + 1, "text": "x"});
            json!({"segment": segment, "groundingChunkIndices": [0, 0, at / PLACES_MAX * 2, 1, 0]})
        };
        let chunk = |at: usize| json!({"web": {"uri": format!("https://x/{at}"), "title": "t"}});
        let grounds = json!({
            "groundingSupports": (0..MANY).map(support).collect::<Value>(),
            "groundingChunks": (0..3).map(chunk).collect::<Value>(),
        });
        let response = |said: String| json!({"candidates": [{"content": {"parts": [{"text": said}]}, "groundingMetadata": grounds}]});
        let mut decoder = Decoder::default();
        // What is told again takes no more room.
        for said in ["x".repeat(MANY), "y".to_owned()] {
            let mut places: BTreeMap<String, Vec<Option<Place>>> = BTreeMap::new();
            decoder.read(Val::trusted(&response(said).to_string()), &mut |item| {
                if let Event::Citation(citation) = item.event {
                    places.entry(citation.url).or_default().push(citation.place);
                }
            });
            let each: Vec<_> = (0..PLACES_MAX as u64 / 2).map(|at| Some((at, at + 1))).collect();
            let found: Vec<_> = places.into_values().collect();
            assert_eq!(found, [each.clone(), each, vec![None]]);
        }
    }
}

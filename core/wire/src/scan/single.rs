//! The fields of single operations: completions, images, speech, transcriptions, moderations and reranking. What a caller
//! sends as a form is read here as the JSON object of its fields.

use sluicegate_core::Format;
use sluicegate_core::concern::concern;

use super::field::{Field, mock};
use super::{Scan, Scanned, wrong};
use crate::error::{Result, WireError};
use crate::json::{Kind, Val, unescape};

/// No image takes more output tokens: OpenAI's largest of the highest quality takes 6,240
/// (<https://platform.openai.com/docs/guides/image-generation>, read 2026-05). Later models have more room.
const IMAGE_OUTPUT_MAX: u64 = 16_384;
/// Partial images that may be asked for, each.
const PARTIAL_IMAGES_MAX: u64 = 3;
/// Output tokens of each partial image, on top of those of the image (same page).
pub(crate) const PARTIAL_IMAGE_TOKENS: u64 = 100;
/// Images that an edit may bring along with its mask, where nobody has counted them yet.
const IMAGES_MAX: u32 = 17;
/// A minute of speech is about 1,250 tokens and 900 characters; at a quarter of the speed, and in scripts of one character for
/// each syllable, no character takes more than so many.
const SPEECH_TOKENS_MAX: u64 = 24;
/// And so many plausibly.
const SPEECH_TOKENS: u64 = 2;
/// Speech is not coded in less than 4 kbit/s.
const SOUND_MS_PER_BYTE: u64 = 2;
/// And plausibly in 32 kbit/s.
const SOUND_BYTES_PER_S: u64 = 4_000;
/// A second of speech has no more tokens of text.
const TRANSCRIPT_TOKENS_PER_S: u64 = 16;
/// Documents of one search (<https://docs.cohere.com/docs/rate-limits>, read 2026-05).
const SEARCH_DOCUMENTS: u64 = 100;
/// A document that is longer than so many tokens together with the query counts as several; a token has at least one byte.
const DOCUMENT_BYTES: u64 = 500;
/// OpenAI's ceiling of a legacy completion that names none.
const COMPLETION_TOKENS: u64 = 16;
/// What OpenAI moderates with when the caller names no model.
const MODERATION_MODEL: &str = "omni-moderation-latest";

/// What a name means in a request of that format.
pub(super) fn field(format: Format, name: &[u8]) -> Field {
    use Format::{OpenaiCompletions, OpenaiModerations, OpenaiSpeech, OpenaiTranscriptions, Rerank};
    let images =
        matches!(format, Format::OpenaiImages | Format::OpenaiImageEdits | Format::OpenaiImageVariations);
    let completions = format == OpenaiCompletions;
    match name {
        b"model" => Field::Model,
        b"prompt" if completions || images => Field::Prompt,
        // A hint of how it is spelled; nothing is stored.
        b"prompt" => Field::Other,
        b"input" if matches!(format, OpenaiSpeech | OpenaiModerations) => Field::Prompt,
        b"query" if format == Rerank => Field::Query,
        b"documents" if format == Rerank => Field::Documents,
        b"stream" if completions || images || format == OpenaiTranscriptions => Field::Stream,
        b"stream_format" if format == OpenaiSpeech => Field::StreamFormat,
        b"stream_options" if completions => Field::StreamOptions,
        b"partial_images" if images => Field::PartialImages,
        b"size" if images => Field::Size,
        b"quality" if images => Field::Quality,
        b"n" if completions || images => Field::N,
        b"best_of" if completions => Field::BestOf,
        b"max_tokens" if completions => Field::MaxTokens,
        b"stop" if completions => Field::Stop,
        b"service_tier" => Field::ServiceTier,
        b"user" => Field::User,
        b"metadata" => Field::Metadata,
        b"tags" => Field::Tags,
        b"fallbacks" => Field::Fallbacks,
        b"disable_fallbacks" => Field::DisableFallbacks,
        b"guardrails" => Field::Guardrails,
        b"speed" => Field::Other,
        _ if mock(name).is_some() => Field::Mock,
        _ if concern(name).is_some() => Field::Concerning,
        _ => Field::Other,
    }
}

/// The fields that a request must have.
pub(super) fn needed(format: Format) -> &'static [(Field, &'static str)] {
    match format {
        Format::OpenaiModerations => &[(Field::Prompt, "input")],
        Format::OpenaiCompletions | Format::OpenaiImages | Format::OpenaiImageEdits => {
            &[(Field::Model, "model"), (Field::Prompt, "prompt")]
        }
        Format::OpenaiSpeech => &[(Field::Model, "model"), (Field::Prompt, "input")],
        Format::Rerank => {
            &[(Field::Model, "model"), (Field::Query, "query"), (Field::Documents, "documents")]
        }
        Format::AnthropicCountTokens => &[(Field::Model, "model"), (Field::Messages, "messages")],
        _ => &[(Field::Model, "model")],
    }
}

/// The top-level fields that the documentation names.
// A table may be long.
pub(super) fn known(format: Format) -> &'static [&'static str] {
    match format {
        Format::OpenaiCompletions => &[
            "model",
            "prompt",
            "best_of",
            "echo",
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "max_tokens",
            "n",
            "presence_penalty",
            "seed",
            "stop",
            "stream",
            "stream_options",
            "suffix",
            "temperature",
            "top_p",
            "user",
        ],
        Format::OpenaiImages | Format::OpenaiImageEdits | Format::OpenaiImageVariations => &[
            "model",
            "prompt",
            "background",
            "image",
            "images",
            "input_fidelity",
            "mask",
            "moderation",
            "n",
            "output_compression",
            "output_format",
            "partial_images",
            "quality",
            "response_format",
            "size",
            "stream",
            "style",
            "user",
        ],
        Format::OpenaiSpeech => {
            &["model", "input", "voice", "instructions", "response_format", "speed", "stream_format"]
        }
        Format::OpenaiTranscriptions | Format::OpenaiTranslations => &[
            "model",
            "file",
            "chunking_strategy",
            "include",
            "known_speaker_names",
            "known_speaker_references",
            "language",
            "prompt",
            "response_format",
            "stream",
            "temperature",
            "timestamp_granularities",
        ],
        Format::OpenaiModerations => &["model", "input"],
        Format::Rerank => &[
            "model",
            "query",
            "documents",
            "max_chunks_per_doc",
            "max_tokens_per_doc",
            "priority",
            "rank_fields",
            "return_documents",
            "return_embeddings",
            "top_n",
            "truncation",
        ],
        _ => &[],
    }
}

impl Scan<'_> {
    pub(super) fn single(&mut self, field: Field, name: &str) -> Result<()> {
        match field {
            Field::Prompt => self.prompt(name),
            Field::PartialImages => {
                let asked = self.whole(name)?.unwrap_or(0);
                if asked > PARTIAL_IMAGES_MAX {
                    let message = format!("`{name}` must be at most {PARTIAL_IMAGES_MAX}, not {asked}");
                    return Err(WireError::invalid(message).at(name));
                }
                self.partial_images = asked;
                Ok(())
            }
            Field::Size | Field::Quality => {
                // Some upstreams take numbers: what isn't a word says nothing here.
                let text: &str = self.text;
                let value = Val::trusted(self.cursor.skip()?.of(text)).as_str();
                let place = if field == Field::Size { &mut self.facts.size } else { &mut self.facts.quality };
                *place = value.map(|word| word.into_owned());
                Ok(())
            }
            Field::StreamFormat => {
                let asked = self.typed(name, "a string", Kind::String)?;
                self.facts.stream = asked.is_some_and(|raw| unescape(raw) == "sse");
                Ok(())
            }
            Field::Query => {
                // It is read once more with each document.
                let query = self.typed(name, "a string", Kind::String)?;
                self.facts.query_bytes = query.map_or(0, str::len) as u64;
                Ok(())
            }
            _ => self.documents(name),
        }
    }

    fn prompt(&mut self, name: &str) -> Result<()> {
        let kind = self.cursor.kind()?;
        let text: &str = self.text;
        let value = Val::trusted(self.cursor.skip()?.of(text));
        let takes_lists = matches!(self.format, Format::OpenaiCompletions | Format::OpenaiModerations);
        match kind {
            Kind::String => {
                self.facts.messages = 1;
                if self.format == Format::OpenaiSpeech {
                    let characters = value.as_str().map_or(0, |text| text.chars().count()) as u64;
                    self.facts.units = characters;
                }
            }
            Kind::Array if takes_lists => {
                let tokens = value.elements().next().is_some_and(|first| first.kind() == Kind::Number);
                let prompts = if tokens { 1 } else { value.elements().count() };
                self.facts.messages = u32::try_from(prompts.max(1)).unwrap_or(u32::MAX);
            }
            Kind::Null if self.format == Format::OpenaiCompletions => self.facts.messages = 1,
            other if takes_lists => return Err(wrong(name, "a string or an array", other)),
            other => return Err(wrong(name, "a string", other)),
        }
        Ok(())
    }

    fn documents(&mut self, name: &str) -> Result<()> {
        let kind = self.cursor.kind()?;
        let text: &str = self.text;
        let value = Val::trusted(self.cursor.skip()?.of(text));
        if kind != Kind::Array {
            return Err(wrong(name, "an array", kind));
        }
        self.documents = Some(value);
        let documents = value.elements().count() as u64;
        self.facts.messages = u32::try_from(documents).unwrap_or(u32::MAX);
        self.facts.expected.units = documents.div_ceil(SEARCH_DOCUMENTS).max(1);
        Ok(())
    }

    /// What follows from several fields together.
    pub(super) fn single_end(&mut self) {
        let facts = &mut self.facts;
        match self.format {
            Format::OpenaiCompletions => {
                facts.choices = facts.choices.saturating_mul(facts.messages.max(1));
                facts.max_output = facts.max_output.or(Some(COMPLETION_TOKENS));
            }
            Format::OpenaiImages | Format::OpenaiImageEdits | Format::OpenaiImageVariations => {
                facts.extra_output_bound = IMAGE_OUTPUT_MAX + self.partial_images * PARTIAL_IMAGE_TOKENS;
                facts.units = u64::from(facts.choices);
                facts.expected.units = facts.units;
                if self.format != Format::OpenaiImages {
                    facts.images = IMAGES_MAX;
                    (0..IMAGES_MAX).for_each(|_| facts.media.add_image(None, false));
                }
            }
            Format::OpenaiSpeech => {
                facts.extra_output_bound = facts.units.saturating_mul(SPEECH_TOKENS_MAX);
                facts.expected.units = facts.units;
                facts.expected.audio_out = facts.units.saturating_mul(SPEECH_TOKENS);
            }
            Format::OpenaiModerations if facts.model.is_empty() => facts.model = MODERATION_MODEL.to_owned(),
            Format::Rerank => {
                let again = facts.query_bytes.saturating_mul(u64::from(facts.messages.saturating_sub(1)));
                facts.repeated_bytes = again;
                // The query is part of each part, and leaves a document that much less of it.
                let room = DOCUMENT_BYTES.saturating_sub(facts.query_bytes).max(1);
                let documents = self.documents.into_iter().flat_map(Val::elements);
                let parts = documents.map(|it| (it.raw().len() as u64).div_ceil(room).max(1));
                facts.units = parts.fold(0, u64::saturating_add).div_ceil(SEARCH_DOCUMENTS).max(1);
            }
            _ => {}
        }
    }
}

impl Scanned {
    /// Says how much the files of a form are: how many there are, where that is known, and no more than so many bytes.
    pub fn with_files(&mut self, files: Option<u32>, bytes: u64) {
        let facts = &mut self.facts;
        match self.format {
            Format::OpenaiImageEdits | Format::OpenaiImageVariations => {
                if let Some(files) = files {
                    facts.images = files;
                    facts.media = Default::default();
                    (0..files).for_each(|_| facts.media.add_image(None, false));
                }
            }
            Format::OpenaiTranscriptions | Format::OpenaiTranslations => {
                let ms = bytes.saturating_mul(SOUND_MS_PER_BYTE);
                facts.audio_bytes = bytes;
                facts.media.add_audio(ms);
                facts.units = ms.div_ceil(1_000).max(1);
                facts.expected.units = bytes.div_ceil(SOUND_BYTES_PER_S).max(1).min(facts.units);
                facts.extra_output_bound = facts.units.saturating_mul(TRANSCRIPT_TOKENS_PER_S);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::scan;

    #[test]
    fn what_bounds_a_call_is_read_from_its_body() {
        let completions = Format::OpenaiCompletions;
        for (format, body, choices, units, output) in [
            (completions, r#"{"model":"m","prompt":"a"}"#, 1, 0, 0),
            (completions, r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":3}"#, 6, 0, 0),
            (completions, r#"{"model":"m","prompt":[1,2,3],"n":2}"#, 2, 0, 0),
            (completions, r#"{"model":"m","prompt":[[1,2],[3]]}"#, 2, 0, 0),
            (Format::OpenaiImages, r#"{"model":"m","prompt":"a cat","n":3}"#, 3, 3, 16_384),
            (
                Format::OpenaiImages,
                r#"{"partial_images":3,"model":"m","prompt":"a","stream":true}"#,
                1,
                1,
                16_684,
            ),
            (Format::OpenaiImages, r#"{"model":"m","prompt":"a","partial_images":null}"#, 1, 1, 16_384),
            (
                Format::OpenaiImageEdits,
                r#"{"model":"m","prompt":"a","n":2,"partial_images":1}"#,
                2,
                2,
                16_484,
            ),
            (Format::OpenaiSpeech, r#"{"model":"m","input":"h\u00e9!","voice":"alloy"}"#, 1, 3, 72),
            (Format::OpenaiModerations, r#"{"input":["a",{"type":"text","text":"b"}]}"#, 1, 0, 0),
            (Format::Rerank, r#"{"model":"m","query":"q","documents":["a",{"text":"b"}]}"#, 1, 1, 0),
        ] {
            let scanned = scan(format, &Bytes::from_static(body.as_bytes())).unwrap();
            let facts = scanned.facts();
            assert_eq!(
                (facts.choices, facts.units, facts.extra_output_bound),
                (choices, units, output),
                "{body}"
            );
        }
        let many = format!(r#"{{"model":"m","query":"q","documents":[{}"a"]}}"#, "\"a\",".repeat(100));
        assert_eq!(scan(Format::Rerank, &Bytes::from(many)).unwrap().facts().units, 2);
        let long = format!(r#"{{"model":"m","query":"{}","documents":["a","b","c"]}}"#, "q".repeat(1_000));
        let bound = scan(Format::Rerank, &Bytes::from(long)).unwrap().facts().input_bound();
        assert!(bound >= Some(3_000), "the query counts with each document: {bound:?}");
        // Two hundred documents of 400 bytes are two searches; with a query of 200 bytes each is two parts, in either order.
        let documents = vec![format!("\"{}\"", "d".repeat(398)); 200].join(",");
        for (query, units) in [(98, 2), (198, 4), (600, 800)] {
            let query = "q".repeat(query);
            for body in [
                format!(r#"{{"model":"m","query":"{query}","documents":[{documents}]}}"#),
                format!(r#"{{"documents":[{documents}],"query":"{query}","model":"m"}}"#),
            ] {
                assert_eq!(scan(Format::Rerank, &Bytes::from(body)).unwrap().facts().units, units);
            }
        }
    }

    #[test]
    fn the_best_of_several_is_picked_where_that_can_be_said() {
        for (format, body, own, translated) in [
            (Format::OpenaiCompletions, r#"{"model":"m","prompt":"a","best_of":5}"#, 5, 1),
            (Format::OpenaiCompletions, r#"{"model":"m","best_of":5,"prompt":"a","n":2}"#, 5, 2),
            (Format::OpenaiCompletions, r#"{"model":"m","prompt":"a","n":3,"best_of":3}"#, 3, 3),
            (
                Format::OpenaiChat,
                r#"{"model":"m","messages":[{"role":"user","content":"a"}],"n":2,"best_of":4}"#,
                4,
                2,
            ),
        ] {
            let scanned = scan(format, &Bytes::from_static(body.as_bytes())).unwrap();
            let call = scanned.facts().call("c".into(), format);
            let choices = (call.choices_in(format), call.choices_in(Format::GeminiGenerate));
            assert_eq!(choices, (own, translated), "{body}");
        }
    }

    #[test]
    fn what_is_missing_or_of_a_wrong_type_is_named() {
        for (format, body, param) in [
            (Format::OpenaiCompletions, r#"{"prompt":"a"}"#, "model"),
            (Format::OpenaiCompletions, r#"{"model":"m"}"#, "prompt"),
            (Format::OpenaiCompletions, r#"{"model":"m","prompt":5}"#, "prompt"),
            (Format::OpenaiImages, r#"{"model":"m","prompt":["a"]}"#, "prompt"),
            (Format::OpenaiImages, r#"{"model":"m","prompt":"a","n":0}"#, "n"),
            (Format::OpenaiImages, r#"{"model":"m","prompt":"a","partial_images":4}"#, "partial_images"),
            (Format::OpenaiSpeech, r#"{"model":"m","voice":"alloy"}"#, "input"),
            (Format::OpenaiModerations, r#"{"model":"m"}"#, "input"),
            (Format::Rerank, r#"{"model":"m","query":"q"}"#, "documents"),
            (Format::Rerank, r#"{"model":"m","query":"q","documents":"a"}"#, "documents"),
            (Format::OpenaiTranscriptions, r#"{"language":"de"}"#, "model"),
        ] {
            let error = scan(format, &Bytes::from_static(body.as_bytes())).unwrap_err();
            assert_eq!(error.param(), Some(param), "{body}: {}", error.message());
        }
    }

    #[test]
    fn files_bound_what_is_heard_and_seen() {
        let mut scanned =
            scan(Format::OpenaiTranscriptions, &Bytes::from_static(br#"{"model":"m"}"#)).unwrap();
        scanned.with_files(None, 1_000_000);
        let facts = scanned.facts();
        assert_eq!((facts.units, facts.expected.units, facts.extra_output_bound), (2_000, 250, 32_000));
        assert!(facts.input_bound() >= Some(64_000));
        let edit = Bytes::from_static(br#"{"model":"m","prompt":"a"}"#);
        let mut scanned = scan(Format::OpenaiImageEdits, &edit).unwrap();
        assert_eq!(scanned.facts().media.images(), 17);
        scanned.with_files(Some(2), 1_000);
        assert_eq!(scanned.facts().media.images(), 2);
    }
}

//! What answers of single operations say: images, speech, transcripts, moderations, rankings, counts.

use sluicegate_core::Format;
use sluicegate_core::call::Unit;
use sluicegate_core::price::Variant;

use super::{Tap, note};
use crate::fault::Fault;
use crate::json::{Kind, Val, decoded_len};
use crate::scan::PARTIAL_IMAGE_TOKENS;
use crate::usage::{Absurd, single};

impl Tap {
    /// Reads a whole body. A transcript may be plain text.
    pub(super) fn single_body(&mut self, body: &[u8]) {
        let root = Val::from_bytes(body).filter(|root| root.kind() == Kind::Object);
        let transcript = matches!(self.format, Format::OpenaiTranscriptions | Format::OpenaiTranslations);
        let Some(root) = root else {
            if transcript && !body.trim_ascii_start().starts_with(b"<") {
                self.observed.first_content = true;
                self.observed.finished = true;
                self.observed.output_bytes = body.len() as u64;
            } else {
                self.observed.error = Fault::in_ok_body(self.format, body);
            }
            return;
        };
        if let Some(fault) = Fault::in_ok_body(self.format, body) {
            self.observed.error = Some(fault);
            return;
        }
        note(&mut self.observed.response_id, root.get("id"));
        note(&mut self.observed.served_model, root.get("model"));
        if let Some(text) = root.get("text").filter(|_| transcript) {
            self.observed.output_bytes = decoded_len(text.raw()) as u64;
        }
        let images = root.get("data").map_or(0, |data| data.elements().count()) as u64;
        let makes_images = self.format.unit() == Some(Unit::Image);
        let is_empty = root.get("data").is_some_and(|data| data.kind() == Kind::Array) && images == 0;
        self.observed.first_content = !(makes_images && is_empty);
        self.observed.finished = true;
        self.used(root, images);
    }

    /// Reads one event of a stream: images, speech or a transcript in the making.
    pub(super) fn single_frame(&mut self, text: &str) {
        let Some(root) = Val::from_bytes(text.as_bytes()).filter(|root| root.kind() == Kind::Object) else {
            return;
        };
        let kind = root.get_str("type").unwrap_or_default();
        if root.get("error").is_some_and(|error| !error.is_null()) || kind == "error" {
            self.observed.error.get_or_insert_with(|| Fault::classify(0, text.as_bytes()));
            return;
        }
        if let Some(delta) = root.get("delta").filter(|delta| delta.kind() == Kind::String) {
            self.observed.output_bytes += decoded_len(delta.raw()) as u64;
        }
        if kind.ends_with(".partial_image") {
            self.observed.media.image += PARTIAL_IMAGE_TOKENS;
        }
        let ends = kind.ends_with(".completed") || kind.ends_with(".done");
        self.observed.first_content = true;
        self.observed.finished |= ends;
        if ends {
            let before = self.observed.usage.map_or(0, |usage| usage.units);
            self.used(root, before + u64::from(kind.starts_with("image")));
        }
    }

    /// What an answer says of the images that it has: most say nothing.
    fn pictured(&mut self, root: Val<'_>) {
        if self.format.unit() != Some(Unit::Image) {
            return;
        }
        let first = root.get("data").and_then(|data| data.elements().next());
        let said = |name: &str| root.get(name).or_else(|| first?.get(name)).and_then(Val::as_str);
        let variant = Variant::of(said("size").as_deref(), said("quality").as_deref());
        self.observed.served_variant = variant.map(Box::new).or(self.observed.served_variant.take());
    }

    fn used(&mut self, root: Val<'_>, images: u64) {
        self.pictured(root);
        match single(self.format, root, images) {
            Ok(Some(usage)) if usage.is_absurd() => self.reject(),
            Ok(usage) => {
                // Who counts tokens counts those of partial images, and who says no more than that there is an image counts none.
                let counts = usage.is_some_and(|usage| usage.output_tokens() > 0);
                if counts {
                    self.observed.media_said = self.observed.media;
                }
                self.observed.output_missing = !counts && self.observed.media != self.observed.media_said;
                self.observed.usage = usage.or(self.observed.usage);
            }
            Err(Absurd) => self.reject(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_core::{Usage, UsageSource};

    use super::*;

    fn used(format: Format, body: &str) -> Option<Usage> {
        let mut tap = Tap::new(format, None);
        tap.body(body.as_bytes());
        assert_eq!(tap.observed.error, None, "{body}");
        assert!(tap.observed.finished && tap.observed.first_content);
        tap.observed.usage
    }

    #[test]
    fn each_operation_says_in_its_own_way_what_it_used() {
        for (format, body, want) in [
            (
                Format::OpenaiImages,
                r#"{"data":[{"b64_json":"AA"},{"b64_json":"AA"}]}"#,
                Some(Usage { units: 2, ..Usage::default() }),
            ),
            (
                Format::OpenaiImageEdits,
                r#"{"data":[{}],"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12,"input_tokens_details":{"image_tokens":3,"text_tokens":2}}}"#,
                Some(Usage { input_uncached: 2, image_in: 3, image_out: 7, units: 1, ..Usage::default() }),
            ),
            (
                Format::OpenaiImages,
                r#"{"data":[{}],"usage":{"input_tokens":60,"output_tokens":70,"total_tokens":130,"input_tokens_details":{"image_tokens":40,"text_tokens":20,"cached_tokens":30,"cached_tokens_details":{"image_tokens":25,"text_tokens":5}},"output_tokens_details":{"image_tokens":64,"text_tokens":6}}}"#,
                Some(Usage {
                    input_uncached: 15,
                    image_in: 15,
                    cache_read: 5,
                    cache_read_image: 25,
                    output_visible: 6,
                    image_out: 64,
                    units: 1,
                    ..Usage::default()
                }),
            ),
            (
                Format::OpenaiTranscriptions,
                r#"{"text":"hi","usage":{"type":"duration","seconds":9}}"#,
                Some(Usage { units: 9, ..Usage::default() }),
            ),
            (
                Format::OpenaiTranscriptions,
                r#"{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":7,"total_tokens":21}}"#,
                Some(Usage { audio_in: 14, output_visible: 7, ..Usage::default() }),
            ),
            (
                Format::OpenaiTranslations,
                r#"{"text":"hi","duration":2.9}"#,
                Some(Usage { units: 3, ..Usage::default() }),
            ),
            (Format::OpenaiTranscriptions, r#"{"text":"hi"}"#, None),
            (Format::OpenaiTranscriptions, "1\n00:00 --> 00:01\nhi\n", None),
            (Format::OpenaiModerations, r#"{"id":"m","results":[{"flagged":false}]}"#, None),
            (
                Format::Rerank,
                r#"{"results":[{"index":0,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1.0}}}"#,
                Some(Usage { units: 1, ..Usage::default() }),
            ),
            (
                Format::Rerank,
                r#"{"results":[],"usage":{"total_tokens":40}}"#,
                Some(Usage { input_uncached: 40, ..Usage::default() }),
            ),
            (Format::AnthropicCountTokens, r#"{"input_tokens":40}"#, None),
        ] {
            assert_eq!(used(format, body), want, "{body}");
        }
    }

    #[test]
    fn answers_say_what_their_images_are() {
        for (body, size, quality) in [
            (r#"{"data":[{}]}"#, None, None),
            (
                r#"{"data":[{}],"size":"1536x1024","quality":"high","background":"opaque"}"#,
                Some("1536x1024"),
                Some("high"),
            ),
            (
                r#"{"data":[{"size":"2048x2048","url":"u"},{"size":"1x1"}],"model":"m"}"#,
                Some("2048x2048"),
                None,
            ),
            (r#"{"data":[{}],"size":7,"quality":"auto"}"#, None, None),
        ] {
            let mut tap = Tap::new(Format::OpenaiImages, None);
            tap.body(body.as_bytes());
            assert_eq!(tap.observed.served_variant.as_deref(), Variant::of(size, quality).as_ref(), "{body}");
        }
        let mut tap = Tap::new(Format::OpenaiImages, None);
        let event = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"size\":\"1024x1024\",\"quality\":\"low\"}\n\n";
        tap.frame(event.as_bytes());
        assert_eq!(
            tap.observed.served_variant.as_deref(),
            Variant::of(Some("1024x1024"), Some("low")).as_ref()
        );
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (format, body) in [
            (Format::OpenaiImages, r#"{"error":{"message":"no"}}"#),
            (Format::OpenaiImages, r#"{"images":[]}"#),
            (Format::OpenaiTranscriptions, "<html>"),
            (Format::OpenaiModerations, "nonsense"),
            (Format::Rerank, r#"{"message":"invalid api token"}"#),
        ] {
            let mut tap = Tap::new(format, None);
            tap.body(body.as_bytes());
            assert!(tap.observed.error.is_some(), "{body}");
        }
        let mut tap = Tap::new(Format::OpenaiImages, None);
        tap.body(br#"{"data":[{}],"usage":{"input_tokens":-1,"output_tokens":7}}"#);
        assert!(tap.observed.usage_rejected && tap.observed.usage.is_none());
    }

    #[test]
    fn no_images_are_no_content() {
        for (format, body, want) in [
            (Format::OpenaiImages, r#"{"created":1,"data":[]}"#, false),
            (Format::OpenaiImageEdits, r#"{"data":[],"usage":{"input_tokens":5}}"#, false),
            (Format::OpenaiImages, r#"{"data":[{"url":"u"}]}"#, true),
            (Format::OpenaiModerations, r#"{"results":[],"data":[]}"#, true),
        ] {
            let mut tap = Tap::new(format, None);
            tap.body(body.as_bytes());
            let observed = &tap.observed;
            assert_eq!(
                (&observed.error, observed.finished, observed.first_content),
                (&None, true, want),
                "{body}"
            );
        }
    }

    #[test]
    fn streams_end_with_what_they_used() {
        let event =
            |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
        let mut tap = Tap::new(Format::OpenaiImages, None);
        tap.frame(event("image_generation.partial_image", ",\"b64_json\":\"AA\"").as_bytes());
        assert!(tap.observed.first_content && !tap.observed.finished);
        let usage = ",\"usage\":{\"input_tokens\":5,\"output_tokens\":7}";
        tap.frame(event("image_generation.completed", usage).as_bytes());
        let want = Usage { input_uncached: 5, image_out: 7, units: 1, ..Usage::default() };
        assert_eq!((tap.observed.finished, tap.observed.usage), (true, Some(want)));

        let mut tap = Tap::new(Format::OpenaiSpeech, None);
        tap.frame(event("speech.audio.delta", ",\"audio\":\"AA\"").as_bytes());
        tap.frame(event("speech.audio.done", usage).as_bytes());
        let want = Usage { input_uncached: 5, audio_out: 7, ..Usage::default() };
        assert_eq!((tap.observed.finished, tap.observed.usage), (true, Some(want)));

        let mut tap = Tap::new(Format::OpenaiTranscriptions, None);
        tap.frame(event("transcript.text.delta", ",\"delta\":\"hello\"").as_bytes());
        tap.frame(event("transcript.text.done", ",\"text\":\"hello\"").as_bytes());
        assert_eq!((tap.observed.finished, tap.observed.output_bytes), (true, 5));
    }

    #[test]
    fn partial_images_are_counted_where_nobody_reports_them() {
        let partial = ("image_generation.partial_image", "");
        let reported = ",\"usage\":{\"input_tokens\":5,\"output_tokens\":472}";
        for (events, image_out, source) in [
            (&[partial, partial] as &[_], 200, UsageSource::Counted),
            (&[partial, ("image_generation.completed", "")], 100, UsageSource::Counted),
            (&[("image_edit.partial_image", ""), ("image_edit.completed", "")], 100, UsageSource::Counted),
            (&[("image_generation.completed", "")], 0, UsageSource::Reported),
            (&[partial, partial, ("image_generation.completed", reported)], 472, UsageSource::Reported),
        ] {
            let mut tap = Tap::new(Format::OpenaiImages, None);
            for (kind, rest) in events {
                tap.frame(format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n").as_bytes());
            }
            let (usage, how) = tap.observed.settlement(7);
            assert_eq!((usage.image_out, how), (image_out, source), "{events:?}");
        }
    }
}

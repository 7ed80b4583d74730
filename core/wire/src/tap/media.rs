//! Pictures and sounds that pass by: they take what their formulas say, however many bytes they are.

use sluicegate_core::count::{GEMINI_PICTURE, LARGE_GEMINI_PICTURE};

use super::Tap;
use crate::json::{Kind, Val};
use crate::scan::media::image_size;

/// None of 2,048 pixels a side has as many.
const LARGE_AREA: u64 = 8_000_000;
/// A second of speech is 25 tokens at Gemini, and 20 at OpenAI.
const SOUND_TOKENS_PER_S: u64 = 25;
/// Of 24,000 samples of 16 bits a second.
const SOUND_BYTES_PER_S: u64 = 48_000;
/// A compressed second at 128 kbit/s.
const PACKED_BYTES_PER_S: u64 = 16_000;
/// How MP3, Ogg and FLAC begin, in base64.
const PACKED: [&str; 4] = ["SUQz", "//", "T2dn", "ZkxhQ"];
/// No picture in a text is shorter, in characters.
const PICTURE_LEN_MIN: usize = 512;
/// What stands before one.
const INLINE: &str = ";base64,";

impl Tap {
    /// A part of a list: media, text, or what isn't known.
    pub(super) fn part(&mut self, part: Val<'_>) {
        let is_picture = ["image_url", "image"].iter().find_map(|name| part.get(name));
        if let Some(picture) = is_picture {
            return self.picture(picture.get("url").unwrap_or(picture));
        }
        let kind = part.get_str("type");
        let inner = kind.as_deref().filter(|kind| matches!(*kind, "text" | "refusal" | "thinking"));
        match inner.and_then(|name| part.get(name)) {
            Some(text) if text.kind() == Kind::String => self.output(text),
            // QUIRK(mistral, 2026-11): what its reasoning models think is a list of texts.
            Some(list) if list.kind() == Kind::Array => {
                let texts = list.elements().filter_map(|piece| piece.get("text"));
                texts.filter(|text| text.kind() == Kind::String).for_each(|text| self.output(text));
            }
            _ => {
                self.observed.first_content = true;
                self.raw_bytes(part.raw());
            }
        }
    }

    /// A picture: its data, or where it is.
    pub(super) fn picture(&mut self, data: Val<'_>) {
        if data.kind() != Kind::String || data.raw().len() <= 2 {
            return;
        }
        self.observed.first_content = true;
        self.drawn(data.raw().trim_matches('"'));
    }

    fn drawn(&mut self, data: &str) {
        let area = image_size(data).map_or(0, |size| u64::from(size.width) * u64::from(size.height));
        // Most that come in chats are Gemini's.
        self.observed.media.image += if area > LARGE_AREA { LARGE_GEMINI_PICTURE } else { GEMINI_PICTURE };
    }

    /// A sound, or a piece of one.
    pub(super) fn spoken(&mut self, data: Option<Val<'_>>) {
        let Some(data) = data.filter(|data| data.kind() == Kind::String && data.raw().len() > 2) else {
            return;
        };
        self.observed.first_content = true;
        let data = data.raw().trim_matches('"');
        let bytes = (data.len() as u64).saturating_mul(3) / 4;
        let is_packed = PACKED.iter().any(|begin| data.starts_with(begin));
        let per_s = if is_packed { PACKED_BYTES_PER_S } else { SOUND_BYTES_PER_S };
        self.observed.media.audio += bytes.saturating_mul(SOUND_TOKENS_PER_S).div_ceil(per_s);
    }

    /// Some put pictures into the text: how much of it they are, in characters.
    pub(super) fn pictures_in(&mut self, text: &str) -> usize {
        if text.len() < PICTURE_LEN_MIN {
            return 0;
        }
        let (mut rest, mut drawn) = (text, 0);
        while let Some((_, after)) = rest.split_once(INLINE) {
            let is_data =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\\' | '-' | '_');
            let end = after.find(|c| !is_data(c)).unwrap_or(after.len());
            let (data, behind) = after.split_at(end);
            if end >= PICTURE_LEN_MIN {
                self.drawn(data);
                drawn += end;
            }
            rest = behind;
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_core::Format;

    use super::*;

    /// What an answer that breaks off after these is settled with: text, pictures, sound.
    fn broken(format: Format, frames: &[&str]) -> (u64, u64, u64) {
        let mut tap = Tap::new(format, None);
        for frame in frames {
            tap.document(frame.as_bytes());
        }
        assert!(tap.observed.first_content && !tap.observed.finished, "{format:?}");
        let usage = tap.observed.settlement(7).0;
        (usage.output_visible, usage.image_out, usage.audio_out)
    }

    #[test]
    fn media_count_by_their_formulas_and_never_as_text() {
        let data = "A".repeat(400_000);
        let chat = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{{delta}}}}}]}}"#);
        let gemini = |mime: &str, rest: &str| {
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"{mime}","data":"{data}"}}}}]}}}}]{rest}}}"#
            )
        };
        let said = r#","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1120,"totalTokenCount":1130,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1120}]}"#;
        let picture =
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#);
        let (openai, google) = (Format::OpenaiChat, Format::GeminiGenerate);
        for (format, frames, want) in [
            (openai, vec![chat(&format!(r#""content":"word","images":[{picture}]"#))], (1, 1_290, 0)),
            (openai, vec![chat(&format!(r#""content":[{picture},{picture}]"#))], (0, 2_580, 0)),
            (
                openai,
                vec![chat(&format!(r#""content":"see ![p](data:image/png;base64,{data}) it""#))],
                (9, 1_290, 0),
            ),
            (
                openai,
                vec![
                    chat(&format!(r#""audio":{{"id":"a","data":"{data}"}}"#)),
                    chat(r#""audio":{"transcript":"word"}"#),
                ],
                (1, 0, 157),
            ),
            (openai, vec![chat(&format!(r#""audio":{{"data":"SUQz{data}"}}"#))], (0, 0, 469)),
            (google, vec![gemini("image/png", "")], (0, 1_290, 0)),
            (google, vec![gemini("audio/L16;rate=24000", "")], (0, 0, 157)),
            (google, vec![gemini("image/png", said)], (0, 1_120, 0)),
            (google, vec![gemini("image/png", said), gemini("image/png", "")], (0, 2_410, 0)),
            (
                Format::OpenaiResponses,
                vec![format!(
                    r#"{{"type":"response.output_item.done","item":{{"type":"image_generation_call","result":"{data}"}}}}"#
                )],
                (0, 1_290, 0),
            ),
        ] {
            let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
            let shown: Vec<&str> = frames.iter().map(|frame| &frame[..frame.len().min(90)]).collect();
            assert_eq!(broken(format, &frames), want, "{shown:?}");
        }
        // A PNG of 4,096 pixels a side.
        let mut tap = Tap::new(google, None);
        tap.drawn("iVBORw0KGgoAAAANSUhEUgAAEAAAABAACAYAAAA");
        assert_eq!(tap.observed.media.image, 2_000);
    }

    #[test]
    fn lists_of_parts_count_as_the_texts_in_them() {
        let chunk = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{delta}}}}}]}}"#);
        for delta in [
            r#""word ""#,
            r#"[{"type":"text","text":"word "}]"#,
            r#"[{"type":"thinking","thinking":[{"type":"text","text":"word "}]}]"#,
            r#"[{"type":"thinking","thinking":"word "}]"#,
            r#"[{"type":"thinking","thinking":[{"type":"text","text":"wo"},{"type":"text","text":"rd "}]}]"#,
        ] {
            let delta = chunk(delta);
            assert_eq!(broken(Format::OpenaiChat, &vec![delta.as_str(); 50]), (63, 0, 0), "{delta}");
        }
    }

    #[test]
    fn whole_answers_without_usage_count_media_alike() {
        let data = "A".repeat(400_000);
        for (format, body, want) in [
            (
                Format::OpenaiChat,
                format!(
                    r#"{{"choices":[{{"index":0,"finish_reason":"stop","message":{{"content":"word","images":[{{"image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}}}]}}"#
                ),
                1_290,
            ),
            (
                Format::OpenaiResponses,
                format!(
                    r#"{{"output":[{{"type":"image_generation_call","result":"{data}"}},{{"type":"message","content":[{{"text":"word"}}]}}]}}"#
                ),
                1_290,
            ),
        ] {
            let mut tap = Tap::new(format, None);
            tap.body(body.as_bytes());
            let usage = tap.observed.settlement(7).0;
            assert_eq!((usage.output_visible, usage.image_out), (1, want), "{format:?}");
        }
    }
}

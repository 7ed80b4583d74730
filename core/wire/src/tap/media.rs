//! Pictures and sounds that pass by: they take what their formulas say, however many bytes they are.

use sluicegate_core::count::{GEMINI_PICTURE, LARGE_GEMINI_PICTURE};

use super::Tap;
use crate::json::{Kind, Val};
use crate::media::sniff as image_type;
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
/// How its address begins.
const SCHEME: &str = "data:";
/// No type of a picture is said in more, in characters.
const HEAD_LEN_MAX: usize = 96;
/// So much of the data is looked at for what it is.
const MAGIC_LEN: usize = 16;

impl Tap {
    /// A part of a list: media, text, or what isn't known.
    pub(super) fn part(&mut self, part: Val<'_>) {
        let is_picture = ["image_url", "image"].iter().find_map(|name| part.get(name));
        if let Some(picture) = is_picture {
            return self.picture(picture.get("url").unwrap_or(picture));
        }
        let sound =
            ["input_audio", "output_audio", "audio"].iter().find_map(|name| part.get(name)?.get("data"));
        if sound.is_some() {
            return self.spoken(sound);
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

    /// Some put pictures into the text: how much of it they are, in characters. One may go on in the next text.
    pub(super) fn pictures_in(&mut self, text: &str) -> usize {
        let drawn = self.goes_on(text);
        if drawn == text.len() {
            return drawn;
        }
        let rest = text.get(drawn..).unwrap_or_default();
        if self.inline.begins_on(rest) {
            return drawn;
        }
        if self.inline.head.is_empty() {
            return drawn + self.begun_in(rest);
        }
        let head = std::mem::take(&mut self.inline.head);
        let found = self.begun_in(&format!("{head}{rest}"));
        drawn + found.min(rest.len())
    }

    /// How much of a text belongs to the picture that the last one ended in.
    fn goes_on(&mut self, text: &str) -> usize {
        let Some(before) = self.inline.data.take() else { return 0 };
        let more = data_len(text);
        let all = before + more;
        if more == text.len() {
            self.inline.data = Some(all);
        }
        if all < PICTURE_LEN_MIN {
            return 0;
        }
        if before < PICTURE_LEN_MIN {
            self.drawn(text);
            // Until now it was taken for text.
            self.observed.output_bytes = self.observed.output_bytes.saturating_sub(before as u64);
        }
        more
    }

    /// How much of a text the pictures are that begin in it.
    fn begun_in(&mut self, text: &str) -> usize {
        let (mut rest, mut drawn) = (text, 0);
        // Hardly a text has one: that is seen at once.
        let may_have = text.as_bytes().contains(&b';');
        while may_have && let Some((before, after)) = rest.split_once(INLINE) {
            let (data, behind) = after.split_at(data_len(after));
            rest = behind;
            if !is_picture(before, data) {
                continue;
            }
            if data.len() >= PICTURE_LEN_MIN {
                self.drawn(data);
                drawn += data.len();
            }
            if behind.is_empty() {
                self.inline.data = Some(data.len());
            }
        }
        self.inline.hold(rest);
        drawn
    }
}

/// A picture in a text that ended before it did.
#[derive(Debug, Default)]
pub(super) struct Inline {
    /// How much of its data has come, in characters.
    data: Option<usize>,
    /// What may be the beginning of one, up to its data.
    head: String,
    /// So much of the scheme stood at the text's end, in bytes: less than all of it, which is in the head.
    begun: usize,
}

impl Inline {
    /// Keeps the end of a text that may be the head of a picture's address.
    fn hold(&mut self, text: &str) {
        match head_in(text) {
            Some(head) => self.head.push_str(head),
            None => self.begun = begun_at_end(text),
        }
    }

    /// Whether a text is no more than the next letters of a scheme that has begun. One that goes on behind it belongs to a head.
    fn begins_on(&mut self, text: &str) -> bool {
        let begun = std::mem::take(&mut self.begun);
        let (before, behind) = SCHEME.split_at(begun);
        if begun == 0 {
            return false;
        }
        if text.len() < behind.len() && behind.starts_with(text) {
            self.begun = begun + text.len();
            return true;
        }
        if text.starts_with(behind) {
            self.head.push_str(before);
        }
        false
    }
}

/// How long the base64 is that a text begins with.
fn data_len(text: &str) -> usize {
    let is_data = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\\' | '-' | '_');
    text.find(|c| !is_data(c)).unwrap_or(text.len())
}

/// Whether data is a picture's: what stands before it says so, or it begins like one.
fn is_picture(before: &str, data: &str) -> bool {
    let plain = |text: &str| text.replace('\\', "");
    let head =
        before.rfind("data:").and_then(|at| before.get(at..)).filter(|head| head.len() <= HEAD_LEN_MAX);
    let says_so = head
        .is_some_and(|head| plain(head).starts_with("data:image/") && !head.contains(char::is_whitespace));
    says_so || image_type(&plain(data.get(..MAGIC_LEN).unwrap_or(data))).is_some()
}

/// The end of a text that may be the head of a picture's address.
fn head_in(text: &str) -> Option<&str> {
    if !text.as_bytes().contains(&b':') {
        return None;
    }
    let may_be =
        |head: &&str| head.len() <= HEAD_LEN_MAX && !head.contains(|c: char| c.is_whitespace() || c == ')');
    text.rfind(SCHEME).and_then(|at| text.get(at..)).filter(may_be)
}

/// How much of the scheme a text ends with, where that isn't all of it.
fn begun_at_end(text: &str) -> usize {
    let ends = |len: &usize| SCHEME.get(..*len).is_some_and(|part| text.ends_with(part));
    (1..SCHEME.len()).rev().find(ends).unwrap_or(0)
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
        let two = r#","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":2}"#;
        let both = r#","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":2242}"#;
        let plain = r#","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1120}"#;
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
            (
                openai,
                vec![chat(&format!(
                    r#""content":[{{"type":"input_audio","input_audio":{{"data":"{data}","format":"pcm16"}}}}]"#
                ))],
                (0, 0, 157),
            ),
            (
                Format::OpenaiResponses,
                vec![
                    format!(r#"{{"type":"response.output_audio.delta","delta":"{data}"}}"#),
                    r#"{"type":"response.output_audio_transcript.delta","delta":"word"}"#.to_owned(),
                ],
                (1, 0, 157),
            ),
            // A report that hasn't risen by anything like it doesn't have it.
            (google, vec![gemini("image/png", two)], (2, 1_290, 0)),
            (google, vec![gemini("image/png", two), gemini("image/png", both)], (2_242, 0, 0)),
            (google, vec![gemini("image/png", plain)], (1_120, 0, 0)),
            (google, vec![gemini("image/png", plain), gemini("image/png", plain)], (1_120, 1_290, 0)),
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
    fn pictures_in_texts_are_known_by_their_type_or_their_beginning() {
        let data = "A".repeat(20_000);
        let png = format!("iVBORw0KGgo{data}");
        for (text, want) in [
            (format!("x;base64,{data}"), (5_003, 0)),
            (format!("data:text/plain;base64,{data}"), (5_006, 0)),
            (format!("data:image/png is ;base64,{data}"), (5_007, 0)),
            (format!("x;base64,{png}"), (3, 1_290)),
            (format!(r"x;base64,\/9j\/{data}"), (2, 1_290)),
            (format!("data:image/webp;base64,{data}"), (6, 1_290)),
            (format!(r"data:image\/png;charset=utf-8;base64,{data}"), (9, 1_290)),
            (format!("data:image/png;base64,{}", "A".repeat(511)), (134, 0)),
        ] {
            let frame = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#);
            let (written, drawn, _) = broken(Format::OpenaiChat, &[&frame]);
            assert_eq!((written, drawn), want, "{}", &text[..40]);
        }
    }

    #[test]
    fn a_picture_in_a_text_may_span_frames() {
        let data = "A".repeat(3_000);
        let whole =
            format!("see ![p](data:image/png;base64,{data}) and ![q](data:image/png;base64,{data}) it");
        for size in [1, 2, 3, 4, 5, 7, 64, 500, 600, 10_000] {
            let pieces = whole.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap());
            let frames: Vec<String> = pieces
                .map(|piece| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{piece}"}}}}]}}"#))
                .collect();
            let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
            let (written, drawn, _) = broken(Format::OpenaiChat, &frames);
            assert_eq!((written, drawn), (17, 2_580), "pieces of {size}");
        }
    }

    #[test]
    fn words_that_may_begin_a_picture_hold_nothing_back() {
        let data = "A".repeat(600);
        let behind = format!("a:image/png;base64,{data}");
        for (pieces, begun, want) in [
            (vec!["and"], 1, (1, 0)),
            (vec!["and", "at"], 3, (2, 0)),
            (vec!["and", "a dat"], 3, (2, 0)),
            (vec!["and", " so"], 0, (2, 0)),
            (vec!["and", "at", behind.as_str()], 0, (6, 1_290)),
            (vec!["and", "at", " ", behind.as_str()], 0, (157, 0)),
        ] {
            let mut tap = Tap::new(Format::OpenaiChat, None);
            for piece in &pieces {
                let frame = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{piece}"}}}}]}}"#);
                tap.document(frame.as_bytes());
            }
            assert_eq!((tap.inline.begun, tap.inline.head.capacity()), (begun, 0), "{pieces:?}");
            let usage = tap.observed.settlement(7).0;
            assert_eq!((usage.output_visible, usage.image_out), want, "{pieces:?}");
        }
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

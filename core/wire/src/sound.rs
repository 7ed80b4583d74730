//! Sound in answers: raw samples, which Gemini and OpenAI have in common, and the head that makes a WAV file of them.

use crate::base64;
use crate::error::{Result, WireError};
use crate::json::Val;

/// What Gemini speaks in, and OpenAI under the name `pcm16`: 24,000 samples a second of 16 bits, little-endian, one channel.
/// From ai.google.dev/gemini-api/docs/speech-generation and platform.openai.com/docs/guides/realtime-conversations, 2026-11.
pub(crate) const PCM: &str = "audio/L16;codec=pcm;rate=24000";
const SAMPLES_A_SECOND: u32 = 24_000;
const BYTES_A_SAMPLE: u16 = 2;
const WAV_HEAD_BYTES: u32 = 44;

/// The voices of OpenAI's models.
const OPENAI_VOICES: [&str; 13] = [
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer",
    "verse",
];

/// What a caller of chat completions wants to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The voice's name, if there is one.
    pub(crate) voice: Option<String>,
    /// A file rather than bare samples.
    pub(crate) wav: bool,
}

impl Wanted {
    /// Reads chat's `audio`. Unsaid, the form is what is possible: a file, or samples in a stream.
    ///
    /// # Errors
    /// `NotSupported` for a form that samples can't be put in here.
    pub(crate) fn read(audio: &str, stream: bool) -> Result<Self> {
        let audio = Val::trusted(audio);
        let voice = audio.get("voice").and_then(|voice| voice.as_str().or_else(|| voice.get_str("id")));
        let wav = match (audio.get_str("format").as_deref(), stream) {
            (Some("pcm16"), _) | (None, true) => false,
            (Some("wav") | None, false) => true,
            (Some(other), _) => {
                let form = crate::names::cut(other, 32);
                return Err(WireError::unsupported(format!(
                    "a Gemini endpoint speaks in bare samples, which can't become `{form}` here: ask for `pcm16`, or for `wav` without `stream`"
                ))
                .at("audio.format"));
            }
        };
        Ok(Self { voice: voice.map(|voice| voice.into_owned()), wav })
    }
}

/// A voice of OpenAI's by this name, in any case.
pub(crate) fn openai_voice(name: &str) -> Option<&'static str> {
    OPENAI_VOICES.into_iter().find(|voice| voice.eq_ignore_ascii_case(name))
}

/// Whether a part of Gemini's of this type is samples as both know them.
pub(crate) fn is_pcm(media_type: &str) -> bool {
    let mut words = media_type.split(';').map(|word| word.trim().to_ascii_lowercase());
    let is_raw = words.next().is_some_and(|kind| matches!(&*kind, "audio/l16" | "audio/pcm"));
    is_raw && words.all(|word| word.strip_prefix("rate=").is_none_or(|rate| rate == "24000"))
}

/// Pieces of base64 as one: each may be padded.
pub(crate) fn joined(pieces: &[String]) -> String {
    match pieces {
        [one] => one.clone(),
        all => base64::encode(&samples(all)),
    }
}

/// Pieces of samples as a WAV file, in base64.
pub(crate) fn wav(pieces: &[String]) -> String {
    let samples = samples(pieces);
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX - WAV_HEAD_BYTES);
    let mut file = Vec::with_capacity(samples.len() + WAV_HEAD_BYTES as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(length + (WAV_HEAD_BYTES - 8)).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&SAMPLES_A_SECOND.to_le_bytes());
    file.extend_from_slice(&(SAMPLES_A_SECOND * u32::from(BYTES_A_SAMPLE)).to_le_bytes());
    file.extend_from_slice(&BYTES_A_SAMPLE.to_le_bytes());
    file.extend_from_slice(&(BYTES_A_SAMPLE * 8).to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&samples);
    base64::encode(&file)
}

/// What isn't base64 is no sound.
fn samples(pieces: &[String]) -> Vec<u8> {
    pieces.iter().filter_map(|piece| base64::decode(piece)).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_a_file() {
        let pieces = ["AQA=".to_owned(), "AgADAA==".to_owned()];
        assert_eq!(joined(&pieces), "AQACAAMA");
        assert_eq!(joined(&["odd".to_owned()]), "odd");
        let file = base64::decode(&wav(&pieces)).unwrap();
        assert_eq!(file.len(), 44 + 6);
        assert_eq!(&file[..16], b"RIFF\x2a\0\0\0WAVEfmt ");
        assert_eq!(&file[20..36], b"\x01\0\x01\0\xc0\x5d\0\0\x80\xbb\0\0\x02\0\x10\0");
        assert_eq!(&file[36..44], b"data\x06\0\0\0");
    }

    #[test]
    fn types_of_samples() {
        for (media_type, is) in [
            (PCM, true),
            ("audio/L16; rate=24000", true),
            ("audio/pcm", true),
            ("audio/L16;rate=16000", false),
            ("audio/wav", false),
        ] {
            assert_eq!(is_pcm(media_type), is, "{media_type}");
        }
    }
}

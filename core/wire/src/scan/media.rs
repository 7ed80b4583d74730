//! What the first bytes of inline media say: the size of an image, the length of a sound. Only as much is decoded as is
//! looked at, and what isn't plainly readable is unknown: then the worst case counts.

use sluicegate_core::count::ImageSize;

/// A JPEG's size may stand behind its embedded profiles and thumbnail, never far behind.
// BOUND: so many characters of base64 are looked at.
const LOOKED_AT: usize = 256 * 1024;
/// Chunks and segments that are passed over.
// BOUND: of one file.
const SEGMENTS_MAX: usize = 256;
/// The lowest rate of an MP3 is 8 kbit/s: one byte for each millisecond (ISO/IEC 13818-3, layer III).
const MP3_BYTES_PER_MS: u64 = 1;

/// Base64 that is read where it is asked for.
pub(super) struct Base64<'a> {
    text: &'a [u8],
    /// So many characters are known to be of the alphabet, so that places are where they seem to be.
    checked: usize,
}

impl<'a> Base64<'a> {
    /// What stands behind `base64,` in a data URL, or all of it.
    pub(super) fn of(data: &'a str) -> Self {
        let text = match data.split_once(',') {
            Some((head, rest)) if head.starts_with("data:") && head.ends_with(";base64") => rest,
            _ => data,
        };
        Self { text: text.as_bytes(), checked: 0 }
    }

    /// How many bytes it decodes to, at most.
    pub(super) fn len(&self) -> u64 {
        (self.text.len() as u64).div_ceil(4).saturating_mul(3)
    }

    fn byte(&mut self, at: usize) -> Option<u8> {
        let first = at.checked_mul(4)? / 3;
        let end = first + 2;
        if end > self.text.len().min(LOOKED_AT) {
            return None;
        }
        if end > self.checked {
            let unchecked = self.text.get(self.checked..end)?;
            if !unchecked.iter().all(|byte| value(*byte).is_some()) {
                return None;
            }
            self.checked = end;
        }
        let (a, b) = (value(*self.text.get(first)?)?, value(*self.text.get(first + 1)?)?);
        Some(match at % 3 {
            0 => (a << 2) | (b >> 4),
            1 => (a << 4) | (b >> 2),
            _ => (a << 6) | b,
        })
    }

    fn bytes<const N: usize>(&mut self, at: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = self.byte(at.checked_add(n)?)?;
        }
        Some(bytes)
    }

    fn begins(&mut self, at: usize, with: &[u8]) -> bool {
        with.iter().enumerate().all(|(n, byte)| self.byte(at + n) == Some(*byte))
    }
}

/// The six bits that a character of the usual alphabet stands for.
fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// The size of a PNG, a JPEG or a WebP. A GIF's frames may be larger than it says, so its size is unknown like any other's.
pub(crate) fn image_size(data: &str) -> Option<ImageSize> {
    let mut file = Base64::of(data);
    let (width, height) = if file.begins(0, b"\x89PNG\r\n\x1a\n") {
        png(&mut file)?
    } else if file.begins(0, b"\xff\xd8\xff") {
        jpeg(&mut file)?
    } else if file.begins(0, b"RIFF") && file.begins(8, b"WEBP") {
        webp(&mut file)?
    } else {
        return None;
    };
    (width > 0 && height > 0).then_some(ImageSize { width, height })
}

fn png(file: &mut Base64<'_>) -> Option<(u32, u32)> {
    if !file.begins(12, b"IHDR") {
        return None;
    }
    Some((u32::from_be_bytes(file.bytes(16)?), u32::from_be_bytes(file.bytes(20)?)))
}

fn jpeg(file: &mut Base64<'_>) -> Option<(u32, u32)> {
    let mut at = 2;
    for _ in 0..SEGMENTS_MAX {
        let [mark, kind] = file.bytes(at)?;
        if mark != 0xff {
            return None;
        }
        match kind {
            // Filling, and markers without a length.
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            // The frame's header; a height of 0 says that it comes later.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let [h, eight, w, th] = file.bytes(at + 5)?;
                return Some((
                    u32::from(u16::from_be_bytes([w, th])),
                    u32::from(u16::from_be_bytes([h, eight])),
                ));
            }
            // The picture itself, or its end: there was no header.
            0xd8..=0xda | 0x00 => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes(file.bytes(at + 2)?)),
        }
    }
    None
}

fn webp(file: &mut Base64<'_>) -> Option<(u32, u32)> {
    let small = |[low, high]: [u8; 2]| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    if file.begins(12, b"VP8X") {
        let canvas = |[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]) + 1;
        return Some((canvas(file.bytes(24)?), canvas(file.bytes(27)?)));
    }
    if file.begins(12, b"VP8 ") && file.begins(23, &[0x9d, 0x01, 0x2a]) {
        return Some((small(file.bytes(26)?), small(file.bytes(28)?)));
    }
    if file.begins(12, b"VP8L") && file.begins(20, &[0x2f]) {
        let bits = u32::from_le_bytes(file.bytes(21)?);
        return Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1));
    }
    None
}

/// No longer than this is the sound, in milliseconds; `None` when its bytes don't tell.
pub(super) fn audio_ms(data: &str, format: Option<&str>) -> Option<u64> {
    let mut file = Base64::of(data);
    match format {
        Some("wav") => wav(&mut file),
        Some("mp3") => Some(file.len() / MP3_BYTES_PER_MS),
        _ => None,
    }
}

/// All of the file at the rate that its header names: compressed samples, whose rate is another, are unknown.
fn wav(file: &mut Base64<'_>) -> Option<u64> {
    if !file.begins(0, b"RIFF") || !file.begins(8, b"WAVE") {
        return None;
    }
    let mut at = 12;
    for _ in 0..SEGMENTS_MAX {
        if file.begins(at, b"fmt ") {
            let le16 = |bytes| u64::from(u16::from_le_bytes(bytes));
            let (tag, channels) = (le16(file.bytes(at + 8)?), le16(file.bytes(at + 10)?));
            let rate = u64::from(u32::from_le_bytes(file.bytes(at + 12)?));
            let (block, bits) = (le16(file.bytes(at + 20)?), le16(file.bytes(at + 22)?));
            // PCM, floats, A-law, µ-law, or any of these with more to say.
            if !matches!(tag, 1 | 3 | 6 | 7 | 0xfffe) || rate == 0 {
                return None;
            }
            let frame = block.min(channels.saturating_mul(bits / 8)).max(1);
            return Some(file.len().saturating_mul(1_000).div_ceil(rate.saturating_mul(frame)));
        }
        let size = usize::try_from(u32::from_le_bytes(file.bytes(at + 4)?)).ok()?;
        at = at.checked_add(8)?.checked_add(size)?.checked_add(size % 2)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn base64(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for three in bytes.chunks(3) {
            let bits =
                three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
            for n in 0..4 {
                let at = (bits >> (18 - 6 * n)) as usize & 63;
                out.push(if n <= three.len() { char::from(ALPHABET[at]) } else { '=' });
            }
        }
        out
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let head: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
        [head, &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x02\0\0\0rest"].concat()
    }

    fn jpeg(thumbnail: usize, height: u16, width: u16) -> Vec<u8> {
        let mut file = b"\xff\xd8\xff\xe1".to_vec();
        file.extend(u16::try_from(thumbnail + 2).unwrap().to_be_bytes());
        // A thumbnail has a header of its own, which isn't the picture's.
        file.extend(b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01".iter().cycle().take(thumbnail));
        file.extend(b"\xff\xff\xc4\x00\x04ab\xff\xc2\x00\x11\x08");
        file.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
        file.extend(b"\x03rest");
        file
    }

    fn webp(kind: &[u8; 4], rest: &[u8]) -> Vec<u8> {
        [b"RIFF\x40\0\0\0WEBP".as_slice(), kind, b"\x30\0\0\0", rest, b"more"].concat()
    }

    #[test]
    fn sizes_stand_in_the_first_bytes() {
        let at = |width, height| Some(ImageSize { width, height });
        for (bytes, size) in [
            (png(1_024, 768), at(1_024, 768)),
            (png(u32::MAX, 1), at(u32::MAX, 1)),
            (png(0, 1), None),
            (png(7, 7)[..23].to_vec(), None),
            (jpeg(9, 480, 640), at(640, 480)),
            (jpeg(60_000, 480, 640), at(640, 480)),
            (jpeg(9, 0, 640), None),
            (b"\xff\xd8\xff\xda\x00\x02".to_vec(), None),
            (webp(b"VP8X", b"\0\0\0\0\xff\x03\0\x1f\x01\0"), at(1_024, 288)),
            (webp(b"VP8 ", b"abc\x9d\x01\x2a\x80\x02\xe0\x01"), at(640, 480)),
            (webp(b"VP8L", b"\x2f\x7f\xc2\x77\x00"), at(640, 480)),
            (b"GIF89a\x01\0\x01\0".to_vec(), None),
            (b"".to_vec(), None),
        ] {
            let data = base64(&bytes);
            assert_eq!(image_size(&data), size, "{data:.60}");
            assert_eq!(image_size(&format!("data:image/png;base64,{data}")), size, "{data:.60}");
        }
    }

    #[test]
    fn what_a_decoder_may_read_otherwise_is_unknown() {
        let data = base64(&png(64, 64));
        assert!(image_size(&data).is_some());
        for sly in [
            // Lenient decoders skip these, and then every byte stands elsewhere.
            format!("{} {}", &data[..4], &data[4..]),
            format!("{}\\n{}", &data[..8], &data[8..]),
            data.replacen('A', "=", 1),
            data.replace('+', "-").replacen('i', "_", 1),
            format!("data:image/png,{data}"),
        ] {
            assert_eq!(image_size(&sly), None, "{sly}");
        }
    }

    #[test]
    fn sound_is_as_long_as_its_rate_says() {
        let wav = |tag: u16, channels: u16, rate: u32, block: u16, bits: u16, seconds: usize| {
            let body = vec![0; rate as usize * usize::from(block) * seconds];
            let head: &[u8] = b"RIFF\0\0\0\0WAVEJUNK\x03\0\0\0abc\0fmt \x10\0\0\0";
            let numbers = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
            let more = [block.to_le_bytes(), bits.to_le_bytes()].concat();
            base64(&[head, &numbers, &rate.to_le_bytes(), &[0; 4], &more, b"data\0\0\0\0", &body].concat())
        };
        for (data, format, ms) in [
            (wav(1, 1, 16_000, 2, 16, 3), Some("wav"), Some(3_000)),
            (wav(3, 2, 8_000, 8, 32, 2), Some("wav"), Some(2_000)),
            // A header that understates its frames makes it longer, never shorter.
            (wav(1, 1, 1_000, 16, 8, 1), Some("wav"), Some(16_000)),
            (wav(0x11, 1, 16_000, 2, 4, 1), Some("wav"), None),
            (wav(1, 1, 0, 2, 16, 1), Some("wav"), None),
            (base64(&[0; 3_000]), Some("wav"), None),
            (base64(&[0; 3_000]), Some("mp3"), Some(3_000)),
            (base64(&[0; 3_000]), Some("opus"), None),
            (base64(&[0; 3_000]), None, None),
        ] {
            let got = audio_ms(&data, format);
            match (got, ms) {
                (Some(got), Some(ms)) => assert!((ms..ms + 100).contains(&got), "{got} for {ms}"),
                (got, ms) => assert_eq!(got, ms),
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(
            head in 0usize..5,
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        ) {
            let heads: [&[u8]; 5] = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8", b"RIFF\0\0\0\0WAVE"];
            let data = base64(&[heads[head], &bytes].concat());
            image_size(&data);
            audio_ms(&data, Some("wav"));
        }
    }
}

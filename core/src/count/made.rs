//! What an image takes that is made, in output tokens, where its maker doesn't say.

use crate::price::Variant;

/// The usual size, where it is left to the model, in pixels a side.
const USUAL: u64 = 1_024;
/// No image has more pixels a side.
const SIDE_MAX: u64 = 8_192;

/// What a picture takes that Gemini made, in output tokens: 1,290, of its third generation 1,120.
// QUIRK(gemini, 2026-11, https://ai.google.dev/gemini-api/docs/image-generation): the dearer of its generations.
pub const GEMINI_PICTURE: u64 = 1_290;
/// What one of 4,096 pixels a side takes.
pub const LARGE_GEMINI_PICTURE: u64 = 2_000;

/// How many output tokens an image of a model's takes: by OpenAI's formulas, of its size and quality. What isn't said is as the model
/// usually makes it: square, and as good as it can.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/image-generation): tables for gpt-image-1 and 1.5 (272 tokens for a
// square of low quality to 6,240 for a high one of the best), a calculator for those from gpt-image-2 on.
pub fn made_image_tokens(model: &str, variant: Option<&Variant>) -> u64 {
    let size = variant.and_then(|it| it.size.as_deref()).and_then(pixels);
    if model.contains("gemini") {
        let is_large = size.is_some_and(|(width, height)| width.max(height) > 2_048);
        return if is_large { LARGE_GEMINI_PICTURE } else { GEMINI_PICTURE };
    }
    let (width, height) = size.unwrap_or((USUAL, USUAL));
    let quality = variant.and_then(|it| it.quality.as_deref());
    if is_later(model) {
        let rows = match quality {
            Some("low") => 16,
            Some("medium" | "standard") => 48,
            _ => 96,
        };
        let (long, short) = (width.max(height), width.min(height));
        let columns = (2 * rows * short + long) / (2 * long);
        return (rows * columns * (2_000_000 + width * height)).div_ceil(4_000_000);
    }
    let side = match quality {
        Some("low") => 16,
        Some("medium" | "standard") => 32,
        _ => 64,
    };
    let (columns, rows) = (width * side / USUAL, height * side / USUAL);
    (columns + 1) * rows
}

/// `1024x1536` in pixels.
fn pixels(size: &str) -> Option<(u64, u64)> {
    let (width, height) = size.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (16..=SIDE_MAX).contains(side));
    Some((side(width)?, side(height)?))
}

/// Whether it is gpt-image-2 or one after it, at whoever serves it.
fn is_later(model: &str) -> bool {
    let version = model.rsplit_once("gpt-image-").map(|(_, version)| version);
    version.and_then(|it| it.chars().next()).is_some_and(|first| ('2'..='9').contains(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_what_its_size_and_quality_say() {
        for (model, size, quality, tokens) in [
            ("gpt-image-1", "1024x1024", "low", 272),
            ("gpt-image-1", "1024x1024", "medium", 1_056),
            ("gpt-image-1", "1024x1024", "high", 4_160),
            ("gpt-image-1-mini", "1024x1536", "low", 408),
            ("openai/gpt-image-1.5", "1024x1536", "high", 6_240),
            ("gpt-image-1.5", "1536x1024", "medium", 1_568),
            ("chatgpt-image-latest", "auto", "auto", 4_160),
            ("somebody's", "2K", "", 4_160),
            ("gpt-image-2", "1024x1024", "high", 7_024),
            ("gpt-image-2", "1536x1024", "high", 5_488),
            ("gpt-image-2", "1792x1024", "high", 5_063),
            ("openai/gpt-image-2.5", "976x704", "low", 129),
            ("gpt-image-2", "3840x2160", "auto", 13_342),
        ] {
            let variant = Variant::of(Some(size), Some(quality));
            assert_eq!(made_image_tokens(model, variant.as_ref()), tokens, "{model} {size} {quality}");
        }
        assert_eq!(made_image_tokens("gpt-image-1", None), 4_160);
    }
}

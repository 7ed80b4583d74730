//! How input is counted: whose formulas apply to media, and which tokenizer to text.
//!
//! What is certain of a model's own company is told by its [`ChannelModel`](crate::channel::ChannelModel); of everybody
//! else the worst known formula holds.

mod made;

use serde::{Deserialize, Serialize};

pub use made::{GEMINI_PICTURE, LARGE_GEMINI_PICTURE, made_image_tokens};

/// No image costs more input tokens than this at any known provider.
///
/// The dearest formula found is that of OpenAI's gpt-4o-mini: 2,833 + 5,667 for each of at most 8 tiles
/// (<https://platform.openai.com/docs/guides/images-vision>, read 2026-05); Anthropic's is below 5,000, and servers of open
/// models cut images into 16,384 patches at most.
pub const IMAGE_TOKENS_MAX: u64 = 2_833 + 8 * 5_667;

/// An image scaled to fit 2,048 × 2,048 with a short side of 768 has at most 4 × 2 tiles of 512 (OpenAI, as above).
const TILES_MAX: u32 = 8;
/// OpenAI scales images down until so many patches of 32 × 32 cover them (as above).
const PATCHES_MAX: u64 = 1_536;
/// Anthropic's cap for one image, for models that take the largest ones; those before Opus 4.7 stop at about 1,600
/// (<https://platform.claude.com/docs/en/build-with-claude/vision>, read 2026-11).
const AREA_MAX: u64 = 4_784;
/// What may be added to each image there.
const AREA_OVERHEAD: u64 = 16;
/// Gemini bills 32 tokens for a second of audio, more than anybody else
/// (<https://ai.google.dev/gemini-api/docs/audio>, read 2026-05); OpenAI bills 10.
const AUDIO_TOKENS_PER_S_MAX: u64 = 32;
const AUDIO_TOKENS_PER_S_OPENAI: u64 = 10;

/// By whose rules a model's input is counted and billed, where that is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// Nobody's in particular: bounds hold for all that is known.
    #[default]
    Anybody,
    /// OpenAI's own endpoint.
    Openai(ImageRule),
    /// Anthropic's own endpoint. Input is written to the cache only where the request says so, and the first event of a
    /// stream reports the whole input.
    Anthropic,
    /// As [`Counting::Anybody`], but input is written to a dearer cache only where the request says so (`cache_control`).
    Marked,
}

/// How OpenAI counts the images of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageRule {
    /// It isn't known: [`IMAGE_TOKENS_MAX`] each.
    #[default]
    Unknown,
    /// A base and so much for each tile of 512 pixels.
    Tiles {
        /// For each image, in tokens.
        base: u32,
        /// For each tile, in tokens.
        tile: u32,
    },
    /// So much for each patch of 32 pixels.
    Patches {
        /// Thousandths of a token for each patch.
        per_mille: u32,
    },
}

/// A tokenizer whose counts are those of the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// OpenAI's models since gpt-4o.
    O200kBase,
    /// OpenAI's models before, and its embeddings.
    Cl100kBase,
}

impl Tokenizer {
    /// Its name, such as `o200k_base`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tokenizer::O200kBase => "o200k_base",
            Tokenizer::Cl100kBase => "cl100k_base",
        }
    }
}

/// What a host has counted of one call with tokenizers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// No more input tokens than this by [`Tokenizer::O200kBase`], media as in [`Counting::Anybody`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub o200k_base: Option<u64>,
    /// The same by [`Tokenizer::Cl100kBase`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cl100k_base: Option<u64>,
}

impl Counted {
    /// The count by one tokenizer, if there is one.
    pub fn by(&self, tokenizer: Tokenizer) -> Option<u64> {
        match tokenizer {
            Tokenizer::O200kBase => self.o200k_base,
            Tokenizer::Cl100kBase => self.cl100k_base,
        }
    }

    /// Notes a count.
    pub fn set(&mut self, tokenizer: Tokenizer, bound: u64) {
        match tokenizer {
            Tokenizer::O200kBase => self.o200k_base = Some(bound),
            Tokenizer::Cl100kBase => self.cl100k_base = Some(bound),
        }
    }
}

/// Whether a request may write to a prompt cache that is written only on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheWrites {
    /// It doesn't ask for it.
    None,
    /// For minutes only.
    Short,
    /// For an hour, or nobody knows.
    #[default]
    Long,
}

/// The size of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Pixels across; at least 1.
    pub width: u32,
    /// Pixels down; at least 1.
    pub height: u32,
}

/// The media of one call, summed up in the units of every formula: what they cost is then a matter of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Media {
    images: u32,
    tiles: u32,
    patches: u64,
    areas: u64,
    audio_ms: u64,
}

impl Media {
    /// Adds an image; of unknown size it has the largest. `low` is OpenAI's low detail, which some models heed.
    pub fn add_image(&mut self, size: Option<ImageSize>, low: bool) {
        self.images = self.images.saturating_add(1);
        let tiles = if low { 0 } else { size.map_or(TILES_MAX, tiles) };
        self.tiles = self.tiles.saturating_add(tiles);
        self.patches = self.patches.saturating_add(size.map_or(PATCHES_MAX, patches));
        self.areas = self.areas.saturating_add(size.map_or(AREA_MAX, area) + AREA_OVERHEAD);
    }

    /// Adds sound of at most so many milliseconds.
    pub fn add_audio(&mut self, ms: u64) {
        self.audio_ms = self.audio_ms.saturating_add(ms);
    }

    /// How many images there are.
    pub fn images(&self) -> u32 {
        self.images
    }

    /// No more input tokens than this are billed for them all.
    pub fn tokens(&self, counting: Counting) -> u64 {
        let images = u64::from(self.images);
        let worst = images.saturating_mul(IMAGE_TOKENS_MAX);
        let (images, per_s) = match counting {
            Counting::Anybody | Counting::Marked => (worst, AUDIO_TOKENS_PER_S_MAX),
            Counting::Anthropic => (self.areas, AUDIO_TOKENS_PER_S_MAX),
            Counting::Openai(rule) => {
                let images = match rule {
                    ImageRule::Unknown => worst,
                    ImageRule::Tiles { base, tile } => images
                        .saturating_mul(u64::from(base))
                        .saturating_add(u64::from(self.tiles).saturating_mul(u64::from(tile))),
                    // Each image is rounded up by itself.
                    ImageRule::Patches { per_mille } => self
                        .patches
                        .saturating_mul(u64::from(per_mille))
                        .div_ceil(1_000)
                        .saturating_add(images),
                };
                (images, AUDIO_TOKENS_PER_S_OPENAI)
            }
        };
        images.saturating_add(self.audio_ms.saturating_mul(per_s).div_ceil(1_000))
    }
}

/// Tiles of 512 pixels, once the image fits 2,048 × 2,048 and its short side is 768. Small images are counted as if they were
/// scaled up, which the documentation leaves open.
fn tiles(size: ImageSize) -> u32 {
    let (w, h) = (u64::from(size.width.max(1)), u64::from(size.height.max(1)));
    let long = w.max(h);
    let (w, h) = if long > 2_048 { ((w * 2_048).div_ceil(long), (h * 2_048).div_ceil(long)) } else { (w, h) };
    let short = w.min(h).max(1);
    let tiles = (w * 768).div_ceil(short).div_ceil(512) * (h * 768).div_ceil(short).div_ceil(512);
    u32::try_from(tiles).unwrap_or(TILES_MAX).min(TILES_MAX)
}

fn patches(size: ImageSize) -> u64 {
    let across = |pixels: u32| u64::from(pixels.div_ceil(32));
    (across(size.width) * across(size.height)).clamp(1, PATCHES_MAX)
}

/// Anthropic's width × height / 750, or its patches of 28 pixels, whichever is more.
fn area(size: ImageSize) -> u64 {
    let (w, h) = (u64::from(size.width), u64::from(size.height));
    (w * h).div_ceil(750).max(w.div_ceil(28) * h.div_ceil(28)).clamp(1, AREA_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPT_4O: Counting = Counting::Openai(ImageRule::Tiles { base: 85, tile: 170 });
    const MINI_4_1: Counting = Counting::Openai(ImageRule::Patches { per_mille: 1_620 });

    #[test]
    fn one_image_costs_what_each_formula_says() {
        let anybody = Counting::Anybody;
        let size = |width, height| Some(ImageSize { width, height });
        let cases = [
            // OpenAI's own examples: 1024 × 1024 is 4 tiles, 2048 × 4096 is 6, and low detail is the base alone.
            (size(1_024, 1_024), false, GPT_4O, 85 + 4 * 170),
            (size(2_048, 4_096), false, GPT_4O, 85 + 6 * 170),
            (size(4_096, 8_192), true, GPT_4O, 85),
            (None, true, GPT_4O, 85),
            (None, false, GPT_4O, 85 + 8 * 170),
            (size(1, 100_000), false, GPT_4O, 85 + 8 * 170),
            // 1024 × 1024 is 32 × 32 patches; 1800 × 2400 is more than the cap. Low detail isn't heeded.
            (size(1_024, 1_024), false, MINI_4_1, 1_659 + 1),
            (size(1_800, 2_400), true, MINI_4_1, 2_489 + 1),
            (None, false, MINI_4_1, 2_489 + 1),
            // 1000 × 1000 is 1,334 by area; a thin one is more by patches; a large one is capped.
            (size(1_000, 1_000), false, Counting::Anthropic, 1_334 + 16),
            (size(10, 2_800), false, Counting::Anthropic, 100 + 16),
            (size(8_000, 8_000), false, Counting::Anthropic, 4_784 + 16),
            (None, true, Counting::Anthropic, 4_784 + 16),
            (size(1, 1), true, anybody, IMAGE_TOKENS_MAX),
            (None, false, Counting::Openai(ImageRule::Unknown), IMAGE_TOKENS_MAX),
        ];
        for (size, low, counting, tokens) in cases {
            let mut media = Media::default();
            media.add_image(size, low);
            assert_eq!(media.tokens(counting), tokens, "{size:?} {low} {counting:?}");
            assert!(tokens <= media.tokens(anybody));
        }
    }

    #[test]
    fn media_sum_up_and_the_largest_numbers_saturate() {
        let mut media = Media::default();
        media.add_audio(1_001);
        assert_eq!(media.tokens(Counting::Anybody), 33);
        assert_eq!(media.tokens(GPT_4O), 11);
        media.add_image(None, false);
        media.add_image(None, true);
        assert_eq!(media.tokens(GPT_4O), 11 + 2 * 85 + 8 * 170);
        media.add_audio(u64::MAX);
        let edge = ImageSize { width: u32::MAX, height: u32::MAX };
        media.add_image(Some(edge), false);
        assert!(media.tokens(Counting::Anybody) >= u64::MAX / 1_000);
    }

    #[test]
    fn no_size_costs_more_than_an_unknown_one() {
        let mut unknown = Media::default();
        unknown.add_image(None, false);
        for width in [1, 28, 511, 512, 513, 768, 769, 2_047, 2_049, 65_535, u32::MAX] {
            for height in [1, 33, 512, 1_537, 4_096, u32::MAX] {
                let mut media = Media::default();
                media.add_image(Some(ImageSize { width, height }), false);
                for counting in [GPT_4O, MINI_4_1, Counting::Anthropic] {
                    assert!(
                        media.tokens(counting) <= unknown.tokens(counting),
                        "{width}×{height} {counting:?}"
                    );
                }
            }
        }
    }
}

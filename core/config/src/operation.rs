//! List prices of what is no chat and no embedding: images, speech, transcripts, rankings, moderations. Like those of chat models:
//! compiled in and searched in place.

use sluicegate_core::Format;
use sluicegate_core::call::Needs;
use sluicegate_core::channel::{Channel, Endpoint};
use sluicegate_core::money::{PicoUsd, parse_decimal};
use sluicegate_core::price::{Price, UnitPrice};

use crate::catalogue::{ModelFacts, several};
use crate::pricing::{self, Written};

/// `per_unit` is in USD, for an image that is made, a character that is spoken, a second that is heard, or a search; the others are for a million tokens.
const OPERATIONS: &str = include_str!("../catalogue/operations.csv");

/// Operations of OpenAI's format by the word with which a provider lists them, with what follows its base address.
const PATHS: [(&str, Format, &str); 9] = [
    ("completions", Format::OpenaiCompletions, "/completions"),
    ("images", Format::OpenaiImages, "/images/generations"),
    ("images", Format::OpenaiImageEdits, "/images/edits"),
    ("images", Format::OpenaiImageVariations, "/images/variations"),
    ("audio", Format::OpenaiSpeech, "/audio/speech"),
    ("audio", Format::OpenaiTranscriptions, "/audio/transcriptions"),
    ("audio", Format::OpenaiTranslations, "/audio/translations"),
    ("moderations", Format::OpenaiModerations, "/moderations"),
    ("rerank", Format::Rerank, "/rerank"),
];

/// Operations beside the making of a response, likewise. Whoever has responses under a foreign address needn't have these.
// QUIRK(azure, 2026-11, https://learn.microsoft.com/en-us/answers/questions/5889782/404-response-when-executing-getinputtokencountasyn):
// it compacts, and answers 404 where it is asked for a count.
const BESIDE_RESPONSES: [(&str, Format, &str); 2] = [
    ("input_tokens", Format::OpenaiInputTokens, "/responses/input_tokens"),
    ("compact", Format::OpenaiCompact, "/responses/compact"),
];

/// Those of [`BESIDE_RESPONSES`] that a provider has.
pub(crate) fn beside_responses(
    serves: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (Format, &'static str)> {
    BESIDE_RESPONSES
        .into_iter()
        .filter(move |(word, ..)| serves(word))
        .map(|(_, format, path)| (format, path))
}

/// The operations that `serves` names, each with what follows the base address.
pub(crate) fn paths(serves: impl Fn(&str) -> bool) -> impl Iterator<Item = (Format, &'static str)> {
    PATHS.into_iter().filter(move |(word, ..)| serves(word)).map(|(_, format, path)| (format, path))
}

/// What a whole address of an operation ends with.
pub(crate) fn endings() -> impl Iterator<Item = &'static str> {
    PATHS.into_iter().chain(BESIDE_RESPONSES).map(|(_, _, path)| path)
}

/// The formats that models of LiteLLM's `mode` are called in; `None` for modes that aren't served.
pub(crate) fn formats_of_mode(mode: &str) -> Option<&'static [Format]> {
    Some(match mode {
        "completion" => &[Format::OpenaiChat, Format::OpenaiCompletions],
        "image_generation" | "image_edit" => {
            &[Format::OpenaiImages, Format::OpenaiImageEdits, Format::OpenaiImageVariations]
        }
        "audio_speech" => &[Format::OpenaiSpeech],
        "audio_transcription" => &[Format::OpenaiTranscriptions, Format::OpenaiTranslations],
        "moderation" => &[Format::OpenaiModerations],
        "rerank" => &[Format::Rerank],
        _ => return None,
    })
}

/// Keeps only endpoints of these formats, if there is any: for a model that does nothing else.
pub(crate) fn keep(channel: &mut Channel, formats: &[Format]) {
    let is_kept = |endpoint: &Endpoint| formats.contains(&endpoint.format);
    if channel.endpoints.iter().any(is_kept) {
        channel.endpoints.retain(is_kept);
    }
}

/// What is known of a model of `list`, by its exact name.
pub(crate) fn facts(list: &str, model: &str) -> Option<ModelFacts> {
    // BOUND: the file's own hundred rows.
    let row = OPERATIONS.lines().skip(1).find(|row| {
        let mut cells = row.split(',');
        cells.next() == Some(list) && cells.next() == Some(model)
    })?;
    parse(row)
}

/// Every row: whose it is, the model, and what is known of it.
pub(crate) fn listed() -> impl Iterator<Item = (&'static str, &'static str, ModelFacts)> {
    OPERATIONS.lines().skip(1).filter_map(|row| {
        let mut cells = row.split(',');
        Some((cells.next()?, cells.next()?, parse(row)?))
    })
}

fn parse(row: &'static str) -> Option<ModelFacts> {
    let mut cells = row.split(',');
    let (provider, _, _) = (cells.next()?, cells.next()?, cells.next()?);
    let mut rate = |digits| {
        let text = cells.next()?;
        parse_decimal(text, digits).and_then(|price| PicoUsd::try_from(price).ok())
    };
    let rates = Price {
        input: rate(6),
        output: rate(6),
        cache_read: rate(6),
        audio_in: rate(6),
        audio_out: rate(6),
        per_unit: rate(12),
        ..Price::default()
    };
    let (image_in, image_out, cached_image_in) = (rate(6), rate(6), rate(6));
    let units = cells.next().map_or_else(Vec::new, units);
    let changes = several(cells.next().unwrap_or_default(), pricing::instant).unwrap_or_default();
    let written = Written {
        rates,
        image_in,
        image_out,
        cached_image_in,
        units: (!units.is_empty()).then_some(units),
        changes,
        ..Written::default()
    };
    Some(ModelFacts {
        provider,
        embedding: false,
        price: written.price(),
        context_window: None,
        max_output: None,
        extra_reasoning: None,
        lacks: Needs::default(),
        regions: Vec::new(),
    })
}

/// `1024x1024/hd=0.08`, by bars: what an image of a size, and of a quality, costs in USD. The first is what calls get that don't say.
fn units(cell: &str) -> Vec<UnitPrice> {
    let each = |text: &str| {
        let (what, price) = text.split_once('=')?;
        let (size, quality) =
            what.split_once('/').map_or((what, None), |(size, quality)| (size, Some(quality)));
        let price = parse_decimal(price, 12).and_then(|price| PicoUsd::try_from(price).ok())?;
        Some(UnitPrice::new(Some(size), quality, price))
    };
    cell.split('|').filter_map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed_and_found() {
        let mut count = 0;
        let mut last = "";
        for row in OPERATIONS.lines().skip(1) {
            let cells: Vec<_> = row.split(',').collect();
            assert_eq!(cells.len(), 14, "{row}");
            assert_eq!(units(cells[12]).len(), cells[12].matches('=').count(), "{row}");
            assert!(last < row, "{row} is in order");
            let facts = facts(cells[0], cells[1]).unwrap();
            let changes = facts.price.more.as_ref().map_or(0, |more| more.changes.len());
            assert_eq!(changes, cells[13].split('|').filter(|it| !it.is_empty()).count(), "{row}");
            assert!(facts.price.is_known(), "{row}");
            assert_eq!(facts.price.per_unit.is_some(), !cells[8].is_empty(), "{row}");
            (count, last) = (count + 1, row);
        }
        assert!(count > 30);
    }

    #[test]
    fn units_and_tokens_have_their_prices() {
        let price = |model| facts("openai", model).unwrap().price;
        assert_eq!(price("whisper-1").per_unit, Some(100_000_000));
        assert_eq!(price("tts-1").per_unit, Some(15_000_000));
        assert_eq!(price("gpt-4o-mini-tts").audio_out, Some(12_000_000));
        assert_eq!(price("omni-moderation-latest").input, Some(0));
        assert_eq!(facts("xai", "grok-imagine-image").unwrap().price.per_unit, Some(20_000_000_000));
        let speech = facts("gemini", "gemini-3.8-flash-tts").unwrap().price;
        for (day, audio) in [("2026-12-31", 9_000_000), ("2027-01-01", 18_000_000)] {
            let card = speech.on(pricing::instant(day).unwrap()).card();
            assert_eq!((card.audio_out, card.output), (Some(audio), Some(audio)), "{day}");
        }
        let image = price("gpt-image-1");
        assert_eq!((image.input, image.per_unit), (Some(5_000_000), None));
        assert_eq!(
            image.more.map(|more| (more.image_in, more.image_out, more.cached_image_in)),
            Some((Some(10_000_000), Some(40_000_000), Some(2_500_000)))
        );
        assert_eq!(
            price("dall-e-3").more.unwrap().units[3],
            UnitPrice::new(Some("1024x1024"), Some("hd"), 80_000_000_000)
        );
        assert_eq!(facts("openai", "no-such-model"), None);
    }
}

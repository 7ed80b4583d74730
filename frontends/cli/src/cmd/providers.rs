//! `providers`: what the catalogue knows, without a gateway.

use std::collections::BTreeSet;
use std::process::ExitCode;

use sluicegate::Format;
use sluicegate::config::{Provider, ProviderCard, provider, providers, quirks_of};

use super::{Report, exit};
use crate::args::{Providers, ProvidersCommand};

/// Lists providers, or shows one.
pub(crate) fn run(args: &Providers) -> ExitCode {
    match &args.command {
        ProvidersCommand::List(filter) => {
            let cards = list(filter.region.as_deref(), filter.format.as_deref(), filter.served);
            match cards {
                Ok(cards) if args.json => {
                    tell(serde_json::to_string_pretty(&cards).map_err(|why| why.to_string()))
                }
                Ok(cards) => tell(Ok(table(&cards))),
                Err(failure) => exit(Err(failure)),
            }
        }
        ProvidersCommand::Show { id } => match provider(id) {
            Some(found) if args.json => tell(as_json(&found)),
            Some(found) => tell(Ok(in_words(&found))),
            None => exit(Err(unknown(id))),
        },
    }
}

fn tell(text: Result<String, String>) -> ExitCode {
    match text {
        Ok(text) => Report { text, verdict: Ok(()) }.tell(),
        Err(why) => exit(Err(why)),
    }
}

fn unknown(id: &str) -> String {
    let shown: String = id.chars().take(60).collect();
    format!("there is no provider `{shown}` in the catalogue: `sluicegate providers list` names them all")
}

/// Those in a region and of a format, by id.
fn list(region: Option<&str>, format: Option<&str>, served: bool) -> Result<Vec<ProviderCard>, String> {
    let all: Vec<ProviderCard> =
        providers().filter(|it| it.id != Provider::MOCK.id).map(|provider| provider.card()).collect();
    if let Some(region) = region {
        let regions: BTreeSet<&str> = all.iter().map(|card| card.region).collect();
        known("region", region, &regions)?;
    }
    if let Some(format) = format {
        let formats = all.iter().flat_map(|card| card.formats.keys().copied()).collect();
        known("format", format, &formats)?;
    }
    let mut cards: Vec<ProviderCard> = all
        .into_iter()
        .filter(|card| region.is_none_or(|region| card.region == region))
        .filter(|card| format.is_none_or(|format| card.formats.contains_key(format)))
        .filter(|card| !served || card.served)
        .collect();
    cards.sort_by_key(|card| card.id);
    Ok(cards)
}

fn known(what: &str, asked: &str, words: &BTreeSet<&str>) -> Result<(), String> {
    if words.contains(asked) {
        return Ok(());
    }
    let all: Vec<&str> = words.iter().copied().collect();
    Err(format!("no provider has the {what} `{asked}`: there are {}", all.join(", ")))
}

fn table(cards: &[ProviderCard]) -> String {
    let rows: Vec<[String; 5]> = cards
        .iter()
        .map(|card| {
            // What chats and embeds is enough for a line.
            let is_single = |word: &&str| Format::SINGLE.iter().any(|format| format.as_str() == *word);
            let formats: Vec<&str> = card.formats.keys().copied().filter(|word| !is_single(word)).collect();
            let formats = if card.served { formats.join(" ") } else { "not served yet".to_owned() };
            let quirks = if card.quirks.is_empty() { "-".to_owned() } else { card.quirks.len().to_string() };
            [card.id.to_owned(), card.region.to_owned(), quirks, formats, card.name.to_owned()]
        })
        .collect();
    let head = ["ID", "REGION", "QUIRKS", "FORMATS", "NAME"].map(str::to_owned);
    let mut widths = [0_usize; 5];
    for row in std::iter::once(&head).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 5]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines: Vec<String> = std::iter::once(&head).chain(&rows).map(line).collect();
    lines.push(format!(
        "{} providers, {} of them served",
        cards.len(),
        cards.iter().filter(|it| it.served).count()
    ));
    lines.join("\n")
}

fn as_json(provider: &Provider) -> Result<String, String> {
    let quirks = quirks_of(provider);
    let mut whole = serde_json::to_value(provider.card()).map_err(|why| why.to_string())?;
    if let Some(members) = whole.as_object_mut() {
        members.insert("quirks".to_owned(), serde_json::to_value(&quirks).map_err(|why| why.to_string())?);
    }
    serde_json::to_string_pretty(&whole).map_err(|why| why.to_string())
}

fn in_words(provider: &Provider) -> String {
    let card = provider.card();
    let listed = |words: &[&str]| if words.is_empty() { "-".to_owned() } else { words.join(", ") };
    let types: Vec<String> = card.newapi_types.iter().map(u32::to_string).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let quirks: Vec<&str> = card.quirks.iter().map(String::as_str).collect();
    let address = |base: &str| if base.is_empty() { "an address that you name" } else { base }.to_owned();
    let served = if card.served { "yes" } else { "not yet: known by name only" };
    let mut rows = vec![
        ("other names", listed(&card.aliases)),
        ("in Chinese", listed(&card.chinese)),
        ("New API types", listed(&types)),
        ("region", card.region.to_owned()),
        ("served", served.to_owned()),
    ];
    rows.extend(card.formats.iter().map(|(format, base)| (*format, address(base))));
    rows.extend([
        ("operations", listed(&card.endpoints)),
        ("auth", card.auth.to_owned()),
        ("key variable", listed(&[card.key_variable].map(|it| if it.is_empty() { "-" } else { it }))),
        ("quirks", listed(&quirks)),
        ("read", format!("{} on {}", card.source, card.checked)),
    ]);
    let lines = rows.iter().map(|(name, value)| format!("{name:<18}  {value}"));
    std::iter::once(format!("{} ({})", card.name, card.id)).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_narrowed_by_region_and_format() {
        let all = list(None, None, false).unwrap();
        assert!(all.len() > 200 && all.iter().any(|card| !card.served));
        assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "by id");
        let chinese = list(Some("cn"), None, true).unwrap();
        assert!(chinese.len() >= 35 && chinese.iter().all(|card| card.region == "cn" && card.served));
        let both = list(Some("cn"), Some("anthropic_messages"), false).unwrap();
        assert!(both.iter().any(|card| card.id == "deepseek") && both.len() < chinese.len());
        for (region, format, says) in [(Some("moon"), None, "cn, eu"), (None, Some("smoke"), "openai_chat")] {
            assert!(list(region, format, false).unwrap_err().contains(says));
        }
        let ranks = list(None, Some("rerank"), true).unwrap();
        assert!(ranks.iter().any(|card| card.id == "cohere") && ranks.iter().all(|card| card.served));
        assert!(!table(&ranks).contains("rerank "), "a line names what chats and embeds");
        let text = table(&chinese);
        assert!(text.starts_with("ID") && text.contains("\nwanqing"), "{text}");
    }

    #[test]
    fn one_is_shown_in_words_and_as_json() {
        let kimi = provider("kimi-cn").unwrap();
        let words = in_words(&kimi);
        for part in ["moonshot-cn", "25", "MOONSHOT_API_KEY", "https://api.moonshot.cn/v1", "tool-choice"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        let json: serde_json::Value = serde_json::from_str(&as_json(&kimi).unwrap()).unwrap();
        assert_eq!(json["formats"]["openai_chat"], "https://api.moonshot.cn/v1");
        for (id, format, base) in [
            ("openai", "openai_chat", "https://api.openai.com/v1"),
            ("openai", "openai_embeddings", "https://api.openai.com/v1"),
            ("openai", "openai_completions", "https://api.openai.com/v1"),
            ("openai", "openai_images", "https://api.openai.com/v1"),
            ("openai", "openai_speech", "https://api.openai.com/v1"),
            ("openai", "openai_transcriptions", "https://api.openai.com/v1"),
            ("openai", "openai_moderations", "https://api.openai.com/v1"),
            ("deepseek", "openai_completions", "https://api.deepseek.com/beta"),
            ("cohere", "rerank", "https://api.cohere.com/v2"),
            ("gemini", "openai_embeddings", "https://generativelanguage.googleapis.com/v1beta/openai"),
            ("gemini", "gemini_count_tokens", "https://generativelanguage.googleapis.com/v1beta"),
            ("anthropic", "anthropic_count_tokens", "https://api.anthropic.com"),
        ] {
            let shown: serde_json::Value =
                serde_json::from_str(&as_json(&provider(id).unwrap()).unwrap()).unwrap();
            assert_eq!(shown["formats"][format], base, "{id} {format}");
        }
        assert_eq!(json["quirks"]["request"][0]["id"], "developer", "{json:#}");
        assert!(unknown("nobody").contains("`nobody`"));
    }
}

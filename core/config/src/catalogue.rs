//! Providers and list prices: our own data files, compiled in and searched in place. Nothing of them is kept in memory
//! but the rows that a configuration names.

use sluicegate_core::call::Needs;
use sluicegate_core::channel::Auth;
use sluicegate_core::money::{PicoUsd, parse_decimal};
use sluicegate_core::price::{Price, PriceTier};

const PROVIDERS: &str = include_str!("../catalogue/providers.csv");
const PRICES: &str = include_str!("../catalogue/prices.csv");

/// Companies whose rows price a model that another host serves under the same name, in order.
const MAKERS: [&str; 14] = [
    "openai",
    "anthropic",
    "deepseek",
    "gemini",
    "xai",
    "mistral",
    "moonshot",
    "dashscope-cn",
    "bigmodel",
    "minimax",
    "volcengine",
    "stepfun",
    "cohere",
    "qwencloud",
];

/// A company or API family of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its id, such as `openai`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The wire format: `openai`, `anthropic`, `gemini`, or one that isn't served yet.
    pub wire: &'static str,
    /// What stands before `/chat/completions` (or `/v1/messages`); empty when an operator must say it. Parts in braces are
    /// the operator's to fill in.
    pub base_url: &'static str,
    /// What stands before `/v1/messages` at a provider that speaks that as well; empty when it doesn't.
    pub anthropic_base_url: &'static str,
    /// The environment variable that usually holds its credential.
    pub key_variable: &'static str,
    auth: &'static str,
    serves: &'static str,
    newapi_types: &'static str,
    aliases: &'static str,
    prices: &'static str,
}

impl Provider {
    /// How requests prove who we are; `None` when it is a way that isn't served yet.
    pub fn auth(&self) -> Option<Auth> {
        match self.auth {
            "bearer" | "optional" => Some(Auth::Bearer),
            "none" => Some(Auth::None),
            other => other.strip_prefix("header:").map(|header| Auth::Header(header.to_owned())),
        }
    }

    /// Whether it can be called without a credential.
    pub fn key_is_optional(&self) -> bool {
        matches!(self.auth, "optional" | "none")
    }

    /// Whether it serves `chat`, `messages` or `embeddings`.
    pub fn serves(&self, operation: &str) -> bool {
        self.serves.split('|').any(|served| served == operation)
    }

    /// Whether this version can call it: its wire format and way of authentication are known.
    pub fn is_served(&self) -> bool {
        matches!(self.wire, "openai" | "anthropic" | "gemini") && self.auth().is_some()
    }

    /// The built-in demo provider, which answers without a network.
    pub const MOCK: Provider = Provider {
        id: "mock",
        name: "Built-in demo",
        wire: "openai",
        base_url: "",
        anthropic_base_url: "",
        key_variable: "",
        auth: "none",
        serves: "chat|embeddings",
        newapi_types: "",
        aliases: "",
        prices: "",
    };
}

/// Every provider, the built-in `mock` last.
pub fn providers() -> impl Iterator<Item = Provider> {
    rows(PROVIDERS).filter_map(parse_provider).chain(std::iter::once(Provider::MOCK))
}

/// The provider of this id, or of this other name of it. Upper and lower case are the same.
pub fn provider(name: &str) -> Option<Provider> {
    let name = name.trim().to_ascii_lowercase();
    providers().find(|provider| provider.id == name).or_else(|| {
        providers()
            .find(|provider| provider.aliases.split('|').any(|alias| alias == name && !alias.is_empty()))
    })
}

/// The provider that a channel type of New API means.
pub(crate) fn provider_of_type(number: u32) -> Option<Provider> {
    let number = number.to_string();
    providers().find(|provider| provider.newapi_types.split('|').any(|listed| listed == number))
}

/// The provider whose own addresses are on this host.
pub(crate) fn provider_of_host(host: &str) -> Option<Provider> {
    providers().find(|provider| {
        provider.is_served()
            && !is_local(host)
            && crate::endpoint::host_of(provider.base_url).is_some_and(|own| own.eq_ignore_ascii_case(host))
    })
}

/// Whether a host is this machine.
pub(crate) fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "0.0.0.0" | "host.docker.internal")
}

/// What the catalogue knows of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// The provider whose row it is, as the price list spells it.
    pub provider: &'static str,
    /// Whether it makes embeddings, not chat.
    pub embedding: bool,
    /// Its list price.
    pub price: Price,
    /// Its context window in tokens.
    pub context_window: Option<u64>,
    /// Its output ceiling in tokens.
    pub max_output: Option<u64>,
    /// How much reasoning can come on top of the output ceiling, in tokens.
    pub extra_reasoning: Option<u64>,
    /// What it is known to lack.
    pub lacks: Needs,
}

/// What is known of `model` at `provider`: by its exact name.
pub fn model_facts(provider: &Provider, model: &str) -> Option<ModelFacts> {
    provider.prices.split('|').filter(|list| !list.is_empty()).find_map(|list| row_of(list, model))
}

/// What is known of a model of this name at whoever makes it; for hosts that serve other makers' models.
pub fn model_facts_by_name(model: &str) -> Option<ModelFacts> {
    MAKERS.iter().find_map(|maker| row_of(maker, model))
}

/// The provider that a bare model name belongs to.
pub(crate) fn maker_of(model: &str) -> Option<Provider> {
    let maker = MAKERS.iter().find(|maker| row_of(maker, model).is_some())?;
    providers().find(|provider| provider.prices.split('|').next() == Some(maker))
}

/// Halves its way to the row: the file is in the order of its bytes.
fn row_of(list: &str, model: &str) -> Option<ModelFacts> {
    if model.is_empty() || model.contains(['\n', ',']) {
        return None;
    }
    let wanted = format!("{list},{model},");
    let body = PRICES.split_once('\n')?.1;
    let bytes = body.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = bytes.get(..middle)?.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end =
            bytes.get(middle..)?.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| middle + at);
        let row = body.get(start..end)?;
        if row.starts_with(&wanted) {
            return parse_facts(row);
        }
        if row < wanted.as_str() {
            low = end + 1;
        } else {
            high = start;
        }
    }
    None
}

fn rows(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().skip(1)
}

fn parse_provider(row: &'static str) -> Option<Provider> {
    let mut cells = row.split(',');
    let mut next = || cells.next();
    Some(Provider {
        id: next()?,
        name: next()?,
        wire: next()?,
        base_url: next()?,
        anthropic_base_url: next()?,
        key_variable: next()?,
        auth: next()?,
        serves: next()?,
        newapi_types: next()?,
        aliases: next()?,
        prices: next()?,
    })
}

/// USD per million tokens in pico-USD per token.
fn per_million(text: &str) -> Option<PicoUsd> {
    parse_decimal(text, 6).and_then(|price| PicoUsd::try_from(price).ok())
}

fn parse_facts(row: &'static str) -> Option<ModelFacts> {
    let cells: Vec<&'static str> = row.split(',').collect();
    let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
    let lacks = |need: &str| cell(14).split('|').any(|lack| lack == need);
    Some(ModelFacts {
        provider: cells.first()?,
        embedding: cell(2) == "embedding",
        price: Price {
            input: per_million(cell(3)),
            output: per_million(cell(4)),
            cache_read: per_million(cell(5)),
            cache_write: per_million(cell(6)),
            cache_write_1h: per_million(cell(7)),
            output_reasoning: per_million(cell(8)),
            audio_in: per_million(cell(9)),
            audio_out: per_million(cell(10)),
            per_request_nano_usd: 0,
            tiers: cell(15).split('|').filter_map(parse_tier).collect(),
        },
        context_window: cell(11).parse().ok(),
        max_output: cell(12).parse().ok(),
        extra_reasoning: cell(13).parse().ok(),
        lacks: Needs {
            tools: lacks("tools"),
            images: lacks("images"),
            audio: lacks("audio"),
            json_schema: lacks("json_schema"),
        },
    })
}

/// `200000:input=4;output=18`
fn parse_tier(text: &str) -> Option<PriceTier> {
    let (bound, prices) = text.split_once(':')?;
    let price = |name: &str| {
        prices
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .and_then(|(_, value)| per_million(value))
    };
    Some(PriceTier {
        above_input_tokens: bound.parse().ok()?,
        input: price("input"),
        output: price("output"),
        cache_read: price("cached_input"),
        cache_write: price("cache_write"),
        cache_write_1h: price("cache_write_1h"),
        output_reasoning: price("reasoning_output"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        let count = rows(PROVIDERS).count();
        assert!(count > 200);
        let mut names = Vec::new();
        for row in rows(PROVIDERS) {
            assert_eq!(row.split(',').count(), 11, "{row}");
            let provider = parse_provider(row).unwrap();
            names.push(provider.id);
            names.extend(provider.aliases.split('|').filter(|alias| !alias.is_empty()));
        }
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        names.sort_unstable();
        assert_eq!(names, unique, "a provider's name means one provider");
        for row in rows(PRICES) {
            let cells: Vec<_> = row.split(',').collect();
            assert_eq!(cells.len(), 16, "{row}");
            assert!(row_of(cells[0], cells[1]).is_some_and(|facts| facts.provider == cells[0]), "{row}");
            for cell in cells.iter().skip(3).take(8).filter(|cell| !cell.is_empty()) {
                assert!(per_million(cell).is_some(), "{row}");
            }
            let tiers: Vec<_> = cells[15].split('|').filter(|tier| !tier.is_empty()).collect();
            assert_eq!(tiers.iter().filter_map(|tier| parse_tier(tier)).count(), tiers.len(), "{row}");
        }
        assert!(rows(PRICES).count() > 2_000);
    }

    #[test]
    fn an_empty_price_is_unknown_and_zero_is_free() {
        let facts = model_facts(&provider("anthropic").unwrap(), "claude-opus-4-8").unwrap();
        assert_eq!(facts.price.input, Some(5_000_000));
        assert_eq!(facts.price.output, Some(25_000_000));
        assert_eq!(facts.price.cache_write_1h, Some(10_000_000));
        assert_eq!(facts.price.audio_in, None);
        assert_eq!(facts.context_window, Some(1_000_000));
        assert_eq!(model_facts_by_name("no-such-model"), None);
    }

    #[test]
    fn long_prompts_have_their_own_prices() {
        let facts = model_facts(&provider("openai").unwrap(), "gpt-5.4").unwrap();
        assert_eq!(facts.price.tiers.len(), 1);
        assert_eq!(facts.price.tiers[0].above_input_tokens, 272_000);
        assert_eq!(facts.price.tiers[0].output, Some(22_500_000));
    }

    #[test]
    fn providers_are_found_by_id_alias_type_and_host() {
        assert_eq!(provider("Claude").unwrap().id, "anthropic");
        assert_eq!(provider_of_type(17).unwrap().id, "dashscope");
        assert_eq!(provider_of_type(14).unwrap().id, "anthropic");
        assert_eq!(provider_of_host("api.deepseek.com").unwrap().id, "deepseek");
        assert_eq!(provider("mock").unwrap().id, "mock");
        assert!(provider("no-such-provider").is_none());
    }
}

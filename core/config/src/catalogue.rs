//! Providers and list prices: our own data files, compiled in and searched in place. Nothing of them is kept in memory
//! but the rows that a configuration names.

mod card;
mod form;
mod quirks;

use std::net::IpAddr;

use sluicegate_core::call::Needs;
use sluicegate_core::channel::Auth;
use sluicegate_core::money::{NanoUsd, PicoUsd, parse_decimal};
use sluicegate_core::price::{Price, PriceTier, SearchPrice, ServiceTier, WeekSpan};

use crate::pricing::{self, Written};

pub use card::ProviderCard;
pub use form::ChannelForm;
pub use quirks::{know_quirks, quirks_of};

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
    /// The wire format: `openai`, `anthropic`, `gemini`, `azure-openai`, `cohere`, `ollama`, or one that isn't served yet.
    pub wire: &'static str,
    /// What stands before `/chat/completions` (or `/v1/messages`); empty when an operator must say it. Parts in braces are
    /// the operator's to fill in.
    pub base_url: &'static str,
    /// What stands before `/v1/messages` at a provider that speaks that as well; empty when it doesn't.
    pub anthropic_base_url: &'static str,
    /// The environment variable that usually holds its credential.
    pub key_variable: &'static str,
    /// Where it is: `cn`, `intl`, `global`, `eu` …, `local`.
    pub region: &'static str,
    /// Those whose bytes are alike: what is different there is the same.
    pub family: &'static str,
    /// Where these facts were read.
    pub source: &'static str,
    /// When they were read, `yyyy-mm-dd`.
    pub checked: &'static str,
    auth: &'static str,
    serves: &'static str,
    newapi_types: &'static str,
    aliases: &'static str,
    chinese: &'static str,
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

    /// Whether it has an operation, such as `chat`, `messages`, `embeddings`, `responses`, `images`, `audio` or `rerank`.
    pub fn serves(&self, operation: &str) -> bool {
        self.serves.split('|').any(|served| served == operation)
    }

    /// Whose rows of the price list apply to it, in order.
    pub fn prices(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.prices.split('|').filter(|list| !list.is_empty())
    }

    /// Whether this version can call it: its wire format and way of authentication are known.
    pub fn is_served(&self) -> bool {
        matches!(self.wire, "openai" | "anthropic" | "azure-openai" | "gemini" | "cohere" | "ollama")
            && self.auth().is_some()
    }

    /// The formats that it speaks, by their words, and what stands before the operation's path in each.
    pub fn formats(&self) -> Vec<(&'static str, &'static str)> {
        let mut formats = Vec::new();
        match self.wire {
            "openai" | "azure-openai" | "ollama" => {
                let native = self.base_url.strip_suffix("/v1").filter(|_| self.wire == "ollama");
                formats.extend(native.map(|base| ("ollama_chat", base)));
                for (operation, format) in [
                    ("chat", "openai_chat"),
                    ("responses", "openai_responses"),
                    ("embeddings", "openai_embeddings"),
                ] {
                    if self.serves(operation) {
                        formats.push((format, self.base_url));
                    }
                }
            }
            "anthropic" => formats.push(("anthropic_messages", self.base_url)),
            "gemini" => formats.push(("gemini_generate", self.base_url)),
            "cohere" => {
                formats.push(("cohere_chat", self.base_url));
                formats.push(("openai_embeddings", "https://api.cohere.com/compatibility/v1"));
            }
            _ => {}
        }
        if matches!(self.wire, "openai" | "ollama") && !self.anthropic_base_url.is_empty() {
            formats.push(("anthropic_messages", self.anthropic_base_url));
        }
        formats
    }

    /// The built-in demo provider, which answers without a network.
    pub const MOCK: Provider = Provider {
        id: "mock",
        name: "Built-in demo",
        wire: "openai",
        base_url: "",
        anthropic_base_url: "",
        key_variable: "",
        region: "local",
        family: "mock",
        source: "",
        checked: "",
        auth: "none",
        serves: "chat|embeddings",
        newapi_types: "",
        aliases: "",
        chinese: "",
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
            && crate::endpoint::host_of(provider.base_url)
                .is_some_and(|own| crate::endpoint::is_one_host(own, host))
    })
}

/// Whether a host is this machine.
pub(crate) fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "0.0.0.0" | "host.docker.internal")
}

/// Whether a host is in a network of its operator's own: addresses that nobody can reach from elsewhere, and names that only some
/// network knows.
pub(crate) fn is_self_hosted(host: &str) -> bool {
    // `host.docker.internal` among them.
    const OWN: [&str; 7] = [".local", ".localhost", ".internal", ".lan", ".home.arpa", ".intranet", ".svc"];
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, ..] = ip.octets();
            // Of carriers' networks, in which overlays such as tailnets are.
            let is_shared = a == 100 && (64..128).contains(&b);
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            !host.is_empty() && (!host.contains('.') || OWN.iter().any(|end| host.ends_with(end)))
        }
    }
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
    /// What it costs relative to its price where calls are processed in a region, by the region's name, in parts per million.
    pub regions: Vec<(&'static str, u32)>,
}

/// Which price list is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// Its version.
    pub version: &'static str,
    /// The day on which its prices were gathered.
    pub date: &'static str,
}

/// The price list that is built in.
pub fn price_list() -> PriceList {
    let told = |name: &str| {
        let head = PRICES.lines().next().unwrap_or_default().trim_start_matches('#').split(',');
        head.filter_map(|cell| cell.split_once('=')).find(|(key, _)| *key == name).map_or("", |(_, it)| it)
    };
    PriceList { version: told("version"), date: told("date") }
}

/// Every row of the price list: whose it is as the list spells it, the model, and what is known of it.
pub fn listed_prices() -> impl Iterator<Item = (&'static str, &'static str, ModelFacts)> {
    price_rows().lines().filter_map(|row| {
        let mut cells = row.split(',');
        Some((cells.next()?, cells.next()?, parse_facts(row)?))
    })
}

/// Whether the list of chat, responses and embeddings has this model.
pub(crate) fn is_listed(list: &str, model: &str) -> bool {
    listed_row(list, model).is_some()
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

fn row_of(list: &str, model: &str) -> Option<ModelFacts> {
    match listed_row(list, model) {
        Some(row) => parse_facts(row),
        None => crate::operation::facts(list, model),
    }
}

/// Halves its way to the row: the file is in the order of its bytes.
fn listed_row(list: &str, model: &str) -> Option<&'static str> {
    if model.is_empty() || model.contains(['\n', ',']) {
        return None;
    }
    let wanted = format!("{list},{model},");
    let body = price_rows();
    let bytes = body.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = bytes.get(..middle)?.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end =
            bytes.get(middle..)?.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| middle + at);
        let row = body.get(start..end)?;
        if row.starts_with(&wanted) {
            return Some(row);
        }
        if row < wanted.as_str() {
            low = end + 1;
        } else {
            high = start;
        }
    }
    None
}

/// The price list behind its first two lines.
fn price_rows() -> &'static str {
    PRICES.splitn(3, '\n').nth(2).unwrap_or_default()
}

fn rows(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().skip(1)
}

fn parse_provider(row: &'static str) -> Option<Provider> {
    let mut cells = row.split(',');
    let mut next = || cells.next();
    // In the order of the columns.
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
        chinese: next()?,
        prices: next()?,
        region: next()?,
        family: next()?,
        source: next()?,
        checked: next()?,
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
    let rates = Price {
        input: per_million(cell(3)),
        output: per_million(cell(4)),
        cache_read: per_million(cell(5)),
        cache_write: per_million(cell(6)),
        cache_write_1h: per_million(cell(7)),
        output_reasoning: per_million(cell(8)),
        audio_in: per_million(cell(9)),
        audio_out: per_million(cell(10)),
        tiers: listed(cell(15)).filter_map(parse_tier).collect(),
        ..Price::default()
    };
    let written = Written {
        rates,
        has_tiers: true,
        image_in: per_million(cell(16)),
        image_out: per_million(cell(17)),
        per_search: usd(cell(18).split(';').next().unwrap_or_default()),
        search_sizes: search_sizes(cell(18)),
        per_request: usd(cell(23)),
        cached_audio_in: per_million(cell(24)),
        cached_image_in: per_million(cell(25)),
        service_tiers: several(cell(19), ServiceTier::of_word),
        windows: several(cell(20), parse_times),
        changes: several(cell(21), pricing::instant).unwrap_or_default(),
        ..Written::default()
    };
    Some(ModelFacts {
        provider: cells.first()?,
        embedding: cell(2) == "embedding",
        price: written.price(),
        context_window: cell(11).parse().ok(),
        max_output: cell(12).parse().ok(),
        extra_reasoning: cell(13).parse().ok(),
        lacks: Needs {
            tools: lacks("tools"),
            images: lacks("images"),
            audio: lacks("audio"),
            json_schema: lacks("json_schema"),
            ..Needs::default()
        },
        regions: listed(cell(22)).filter_map(parse_region).collect(),
    })
}

fn listed(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split('|').filter(|part| !part.is_empty())
}

fn usd(text: &str) -> Option<NanoUsd> {
    parse_decimal(text, 9)
}

/// `0.008;low=0.005;high=0.012`: what a search costs, and by how much it reads.
fn search_sizes(cell: &'static str) -> Option<Vec<SearchPrice>> {
    let each = |text: &'static str| {
        let (size, fee) = text.split_once('=')?;
        Some(SearchPrice { size: size.into(), fee_nano_usd: usd(fee)? })
    };
    let all: Vec<_> = cell.split(';').skip(1).filter_map(each).collect();
    (!all.is_empty()).then_some(all)
}

/// `us=1.1`
fn parse_region(text: &'static str) -> Option<(&'static str, u32)> {
    let (name, ratio) = text.split_once('=')?;
    Some((name, parse_decimal(ratio, 6).and_then(|ppm| u32::try_from(ppm).ok())?))
}

/// `flex:input=1.25;output=7.5|priority:input=5;output=30`, where what stands before the colon is for `when` to read.
pub(crate) fn several<T>(cell: &'static str, when: impl Fn(&str) -> Option<T>) -> Option<Vec<(T, Written)>> {
    let each = |text: &'static str| {
        let (name, rates) = text.split_once(':')?;
        Some((when(name)?, parse_written(rates)?))
    };
    let all: Vec<_> = listed(cell).filter_map(each).collect();
    (!all.is_empty()).then_some(all)
}

/// `12345@0000-0100+0400-0600&67@0000-2400`: on which days of the week, from 1 for Monday, at which times of the day in UTC.
fn parse_times(text: &str) -> Option<Vec<WeekSpan>> {
    let mut all = Vec::new();
    for part in text.split('&') {
        let (days, times) = part.split_once('@')?;
        let days: Option<Vec<u16>> = days
            .chars()
            .map(|c| c.to_digit(10).filter(|day| (1..=7).contains(day)).and_then(|day| day.try_into().ok()))
            .collect();
        let colon = |time: &str| Some(format!("{}:{}", time.get(..2)?, time.get(2..)?));
        let hours = |span: &str| {
            let (from, to) = span.split_once('-')?;
            pricing::hours(&format!("{}-{}", colon(from)?, colon(to)?))
        };
        let hours: Option<Vec<_>> = times.split('+').map(hours).collect();
        all.extend(pricing::spans(&hours?, &days?));
    }
    Some(all)
}

/// `input=1.25;output=7.5;input@272000=2.5`: what differs; with a bound behind `@`, for prompts longer than that.
fn parse_written(text: &str) -> Option<Written> {
    let mut own = Written::default();
    for pair in text.split(';') {
        let (key, value) = pair.split_once('=')?;
        let value = Some(per_million(value)?);
        let (name, above) = match key.split_once('@') {
            Some((name, above)) => (name, Some(above.parse().ok()?)),
            None => (key, None),
        };
        let Some(above_input_tokens) = above else {
            let rates = &mut own.rates;
            let place = match name {
                "input" => &mut rates.input,
                "output" => &mut rates.output,
                "cached_input" => &mut rates.cache_read,
                "cache_write" => &mut rates.cache_write,
                "cache_write_1h" => &mut rates.cache_write_1h,
                "reasoning_output" => &mut rates.output_reasoning,
                "audio_input" => &mut rates.audio_in,
                "audio_output" => &mut rates.audio_out,
                "image_input" => &mut own.image_in,
                "image_output" => &mut own.image_out,
                "cached_audio_input" => &mut own.cached_audio_in,
                "cached_image_input" => &mut own.cached_image_in,
                _ => return None,
            };
            *place = value;
            continue;
        };
        own.has_tiers = true;
        let tiers = &mut own.rates.tiers;
        let known = tiers.iter().position(|tier| tier.above_input_tokens == above_input_tokens);
        let at = known.unwrap_or_else(|| {
            tiers.push(PriceTier { above_input_tokens, ..PriceTier::default() });
            tiers.len() - 1
        });
        let tier = tiers.get_mut(at)?;
        *match name {
            "input" => &mut tier.input,
            "output" => &mut tier.output,
            "cached_input" => &mut tier.cache_read,
            "cache_write" => &mut tier.cache_write,
            "cache_write_1h" => &mut tier.cache_write_1h,
            "reasoning_output" => &mut tier.output_reasoning,
            _ => return None,
        } = value;
    }
    pricing::sort_tiers(&mut own.rates.tiers);
    Some(own)
}

/// `200000:input=4;output=18`
fn parse_tier(text: &str) -> Option<PriceTier> {
    let (bound, prices) = text.split_once(':')?;
    let rates = parse_written(prices)?.rates;
    Some(PriceTier {
        above_input_tokens: bound.parse().ok()?,
        input: rates.input,
        output: rates.output,
        cache_read: rates.cache_read,
        cache_write: rates.cache_write,
        cache_write_1h: rates.cache_write_1h,
        output_reasoning: rates.output_reasoning,
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
            assert_eq!(row.split(',').count(), 16, "{row}");
            let provider = parse_provider(row).unwrap();
            names.push(provider.id);
            names.extend(provider.aliases.split('|').filter(|alias| !alias.is_empty()));
        }
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        names.sort_unstable();
        assert_eq!(names, unique, "a provider's name means one provider");
        for row in price_rows().lines() {
            let cells: Vec<_> = row.split(',').collect();
            assert_eq!(cells.len(), 26, "{row}");
            assert!(row_of(cells[0], cells[1]).is_some_and(|facts| facts.provider == cells[0]), "{row}");
            for cell in cells.iter().skip(3).take(8).filter(|cell| !cell.is_empty()) {
                assert!(per_million(cell).is_some(), "{row}");
            }
            for cell in
                cells.iter().skip(16).take(2).chain(cells.iter().skip(24)).filter(|cell| !cell.is_empty())
            {
                assert!(per_million(cell).is_some(), "{row}");
            }
            assert_eq!(
                search_sizes(cells[18]).map_or(0, |all| all.len()),
                cells[18].matches('=').count(),
                "{row}"
            );
            let count = |at: usize| cells[at].split('|').filter(|part| !part.is_empty()).count();
            assert_eq!(
                several(cells[19], ServiceTier::of_word).map_or(0, |all| all.len()),
                count(19),
                "{row}"
            );
            assert_eq!(several(cells[20], parse_times).map_or(0, |all| all.len()), count(20), "{row}");
            assert_eq!(several(cells[21], pricing::instant).map_or(0, |all| all.len()), count(21), "{row}");
            assert_eq!(listed(cells[22]).filter_map(parse_region).count(), count(22), "{row}");
            let tiers: Vec<_> = cells[15].split('|').filter(|tier| !tier.is_empty()).collect();
            assert_eq!(tiers.iter().filter_map(|tier| parse_tier(tier)).count(), tiers.len(), "{row}");
        }
        assert!(price_rows().lines().count() > 2_000);
    }

    #[test]
    fn an_empty_price_is_unknown_and_zero_is_free() {
        let facts = model_facts(&provider("anthropic").unwrap(), "claude-opus-4-8").unwrap();
        assert_eq!(facts.price.input, Some(5_000_000));
        assert_eq!(facts.price.output, Some(25_000_000));
        assert_eq!(facts.price.cache_write_1h, Some(10_000_000));
        assert_eq!(facts.price.audio_in, None);
        let older = model_facts(&provider("anthropic").unwrap(), "claude-opus-4-1").unwrap();
        assert_eq!(older.price.cache_write_1h, Some(30_000_000));
        assert_eq!(facts.context_window, Some(1_000_000));
        assert_eq!(model_facts_by_name("no-such-model"), None);
    }

    #[test]
    fn sound_from_the_cache_has_a_price_of_its_own() {
        let facts = model_facts(&provider("gemini").unwrap(), "gemini-2.5-flash").unwrap();
        let more = facts.price.more.unwrap();
        assert_eq!((facts.price.cache_read, more.cached_audio_in), (Some(30_000), Some(100_000)));
        let priority = more.service_tiers.iter().find(|own| own.tier == ServiceTier::Priority).unwrap();
        assert_eq!(priority.price.more.as_ref().unwrap().cached_audio_in, Some(180_000));
    }

    #[test]
    fn searches_have_prices_by_how_much_they_read() {
        let more = model_facts(&provider("perplexity").unwrap(), "sonar").unwrap().price.more.unwrap();
        let sizes: Vec<_> = more.search_sizes.iter().map(|own| (&*own.size, own.fee_nano_usd)).collect();
        assert_eq!(more.per_search_nano_usd, 12_000_000);
        assert_eq!(sizes, [("low", 5_000_000), ("medium", 8_000_000), ("high", 12_000_000)]);
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

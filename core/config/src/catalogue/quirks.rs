//! What is different at a provider, found by its family and read only for the channels that are there.

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_core::channel::{Channel, Endpoint};
use sluicegate_core::ids::ProviderId;
use sluicegate_core::quirk::{Quirks, ThinkTags, UsageCounts};

use super::{Provider, is_self_hosted, provider, provider_of_host};
use crate::counting;
use crate::endpoint::{AZURE, host_of, is_home};

const QUIRKS: &str = include_str!("../../catalogue/quirks.jsonl");

/// What is different at a provider.
pub fn quirks_of(provider: &Provider) -> Quirks {
    quirks_of_family(provider.family)
}

fn quirks_of_family(family: &str) -> Quirks {
    let line = QUIRKS.lines().find_map(|line| line.strip_prefix(family)?.strip_prefix('\t'));
    // INVARIANT: a test reads every line.
    line.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// What nobody in the catalogue is named as, or what stands for whatever speaks OpenAI's format.
const ANYBODY: &str = "compatible";
/// Those who serve open models' texts as they are written.
const RAW: &str = "vllm";
/// Stands for a server in its operator's own network whose software isn't named: no family is called so.
const SELF_HOSTED: &str = "self-hosted";

/// What is known of a server that an operator runs and whose software isn't named: how the texts begin of models that think. That their
/// templates have opened the tag isn't: relays run there as well, whose texts have no thoughts.
fn self_hosted() -> Quirks {
    let mut think_tags = quirks_of_family(RAW).think_tags;
    think_tags.iter_mut().for_each(|it| (it.closing, it.read_only) = (false, true));
    Quirks { think_tags, ..Quirks::default() }
}

/// Tells channels what is different at their providers: at whoever's own address they are, else at whom they name.
/// `openai` also stands for whatever is compatible: away from home little is known of it, and nothing but in the operator's own network. What
/// a channel says itself goes before.
pub fn know_quirks(channels: &mut [Channel]) {
    // Channels by the thousand are of a few providers.
    let mut of_family: HashMap<&str, Arc<Quirks>> = HashMap::new();
    type Place = (ProviderId, String, Option<ThinkTags>);
    let mut of_place: HashMap<Place, (Arc<Quirks>, bool)> = HashMap::new();
    for channel in channels {
        let url = channel.endpoints.first().map(|endpoint| endpoint.url.as_str()).unwrap_or_default();
        let host = host_of(url).unwrap_or_default();
        let place = (channel.provider.clone(), host.to_owned(), channel.think_tags);
        let (known, deploys) = of_place.entry(place).or_insert_with(|| {
            let owner = owner(channel).filter(|owner| owner.family != ANYBODY);
            let known = match owner {
                None if is_self_hosted(host) => {
                    of_family.entry(SELF_HOSTED).or_insert_with(|| Arc::new(self_hosted()))
                }
                None => of_family.entry(ANYBODY).or_default(),
                Some(owner) => of_family.entry(owner.family).or_insert_with(|| Arc::new(quirks_of(&owner))),
            };
            let known = match channel.think_tags {
                Some(setting) => Arc::new(Quirks::clone(known).with_think_tags(setting)),
                None => Arc::clone(known),
            };
            (known, provider(channel.provider.as_str()).is_some_and(|it| it.wire == AZURE))
        });
        channel.quirks = Arc::clone(known);
        channel.at_openai = is_at_openai(channel);
        let more = known.usage.iter().any(|quirk| matches!(quirk.counts, UsageCounts::MoreInput(_)));
        let beside: Vec<_> =
            channel.models.iter().map(|model| channel.beside(model.upstream.as_str())).collect();
        for (model, beside) in channel.models.iter_mut().zip(beside) {
            (model.reads_more, model.beside) = (more, beside);
            // QUIRK(ark, 2026-11, https://www.volcengine.com/docs/82379/1099522): endpoints' ids begin so, at Wanqing too.
            model.is_deployment = *deploys || model.upstream.as_str().starts_with("ep-");
        }
        counting::settle(channel);
    }
}

fn owner(channel: &Channel) -> Option<Provider> {
    let url = channel.endpoints.first().map(|endpoint| endpoint.url.as_str()).unwrap_or_default();
    let named = provider(channel.provider.as_str());
    if let Some(named) = named
        && is_home(&named, Some(url))
    {
        return Some(named);
    }
    host_of(url).and_then(provider_of_host).or_else(|| named.filter(|named| named.id != "openai"))
}

/// Where OpenAI serves its models itself, and Azure does; the hosts of regions and resources end so.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/your-data): data stays in Europe at `eu.api.openai.com`, say.
const OPENAIS: [&str; 4] =
    ["api.openai.com", ".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"];

/// Whether all addresses of a channel are OpenAI's or Azure's. What is named Azure is Azure behind a gateway, too; `openai` stands for
/// whatever is compatible.
fn is_at_openai(channel: &Channel) -> bool {
    let ends = |host: &str, end: &str| {
        let rest = host.strip_suffix(end);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || end.starts_with('.'))
    };
    let is_own = |endpoint: &Endpoint| {
        let host = host_of(&endpoint.url).map(str::to_ascii_lowercase);
        host.is_some_and(|host| OPENAIS.iter().any(|end| ends(&host, end)))
    };
    channel.provider.as_str().starts_with("azure")
        || !channel.endpoints.is_empty() && channel.endpoints.iter().all(is_own)
}

#[cfg(test)]
mod tests {
    use sluicegate_core::Format;

    use super::*;

    #[test]
    fn every_line_can_be_read() {
        for line in QUIRKS.lines() {
            let (family, json) = line.split_once('\t').unwrap();
            let quirks: Quirks = serde_json::from_str(json).unwrap();
            assert_eq!((quirks.unfit(), quirks.is_empty()), (None, false), "{family}");
            assert_eq!(quirks_of_family(family), quirks, "{family}");
        }
        assert!(quirks_of_family("").is_empty() && quirks_of_family("deep").is_empty());
    }

    #[test]
    fn a_channel_knows_whose_address_it_is_at() {
        let of = |provider: &str, url: &str| {
            let mut channel = Channel::new("c", "c", provider);
            channel.endpoints = vec![Endpoint { format: Format::OpenaiChat, url: url.to_owned() }];
            know_quirks(std::slice::from_mut(&mut channel));
            channel.quirks
        };
        let deepseek = of("deepseek", "https://api.deepseek.com/chat/completions");
        assert!(!deepseek.is_empty());
        assert_eq!(of("openai", "https://api.deepseek.com/v1/chat/completions"), deepseek);
        assert_eq!(of("deepseek", "https://relay.test/v1/chat/completions"), deepseek);
        assert!(of("openai", "https://relay.test/v1/chat/completions").is_empty());
        assert!(!of("openai", "https://api.openai.com/v1/chat/completions").is_empty());
        assert!(of("mock", "").is_empty());
        assert!(of("no-such-provider", "https://relay.test/v1").is_empty());
    }

    #[test]
    fn thoughts_are_looked_for_where_raw_texts_are_served() {
        use ThinkTags::{Closing, None as Never, Opened, Tagged};
        let (raw, other) = ("deepseek-ai/DeepSeek-R1", "llama-4");
        for (provider, host, setting, model, want, sent_back) in [
            ("hosted_vllm", "gpu.example:8000", None, raw, Closing, true),
            ("hosted_vllm", "gpu.example:8000", None, "Qwen/Qwen3-8B", Tagged, true),
            ("hosted_vllm", "gpu.example:8000", None, "Qwen/Qwen3-30B-A3B-Thinking-2507", Closing, true),
            ("hosted_vllm", "gpu.example:8000", None, other, Never, false),
            ("hosted_vllm", "gpu.example:8000", Some(Tagged), raw, Tagged, true),
            ("hosted_vllm", "gpu.example:8000", Some(Opened), raw, Opened, true),
            ("hosted_vllm", "gpu.example:8000", Some(Never), raw, Never, false),
            ("openai", "127.0.0.1:9", None, raw, Tagged, false),
            ("openai", "10.1.2.3:8000", None, raw, Tagged, false),
            ("custom_openai", "gpu-7:8000", None, raw, Tagged, false),
            ("openai", "127.0.0.1:9", None, other, Never, false),
            ("openai", "127.0.0.1:9", Some(Opened), other, Opened, true),
            ("openai", "relay.example", None, raw, Never, false),
            ("openai", "relay.example", Some(Opened), raw, Opened, true),
            ("openai", "api.openai.com", None, raw, Never, false),
            ("deepseek", "127.0.0.1:9", None, raw, Never, false),
        ] {
            let mut channel = Channel::new("c", "c", provider);
            let url = format!("http://{host}/v1/chat/completions");
            channel.endpoints = vec![Endpoint { format: Format::OpenaiChat, url }];
            channel.think_tags = setting;
            know_quirks(std::slice::from_mut(&mut channel));
            let got = (channel.quirks.think_tags_of(model), channel.quirks.takes_think_tags(model));
            assert_eq!(got, (want, sent_back), "{provider} {host} {setting:?} {model}");
        }
    }

    #[test]
    fn openai_is_known_by_its_hosts() {
        let home = "https://api.openai.com/v1/chat/completions";
        for (provider, urls, want) in [
            ("openai", &[home] as &[&str], true),
            ("openai", &["https://EU.api.openai.com:443/v1/responses"], true),
            ("openai_like", &[home, "https://api.openai.com/v1/responses"], true),
            ("openai", &["https://n.openai.azure.com/openai/v1/chat/completions"], true),
            ("openai", &["https://n.cognitiveservices.azure.com/openai/v1/responses"], true),
            ("azure", &["https://gateway.example/openai/v1/chat/completions"], true),
            ("azure_ai", &["https://n.services.ai.azure.com/models/chat/completions"], true),
            ("openai", &["https://relay.example/v1/completions"], false),
            ("openai", &["http://127.0.0.1:9/v1/chat/completions"], false),
            ("openai", &[home, "https://relay.example/v1/responses"], false),
            ("openai", &["https://api.openai.com.relay.example/v1/chat/completions"], false),
            ("openai", &["https://notapi.openai.com/v1/chat/completions"], false),
            ("openai", &[], false),
        ] {
            let mut channel = Channel::new("c", "c", provider);
            let endpoint = |url: &&str| Endpoint { format: Format::OpenaiChat, url: (*url).to_owned() };
            channel.endpoints = urls.iter().map(endpoint).collect();
            know_quirks(std::slice::from_mut(&mut channel));
            assert_eq!(channel.at_openai, want, "{provider} {urls:?}");
        }
    }
}

//! What is different at a provider, found by its family and read only for the channels that are there.

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_core::channel::Channel;
use sluicegate_core::ids::ProviderId;
use sluicegate_core::quirk::{Quirks, UsageCounts};

use super::{Provider, provider, provider_of_host};
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

/// Tells channels what is different at their providers: at whoever's own address they are, else at whom they name.
/// `openai` also stands for whatever is compatible: away from home nothing is known of it.
pub fn know_quirks(channels: &mut [Channel]) {
    // Channels by the thousand are of a few providers.
    let mut of_family: HashMap<&str, Arc<Quirks>> = HashMap::new();
    let mut of_place: HashMap<(ProviderId, String), (Arc<Quirks>, bool)> = HashMap::new();
    for channel in channels {
        let url = channel.endpoints.first().map(|endpoint| endpoint.url.as_str()).unwrap_or_default();
        let place = (channel.provider.clone(), host_of(url).unwrap_or_default().to_owned());
        let (known, deploys) = of_place.entry(place).or_insert_with(|| {
            let known = match owner(channel) {
                None => Arc::default(),
                Some(owner) => {
                    let quirks = of_family.entry(owner.family).or_insert_with(|| Arc::new(quirks_of(&owner)));
                    Arc::clone(quirks)
                }
            };
            (known, provider(channel.provider.as_str()).is_some_and(|it| it.wire == AZURE))
        });
        channel.quirks = Arc::clone(known);
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

#[cfg(test)]
mod tests {
    use sluicegate_core::Format;
    use sluicegate_core::channel::Endpoint;

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
}

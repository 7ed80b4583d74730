//! What a channel of a provider must be told, and what the catalogue fills in by itself.

use serde::Serialize;
use sluicegate_core::channel::{Auth, Endpoint};

use super::{Provider, listed_prices};
use crate::endpoint::endpoints_of;

/// What a form for a channel of a provider asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelForm {
    /// Whether it needs a credential: `required`, `optional` or `none`.
    pub credential: &'static str,
    /// Whether an operator must say the address: the provider has none of its own, or one with parts to fill in.
    pub address_required: bool,
    /// The address that is taken when none is given; parts in braces are the operator's to fill in.
    pub address: &'static str,
    /// Those parts.
    pub placeholders: Vec<&'static str>,
    /// How requests prove who we are; `None` when this version doesn't know how.
    pub auth: Option<Auth>,
    /// The operations at the provider's own address; none when the address must be given.
    pub endpoints: Vec<Endpoint>,
}

impl Provider {
    /// What a form for a channel of it asks for.
    pub fn form(&self) -> ChannelForm {
        let placeholders: Vec<_> = self
            .base_url
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect();
        let is_mock = self.id == Self::MOCK.id;
        ChannelForm {
            credential: match self.auth() {
                Some(Auth::None) => "none",
                _ if self.key_is_optional() => "optional",
                _ => "required",
            },
            address_required: !is_mock && (self.base_url.is_empty() || !placeholders.is_empty()),
            address: self.base_url,
            placeholders,
            auth: self.auth(),
            endpoints: endpoints_of(self, None).unwrap_or_default(),
        }
    }

    /// The models of it that the price list knows, in its order, each once.
    pub fn models(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        // Of several lists the first that has a model counts.
        for list in self.prices() {
            let of_list = listed_prices().filter(|(known, ..)| *known == list).map(|(_, model, _)| model);
            for model in of_list {
                if !names.contains(&model) {
                    names.push(model);
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::provider;

    #[test]
    fn a_form_asks_for_what_the_catalogue_lacks() {
        let form = |id: &str| provider(id).unwrap().form();
        let openai = form("openai");
        assert_eq!((openai.credential, openai.address_required), ("required", false));
        assert!(openai.endpoints.iter().any(|it| it.url == "https://api.openai.com/v1/chat/completions"));
        let azure = form("azure");
        assert!(azure.address_required && azure.endpoints.is_empty(), "{azure:?}");
        let mock = form("mock");
        assert_eq!((mock.credential, mock.address_required), ("none", false));
    }

    #[test]
    fn models_are_those_of_its_price_lists_once() {
        let models = provider("deepseek").unwrap().models();
        assert!(models.iter().any(|name| name.starts_with("deepseek")), "{models:?}");
        let mut once = models.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), models.len());
        assert!(provider("mock").unwrap().models().is_empty());
    }
}

//! A provider, as people and programs are shown it.

use std::collections::BTreeMap;

use serde::Serialize;
use sluicegate_core::Format;
use sluicegate_core::channel::Endpoint;

use super::{Provider, quirks_of};
use crate::endpoint::{BaseStyle, COUNT, endpoints};
use crate::operation;

/// What the catalogue says of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderCard {
    /// Its id.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Its other names, LiteLLM's prefixes among them.
    pub aliases: Vec<&'static str>,
    /// What it is called in Chinese, the usual name first; several may be called alike.
    pub chinese: Vec<&'static str>,
    /// Channel types of New API that mean it.
    pub newapi_types: Vec<u32>,
    /// Where it is: `cn`, `intl` for a Chinese company's site abroad, `global`, `eu`, `us` …, `local`.
    pub region: &'static str,
    /// Those whose bytes are alike.
    pub family: &'static str,
    /// Whether this version calls it.
    pub served: bool,
    /// What stands before the operation's path, by format.
    pub formats: BTreeMap<&'static str, String>,
    /// Every operation that it has, whether served here or not.
    pub endpoints: Vec<&'static str>,
    /// How requests prove who we are: `bearer`, `optional`, `none`, `header:NAME` or `other`.
    pub auth: &'static str,
    /// The environment variable that usually holds its credential.
    pub key_variable: &'static str,
    /// Where that was read.
    pub source: &'static str,
    /// And when.
    pub checked: &'static str,
    /// The ids of what is different there.
    pub quirks: Vec<String>,
}

impl Provider {
    /// What the catalogue says of it.
    pub fn card(&self) -> ProviderCard {
        ProviderCard {
            id: self.id,
            name: self.name,
            aliases: words(self.aliases).collect(),
            chinese: words(self.chinese).collect(),
            newapi_types: words(self.newapi_types).filter_map(|n| n.parse().ok()).collect(),
            region: self.region,
            family: self.family,
            served: self.is_served(),
            formats: self.bases(),
            endpoints: words(self.serves).collect(),
            auth: self.auth,
            key_variable: self.key_variable,
            source: self.source,
            checked: self.checked,
            quirks: quirks_of(self).ids().map(str::to_owned).collect(),
        }
    }
}

impl Provider {
    /// What stands before an operation's path at the provider's own address, for every format that is served there.
    fn bases(&self) -> BTreeMap<&'static str, String> {
        let has_address = self.is_served() && !self.base_url.is_empty();
        let all = if has_address { endpoints(self, None, BaseStyle::Exact) } else { Vec::new() };
        let others =
            all.into_iter().filter(|it| it.format.is_single() || it.format == Format::OpenaiEmbeddings);
        let others = others.map(|Endpoint { format, url }| {
            let ends = operation::endings().chain(["/embeddings", "/v1/messages/count_tokens", COUNT]);
            let base = ends.into_iter().find_map(|end| url.strip_suffix(end)).map(str::to_owned);
            (format.as_str(), base.unwrap_or(url))
        });
        let own = self.formats().into_iter().map(|(format, base)| (format, base.to_owned()));
        others.chain(own).collect()
    }
}

fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split('|').filter(|word| !word.is_empty())
}

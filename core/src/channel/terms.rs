//! What an operator says of prices at a channel, for models that it passes calls to and doesn't list.

use serde::{Deserialize, Serialize};

use crate::price::{Price, ServiceTier};

/// What prices are at a channel that aren't said with its models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceTerms {
    /// The region that it is in, by the price list's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What prices from outside the channel are times, in parts per million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_ppm: Option<u32>,
    /// The tier at which calls are served that ask for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_tier: Option<ServiceTier>,
    /// What is said of models wherever they are served. The first that names one counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelTerms>,
}

/// What is said of a model wherever it is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelTerms {
    /// The upstream's name, as a pattern.
    pub model: String,
    /// Its price, instead of the list's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What its price is times, in parts per million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_ppm: Option<u32>,
    /// Its context window in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Its output ceiling in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
}

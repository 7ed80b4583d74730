//! What a channel's model is and costs by the built-in list and by what the operator says of all that a channel serves; what is said of
//! the model at the channel itself is added by whoever reads that.

use sluicegate_core::channel::{Channel, ChannelModel, ModelTerms, PriceTerms};
use sluicegate_core::price::{Price, RATIO_ONE_PPM};
use sluicegate_core::tenant::matches_pattern;

use crate::catalogue::{ModelFacts, provider};
use crate::{draft, pricing};

/// A model by what is known of it, at a channel with these terms; `own` is what is said of it wherever it is served.
pub(crate) fn model(
    channel: &Channel,
    (group, upstream): (&str, &str),
    facts: Option<&ModelFacts>,
    terms: &PriceTerms,
    own: Option<&ModelTerms>,
) -> ChannelModel {
    let mut model = draft::model(channel, group, upstream, facts);
    if let Some(region) = &terms.region {
        if let Some(own) = model.regions.iter().find(|own| *own.region == **region) {
            model.price = model.price.times(own.ratio_ppm);
        }
        // It is in the price.
        model.regions.clear();
    }
    if let Some(own) = own {
        if let Some(price) = &own.price {
            model.price = price.clone();
            model.regions.clear();
        }
        if let Some(ratio_ppm) = own.ratio_ppm {
            model.price = model.price.times(ratio_ppm);
        }
        model.context_window = own.context_window.or(model.context_window);
        model.max_output = own.max_output.or(model.max_output);
    }
    if let Some(ratio_ppm) = terms.ratio_ppm.filter(|ratio| *ratio != RATIO_ONE_PPM) {
        model.price = model.price.times(ratio_ppm);
    }
    model
}

/// Whatever price it is in the end.
pub(crate) fn finish(terms: &PriceTerms, price: &mut Price) {
    if let Some(unasked) = terms.default_tier {
        pricing::parts(price).unasked = Some(unasked);
    }
}

/// Whether this is said of a model, by the upstream's name.
pub(crate) fn is_of(own: &ModelTerms, upstream: &str) -> bool {
    matches_pattern(&own.model, upstream)
}

/// A model that a channel doesn't list, by the upstream's name, as it would be if it did.
pub fn unlisted_model(channel: &Channel, upstream: &str) -> ChannelModel {
    let none = PriceTerms::default();
    let terms = channel.price_terms.as_deref().unwrap_or(&none);
    let facts = provider(channel.provider.as_str()).and_then(|it| draft::facts_of(channel, &it, upstream));
    let own = terms.models.iter().find(|own| is_of(own, upstream));
    let mut model = model(channel, (upstream, upstream), facts.as_ref(), terms, own);
    finish(terms, &mut model.price);
    model
}

#[cfg(test)]
mod tests {
    use sluicegate_core::price::ServiceTier;

    use super::*;
    use crate::environment::Environment;
    use crate::{Source, load};

    /// The one channel of a file with these settings.
    fn channel(own: &str, prices: &str) -> Channel {
        let text = format!(
            "version: 1\nprices: [{prices}]\nchannels:\n- {{name: c, credential: sk-upstream-0123456789, pass_through: true, models: [gpt-5.4], {own}}}\n"
        );
        let loaded = load(Source { path: "test.yaml", text: &text }, &Environment::new(&|_| None));
        loaded.declared.channels.into_iter().next().unwrap()
    }

    #[test]
    fn an_unlisted_model_is_what_it_would_be_if_it_were_listed() {
        const OPENAI: &str = "provider: openai";
        let one = "{model: 'gpt-5.*', price: {input: 1, output: 1}, max_output: 7, context_window: 9}";
        for (own, prices, input, regions) in [
            (OPENAI, "", 2_500_000, 2),
            ("provider: openai, price_ratio: 0.8", "", 2_000_000, 2),
            ("provider: openai, region: eu", "", 2_750_000, 0),
            ("provider: openai, default_tier: priority", "", 2_500_000, 2),
            ("provider: openai, url: 'https://relay.test/v1'", "", 2_500_000, 2),
            ("provider: groq, url: 'https://relay.test/v1'", "", 2_500_000, 2),
            (OPENAI, one, 1_000_000, 0),
            ("provider: openai, price_ratio: 0.8", one, 800_000, 0),
            (OPENAI, "{provider: openai, model: gpt-5.4, price_ratio: 0.5}", 1_250_000, 2),
            (OPENAI, "{provider: groq, model: gpt-5.4, price_ratio: 0.5}", 2_500_000, 2),
        ] {
            let channel = channel(own, prices);
            let unlisted = unlisted_model(&channel, "gpt-5.4");
            assert_eq!(
                (unlisted.price.input, unlisted.regions.len()),
                (Some(input), regions),
                "{own} {prices}"
            );
            let listed = channel.models.iter().find(|it| it.group.as_str() == "gpt-5.4").unwrap();
            assert_eq!(unlisted, *listed, "{own} {prices}");
            // Stored with the channel, they stay.
            let stored = serde_json::to_string(&channel).unwrap();
            let stored: Channel = serde_json::from_str(&stored).unwrap();
            assert_eq!(unlisted_model(&stored, "gpt-5.4"), unlisted, "{own} {prices}");
        }
        let priority = unlisted_model(&channel("provider: openai, default_tier: priority", ""), "gpt-5.4");
        assert_eq!(priority.price.more.unwrap().unasked, Some(ServiceTier::Priority));
    }
}

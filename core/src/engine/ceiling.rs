//! The bound: what one attempt can use at most, and the output ceiling that makes it so.

use super::Runtime;
use super::admission::Admission;
use crate::call::{Call, Format};
use crate::channel::ChannelModel;
use crate::decision::CeilingReason;
use crate::ledger::{Amounts, Refusal};
use crate::limit::WhenShort;
use crate::price::RATIO_ONE_PPM;

/// Nothing is known of the prompt's size and nothing of the model: the largest window on the market in 2026 is 1–2 M.
const UNKNOWN_WINDOW: u64 = 2_097_152;

/// What is sent as output ceiling, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ceiling {
    /// Tokens for each choice.
    pub(super) tokens: u64,
    pub(super) why: CeilingReason,
}

/// The ceiling before any limit is asked; `None` for a format without output.
pub(super) fn initial(runtime: &Runtime, admission: &Admission, model: &ChannelModel) -> Option<Ceiling> {
    let call = &admission.call;
    if call.format == Format::OpenaiEmbeddings {
        return None;
    }
    let (mut tokens, mut why) = match call.max_output {
        Some(tokens) => (tokens, CeilingReason::Caller),
        None => {
            let default = admission.default_output.unwrap_or(runtime.snapshot.declared.quota.default_output);
            // A thinking budget must fit beneath the ceiling, or the upstream refuses the call.
            (default.max(call.min_output), CeilingReason::Default)
        }
    };
    if let Some(max) = model.max_output.filter(|max| *max < tokens) {
        (tokens, why) = (max, if why == CeilingReason::Default { why } else { CeilingReason::ModelMax });
    }
    if let Some(max) = admission.advice.max_output.filter(|max| *max < tokens) {
        (tokens, why) = (max, CeilingReason::Policy);
    }
    Some(Ceiling { tokens, why })
}

/// No more input than this can be billed.
pub(super) fn input_bound(call: &Call, model: &ChannelModel) -> u64 {
    match (call.input_bound, model.context_window) {
        (Some(bound), Some(window)) => bound.min(window),
        (Some(bound), None) => bound,
        (None, Some(window)) => window,
        (None, None) => UNKNOWN_WINDOW,
    }
}

/// Output tokens of each choice that the ceiling doesn't cover and that may be billed all the same.
fn beyond_ceiling(call: &Call, model: &ChannelModel) -> u64 {
    call.extra_output.saturating_add(model.extra_reasoning.unwrap_or(0))
}

/// Everything that one attempt reserves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) bound: Amounts,
    pub(super) estimate: Amounts,
    pub(super) channel_bound: Amounts,
    pub(super) channel_estimate: Amounts,
}

/// What an attempt at `model` with this ceiling uses at most, and plausibly.
pub(super) fn sizes(call: &Call, model: &ChannelModel, ceiling: Option<u64>, ratio_ppm: u32) -> Sizes {
    let choices = u64::from(call.choices.max(1));
    let input = input_bound(call, model);
    let visible = ceiling.unwrap_or(0);
    let output = visible.saturating_add(beyond_ceiling(call, model)).saturating_mul(choices);
    // A plausible answer: what was asked for, but rarely more than a thousand tokens.
    let likely_input = call.input_estimate.min(input);
    let likely_output = visible.min(1_024).saturating_mul(choices);
    let amounts = |input: u64, output: u64, ratio_ppm: u32| Amounts {
        input_tokens: i64::try_from(input).unwrap_or(i64::MAX),
        output_tokens: i64::try_from(output).unwrap_or(i64::MAX),
        spend: model.price.bound(input, output, ratio_ppm),
    };
    let (bound, estimate) =
        (amounts(input, output, ratio_ppm), amounts(likely_input, likely_output, ratio_ppm));
    if ratio_ppm == RATIO_ONE_PPM {
        return Sizes { bound, estimate, channel_bound: bound, channel_estimate: estimate };
    }
    Sizes {
        bound,
        estimate,
        channel_bound: amounts(input, output, RATIO_ONE_PPM),
        channel_estimate: amounts(likely_input, likely_output, RATIO_ONE_PPM),
    }
}

/// A lower ceiling with which a refused attempt may pass: at most a quarter of what is left, never below the least
/// that makes sense. `None` when the limit says to refuse, or when less output wouldn't help.
pub(super) fn clamp(
    runtime: &Runtime,
    admission: &Admission,
    model: &ChannelModel,
    ceiling: Ceiling,
    refusal: &Refusal,
) -> Option<Ceiling> {
    let call = &admission.call;
    let when_short = refusal.state.limit.when_short.unwrap_or(if call.max_output.is_none() {
        WhenShort::Clamp
    } else {
        WhenShort::Deny
    });
    if when_short != WhenShort::Clamp || refusal.denies || refusal.downgrades || refusal.of_channel {
        return None;
    }
    let choices = u64::from(call.choices.max(1));
    let by_tokens = u64::try_from(refusal.output_left.max(0)).unwrap_or(0);
    let left = by_tokens.min(affordable_output(admission, model, refusal.spend_left)) / choices;
    let left = left.saturating_sub(beyond_ceiling(call, model));
    let least = runtime.snapshot.declared.quota.min_output.max(call.min_output).min(ceiling.tokens);
    let tokens = (left / 4).max(least).min(ceiling.tokens);
    (tokens <= left && tokens < ceiling.tokens).then_some(Ceiling { tokens, why: CeilingReason::Clamped })
}

/// How many output tokens `spend_left` pays for once the input is paid, by bisection on the bound itself: whatever the
/// price's tiers and fees are, what this answers fits.
fn affordable_output(admission: &Admission, model: &ChannelModel, spend_left: i64) -> u64 {
    if spend_left == i64::MAX {
        return u64::MAX;
    }
    let input = input_bound(&admission.call, model);
    let fits =
        |output: u64| model.price.bound(input, output, admission.caller.caller.price_ratio_ppm) <= spend_left;
    if !fits(0) {
        return 0;
    }
    let (mut low, mut high) = (0u64, 1u64 << 32);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

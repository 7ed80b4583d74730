//! The bound: what one attempt can use at most, and the output ceiling that makes it so.

use super::Runtime;
use super::admission::Admission;
use super::charges::Charges;
use crate::call::{Call, Format, Unit};
use crate::channel::{Channel, ChannelModel, UNKNOWN_REASONING, UNKNOWN_WINDOW, reasons_beside};
use crate::count::{CacheWrites, Counted, Counting, Tokenizer};
use crate::decision::CeilingReason;
use crate::ids::ModelName;
use crate::ledger::{Amounts, Refusal};
use crate::limit::{Metric, Mode, WhenShort};
use crate::price::{Reach, TierSet};
use crate::quirk::Beside;
use crate::usage::Usage;

/// What is sent as output ceiling, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ceiling {
    /// Tokens for each choice.
    pub(super) tokens: u64,
    pub(super) why: CeilingReason,
}

/// How a call is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Input tokens that may come on top: it is put in another format's words.
    pub(super) translated: u64,
    /// Tokens of each choice that thinking may add to the ceiling.
    pub(super) thoughts: u64,
    /// How many choices are generated.
    pub(super) choices: u64,
}

/// The ceiling before any limit is asked; `None` for a format without output.
pub(super) fn initial(runtime: &Runtime, admission: &Admission, model: &ChannelModel) -> Option<Ceiling> {
    let call = &admission.call;
    if !call.format.has_ceiling() {
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
    // A script lowers, but not below what the caller's thinking needs: no upstream would take the call.
    if let Some(max) =
        admission.advice.ceiling().map(|max| max.max(call.min_output)).filter(|max| *max < tokens)
    {
        (tokens, why) = (max, CeilingReason::Policy);
    }
    Some(Ceiling { tokens, why })
}

/// No more input than this can be billed: by bytes, or by a tokenizer where the host has counted; media by the formula of
/// whoever serves the model. A body that its channel changes is another by the time it is sent: of the same bytes a tokenizer
/// may make more tokens, and an image may be asked for in more detail. There the worst of all rules holds. What a translation may
/// add nobody has counted.
pub(super) fn input_bound(call: &Call, counted: &Counted, model: &ChannelModel, way: Way) -> u64 {
    // What the provider reads by itself fits the window, as what it was sent does.
    let bound = call.input_bound.filter(|_| !model.reads_more).map(|by_bytes| {
        if model.is_edited() {
            // What the channel writes into the body is sent, too.
            return by_bytes.saturating_add(model.extra_input).saturating_add(way.translated);
        }
        let counted = model.tokenizer.and_then(|tokenizer| counted.by(tokenizer));
        let bound = counted.map_or(by_bytes, |counted| counted.min(by_bytes));
        let worst = call.media.tokens(Counting::Anybody);
        let bound = bound.saturating_sub(worst.saturating_sub(call.media.tokens(model.counting)));
        bound.saturating_add(way.translated)
    });
    match (bound, model.context_window) {
        (Some(bound), Some(window)) => bound.min(window),
        (Some(bound), None) => bound,
        (None, Some(window)) => window,
        (None, None) => UNKNOWN_WINDOW,
    }
}

/// Tokens of each choice that thinking may add to the ceiling, where a call is sent to a model, by the upstream's name, in
/// the format `target`. What its operator or the price list says of the model goes before what is known of its provider.
pub(super) fn thoughts(
    call: &Call,
    channel: &Channel,
    model: &ChannelModel,
    upstream: &ModelName,
    target: Format,
) -> u64 {
    let of = |all: &[Beside]| {
        let first = all.iter().find(|it| it.is_in(target));
        first.map_or(0, |it| it.tokens(call, target))
    };
    match model.extra_reasoning {
        Some(most) => most,
        // Which model a `*` stands for is known by now only.
        None if model.upstream.as_str().contains('*') => {
            let unknown = if reasons_beside(upstream.as_str()) { UNKNOWN_REASONING } else { 0 };
            of(&channel.beside(upstream.as_str())).max(unknown)
        }
        None => of(&model.beside),
    }
}

/// Output tokens of each choice that may be billed with this ceiling.
fn output_bound(call: &Call, model: &ChannelModel, ceiling: u64, thoughts: u64) -> u64 {
    model.most_output(ceiling, thoughts).saturating_add(call.extra_output)
}

/// Which prices the call can reach. Anthropic's own endpoint and those like it leave the cache alone unless they are asked; others
/// write it as they please.
fn reach(call: &Call, model: &ChannelModel, charges: &Charges<'_>) -> Reach {
    let known = call.input_bound.is_some();
    let asked = known && matches!(model.counting, Counting::Anthropic | Counting::Marked);
    let writes = if asked { call.cache_writes } else { CacheWrites::Long };
    Reach {
        cache_write: writes != CacheWrites::None,
        cache_write_1h: writes == CacheWrites::Long,
        // What is spoken or heard for its own sake needs nothing of a chat model.
        audio: call.needs.audio || !known || call.format.is_single() && !is_text(call.format),
        images: call.needs.images || !known || call.format.unit() == Some(Unit::Image),
        tiers: TierSet::reached(call.service_tier, charges.list().unasked()),
        units: call.units,
        searches: charges.searches(),
    }
}

/// Whether text is all that a single operation makes.
fn is_text(format: Format) -> bool {
    format.is_translated() || format.writes_at_will()
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
pub(super) fn sizes(
    call: &Call,
    counted: &Counted,
    model: &ChannelModel,
    ceiling: Option<u64>,
    way: Way,
    charges: &Charges<'_>,
) -> Sizes {
    if call.format.counts_tokens() {
        // Nobody is charged for being told what a call would cost.
        return Sizes::default();
    }
    let input = input_bound(call, counted, model, way);
    let longest = || {
        call.format
            .writes_at_will()
            .then_some(model.max_output.or(model.context_window).unwrap_or(UNKNOWN_WINDOW))
    };
    let ceiling = ceiling.or_else(longest);
    // Without a ceiling the output is what the call itself says that it can be.
    let visible = ceiling.unwrap_or(call.extra_output);
    let output = ceiling
        .map_or(call.extra_output, |ceiling| output_bound(call, model, ceiling, way.thoughts))
        .saturating_mul(way.choices);
    let reach = reach(call, model, charges);
    // A plausible answer: what was asked for, but rarely more than a thousand tokens.
    let likely_input = call.input_estimate.min(input);
    let likely_output = visible.min(1_024).saturating_mul(way.choices);
    let both = |input, output| {
        let (tenant, channel) = charges.bounds(input, output, reach);
        (amounts(input, output, tenant), amounts(input, output, channel))
    };
    let (bound, channel_bound) = both(input, output);
    let (estimate, channel_estimate) = both(likely_input, likely_output);
    Sizes { bound, estimate, channel_bound, channel_estimate }
}

fn amounts(input: u64, output: u64, spend: i64) -> Amounts {
    Amounts {
        input_tokens: i64::try_from(input).unwrap_or(i64::MAX),
        output_tokens: i64::try_from(output).unwrap_or(i64::MAX),
        spend,
    }
}

/// What an attempt at `model` uses at most now that its input is known to the bucket: at the caller's price, and at the
/// channel's.
pub(super) fn of_known_input(
    call: &Call,
    model: &ChannelModel,
    input: &Usage,
    output: i64,
    charges: &Charges<'_>,
) -> (Amounts, Amounts) {
    let output = u64::try_from(output).unwrap_or(0);
    let (tenant, channel) = charges.bounds_of_known_input(input, output, reach(call, model, charges));
    let tokens = input.input_tokens();
    (amounts(tokens, output, tenant), amounts(tokens, output, channel))
}

/// The tokenizer with which to count the call's text before a limit refuses or clamps it; `None` when the host can't, when
/// it has, or when the limit would stay too small for half of what is plausible.
pub(super) fn worth_counting(
    runtime: &Runtime,
    admission: &Admission,
    model: &ChannelModel,
    charges: &Charges<'_>,
    ceiling: Option<Ceiling>,
    way: Way,
    refusal: &Refusal,
) -> Option<Tokenizer> {
    let counts = admission.can_count && !model.is_edited() && !model.reads_more;
    let tokenizer = model.tokenizer.filter(|it| counts && admission.counted.by(*it).is_none())?;
    // It fits, and is only behind others.
    if refusal.asked.max(1) <= refusal.state.remaining() {
        return None;
    }
    let (call, limit) = (&admission.call, &refusal.state.limit);
    // Other modes reserve what is plausible: the bound isn't what is short.
    let by_input = matches!(limit.metric, Metric::InputTokens | Metric::TotalTokens | Metric::Spend);
    if call.input_bound.is_none() || limit.mode != Mode::Strict || !by_input {
        return None;
    }
    let lowered = ceiling.filter(|_| may_lower(call, refusal)).map(|ceiling| least(runtime, call, ceiling));
    let tokens = lowered.or(ceiling.map(|ceiling| ceiling.tokens)).unwrap_or(0);
    let input = input_bound(call, &admission.counted, model, way).min(call.input_estimate / 2);
    let output = output_bound(call, model, tokens, way.thoughts).saturating_mul(way.choices);
    let reach = reach(call, model, charges);
    let spend = match refusal.of_channel {
        true => charges.list_bound(input, output, reach),
        false => charges.tenant_bound(input, output, reach),
    };
    let needed = amounts(input, output, spend).of(limit.metric);
    (needed <= refusal.state.remaining()).then_some(tokenizer)
}

/// Whether the limit that is short lets the ceiling be lowered.
fn may_lower(call: &Call, refusal: &Refusal) -> bool {
    let usual = if call.max_output.is_none() { WhenShort::Clamp } else { WhenShort::Deny };
    let when_short = refusal.state.limit.when_short.unwrap_or(usual);
    when_short == WhenShort::Clamp && !refusal.denies && !refusal.downgrades && !refusal.of_channel
}

/// The least ceiling that makes sense.
fn least(runtime: &Runtime, call: &Call, ceiling: Ceiling) -> u64 {
    runtime.snapshot.declared.quota.min_output.max(call.min_output).min(ceiling.tokens)
}

/// A lower ceiling with which a refused attempt may pass: at most a quarter of what is left, never below the least
/// that makes sense. `None` when the limit says to refuse, or when less output wouldn't help.
pub(super) fn clamp(
    runtime: &Runtime,
    admission: &Admission,
    model: &ChannelModel,
    charges: &Charges<'_>,
    ceiling: Ceiling,
    way: Way,
    refusal: &Refusal,
) -> Option<Ceiling> {
    let call = &admission.call;
    if !may_lower(call, refusal) {
        return None;
    }
    let by_tokens = u64::try_from(refusal.output_left.max(0)).unwrap_or(0);
    let affordable = affordable_output(admission, model, charges, way, refusal.spend_left);
    let left = by_tokens.min(affordable) / way.choices.max(1);
    let left = left.saturating_sub(call.extra_output.saturating_add(way.thoughts));
    let tokens = (left / 4).max(least(runtime, call, ceiling)).min(ceiling.tokens);
    (tokens <= left && tokens < ceiling.tokens).then_some(Ceiling { tokens, why: CeilingReason::Clamped })
}

/// How many output tokens `spend_left` pays for once the input is paid, by bisection on the bound itself: whatever the
/// price's tiers and fees are, what this answers fits.
fn affordable_output(
    admission: &Admission,
    model: &ChannelModel,
    charges: &Charges<'_>,
    way: Way,
    spend_left: i64,
) -> u64 {
    if spend_left == i64::MAX {
        return u64::MAX;
    }
    let input = input_bound(&admission.call, &admission.counted, model, way);
    let reach = reach(&admission.call, model, charges);
    let fits = |output: u64| charges.tenant_bound(input, output, reach) <= spend_left;
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

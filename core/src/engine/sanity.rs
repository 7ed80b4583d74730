//! Whether what an upstream reports can be right, and how much of our own count is charged.

use super::admission::Admission;
use super::attempt::Open;
use super::settle::Outcome;
use crate::channel::ChannelModel;
use crate::usage::Usage;

/// A report is wrong that has more than this many times what was possible, and more than [`SLACK_TOKENS`] besides. A report that is merely
/// above the bound is a debt: the prompt that an operator's own server puts before the caller's is really read.
const TIMES: u64 = 2;
/// See [`TIMES`].
const SLACK_TOKENS: u64 = 65_536;
/// The same of what is billed in units.
const SLACK_UNITS: u64 = 64;

/// What the upstream reported, if it can be right.
pub(super) fn believed(outcome: &Outcome, admission: &Admission, open: &Open) -> Option<Usage> {
    outcome.reported.filter(|usage| !usage.is_absurd() && !is_far_above(usage, admission, open))
}

/// Whether the report is far above what the call could use.
fn is_far_above(usage: &Usage, admission: &Admission, open: &Open) -> bool {
    let Some((_, model)) = admission.runtime.snapshot.resolve(open.candidate) else { return false };
    let far = |used: u64, most: Option<u64>, slack: u64| {
        most.is_some_and(|most| used > most.saturating_mul(TIMES).saturating_add(slack))
    };
    let units = admission.call.format.unit().map(|_| admission.call.units);
    far(usage.input_tokens(), most_input(admission, model), SLACK_TOKENS)
        || far(usage.output_tokens(), most_output(admission, open, model), SLACK_TOKENS)
        || far(usage.units, units, SLACK_UNITS)
}

/// No more input than this was sent; `None` where the body doesn't tell. The window that is configured may be wrong, the body isn't.
fn most_input(admission: &Admission, model: &ChannelModel) -> Option<u64> {
    let call = &admission.call;
    // What hosted tools find is read as well.
    let by_bytes = call.input_bound.filter(|_| !model.reads_more && !call.open_ended)?;
    Some(by_bytes.saturating_add(model.extra_input).saturating_add(call.extra_translated.most()))
}

/// No more output than this was asked for, or reserved with its thoughts; `None` where nothing bounds it.
fn most_output(admission: &Admission, open: &Open, model: &ChannelModel) -> Option<u64> {
    let call = &admission.call;
    if call.billed.is_some() {
        return Some(call.extra_output.saturating_mul(u64::from(call.choices.max(1))));
    }
    if call.format.writes_at_will() {
        return u64::try_from(open.sizes.bound.output_tokens).ok();
    }
    if !call.format.has_ceiling() {
        return None;
    }
    let named = open.ceiling.or(call.max_output).map(|named| named.max(call.max_output.unwrap_or(0)));
    let each = named.or(model.max_output)?;
    let beyond = call.extra_output.saturating_add(model.extra_reasoning.unwrap_or(0));
    let asked = each.saturating_add(beyond).saturating_mul(u64::from(call.choices.max(1)));
    Some(asked.max(u64::try_from(open.sizes.bound.output_tokens).unwrap_or(0)))
}

/// Our own count of an answer is an estimate, which by itself must not pass a cap: an upstream reads no more than what it
/// was sent, and one that was given a ceiling wrote no more than that.
pub(super) fn within_bound(counted: Usage, admission: &Admission, open: &Open) -> Usage {
    let call = &admission.call;
    let bound = open.sizes.bound;
    let counted = match call.input_bound {
        Some(_) => with_input_up_to(counted, u64::try_from(bound.input_tokens).unwrap_or(0)),
        None => counted,
    };
    if open.ceiling.is_none() && call.max_output.is_none() && call.format.has_ceiling() {
        return counted;
    }
    let most = u64::try_from(bound.output_tokens).unwrap_or(0);
    let counted = with_output_up_to(counted, most);
    Usage { units: counted.units.min(call.units), ..counted }
}

/// The same with no more output tokens than `most`: text goes first, then media, by formulas of ours; thoughts are the upstream's own
/// count.
fn with_output_up_to(mut usage: Usage, most: u64) -> Usage {
    let mut excess = usage.output_tokens().saturating_sub(most);
    for bucket in [&mut usage.output_visible, &mut usage.audio_out, &mut usage.image_out] {
        let less = excess.min(*bucket);
        *bucket -= less;
        excess -= less;
    }
    usage
}

/// The same with no more input tokens than `most`: the dearer buckets, which the upstream itself has told apart, stay.
fn with_input_up_to(mut usage: Usage, most: u64) -> Usage {
    let mut excess = usage.input_tokens().saturating_sub(most);
    for bucket in [
        &mut usage.input_uncached,
        &mut usage.cache_read,
        &mut usage.cache_read_audio,
        &mut usage.cache_read_image,
        &mut usage.cache_write,
        &mut usage.cache_write_1h,
        &mut usage.audio_in,
        &mut usage.image_in,
    ] {
        let less = excess.min(*bucket);
        *bucket -= less;
        excess -= less;
    }
    usage
}

//! Candidates: which channels may serve a model for this call, and in which order.

use smallvec::SmallVec;

use super::admission::Admission;
use super::charges::Charges;
use super::{Runtime, rank};
use crate::call::{Call, Format, Needs};
use crate::channel::{Channel, ChannelModel};
use crate::decision::{Exclusion, Reason};
use crate::health::HealthView;
use crate::ids::{ChannelId, ModelName};
use crate::openai;
use crate::ports::CandidateView;
use crate::snapshot::{
    Candidate, DEFAULT_TAG, MATCH_TAG, MOCK_TAG, ModelGroup, Strategy, TagFilter, Unpriced,
};
use crate::tenant::{Caller, Preference};
use crate::time::Timestamp;

/// A candidate that passed the filters, at its place in the order.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    pub(super) candidate: Candidate,
    pub(super) endpoint: u32,
    /// Endpoints whose formats can't say the call, a bit for each.
    pub(super) mute: u32,
    pub(super) preference: u32,
    pub(super) priority: i32,
    pub(super) score: u64,
    /// It has more than its share of the calls under way.
    pub(super) full: bool,
    /// Out for the rest of this call.
    pub(super) out: bool,
    pub(super) failures: u32,
    /// Its upstream asked not to be asked before.
    pub(super) not_before: Option<Timestamp>,
    pub(super) weight: u32,
    pub(super) health: HealthView,
}

/// The least output ceiling that responses take, in tokens.
// QUIRK(openai, 2026-05, https://platform.openai.com/docs/api-reference/responses/create): 400 below it.
const RESPONSES_CEILING_MIN: u64 = 16;
/// No preference names it.
pub(super) const NOT_PREFERRED: u32 = u32::MAX;

/// The candidates of one model, and what is known when there are none.
#[derive(Debug, Default)]
pub(super) struct Considered {
    pub(super) ranked: SmallVec<[Ranked; 4]>,
    /// When the first benched one comes back.
    pub(super) back_at: Option<Timestamp>,
    /// The largest context window among those that are too small.
    pub(super) too_small: Option<u64>,
    /// Whether any was left out for want of a price.
    pub(super) unpriced: bool,
    /// What the call has that those left out for it can't take.
    pub(super) lacking: Needs,
    /// What a channel speaks that was left out because it doesn't serve the call's format.
    pub(super) speaks: Option<Format>,
    /// Whether any that does was left out.
    pub(super) otherwise: bool,
}

/// Filters and ranks the candidates of `group`.
pub(super) fn consider(
    runtime: &Runtime,
    admission: &mut Admission,
    group: &ModelGroup,
    strategy: Strategy,
    now: Timestamp,
) -> Considered {
    let mut considered = Considered::default();
    for candidate in &group.candidates {
        let Some((channel, model)) = runtime.snapshot.resolve(*candidate) else { continue };
        match filter(runtime, admission, *candidate, channel, model, now) {
            Ok(ranked) => considered.ranked.push(ranked),
            Err((why, detail)) => {
                considered.otherwise |=
                    !matches!(why, Exclusion::Format | Exclusion::Group | Exclusion::Disabled);
                match why {
                    Exclusion::Format => {
                        considered.speaks = considered.speaks.or_else(|| spoken(channel, model));
                    }
                    Exclusion::Cooldown | Exclusion::Broken => {
                        let back_at = Timestamp::from_ms(detail);
                        considered.back_at = Some(considered.back_at.map_or(back_at, |at| at.min(back_at)));
                    }
                    Exclusion::ContextWindow => {
                        let window = u64::try_from(detail).unwrap_or(0);
                        considered.too_small = Some(considered.too_small.map_or(window, |w| w.max(window)));
                    }
                    Exclusion::Unpriced => considered.unpriced = true,
                    Exclusion::Capability => {
                        considered.lacking = considered.lacking.or(admission.call.needs.and(model.lacks));
                    }
                    _ => {}
                }
                admission.explanation.push(Reason::Excluded { channel: channel.id.clone(), why });
            }
        }
    }
    if !considered.ranked.is_empty() {
        // Others do take it.
        considered.lacking = Needs::default();
    }
    if let Some(filter) = runtime.snapshot.declared.routing.tag_filter {
        keep_tagged(runtime, admission, filter, &mut considered.ranked);
    }
    rank::rank(runtime, admission, strategy, &mut considered.ranked, now);
    considered
}

/// Takes out whom the call's tags don't choose, of those that could be asked.
fn keep_tagged(
    runtime: &Runtime,
    admission: &mut Admission,
    filter: TagFilter,
    ranked: &mut SmallVec<[Ranked; 4]>,
) {
    // What scripts have added is for the record: they have other ways to steer.
    let call = &admission.call;
    let made_up = call.mock || call.rehearse.is_some();
    let sent = call.tags.iter().take(admission.sent_tags).filter(|tag| !(made_up && *tag == MOCK_TAG));
    let prefix = runtime.snapshot.declared.tag_prefix.as_str();
    let tags = Choice::of(sent.chain(&admission.caller.caller.tags).map(String::as_str), prefix);
    let channel = |r: &Ranked| runtime.snapshot.resolve(r.candidate).map(|(channel, _)| channel);
    let is_default = |channel: &Channel| channel.tags.iter().any(|tag| tag == DEFAULT_TAG);
    let any = |test: &dyn Fn(&Channel) -> bool| ranked.iter().filter_map(channel).any(test);
    let has_default = any(&is_default);
    // Who only says where not to go is as good as untagged elsewhere.
    let is_chosen = |channel: &Channel| {
        !tags.is_empty()
            && tags.choose(filter, channel)
            && (!tags.only_forbid() || !has_default || is_default(channel))
    };
    let stays: &dyn Fn(&Channel) -> bool = match (any(&is_chosen), has_default) {
        (true, _) => &is_chosen,
        (false, true) => &|channel: &Channel| is_default(channel) && tags.allow(channel),
        (false, false) if tags.is_empty() => return,
        (false, false) => &|_| false,
    };
    let mut out: SmallVec<[ChannelId; 4]> = SmallVec::new();
    ranked.retain(|r| {
        let keeps = channel(r).is_some_and(stays);
        if !keeps {
            out.extend(channel(r).map(|channel| channel.id.clone()));
        }
        keeps
    });
    let why = Exclusion::Tags;
    out.into_iter().for_each(|channel| admission.explanation.push(Reason::Excluded { channel, why }));
}

/// A call's tags, by what they say.
#[derive(Default)]
struct Choice<'a> {
    /// One of them or all must be the channel's.
    plain: SmallVec<[&'a str; 4]>,
    /// Behind `&`: the channel must have each.
    demanded: SmallVec<[&'a str; 1]>,
    /// Behind `!`: and none of these.
    forbidden: SmallVec<[&'a str; 1]>,
    /// Patterns of channels that the client matches.
    matched: SmallVec<[&'a str; 1]>,
}

impl<'a> Choice<'a> {
    fn of(tags: impl Iterator<Item = &'a str>, prefix: &str) -> Self {
        let mut choice = Self::default();
        for tag in tags {
            // An empty one is at the beginning of every tag.
            let tag = tag.strip_prefix(prefix).unwrap_or(tag);
            if let Some(tag) = tag.strip_prefix('!') {
                choice.forbidden.push(tag);
            } else if let Some(tag) = tag.strip_prefix('&') {
                choice.demanded.push(tag);
            } else if let Some(pattern) = tag.strip_prefix(MATCH_TAG) {
                choice.matched.push(pattern);
            } else {
                choice.plain.push(tag);
            }
        }
        choice
    }

    fn is_empty(&self) -> bool {
        self.only_forbid() && self.forbidden.is_empty()
    }

    fn only_forbid(&self) -> bool {
        self.plain.is_empty() && self.demanded.is_empty() && self.matched.is_empty()
    }

    /// Whether they don't rule the channel out.
    fn allow(&self, channel: &Channel) -> bool {
        let has = |tag: &&str| channel.tags.iter().any(|own| own == tag);
        self.demanded.iter().all(has) && !self.forbidden.iter().any(has)
    }

    /// Whether they lead to the channel.
    fn choose(&self, filter: TagFilter, channel: &Channel) -> bool {
        let has = |tag: &&str| channel.tags.iter().any(|own| own == tag);
        if !self.allow(channel) {
            return false;
        }
        let is_matched =
            || channel.tag_patterns.iter().any(|own| self.matched.contains(&own.regex().as_str()));
        match filter {
            _ if self.plain.is_empty() && self.matched.is_empty() => true,
            TagFilter::Any => self.plain.iter().any(has) || is_matched(),
            // Whoever wants all tags gets no channel that has others for what its client is.
            TagFilter::All if self.plain.is_empty() => channel.tags.is_empty() && is_matched(),
            TagFilter::All => self.plain.iter().all(has) || channel.tags.is_empty() && is_matched(),
        }
    }
}

/// A candidate that may serve, or why not (with a time or a size where one belongs to the reason).
fn filter(
    runtime: &Runtime,
    admission: &Admission,
    candidate: Candidate,
    channel: &Channel,
    model: &ChannelModel,
    now: Timestamp,
) -> Result<Ranked, (Exclusion, i64)> {
    let call = &admission.call;
    let caller = &admission.caller.caller;
    if !channel.enabled {
        return Err((Exclusion::Disabled, 0));
    }
    if !caller.may_use(channel) {
        return Err((Exclusion::Group, 0));
    }
    let endpoint = endpoint_for(admission, channel, model, 0).ok_or((Exclusion::Format, 0))?;
    if model.is_pass_through() != (call.format == Format::PassThrough) {
        return Err((Exclusion::Format, 0));
    }
    if call.needs.and(model.lacks).any() {
        return Err((Exclusion::Capability, 0));
    }
    // The estimate decides, not the bound: text has about four bytes a token, and the bound has one.
    if let Some(window) = model.context_window.filter(|window| call.input_estimate > *window) {
        return Err((Exclusion::ContextWindow, i64::try_from(window).unwrap_or(i64::MAX)));
    }
    if runtime.snapshot.declared.quota.unpriced == Unpriced::Deny
        && !call.price(&channel.id, model).is_known()
    {
        return Err((Exclusion::Unpriced, 0));
    }
    if has_no_bound(admission, channel, model, now) {
        return Err((Exclusion::Unpriced, 0));
    }
    let health = &runtime.channels.get(candidate.channel as usize).ok_or((Exclusion::Disabled, 0))?.health;
    let health = admission
        .observed_health(&channel.id, || health.look(now, call.stream))
        .unwrap_or_else(|| health.available(now, call.stream))
        .map_err(|(why, until)| (why, until.as_ms()))?;
    Ok(Ranked {
        candidate,
        endpoint,
        mute: 0,
        preference: preference_of(channel, caller),
        priority: channel.priority,
        score: 0,
        full: false,
        out: false,
        failures: 0,
        not_before: None,
        weight: channel.weight,
        health,
    })
}

/// Whether what the call's better tier costs isn't known, or the model is paid for searches that it makes at will, and the budget is
/// strict, the caller's or the channel's own: it couldn't hold that.
pub(super) fn has_no_bound(
    admission: &Admission,
    channel: &Channel,
    model: &ChannelModel,
    now: Timestamp,
) -> bool {
    let of_channel = channel.has_strict_spend();
    if !of_channel && !admission.has_strict_spend() {
        return false;
    }
    let call = &admission.call;
    // To the caller's own limits the host has said no by now, with the field's name.
    if of_channel && call.open_ended {
        return true;
    }
    let dear = call.service_tier.filter(|tier| tier.is_dear());
    let searches_at_will = || {
        let billed = call.billed.as_deref();
        let charges = Charges::of_call(
            &admission.caller.caller,
            admission.group(),
            (channel, model),
            now,
            None,
            billed,
        );
        !call.format.counts_tokens() && !charges.bounds_searches()
    };
    dear.is_some_and(|tier| !call.price(&channel.id, model).on(now).has_tier(tier)) || searches_at_will()
}

/// The endpoint that serves the call without translation, else the first that it reaches, of those that aren't `mute`. Callers that send
/// thoughts back are better served where these are kept: chat completions have no place for them. What responses can't be told chat
/// completions are, unless the model is served by responses alone.
fn endpoint_for(admission: &Admission, channel: &Channel, model: &ChannelModel, mute: u32) -> Option<u32> {
    let call = &admission.call;
    let find = |test: &dyn Fn(Format) -> bool| {
        (0u32..).zip(&channel.endpoints).position(|(at, it)| mute & bit(at) == 0 && test(it.format))
    };
    let speaks = |format| find(&|own| own == format);
    let name = || upstream_name(model, admission.group());
    // A relay in OpenAI's name mostly passes on to it; what can't be said otherwise, it is asked for as it came.
    let as_openai = channel.at_openai || (mute == 0 && names_openai(channel));
    let bars = |format| as_openai && is_barred(format, channel, &name);
    if let Some(same) = speaks(call.format).filter(|_| !bars(call.format)) {
        return u32::try_from(same).ok();
    }
    let name = name();
    let responses = speaks(Format::OpenaiResponses);
    let stays = call.format.is_translated() && as_openai && openai::is_responses_only(name.as_str());
    let keeps = responses.filter(|_| stays || call.format == Format::AnthropicMessages);
    let any = || find(&|format| call.format.reaches(format) && !bars(format));
    let found = keeps.or_else(any)?;
    let leaves = Some(found) == responses && !stays && !fits_responses(call, name.as_str());
    let other = speaks(Format::OpenaiChat).filter(|_| leaves);
    u32::try_from(other.unwrap_or(found)).ok()
}

/// The bit of an endpoint. What is beyond the last has none: it is never taken for mute.
fn bit(endpoint: u32) -> u32 {
    1u32.checked_shl(endpoint).unwrap_or(0)
}

/// Whether the channel is declared as OpenAI's, wherever it is.
fn names_openai(channel: &Channel) -> bool {
    let provider = channel.provider.as_str();
    provider == "openai" || provider.starts_with("azure")
}

/// Whether OpenAI doesn't serve the model in this format, and the channel has another in which it does.
fn is_barred(format: Format, channel: &Channel, model: &impl Fn() -> ModelName) -> bool {
    let has = |test: fn(Format) -> bool| channel.endpoints.iter().any(|endpoint| test(endpoint.format));
    match format {
        Format::OpenaiChat => {
            has(|it| it == Format::OpenaiResponses) && openai::is_responses_only(model().as_str())
        }
        Format::OpenaiCompletions => has(Format::is_chat) && openai::is_chat_only(model().as_str()),
        _ => false,
    }
}

impl Admission {
    /// Turns a candidate whose format can't say the call to another of its channel's; false when there is none.
    pub(super) fn speak_otherwise(&mut self, at: usize) -> bool {
        let Some(r) = self.considered.ranked.get(at) else { return false };
        let (spoken, mute) = (r.endpoint, r.mute | bit(r.endpoint));
        let runtime = &self.runtime;
        let next = runtime.snapshot.resolve(r.candidate).and_then(|(channel, model)| {
            // What is wrong in the caller's own format isn't put right by another.
            let is_own = channel.endpoints.get(spoken as usize)?.format == self.call.format;
            if is_own || mute == r.mute { None } else { endpoint_for(self, channel, model, mute) }
        });
        match (next, self.considered.ranked.get_mut(at)) {
            (Some(endpoint), Some(r)) => {
                (r.endpoint, r.mute) = (endpoint, mute);
                true
            }
            _ => false,
        }
    }
}

/// Whether responses can be told what the call says. Stop sequences count only where chat completions would be told them: models
/// that think take none.
fn fits_responses(call: &Call, model: &str) -> bool {
    let is_tiny = call.max_output.is_some_and(|most| most < RESPONSES_CEILING_MIN);
    let stops = call.needs.stops && !call.bound && !openai::is_reasoning(model);
    !is_tiny && call.choices_in(Format::OpenaiResponses) <= 1 && !stops
}

/// What a channel is for.
fn spoken(channel: &Channel, model: &ChannelModel) -> Option<Format> {
    if model.is_pass_through() {
        return Some(Format::PassThrough);
    }
    channel.endpoints.first().map(|endpoint| endpoint.format)
}

/// The group's own preferences, and behind them the channels of the groups that its list names, in their order.
fn preference_of(channel: &Channel, caller: &Caller) -> u32 {
    let preferred = caller.preferences.iter().position(|preference| matches(channel, preference));
    let listed = || {
        let at = caller.channels_of.iter().position(|group| channel.groups.contains(group));
        at.map(|at| caller.preferences.len() + at)
    };
    let at = preferred.or_else(listed);
    at.and_then(|at| u32::try_from(at).ok()).unwrap_or(NOT_PREFERRED)
}

/// Whether a preference names this channel.
pub(super) fn matches(channel: &Channel, preference: &Preference) -> bool {
    match preference {
        Preference::Channel(name) => channel.name == *name || channel.id.as_str() == name,
        Preference::Provider(id) => channel.provider.as_str() == id,
        Preference::Tag(tag) => channel.tags.contains(tag),
    }
}

/// The candidates as a script sees them at `now`, at which their prices are.
pub(super) fn views<'a>(
    runtime: &'a Runtime,
    call: &'a Call,
    ranked: &[Ranked],
    now: Timestamp,
) -> SmallVec<[CandidateView<'a>; 4]> {
    ranked
        .iter()
        .filter_map(|r| {
            let (channel, model) = runtime.snapshot.resolve(r.candidate)?;
            let price = call.price(&channel.id, model).on(now);
            Some(CandidateView {
                channel,
                upstream_model: &model.upstream,
                input_price: price.input(),
                output_price: price.output(),
                context_window: model.context_window,
                latency_us: r.health.latency_us,
                in_flight: r.health.in_flight,
                failures: r.health.failures,
            })
        })
        .collect()
}

/// A digest of what ranking saw of the candidates: their health, and what they were ranked by.
pub(super) fn health_digest(ranked: &[Ranked]) -> u64 {
    ranked.iter().fold(0xcbf2_9ce4_8422_2325, |digest, r| {
        [
            u64::from(r.candidate.channel),
            r.health.latency_us,
            u64::from(r.health.in_flight),
            u64::from(r.health.failures),
            r.score,
        ]
        .into_iter()
        .fold(digest, |d, n| (d ^ n).wrapping_mul(0x0100_0000_01b3))
    })
}

/// The name to send upstream: what the `*` of a wildcard group matched takes the place of the `*` in `upstream`.
pub(super) fn upstream_name(model: &ChannelModel, requested: &ModelName) -> ModelName {
    let (Some(prefix), Some((before, after))) =
        (model.group.as_str().strip_suffix('*'), model.upstream.as_str().split_once('*'))
    else {
        return model.upstream.clone();
    };
    match requested.as_str().strip_prefix(prefix) {
        Some(rest) => ModelName::from(format!("{before}{rest}{after}")),
        None => model.upstream.clone(),
    }
}

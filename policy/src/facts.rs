//! What scripts read of a call and its candidates, copied out of the engine's views as cheaply as the scripts allow.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use sluicegate_core::call::{Format, Needs};
use sluicegate_core::channel::Channel;
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::ids::{CallId, ChannelId, KeyId, ModelName, OrganizationId, ProviderId, UserId};
use sluicegate_core::money::NanoUsd;
use sluicegate_core::ports::{AttemptView, CallView, CandidateView, LimitStanding, UsageView};
use sluicegate_core::prompt::Prompt;
use sluicegate_core::tenant::Preference;
use sluicegate_core::time::Timestamp;
use sluicegate_core::usage::Usage;
use smallvec::SmallVec;

/// Which costly facts a script reads. Found by its words when it is compiled, so that a script which never looks at
/// candidates never causes them to be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    pub(crate) candidates: bool,
    pub(crate) names: bool,
    pub(crate) tags: bool,
    pub(crate) customer: bool,
    pub(crate) fallbacks: bool,
    /// How candidates are doing: what no record of theirs tells otherwise.
    pub(crate) health: bool,
    /// How the caller's limits stand.
    pub(crate) quota: bool,
    /// How full the channels' limits are.
    pub(crate) channel_limits: bool,
    /// What the prompt says.
    pub(crate) prompt: bool,
}

impl Reads {
    /// From the properties and functions that a script names.
    pub(crate) fn of(words: &HashSet<String>, candidates: bool) -> Self {
        let any = |list: &[&str]| list.iter().any(|word| words.contains(*word));
        // `matches` and `contains` (which `in` stands for) compare channels by name and tag too.
        let matching = any(&["matches", "contains"]);
        Self {
            candidates,
            names: matching || any(&["name"]),
            tags: matching || any(&["tags", "has_tag"]),
            customer: any(&["customer"]),
            fallbacks: any(&["fallbacks"]),
            health: candidates && any(&["latency_ms", "in_flight", "failures", "fastest"]),
            quota: any(&["quota_used", "quota_left"]),
            channel_limits: any(&["limit_used"]),
            prompt: any(&["text_contains", "text_matches", "text_length"]),
        }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            candidates: self.candidates || other.candidates,
            names: self.names || other.names,
            tags: self.tags || other.tags,
            customer: self.customer || other.customer,
            fallbacks: self.fallbacks || other.fallbacks,
            health: self.health || other.health,
            quota: self.quota || other.quota,
            channel_limits: self.channel_limits || other.channel_limits,
            prompt: self.prompt || other.prompt,
        }
    }
}

/// What scripts read of a call and its caller.
pub(crate) struct CallFacts {
    pub(crate) id: CallId,
    pub(crate) model: ModelName,
    pub(crate) requested_model: ModelName,
    /// The caller's own.
    pub(crate) fallbacks: Option<Vec<ModelName>>,
    pub(crate) format: Format,
    pub(crate) stream: bool,
    pub(crate) input_tokens: u64,
    pub(crate) input_bound: Option<u64>,
    pub(crate) max_output: Option<u64>,
    pub(crate) choices: u32,
    pub(crate) needs: Needs,
    pub(crate) customer: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) labels: SmallVec<[Arc<str>; 2]>,
    pub(crate) user: Option<UserId>,
    pub(crate) key: Option<KeyId>,
    pub(crate) organization: OrganizationId,
    pub(crate) now: Timestamp,
    pub(crate) seed: u64,
    pub(crate) limits: Vec<LimitStanding>,
    /// In `admit` and `route`.
    pub(crate) prompt: Option<Arc<Prompt>>,
}

impl CallFacts {
    pub(crate) fn of(view: &CallView<'_>, reads: Reads) -> Self {
        let CallView { call, caller, model, .. } = *view;
        let tags =
            if reads.tags { call.tags.iter().chain(&caller.tags).cloned().collect() } else { Vec::new() };
        Self {
            id: call.id.clone(),
            model: model.clone(),
            requested_model: call.model.clone(),
            fallbacks: call.fallbacks.clone().filter(|_| reads.fallbacks),
            format: call.format,
            stream: call.stream,
            input_tokens: call.input_estimate,
            input_bound: call.input_bound,
            max_output: call.max_output,
            choices: call.choices,
            needs: call.needs,
            customer: call.customer.clone().filter(|_| reads.customer),
            tags,
            client_ip: call.client_ip,
            labels: caller.labels.clone(),
            user: caller.user.clone(),
            key: caller.key.clone(),
            organization: caller.organization.clone(),
            now: view.now,
            seed: view.seed,
            limits: if reads.quota { view.limits.of_caller() } else { Vec::new() },
            prompt: view.prompt.filter(|_| reads.prompt).cloned(),
        }
    }
}

/// What scripts read of a candidate.
pub(crate) struct CandidateFacts {
    pub(crate) id: ChannelId,
    pub(crate) name: String,
    pub(crate) provider: ProviderId,
    pub(crate) upstream_model: ModelName,
    pub(crate) tags: Vec<String>,
    pub(crate) priority: i32,
    pub(crate) weight: u32,
    pub(crate) input_price: Option<u64>,
    pub(crate) output_price: Option<u64>,
    pub(crate) context_window: Option<u64>,
    pub(crate) latency_us: u64,
    pub(crate) in_flight: u32,
    pub(crate) failures: u32,
    pub(crate) limit_used_ppm: Option<u64>,
}

impl CandidateFacts {
    pub(crate) fn of(view: &CandidateView<'_>, limit_used_ppm: Option<u64>, reads: Reads) -> Self {
        let channel = view.channel;
        Self {
            id: channel.id.clone(),
            name: if reads.names { channel.name.clone() } else { String::new() },
            provider: channel.provider.clone(),
            upstream_model: view.upstream_model.clone(),
            tags: if reads.tags { channel.tags.clone() } else { Vec::new() },
            priority: channel.priority,
            weight: channel.weight,
            input_price: view.input_price,
            output_price: view.output_price,
            context_window: view.context_window,
            latency_us: view.latency_us,
            in_flight: view.in_flight,
            failures: view.failures,
            limit_used_ppm,
        }
    }

    /// Whether `what` means this candidate.
    pub(crate) fn is(&self, what: &Preference) -> bool {
        match what {
            Preference::Channel(channel) => self.id.as_str() == channel || self.name == *channel,
            Preference::Provider(provider) => self.provider.as_str() == provider,
            Preference::Tag(tag) => self.tags.contains(tag),
        }
    }
}

/// What scripts read of a channel that was asked.
pub(crate) struct ChannelFacts {
    pub(crate) id: ChannelId,
    pub(crate) name: String,
    pub(crate) provider: ProviderId,
    pub(crate) tags: Vec<String>,
}

impl ChannelFacts {
    fn of(channel: &Channel, reads: Reads) -> Self {
        Self {
            id: channel.id.clone(),
            name: channel.name.clone(),
            provider: channel.provider.clone(),
            tags: if reads.tags { channel.tags.clone() } else { Vec::new() },
        }
    }
}

/// What scripts read of an attempt that failed.
pub(crate) struct AttemptFacts {
    pub(crate) channel: ChannelFacts,
    pub(crate) model: ModelName,
    pub(crate) outcome: OutcomeClass,
    pub(crate) status: Option<u16>,
    pub(crate) number: u32,
    pub(crate) elapsed_ms: u64,
    pub(crate) key_fault: bool,
}

impl AttemptFacts {
    pub(crate) fn of(view: &AttemptView<'_>, reads: Reads) -> Self {
        Self {
            channel: ChannelFacts::of(view.channel, reads),
            model: view.model.clone(),
            outcome: view.outcome,
            status: view.status,
            number: view.number,
            elapsed_ms: view.elapsed_ms,
            key_fault: view.key_fault,
        }
    }
}

/// What scripts read of a call that is over.
pub(crate) struct UsageFacts {
    pub(crate) usage: Usage,
    pub(crate) spend: NanoUsd,
    pub(crate) attempts: u32,
    pub(crate) outcome: OutcomeClass,
    pub(crate) latency_ms: u64,
    pub(crate) first_byte_ms: Option<u64>,
    pub(crate) channel: Option<ChannelFacts>,
    pub(crate) model: ModelName,
}

impl UsageFacts {
    pub(crate) fn of(view: &UsageView<'_>, reads: Reads) -> Self {
        Self {
            usage: *view.usage,
            spend: view.spend,
            attempts: view.attempts,
            outcome: view.outcome,
            latency_ms: view.latency_ms,
            first_byte_ms: view.first_byte_ms,
            channel: view.channel.map(|channel| ChannelFacts::of(channel, reads)),
            model: view.model.clone(),
        }
    }
}

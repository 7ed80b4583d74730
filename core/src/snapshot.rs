//! The configuration that decisions run on: immutable, validated, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::by_class::ByClass;
use crate::channel::{Channel, ChannelModel, Timeouts};
use crate::guardrail::GuardrailSource;
use crate::header::Wanted;
use crate::ids::{GroupId, KeyId, ModelName, OrganizationId};
use crate::limit::{Limit, Mode};
use crate::pattern::Pattern;
use crate::price::Exchange;
use crate::tenant::{AccessGroups, ApiKey, Caller, Group, Membership, Organization, User, matches_pattern};

/// What files and the database declare, before it is indexed. Configuration dialects produce it; a host adds what its
/// database holds, then builds a [`Snapshot`].
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The channels.
    pub channels: Vec<Channel>,
    /// Other names for models: asked for → meant.
    pub aliases: IndexMap<ModelName, ModelName>,
    /// What to try when a model's own channels fail.
    pub fallbacks: Fallbacks,
    /// Settings for single model groups.
    pub model_groups: IndexMap<ModelName, ModelGroupSettings>,
    /// Routing settings.
    pub routing: Routing,
    /// Quota settings, limits on everybody among them.
    pub quota: QuotaSettings,
    /// Organizations declared in a file.
    pub organizations: Vec<Organization>,
    /// Groups declared in a file, those that a channels file only names among them.
    pub groups: Vec<Group>,
    /// Users declared in a file.
    pub users: Vec<User>,
    /// Memberships declared in a file.
    pub memberships: Vec<Membership>,
    /// Keys declared in a file, each with where its credential is.
    pub keys: Vec<(ApiKey, crate::channel::SecretRef)>,
    /// Operators' scripts.
    pub policies: Vec<PolicySource>,
    /// Guardrails, in the order in which they are asked.
    pub guardrails: Vec<GuardrailSource>,
    /// What they import.
    pub policy_modules: Vec<ModuleSource>,
    /// Models under one name, which lists of models may name.
    pub access_groups: AccessGroups,
    /// Limits of end customers.
    pub customers: NamedScopes,
    /// Limits of tags.
    pub tags: NamedScopes,
    /// What tags that are meant to choose channels may begin with: without it they are compared. Default nothing.
    pub tag_prefix: String,
    /// What currencies other than USD are worth, before what prices in them say themselves.
    pub currencies: Vec<Exchange>,
}

impl Declared {
    /// Gives the channels' prices the rates of `currencies`: a rate that is said once holds for all prices in its currency.
    pub fn value_prices(&mut self) {
        for channel in &mut self.channels {
            let terms = channel.price_terms.iter_mut().flat_map(|terms| &mut terms.models);
            let said = terms.filter_map(|terms| terms.price.as_mut());
            for price in channel.models.iter_mut().map(|model| &mut model.price).chain(said) {
                price.value_at(&self.currencies);
            }
        }
    }
}

/// Limits of scopes that callers name: end customers, or tags. They count within the caller's organization, so that nobody
/// uses up what another organization's customer of the same name may use.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedScopes {
    /// Limits of single ones, by name.
    pub declared: IndexMap<String, Vec<Limit>>,
    /// Limits of each one that isn't declared. Empty: it has none, and costs nothing.
    pub default: Vec<Limit>,
    /// Undeclared ones that are counted one by one, at most; those beyond it share one counter in each organization, until
    /// its windows have ended. Default 10,000.
    pub max_counted: usize,
}

impl Default for NamedScopes {
    fn default() -> Self {
        Self { declared: IndexMap::new(), default: Vec::new(), max_counted: 10_000 }
    }
}

impl NamedScopes {
    /// Whether nobody has limits.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty() && self.default.is_empty()
    }

    /// The limits of this name, and whether they are its own.
    pub fn of(&self, name: &str) -> (&[Limit], bool) {
        match self.declared.get(name) {
            Some(limits) => (limits, true),
            None => (&self.default, false),
        }
    }
}

/// Where a call may go when its model's own channels can't serve. Each list is tried in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fallbacks {
    /// After any retryable failure but a content policy's refusal.
    pub general: IndexMap<ModelName, Vec<ModelName>>,
    /// When the prompt doesn't fit the context window.
    pub context_window: IndexMap<ModelName, Vec<ModelName>>,
    /// When the upstream's content policy refuses.
    pub content_policy: IndexMap<ModelName, Vec<ModelName>>,
    /// For every model, after the above; not after a content policy's refusal.
    pub default: Vec<ModelName>,
}

/// Settings of one model group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelGroupSettings {
    /// How its channels are ranked; unset: the routing settings'.
    pub strategy: Option<Strategy>,
    /// The output ceiling sent when the caller names none, in tokens; unset: min(`max_output`, 8,192).
    pub default_output: Option<u64>,
    /// Retries beyond the first attempt; unset: the routing settings'.
    pub retries: Option<u32>,
    /// Retries after failures of single classes; classes without one here go by the routing settings'.
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    pub retries_by: ByClass,
    /// Cheaper models to try, in this order, when what is left of a limit that says
    /// [`Downgrade`](crate::limit::WhenShort::Downgrade) doesn't cover a call. Each must pass access, price and limits.
    pub downgrade_to: Vec<ModelName>,
}

/// How channels of one priority are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// At random, in proportion to the weights.
    #[default]
    Weighted,
    /// The fewest calls under way.
    LeastBusy,
    /// The lowest recent latency, times the calls under way, of two picked at random: the time to the first content for
    /// streams, the whole time for other calls.
    LowestLatency,
    /// The lowest price of the call, as far as it is known before.
    LowestCost,
    /// The least used share of a channel's own limits per minute or hour and on concurrency. Equal shares, and channels
    /// without such limits among themselves, go by weight.
    Usage,
    /// The same channel for the same conversation, so that its prompt cache is hit; conversations are spread by weight. A
    /// channel that is out moves its own conversations only.
    Affinity,
}

impl Strategy {
    pub(crate) fn is_weighted(&self) -> bool {
        *self == Strategy::Weighted
    }

    /// Whether it ranks by how channels are doing at the moment, and not by what is configured and asked.
    pub(crate) fn is_by_health(self) -> bool {
        matches!(self, Strategy::LeastBusy | Strategy::LowestLatency | Strategy::Usage)
    }
}

/// Routing settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// How channels of one priority are ranked.
    pub strategy: Strategy,
    /// Retries of one model group beyond the first attempt. Default 2.
    pub retries: u32,
    /// How many failures of a class are each followed by another attempt at the same model. A class with a count of its own goes by
    /// its own failures alone, and those aren't counted for `retries`. A refusal by content policy is only tried elsewhere with
    /// one, and without fallbacks for it; what can't succeed elsewhere is never sent again.
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    pub retries_by: ByClass,
    /// Attempts of one call over all fallbacks, at most. Default 8, 1 to 64.
    pub max_attempts: u32,
    /// Fallback models tried, at most. Default 5.
    pub max_fallbacks: u32,
    /// The first pause before trying the same channel again; doubles each time. Default 200 ms.
    pub backoff_ms: u64,
    /// No pause is longer, `retry-after` included: a longer one ends the call. Default 8,000 ms.
    pub backoff_max_ms: u64,
    /// Failures within one minute that bench a channel; more than this many. Default 3.
    pub allowed_fails: u32,
    /// If they are also a larger share of the minute's attempts than this, in percent. Default 10; 0 goes by the number alone.
    pub failure_min_percent: u32,
    /// The same for single classes: failures of a class with a count of its own are counted alone. Of a refused credential or an
    /// empty account, so many are borne before the channel is out for good; by default none.
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    pub allowed_fails_by: ByClass,
    /// A larger share of failures within one minute, in percent, benches a channel, too, if there were at least
    /// `failure_min_calls`. Default none.
    pub allowed_failure_percent: Option<u32>,
    /// Attempts within the minute before their share of failures counts. Default 10.
    pub failure_min_calls: u32,
    /// How long a channel is benched. Default 30,000 ms.
    pub cooldown_ms: u64,
    /// Time limits of an attempt. Defaults: connect 10 s, first byte 300 s, between bytes 120 s, total 600 s.
    pub timeouts: Timeouts,
    /// No call takes longer, all attempts together. Default 900,000 ms.
    pub deadline_ms: u64,
    /// With `affinity`, a channel takes at most so many percent of its fair share of the calls under way; more go to the next.
    /// Default 125; 0 is no bound.
    pub affinity_load_percent: u32,
    /// Whether tags of calls choose among channels by their tags, and how many must match. Default none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_filter: Option<TagFilter>,
    /// Whether callers may have answers and failures made up with LiteLLM's `mock_…` parameters. Default false.
    pub allow_mock_parameters: bool,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: Strategy::Weighted,
            retries: 2,
            retries_by: ByClass::NONE,
            max_attempts: 8,
            max_fallbacks: 5,
            backoff_ms: 200,
            backoff_max_ms: 8_000,
            allowed_fails: 3,
            failure_min_percent: 10,
            allowed_fails_by: ByClass::NONE,
            allowed_failure_percent: None,
            failure_min_calls: 10,
            cooldown_ms: 30_000,
            timeouts: Timeouts {
                connect_ms: Some(10_000),
                first_byte_ms: Some(300_000),
                between_bytes_ms: Some(120_000),
                total_ms: Some(600_000),
            },
            deadline_ms: 900_000,
            affinity_load_percent: 125,
            tag_filter: None,
            allow_mock_parameters: false,
        }
    }
}

/// How many tags of a call a channel must have to serve it. Channels with the tag [`DEFAULT_TAG`] serve calls that none matches, and
/// those without tags; where there are none of these, calls without tags go anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagFilter {
    /// One of them.
    Any,
    /// All of them.
    All,
}

/// The tag of channels that serve what no tag leads elsewhere.
pub const DEFAULT_TAG: &str = "default";

/// Stands before a channel's [pattern](Channel::tag_patterns) in the tag of a call whose client matches it.
pub const MATCH_TAG: &str = "matches ";

/// What calls are tagged with, in their records, whose answers are made up. It chooses no channel.
pub const MOCK_TAG: &str = "mock";

/// What happens to the reservation of an attempt that timed out without a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It is freed.
    Free,
    /// The input is charged.
    #[default]
    Input,
    /// It is held until somebody reconciles it or its window ends.
    Hold,
}

/// What happens to a call for a model without a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// It is served; tokens are counted and the record is marked.
    #[default]
    Allow,
    /// It is refused.
    Deny,
}

/// Quota settings.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaSettings {
    /// Limits on everybody.
    pub global: Vec<Limit>,
    /// The zone of days, weeks and months. Default UTC.
    pub time_zone: TimeZone,
    /// The output ceiling when neither the caller nor the model group names one. Default 8,192 tokens.
    pub default_output: u64,
    /// A clamped ceiling is never lower. Default 256 tokens.
    pub min_output: u64,
    /// See [`OnUnknown`].
    pub on_unknown: OnUnknown,
    /// See [`Unpriced`].
    pub unpriced: Unpriced,
    /// Whether users' own limits also bind the keys that they use in a group.
    pub apply_user_limits_to_group_keys: bool,
    /// The mode of per-minute and per-hour token limits that name none. Default strict; the compatibility dialects'
    /// default is corrected.
    pub rate_token_mode: Mode,
    /// How long a call may wait for open reservations that are in its way, where the limit doesn't say otherwise. 0 doesn't
    /// wait. Default 2,000 ms.
    pub reserve_wait_ms: u64,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            global: Vec::new(),
            time_zone: TimeZone::UTC,
            default_output: 8_192,
            min_output: 256,
            on_unknown: OnUnknown::default(),
            unpriced: Unpriced::default(),
            apply_user_limits_to_group_keys: false,
            rate_token_mode: Mode::Strict,
            reserve_wait_ms: 2_000,
        }
    }
}

/// An operator's script, as text.
///
/// Written as `{"name", "text", "organization" | "group" | "key", "on_error"}`, of which only the first two must be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPolicy", into = "WrittenPolicy")]
pub struct PolicySource {
    /// Its name, for messages.
    pub name: String,
    /// The script.
    pub text: String,
    /// Whose calls it steers.
    pub attached: Attachment,
    /// What happens when it fails.
    pub on_error: OnPolicyError,
}

impl PolicySource {
    /// A script for everybody, which is passed over when it fails.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (attached, on_error) = (Attachment::Everybody, OnPolicyError::FailOpen);
        Self { name: name.into(), text: text.into(), attached, on_error }
    }
}

/// Functions and constants that scripts share, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleSource {
    /// The name that scripts import it by.
    pub name: String,
    /// The functions and constants.
    pub text: String,
}

/// A script as it is written down.
#[derive(Serialize, Deserialize)]
struct WrittenPolicy {
    name: String,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<OrganizationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_id: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyId>,
    #[serde(default)]
    on_error: OnPolicyError,
}

impl TryFrom<WrittenPolicy> for PolicySource {
    type Error = String;

    fn try_from(written: WrittenPolicy) -> Result<Self, String> {
        let WrittenPolicy { name, text, organization, group, group_id, key, on_error } = written;
        let attached = match (organization, group, group_id, key) {
            (None, None, None, None) => Attachment::Everybody,
            (Some(organization), None, None, None) => Attachment::Organization(organization),
            (None, Some(group), None, None) => Attachment::Group(group),
            (None, None, Some(group), None) => Attachment::GroupById(group),
            (None, None, None, Some(key)) => Attachment::Key(key),
            _ => {
                return Err(format!(
                    "the policy `{name}` is attached to several; name an organization, a group or a key"
                ));
            }
        };
        Ok(Self { name, text, attached, on_error })
    }
}

impl From<PolicySource> for WrittenPolicy {
    fn from(source: PolicySource) -> Self {
        let PolicySource { name, text, attached, on_error } = source;
        let mut written =
            Self { name, text, organization: None, group: None, group_id: None, key: None, on_error };
        match attached {
            Attachment::Everybody => {}
            Attachment::Organization(organization) => written.organization = Some(organization),
            Attachment::Group(group) => written.group = Some(group),
            Attachment::GroupById(group) => written.group_id = Some(group),
            Attachment::Key(key) => written.key = Some(key),
        }
        written
    }
}

/// Whose calls a script steers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Attachment {
    /// Everybody's.
    #[default]
    Everybody,
    /// Those of an organization.
    Organization(OrganizationId),
    /// Those of a group: its id or, as far as that is unambiguous, its alias.
    Group(GroupId),
    /// Those of the group of this id, whatever aliases other groups have: whose script it is mustn't get at what is another's.
    GroupById(GroupId),
    /// Those of a key.
    Key(KeyId),
}

impl Attachment {
    /// How far it reaches.
    pub const fn reach(&self) -> Reach {
        match self {
            Self::Everybody => Reach::Everybody,
            Self::Organization(_) => Reach::Organization,
            Self::Group(_) | Self::GroupById(_) => Reach::Group,
            Self::Key(_) => Reach::Key,
        }
    }

    /// Whether it steers the calls of this caller.
    pub fn steers(&self, caller: &Caller) -> bool {
        match self {
            Self::Everybody => true,
            Self::Organization(organization) => caller.organization == *organization,
            Self::Group(group) => caller.group.as_ref() == Some(group) || caller.is_in_group(group.as_str()),
            Self::GroupById(group) => caller.group.as_ref() == Some(group),
            Self::Key(key) => caller.key.as_ref() == Some(key),
        }
    }

    /// The id that it names; empty for everybody.
    pub fn id(&self) -> &str {
        match self {
            Self::Everybody => "",
            Self::Organization(organization) => organization.as_str(),
            Self::Group(group) | Self::GroupById(group) => group.as_str(),
            Self::Key(key) => key.as_str(),
        }
    }
}

/// Whose calls a script steers, widest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Everybody's.
    #[default]
    Everybody,
    /// Those of one organization.
    Organization,
    /// Those of one group.
    Group,
    /// Those of one key.
    Key,
}

/// What happens to a call when a script fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPolicyError {
    /// The call goes on as if the script had said nothing.
    #[default]
    FailOpen,
    /// The call is refused.
    FailClosed,
}

/// Where one candidate of a model group is: a channel and one of its models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The channel's index in [`Snapshot::channels`].
    pub channel: u32,
    /// The model's index in the channel's `models`.
    pub model: u32,
}

/// A requested name and the channels that serve it.
#[derive(Clone, Debug, Default)]
pub struct ModelGroup {
    /// Who serves it, highest priority first.
    pub candidates: Vec<Candidate>,
    /// Its settings.
    pub settings: ModelGroupSettings,
}

/// The configuration that decisions run on.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts up with each swap of one process; in explanations and usage records.
    pub version: u64,
    /// What it was built from.
    pub declared: Declared,
    digest: u64,
    wanted_headers: Wanted,
    tag_patterns: Vec<Pattern>,
    exact: HashMap<ModelName, ModelGroup>,
    wildcards: Vec<(ModelName, ModelGroup)>,
}

impl Snapshot {
    /// Indexes what was declared. Disabled channels are kept, so that explanations can name them.
    pub fn build(version: u64, declared: Declared) -> Self {
        let mut groups: IndexMap<ModelName, ModelGroup> = IndexMap::new();
        for (at, channel) in declared.channels.iter().enumerate() {
            for (model_at, model) in channel.models.iter().enumerate() {
                let (Ok(channel), Ok(model_at)) = (u32::try_from(at), u32::try_from(model_at)) else {
                    continue;
                };
                let group = groups.entry(model.group.clone()).or_insert_with(|| ModelGroup {
                    candidates: Vec::new(),
                    settings: declared.model_groups.get(&model.group).cloned().unwrap_or_default(),
                });
                group.candidates.push(Candidate { channel, model: model_at });
            }
        }
        let priority =
            |c: &Candidate| declared.channels.get(c.channel as usize).map_or(0, |channel| channel.priority);
        for group in groups.values_mut() {
            group.candidates.sort_by_key(|c| std::cmp::Reverse(priority(c)));
        }
        let (mut wildcards, exact): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(name, _)| name.as_str().ends_with('*'));
        // The longest prefix is the most specific one.
        wildcards.sort_by_key(|(name, _)| std::cmp::Reverse(name.as_str().len()));
        let digest = digest(&declared);
        let mut wanted_headers = Wanted::None;
        let switched_on = declared.channels.iter().filter(|channel| channel.enabled);
        let mut tag_patterns: Vec<Pattern> = Vec::new();
        for channel in switched_on {
            wanted_headers.join(channel.wanted_headers());
            for pattern in channel.tag_patterns.iter().filter(|_| declared.routing.tag_filter.is_some()) {
                // BOUND: the configuration's own patterns.
                if !tag_patterns.contains(pattern) {
                    tag_patterns.push(pattern.clone());
                }
            }
        }
        if !tag_patterns.is_empty() {
            wanted_headers.add(["user-agent".to_owned()]);
        }
        Self {
            version,
            digest,
            wanted_headers,
            tag_patterns,
            exact: exact.into_iter().collect(),
            wildcards,
            declared,
        }
    }

    /// A digest of what decisions depend on but for tenants, keys and scripts: the same for the same configuration in any
    /// process of this version; below 2³², so that it is short in records.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Which headers of callers any of the channels asks for.
    pub fn wanted_headers(&self) -> &Wanted {
        &self.wanted_headers
    }

    /// Tags of a call from this client (its `user-agent`): one for each pattern of a channel's that it matches, where tags choose
    /// channels.
    pub fn tags_of_client<'a>(&'a self, client: &'a str) -> impl Iterator<Item = String> + 'a {
        let line = format!("User-Agent: {client}");
        let patterns = self.tag_patterns.iter().filter(move |it| it.regex().is_match(&line));
        patterns.map(|pattern| format!("{MATCH_TAG}{}", pattern.regex().as_str()))
    }

    /// Whether it is one of [these](Self::tags_of_client), of any client.
    pub fn is_tag_of_client(&self, tag: &str) -> bool {
        let pattern = tag.strip_prefix(MATCH_TAG);
        pattern.is_some_and(|text| self.tag_patterns.iter().any(|known| known.regex().as_str() == text))
    }

    /// The channels.
    pub fn channels(&self) -> &[Channel] {
        &self.declared.channels
    }

    /// The channel and model of a candidate of this snapshot.
    pub fn resolve(&self, candidate: Candidate) -> Option<(&Channel, &ChannelModel)> {
        let channel = self.declared.channels.get(candidate.channel as usize)?;
        Some((channel, channel.models.get(candidate.model as usize)?))
    }

    /// The group that serves `model`: by its exact name, else by the longest wildcard. Aliases aren't followed here.
    pub fn model_group(&self, model: &str) -> Option<&ModelGroup> {
        self.exact.get(model).or_else(|| self.wildcard(model).map(|(_, group)| group))
    }

    /// Whether any channel that serves `model`, or what it is an alias of, is open to the caller's groups. To others there is no such
    /// model.
    pub fn is_open(&self, model: &ModelName, caller: &Caller) -> bool {
        self.model_group(self.unalias(model).as_str()).is_some_and(|group| self.is_group_open(group, caller))
    }

    /// The same of a group. One without channels is everybody's.
    pub fn is_group_open(&self, group: &ModelGroup, caller: &Caller) -> bool {
        let mut channels = group.candidates.iter().filter_map(|it| self.resolve(*it));
        group.candidates.is_empty() || channels.any(|(channel, _)| caller.may_use(channel))
    }

    /// What the group that serves `model` is called where it is declared: the same, or a wildcard such as `openai/*`.
    pub fn model_group_name(&self, model: &str) -> Option<&ModelName> {
        let exact = self.exact.get_key_value(model).map(|(name, _)| name);
        exact.or_else(|| self.wildcard(model).map(|(pattern, _)| pattern))
    }

    fn wildcard(&self, model: &str) -> Option<&(ModelName, ModelGroup)> {
        self.wildcards.iter().find(|(pattern, _)| matches_pattern(pattern.as_str(), model))
    }

    /// What `model` is an alias of, or itself. One step: aliases of aliases are flattened when they are loaded.
    pub fn unalias<'a>(&'a self, model: &'a ModelName) -> &'a ModelName {
        self.declared.aliases.get(model).unwrap_or(model)
    }

    /// Every name that can be requested, aliases included and wildcards as they are written, in alphabetical order.
    pub fn model_names(&self) -> Vec<&ModelName> {
        let mut names: Vec<_> = self
            .exact
            .keys()
            .chain(self.wildcards.iter().map(|(name, _)| name))
            .chain(self.declared.aliases.keys())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// See [`Snapshot::digest`].
fn digest(declared: &Declared) -> u64 {
    struct Text(u64);
    impl std::fmt::Write for Text {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            for byte in text.bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            Ok(())
        }
    }
    let Declared { channels, aliases, fallbacks, model_groups, routing, .. } = declared;
    let Declared { quota, customers, tags, tag_prefix, .. } = declared;
    // A time zone is its name.
    let (zone, quota) =
        (quota.time_zone.iana_name(), QuotaSettings { time_zone: TimeZone::UTC, ..quota.clone() });
    let all = (channels, aliases, fallbacks, model_groups, routing, zone, quota, customers, tags, tag_prefix);
    let mut text = Text(0xcbf2_9ce4_8422_2325);
    // INVARIANT: writing to a number doesn't fail.
    let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{all:?}{:?}", declared.access_groups));
    (crate::hash::finish(text.0) & u64::from(u32::MAX)).max(1)
}

/// A snapshot, shared.
pub type SharedSnapshot = Arc<Snapshot>;

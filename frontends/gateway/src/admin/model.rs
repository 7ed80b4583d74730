//! Models and prices, as whoever asks may know of them.

use serde::{Deserialize, Serialize};
use sluicegate_config::{model_facts, provider};
use sluicegate_core::price::Price;
use sluicegate_core::snapshot::{Candidate, Snapshot, Strategy};
use sluicegate_core::{
    Channel, ChannelId, ChannelModel, Format, Group, ModelAccess, ModelName, OrganizationId, Result,
};

use super::{Actor, Admin, not_found};
use crate::store::{GroupFilter, Page};

/// A model that can be asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelView {
    /// The name; one that ends in `*` stands for every name that begins like it.
    pub name: ModelName,
    /// What it is another name of.
    pub alias_of: Option<ModelName>,
    /// The formats in which its channels are called.
    pub formats: Vec<Format>,
    /// How its channels are ranked.
    pub strategy: Strategy,
    /// What is tried when its own channels fail.
    pub fallbacks: ModelFallbacks,
    /// Labels of the groups that alone may use it; `None` is everybody who may call it.
    pub groups: Option<Vec<String>>,
    /// Input and output together can't be more than this many tokens, at its best channel.
    pub context_window: Option<u64>,
    /// It can't produce more output than this many tokens, at its best channel.
    pub max_output: Option<u64>,
    /// Whether each of its channels has a price for it.
    pub priced: bool,
    /// What it costs at its first channel that has a price.
    pub price: Option<Price>,
    /// Channels that are switched on for it.
    pub enabled_channels: usize,
    /// The channels that serve it, highest priority first. For super administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<ModelChannel>>,
}

/// What is tried when a model's own channels fail, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModelFallbacks {
    /// After any failure that another model may mend.
    pub general: Vec<ModelName>,
    /// When the prompt doesn't fit.
    pub context_window: Vec<ModelName>,
    /// When a content policy refuses.
    pub content_policy: Vec<ModelName>,
    /// Cheaper models when a limit runs short.
    pub downgrade: Vec<ModelName>,
}

/// One channel of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelChannel {
    /// The channel.
    pub id: ChannelId,
    /// Its name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// The upstream's name of the model.
    pub upstream: ModelName,
    /// Its priority.
    pub priority: i64,
    /// Its weight.
    pub weight: u64,
    /// Whether it serves at all.
    pub enabled: bool,
    /// Groups that may use it; empty is everybody.
    pub groups: Vec<String>,
    /// Whether it has a price.
    pub priced: bool,
}

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// The built-in price list.
    List,
    /// The configuration, or whoever made the channel.
    Own,
    /// There is none.
    None,
}

/// What a model costs at a channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PriceView {
    /// The model.
    pub model: ModelName,
    /// The channel. For super administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    /// The channel's name. For super administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_name: Option<String>,
    /// The channel's provider.
    pub provider: String,
    /// The upstream's name of the model.
    pub upstream: ModelName,
    /// Where the price comes from.
    pub source: PriceSource,
    /// The currency of its amounts.
    pub currency: String,
    /// The price with all its times and dates.
    pub price: Price,
    /// The part of it that holds now, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Price>,
}

/// Which prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceFilter {
    /// Of this model.
    pub model: Option<String>,
    /// At this channel.
    pub channel: Option<String>,
    /// With this text in the model's name, whatever its case.
    pub search: Option<String>,
    /// From there.
    pub source: Option<PriceSource>,
}

/// Which models an actor may know of: those that a key of theirs could call.
#[derive(Clone, Debug)]
pub struct Sight {
    is_super: bool,
    organization: ModelAccess,
    user: ModelAccess,
    /// Whether every model that the organization allows is theirs to see.
    reads_all: bool,
    /// The groups that they could spend for, or see.
    groups: Vec<Group>,
}

/// No more groups are looked at: of a larger organization, channels that are kept to others aren't shown.
// BOUND: of the memory and time of one question.
const GROUPS_MAX: u64 = 20_000;

impl Sight {
    /// Whether they may know that a channel serves a model.
    pub fn sees(&self, channel: &Channel, model: &ChannelModel) -> bool {
        self.reaches(channel) && self.allows(&[model.group.as_str()])
    }

    fn allows(&self, names: &[&str]) -> bool {
        let by = |access: &ModelAccess| names.iter().any(|name| access.allows(name));
        let inner = || match self.groups.is_empty() {
            true => by(&self.user),
            false => self.groups.iter().any(|group| by(&group.access)),
        };
        self.is_super || by(&self.organization) && (self.reads_all || inner())
    }

    /// Whether they reach a channel that is kept to these groups.
    fn reaches(&self, channel: &Channel) -> bool {
        self.is_super || channel.groups.is_empty() || channel.groups.iter().any(|label| self.knows(label))
    }

    /// Whether a label is of a group of theirs. Only in the organization of everybody aliases are labels, too.
    fn knows(&self, label: &str) -> bool {
        self.groups.iter().any(|group| {
            let by_alias = group.organization.as_str() == OrganizationId::DEFAULT
                && group.alias.as_deref() == Some(label);
            group.id.as_str() == label || by_alias || group.channels_of.iter().any(|of| **of == *label)
        })
    }
}

impl Admin {
    /// Every model that the actor could call, by name.
    ///
    /// # Errors
    /// `Store`.
    pub async fn models(&self, actor: &Actor) -> Result<Vec<ModelView>> {
        let (sight, snapshot) = (self.sight(actor).await?, self.0.engine.snapshot());
        let names = snapshot.model_names().into_iter();
        Ok(names.filter_map(|name| model_view(&snapshot, &sight, name)).collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// `NotFound`, also of what the actor could not call. `Store`.
    pub async fn model(&self, actor: &Actor, name: &ModelName) -> Result<ModelView> {
        let (sight, snapshot) = (self.sight(actor).await?, self.0.engine.snapshot());
        let known = snapshot.model_names().into_iter().find(|it| *it == name);
        known
            .and_then(|name| model_view(&snapshot, &sight, name))
            .ok_or_else(|| not_found("model", name.as_str()))
    }

    /// What the models that the actor could call cost, by model; of each channel for super administrators, else at the first
    /// channel that they reach.
    ///
    /// # Errors
    /// `Store`.
    pub async fn prices(&self, actor: &Actor, filter: &PriceFilter) -> Result<Vec<PriceView>> {
        let (sight, snapshot) = (self.sight(actor).await?, self.0.engine.snapshot());
        let now = self.now();
        let search = filter.search.as_ref().map(|text| text.to_lowercase());
        let mut all = Vec::new();
        for name in snapshot.model_names() {
            let fits = filter.model.as_deref().is_none_or(|model| model == name.as_str())
                && search.as_ref().is_none_or(|text| name.as_str().to_lowercase().contains(text));
            if !fits || !sight.allows(&[name.as_str(), snapshot.unalias(name).as_str()]) {
                continue;
            }
            let places = candidates(&snapshot, &sight, name);
            let shown = if actor.is_super() { places.len() } else { 1 };
            for (channel, model) in places.into_iter().take(shown) {
                let now = model.price.on(now).card();
                all.push(PriceView {
                    model: name.clone(),
                    channel: actor.is_super().then(|| channel.id.clone()),
                    channel_name: actor.is_super().then(|| channel.name.clone()),
                    provider: channel.provider.to_string(),
                    upstream: model.upstream.clone(),
                    source: source_of(channel, model),
                    currency: currency_of(&model.price),
                    price: model.price.clone(),
                    now: (*now != model.price).then(|| now.clone()),
                });
            }
        }
        all.retain(|it| {
            filter.source.is_none_or(|source| it.source == source)
                && filter
                    .channel
                    .as_deref()
                    .is_none_or(|wanted| it.channel.as_ref().is_some_and(|id| id.as_str() == wanted))
        });
        Ok(all)
    }

    /// What an actor may know of models and channels.
    ///
    /// # Errors
    /// `Store`.
    pub async fn sight(&self, actor: &Actor) -> Result<Sight> {
        let organization = match actor.organization() {
            Some(id) => self.any_organization(id).await?.map(|it| it.value.access).unwrap_or_default(),
            None => ModelAccess::default(),
        };
        let (reach, is_super) = (actor.reach_of_groups(), actor.is_super());
        let reads_all = reach.narrow.is_none();
        let (mut groups, mut user) = (Vec::new(), ModelAccess::default());
        if !is_super {
            groups.extend(self.declared().groups().filter(|group| reach.has_group(group)).cloned());
            let (filter, mut offset) = (GroupFilter::default(), 0);
            while offset < GROUPS_MAX {
                let found = self.store().groups(&filter, &reach, Page::new(Page::MAX, offset)).await?;
                groups.extend(found.items.into_iter().map(|it| it.value));
                offset += u64::from(Page::MAX);
                if found.total <= offset {
                    break;
                }
            }
        }
        if let Some(id) = actor.user().filter(|_| !reads_all) {
            user = self.user_by_id(id).await?.map(|it| it.access).unwrap_or_default();
        }
        let snapshot = self.0.engine.snapshot();
        let opened = |access: &ModelAccess| access.opened(&snapshot.declared.access_groups);
        groups.iter_mut().for_each(|group| group.access = opened(&group.access));
        Ok(Sight { is_super, organization: opened(&organization), user: opened(&user), reads_all, groups })
    }
}

/// The channels that serve a model and are within sight, highest priority first; none when it only stands for what is passed
/// through.
fn candidates<'a>(
    snapshot: &'a Snapshot,
    sight: &Sight,
    name: &ModelName,
) -> Vec<(&'a Channel, &'a ChannelModel)> {
    let group = snapshot.model_group(snapshot.unalias(name).as_str());
    let all = group.map(|group| group.candidates.as_slice()).unwrap_or_default();
    let resolve = |candidate: &Candidate| snapshot.resolve(*candidate);
    let fits = |(channel, model): &(&Channel, &ChannelModel)| {
        !model.is_pass_through() && sight.reaches(channel) && (sight.is_super || channel.enabled)
    };
    all.iter().filter_map(resolve).filter(fits).collect()
}

fn model_view(snapshot: &Snapshot, sight: &Sight, name: &ModelName) -> Option<ModelView> {
    let meant = snapshot.unalias(name);
    if !sight.allows(&[name.as_str(), meant.as_str()]) {
        return None;
    }
    let places = candidates(snapshot, sight, name);
    if places.is_empty() {
        return None;
    }
    let settings = &snapshot.model_group(meant.as_str())?.settings;
    let mut formats = Vec::new();
    for endpoint in places.iter().flat_map(|(channel, _)| &channel.endpoints) {
        if !formats.contains(&endpoint.format) {
            formats.push(endpoint.format);
        }
    }
    let visible = |names: Option<&Vec<ModelName>>| -> Vec<ModelName> {
        let all = names.into_iter().flatten();
        let reached = |name: &&ModelName| {
            sight.allows(&[name.as_str()])
                && (sight.is_super || !candidates(snapshot, sight, name).is_empty())
        };
        all.filter(reached).cloned().collect()
    };
    let fallbacks = &snapshot.declared.fallbacks;
    let general = visible(fallbacks.general.get(meant));
    let enabled = |it: &&(&Channel, &ChannelModel)| it.0.enabled;
    Some(ModelView {
        name: name.clone(),
        alias_of: (meant != name).then(|| meant.clone()),
        formats,
        strategy: settings.strategy.unwrap_or(snapshot.declared.routing.strategy),
        fallbacks: ModelFallbacks {
            general: if general.is_empty() { visible(Some(&fallbacks.default)) } else { general },
            context_window: visible(fallbacks.context_window.get(meant)),
            content_policy: visible(fallbacks.content_policy.get(meant)),
            downgrade: visible(Some(&settings.downgrade_to)),
        },
        groups: labels_of(&places, sight),
        context_window: places.iter().map(|(_, model)| model.context_window).max().flatten(),
        max_output: places.iter().map(|(_, model)| model.max_output).max().flatten(),
        priced: places.iter().all(|(_, model)| model.price.is_known()),
        price: places.iter().map(|(_, model)| &model.price).find(|price| price.is_known()).cloned(),
        enabled_channels: places.iter().filter(enabled).count(),
        channels: sight.is_super.then(|| places.iter().map(model_channel).collect()),
    })
}

/// The labels that alone lead to a model, as far as the asker may know them.
fn labels_of(places: &[(&Channel, &ChannelModel)], sight: &Sight) -> Option<Vec<String>> {
    if places.iter().any(|(channel, _)| channel.groups.is_empty()) {
        return None;
    }
    let mut labels: Vec<String> = Vec::new();
    for label in places.iter().flat_map(|(channel, _)| &channel.groups) {
        let known = sight.is_super || sight.knows(label);
        if known && !labels.iter().any(|it| **it == **label) {
            labels.push(label.to_string());
        }
    }
    Some(labels)
}

fn model_channel((channel, model): &(&Channel, &ChannelModel)) -> ModelChannel {
    ModelChannel {
        id: channel.id.clone(),
        name: channel.name.clone(),
        provider: channel.provider.to_string(),
        upstream: model.upstream.clone(),
        priority: i64::from(channel.priority),
        weight: u64::from(channel.weight),
        enabled: channel.enabled,
        groups: channel.groups.iter().map(ToString::to_string).collect(),
        priced: model.price.is_known(),
    }
}

fn source_of(channel: &Channel, model: &ChannelModel) -> PriceSource {
    if !model.price.is_known() {
        return PriceSource::None;
    }
    let known = provider(channel.provider.as_str());
    let listed = known.and_then(|provider| model_facts(&provider, model.upstream.as_str()));
    match listed.is_some_and(|facts| facts.price == model.price) {
        true => PriceSource::List,
        false => PriceSource::Own,
    }
}

fn currency_of(price: &Price) -> String {
    let exchange = price.more.as_ref().and_then(|more| more.exchange);
    exchange.map_or_else(|| "USD".to_owned(), |it| it.currency.as_str().to_owned())
}

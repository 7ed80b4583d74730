//! How things stand, at a glance: what was used and how fast, who used the most, how channels are doing, which limits come to
//! their end.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sluicegate_core::health::{HealthView, LatencyView};
use sluicegate_core::{ChannelId, GroupId, OrganizationId, Result, Timestamp};

use super::report::{Bucket, By, Calendar, Compare, Granularity, Metrics, Order, UsageQuestion, UsageReport};
use super::{Actor, Admin, LimitFilter, LimitView, REPORT_TOTALS_MAX};
use crate::store::{KeyRef, Latencies, Narrow, Page, Reach};

/// What to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct OverviewQuestion {
    /// When, told apart how, and which calls: filters other than by organization and group leave percentiles out.
    pub usage: UsageQuestion,
    /// How many groups, keys, models and limits.
    pub top: usize,
}

/// How long calls took: so many of a hundred stayed below, in milliseconds, off by a tenth at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half.
    pub p50: i64,
    /// Nine of ten.
    pub p90: i64,
    /// 95.
    pub p95: i64,
    /// 99.
    pub p99: i64,
}

impl Percentiles {
    fn of(counts: &BTreeMap<i64, i64>) -> Option<Self> {
        let at = |percent| Latencies::percentile(counts, percent);
        Some(Self { p50: at(50)?, p90: at(90)?, p95: at(95)?, p99: at(99)? })
    }
}

/// A span of time, what was in it, and how fast that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OverviewSpan {
    /// What was in it.
    #[serde(flatten)]
    pub bucket: Bucket,
    /// How long the calls that ended well took; `None` without any, and to those who see no whole group.
    pub duration: Option<Percentiles>,
    /// How long streams waited for their first content; likewise.
    pub first_token: Option<Percentiles>,
}

/// One of those who used the most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopRow {
    /// Who or what, by id; empty for none.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What it used.
    pub total: Metrics,
    /// And in the time before.
    pub previous: Metrics,
}

/// How a channel is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelStanding {
    /// The channel.
    pub id: ChannelId,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub provider: String,
    /// `well`, `benched` until its cooldown is over, `broken` until somebody mends it, or `off`.
    pub state: &'static str,
    /// How it is doing on the node that is asked.
    pub health: Option<HealthView>,
    /// How long it takes to answer.
    pub latency: Option<LatencyView>,
    /// What was used there.
    pub total: Metrics,
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverviewReport {
    /// How time is told apart.
    pub granularity: Granularity,
    /// Whose days they are.
    pub time_zone: String,
    /// The time that was asked for.
    pub total: OverviewSpan,
    /// The time before, as long.
    pub previous: OverviewSpan,
    /// Over time.
    pub buckets: Vec<OverviewSpan>,
    /// The groups that spent the most.
    pub groups: Vec<TopRow>,
    /// The keys.
    pub keys: Vec<TopRow>,
    /// The models that the most was spent on.
    pub models: Vec<TopRow>,
    /// The channels, those that aren't well first; `None` to anybody but super administrators.
    pub channels: Option<Vec<ChannelStanding>>,
    /// The limits closest to their end.
    pub budgets: Vec<LimitView>,
}

/// What a channel's state is called.
pub fn channel_state(enabled: bool, health: Option<&HealthView>, now: Timestamp) -> &'static str {
    match health {
        _ if !enabled => "off",
        Some(it) if it.broken => "broken",
        Some(it) if it.benched_until.is_some_and(|until| until > now) => "benched",
        _ => "well",
    }
}

impl Admin {
    /// How things stand, as far as an actor may see.
    ///
    /// # Errors
    /// As [`usage_report`](Self::usage_report).
    pub async fn overview(&self, actor: &Actor, question: &OverviewQuestion) -> Result<OverviewReport> {
        let asked = &question.usage;
        let whole = UsageQuestion { by: Vec::new(), compare: Some(Compare::Previous), ..asked.clone() };
        let whole = self.usage_report(actor, &whole).await?;
        let (groups, keys, models, channels, budgets) = tokio::try_join!(
            self.top(actor, question, &whole, By::Group),
            self.top(actor, question, &whole, By::Key),
            self.top(actor, question, &whole, By::Model),
            self.channel_standings(actor, question, &whole),
            self.closest(actor, question),
        )?;
        let named = async |rows: Vec<TopRow>, by: By| -> Result<Vec<TopRow>> {
            let mut named = rows;
            for row in &mut named {
                row.name = self.name_of(by, &row.id).await?;
            }
            Ok(named)
        };
        let zone = asked.zone.clone().unwrap_or_else(|| self.time_zone());
        let calendar = Calendar::new(zone, asked.granularity, self.store().time_zone())?;
        let none = Bucket { from: whole.from, to: whole.from, metrics: Metrics::default() };
        let before = whole.previous.unwrap_or(none);
        let total = Bucket { from: whole.from, to: whole.to, metrics: whole.total };
        let mut spans = vec![(before.from, before.to)];
        match whole.buckets.is_empty() {
            true => spans.push((whole.from, whole.to)),
            false => spans.extend(whole.buckets.iter().map(|bucket| (bucket.from, bucket.to))),
        }
        let mut counted = self.latencies_of(actor, asked, &spans, &calendar).await?.into_iter();
        let span = |bucket: Bucket, counts: &Latencies| OverviewSpan {
            bucket,
            duration: Percentiles::of(&counts.calls),
            first_token: Percentiles::of(&counts.firsts),
        };
        let previous = span(before, &counted.next().unwrap_or_default());
        let counted: Vec<Latencies> = counted.collect();
        let mut all = Latencies::default();
        counted.iter().for_each(|counts| all.add(counts));
        Ok(OverviewReport {
            granularity: whole.granularity,
            time_zone: whole.time_zone,
            total: span(total, &all),
            previous,
            buckets: whole
                .buckets
                .iter()
                .zip(&counted)
                .map(|(bucket, counts)| span(*bucket, counts))
                .collect(),
            groups: named(groups, By::Group).await?,
            keys: named(keys, By::Key).await?,
            models,
            channels,
            budgets,
        })
    }

    /// Who used the most, with what they used in the time before.
    async fn top(
        &self,
        actor: &Actor,
        question: &OverviewQuestion,
        whole: &UsageReport,
        by: By,
    ) -> Result<Vec<TopRow>> {
        let span = (whole.from, whole.to);
        let found = self.usage_report(actor, &parted(question, span, by, question.top)).await?;
        let name = |row: &super::UsageRow| row.by.values().next().cloned().unwrap_or_default();
        let before = match whole.previous {
            None => HashMap::new(),
            Some(it) => {
                let asked = parted(question, (it.from, it.to), by, question.top);
                self.used_by(actor, &asked, found.rows.iter().map(name).collect()).await?
            }
        };
        let row = |row: &super::UsageRow| {
            let id = name(row);
            let previous = before.get(&id).copied().unwrap_or_default();
            TopRow { id, name: None, total: row.total, previous }
        };
        let any = |row: &&super::UsageRow| row.total.requests > 0 || row.total.spend > 0;
        Ok(found.rows.iter().filter(any).map(row).collect())
    }

    async fn channel_standings(
        &self,
        actor: &Actor,
        question: &OverviewQuestion,
        whole: &UsageReport,
    ) -> Result<Option<Vec<ChannelStanding>>> {
        if !actor.is_super() {
            return Ok(None);
        }
        let asked = parted(question, (whole.from, whole.to), By::Channel, REPORT_TOTALS_MAX);
        let used = self.usage_report(actor, &asked).await?;
        let (now, snapshot) = (self.now(), self.0.engine.snapshot());
        let standing = |it: &sluicegate_core::Channel| {
            let health = self.0.engine.health(&it.id, now);
            let is_it = |row: &&super::UsageRow| {
                row.by.get(By::Channel.as_str()).is_some_and(|id| *id == *it.id.as_str())
            };
            ChannelStanding {
                id: it.id.clone(),
                name: it.name.clone(),
                provider: it.provider.to_string(),
                state: channel_state(it.enabled, health.as_ref(), now),
                health,
                latency: self.0.engine.latency(&it.id),
                total: used.rows.iter().find(is_it).map(|row| row.total).unwrap_or_default(),
            }
        };
        let mut all: Vec<ChannelStanding> = snapshot.channels().iter().map(standing).collect();
        let urgency = |state: &str| ["broken", "benched", "well", "off"].iter().position(|it| *it == state);
        all.sort_by_key(|it| (urgency(it.state), std::cmp::Reverse(it.total.requests)));
        // BOUND: of an answer.
        all.truncate(super::REPORT_ROWS_MAX);
        Ok(Some(all))
    }

    /// The limits closest to their end; not those of calls at a time and of minutes, which are at their end often.
    async fn closest(&self, actor: &Actor, question: &OverviewQuestion) -> Result<Vec<LimitView>> {
        let filter = LimitFilter {
            organization: question.usage.filter.organization.clone(),
            group: question.usage.filter.group.clone(),
            lasting: true,
            ..LimitFilter::default()
        };
        self.fullest_limits(actor, &filter, u32::try_from(question.top).unwrap_or(Page::MAX)).await
    }

    async fn name_of(&self, by: By, id: &str) -> Result<Option<String>> {
        let declared = self.declared();
        Ok(match by {
            By::Group => match declared.group(id).filter(|group| group.id.as_str() == id) {
                Some(group) => group.alias.clone(),
                None => {
                    let named = self.store().group_names(&[id], &Reach::ALL).await?;
                    named.into_iter().next().and_then(|it| it.alias)
                }
            },
            By::Key => {
                let key = KeyRef::Id(id.into());
                match declared.key(&key) {
                    Some((_, key)) => key.alias.clone(),
                    None => self.store().key(&key, &Reach::ALL).await?.and_then(|it| it.key.value.alias),
                }
            }
            _ => None,
        })
    }

    /// How long calls took in each of these spans.
    async fn latencies_of(
        &self,
        actor: &Actor,
        asked: &UsageQuestion,
        spans: &[(Timestamp, Timestamp)],
        calendar: &Calendar,
    ) -> Result<Vec<Latencies>> {
        let filter = &asked.filter;
        let others = filter.user.is_some()
            || filter.key.is_some()
            || filter.model.is_some()
            || filter.channels.is_some()
            || filter.customer.is_some()
            || filter.tag.is_some()
            || asked.provider.is_some();
        let within = within(actor.reach(), filter.organization.as_ref(), filter.group.as_ref());
        let (false, Some(reach)) = (others, within) else {
            return Ok(vec![Latencies::default(); spans.len()]);
        };
        let by_day = asked.granularity.is_of_days() && calendar.has_days_of(self.store().time_zone());
        self.store().latencies(spans, by_day, &reach).await
    }
}

/// A time, not told apart but by this.
fn parted(
    question: &OverviewQuestion,
    (from, to): (Timestamp, Timestamp),
    by: By,
    top: usize,
) -> UsageQuestion {
    UsageQuestion {
        from: Some(from),
        to: Some(to),
        granularity: Granularity::Total,
        by: vec![by],
        order: Order::Spend,
        top,
        compare: None,
        ..question.usage.clone()
    }
}

/// What of a reach is in an organization and a group; `None` for nothing.
fn within(reach: Reach, organization: Option<&OrganizationId>, group: Option<&GroupId>) -> Option<Reach> {
    let Reach { organization: mine, narrow } = reach;
    let organization = match (mine, organization) {
        (Some(mine), Some(asked)) if mine != *asked => return None,
        (mine, asked) => mine.or_else(|| asked.cloned()),
    };
    let narrow = match (narrow, group) {
        (Some(narrow), Some(group)) if !narrow.groups.contains(group) => return None,
        (_, Some(group)) => Some(Narrow { groups: vec![group.clone()], ..Narrow::default() }),
        (narrow, None) => narrow,
    };
    Some(Reach { organization, narrow })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_never_widens_a_reach() {
        let narrow = |groups: &[&str]| Narrow {
            groups: groups.iter().map(|id| (*id).into()).collect(),
            ..Narrow::default()
        };
        let reach = |organization: Option<&str>, groups: Option<&[&str]>| Reach {
            organization: organization.map(Into::into),
            narrow: groups.map(narrow),
        };
        for (mine, organization, group, want) in [
            (reach(None, None), None, None, Some(reach(None, None))),
            (reach(None, None), Some("o1"), Some("g1"), Some(reach(Some("o1"), Some(&["g1"])))),
            (reach(Some("o1"), None), None, None, Some(reach(Some("o1"), None))),
            (reach(Some("o1"), None), Some("o2"), None, None),
            (reach(Some("o1"), None), None, Some("g9"), Some(reach(Some("o1"), Some(&["g9"])))),
            (
                reach(Some("o1"), Some(&["g1", "g2"])),
                None,
                Some("g2"),
                Some(reach(Some("o1"), Some(&["g2"]))),
            ),
            (reach(Some("o1"), Some(&["g1"])), None, Some("g2"), None),
            (reach(Some("o1"), Some(&[])), None, None, Some(reach(Some("o1"), Some(&[])))),
        ] {
            let (organization, group) = (organization.map(Into::into), group.map(Into::into));
            assert_eq!(within(mine.clone(), organization.as_ref(), group.as_ref()), want, "{mine:?}");
        }
    }

    #[test]
    fn a_channel_that_is_off_is_nothing_else() {
        let now = Timestamp::from_ms(1_000);
        let benched =
            |until| HealthView { benched_until: Some(Timestamp::from_ms(until)), ..HealthView::default() };
        for (enabled, health, state) in [
            (false, Some(HealthView { broken: true, ..HealthView::default() }), "off"),
            (true, Some(HealthView { broken: true, ..benched(2_000) }), "broken"),
            (true, Some(benched(2_000)), "benched"),
            (true, Some(benched(1_000)), "well"),
            (true, None, "well"),
        ] {
            assert_eq!(channel_state(enabled, health.as_ref(), now), state);
        }
    }
}

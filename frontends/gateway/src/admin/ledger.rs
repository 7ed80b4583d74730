//! The ledger, for operators: how it stands, what is held, what held reservations came to, and whether its balances are
//! what usage records say.

mod put;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sluicegate_core::journal::{CounterKey, Ending, Fate, Tried, amendment_id, record_of};
use sluicegate_core::ledger::{Amounts, Audit, Difference, Held, HeldAmount};
use sluicegate_core::money::Rounding;
use sluicegate_core::price::RATIO_ONE_PPM;
use sluicegate_core::tenant::{Terms, matches_pattern, terms_of};
use sluicegate_core::{
    CallId, Channel, ChannelId, ChannelModel, Error, ErrorKind, Limit, Metric, OutcomeClass, Result, Scope,
    ScopeKind, ServiceTier, Timestamp, Usage, UsageRecord, UsageSource, Window,
};

use self::put::{Put, When, counters};
use super::{Actor, Admin, Deed, forbidden, invalid, not_found};
use crate::store::{GroupFilter, KeyFilter, Listing, Owner, Page, Reach, RecordFilter, UserFilter};

/// So many records are read at a time.
const SCAN: u32 = 2_000;
/// A call may have begun so long before its last attempt, in milliseconds.
const CALL_MAX_MS: i64 = 86_400_000;
/// A limit that is put is written down, and holds for new calls so much later at most, in milliseconds.
const PUT_MS: i64 = 5_000;
/// So many differences are told one by one.
const DIFFERENCES_MAX: usize = 1_000;
/// No attempt costs more, in nano-USD: a million USD.
const SPEND_MAX: i64 = 1_000_000_000_000_000;

/// How the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerStatus {
    /// Its journal; none when nothing outlives the process.
    pub journal: Option<JournalStatus>,
    /// Counters that have been used.
    pub counters: usize,
    /// Reservations of attempts under way.
    pub open: usize,
    /// Reservations whose outcome nobody knows.
    pub held: usize,
    /// Usage records that wait for the database.
    pub records_waiting: usize,
}

/// How a journal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Its name.
    pub id: String,
    /// The number of the next event.
    pub position: u64,
    /// The number of the first event that isn't in the database.
    pub stored: u64,
    /// Events that the database doesn't have yet.
    pub lag: u64,
    /// The segment that is written, by its number.
    pub segment: u64,
    /// How long it is, in bytes.
    pub segment_bytes: u64,
    /// How many segments there are.
    pub segments: usize,
    /// Whether a write must outlive power, or the process only.
    pub durability: String,
}

/// Which held reservations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldFilter {
    /// Of this call.
    pub call: Option<CallId>,
    /// That hold something of this scope's.
    pub scope: Option<Scope>,
    /// At this channel.
    pub channel: Option<ChannelId>,
}

/// What a held reservation came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// Which attempt of the call, counted from 1; needed when several are held.
    #[serde(default)]
    pub attempt: Option<u32>,
    /// What it is charged.
    pub charge: Charge,
}

/// What a held reservation is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// Nothing: the upstream never worked on it.
    Free,
    /// All that is held.
    Reserved,
    /// What it used, as the upstream says.
    Used(Used),
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// The tokens.
    pub usage: Usage,
    /// What they cost, in nano-USD; by the channel's present prices when it isn't said.
    #[serde(default)]
    pub spend: Option<i64>,
}

/// A held reservation that was reconciled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconciled {
    /// Whether it had been before: then nothing was changed now.
    pub already: bool,
    /// The record that says what it came to: it amends the call's own.
    pub record: UsageRecord,
}

/// Whether balances are what usage records say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerAudit {
    /// As of when.
    pub at: Timestamp,
    /// Usage records read.
    pub records: u64,
    /// Counters compared.
    pub counters: usize,
    /// Of them, those compared with daily sums: retention has removed records of their window.
    pub by_daily_sums: usize,
    /// Counters that can't be compared: retention has removed records of their window, and days are too long for it.
    pub left_out: usize,
    /// Balances that differ, and by no more than what calls used that their limit never counts: those that were under way when it
    /// was put, and of a file's limit, which nobody wrote down, those from before this node was started.
    #[serde(default)]
    pub under_way: usize,
    /// How many others differ.
    pub differing: usize,
    /// The first 1,000 of them.
    pub differences: Vec<Difference>,
}

impl Admin {
    /// How the ledger and its journal stand.
    ///
    /// # Errors
    /// `Forbidden` for anybody but super administrators. `Store`.
    pub async fn ledger_status(&self, actor: &Actor) -> Result<LedgerStatus> {
        must_be_super(actor, "look into the ledger")?;
        let journal = match self.0.host.journal() {
            None => None,
            Some(journal) => {
                let (segment, segment_bytes, old, position) = journal.extent();
                let stored = self.store().position(journal.id()).await?;
                Some(JournalStatus {
                    id: journal.id().to_string(),
                    position,
                    stored,
                    lag: position.saturating_sub(stored),
                    segment,
                    segment_bytes,
                    segments: old + 1,
                    durability: if journal.waits() { "power" } else { "process" }.to_owned(),
                })
            }
        };
        let ledger = self.0.engine.ledger();
        let (open, held) = ledger.counts();
        let counters = ledger.counters();
        drop(ledger);
        Ok(LedgerStatus { journal, counters, open, held, records_waiting: self.0.host.records_waiting() })
    }

    /// The held reservations, oldest first.
    ///
    /// # Errors
    /// `Forbidden` for anybody but super administrators.
    pub fn held(&self, actor: &Actor, filter: &HeldFilter, page: Page) -> Result<Listing<Held>> {
        let page = Page::new(page.limit, page.offset);
        let held = self.all_held(actor, filter)?;
        let total = held.len() as u64;
        let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let items = held.into_iter().skip(offset).take(page.limit as usize).collect();
        Ok(Listing { items, total })
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn all_held(&self, actor: &Actor, filter: &HeldFilter) -> Result<Vec<Held>> {
        must_be_super(actor, "look into the ledger")?;
        let mut held: Vec<Held> = self.0.engine.ledger().held().filter(|held| filter.fits(held)).collect();
        held.sort_by(|a, b| (a.since, &a.call, a.id).cmp(&(b.since, &b.call, b.id)));
        Ok(held)
    }

    /// Settles a held reservation: what it came to is known, or decided. Doing it again changes nothing.
    ///
    /// Records are never changed: a further one, which `amends` the call's, says what the attempt came to. A call that
    /// its host has dropped gets its own first.
    ///
    /// # Errors
    /// `Forbidden` for anybody but super administrators; `NotFound` when nothing of the call is held, nor was;
    /// `Conflict` while the call goes on; `InvalidRequest` when several of its attempts are held and none is named, or when
    /// what it used has no price. `Store`.
    pub async fn reconcile(&self, actor: &Actor, call: &CallId, how: &Reconcile) -> Result<Reconciled> {
        must_be_super(actor, "reconcile what is held")?;
        // One after the other: each event of the audit trail is of what was done.
        let _alone = self.0.reconciling.lock().await;
        let Some((held, tried)) = self.held_attempt(call, how.attempt)? else {
            return self.reconciled(call, how.attempt).await;
        };
        if !held.recorded && held.class.is_some() {
            let message = format!("the call `{call}` goes on; reconcile it when it is over");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let ending = self.ending(&held, &tried, how.charge)?;
        let mut deed = Deed::new("ledger.reconcile", call.to_string());
        deed = deed.of(&tried.organization, tried.group.as_ref(), tried.user.as_ref());
        deed.detail =
            serde_json::json!({"attempt": tried.number, "charge": how.charge, "spend": ending.spend});
        self.commit(actor, deed, Vec::new()).await?;
        // The call's own record first: from then on the journal waits for the amendment.
        let dropped = self.0.engine.ledger().record_of_dropped(call).filter(|_| !held.recorded);
        if let Some(record) = dropped {
            self.0.host.record(record).await?;
        }
        let settled = self.0.engine.ledger().end(held.id, &ending, ending.at);
        self.0.engine.tell_freed();
        let Some(settlement) = settled else { return self.reconciled(call, how.attempt).await };
        for debt in &settlement.debts {
            let limit = debt.limit.metric.as_str();
            tracing::error!(%call, limit, settled = debt.settled, max = debt.limit.max, "what was reconciled passes a limit, which blocks");
        }
        let id = amendment_id(call, tried.number);
        let record = record_of(id, Some(call.clone()), vec![(tried, Fate::Ended(ending))]);
        // INVARIANT: there is an attempt, so there is a record.
        let record = record.ok_or_else(|| not_found("the held attempt of the call", call.as_str()))?;
        self.0.host.record(record.clone()).await?;
        Ok(Reconciled { already: false, record })
    }

    /// Compares every balance with the usage records of its window.
    ///
    /// # Errors
    /// `Forbidden` for anybody but super administrators. `Store`.
    pub async fn audit_ledger(&self, actor: &Actor) -> Result<LedgerAudit> {
        must_be_super(actor, "audit the ledger")?;
        let found = self.compare_ledger(&[]).await?;
        let put = self.limits_put(&found.differences).await?;
        let mut audit = match put.is_empty() {
            true => found,
            // Once more, now that it is known which calls may be missing.
            false => {
                let again = self.compare_ledger(&put).await?;
                LedgerAudit { under_way: found.differing.saturating_sub(again.differing), ..again }
            }
        };
        audit.differences.truncate(DIFFERENCES_MAX);
        Ok(audit)
    }

    /// Compares every balance, with what is known of when limits were put. All differences are told.
    async fn compare_ledger(&self, put: &[Put]) -> Result<LedgerAudit> {
        let standing = self.standing_limits().await?;
        let grouped_users = self.declared().apply_user_limits_to_group_keys;
        let (at, books, unrecorded, open) = {
            let (mut ledger, now) = (self.0.engine.ledger(), self.now());
            let mut books = ledger.books(now);
            books.iter_mut().for_each(|book| book.bound = standing.contains(&book.key));
            let (unrecorded, open) = ledger.unrecorded();
            (now, books, unrecorded, open)
        };
        let mut audit = Audit::new(&books, &unrecorded, &open, grouped_users);
        for Put { counter, when } in put {
            match when {
                When::At(at) => audit.put_between(counter, *at, at.plus_ms(PUT_MS)),
                When::Before(at) => audit.put_before(counter, *at),
            }
        }
        self.0.host.flush_records().await?;
        let old = audit.without(self.store().records_since().await?);
        let mut by_daily_sums = 0;
        for key in &old {
            if let Some(balance) = self.by_daily_sums(key).await? {
                audit.recorded(key, balance.0, balance.1);
                by_daily_sums += 1;
            }
        }
        let from = books.iter().map(|book| book.start).min().unwrap_or(at).plus_ms(-CALL_MAX_MS);
        let records = self.read_records(&mut audit, from, at.plus_ms(1)).await?;
        self.0.host.flush_records().await?;
        let after = self.0.engine.ledger().books(at);
        let (differences, counters, left_out) = audit.finish(&after);
        let (differing, under_way) = (differences.len(), 0);
        Ok(LedgerAudit { at, records, counters, by_daily_sums, left_out, under_way, differing, differences })
    }

    async fn read_records(&self, audit: &mut Audit, from: Timestamp, until: Timestamp) -> Result<u64> {
        let (mut last, mut read) = ((from, CallId::from("")), 0u64);
        // BOUND: the records that there are.
        loop {
            let records = self.store().scan((last.0, &last.1), until, SCAN).await?;
            records.iter().for_each(|record| audit.add(record));
            read += records.len() as u64;
            match records.last() {
                Some(record) if records.len() == SCAN as usize => {
                    last = (record.started_at, record.call.clone());
                }
                _ => return Ok(read),
            }
        }
    }

    /// What a counter should have by the daily sums, which outlive records, and since when; `None` where days can't say.
    async fn by_daily_sums(&self, key: &CounterKey) -> Result<Option<(Timestamp, i64)>> {
        if matches!(key.window, Window::Minute | Window::Hour | Window::RollingMs(_)) {
            return Ok(None);
        }
        let Some(owner) = self.owner_of(&key.scope) else { return Ok(None) };
        let limit = Limit { model: key.model.clone(), ..Limit::strict(key.metric, key.window, 0) };
        let balances = self.used_so_far(&owner, &limit).await?;
        Ok(balances.first().map(|balance| (balance.window_start, balance.settled)))
    }

    fn owner_of(&self, scope: &Scope) -> Option<Owner> {
        let id = &*scope.id;
        Some(match scope.kind {
            ScopeKind::Key => Owner::Key(id.into()),
            ScopeKind::Group => Owner::Group(id.into()),
            ScopeKind::User => {
                Owner::User { user: id.into(), ungrouped: !self.declared().apply_user_limits_to_group_keys }
            }
            ScopeKind::Organization => Owner::Organization(id.into()),
            ScopeKind::Global => Owner::Global,
            ScopeKind::Channel => Owner::Channel(id.into()),
            ScopeKind::Membership => {
                let (group, user) = id.split_once('/')?;
                Owner::Membership(group.into(), user.into())
            }
            ScopeKind::Customer | ScopeKind::Tag => return None,
        })
    }

    /// The counters on which a limit stands: those of the database, and of the file.
    async fn standing_limits(&self) -> Result<HashSet<CounterKey>> {
        let mut standing = self.limits_of_file();
        let mut note = |scope: Scope, limits: &[Limit]| standing.extend(counters(&scope, limits));
        let mut offset = 0;
        // BOUND: the keys, groups and users that there are, a page each time.
        loop {
            let page = Page::new(Page::MAX, offset);
            let keys = self.store().keys(&KeyFilter::default(), &Reach::ALL, page).await?;
            let groups = self.store().groups(&GroupFilter::default(), &Reach::ALL, page).await?;
            let users = self.store().users(&UserFilter::default(), &Reach::ALL, page).await?;
            for it in keys.items.iter().map(|it| &it.key.value) {
                note(Scope::new(ScopeKind::Key, it.id.as_str()), &it.limits);
            }
            for it in groups.items.iter().map(|it| &it.value) {
                note(Scope::new(ScopeKind::Group, it.id.as_str()), &it.limits);
            }
            for it in users.items.iter().map(|it| &it.value) {
                note(Scope::new(ScopeKind::User, it.id.as_str()), &it.limits);
            }
            offset += u64::from(Page::MAX);
            if keys.total.max(groups.total).max(users.total) <= offset {
                break;
            }
        }
        for it in self.store().organizations(&Reach::ALL).await?.iter().map(|it| &it.value) {
            note(Scope::new(ScopeKind::Organization, it.id.as_str()), &it.limits);
        }
        for it in self.store().memberships(None, None).await?.iter().map(|it| &it.value) {
            note(it.scope(), &it.limits);
        }
        let snapshot = self.0.engine.snapshot();
        for channel in snapshot.channels() {
            note(Scope::new(ScopeKind::Channel, channel.id.as_str()), &channel.limits);
        }
        Ok(standing)
    }

    /// The held attempt that is meant; `None` when none of the call is held.
    fn held_attempt(&self, call: &CallId, attempt: Option<u32>) -> Result<Option<(Held, Tried)>> {
        let of_call: Vec<Held> =
            self.0.engine.ledger().held().filter(|held| held.call.as_ref() == Some(call)).collect();
        let unknown = of_call.iter().any(|held| held.attempt.is_none());
        let mut found: Vec<(Held, Tried)> = of_call
            .into_iter()
            .filter_map(|held| held.attempt.clone().map(|tried| (held, tried)))
            .filter(|(_, tried)| attempt.is_none_or(|number| number == tried.number))
            .collect();
        match found.len() {
            0 if unknown => Err(Error::new(
                ErrorKind::NotSupported,
                format!(
                    "what `{call}` was isn't known: a version that didn't write it down made it; it is held until its windows end"
                ),
            )),
            0 | 1 => Ok(found.pop()),
            _ => {
                let numbers: Vec<_> = found.iter().map(|(_, tried)| tried.number.to_string()).collect();
                let message = format!("the attempts {} of `{call}` are held; name one", numbers.join(", "));
                Err(invalid("attempt", message))
            }
        }
    }

    /// What was found when it was reconciled before.
    async fn reconciled(&self, call: &CallId, attempt: Option<u32>) -> Result<Reconciled> {
        self.0.host.flush_records().await?;
        let find = async |id: CallId| {
            let filter = RecordFilter { call: Some(id), ..RecordFilter::default() };
            let found = self.store().records(&filter, &Reach::ALL, Page::new(1, 0)).await?;
            Ok::<_, Error>(found.items.into_iter().next())
        };
        let nothing = || not_found("something that is held of the call", call.as_str());
        let own = find(call.clone()).await?.ok_or_else(nothing)?;
        let held = (1..).zip(&own.attempts).filter(|(_, it)| it.held).map(|(number, _)| number);
        let numbers: Vec<u32> = held.filter(|number| attempt.is_none_or(|it| it == *number)).collect();
        for number in numbers {
            if let Some(record) = find(amendment_id(call, number)).await? {
                return Ok(Reconciled { already: true, record });
            }
        }
        Err(nothing())
    }

    fn ending(&self, held: &Held, tried: &Tried, charge: Charge) -> Result<Ending> {
        let ended = Ending {
            class: held.class.unwrap_or(OutcomeClass::Timeout),
            status: None,
            usage: Usage::default(),
            source: UsageSource::None,
            spend: 0,
            cost: 0,
            service_tier: None,
            exchange: None,
            at: self.now(),
        };
        let source = UsageSource::Counted;
        match charge {
            Charge::Free => Ok(ended),
            Charge::Reserved => {
                let Amounts { input_tokens, output_tokens, spend } = held.reserved();
                let tokens = |count: i64| u64::try_from(count).unwrap_or_default();
                let usage = Usage {
                    input_uncached: tokens(input_tokens),
                    output_visible: tokens(output_tokens),
                    ..Usage::default()
                };
                let of_channel = |it: &&HeldAmount| it.of_channel && it.metric == Metric::Spend;
                let cost = held.amounts.iter().filter(of_channel).map(|it| it.amount).max();
                Ok(Ending { usage, spend, cost: cost.unwrap_or(tried.bound_cost), source, ..ended })
            }
            Charge::Used(Used { usage, spend }) => {
                if usage.is_absurd() || spend.is_some_and(|spend| !(0..=SPEND_MAX).contains(&spend)) {
                    let message = "no attempt uses that much, and none less than nothing; check the numbers";
                    return Err(invalid("charge", message.to_owned()));
                }
                let model = self.model_of(tried);
                let (by_price, cost) = match &model {
                    Some(model) => {
                        let (by_price, cost) = self.costs(tried, model, &usage);
                        (Some(by_price), cost)
                    }
                    None => (None, spend.unwrap_or_default()),
                };
                let exchange = model.and_then(|model| model.price.on(tried.started_at).exchange());
                let spend = spend.or(by_price).ok_or_else(|| {
                    let message = format!(
                        "the channel `{}` no longer serves `{}`, so its price isn't known; say what it cost as `spend`",
                        tried.channel, tried.model
                    );
                    invalid("spend", message)
                })?;
                Ok(Ending { usage, spend, cost, exchange, source: UsageSource::Reported, ..ended })
            }
        }
    }

    /// What it costs the caller and the operator, at the standard tier of the prices for when it was made.
    fn costs(&self, tried: &Tried, model: &ChannelModel, usage: &Usage) -> (i64, i64) {
        let snapshot = self.0.engine.snapshot();
        let group = snapshot.declared.groups.iter().find(|group| Some(&group.id) == tried.group.as_ref());
        let (list, tier) = (model.price.on(tried.started_at), ServiceTier::Standard);
        let cost = list.cost(usage, tier, RATIO_ONE_PPM, Rounding::HalfEven);
        let spend = match group.and_then(|group| terms_of(&group.prices, &tried.model)) {
            Some(Terms::Price(own)) => {
                own.on(tried.started_at).cost(usage, tier, RATIO_ONE_PPM, Rounding::HalfEven)
            }
            _ => list.cost(usage, tier, tried.price_ratio_ppm, Rounding::HalfEven),
        };
        (spend, cost)
    }

    /// The model that an attempt was made at, as its channel offers it now.
    fn model_of(&self, tried: &Tried) -> Option<ChannelModel> {
        let snapshot = self.0.engine.snapshot();
        let is_it = |it: &&Channel| it.id == tried.channel;
        let channel = snapshot.channels().iter().find(is_it)?;
        let named = channel.models.iter().find(|model| model.group == tried.model);
        let fits = |model: &&ChannelModel| matches_pattern(model.group.as_str(), tried.model.as_str());
        named.or_else(|| channel.models.iter().find(fits)).cloned()
    }
}

impl HeldFilter {
    fn fits(&self, held: &Held) -> bool {
        let in_scope = |scope: &Scope| held.amounts.iter().any(|amount| amount.scope == *scope);
        let at = |channel: &ChannelId| held.attempt.as_ref().is_some_and(|it| it.channel == *channel);
        self.call.as_ref().is_none_or(|call| held.call.as_ref() == Some(call))
            && self.scope.as_ref().is_none_or(in_scope)
            && self.channel.as_ref().is_none_or(at)
    }
}

fn must_be_super(actor: &Actor, what: &str) -> Result<()> {
    if actor.is_super() { Ok(()) } else { Err(forbidden(what)) }
}

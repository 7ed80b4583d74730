//! Reading records, daily sums and events.

use std::collections::HashMap;
use std::sync::LazyLock;

use sluicegate_core::{
    CallId, ChannelId, Error, ErrorKind, GroupId, KeyId, ModelName, OrganizationId, Result, Timestamp,
    UsageRecord, UserId,
};

use super::directory::{narrowed, of_organization, reach_of};
use super::record::{SUMS, answer_hash, day_of};
use super::report::{label_table, smallest};
use super::rollup::{Period, Table};
use super::row::{Row, Value, to_json};
use super::{Dialect, SqlStore, Where};
use crate::store::{
    AuditEvent, AuditFilter, DailyRow, Dimension, Listing, NewEvent, Owner, Page, Reach, RecordFilter, Since,
    StoredEvent, Sums,
};

/// The sums of a table, in the order [`sums`] reads them. PostgreSQL's `SUM` isn't a `BIGINT` by itself.
pub(super) static DAILY_SUMS: LazyLock<String> = LazyLock::new(|| sums_of(SUMS));

/// The sums of these columns.
pub(super) fn sums_of(columns: &[&str]) -> String {
    let sum = |column: &&str| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT)");
    columns.iter().map(sum).collect::<Vec<_>>().join(", ")
}

/// The sums of `sg_record`: admitted calls, tokens and money. What amends a record, as its id says, is no further call.
const RECORD_SUMS: &str = "CAST(COALESCE(SUM(CASE WHEN channel_id IS NULL OR call_id LIKE '%~%' THEN 0 ELSE 1 END), 0) AS BIGINT), \
    CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT), CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT), \
    CAST(COALESCE(SUM(spend), 0) AS BIGINT)";

/// The columns of an event, in the order [`event`] reads them.
const EVENT: &str =
    "seq, at, actor, action, target, organization_id, group_id, user_id, detail, address, credential, mac";

impl SqlStore {
    pub(super) async fn list_records(
        &self,
        filter: &RecordFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<UsageRecord>> {
        if filter.customer.is_some() || filter.tag.is_some() {
            let message = "calls aren't found by end customer or tag; daily sums are";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        let outcome = filter.outcome.map(|outcome| to_json(&outcome)).transpose()?;
        let find = || {
            let mut find = Where::default();
            find.maybe("started_at >= ?", filter.from.map(Timestamp::as_ms))
                .maybe("started_at < ?", filter.to.map(Timestamp::as_ms))
                .maybe("call_id = ?", filter.call.as_ref().map(|id| id.as_str()))
                .maybe("outcome = ?", outcome.as_deref().map(|word| word.trim_matches('"')));
            tried_at(&mut find, filter);
            owners(&mut find, filter);
            reach_of(&mut find, reach, "group_id", "user_id", "key_id");
            find
        };
        let total = self.total(page, find(), "sg_record").await?;
        let (sql, args) = find().page("SELECT body FROM sg_record", "started_at DESC, call_id", page);
        let items =
            self.fetch(sql, args).await?.into_iter().map(|mut row| row.json()).collect::<Result<_>>()?;
        Ok(Listing { items, total })
    }

    pub(super) async fn find_call_of_answer(&self, answer: &str, reach: &Reach) -> Result<Option<CallId>> {
        let mut find = Where::default();
        find.and("answer = ?", [answer_hash(answer).into()]);
        of_organization(&mut find, reach.organization.as_ref(), true);
        narrowed(&mut find, reach, "group_id", "user_id", "key_id");
        // BOUND: those that only have the same hash are none, as far as anybody will see.
        let (sql, args) = find.wrap("SELECT body FROM sg_record", " ORDER BY started_at DESC LIMIT 10");
        for mut row in self.fetch(sql, args).await? {
            let record: UsageRecord = row.json()?;
            if record.answer.as_deref() == Some(answer) {
                return Ok(Some(record.call));
            }
        }
        Ok(None)
    }

    pub(super) async fn scan_records(
        &self,
        (at, call): (Timestamp, &CallId),
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<UsageRecord>> {
        let sql = "SELECT body FROM sg_record WHERE started_at >= $1 AND (started_at > $1 OR call_id > $2) \
             AND started_at < $3 ORDER BY started_at, call_id LIMIT $4";
        let args =
            vec![at.as_ms().into(), call.as_str().into(), until.as_ms().into(), i64::from(limit).into()];
        self.fetch(sql, args).await?.into_iter().map(|mut row| row.json()).collect()
    }

    pub(super) async fn list_daily(
        &self,
        filter: &RecordFilter,
        reach: &Reach,
        by: &[Dimension],
        page: Page,
    ) -> Result<Listing<DailyRow>> {
        let label = label_of(filter, by)?;
        if !filter.behind.is_empty() && filter.behind.len() != by.len() {
            let message =
                "the place to go on from is one of other sums; ask for the same ones, or begin anew";
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "cursor"));
        }
        let find = || {
            let mut find = Where::default();
            find.maybe("kind = ?", label.map(Label::word));
            find.maybe("label = ?", filter.customer.as_deref().or(filter.tag.as_deref()));
            find.maybe("channel_id = ?", filter.channel.as_ref().map(ChannelId::as_str));
            let day = |at: Timestamp| day_of(at, &self.time_zone);
            // The last day is the one that `to`, which is excluded, ends in.
            find.maybe("day >= ?", filter.from.map(day))
                .maybe("day <= ?", filter.to.map(|to| day(to.plus_ms(-1))));
            owners(&mut find, filter);
            reach_of(&mut find, reach, "group_id", "user_id", "key_id");
            find
        };
        let told: Vec<&str> = by.iter().map(|dimension| column(*dimension)).collect();
        let narrow = reach.narrow.as_ref().is_some_and(|it| it.groups.is_empty());
        let is_of_few = filter.key.is_some() || filter.user.is_some() || narrow;
        let table = match label {
            Some(_) => label_table(Period::Day, &find(), &told).unwrap_or("sg_daily_label"),
            None => smallest(Period::Day, &find(), &told, is_of_few).name(),
        };
        if by.is_empty() {
            let (sql, args) = find().wrap(&format!("SELECT {} FROM {table}", *DAILY_SUMS), "");
            let items =
                self.fetch(sql, args).await?.into_iter().map(|row| daily(row, 0)).collect::<Result<_>>()?;
            return Ok(Listing { items, total: 1 });
        }
        let columns = told.join(", ");
        let (sql, args) = find()
            .wrap(&format!("SELECT COUNT(*) FROM (SELECT DISTINCT {columns} FROM {table}"), ") combinations");
        let total = self.fetch(sql, args).await?.into_iter().next().map(|mut row| row.int()).transpose()?;
        let mut find = find();
        if !filter.behind.is_empty() {
            let places = vec!["?"; told.len()].join(", ");
            let args = filter.behind.iter().map(|value| value.as_str().into()).collect::<Vec<Value>>();
            find.and(&format!("({columns}) > ({places})"), args);
        }
        find.args.push(Value::from(i64::from(page.limit)));
        find.args.push(Value::from(i64::try_from(page.offset).unwrap_or(i64::MAX)));
        let (limit, offset) = (find.args.len() - 1, find.args.len());
        let (sql, args) = find.wrap(
            &format!("SELECT {columns}, {} FROM {table}", *DAILY_SUMS),
            &format!(" GROUP BY {columns} ORDER BY {columns} LIMIT ${limit} OFFSET ${offset}"),
        );
        let items = self
            .fetch(sql, args)
            .await?
            .into_iter()
            .map(|row| daily(row, by.len()))
            .collect::<Result<_>>()?;
        Ok(Listing { items, total: u64::try_from(total.unwrap_or_default()).unwrap_or_default() })
    }

    pub(super) async fn sum_totals(&self, of: Dimension, ids: &[&str]) -> Result<HashMap<String, Sums>> {
        let mut totals = HashMap::new();
        let (column, label) = (column(of), label_of(&RecordFilter::default(), &[of])?);
        let table = match of {
            Dimension::Customer | Dimension::Tag => "sg_label_day",
            // An index finds theirs.
            Dimension::Key | Dimension::User | Dimension::Day => Table::Daily.name(),
            Dimension::Organization | Dimension::Group => Table::DayGroup.name(),
            Dimension::Model | Dimension::Channel => Table::DayModel.name(),
        };
        // BOUND: a statement takes only so many arguments.
        for ids in ids.chunks(500) {
            let mut find = Where::default();
            find.maybe("kind = ?", label.map(Label::word)).one_of(column, ids.iter().copied());
            let (sql, args) = find.wrap(
                &format!("SELECT {column}, {} FROM {table}", *DAILY_SUMS),
                &format!(" GROUP BY {column}"),
            );
            for mut row in self.fetch(sql, args).await? {
                totals.insert(row.text()?, sums(&mut row)?);
            }
        }
        Ok(totals)
    }

    pub(super) async fn sum_usage(
        &self,
        owner: &Owner,
        model: Option<&ModelName>,
        since: Since,
    ) -> Result<Sums> {
        let mut find = Where::default();
        let by_day = match since {
            Since::Ever => true,
            Since::Day(day) => {
                find.and("day >= ?", [day.to_string().into()]);
                true
            }
            Since::Instant(at) => {
                find.and("started_at >= ?", [at.as_ms().into()]);
                false
            }
        };
        owner_of(&mut find, owner, by_day);
        find.maybe("model = ?", model.map(ModelName::as_str));
        let is_of_few = matches!(owner, Owner::Key(_) | Owner::Membership(..) | Owner::User { .. });
        let (table, columns) = match by_day {
            true => (smallest(Period::Day, &find, &[], is_of_few).name(), DAILY_SUMS.as_str()),
            false => ("sg_record", RECORD_SUMS),
        };
        let (sql, args) = find.wrap(&format!("SELECT {columns} FROM {table}"), "");
        let Some(mut row) = self.fetch(sql, args).await?.into_iter().next() else {
            return Ok(Sums::default());
        };
        let sums = if by_day { sums(&mut row)? } else { record_sums(&mut row)? };
        Ok(as_counted(sums, owner))
    }

    pub(super) async fn sum_buckets(
        &self,
        owner: &Owner,
        model: Option<&ModelName>,
        since: Timestamp,
        bucket_ms: u64,
    ) -> Result<Vec<(Timestamp, Sums)>> {
        let bucket = i64::try_from(bucket_ms.max(1)).unwrap_or(i64::MAX);
        let mut find = Where::default();
        find.and("started_at >= ?", [since.as_ms().into()]);
        owner_of(&mut find, owner, false);
        find.maybe("model = ?", model.map(ModelName::as_str));
        // A literal, since it is an expression to group by: PostgreSQL can't see that two arguments are the same.
        let start = format!("(started_at / {bucket}) * {bucket}");
        let (sql, args) = find.wrap(
            &format!("SELECT {start}, {RECORD_SUMS} FROM sg_record"),
            &format!(" GROUP BY {start} ORDER BY 1"),
        );
        let bucket =
            |mut row: Row| Ok((Timestamp::from_ms(row.int()?), as_counted(record_sums(&mut row)?, owner)));
        self.fetch(sql, args).await?.into_iter().map(bucket).collect()
    }

    pub(super) async fn list_events(
        &self,
        filter: &AuditFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<AuditEvent>> {
        let find = || {
            let mut find = Where::default();
            find.maybe("at >= ?", filter.from.map(Timestamp::as_ms))
                .maybe("at < ?", filter.to.map(Timestamp::as_ms))
                .maybe("actor = ?", filter.actor.as_deref())
                .maybe("target = ?", filter.target.as_deref())
                .maybe("group_id = ?", filter.group.as_ref().map(GroupId::as_str))
                .maybe("user_id = ?", filter.user.as_ref().map(UserId::as_str))
                .maybe("address = ?", filter.address.as_deref());
            let is_of_few = filter.actor.is_some()
                || filter.target.is_some()
                || filter.group.is_some()
                || filter.user.is_some()
                || reach.narrow.is_some();
            for organization in [&filter.organization, &reach.organization] {
                of_organization(&mut find, organization.as_ref(), is_of_few);
            }
            match filter.action.as_deref() {
                // As its index has it.
                Some(family) if family.find('.') == Some(family.len() - 1) => {
                    let place = match self.database.dialect() {
                        #[cfg(feature = "sqlite")]
                        Dialect::Sqlite => "instr",
                        #[cfg(feature = "postgres")]
                        Dialect::Postgres => "strpos",
                    };
                    find.and(&format!("substr(action, 1, {place}(action, '.')) = ?"), [family.into()]);
                }
                Some(family) if family.ends_with('.') => {
                    // The next text after all that begin so: `.` is followed by `/`.
                    let end = format!("{}/", family.trim_end_matches('.'));
                    find.and("(action >= ? AND action < ?)", [family.into(), end.into()]);
                }
                action => {
                    find.maybe("action = ?", action);
                }
            }
            narrowed(&mut find, reach, "group_id", "user_id", "");
            find
        };
        let total = self.total(page, find(), "sg_audit").await?;
        let mut part = find();
        part.maybe("seq < ?", filter.before);
        let (sql, args) = part.page(&format!("SELECT {EVENT} FROM sg_audit"), "seq DESC", page);
        let items = self.fetch(sql, args).await?.into_iter().map(event).collect::<Result<_>>()?;
        Ok(Listing { items, total })
    }

    pub(super) async fn list_events_after(&self, after: i64, limit: u32) -> Result<Vec<StoredEvent>> {
        let sql = format!("SELECT detail, {EVENT} FROM sg_audit WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows = self.fetch(sql, vec![after.into(), i64::from(limit).into()]).await?;
        let stored = |mut row: Row| Ok(StoredEvent { detail: row.text()?, event: event(row)? });
        rows.into_iter().map(stored).collect()
    }
}

pub(super) fn owners(find: &mut Where, filter: &RecordFilter) {
    find.maybe("organization_id = ?", filter.organization.as_ref().map(OrganizationId::as_str))
        .maybe("group_id = ?", filter.group.as_ref().map(GroupId::as_str))
        .maybe("user_id = ?", filter.user.as_ref().map(UserId::as_str))
        .maybe("key_id = ?", filter.key.as_ref().map(KeyId::as_str))
        .maybe("model = ?", filter.model.as_ref().map(ModelName::as_str));
}

/// Calls of which some attempt was at the channel: the last one, or one before.
fn tried_at(find: &mut Where, filter: &RecordFilter) {
    let Some(channel) = filter.channel.as_ref().map(ChannelId::as_str) else { return };
    let (mut condition, mut args) = ("channel_id = ?".to_owned(), vec![Value::from(channel), channel.into()]);
    for (bound, at) in [(">=", filter.from), ("<", filter.to)] {
        if let Some(at) = at {
            condition.push_str(&format!(" AND started_at {bound} ?"));
            args.push(at.as_ms().into());
        }
    }
    find.and(
        &format!("(channel_id = ? OR call_id IN (SELECT call_id FROM sg_attempt WHERE {condition}))"),
        args,
    );
}

/// What a label is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Customer,
    Tag,
}

impl Label {
    fn word(self) -> &'static str {
        match self {
            Label::Customer => "customer",
            Label::Tag => "tag",
        }
    }
}

/// The one kind of label that sums are asked by, if any.
fn label_of(filter: &RecordFilter, by: &[Dimension]) -> Result<Option<Label>> {
    let customer = filter.customer.is_some() || by.contains(&Dimension::Customer);
    let tag = filter.tag.is_some() || by.contains(&Dimension::Tag);
    match (customer, tag) {
        (true, true) => {
            let message = "sums are by end customer or by tag, not by both; ask for one of them";
            Err(Error::new(ErrorKind::InvalidRequest, message))
        }
        (true, false) => Ok(Some(Label::Customer)),
        (false, true) => Ok(Some(Label::Tag)),
        (false, false) => Ok(None),
    }
}

fn owner_of(find: &mut Where, owner: &Owner, by_day: bool) {
    match owner {
        Owner::Key(id) => find.and("key_id = ?", [id.as_str().into()]),
        Owner::Group(id) => find.and("group_id = ?", [id.as_str().into()]),
        Owner::Organization(id) => find.and("organization_id = ?", [id.as_str().into()]),
        Owner::Channel(id) => find.and("channel_id = ?", [id.as_str().into()]),
        Owner::Global => find,
        Owner::Membership(group, user) => {
            find.and("group_id = ? AND user_id = ?", [group.as_str().into(), user.as_str().into()])
        }
        Owner::User { user, ungrouped } => {
            find.and("user_id = ?", [user.as_str().into()]);
            match (ungrouped, by_day) {
                (false, _) => find,
                (true, true) => find.and("group_id = ''", []),
                (true, false) => find.and("group_id IS NULL", []),
            }
        }
    };
}

/// A channel counts attempts and list prices.
fn as_counted(sums: Sums, owner: &Owner) -> Sums {
    match owner {
        Owner::Channel(_) => Sums { requests: sums.attempts, spend: sums.cost, ..sums },
        _ => sums,
    }
}

fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Day => "day",
        Dimension::Organization => "organization_id",
        Dimension::Group => "group_id",
        Dimension::User => "user_id",
        Dimension::Key => "key_id",
        Dimension::Model => "model",
        Dimension::Channel => "channel_id",
        Dimension::Customer | Dimension::Tag => "label",
    }
}

fn daily(mut row: Row, dimensions: usize) -> Result<DailyRow> {
    let by = (0..dimensions).map(|_| row.text()).collect::<Result<_>>()?;
    Ok(DailyRow { by, sums: sums(&mut row)? })
}

pub(super) fn sums(row: &mut Row) -> Result<Sums> {
    Ok(Sums {
        requests: row.int()?,
        failures: row.int()?,
        attempts: row.int()?,
        input_tokens: row.int()?,
        output_tokens: row.int()?,
        cache_read_tokens: row.int()?,
        cache_write_tokens: row.int()?,
        spend: row.int()?,
        cost: row.int()?,
        calls: row.int()?,
        denials: row.int()?,
        reasoning_tokens: row.int()?,
        duration_ms: row.int()?,
        firsts: row.int()?,
        first_ms: row.int()?,
    })
}

/// Those of the sums that were asked for, in that order.
pub(super) fn some_sums(row: &mut Row, names: &[&str]) -> Result<Sums> {
    let mut all = [0; Sums::COUNT];
    for name in names {
        let value = row.int()?;
        if let Some(place) = SUMS.iter().position(|it| it == name).and_then(|at| all.get_mut(at)) {
            *place = value;
        }
    }
    sums(&mut Row::new(all.map(Value::from).to_vec()))
}

/// Records know the calls that were admitted; single attempts and list prices are in the daily sums only.
fn record_sums(row: &mut Row) -> Result<Sums> {
    let requests = row.int()?;
    let (input_tokens, output_tokens, spend) = (row.int()?, row.int()?, row.int()?);
    Ok(Sums {
        requests,
        attempts: requests,
        input_tokens,
        output_tokens,
        spend,
        cost: spend,
        ..Sums::default()
    })
}

fn event(mut row: Row) -> Result<AuditEvent> {
    Ok(AuditEvent {
        seq: row.int()?,
        event: NewEvent {
            at: Timestamp::from_ms(row.int()?),
            actor: row.text()?,
            action: row.text()?,
            target: row.text()?,
            organization: row.maybe_text()?.map(OrganizationId::from),
            group: row.maybe_text()?.map(GroupId::from),
            user: row.maybe_text()?.map(UserId::from),
            detail: row.json()?,
            address: row.maybe_text()?,
            credential: row.maybe_text()?,
        },
        mac: row.text()?,
    })
}

//! Daily sums by end customer and by tag, derived in the transaction that appends the records; and at which channels a call
//! was tried before its last one.
//!
//! A call that has none of these costs nothing here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use sluicegate_core::{RecordRow, Result};

use super::record::{Append, chunk, sums_args};
use super::rollup::{derive, third_of};
use super::row::Value;
use super::{Dialect, Session, SqlStore};
use crate::store::{LABEL_OVERFLOW, LABELS_PER_DAY, Sums};

/// Bytes of a label that are told apart; the rest is cut off.
const LABEL_BYTES: usize = 256;
/// So many labels one statement asks for.
const ASKED: usize = 200;

/// Day, organization and kind: what labels are counted in.
pub(super) type Family<'a> = (Arc<str>, &'a str, &'static str);
/// A label, then group, user, key, model and channel.
pub(super) type Place<'a> = (Cow<'a, str>, [&'a str; 5]);
/// Sums of places, each by the start of its hour.
pub(super) type Hourly<'a> = BTreeMap<(Place<'a>, i64), Sums>;

impl SqlStore {
    /// Takes account of records that are new, in their order.
    pub(super) async fn take_labels(&self, session: &mut dyn Session, records: &[&RecordRow]) -> Result<()> {
        let dialect = self.database.dialect();
        for (family, mut sums) in gather(records, &self.time_zone) {
            let labels: BTreeSet<String> = sums.keys().map(|((label, _), _)| label.to_string()).collect();
            let beyond = admit(session, &family, labels).await?;
            if !beyond.is_empty() {
                sums = overflow(sums, &beyond);
            }
            insert(dialect, session, &family, &sums).await?;
            insert_hourly(dialect, session, &family, &sums).await?;
        }
        insert_tags(dialect, session, records).await?;
        insert_attempts(dialect, session, records).await
    }
}

/// The sums of these records' labels, in the order of the table's key.
pub(super) fn gather<'a>(records: &[&'a RecordRow], zone: &TimeZone) -> BTreeMap<Family<'a>, Hourly<'a>> {
    let mut labelled: BTreeMap<(&'static str, Cow<'a, str>), Vec<&'a RecordRow>> = BTreeMap::new();
    for record in records {
        let customer = record.customer.iter().map(|name| ("customer", name));
        let mut seen = HashSet::new();
        for (kind, name) in customer.chain(record.tags.iter().map(|name| ("tag", name))) {
            // The call is in a sum once, however often it has the tag.
            if let Some(label) = label(name)
                && seen.insert((kind, label.clone()))
            {
                labelled.entry((kind, label)).or_default().push(record);
            }
        }
    }
    let mut families: BTreeMap<Family<'a>, Hourly<'a>> = BTreeMap::new();
    for ((kind, label), records) in labelled {
        for ((slot, [organization, rest @ ..]), sums) in derive(records.into_iter(), zone) {
            let family = families.entry((slot.day, organization, kind)).or_default();
            family.entry(((label.clone(), rest), slot.hour)).or_default().add(&sums);
        }
    }
    families
}

/// A name as it is kept: not empty, not long, and without what a database can't hold or a screen can't show.
pub(super) fn label(name: &str) -> Option<Cow<'_, str>> {
    let name = name.trim();
    let end = (0..=LABEL_BYTES.min(name.len())).rev().find(|at| name.is_char_boundary(*at))?;
    let name = name.get(..end).filter(|name| !name.is_empty())?;
    Some(match name.contains(char::is_control) {
        true => Cow::Owned(name.replace(char::is_control, "\u{fffd}")),
        false => Cow::Borrowed(name),
    })
}

/// Counts labels that are new on this day, as many as there is room for, and says which have none.
async fn admit(
    session: &mut dyn Session,
    family: &Family<'_>,
    labels: BTreeSet<String>,
) -> Result<HashSet<String>> {
    if unknown(session, family, labels.clone()).await?.is_empty() {
        return Ok(HashSet::new());
    }
    // Whoever adds labels waits here for the others, and then sees theirs.
    const LOCK: &str = "INSERT INTO sg_label_count (day, organization_id, kind, labels) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (day, organization_id, kind) DO UPDATE SET labels = sg_label_count.labels RETURNING labels";
    let args = || {
        let (day, organization, kind) = family;
        vec![Value::from(&**day), Value::from(*organization), Value::from(*kind)]
    };
    let rows = session.query(LOCK.into(), args()).await?;
    let counted = rows.into_iter().next().map_or(Ok(0), |mut row| row.int())?;
    let mut new = unknown(session, family, labels).await?;
    new.remove(LABEL_OVERFLOW);
    let room = LABELS_PER_DAY.saturating_sub(usize::try_from(counted).unwrap_or(usize::MAX));
    let beyond: HashSet<String> = new.iter().skip(room).cloned().collect();
    let taken = i64::try_from(new.len() - beyond.len()).unwrap_or(i64::MAX);
    if taken > 0 {
        let sql = "UPDATE sg_label_count SET labels = labels + $4 WHERE day = $1 AND organization_id = $2 AND kind = $3";
        let mut args = args();
        args.push(taken.into());
        session.execute(sql.into(), args).await?;
    }
    Ok(beyond)
}

/// Which of these labels have no sums on this day yet.
pub(super) async fn unknown(
    session: &mut dyn Session,
    (day, organization, kind): &Family<'_>,
    mut labels: BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let all: Vec<String> = labels.iter().cloned().collect();
    for asked in all.chunks(ASKED) {
        let marks: Vec<String> = (4..asked.len() + 4).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT DISTINCT label FROM sg_daily_label WHERE day = $1 AND organization_id = $2 AND kind = $3 AND label IN ({})",
            marks.join(", ")
        );
        let mut args = vec![Value::from(&**day), Value::from(*organization), Value::from(*kind)];
        args.extend(asked.iter().map(|label| Value::from(label.as_str())));
        for mut row in session.query(sql.into(), args).await? {
            labels.remove(&row.text()?);
        }
    }
    Ok(labels)
}

/// The same sums with those that there is no room for under one name.
pub(super) fn overflow<'a>(sums: Hourly<'a>, beyond: &HashSet<String>) -> Hourly<'a> {
    let mut merged = Hourly::new();
    for (((label, rest), hour), it) in sums {
        let label = if beyond.contains(&*label) { Cow::Borrowed(LABEL_OVERFLOW) } else { label };
        merged.entry(((label, rest), hour)).or_default().add(&it);
    }
    merged
}

pub(super) async fn insert(
    dialect: Dialect,
    session: &mut dyn Session,
    (day, organization, kind): &Family<'_>,
    hourly: &Hourly<'_>,
) -> Result<()> {
    let mut sums: BTreeMap<&Place<'_>, Sums> = BTreeMap::new();
    for ((place, _), it) in hourly {
        sums.entry(place).or_default().add(it);
    }
    // In the order of the key, so that two nodes that write at once wait for each other instead of dead-locking.
    let rows: Vec<_> = sums.into_iter().collect();
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args: Vec<Value> = Vec::new();
        for ((label, place), s) in now {
            args.extend([&**day, organization, kind, label].map(Value::from));
            args.extend(place.map(Value::from));
            args.extend(sums_args(s));
        }
        session.execute(Append::Labels.sql(dialect, now.len()), args).await?;
        rest = after;
    }
    insert_smaller(dialect, session, (day, organization, kind), &rows).await
}

/// The sums of a day, and of its month, by group alone, by model and channel, and by key; of the day, whichever
/// label it is.
async fn insert_smaller(
    dialect: Dialect,
    session: &mut dyn Session,
    (day, organization, kind): (&str, &str, &str),
    sums: &[(&Place<'_>, Sums)],
) -> Result<()> {
    let mut by_group: BTreeMap<Vec<&str>, Sums> = BTreeMap::new();
    let mut by_model: BTreeMap<Vec<&str>, Sums> = BTreeMap::new();
    let mut by_key: BTreeMap<Vec<&str>, Sums> = BTreeMap::new();
    let mut all: BTreeMap<Vec<&str>, Sums> = BTreeMap::new();
    for ((label, [group, user, key, model, channel]), it) in sums {
        all.entry(Vec::new()).or_default().add(it);
        by_key.entry(vec![&**label, *group, *user, *key]).or_default().add(it);
        by_group.entry(vec![&**label, *group]).or_default().add(it);
        by_model.entry(vec![&**label, *model, *channel]).or_default().add(it);
    }
    // INVARIANT: a day is written as `YYYY-MM-DD`.
    let (month, date) = day.split_at_checked(8).unwrap_or_default();
    let third = format!("{month}{:02}", third_of(date.parse().unwrap_or_default()));
    let month = format!("{month}01");
    for (append, time, sums) in [
        (Append::LabelDays, day, &by_group),
        (Append::LabelMonths, &*month, &by_group),
        (Append::LabelModelDays, day, &by_model),
        (Append::LabelModelMonths, &*month, &by_model),
        (Append::LabelOwnerDays, day, &by_key),
        (Append::LabelOwnerThirds, &*third, &by_key),
        (Append::LabelOwnerMonths, &*month, &by_key),
        (Append::LabelAllDays, day, &all),
    ] {
        let rows: Vec<_> = sums.iter().collect();
        let mut rest = rows.as_slice();
        while let Some((now, after)) = chunk(rest) {
            let mut args: Vec<Value> = Vec::new();
            for (place, s) in now {
                args.extend([kind, time, organization].map(Value::from));
                args.extend(place.iter().map(|text| Value::from(*text)));
                args.extend(sums_args(s));
            }
            session.execute(append.sql(dialect, now.len()), args).await?;
            rest = after;
        }
    }
    Ok(())
}

pub(super) async fn insert_hourly(
    dialect: Dialect,
    session: &mut dyn Session,
    (_, organization, kind): &Family<'_>,
    hourly: &Hourly<'_>,
) -> Result<()> {
    let rows: Vec<_> = hourly.iter().collect();
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args: Vec<Value> = Vec::new();
        for (((label, place), hour), s) in now {
            args.push((*hour).into());
            args.extend([organization, kind, &**label].map(Value::from));
            args.extend(place.map(Value::from));
            args.extend(sums_args(s));
        }
        session.execute(Append::HourLabels.sql(dialect, now.len()), args).await?;
        rest = after;
    }
    let mut by_label: BTreeMap<(i64, &str), Sums> = BTreeMap::new();
    for (((label, _), hour), it) in hourly {
        by_label.entry((*hour, &**label)).or_default().add(it);
    }
    let mut all: BTreeMap<i64, Sums> = BTreeMap::new();
    for ((hour, _), it) in &by_label {
        all.entry(*hour).or_default().add(it);
    }
    let rows: Vec<_> = all.into_iter().collect();
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args: Vec<Value> = Vec::new();
        for (hour, s) in now {
            args.extend([Value::from(*kind), (*hour).into(), (*organization).into()]);
            args.extend(sums_args(s));
        }
        session.execute(Append::LabelAllHours.sql(dialect, now.len()), args).await?;
        rest = after;
    }
    let rows: Vec<_> = by_label.into_iter().collect();
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args: Vec<Value> = Vec::new();
        for ((hour, label), s) in now {
            args.extend([Value::from(*kind), (*hour).into(), (*organization).into(), (*label).into()]);
            args.extend(sums_args(s));
        }
        session.execute(Append::LabelHours.sql(dialect, now.len()), args).await?;
        rest = after;
    }
    Ok(())
}

/// The tags that calls have, for the log.
pub(super) async fn insert_tags(
    dialect: Dialect,
    session: &mut dyn Session,
    records: &[&RecordRow],
) -> Result<()> {
    let mut rows: BTreeSet<(Cow<'_, str>, i64, &str)> = BTreeSet::new();
    for record in records {
        let tags = record.tags.iter().filter_map(|tag| label(tag));
        rows.extend(tags.map(|tag| (tag, record.started_at.as_ms(), record.call.as_str())));
    }
    let rows: Vec<_> = rows.into_iter().collect();
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args: Vec<Value> = Vec::with_capacity(now.len() * 3);
        for (tag, at, call) in now {
            args.extend([Value::from(&**tag), Value::from(*at), Value::from(*call)]);
        }
        session.execute(Append::Tags.sql(dialect, now.len()), args).await?;
        rest = after;
    }
    Ok(())
}

/// The channels that calls were tried at before their last one.
async fn insert_attempts(dialect: Dialect, session: &mut dyn Session, records: &[&RecordRow]) -> Result<()> {
    let mut rows = Vec::new();
    for record in records {
        let Some((last, earlier)) = record.attempts.split_last() else { continue };
        let earlier = earlier.iter().filter(|attempt| attempt.channel != last.channel);
        rows.extend(earlier.map(|attempt| (record, attempt)));
    }
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args: Vec<Value> = Vec::with_capacity(now.len() * 3);
        for (record, attempt) in now {
            args.push(record.started_at.as_ms().into());
            args.extend([attempt.channel.as_str(), record.call.as_str()].map(Value::from));
        }
        session.execute(Append::Attempts.sql(dialect, now.len()), args).await?;
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_can_be_shown() {
        let long = "é".repeat(200);
        for (name, want) in [
            ("acme", Some("acme")),
            ("  acme ", Some("acme")),
            ("", None),
            (" \t", None),
            ("a\0b\nc", Some("a\u{fffd}b\u{fffd}c")),
            (long.as_str(), Some(&long[..256])),
        ] {
            assert_eq!(label(name).as_deref(), want, "{name:?}");
        }
    }
}

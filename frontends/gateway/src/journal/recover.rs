//! What a journal says after a start.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use sluicegate_core::journal::{CounterKey, Flaw, JournalId, Recovered, Replay, SegmentEnd};
use sluicegate_core::ledger::{Balance, Ledger};
use sluicegate_core::ports::{Checkpoint, RecordStore};
use sluicegate_core::{Clock, Error, ErrorKind, RecordEntry, Result, Timestamp};

use super::{Disk, Journal, JournalOptions};
use crate::record::BATCH;

/// So many held calls are told one by one.
const HELD_TOLD: usize = 1_000;

/// A journal that was read.
#[derive(Debug)]
pub struct Reading {
    /// What it said.
    pub recovered: Recovered,
    /// The usage records that aren't in the database, in order.
    pub records: Vec<RecordEntry>,
    /// The segments that were read: what they say is elsewhere once the recovery is over.
    pub segments: Vec<u64>,
    /// Segments of which some bytes are no event, with how many: torn ends, or what a repair couldn't read.
    pub lost: Vec<(u64, usize)>,
    /// Usage records that can't be read: only when salvaging.
    pub unreadable: u64,
}

/// What a start found in the journal, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Events read.
    pub events: u64,
    /// Usage records that weren't in the database.
    pub records: usize,
    /// Calls among them that whoever made them could not record any more.
    pub interrupted: usize,
    /// Calls that were under way, or held before.
    pub held: usize,
    /// Segments of which some bytes are no event, by name, with how many.
    pub lost: Vec<(String, usize)>,
    /// Events that are missing, after a repair.
    pub missing: u64,
    /// From which number to which, both included; the first 1,000 such gaps.
    pub gaps: Vec<(u64, u64)>,
    /// After a repair: amounts whose counter isn't known any more.
    pub unnamed: u64,
    /// After a repair: attempts that were charged and whose call isn't known any more: they have no usage record.
    pub nameless: u64,
    /// After a repair: usage records that can't be read.
    pub unreadable: u64,
    /// The calls that are held, the first 1,000.
    pub held_calls: Vec<String>,
}

/// How to open a journal.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// How to write it.
    pub options: JournalOptions,
    /// Its name if there is none yet: random.
    pub fresh: JournalId,
    /// Whether to read on behind damage and over gaps.
    pub salvage: bool,
}

/// Gives an empty ledger back what was settled and what is open, brings the database up to date, and begins to write.
///
/// # Errors
/// `Store` when journal or database can't be read or written, or the journal is damaged. Then nothing is lost, and
/// another try begins anew with an empty ledger.
pub async fn open(
    ledger: &Arc<Mutex<Ledger>>,
    store: &dyn RecordStore,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    opening: Opening,
) -> Result<(Journal, Found)> {
    let known = match journal_id(&**disk)? {
        None if opening.salvage => only_journal(store).await?,
        known => known,
    };
    let from = match known {
        Some(id) => store.position(id).await?,
        None => 0,
    };
    let Reading { recovered, mut records, segments, lost, unreadable } =
        read(&**disk, from, opening.salvage)?;
    records.extend(recovered.unrecorded.iter().cloned().map(RecordEntry::from));
    let stored = store.balances().await?;
    // Without a journal nobody lists what was held: it counts as it was stored.
    let (mut balances, changed) =
        if known.is_some() || opening.salvage { merge(stored, &recovered) } else { (stored, Vec::new()) };
    let id = known.unwrap_or(opening.fresh);
    // The database first: until it has everything, the old segments say it again.
    let (rest, last) = records.split_at(records.len().saturating_sub(1) / BATCH * BATCH);
    for batch in rest.chunks(BATCH) {
        store.append(batch, &[], None).await?;
    }
    let checkpoint = Checkpoint { journal: id, position: recovered.next };
    store.append(last, &changed, Some(checkpoint)).await?;
    balances.sort_by_key(|balance| balance.window_start);
    {
        let (mut ledger, now) = (ledger.lock(), clock.now());
        balances.iter().for_each(|balance| ledger.seed(balance));
        for open in &recovered.open {
            ledger.restore_held(&Ledger::held_of(open));
        }
        // What was just read needs no writing back.
        ledger.take_dirty(now);
    }
    let next = (id, recovered.next);
    let journal = Journal::start(
        Arc::clone(ledger),
        Arc::clone(disk),
        Arc::clone(clock),
        opening.options,
        next,
        &segments,
    )?;
    let found = Found {
        events: recovered.events,
        records: records.len(),
        interrupted: recovered.unrecorded.len(),
        held: recovered.open.len(),
        lost: lost.into_iter().map(|(number, bytes)| (disk.name(number), bytes)).collect(),
        missing: recovered.missing,
        gaps: recovered.gaps,
        unnamed: recovered.unnamed,
        nameless: recovered.nameless,
        unreadable,
        held_calls: recovered.open.iter().take(HELD_TOLD).map(|open| open.call.clone()).collect(),
    };
    Ok((journal, found))
}

/// Which journal the folder holds; `None` when it holds none, or one that was never used.
///
/// # Errors
/// `Store` when it can't be read.
pub fn journal_id(disk: &dyn Disk) -> Result<Option<JournalId>> {
    for number in disk.list().map_err(|why| unread(&why))? {
        let bytes = disk.read(number).map_err(|why| unread(&why))?;
        if let Some(id) = sluicegate_core::journal::segment_journal(&bytes) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Which journal it must be whose beginning can't be read any more: the only one that the database knows.
async fn only_journal(store: &dyn RecordStore) -> Result<Option<JournalId>> {
    let journals = store.journals().await?;
    match journals.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        _ => {
            let message = "nothing in the journal says which one it is, and the database knows several, so that it can't be \
                           told what is counted already; bring back the data directory and the database of the same time";
            Err(Error::new(ErrorKind::Store, message))
        }
    }
}

/// Reads the journal. `from` is the number of the first event that isn't in the database. `salvage` reads on behind
/// damage and over gaps.
///
/// # Errors
/// `Store` when it can't be read, or is damaged; the message names file and place, and the remedy.
pub fn read(disk: &dyn Disk, from: u64, salvage: bool) -> Result<Reading> {
    let segments = disk.list().map_err(|why| unread(&why))?;
    let mut replay = Replay::new(from);
    if salvage {
        replay = replay.salvaging();
    }
    let (mut records, mut lost, mut odd, mut unreadable) = (Vec::new(), Vec::new(), None, 0);
    for number in &segments {
        let bytes = disk.read(*number).map_err(|why| unread(&why))?;
        let mut record = |json: &[u8]| match RecordEntry::read(json) {
            Ok(record) => records.push(record),
            Err(why) => {
                odd = Some(why.to_string());
                unreadable += 1;
            }
        };
        let end = replay.segment(&bytes, &mut record).map_err(|flaw| damaged(&disk.name(*number), &flaw))?;
        match end {
            SegmentEnd::Whole | SegmentEnd::Unborn => {}
            SegmentEnd::Torn { bytes } | SegmentEnd::Salvaged { bytes } if bytes > 0 => {
                lost.push((*number, bytes));
            }
            SegmentEnd::Torn { .. } | SegmentEnd::Salvaged { .. } => {}
        }
    }
    if let Some(why) = odd.filter(|_| !salvage) {
        let message = format!(
            "a usage record in the journal isn't one of this version ({why}); start the version that wrote it once, so that it is stored"
        );
        return Err(Error::new(ErrorKind::Store, message));
    }
    Ok(Reading { recovered: replay.finish(), records, segments, lost, unreadable })
}

/// Adds to the stored balances what the journal settled since. Returns all balances, without what was held (the journal
/// lists it), and those of them that changed.
pub fn merge(stored: Vec<Balance>, recovered: &Recovered) -> (Vec<Balance>, Vec<Balance>) {
    let mut all: Vec<Balance> = stored.into_iter().map(|balance| Balance { held: 0, ..balance }).collect();
    let mut index: HashMap<(CounterKey, Timestamp), usize> =
        all.iter().enumerate().map(|(at, balance)| ((balance.key(), balance.window_start), at)).collect();
    let mut changed = Vec::new();
    let mut sums: BTreeMap<(&CounterKey, Timestamp), (i64, i64)> = BTreeMap::new();
    for (key, start, amount) in &recovered.settled {
        sums.entry((key, *start)).or_default().0 = *amount;
    }
    for (key, start, amount) in &recovered.carried {
        sums.entry((key, *start)).or_default().1 = *amount;
    }
    for ((key, start), (settled, carried)) in sums {
        let at = *index.entry((key.clone(), start)).or_insert_with(|| {
            all.push(Balance {
                scope: key.scope.clone(),
                metric: key.metric,
                window: key.window,
                model: key.model.clone(),
                window_start: start,
                settled: 0,
                held: 0,
                carried: 0,
            });
            all.len() - 1
        });
        if let Some(balance) = all.get_mut(at) {
            balance.settled = balance.settled.saturating_add(settled).max(0);
            balance.carried = balance.carried.saturating_add(carried);
            changed.push(at);
        }
    }
    let changed = changed.into_iter().filter_map(|at| all.get(at).cloned()).collect();
    (all, changed)
}

fn unread(why: &std::io::Error) -> Error {
    Error::new(ErrorKind::Store, format!("the journal can't be read: {why}"))
}

fn damaged(file: &str, flaw: &Flaw) -> Error {
    let what = match flaw {
        Flaw::NotASegment => format!("`{file}` isn't a segment of the journal, or its beginning is damaged"),
        Flaw::OtherVersion => {
            format!("`{file}` is in a format that this version doesn't read; it was written by another one")
        }
        Flaw::Foreign(id) => format!("`{file}` belongs to another journal, {id}"),
        Flaw::Gap { expected, found } => format!(
            "`{file}` begins with event {found} where {expected} should follow: events are missing between the database and the journal"
        ),
        Flaw::Damaged { at, event } => {
            format!("`{file}` is damaged at byte {at}: event {event} had been written and can't be read")
        }
        Flaw::Unknown { at } => {
            format!(
                "`{file}` holds an event at byte {at} that this version doesn't know; it was written by a newer one"
            )
        }
    };
    let message = format!(
        "{what}. Nothing was changed. Bring back the data directory and the database of the same time; or run `sluicegate ledger repair` with the same --data and --config: it keeps a copy and all that can be read, and says what is lost"
    );
    Error::new(ErrorKind::Store, message)
}

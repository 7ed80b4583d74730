use std::sync::Arc;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::{Amounts, Ask, Balance, Ledger, Reserve};
use sluicegate_core::ports::{Checkpoint, RecordStore};
use sluicegate_core::{
    CallId, Clock, Limit, Metric, RecordEntry, Result, Scope, ScopeKind, ScopeLimits, Timestamp, Window,
};

use super::*;
use crate::ManualClock;

/// A database that never got anything.
struct Empty;

#[async_trait]
impl RecordStore for Empty {
    async fn append(&self, _: &[RecordEntry], _: &[Balance], _: Option<Checkpoint>) -> Result<()> {
        Ok(())
    }

    async fn position(&self, _: JournalId) -> Result<u64> {
        Ok(0)
    }

    async fn balances(&self) -> Result<Vec<Balance>> {
        Ok(Vec::new())
    }
}

struct Process {
    ledger: Arc<Mutex<Ledger>>,
    journal: Journal,
    found: Found,
}

const OPTIONS: JournalOptions = JournalOptions { durability: Durability::Process, segment_bytes: 4_096 };

async fn start(folder: &std::path::Path) -> Result<Process> {
    let ledger = Arc::new(Mutex::new(Ledger::new(TimeZone::UTC)));
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(folder).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_ms(1_000)));
    let opening = Opening { options: OPTIONS, fresh: JournalId(1), salvage: false };
    let (journal, found) = open(&ledger, &Empty, &disk, &clock, opening).await?;
    Ok(Process { ledger, journal, found })
}

impl Process {
    /// A call of a key with a limit of 100 tokens for a day; settled with so many, or left under way.
    fn call(&self, bound: i64, used: Option<i64>) {
        let now = Timestamp::from_ms(2_000);
        let mut ledger = self.ledger.lock();
        let limits = vec![Limit::strict(Metric::OutputTokens, Window::Day, 100)];
        let limits = ledger.bind(0, &ScopeLimits { scope: Scope::new(ScopeKind::Key, "k"), limits });
        let amounts = |output_tokens| Amounts { output_tokens, ..Amounts::default() };
        let ask = Ask {
            call: &CallId::from("call"),
            tenant: &limits,
            named: &[],
            channel: &[],
            model: "m",
            asked_as: "m",
            bound: amounts(bound),
            estimate: amounts(bound),
            channel_bound: amounts(bound),
            channel_estimate: amounts(bound),
            count_request: true,
            attempt: None,
            turn: None,
        };
        let Reserve::Granted(grant) = ledger.try_reserve(&ask, now) else { panic!("it fits") };
        if let Some(used) = used {
            ledger.settle(grant.id, amounts(used), amounts(used), now);
        }
        drop(ledger);
        self.journal.commit().unwrap();
    }

    /// What is settled, and what is held.
    fn stands(&self) -> (i64, i64) {
        let balances = self.ledger.lock().balances(Timestamp::from_ms(3_000));
        balances.iter().fold((0, 0), |(settled, held), it| (settled + it.settled, held + it.held))
    }
}

fn segments(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "journal"));
    paths.sort();
    paths
}

#[tokio::test]
async fn a_process_that_just_ended_is_taken_up_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path()).await.unwrap();
    assert_eq!(first.found, Found::default());
    first.call(40, Some(25));
    first.call(30, None);
    let end = first.journal.extent().1 as usize;
    drop(first);
    // It ended in the middle of a write, too.
    let newest = segments(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[end..end + 5].copy_from_slice(&[9, 0, 0, 0, 7]);
    std::fs::write(&newest, &bytes).unwrap();

    let second = start(dir.path()).await.unwrap();
    assert_eq!((second.found.held, second.found.lost.len()), (1, 1));
    assert_eq!(second.stands(), (25, 30));
    assert_eq!(second.ledger.lock().held().next().unwrap().call, Some(CallId::from("call")));
    second.call(45, Some(45));
    drop(second);
    // Its first segment is gone, because the database confirmed what it said; one that doesn't have it is another's.
    let error = start(dir.path()).await.err().unwrap();
    assert!(error.message().contains("events are missing"), "{error}");
}

#[tokio::test]
async fn segments_follow_each_other_and_go_when_they_may() {
    let dir = tempfile::tempdir().unwrap();
    let process = start(dir.path()).await.unwrap();
    for _ in 0..90 {
        process.call(1, Some(1));
    }
    assert!(segments(dir.path()).len() > 1);
    process.journal.checkpointed(0).unwrap();
    assert!(segments(dir.path()).len() > 1, "the database has nothing yet");
    let position = process.ledger.lock().log_position();
    process.journal.checkpointed(position).unwrap();
    assert!(segments(dir.path()).len() <= 2, "the newest, and the next");
    process.call(1, Some(1));
    process.journal.retire(position).unwrap();
    assert_eq!(segments(dir.path()).len(), 2, "what came after the position is in none but the journal");
    let position = process.ledger.lock().log_position();
    process.journal.retire(position).unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
}

#[tokio::test]
async fn segments_that_are_copied_stay() {
    let dir = tempfile::tempdir().unwrap();
    let process = start(dir.path()).await.unwrap();
    for _ in 0..90 {
        process.call(1, Some(1));
    }
    let all = segments(dir.path());
    let disk = OsDisk::open(all[0].parent().unwrap()).unwrap();
    let keeping = (disk.keep().unwrap(), disk.keep().unwrap());
    let position = process.ledger.lock().log_position();
    process.journal.checkpointed(position).unwrap();
    assert!(segments(dir.path()).starts_with(&all), "two copy them");
    drop(keeping.0);
    // A start that finds them leaves them too, and forgets none.
    drop(process);
    let process = start(dir.path()).await.unwrap();
    assert!(segments(dir.path()).starts_with(&all));
    drop(keeping.1);
    let position = process.ledger.lock().log_position();
    process.journal.checkpointed(position).unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_damaged_segment_is_refused_by_name_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let process = start(dir.path()).await.unwrap();
    process.call(40, Some(25));
    drop(process);
    let segment = segments(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[12] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let error = start(dir.path()).await.err().unwrap();
    assert!(error.message().contains(&segment.display().to_string()), "{error}");
    assert!(error.message().contains("sluicegate ledger repair"), "{error}");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_directory_is_owned_until_its_owner_ends() {
    let dir = tempfile::tempdir().unwrap();
    let owner = Owner::take(dir.path()).unwrap();
    let error = Owner::take(dir.path()).unwrap_err();
    assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
    drop(owner);
    Owner::take(dir.path()).unwrap();
}

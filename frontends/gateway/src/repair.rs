//! Mends a damaged journal: keeps a copy, and everything that can be read.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::Ledger;
use sluicegate_core::{Error, ErrorKind, Result};

use crate::credential::fill_random;
use crate::gateway::Options;
use crate::journal::{self, Disk, Found, JournalOptions, Opening, OsDisk, Owner};
use crate::load;
use crate::start::{address_of, may_exist};
use crate::store;

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Where the journal is kept as it was; none when nothing was wrong with it, and so nothing was changed.
    pub kept: Option<String>,
    /// What was found, and what is lost.
    pub found: Found,
}

/// Repairs the journal of the data directory that the options name, with the database that they name: what can be read
/// goes into the database, calls whose outcome isn't there become held, and the next start finds a whole journal. The
/// damaged one is copied aside first.
///
/// # Errors
/// `Config` when a gateway has the directory, naming it, or when there is none. `Store` when a copy can't be made or the
/// database can't be written: then the journal is as it was.
pub async fn repair(options: &Options) -> Result<Repair> {
    let dir = options.data_dir.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::Config, "a repair needs a data directory; name it with --data")
    })?;
    let folder = dir.join("journal");
    if !folder.is_dir() {
        let message =
            format!("there is no journal in `{}`; name the data directory with --data", dir.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    let owner = Owner::take(dir)?;
    let loaded = load::load(options.config.as_ref(), &options.configuration_variables());
    load::refuse_errors(&loaded)?;
    let time_zone = loaded.declared.quota.time_zone.clone();
    let address = address_of(options, &loaded.host);
    if !may_exist(&address) {
        let message = "the database that belongs to this data directory isn't there; name it with --database, or the \
                       gateway's --config";
        return Err(Error::new(ErrorKind::Config, message));
    }
    let store = store::open(&address, time_zone.clone()).await?;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(&folder).map_err(|why| failed(&folder, &why))?);
    let from = match journal::journal_id(&*disk)? {
        Some(id) => store.position(id).await?,
        None => 0,
    };
    if journal::read(&*disk, from, false).is_ok() {
        store.close().await;
        return Ok(Repair { kept: None, found: Found::default() });
    }
    let kept = copy_aside(&folder).map_err(|why| failed(&folder, &why))?;
    let mut fresh = [0u8; 16];
    fill_random(&mut fresh)?;
    let opening = Opening {
        options: JournalOptions { durability: loaded.host.durability, ..JournalOptions::default() },
        fresh: JournalId(u128::from_le_bytes(fresh)),
        salvage: true,
    };
    let ledger = Arc::new(Mutex::new(Ledger::new(time_zone)));
    let (_, found) = journal::open(&ledger, &*store, &disk, &options.clock, opening).await?;
    store.close().await;
    drop(owner);
    Ok(Repair { kept: Some(kept.display().to_string()), found })
}

/// Copies the folder beside itself, onto the disk.
fn copy_aside(folder: &Path) -> std::io::Result<PathBuf> {
    // BOUND: a thousand repairs of one journal are none.
    for number in 0..1_000 {
        let aside = folder.with_file_name(format!("journal.damaged-{number}"));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&aside) {
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let copy = aside.join(entry.file_name());
            fs::copy(entry.path(), &copy)?;
            File::open(&copy)?.sync_all()?;
        }
        #[cfg(unix)]
        File::open(&aside)?.sync_all()?;
        return Ok(aside);
    }
    Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "too many damaged journals were kept"))
}

fn failed(folder: &Path, why: &std::io::Error) -> Error {
    let message = format!(
        "the journal in `{}` can't be copied: {why}; nothing was changed; make room beside it",
        folder.display()
    );
    Error::new(ErrorKind::Store, message)
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use jiff::tz::TimeZone;
    use sluicegate_core::journal::{AttemptFacts, Ending};
    use sluicegate_core::ledger::{Amounts, Ask, Reserve};
    use sluicegate_core::ports::RecordStore;
    use sluicegate_core::{
        CallId, Clock, Format, Limit, Metric, OutcomeClass, Scope, ScopeKind, ScopeLimits, Timestamp, Usage,
        UsageSource, Window,
    };

    use super::*;
    use crate::ManualClock;
    use crate::journal::Durability;
    use crate::store::{Reach, RecordFilter, Store};

    const CALLS: i64 = 120;

    fn options(dir: &Path) -> Options {
        Options { data_dir: Some(dir.to_owned()), variables: Arc::new(|_| None), ..Options::default() }
    }

    async fn store(dir: &Path) -> Arc<dyn Store> {
        store::open(&dir.join("sluicegate.db").display().to_string(), TimeZone::UTC).await.unwrap()
    }

    async fn start(dir: &Path, store: &dyn RecordStore) -> Result<(Arc<Mutex<Ledger>>, journal::Journal)> {
        let ledger = Arc::new(Mutex::new(Ledger::new(TimeZone::UTC)));
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(&dir.join("journal")).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_ms(1_000)));
        let options = JournalOptions { durability: Durability::Process, segment_bytes: 8_192 };
        let opening = Opening { options, fresh: JournalId(1), salvage: false };
        let (journal, _) = journal::open(&ledger, store, &disk, &clock, opening).await?;
        Ok((ledger, journal))
    }

    /// Calls of one token each, every tenth left under way, by a process that then just ends.
    async fn calls(dir: &Path) {
        let store = store(dir).await;
        let (ledger, journal) = start(dir, &*store).await.unwrap();
        let limits = vec![Limit::strict(Metric::OutputTokens, Window::Lifetime, 10_000)];
        let limits = ledger.lock().bind(0, &ScopeLimits { scope: Scope::new(ScopeKind::Key, "k"), limits });
        let bound = Amounts { output_tokens: 1, ..Amounts::default() };
        for number in 0..CALLS {
            let (call, now) = (CallId::from(format!("call-{number}")), Timestamp::from_ms(2_000 + number));
            let ask = Ask {
                call: &call,
                tenant: &limits,
                named: &[],
                turn: None,
                channel: &[],
                model: "m",
                asked_as: "m",
                bound,
                estimate: bound,
                channel_bound: bound,
                channel_estimate: bound,
                count_request: true,
                attempt: Some(AttemptFacts {
                    number: 1,
                    admitted_at: now,
                    format: Format::OpenaiChat,
                    stream: false,
                    requested: "m",
                    organization: "o",
                    key: Some("k"),
                    user: None,
                    group: None,
                    customer: None,
                    tags: [&[], &[]],
                    seed: 0,
                    snapshot: 1,
                    input_bound: None,
                    input_estimate: 0,
                    max_output: Some(1),
                    choices: 1,
                    price_ratio_ppm: 1_000_000,
                    channel: "c",
                    model: "m",
                    upstream_model: "m",
                    ceiling: Some(1),
                    bound,
                    bound_cost: 0,
                    priced: true,
                }),
            };
            let Reserve::Granted(grant) = ledger.lock().try_reserve(&ask, now) else { panic!("it fits") };
            if number % 10 != 9 {
                let ending = Ending {
                    class: OutcomeClass::Ok,
                    status: Some(200),
                    usage: Usage { output_visible: 1, ..Usage::default() },
                    source: UsageSource::Reported,
                    spend: 0,
                    cost: 0,
                    service_tier: None,
                    exchange: None,
                    at: now,
                };
                let mut ledger = ledger.lock();
                ledger.end(grant.id, &ending, now);
                // Some end before their record is written.
                if let Some(record) = ledger.record_of_dropped(&call).filter(|_| number % 7 != 0) {
                    ledger.log_record(&call, &serde_json::to_vec(&record).unwrap());
                }
            }
            journal.commit().unwrap();
        }
        store.close().await;
    }

    fn segments(folder: &Path) -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    #[tokio::test]
    async fn what_can_be_read_is_kept_and_what_cant_is_named() {
        // What is damaged: which of the segments, and where; `None` takes the whole file away.
        for (what, segment, place) in [
            ("in the middle", 0, Some(4_000)),
            ("the first event", 0, Some(12)),
            ("a segment's name", 1, Some(2)),
            ("a segment is gone", 1, None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            calls(dir.path()).await;
            let all = segments(&dir.path().join("journal"));
            assert!(all.len() > 3, "{what}: {}", all.len());
            match place {
                Some(place) => {
                    let mut bytes = fs::read(&all[segment]).unwrap();
                    bytes[place..place + 3].iter_mut().for_each(|byte| *byte ^= 0x55);
                    fs::write(&all[segment], &bytes).unwrap();
                }
                None => fs::remove_file(&all[segment]).unwrap(),
            }
            let damaged: Vec<_> =
                segments(&dir.path().join("journal")).iter().map(|path| fs::read(path).unwrap()).collect();
            let refused = start(dir.path(), &*store(dir.path()).await).await.err().unwrap();
            assert!(refused.message().contains("sluicegate ledger repair"), "{what}: {refused}");

            let owner = Owner::take(dir.path()).unwrap();
            let error = repair(&options(dir.path())).await.unwrap_err();
            assert!(error.message().contains("in use by process"), "{what}: {error}");
            drop(owner);
            let Repair { kept, found } = repair(&options(dir.path())).await.unwrap();
            let kept: Vec<_> =
                segments(Path::new(&kept.unwrap())).iter().map(|path| fs::read(path).unwrap()).collect();
            assert_eq!(kept, damaged, "{what}: the damaged journal is kept as it was");
            assert_eq!(
                found.missing,
                found.gaps.iter().map(|(from, to)| to - from + 1).sum::<u64>(),
                "{what}"
            );
            assert!(found.missing > 0 || !found.lost.is_empty(), "{what}: {found:?}");

            // Everything that was settled is counted, or among what is told to be lost; what is open is held.
            let store = store(dir.path()).await;
            let (ledger, journal) = start(dir.path(), &*store).await.unwrap();
            let balances = ledger.lock().balances(Timestamp::from_ms(3_000));
            let settled: i64 = balances.iter().map(|it| it.settled).sum();
            let held = ledger.lock().held().count();
            assert_eq!(held, found.held, "{what}");
            let lost = i64::try_from(found.missing + found.unnamed).unwrap();
            let ended = CALLS - CALLS / 10;
            assert!(settled <= ended && settled + lost >= ended, "{what}: {settled} of {ended}: {found:?}");
            let page = crate::store::Page::new(1_000, 0);
            let records = store.records(&RecordFilter::default(), &Reach::ALL, page).await.unwrap();
            let recorded: u64 = records.items.iter().map(|it| it.usage.output_tokens()).sum();
            let unrecorded = i64::try_from(found.nameless).unwrap();
            assert!(
                i64::try_from(recorded).unwrap() + unrecorded >= settled,
                "{what}: {settled} are settled, {recorded} recorded: {found:?}"
            );
            drop(journal);
            store.close().await;
            let again = repair(&options(dir.path())).await.unwrap();
            assert_eq!(
                again,
                Repair { kept: None, found: Found::default() },
                "{what}: nothing is left to mend"
            );
        }
    }
}

use std::sync::Arc;

use jiff::tz::TimeZone;
use parking_lot::Mutex;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::Ledger;

use super::*;
use crate::ManualClock;
use crate::journal::{Disk, Journal, JournalOptions};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// A data directory with a database, and no journal yet.
async fn data(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    make_private_dir(&data).unwrap();
    let address = data.join(DATABASE).display().to_string();
    store::open(&address, TimeZone::UTC).await.unwrap().close().await;
    data
}

async fn made(dir: &Path) -> PathBuf {
    let (data, file) = (data(dir).await, dir.join("backup.tar"));
    backup(&data, &data.join(DATABASE), &file, at(1_000)).await.unwrap();
    file
}

#[tokio::test]
async fn a_backup_comes_back_into_an_empty_directory_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = made(dir.path()).await;
    let there = dir.path().join("there");
    let manifest = restore(&file, &there).unwrap();
    assert_eq!((manifest.format, manifest.made_at, manifest.files.len()), (1, at(1_000), 1));
    let address = there.join(DATABASE).display().to_string();
    store::open(&address, TimeZone::UTC).await.unwrap().close().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for path in [&file, &there.join(DATABASE)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }
    let error = restore(&file, &there).unwrap_err();
    assert!(error.message().contains("isn't empty"), "{error}");

    let taken = dir.path().join("taken");
    make_private_dir(&taken).unwrap();
    let owner = Owner::take(&taken).unwrap();
    let error = restore(&file, &taken).unwrap_err();
    assert!(error.message().contains("in use by process"), "{error}");
    drop(owner);
    restore(&file, &taken).unwrap();
}

#[tokio::test]
async fn what_cannot_be_backed_up_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = made(dir.path()).await;
    let data = dir.path().join("data");
    let again = backup(&data, &data.join(DATABASE), &file, at(0)).await.unwrap_err();
    assert!(again.message().contains("exists"), "{again}");
    let nothing = backup(&data, &data.join("x.db"), &dir.path().join("b"), at(0)).await.unwrap_err();
    assert!(nothing.message().contains("no database"), "{nothing}");
    // A journal that begins after what the database knows is no backup.
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(&data.join(JOURNAL)).unwrap());
    let ledger = Arc::new(Mutex::new(Ledger::new(TimeZone::UTC)));
    let (clock, next) = (Arc::new(ManualClock::new(at(0))), (JournalId(1), 500));
    let journal = Journal::start(ledger, disk, clock, JournalOptions::default(), next, &[]).unwrap();
    let gap = backup(&data, &data.join(DATABASE), &dir.path().join("b"), at(0)).await.unwrap_err();
    assert!(gap.message().contains("0000000001.journal"), "{gap}");
    assert!(gap.message().contains("events are missing"), "{gap}");
    drop(journal);
    let mut left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["backup.tar", "data"]);
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(made(dir.path()).await).unwrap();
    let flip = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let renamed = String::from_utf8_lossy(&whole[..1_024]).contains("sluicegate.db");
    assert!(renamed, "the manifest is the first thing");
    let place = |word: &[u8]| whole.windows(word.len()).position(|it| it == word).unwrap();
    let mut outside = whole.clone();
    let name = place(b"\"sluicegate.db\"");
    outside[name..name + 15].copy_from_slice(b"\"../../gate.db\"");
    for (bytes, says) in [
        (whole[..700].to_vec(), "can't be used"),
        (whole[..whole.len() / 2].to_vec(), "can't be used"),
        (flip(whole.len() / 2), "is damaged"),
        (outside, "which no data directory has"),
        (b"not a backup at all".repeat(100), "can't be used"),
        (Vec::new(), "it is empty"),
    ] {
        let file = dir.path().join("damaged.tar");
        fs::write(&file, bytes).unwrap();
        let there = dir.path().join("there");
        let error = restore(&file, &there).unwrap_err();
        assert!(error.message().contains(says), "{error}");
        refuse_data(&there).unwrap();
    }
}

#[test]
fn an_embedded_database_is_found_and_others_are_told_apart() {
    let host = HostSettings::default();
    let data = Path::new("d");
    for (address, want) in [
        (None, Ok("d/sluicegate.db")),
        (Some("x.db"), Ok("x.db")),
        (Some("sqlite:x.db"), Ok("x.db")),
        (Some("sqlite:///v/x.db"), Ok("/v/x.db")),
        (Some("postgres://u:p@h/d"), Err("pg_dump")),
        (Some("memory"), Err("nothing to copy")),
    ] {
        match (database_of(address, &host, data), want) {
            (Ok(path), Ok(want)) => assert_eq!(path, Path::new(want)),
            (Err(error), Err(says)) => assert!(error.message().contains(says), "{error}"),
            (got, want) => panic!("{got:?} instead of {want:?}"),
        }
    }
}

#[test]
fn a_segment_is_copied_without_its_empty_rest() {
    let mut bytes = vec![0; 1 << 20];
    assert!(used(&bytes).is_empty());
    bytes[5] = 1;
    assert_eq!(used(&bytes).len(), 5 + (1 << 16));
    bytes[(1 << 20) - 1] = 1;
    assert_eq!(used(&bytes).len(), 1 << 20);
}

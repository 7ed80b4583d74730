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
use crate::start::address_of;
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
    let store = store::open(&address_of(options, &loaded.host), time_zone.clone()).await?;
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

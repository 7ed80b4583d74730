//! `backup` and `restore`: the data directory in one file, and back.

use std::process::ExitCode;

use sluicegate::backup::{self, Manifest};
use sluicegate::core::Clock as _;

use super::{exit, serve};
use crate::args::{Backup, Restore};
use crate::client::Failure;

/// Copies, and says what of it lies elsewhere.
pub(crate) fn run(args: &Backup) -> ExitCode {
    crate::log::start();
    exit(sluicegate_server::block_on(make(args)).map(|manifest| {
        out!("{}: {}", args.to.display(), summary(&manifest));
        out!("    the master secret isn't in it: without it the stored credentials can't be opened, so keep it too");
    }))
}

async fn make(args: &Backup) -> Result<Manifest, Failure> {
    let config = serve::configuration(args.config.as_deref())?;
    let host = sluicegate::load(config.as_ref(), &sluicegate::process_variables()).host;
    let data = serve::data_dir(args.data.as_deref(), &host);
    let made = async {
        let database = backup::database_of(args.database.as_deref(), &host, &data)?;
        backup::backup(&data, &database, &args.to, sluicegate::SystemClock.now()).await
    };
    made.await.map_err(|error| error.to_string())
}

/// Puts a backup in its place.
pub(crate) fn run_restore(args: &Restore) -> ExitCode {
    crate::log::start();
    let restored = backup::restore(&args.from, &args.data).map_err(|error| error.to_string());
    exit(restored.map(|manifest| {
        out!("{}: {}", args.data.display(), summary(&manifest));
        out!(
            "    start the gateway with --data {}, and with the same master secret as before",
            args.data.display()
        );
    }))
}

fn summary(manifest: &Manifest) -> String {
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let segments = manifest.files.len().saturating_sub(1);
    format!("the database and {segments} segments of the journal, {bytes} bytes")
}

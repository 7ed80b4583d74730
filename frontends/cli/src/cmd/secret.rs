//! `secret`: another master secret, for a gateway that doesn't run.

use std::path::Path;
use std::process::ExitCode;

use sluicegate::admin::{Actor, Rotated};
use sluicegate::secret::MasterSource;
use sluicegate::{Gateway, Secret};

use super::exit;
use crate::args::Stopped;
use crate::args::secret::{MasterSecret, SecretCommand};
use crate::client::Failure;
use crate::cmd::ledger::options;

/// Holds the new secret, where it is to be in no file.
const NEW: &str = "SLUICEGATE_NEW_MASTER_SECRET";

/// Does what was asked.
pub(crate) fn run(args: &MasterSecret) -> ExitCode {
    let SecretCommand::Rotate { to } = &args.command;
    exit(rotate(&args.stopped, to.as_deref()))
}

fn rotate(stopped: &Stopped, to: Option<&Path>) -> Result<(), Failure> {
    let Some(options) = options(stopped)? else {
        return Err(
            "stop every gateway on the database, and name the data directory of one: --data DIR".to_owned()
        );
    };
    let variable = (options.variables)(NEW).filter(|text| !text.is_empty()).map(Secret::new);
    if variable.is_some() == to.is_some() {
        return Err(format!("give the new secret by --to FILE, or in {NEW}"));
    }
    let place = to.map(|path| path.display().to_string());
    let path = to.map(Path::to_owned).unwrap_or_default();
    let source = MasterSource { variable, path, data_dir: options.data_dir.clone() };
    let done = sluicegate_server::block_on(async {
        // First: what is there already, or can't be, is told before the secret is made.
        let gateway = Gateway::open(options).await?;
        let done = async {
            let new = source.load_or_create()?;
            gateway.rotate_secret(&Actor::operator(), &new).await
        };
        let done = done.await;
        gateway.shutdown().await;
        done
    });
    out!("{}", told(&done.map_err(|error| error.to_string())?, place.as_deref()));
    Ok(())
}

fn told(done: &Rotated, place: Option<&str>) -> String {
    let Rotated { channels, credentials, second_steps, last } = done;
    let start = match place {
        Some(path) => {
            format!("SLUICEGATE_MASTER_SECRET_FILE={path}, or with that file in the place of the one before")
        }
        None => "it in SLUICEGATE_MASTER_SECRET".to_owned(),
    };
    format!(
        "sealed anew: the credentials of {channels} channels, {credentials} that channels share, {second_steps} second steps\n\
         the audit trail goes on under the new secret after event {last}\n    \
         start every gateway with {start}\n    \
         keep the secret from before, apart, as long as backups from before"
    )
}

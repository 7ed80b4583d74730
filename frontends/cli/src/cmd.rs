//! A file per verb.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod policy;
pub(crate) mod serve;

use std::process::ExitCode;

use crate::client::Failure;

/// Prints what went wrong, and says so to the shell.
fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

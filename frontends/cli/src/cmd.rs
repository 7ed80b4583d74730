//! A file per verb.

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod policy;
pub(crate) mod prices;
pub(crate) mod providers;
pub(crate) mod replay;
pub(crate) mod secret;
pub(crate) mod serve;

use std::io::Write as _;
use std::process::ExitCode;

use crate::client::Failure;

/// What a check has found.
struct Report {
    /// For standard output.
    text: String,
    /// Whether what was checked can be used.
    verdict: Result<(), Failure>,
}

impl Report {
    /// Prints it, and says the verdict to the shell.
    fn tell(self) -> ExitCode {
        out!("{}", self.text);
        exit(self.verdict)
    }
}

/// Prints to standard output. Who reads it may have seen enough (`| head`): then there is nobody left to tell, and what was begun goes on,
/// to its own end.
pub(crate) fn print(what: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(what).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => {}
        Err(why) => {
            eprintln!("error: standard output can't be written: {why}");
            std::process::exit(1)
        }
    }
}

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

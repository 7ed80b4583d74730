//! The `sluicegate` binary: the gateway, and what an operator does around it. A file per verb in `cmd/`.

/// Prints a line for whoever reads standard output.
macro_rules! out {
    ($($what:tt)*) => {
        $crate::cmd::print(format_args!("{}\n", format_args!($($what)*)))
    };
}

/// The same without the end of the line.
macro_rules! out_as_is {
    ($($what:tt)*) => {
        $crate::cmd::print(format_args!($($what)*))
    };
}

mod args;
mod client;
mod cmd;
mod log;
mod memory;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match args.command {
        args::Command::Serve(serve) => cmd::serve::run(&serve),
        args::Command::Check(check) => cmd::check::run(&check),
        args::Command::Keys(keys) => cmd::keys::run(&keys),
        args::Command::Apply(apply) => cmd::apply::run(&apply),
        args::Command::Explain(explain) => cmd::explain::run(&explain),
        args::Command::Replay(replay) => cmd::replay::run(&replay),
        args::Command::Policy(policy) => cmd::policy::run(&policy),
        args::Command::Prices(prices) => cmd::prices::run(&prices),
        args::Command::Ledger(ledger) => cmd::ledger::run(&ledger),
        args::Command::Audit(audit) => cmd::audit::run(&audit),
        args::Command::Secret(secret) => cmd::secret::run(&secret),
        args::Command::Providers(providers) => cmd::providers::run(&providers),
        args::Command::Backup(backup) => cmd::backup::run(&backup),
        args::Command::Restore(restore) => cmd::backup::run_restore(&restore),
    }
}

//! `audit`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Remote, Stopped};

/// Verify and export who changed what.
///
/// Of a running gateway over its API (--url), of one that is stopped from its data directory (--data).
#[derive(Debug, ClapArgs)]
pub(crate) struct Audit {
    /// Where a running gateway is, and who asks.
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Where one that doesn't run has its data.
    #[command(flatten)]
    pub(crate) stopped: Stopped,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the newest event's number and code, to be kept where whoever runs the database can't write.
    Anchor {
        /// Append it to this file, a line each, instead of printing it.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Check that every event is what was written. Exit status 0: all is; 1: something was changed, removed or put in; 2: it
    /// couldn't be checked.
    Verify {
        /// A file of anchors that were taken earlier, a line each.
        #[arg(long, value_name = "FILE")]
        anchors: Option<PathBuf>,
    },
}

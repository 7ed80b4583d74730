//! `secret`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::Stopped;

/// Change the master secret.
#[derive(Debug, ClapArgs)]
pub(crate) struct MasterSecret {
    /// Where the gateway has its data.
    #[command(flatten)]
    pub(crate) stopped: Stopped,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: SecretCommand,
}

/// What to do with the master secret.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Seal everything that is sealed under the present master secret under another one, and let the audit trail go on under that.
    ///
    /// Every gateway on the database must have been stopped (--data names the data directory of one), and is started with the new
    /// secret then. The present one is taken from where `serve` takes it, the new one from SLUICEGATE_NEW_MASTER_SECRET or --to.
    Rotate {
        /// The new secret's file; made with a new secret if it isn't there.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

//! Making a gateway what files say.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Remote;

/// Make a running gateway what files declare: organizations, groups, users, memberships, keys, channels, policies.
///
/// What the files don't name stays as it is, unless --prune says otherwise. What is the same already isn't touched, so that
/// applying twice changes nothing the second time.
#[derive(Debug, ClapArgs)]
pub(crate) struct Apply {
    /// A file, or a folder of *.yaml and *.yml files; may be given several times.
    #[arg(long, short, value_name = "DIR|FILE", required = true)]
    pub(crate) file: Vec<PathBuf>,
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove what an earlier apply has made and the files name no longer.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Write the secrets of keys that are made into this file, one `ALIAS SECRET` a line, instead of printing them.
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets_to: Option<PathBuf>,
    /// The gateway.
    #[command(flatten)]
    pub(crate) remote: Remote,
}

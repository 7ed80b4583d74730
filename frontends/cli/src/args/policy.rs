//! `policy`, for versions on a running gateway.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::Remote;

/// What to do with policies of a running gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum Running {
    /// List the policies of a running gateway.
    List(At<Everything>),
    /// Store a script as a new version of a policy, a draft: what runs stays.
    Put(At<Put>),
    /// List the versions of a policy, newest first.
    Versions(At<Named>),
    /// Print the script of a version.
    Show(At<Show>),
    /// Try a version beside the one that runs, look how it compares, or end the trial.
    Shadow(At<Shadow>),
    /// Take a version into use.
    Activate(At<Activate>),
    /// Take the version that runs back, and put the one before it into its place.
    Rollback(At<Rollback>),
    /// Say what differs between two versions.
    Diff(At<Diff>),
    /// Remove a policy with all its versions.
    Remove(At<Named>),
}

/// Where, who asks, and for what.
#[derive(Debug, ClapArgs)]
pub(crate) struct At<T: ClapArgs> {
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) what: T,
}

/// Nothing more to say.
#[derive(Debug, ClapArgs)]
pub(crate) struct Everything {}

/// A policy.
#[derive(Debug, ClapArgs)]
pub(crate) struct Named {
    /// The policy.
    pub(crate) name: String,
}

/// A version to be stored.
#[derive(Debug, ClapArgs)]
pub(crate) struct Put {
    /// The script, its tests included.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The policy [default: the file's name].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The group whose calls it steers, by id or alias.
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// The key whose calls it steers, by id.
    #[arg(long, conflicts_with = "group")]
    pub(crate) key: Option<String>,
    /// The organization whose calls it steers.
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Refuse a call when the script fails, instead of going on as if it had said nothing.
    #[arg(long)]
    pub(crate) fail_closed: bool,
    /// Why it is put.
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// Take it into use at once, if its tests pass.
    #[arg(long)]
    pub(crate) activate: bool,
}

/// A version to be shown.
#[derive(Debug, ClapArgs)]
pub(crate) struct Show {
    /// The policy.
    pub(crate) name: String,
    /// The version's number [default: the one that runs, else the newest].
    #[arg(value_name = "N")]
    pub(crate) number: Option<i64>,
}

/// A version to be tried.
#[derive(Debug, ClapArgs)]
pub(crate) struct Shadow {
    /// The policy.
    pub(crate) name: String,
    /// The version's number [default: the newest].
    #[arg(value_name = "N")]
    pub(crate) number: Option<i64>,
    /// Say how the version in shadow compares with what runs.
    #[arg(long, conflicts_with_all = ["number", "end"])]
    pub(crate) report: bool,
    /// End the trial.
    #[arg(long, conflicts_with = "number")]
    pub(crate) end: bool,
}

/// A version to be taken into use.
#[derive(Debug, ClapArgs)]
pub(crate) struct Activate {
    /// The policy.
    pub(crate) name: String,
    /// The version's number [default: the newest].
    #[arg(value_name = "N")]
    pub(crate) number: Option<i64>,
    /// Leave it in use however it does: it isn't taken back by itself.
    #[arg(long)]
    pub(crate) unwatched: bool,
}

/// Where to go back to.
#[derive(Debug, ClapArgs)]
pub(crate) struct Rollback {
    /// The policy.
    pub(crate) name: String,
    /// The version to go back to [default: the one before].
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<i64>,
    /// Why.
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Two versions.
#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// The policy.
    pub(crate) name: String,
    /// The older side [default: the version that runs].
    #[arg(long, value_name = "N")]
    pub(crate) from: Option<i64>,
    /// The newer side [default: the newest].
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<i64>,
}

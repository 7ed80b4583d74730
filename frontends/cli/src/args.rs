//! The command line.

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod policy;
pub(crate) mod prices;
pub(crate) mod secret;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// One policy engine for LLM API traffic: who may call what, where it goes, and what it may cost.
#[derive(Debug, Parser)]
#[command(name = "sluicegate", version, propagate_version = true)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    Serve(Serve),
    /// Check a configuration file and say everything that is wrong with it at once.
    Check(Check),
    /// Create, list and manage keys on a running gateway.
    Keys(Keys),
    /// Make a running gateway what files declare: tenants, keys, channels, policies.
    Apply(apply::Apply),
    /// Say why a key's call to a model would go where, without making it.
    Explain(Explain),
    /// Say what recorded calls would have come to under another policy or configuration, without making them.
    Replay(Replay),
    /// Check policies and run their tests, without a gateway; change those of a running one.
    Policy(Policy),
    /// Look into what is reserved, held and settled, and put it right.
    Ledger(Ledger),
    /// Verify who changed what, and take anchors of it.
    Audit(audit::Audit),
    /// Change the master secret of a gateway that is stopped.
    Secret(secret::MasterSecret),
    /// Look at prices, take over those of other systems, compare them.
    Prices(prices::Prices),
    /// List the providers that are known, and show what is known of one.
    Providers(Providers),
    /// Copy the data directory into one file, while the gateway may be running.
    Backup(Backup),
    /// Put a backup into an empty data directory.
    Restore(Restore),
}

/// Run the gateway.
///
/// A setting is taken from the command line first, then from the environment (SLUICEGATE_HOST, PORT, DATABASE_URL or
/// SQL_DSN, LITELLM_MASTER_KEY and others), then from the file, then from its default. Without --config and without a
/// file `sluicegate.yaml` here, a demonstration is served: one channel, `mock`, that answers by itself, on this machine
/// only.
#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// The configuration file: ours, a LiteLLM config.yaml, or a New API channel list.
    #[arg(long, short, value_name = "FILE", env = "SLUICEGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1].
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// The port to listen on; 0 picks a free one [default: 4000; 3000 for a New API file].
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The database: postgres://…, sqlite:PATH or `memory` [default: embedded in the data directory].
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The data directory [default: ./data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A file whose only line is the administrator's key.
    #[arg(long, value_name = "FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// Worker threads [default: one for each core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) workers: Option<u16>,
}

/// Check a configuration file.
#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Don't try whether the database can be reached.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// List the providers of the built-in catalogue.
#[derive(Debug, ClapArgs)]
pub(crate) struct Providers {
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ProvidersCommand,
}

/// What to do with providers.
#[derive(Debug, Subcommand)]
pub(crate) enum ProvidersCommand {
    /// List them, by id.
    List(ProviderFilter),
    /// Show one, with what is different there.
    Show {
        /// Its id or another name of it.
        id: String,
    },
}

/// Which providers.
#[derive(Debug, ClapArgs)]
pub(crate) struct ProviderFilter {
    /// Only those of this region: cn, intl, global, eu, us, local …
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Only those that speak this format: openai_chat, openai_responses, openai_embeddings, anthropic_messages, gemini.
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// Only those that this version calls.
    #[arg(long)]
    pub(crate) served: bool,
}

/// Where a running gateway is, and who asks.
#[derive(Debug, ClapArgs)]
pub(crate) struct Remote {
    /// The gateway's address.
    #[arg(long, env = "SLUICEGATE_URL", default_value = "http://127.0.0.1:4000", global = true)]
    pub(crate) url: String,
    /// The administrator's key, or another that may administer [default: SLUICEGATE_MASTER_KEY, then LITELLM_MASTER_KEY of
    /// the environment].
    #[arg(long = "admin-key", value_name = "KEY", global = true)]
    pub(crate) admin_key: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub(crate) format: Format,
}

/// Where a gateway that doesn't run has its data.
#[derive(Debug, ClapArgs)]
pub(crate) struct Stopped {
    /// The data directory of a gateway that doesn't run.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data: Option<PathBuf>,
    /// Its configuration file, with --data [default: sluicegate.yaml here, if there is one].
    #[arg(long, short, value_name = "FILE", env = "SLUICEGATE_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Its database, with --data, as `serve` takes it.
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) database: Option<String>,
}

/// Manage keys on a running gateway.
#[derive(Debug, ClapArgs)]
pub(crate) struct Keys {
    /// Where, and who asks.
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Create a key and print it: it is shown this once.
    Create(KeyCreate),
    /// List keys.
    List {
        /// Only keys of this group, by id or name.
        #[arg(long)]
        group: Option<String>,
        /// Only keys of this user.
        #[arg(long)]
        user: Option<String>,
    },
    /// Show one key, its limits and what is left of them.
    Info {
        /// Its id or alias.
        key: String,
    },
    /// Delete keys. Calls with them are refused from then on.
    Delete {
        /// Their ids or aliases.
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Refuse calls with a key until it is unblocked.
    Block {
        /// Its id or alias.
        key: String,
    },
    /// Take calls with a key again.
    Unblock {
        /// Its id or alias.
        key: String,
    },
    /// Replace the secret of a key by a new one and print it.
    Regenerate {
        /// Its id or alias.
        key: String,
    },
}

/// A new key.
#[derive(Debug, ClapArgs)]
pub(crate) struct KeyCreate {
    /// A name for people.
    #[arg(long)]
    pub(crate) alias: Option<String>,
    /// The group that it spends for, by id or name.
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// The user that it belongs to.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Models that it may call, names or prefixes ending in `*` [default: all of its group's].
    #[arg(long, value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// A limit, such as total_tokens/day=2M, spend/month=100USD or requests/minute=20. May be repeated.
    #[arg(long = "limit", value_name = "METRIC/WINDOW=MAX")]
    pub(crate) limits: Vec<String>,
    /// How long it is valid, such as 30d [default: for ever].
    #[arg(long, value_name = "DURATION")]
    pub(crate) ttl: Option<String>,
}

/// Say why a call would go where.
#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// Where the gateway is, and who asks.
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// The model that would be called.
    #[arg(long)]
    pub(crate) model: String,
    /// The key that would call: the key itself, its id or its alias [default: whoever asks].
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// The size of the prompt, in tokens.
    #[arg(long, default_value_t = 0)]
    pub(crate) input_tokens: u64,
    /// The output ceiling that the call would name, in tokens.
    #[arg(long)]
    pub(crate) max_output: Option<u64>,
    /// The format of the call: openai_chat, anthropic_messages, gemini_generate or openai_embeddings.
    #[arg(long, default_value = "openai_chat")]
    pub(crate) call_format: String,
    /// Whether the call would be streamed.
    #[arg(long)]
    pub(crate) stream: bool,
    /// Tags of the call.
    #[arg(long, value_delimiter = ',')]
    pub(crate) tags: Vec<String>,
}

/// Replay recorded calls.
///
/// Reads usage records from the database, while the gateway may be running, and lets the engine decide them again in virtual
/// time. No upstream is asked, and nothing is charged or recorded. See docs/replay.md.
#[derive(Debug, ClapArgs)]
pub(crate) struct Replay {
    /// A script to try; may be repeated. It takes the place of the configuration's script with the file's name (without
    /// .rhai), or runs behind the others for everybody [default: the configuration's scripts].
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Vec<PathBuf>,
    /// Leave the configuration's other scripts out.
    #[arg(long)]
    pub(crate) policy_only: bool,
    /// The configuration to try, or the gateway's own.
    #[arg(long, short, value_name = "FILE", env = "SLUICEGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// From when on: 2026-11-28T09:30:00Z, or a date.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: String,
    /// Until when, excluded: likewise, or `now`.
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub(crate) to: String,
    /// The database, as `serve` takes it.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The data directory [default: as for serve].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = ReplayFormat::Table)]
    pub(crate) format: ReplayFormat,
}

/// How to print a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayFormat {
    /// For people.
    Table,
    /// For programs: everything, in one document.
    Json,
    /// For spreadsheets: a row for each channel, model, organization, group and key.
    Csv,
}

/// Check policies and run their tests: no gateway is asked, and no configuration is read. Everything else is done on a running
/// gateway, over its API.
#[derive(Debug, ClapArgs)]
pub(crate) struct Policy {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say everything that is wrong with scripts and their tests, with line and column. Exit status 1 says that one can't
    /// be used.
    Check(PolicyCheck),
    /// Run the tests in scripts' own files: functions `test_…`. Exit status 1 says that one fails, or that a file has none.
    Test(PolicyTest),
    #[command(flatten)]
    Running(policy::Running),
}

/// Check scripts.
#[derive(Debug, ClapArgs)]
pub(crate) struct PolicyCheck {
    /// The scripts; a directory means every `.rhai` in it.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// A module that they import, besides every `.rhai` in `modules` beside each script.
    #[arg(long = "module", value_name = "NAME=FILE")]
    pub(crate) modules: Vec<String>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Run scripts' tests.
#[derive(Debug, ClapArgs)]
pub(crate) struct PolicyTest {
    /// The scripts; a directory means every `.rhai` in it.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// A module that they import, besides every `.rhai` in `modules` beside each script.
    #[arg(long = "module", value_name = "NAME=FILE")]
    pub(crate) modules: Vec<String>,
    /// Only tests with this in their names.
    #[arg(long, value_name = "NAME")]
    pub(crate) filter: Option<String>,
    /// Don't fail when there is nothing to run.
    #[arg(long)]
    pub(crate) allow_none: bool,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Look into the ledger.
///
/// Of a running gateway over its API (--url), of one that is stopped from its data directory (--data).
#[derive(Debug, ClapArgs)]
pub(crate) struct Ledger {
    /// Where a running gateway is, and who asks.
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Where one that doesn't run has its data.
    #[command(flatten)]
    pub(crate) stopped: Stopped,
    /// Print the answer for programs: the same as --format json.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Show how the journal and the ledger stand.
    Status,
    /// List reservations whose outcome nobody knows.
    Held {
        /// Only this call's.
        #[arg(long)]
        call: Option<String>,
        /// Only those that hold something of this scope's, such as key:k1 or global.
        #[arg(long, value_name = "KIND:ID")]
        scope: Option<String>,
        /// Only those at this channel.
        #[arg(long)]
        channel: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// How many to leave out at the start.
        #[arg(long, default_value_t = 0)]
        offset: u64,
    },
    /// Settle a held reservation. Doing it again changes nothing.
    Reconcile(Reconcile),
    /// Compare every balance with the usage records. Exit status 1 says that one differs.
    Audit,
    /// Mend a damaged journal while no gateway runs: keeps a copy and all that can be read, and says what is lost.
    Repair,
}

/// What a held reservation came to.
#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("charge").required(true))]
pub(crate) struct Reconcile {
    /// The call.
    pub(crate) call: String,
    /// Which of its attempts, counted from 1; needed when several are held.
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// What it used, as the upstream says: input=N,output=N, and cache_read, cache_write, reasoning, or spend=USD.
    #[arg(long, value_name = "input=N,output=N", group = "charge")]
    pub(crate) used: Option<String>,
    /// It used nothing.
    #[arg(long, group = "charge")]
    pub(crate) free: bool,
    /// Charge all that is held.
    #[arg(long, group = "charge")]
    pub(crate) charge_reserved: bool,
}

/// Copy the data directory and its embedded database into one file, while the gateway may be running.
///
/// The master secret, which opens the stored credentials, isn't in the file: keep it too, and elsewhere. A PostgreSQL
/// database has backups of its own; docs/operations.md says what to keep beside them.
#[derive(Debug, ClapArgs)]
pub(crate) struct Backup {
    /// The new file.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// The data directory [default: as for serve].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The embedded database, if it isn't in the data directory [default: as for serve].
    #[arg(long, value_name = "PATH")]
    pub(crate) database: Option<String>,
    /// The configuration file that the gateway runs with.
    #[arg(long, short, value_name = "FILE", env = "SLUICEGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// Put a backup into an empty data directory. A gateway that is started on it goes on where the backup was made.
#[derive(Debug, ClapArgs)]
pub(crate) struct Restore {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// The data directory; made if it doesn't exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_documented_lines_parse() {
        for line in [
            "sluicegate serve",
            "sluicegate serve --config f.yaml --host 0.0.0.0 --port 80 --database sqlite:x --data d --workers 2",
            "sluicegate check f.yaml --format json",
            "sluicegate keys create --alias a --group g --limit total_tokens/day=2M --limit spend/month=100USD",
            "sluicegate keys list --url http://x --admin-key sk-1",
            "sluicegate explain --model m --key k --stream",
            "sluicegate replay --policy new.rhai --config f.yaml --from 2026-11-01 --to 2026-11-28T12:00:00Z --format csv",
            "sluicegate replay --from 2026-11-01 --data d",
            "sluicegate policy check a.rhai b.rhai --format json",
            "sluicegate policy test examples/policies --filter canary --allow-none",
            "sluicegate policy list --url http://x --admin-key sk-1",
            "sluicegate policy put night.rhai --group g --fail-closed --note why --activate",
            "sluicegate policy versions night --format json",
            "sluicegate policy show night 2",
            "sluicegate policy shadow night 2",
            "sluicegate policy shadow night --report",
            "sluicegate policy shadow night --end",
            "sluicegate policy activate night 3 --unwatched",
            "sluicegate policy rollback night --to 1 --reason slow",
            "sluicegate policy diff night --from 1 --to 2",
            "sluicegate policy remove night",
            "sluicegate prices show",
            "sluicegate prices show gpt-5.4 --provider openai --json",
            "sluicegate prices import map.json --format litellm --out prices.yaml",
            "sluicegate prices diff built-in prices.yaml --json",
            "sluicegate ledger status --json",
            "sluicegate ledger held --scope key:k1 --data d",
            "sluicegate ledger reconcile call-1 --used input=1,output=2",
            "sluicegate ledger reconcile call-1 --attempt 2 --free",
            "sluicegate ledger audit --data d --config f.yaml --database memory",
            "sluicegate ledger repair --data d",
            "sluicegate audit anchor --to anchors.jsonl",
            "sluicegate audit verify --anchors anchors.jsonl --url http://x --admin-key sk-1",
            "sluicegate audit verify --data d --config f.yaml",
            "sluicegate backup --data d --to b.tar",
            "sluicegate restore --from b.tar --data d",
        ] {
            assert!(Args::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        assert!(Args::try_parse_from(["sluicegate", "serve", "--workers", "0"]).is_err());
        for line in
            ["sluicegate ledger reconcile call-1", "sluicegate ledger reconcile c --free --charge-reserved"]
        {
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

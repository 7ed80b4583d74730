//! What the whole installation is and how it stands, for whoever operates it.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sluicegate_config::{HostSettings, Severity};
use sluicegate_core::{ChannelId, Result, Timestamp};

use super::{Actor, Admin, LedgerStatus, forbidden};

/// What the gateway around the service is.
#[derive(Clone, Debug)]
pub struct About {
    /// When it was started.
    pub started_at: Timestamp,
    /// The database's kind: `sqlite`, `postgres` or `memory`.
    pub database: &'static str,
    /// The host's settings.
    pub host: HostSettings,
    /// How bad the findings in the configuration are, one each.
    pub findings: Vec<Severity>,
    /// Channels that can't be sent to, and why.
    pub problems: Vec<(ChannelId, String)>,
}

/// How the installation stands, seen from one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemView {
    /// The version.
    pub version: &'static str,
    /// How it was built: `release` or `debug`, the machine and the system.
    pub build: String,
    /// The time on this node.
    pub now: Timestamp,
    /// When this node was started.
    pub started_at: Timestamp,
    /// How long ago that was, in milliseconds.
    pub uptime_ms: i64,
    /// Memory of the process, in bytes, where the system says so.
    pub memory_bytes: Option<u64>,
    /// Processors that it may use.
    pub processors: usize,
    /// The database.
    pub database: DatabaseView,
    /// The ledger and its journal.
    pub ledger: LedgerStatus,
    /// The nodes whose journals the database knows, this one among them.
    pub nodes: Vec<NodeView>,
    /// The configuration in force.
    pub configuration: ConfigurationView,
    /// The channels.
    pub channels: ChannelCounts,
}

/// The database, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseView {
    /// `sqlite`, `postgres` or `memory`.
    pub kind: &'static str,
    /// Whether it answers.
    pub answers: bool,
    /// How long it took to, in microseconds.
    pub took_us: u64,
    /// How many events its audit trail has.
    pub events: i64,
}

/// A node, by its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// Its journal.
    pub journal: String,
    /// The number of the first event of it that isn't in the database.
    pub stored: u64,
    /// Whether it is the node that answers.
    pub this: bool,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigurationView {
    /// The file, if there is one.
    pub file: Option<String>,
    /// Counts up with each change that was taken into use.
    pub version: u64,
    /// A digest of what decisions depend on: the same on nodes that decide alike.
    pub digest: u64,
    /// Errors, warnings and notes about the file; `GET /api/v1/diagnostics` lists them.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

/// How many channels there are, and how they are doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelCounts {
    /// All.
    pub total: usize,
    /// Switched on.
    pub enabled: usize,
    /// Of them, benched for a time.
    pub benched: usize,
    /// Of them, out until somebody mends them.
    pub broken: usize,
    /// Of them, those that can't be sent to, and why.
    pub problems: Vec<ChannelProblem>,
}

/// A channel that can't be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelProblem {
    /// The channel.
    pub channel: ChannelId,
    /// What is wrong.
    pub message: String,
}

/// The host's settings that may be shown: none of them is, or holds, a secret.
const SHOWN: [&str; 19] = [
    "host",
    "port",
    "data_dir",
    "body_limit_bytes",
    "upload_limit_bytes",
    "present_as_requested",
    "translation",
    "trusted_proxies",
    "dangerously_permit_weak_or_unset_master_key",
    "store_model_in_db",
    "metrics",
    "compat",
    "demo_channel",
    "durability",
    "retention",
    "responses",
    "policy_rollback",
    "health_checks",
    "health_checks_at_once",
];

impl Admin {
    /// How the installation stands. For super administrators.
    ///
    /// # Errors
    /// `Forbidden`; `Store` when the database doesn't answer a second question.
    pub async fn system(&self, actor: &Actor) -> Result<SystemView> {
        let about = self.about(actor)?;
        let ledger = self.ledger_status(actor).await?;
        let begun = Instant::now();
        let answers = self.store().ping().await.is_ok();
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mine = self.0.host.journal().map(|journal| journal.id());
        let mut nodes = Vec::new();
        for id in self.store().journals().await? {
            let stored = self.store().position(id).await?;
            nodes.push(NodeView { journal: id.to_string(), stored, this: Some(id) == mine });
        }
        let (now, snapshot) = (self.now(), self.0.engine.snapshot());
        let count = |severity| about.findings.iter().filter(|it| **it == severity).count();
        let build = format!(
            "{} {}-{}",
            if cfg!(debug_assertions) { "debug" } else { "release" },
            std::env::consts::ARCH,
            std::env::consts::OS
        );
        Ok(SystemView {
            version: env!("CARGO_PKG_VERSION"),
            build,
            now,
            started_at: about.started_at,
            uptime_ms: now.since_ms(about.started_at),
            memory_bytes: memory_bytes(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            database: DatabaseView {
                kind: about.database,
                answers,
                took_us,
                events: self.store().head().await?,
            },
            ledger,
            nodes,
            configuration: ConfigurationView {
                file: self.0.host.config_file(),
                version: snapshot.version,
                digest: snapshot.digest(),
                errors: count(Severity::Error),
                warnings: count(Severity::Warning),
                notes: count(Severity::Note),
            },
            channels: self.channel_counts(about),
        })
    }

    /// The settings in force that no other operation shows, without any secret, by their parts.
    pub(super) fn settings_in_force(&self, actor: &Actor) -> Result<Map<String, Value>> {
        let about = self.about(actor)?;
        let snapshot = self.0.engine.snapshot();
        let (declared, quota) = (&snapshot.declared, &snapshot.declared.quota);
        let mut host = match json!(about.host) {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        host.retain(|name, _| SHOWN.contains(&name.as_str()));
        host.insert("cors_origins".to_owned(), about.host.cors_origins().into());
        host.insert("tls".to_owned(), about.host.tls.is_some().into());
        host.insert("database".to_owned(), about.database.into());
        let guardrails: Vec<_> = declared.guardrails.iter().map(|it| &it.name).collect();
        let parts = json!({
            "file": self.0.host.config_file(),
            "server": host,
            "routing": declared.routing,
            "quota": {
                "time_zone": quota.time_zone.iana_name(),
                "default_output": quota.default_output,
                "min_output": quota.min_output,
                "on_unknown": quota.on_unknown,
                "unpriced": quota.unpriced,
                "apply_user_limits_to_group_keys": quota.apply_user_limits_to_group_keys,
                "rate_token_mode": quota.rate_token_mode,
                "reserve_wait_ms": quota.reserve_wait_ms,
            },
            "aliases": declared.aliases,
            "fallbacks": declared.fallbacks,
            "model_groups": declared.model_groups,
            "guardrails": guardrails,
        });
        Ok(parts.as_object().cloned().unwrap_or_default())
    }

    fn about(&self, actor: &Actor) -> Result<About> {
        let about = self.0.host.about().filter(|_| actor.is_super());
        about.ok_or_else(|| forbidden("look at the whole installation"))
    }

    fn channel_counts(&self, about: About) -> ChannelCounts {
        let (now, snapshot) = (self.now(), self.0.engine.snapshot());
        let enabled: Vec<_> = snapshot.channels().iter().filter(|channel| channel.enabled).collect();
        let health = enabled.iter().filter_map(|channel| self.0.engine.health(&channel.id, now));
        let (mut benched, mut broken) = (0, 0);
        for it in health {
            broken += usize::from(it.broken);
            benched += usize::from(!it.broken && it.benched_until.is_some_and(|until| until > now));
        }
        let problems = about.problems.into_iter();
        ChannelCounts {
            total: snapshot.channels().len(),
            enabled: enabled.len(),
            benched,
            broken,
            problems: problems.map(|(channel, message)| ChannelProblem { channel, message }).collect(),
        }
    }
}

/// What the process has in memory: Linux says so in a file.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}

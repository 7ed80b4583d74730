//! What a file says to the host rather than to the engine, completed from the environment.

use serde::{Deserialize, Serialize};
use sluicegate_core::channel::{SecretRef, Translation};
use sluicegate_core::check::CheckSettings;
use sluicegate_core::tenant::IpNetwork;

use crate::auth::AuthSettings;
use crate::database::{DatabaseUrl, ParsedDatabase, parse_database};
use crate::diagnostic::Severity;
use crate::reader::{Item, Load, parse_boolean};
use crate::yaml::Place;

/// The largest body that is taken when nothing else is said: 32 MiB.
pub const DEFAULT_BODY_LIMIT_BYTES: u64 = 32 * 1024 * 1024;
const DEFAULT_UPLOAD_LIMIT_BYTES: u64 = 512 * 1024 * 1024;

/// Settings of the host: where it listens, where it keeps its data, who may administer it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostSettings {
    /// The address to listen on. Default `127.0.0.1`.
    pub host: String,
    /// The port to listen on. Default 4000; for a New API file 3000, as there.
    pub port: u16,
    /// The database; `None` is the embedded one in the data directory.
    pub database: Option<DatabaseUrl>,
    /// A Redis server's address. Accepted, and not yet used.
    pub redis: Option<SecretRef>,
    /// The administrator's key; [`SecretRef::None`] when neither the file nor the environment has one.
    pub master_key: SecretRef,
    /// The secret that web sessions are signed with; [`SecretRef::None`] leaves it to the host.
    pub session_secret: SecretRef,
    /// Where balances, the journal and the embedded database live; `None` leaves it to the host.
    pub data_dir: Option<String>,
    /// A larger request body is refused. Default 32 MiB.
    pub body_limit_bytes: u64,
    /// A larger body that goes on while it comes, such as a form with files, is refused. Default 512 MiB.
    pub upload_limit_bytes: u64,
    /// Whether answers carry the model's name as it was requested instead of the upstream's. Default false; for a
    /// LiteLLM or New API file true.
    pub present_as_requested: bool,
    /// What becomes of calls that can't be translated whole, at channels that don't say it. Default: they lose something.
    pub translation: Translation,
    /// Whose forwarded client address counts.
    pub trusted_proxies: Vec<IpNetwork>,
    /// Origins whose pages may call with a key, as [`cors_origins`](Self::cors_origins) has them; `None` is all.
    pub cors_origins: Option<Vec<String>>,
    /// Serve beyond loopback with a weak or no administrator's key. Default false.
    pub dangerously_permit_weak_or_unset_master_key: bool,
    /// Whether the API may create models besides the file's. Default true.
    pub store_model_in_db: bool,
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
    /// What a monitoring system may show to read them; [`SecretRef::None`] leaves them to super administrators.
    pub metrics_token: SecretRef,
    /// How closely the compatible APIs follow the systems that they stand in for.
    pub compat: Compat,
    /// Add a demo channel when there is no other. Default true; loopback only, which the host sees to.
    pub demo_channel: bool,
    /// Whether the web console is served at `/`. Default true.
    pub console: bool,
    /// What to serve TLS with; `None` serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How people sign in, and whose tokens open calls.
    pub auth: AuthSettings,
    /// How firmly the journal is kept.
    pub durability: Durability,
    /// How long what was used is kept.
    pub retention: Retention,
    /// How much of what is done and kept for callers of `/v1/responses` one of them may have.
    pub responses: ResponseBounds,
    /// When a new version of a policy is taken back by itself.
    pub policy_rollback: PolicyRollback,
    /// Active health checks of every channel; `None`: only of those that ask for them.
    pub health_checks: Option<CheckSettings>,
    /// Health checks at the same time, at most. Default 4.
    pub health_checks_at_once: u32,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 4000,
            database: None,
            redis: None,
            master_key: SecretRef::None,
            session_secret: SecretRef::None,
            data_dir: None,
            body_limit_bytes: DEFAULT_BODY_LIMIT_BYTES,
            upload_limit_bytes: DEFAULT_UPLOAD_LIMIT_BYTES,
            present_as_requested: false,
            translation: Translation::default(),
            trusted_proxies: Vec::new(),
            cors_origins: None,
            dangerously_permit_weak_or_unset_master_key: false,
            store_model_in_db: true,
            metrics: MetricsAccess::default(),
            metrics_token: SecretRef::None,
            compat: Compat::default(),
            demo_channel: true,
            console: true,
            tls: None,
            auth: AuthSettings::default(),
            durability: Durability::default(),
            retention: Retention::default(),
            responses: ResponseBounds::default(),
            policy_rollback: PolicyRollback::default(),
            health_checks: None,
            health_checks_at_once: 4,
        }
    }
}

/// What TLS is served with. Read at the start, and again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// A file of certificates in PEM form: the server's first, then those between it and the authority.
    pub certificate: String,
    /// A file with its private key in PEM form.
    pub key: String,
}

/// When a new version of a policy is taken back by itself: it is watched for a time, and for so many of its calls at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyRollback {
    /// How long it is watched, in milliseconds; 0 never takes one back. Default 10 minutes.
    pub window_ms: u64,
    /// After so many calls it is watched no longer. Default 1,000.
    pub max_calls: u64,
    /// Before so many calls nothing is said of it; 1 at least. Default 20.
    pub min_calls: u64,
    /// It is taken back when its runs fail in more than so many of a hundred calls. Default 5.
    pub max_error_percent: u8,
    /// It is taken back when it refuses so many more of a hundred calls than the version before it did. Default 20; 100 never
    /// takes one back.
    pub max_denied_percent: u8,
}

impl Default for PolicyRollback {
    fn default() -> Self {
        Self {
            window_ms: 600_000,
            max_calls: 1_000,
            min_calls: 20,
            max_error_percent: 5,
            max_denied_percent: 20,
        }
    }
}

/// How long what was used is kept. Balances of limits don't depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Usage records, in milliseconds; a day at least. Default `None`: for ever, since they are what was charged.
    pub records_ms: Option<u64>,
    /// Daily sums, in milliseconds; 62 days at least, and no shorter than the records. After that one sum for each month is
    /// left. Default `None`: for ever.
    pub daily_sums_ms: Option<u64>,
    /// Responses that callers want kept (`store`, the default of `/v1/responses`), in milliseconds from their beginning; 0 keeps
    /// none. Default 30 days.
    pub responses_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { records_ms: None, daily_sums_ms: None, responses_ms: 30 * 86_400_000 }
    }
}

impl Retention {
    /// Records are kept for a day at least.
    pub const RECORDS_MIN_MS: u64 = 86_400_000;
    /// Daily sums are kept so long at least: what this month and the last one used is asked for by day.
    pub const DAILY_SUMS_MIN_MS: u64 = 62 * 86_400_000;
}

/// How much of what is done and kept for callers of `/v1/responses` there may be, of all and of one owner: a user within a group, a
/// group, a user, or a key that belongs to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseBounds {
    /// So many responses are worked on in the background at a time; where several organizations ask, half of them for one. Default 1,024.
    pub background: u32,
    /// Of them, so many of one owner's. Default 64.
    pub background_per_owner: u32,
    /// So many bytes are held in memory for them: requests with all that they go on from, what is kept of their input, what is sent of them, and events of
    /// those that are streamed; where several organizations ask, half of them for one. Default 256 MiB.
    pub background_bytes: u64,
    /// Of them, so many for one owner. Default 64 MiB.
    pub background_bytes_per_owner: u64,
    /// So many conversations are kept of one owner's. Default 10,000.
    pub conversations_per_owner: u32,
    /// So many bytes of items are kept in all of them together. Default 1 GiB.
    pub conversation_bytes_per_owner: u64,
}

impl Default for ResponseBounds {
    fn default() -> Self {
        Self {
            background: 1_024,
            background_per_owner: 64,
            background_bytes: 256 << 20,
            background_bytes_per_owner: 64 << 20,
            conversations_per_owner: 10_000,
            conversation_bytes_per_owner: 1 << 30,
        }
    }
}

/// What the journal's writes survive before a call goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The end of the process, by whatever signal: the operating system has them.
    #[default]
    Process,
    /// The end of power too: the disk has them. Calls that run at the same time share one `fdatasync`.
    Power,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAccess {
    /// Super administrators, and whoever shows the token for it.
    #[default]
    Authorized,
    /// Everybody who reaches the port.
    Open,
    /// Nobody: there are none.
    Off,
}

/// How closely the compatible APIs follow the systems that they stand in for: statuses and texts, never admission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compat {
    /// Whose statuses and texts refusals of LiteLLM's routes have; `None` is our own.
    pub litellm: Option<LitellmVersion>,
    /// Whether refusals of New API's routes have its statuses and texts.
    pub newapi: bool,
    /// The status of an exceeded budget, where LiteLLM's setting names one.
    pub budget_exceeded_status: Option<u16>,
}

/// A generation of LiteLLM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LitellmVersion {
    /// Of late 2025.
    #[serde(rename = "1.80")]
    V1_80,
    /// Of autumn 2026.
    #[serde(rename = "1.106")]
    V1_106,
}

/// Administrator's keys that everybody knows from documentation.
const KNOWN_KEYS: [&str; 14] = [
    "sk-1234",
    "sk-12345",
    "sk-123456",
    "sk-12345678",
    "sk-1234567890",
    "sk-test",
    "sk-master",
    "sk-master-key",
    "sk-admin",
    "sk-litellm",
    "sk-litellm-master-key",
    "sk-changeme",
    "sk-password",
    "changeme",
];

/// Whether an administrator's key is too weak to serve anybody but this machine: known from documentation, shorter than 16
/// characters, or of fewer than 6 different ones.
pub fn is_weak_master_key(key: &str) -> bool {
    let lower = key.trim().to_ascii_lowercase();
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    KNOWN_KEYS.contains(&lower.as_str()) || lower.chars().count() < 16 || different.len() < 6
}

impl HostSettings {
    /// Takes the administrator's key from a file's setting.
    pub(crate) fn take_master_key(&mut self, load: &mut Load<'_>, item: &Item<'_>) {
        match item.secret(load) {
            Ok(Some(secret)) => self.master_key = secret,
            Ok(None) => {}
            // The environment may have it under another name: `from_environment` decides.
            Err(name) => {
                if MASTER_KEY_VARIABLES.iter().all(|other| load.variable(other).is_none()) {
                    let meaning = "nobody could administer the gateway or create keys";
                    item.missing_variable(load, Severity::Error, &name, meaning);
                }
            }
        }
    }

    /// Takes the database's address from a file's setting.
    pub(crate) fn take_database(&mut self, load: &mut Load<'_>, item: &Item<'_>) {
        if load.variable("SLUICEGATE_DATABASE").is_some() {
            return;
        }
        let elsewhere = DATABASE_VARIABLES.iter().find(|name| load.variable(name).is_some());
        let Some(text) = item.quiet_text(load) else {
            if elsewhere.is_none() || !matches!(item.node.value, crate::yaml::Value::Scalar { .. }) {
                item.text(load);
            }
            return;
        };
        match parse_database(&text) {
            Ok(ParsedDatabase::Url(url)) => self.database = Some(url),
            Ok(ParsedDatabase::Embedded) => {}
            Ok(ParsedDatabase::Placeholder) => {
                let serves = match elsewhere {
                    Some(name) => format!("the one in `{name}` serves"),
                    None => "the embedded database in the data directory serves".to_owned(),
                };
                load.report_with(
                    (Severity::Warning, "placeholder_database"),
                    (item.place, &item.at),
                    format!("this is a placeholder, not the address of a database: {serves}"),
                    "write the address, or set it with `--database` or in the environment, or remove the line",
                    "export DATABASE_URL=postgresql://USER:PASSWORD@HOST/NAME".to_owned(),
                );
            }
            Err(message) => {
                item.say(load, Severity::Error, "unsupported_database", message, "use a supported database")
            }
        }
    }

    /// Takes addresses and networks of proxies.
    pub(crate) fn take_trusted_proxies(&mut self, load: &mut Load<'_>, item: &Item<'_>) {
        for text in item.comma_texts(load) {
            match IpNetwork::try_from(text) {
                Ok(network) => self.trusted_proxies.push(network),
                Err(message) => {
                    item.say(load, Severity::Error, "invalid_value", message, "write an address or a network")
                }
            }
        }
    }

    /// Completes the settings from the environment. `SLUICEGATE_*` come before the file, the names that other systems
    /// use after it; `PORT` comes before it, as hosting platforms expect.
    pub(crate) fn take_environment(&mut self, load: &mut Load<'_>) {
        self.environment_listener(load);
        self.environment_database(load);
        self.environment_secrets(load);
        self.environment_cors(load);
        if let Some(text) = load.variable("STORE_MODEL_IN_DB") {
            match parse_boolean(&text) {
                Some(value) => self.store_model_in_db = value,
                None => wrong_variable(load, "STORE_MODEL_IN_DB", "must be true or false"),
            }
        }
        if let Some(text) = load.variable("DISABLE_ADMIN_UI") {
            match parse_boolean(&text) {
                Some(off) => self.console &= !off,
                None => wrong_variable(load, "DISABLE_ADMIN_UI", "must be true or false"),
            }
        }
        if let Some(path) = load.variable("SLUICEGATE_DATA") {
            self.data_dir = Some(path);
        }
    }

    fn environment_listener(&mut self, load: &mut Load<'_>) {
        if let Some(host) = load.variable("SLUICEGATE_HOST") {
            self.host = host;
        }
        for name in ["SLUICEGATE_PORT", "PORT"] {
            let Some(text) = load.variable(name) else { continue };
            match text.trim().parse() {
                Ok(port) => self.port = port,
                Err(_) => wrong_variable(load, name, "must be a port from 0 to 65535"),
            }
            break;
        }
    }

    fn environment_database(&mut self, load: &mut Load<'_>) {
        let first = load.variable("SLUICEGATE_DATABASE").map(|text| ("SLUICEGATE_DATABASE", text));
        let found = first.or_else(|| {
            let unset = self.database.is_none();
            DATABASE_VARIABLES
                .iter()
                .filter(|_| unset)
                .find_map(|name| load.variable(name).map(|text| (*name, text)))
        });
        let Some((name, text)) = found else { return };
        match parse_database(&text) {
            Ok(ParsedDatabase::Url(url)) => self.database = Some(url),
            Ok(ParsedDatabase::Embedded) => self.database = None,
            Ok(ParsedDatabase::Placeholder) => load.report(
                Severity::Warning,
                "placeholder_database",
                Place::default(),
                "",
                format!("the environment variable `{name}` is a placeholder, not the address of a database: it is not used"),
                "set the address, or unset the variable",
            ),
            Err(message) => load.report(
                Severity::Error,
                "unsupported_database",
                Place::default(),
                "",
                format!("the environment variable `{name}` can't be used: {message}"),
                "use a supported database, or unset the variable",
            ),
        }
    }

    fn environment_secrets(&mut self, load: &mut Load<'_>) {
        let env = |load: &Load<'_>, name: &str| load.variable(name).map(|_| secret_variable(load, name));
        if let Some(secret) = env(load, "SLUICEGATE_MASTER_KEY") {
            self.master_key = secret;
        } else if self.master_key == SecretRef::None
            && let Some(secret) = env(load, "LITELLM_MASTER_KEY")
        {
            self.master_key = secret;
        }
        if let Some(secret) = env(load, "SLUICEGATE_SESSION_SECRET") {
            self.session_secret = secret;
        } else if self.session_secret == SecretRef::None
            && let Some(secret) = env(load, "SESSION_SECRET")
        {
            self.session_secret = secret;
        }
        if self.session_secret != SecretRef::None {
            load.report(
                Severity::Note,
                "not_used_yet",
                Place::default(),
                "",
                "a session secret is configured: this version has no web sessions yet, and works without",
                "",
            );
        }
        if self.redis.is_none() {
            self.redis = ["REDIS_CONN_STRING", "REDIS_URL"].iter().find_map(|name| env(load, name));
        }
        if self.redis.is_some() {
            load.report(
                Severity::Note,
                "not_used_yet",
                Place::default(),
                "",
                "a redis server is configured: this version doesn't use it yet, and works without",
                "",
            );
        }
    }
}

const MASTER_KEY_VARIABLES: [&str; 2] = ["SLUICEGATE_MASTER_KEY", "LITELLM_MASTER_KEY"];
const DATABASE_VARIABLES: [&str; 2] = ["DATABASE_URL", "SQL_DSN"];

fn secret_variable(load: &Load<'_>, name: &str) -> SecretRef {
    match load.lookup(name) {
        crate::reader::Lookup::InFile(value) => {
            SecretRef::Inline(sluicegate_core::channel::Secret::new(value))
        }
        _ => SecretRef::Env(name.to_owned()),
    }
}

fn wrong_variable(load: &mut Load<'_>, name: &str, want: &str) {
    load.report(
        Severity::Error,
        "invalid_value",
        Place::default(),
        "",
        format!("the environment variable `{name}` {want}"),
        "correct or unset it",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_known() {
        for (key, weak) in [
            ("sk-1234", true),
            ("sk-aaaaaaaaaaaaaaaaaaaa", true),
            ("short", true),
            ("sk-Vq7cN2xW9pLr4TzB", false),
        ] {
            assert_eq!(is_weak_master_key(key), weak, "{key}");
        }
    }
}

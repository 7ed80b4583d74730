//! Settings that may be changed while the gateway runs: a closed list. What the file says stays the file's; what it leaves out may
//! be kept elsewhere, and is laid over it here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sluicegate_core::price::{Currency, Exchange};
use sluicegate_core::snapshot::{Declared, Unpriced};
use sluicegate_core::tenant::Role;

use crate::Dialect;
use crate::auth::{AuthSettings, PasswordSettings, Registration, SessionSettings};
use crate::host::{HostSettings, LitellmVersion, Retention};
use crate::native::DEFAULT_ORGANIZATION;
use crate::reader::{Item, Load};
use crate::yaml;

const DAY_MS: u64 = 86_400_000;
/// Nothing is kept longer than a hundred years, unless it is for ever.
const KEPT_MAX_MS: u64 = 36_525 * DAY_MS;

/// A setting that may be changed while the gateway runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// Retries of one model group beyond the first attempt.
    Retries,
    /// Attempts of one call over all fallbacks.
    MaxAttempts,
    /// Failures within a minute that a channel may have.
    AllowedFails,
    /// The share of failures that they must be.
    FailureMinPercent,
    /// How long a channel is benched.
    Cooldown,
    /// What becomes of calls of models without a price.
    Unpriced,
    /// What a dollar is worth in yuan.
    CnyPerUsd,
    /// How long usage records are kept.
    Records,
    /// How long daily sums are kept.
    DailySums,
    /// How long responses are kept.
    Responses,
    /// Who may make a user of themselves.
    Registration,
    /// Keys that a user may have.
    KeysPerUser,
    /// The shortest password.
    PasswordLength,
    /// A session that isn't used for so long is over.
    SessionIdle,
    /// A session is over after so long.
    SessionAbsolute,
    /// Whose statuses and texts refusals have.
    Litellm,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A whole number of its unit, from one bound to the other.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// Who may register: an object of `email_domains`, `organization`, `group` and `role`.
    Registration,
}

const fn number(min: u64, max: u64) -> SettingKind {
    SettingKind::Number { min, max }
}

/// Every setting that may be changed, in the order in which people are shown them.
pub const SETTINGS: [Setting; 16] = [
    Setting::Retries,
    Setting::MaxAttempts,
    Setting::AllowedFails,
    Setting::FailureMinPercent,
    Setting::Cooldown,
    Setting::Unpriced,
    Setting::CnyPerUsd,
    Setting::Records,
    Setting::DailySums,
    Setting::Responses,
    Setting::Registration,
    Setting::KeysPerUser,
    Setting::PasswordLength,
    Setting::SessionIdle,
    Setting::SessionAbsolute,
    Setting::Litellm,
];

impl Setting {
    /// Its name in the API; a number's unit is its end.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retries => "routing.retries",
            Self::MaxAttempts => "routing.max_attempts",
            Self::AllowedFails => "routing.allowed_fails",
            Self::FailureMinPercent => "routing.failure_min_percent",
            Self::Cooldown => "routing.cooldown_ms",
            Self::Unpriced => "quotas.unpriced",
            Self::CnyPerUsd => "currencies.cny_per_usd_ppm",
            Self::Records => "retention.records_ms",
            Self::DailySums => "retention.daily_sums_ms",
            Self::Responses => "retention.responses_ms",
            Self::Registration => "auth.registration",
            Self::KeysPerUser => "auth.keys_per_user",
            Self::PasswordLength => "auth.password.min_length",
            Self::SessionIdle => "auth.session.idle_ms",
            Self::SessionAbsolute => "auth.session.absolute_ms",
            Self::Litellm => "compat.litellm",
        }
    }

    /// The setting of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        SETTINGS.into_iter().find(|it| it.name() == name)
    }

    /// Its key in our own configuration file.
    pub const fn file_key(self) -> &'static str {
        match self {
            Self::Cooldown => "routing.cooldown",
            Self::CnyPerUsd => "currencies.CNY",
            Self::Records => "server.retention.records",
            Self::DailySums => "server.retention.daily_sums",
            Self::Responses => "server.retention.responses",
            Self::SessionIdle => "auth.session.idle",
            Self::SessionAbsolute => "auth.session.absolute",
            other => other.name(),
        }
    }

    /// What it takes.
    pub const fn kind(self) -> SettingKind {
        match self {
            Self::Retries => number(0, 63),
            Self::MaxAttempts => number(1, 64),
            Self::AllowedFails => number(0, 1_000_000),
            Self::FailureMinPercent => number(0, 100),
            Self::Cooldown => number(0, DAY_MS),
            Self::Unpriced => SettingKind::Word(&["allow", "deny"]),
            Self::CnyPerUsd => number(10_000, 1_000_000_000),
            Self::Records => number(Retention::RECORDS_MIN_MS, KEPT_MAX_MS),
            Self::DailySums => number(Retention::DAILY_SUMS_MIN_MS, KEPT_MAX_MS),
            Self::Responses => number(0, KEPT_MAX_MS),
            Self::Registration => SettingKind::Registration,
            Self::KeysPerUser => number(AuthSettings::KEYS_MIN as u64, AuthSettings::KEYS_MAX as u64),
            Self::PasswordLength => number(PasswordSettings::MIN as u64, PasswordSettings::MAX as u64),
            Self::SessionIdle | Self::SessionAbsolute => {
                number(SessionSettings::MIN_MS, SessionSettings::MAX_MS)
            }
            Self::Litellm => SettingKind::Word(&["1.80", "1.106"]),
        }
    }

    /// What a number of it counts: `ms`, `percent`, `ppm` (millionths of a CNY for one USD), `characters` or nothing.
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::PasswordLength => Some("characters"),
            _ => ["ms", "percent", "ppm"].into_iter().find(|unit| self.name().ends_with(&format!("_{unit}"))),
        }
    }

    /// The keys of a dialect that say it: the last one that is there counts.
    const fn keys(self, dialect: Dialect) -> &'static [&'static str] {
        match (dialect, self) {
            (Dialect::Native, Self::AllowedFails) => {
                &["routing.allowed_failure_percent", "routing.allowed_fails"]
            }
            // Whoever says how many says that it goes by the number alone.
            (Dialect::Native, Self::FailureMinPercent) => {
                &["routing.allowed_fails", "routing.failure_min_percent"]
            }
            (Dialect::Litellm, Self::Retries) => &[
                "litellm_settings.num_retries",
                "router_settings.num_retries",
                "router_settings.retry_policy.DefaultRetries",
            ],
            (Dialect::Litellm, Self::MaxAttempts) => &[
                "litellm_settings.num_retries",
                "router_settings.num_retries",
                "router_settings.retry_policy",
            ],
            (Dialect::Litellm, Self::AllowedFails | Self::FailureMinPercent) => {
                &["litellm_settings.allowed_fails", "router_settings.allowed_fails"]
            }
            (Dialect::Litellm, Self::Cooldown) => {
                &["router_settings.cooldown_time", "router_settings.disable_cooldowns"]
            }
            (Dialect::Litellm, Self::Unpriced) => {
                &["litellm_settings.block_requests_for_models_without_pricing"]
            }
            (Dialect::Litellm, Self::Records) => &["general_settings.maximum_spend_logs_retention_period"],
            _ => &[],
        }
    }

    /// What is in force, as the API shows it; null where there is nothing.
    pub fn value(self, declared: &Declared, host: &HostSettings) -> Value {
        let (routing, retention, auth) = (&declared.routing, &host.retention, &host.auth);
        match self {
            Self::Retries => json!(routing.retries),
            Self::MaxAttempts => json!(routing.max_attempts),
            Self::AllowedFails => json!(routing.allowed_fails),
            Self::FailureMinPercent => json!(routing.failure_min_percent),
            Self::Cooldown => json!(routing.cooldown_ms),
            Self::Unpriced => json!(declared.quota.unpriced),
            Self::CnyPerUsd => {
                let rate = declared.currencies.iter().find(|it| it.currency == Currency::CNY);
                json!(rate.map(|it| it.per_usd_ppm))
            }
            Self::Records => json!(retention.records_ms),
            Self::DailySums => json!(retention.daily_sums_ms),
            Self::Responses => json!(retention.responses_ms),
            Self::Registration => json!(auth.registration),
            Self::KeysPerUser => json!(auth.keys_per_user),
            Self::PasswordLength => json!(auth.password.min_length),
            Self::SessionIdle => json!(auth.session.idle_ms),
            Self::SessionAbsolute => json!(auth.session.absolute_ms),
            Self::Litellm => json!(host.compat.litellm),
        }
    }

    /// Lays a value over what is there.
    ///
    /// # Errors
    /// What it must be instead, for people.
    pub fn take(self, value: &Value, declared: &mut Declared, host: &mut HostSettings) -> Result<(), String> {
        let long = || self.number(value);
        let short = || long().map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let (routing, retention, auth) = (&mut declared.routing, &mut host.retention, &mut host.auth);
        match self {
            Self::Retries => routing.retries = short()?,
            Self::MaxAttempts => routing.max_attempts = short()?,
            Self::AllowedFails => routing.allowed_fails = short()?,
            Self::FailureMinPercent => routing.failure_min_percent = short()?,
            Self::Cooldown => routing.cooldown_ms = long()?,
            Self::Unpriced => {
                let deny = self.word(value)? == "deny";
                declared.quota.unpriced = if deny { Unpriced::Deny } else { Unpriced::Allow };
            }
            Self::CnyPerUsd => {
                let rate = Exchange { currency: Currency::CNY, per_usd_ppm: long()? };
                declared.currencies.retain(|it| it.currency != rate.currency);
                declared.currencies.push(rate);
            }
            Self::Records => retention.records_ms = Some(long()?),
            Self::DailySums => retention.daily_sums_ms = Some(long()?),
            Self::Responses => retention.responses_ms = long()?,
            Self::Registration => {
                let registration = registration(value)?;
                if !auth.password.sign_in {
                    return Err("opens nothing while `auth.password.sign_in` of the file is off: who registers has a password"
                        .to_owned());
                }
                auth.registration = Some(registration);
            }
            Self::KeysPerUser => auth.keys_per_user = short()?,
            Self::PasswordLength => auth.password.min_length = short()?,
            Self::SessionIdle => auth.session.idle_ms = long()?,
            Self::SessionAbsolute => auth.session.absolute_ms = long()?,
            Self::Litellm => {
                let older = self.word(value)? == "1.80";
                host.compat.litellm =
                    Some(if older { LitellmVersion::V1_80 } else { LitellmVersion::V1_106 });
            }
        }
        Ok(())
    }

    fn number(self, value: &Value) -> Result<u64, String> {
        let SettingKind::Number { min, max } = self.kind() else { return Err("is no number".to_owned()) };
        let number = value.as_u64().filter(|n| (min..=max).contains(n));
        number.ok_or_else(|| {
            let unit = self.unit().map(|unit| format!(" of {unit}")).unwrap_or_default();
            format!("must be a whole number{unit} from {min} to {max}")
        })
    }

    fn word(self, value: &Value) -> Result<&'static str, String> {
        let SettingKind::Word(words) = self.kind() else { return Err("is no word".to_owned()) };
        let word = value.as_str().and_then(|text| words.iter().find(|word| **word == text));
        word.copied().ok_or_else(|| format!("must be one of {}", words.join(", ")))
    }
}

/// Who may register, as the API takes it.
fn registration(value: &Value) -> Result<Registration, String> {
    let mut value = value.clone();
    if let Value::Object(fields) = &mut value {
        fields.entry("organization").or_insert_with(|| DEFAULT_ORGANIZATION.into());
    }
    let it: Registration = serde_json::from_value(value).map_err(|why| {
        format!("must be an object of `email_domains`, `organization`, `group` and `role`: {why}")
    })?;
    let is_domain = |text: &String| {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        text.contains('.') && text.len() <= 253 && text.chars().all(fine) && !text.starts_with('.')
    };
    if it.email_domains.is_empty() || it.email_domains.len() > 100 || !it.email_domains.iter().all(is_domain)
    {
        let message =
            "must name in `email_domains` from 1 to 100 domains of those who may, such as example.com";
        return Err(message.to_owned());
    }
    let is_plain = it.role == Role::User;
    if !(is_plain || it.role == Role::GroupAdmin && it.group.is_some()) {
        let message =
            "makes nobody what nobody who registers can be: `role` is user, or group_admin in a `group`";
        return Err(message.to_owned());
    }
    Ok(it)
}

/// Where a file says a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidBy {
    /// The key, in the file's own dialect.
    pub key: String,
    /// The file: the one that was given, or one that it includes.
    pub path: String,
    /// The line.
    pub line: u32,
}

/// The settings that a file says: nothing but the file changes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed(BTreeMap<Setting, SaidBy>);

impl Fixed {
    /// Where the file says it; `None` where it doesn't.
    pub fn get(&self, setting: Setting) -> Option<&SaidBy> {
        self.0.get(&setting)
    }

    /// What a file of this dialect says.
    pub(crate) fn by(dialect: Dialect, root: &Item<'_>, load: &Load<'_>) -> Self {
        let said = |setting: Setting| {
            let own = [setting.file_key()];
            let keys: &[&str] = match setting.keys(dialect) {
                [] if dialect == Dialect::Native => &own,
                keys => keys,
            };
            let item = keys.iter().rev().find_map(|key| found(root, key))?;
            let path = load.files.get(usize::from(item.place.file)).cloned().unwrap_or_default();
            Some((setting, SaidBy { key: item.at, path, line: item.place.line.max(1) }))
        };
        Self(SETTINGS.into_iter().filter_map(said).collect())
    }
}

/// What stands at a path of keys, if it says anything.
fn found<'n>(root: &Item<'n>, path: &str) -> Option<Item<'n>> {
    let mut at = root.clone();
    for part in path.split('.') {
        let is_it = |key: &str| match at.at.as_str() {
            // Currencies have their names in either case.
            "currencies" => Currency::of_code(key).is_some_and(|it| it.as_str() == part),
            _ => key == part,
        };
        let child = at.children().find(|(key, _)| is_it(key)).map(|(_, child)| child)?;
        at = child;
    }
    (!matches!(at.node.value, yaml::Value::Null)).then_some(at)
}

/// Lays what is kept beside a file over what it says; what the file says stays. The settings that can't be taken stay as they are:
/// each is told, with why.
pub fn overlay(
    kept: &Map<String, Value>,
    fixed: &Fixed,
    declared: &mut Declared,
    host: &mut HostSettings,
) -> Vec<(Setting, String)> {
    let before = host.retention;
    let mut unused = Vec::new();
    for setting in SETTINGS.into_iter().filter(|it| fixed.get(*it).is_none()) {
        let Some(value) = kept.get(setting.name()).filter(|value| !value.is_null()) else { continue };
        if let Err(why) = setting.take(value, declared, host) {
            unused.push((setting, why));
        }
    }
    let after = host.retention;
    if after.daily_sums_ms.is_some_and(|sums| after.records_ms.is_none_or(|records| records > sums)) {
        host.retention = Retention { responses_ms: after.responses_ms, ..before };
        let why = "must go together: daily sums are kept no shorter than the records that they are made of; give `retention.records_ms` a time no longer than that of `retention.daily_sums_ms`";
        let both = [Setting::Records, Setting::DailySums].into_iter();
        let kept = both.filter(|it| fixed.get(*it).is_none() && kept.contains_key(it.name()));
        unused.extend(kept.map(|it| (it, why.to_owned())));
    }
    unused
}

#[cfg(test)]
mod tests;

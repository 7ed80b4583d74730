//! Configuration files into what the engine runs on: our own dialect, LiteLLM's `config.yaml` and New API's channel list,
//! with a diagnostic for whatever has no effect.
//!
//! Pure: the host passes the text, its environment and a way to read further files. Deliberately absent: reading files
//! and variables, the network, the values of secrets ([`SecretRef`](sluicegate_core::SecretRef) says where they are).
//!
//! ```
//! use sluicegate_config::{Dialect, Environment, Source, load};
//!
//! let text = "model_list:\n  - model_name: chat\n    litellm_params: {model: openai/gpt-5.4, rpm: 60}\n";
//! let variable = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-…".to_owned());
//! let loaded = load(Source { path: "config.yaml", text }, &Environment::new(&variable));
//! assert_eq!(loaded.dialect, Dialect::Litellm);
//! assert!(!loaded.has_errors());
//! assert_eq!(loaded.declared.channels[0].models[0].upstream.as_str(), "gpt-5.4");
//! ```

mod auth;
mod catalogue;
mod cors;
mod counting;
mod database;
mod diagnostic;
mod draft;
mod endpoint;
mod environment;
mod host;
mod include;
mod limits;
mod litellm;
mod native;
mod newapi;
mod operation;
mod overlay;
mod price_file;
mod pricing;
mod quantity;
mod reader;
mod routes;
mod setting;
mod suggest;
mod terms;
mod yaml;

pub use auth::{
    AuthSettings, GroupGrant, JwtClaims, JwtIssuer, Link, OidcClaims, OidcProvider, PasswordSettings,
    Registration, RoleGrant, SessionSettings,
};
pub use catalogue::{
    ChannelForm, ModelFacts, PriceList, Provider, ProviderCard, know_quirks, listed_prices, model_facts,
    model_facts_by_name, price_list, provider, providers, quirks_of,
};
pub use cors::ANY_ORIGIN;
pub use database::{DatabaseUrl, ParsedDatabase, parse_database};
pub use diagnostic::{CODES, Diagnostic, Severity, Unless};
pub use draft::lists_model;
pub use endpoint::endpoints_of;
pub use environment::Environment;
pub use host::{
    Compat, DEFAULT_BODY_LIMIT_BYTES, Durability, HostSettings, LitellmVersion, MetricsAccess,
    PolicyRollback, ResponseBounds, Retention, TlsFiles, is_weak_master_key,
};
pub use limits::{default_mode, parse_limits, write_limits};
pub use native::{json_schema, manual_tables};
pub use price_file::{
    ListedPrice, PriceChange, PriceDifference, PriceFile, PriceFormat, RateChange, built_in_prices,
    compare_prices, price_yaml, read_prices, write_prices,
};
pub use quantity::{parse_budget_window, parse_count, parse_duration_ms, parse_usd, parse_window};
pub use setting::{Fixed, SETTINGS, SaidBy, Setting, SettingKind, overlay};
pub use suggest::nearest;
pub use terms::unlisted_model;

use serde::{Deserialize, Serialize};
use sluicegate_core::snapshot::Declared;

use crate::reader::{Item, Load};
use crate::yaml::{Node, Value};

/// A file, as text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path, for messages and to find the files that it names.
    pub path: &'a str,
    /// Its text, YAML or JSON.
    pub text: &'a str,
}

/// Whose configuration format a file is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Ours.
    #[default]
    Native,
    /// LiteLLM's `config.yaml`.
    Litellm,
    /// A list of New API channels.
    Newapi,
}

impl Dialect {
    /// The dialect as a word: `native`, `litellm` or `newapi`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Native => "native",
            Dialect::Litellm => "litellm",
            Dialect::Newapi => "newapi",
        }
    }
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Whose format it is in.
    pub dialect: Dialect,
    /// What it declares for the engine. Not to be used when there are errors.
    pub declared: Declared,
    /// What it says to the host, completed from the environment.
    pub host: HostSettings,
    /// Which of the settings that may be changed while the gateway runs it says, and so keeps.
    pub fixed: Fixed,
    /// Everything there is to say about it, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether the file can't be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Reads a configuration file in whichever dialect it is written.
///
/// Never fails and never panics: what is wrong is among the diagnostics, all of it at once.
pub fn load(source: Source<'_>, environment: &Environment<'_>) -> Loaded {
    let mut load = Load::new(source.path, environment);
    let mut duplicates = Vec::new();
    let parsed = yaml::parse(source.text, 0, &mut |refusal| duplicates.push(refusal));
    for refusal in duplicates {
        load.refuse(Severity::Error, refusal);
    }
    let mut declared = Declared::default();
    let mut host = HostSettings::default();
    let mut root = match parsed {
        Ok(root) => root,
        Err(refusal) => {
            load.refuse(Severity::Error, refusal);
            let fixed = Fixed::default();
            return Loaded { dialect: Dialect::Native, declared, host, fixed, diagnostics: load.finish() };
        }
    };
    include::resolve(&mut load, &mut root);
    let dialect = detect(&root);
    match dialect {
        Dialect::Native => native::lower(&mut load, &Item::root(&root), &mut declared, &mut host),
        Dialect::Litellm => litellm::lower(&mut load, &Item::root(&root), &mut declared, &mut host),
        Dialect::Newapi => newapi::lower(&mut load, &Item::root(&root), &mut declared, &mut host),
    }
    host.take_environment(&mut load);
    draft::name_channels(&mut declared.channels);
    know_quirks(&mut declared.channels);
    let fixed = Fixed::by(dialect, &Item::root(&root), &load);
    Loaded { dialect, declared, host, fixed, diagnostics: load.finish() }
}

/// The settings of a host without a file: defaults, completed from the environment.
pub fn load_environment(environment: &Environment<'_>) -> Loaded {
    let mut load = Load::new("environment", environment);
    let mut host = HostSettings::default();
    host.take_environment(&mut load);
    let (declared, fixed) = (Declared::default(), Fixed::default());
    Loaded { dialect: Dialect::Native, declared, host, fixed, diagnostics: load.finish() }
}

/// Tells dialects apart by their top-level keys; only `channels` is in two of them, and there the channels' own keys
/// tell.
fn detect(root: &Node) -> Dialect {
    let has = |key: &str| root.get(key).is_some();
    if has("version") {
        return Dialect::Native;
    }
    if litellm::TOP_KEYS.iter().any(|key| has(key)) {
        return Dialect::Litellm;
    }
    let only_channels = root.entries().iter().all(|entry| newapi::TOP_KEYS.contains(&entry.key.as_str()));
    let first = root.get("channels").and_then(|channels| match &channels.value {
        Value::List(items) => items.first(),
        _ => None,
    });
    let foreign =
        first.is_some_and(|first| ["type", "base_url", "key"].iter().any(|key| first.get(key).is_some()));
    let ours = first
        .is_some_and(|first| ["provider", "credential", "url"].iter().any(|key| first.get(key).is_some()));
    if only_channels && foreign && !ours { Dialect::Newapi } else { Dialect::Native }
}

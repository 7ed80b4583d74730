//! The steps of opening a gateway.

use std::path::Path;
use std::sync::Arc;

use sluicegate_config::{DatabaseUrl, HostSettings, Loaded};
use sluicegate_core::channel::Endpoint;
use sluicegate_core::count::Counting;
use sluicegate_core::journal::JournalId;
use sluicegate_core::snapshot::Declared;
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    ApiKey, Channel, ChannelId, ChannelModel, Clock, Engine, Error, ErrorKind, Format, Needs, Price, Result,
    Secret, SecretRef, Timestamp,
};

use crate::admin::{add_named, kept_settings, rotation};
use crate::credential::{KeyHash, fill_random};
use crate::gateway::Options;
use crate::journal::{self, Disk, Durability, Found, Journal, JournalOptions, Opening, OsDisk};
use crate::load::Variables;
use crate::secret::{KeyedChain, MasterSecret, MasterSource, Secrets, default_path};
use crate::store::{Store, Stored, StoredChannel};
use crate::upstream::Targets;

/// The organization of everybody who names none.
pub(crate) const DEFAULT_ORGANIZATION: &str = "default";

/// The database's address: the option's, the configuration's, or a file in the data directory, or memory.
pub(crate) fn address_of(options: &Options, host: &HostSettings) -> String {
    if let Some(address) = &options.database {
        return address.clone();
    }
    match (&host.database, &options.data_dir) {
        (Some(DatabaseUrl::Postgres(url)), _) => url.expose().to_owned(),
        (Some(DatabaseUrl::Sqlite(path)), _) => path.clone(),
        (None, Some(dir)) => dir.join(crate::backup::DATABASE).display().to_string(),
        (None, None) => "memory".to_owned(),
    }
}

/// Whether the embedded database at this address exists; true for any other.
pub(crate) fn may_exist(address: &str) -> bool {
    let path = address.strip_prefix("sqlite:").unwrap_or(address);
    path.contains("://") || matches!(path, "memory" | ":memory:") || Path::new(path).is_file()
}

/// Makes the data directory, for its owner only.
pub(crate) fn make_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|why| {
        Error::new(
            ErrorKind::Config,
            format!(
                "the data directory `{}` can't be made: {why}; choose another with --data",
                dir.display()
            ),
        )
    })
}

/// Where the master secret is for these options.
pub(crate) fn master_source(options: &Options) -> Option<MasterSource> {
    let variable = (options.variables)("SLUICEGATE_MASTER_SECRET").map(sluicegate_core::Secret::new);
    let named = (options.variables)("SLUICEGATE_MASTER_SECRET_FILE").map(std::path::PathBuf::from);
    let path = named.or_else(|| default_path(&|name| (options.variables)(name)));
    match (variable, path) {
        (None, None) => None,
        (variable, path) => Some(MasterSource {
            variable,
            path: path.unwrap_or_default(),
            data_dir: options.data_dir.clone(),
        }),
    }
}

/// The master secret, made if there is none yet.
pub(crate) fn master_secret(source: Option<&MasterSource>) -> Result<MasterSecret> {
    source
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "there is no place for the master secret; set SLUICEGATE_MASTER_SECRET, or SLUICEGATE_MASTER_SECRET_FILE to a path",
            )
        })?
        .load_or_create()
}

/// The first super administrator that the environment names: address and password.
///
/// # Errors
/// `Config` when it names one without the other.
pub(crate) fn first_admin(variables: &Variables) -> Result<Option<(String, Secret)>> {
    let set = |name: &str| variables(name).filter(|value| !value.is_empty());
    match (set("SLUICEGATE_ADMIN_EMAIL"), set("SLUICEGATE_ADMIN_PASSWORD")) {
        (None, None) => Ok(None),
        (Some(email), Some(password)) => Ok(Some((email, Secret::new(password)))),
        _ => {
            let message =
                "SLUICEGATE_ADMIN_EMAIL and SLUICEGATE_ADMIN_PASSWORD go together; set both, or neither";
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

/// What links audit events. A database that lives in memory has a chain that ends with it.
pub(crate) fn audit_chain(address: &str, source: Option<&MasterSource>) -> Result<KeyedChain> {
    if address != "memory" {
        return master_secret(source).map(|secret| secret.audit_chain());
    }
    let mut random = [0u8; 32];
    fill_random(&mut random)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    MasterSecret::from_text(&text).map(|secret| secret.audit_chain())
}

/// Says so when the audit trail doesn't go on under the master secret: what is sealed can't be opened then, either.
pub(crate) async fn warn_of_another_secret(store: &dyn Store, source: Option<&MasterSource>) -> Result<()> {
    if !rotation::is_fit(store, &master_secret(source)?).await? {
        tracing::warn!(
            "the master secret isn't the one that the audit trail goes on under: stored credentials can't be opened, and \
             `sluicegate audit verify` will find what is written from now on changed; start with the one from before, and \
             change it by `sluicegate secret rotate`"
        );
    }
    Ok(())
}

/// What tells whether a stored channel is still the same.
pub(crate) type ChannelMark = (ChannelId, i64, Timestamp);

/// What tells whether a setting is still the same.
pub(crate) type SettingMark = (String, i64, Timestamp);

/// The marks of settings, in their order.
pub(crate) fn marks_of_settings(stored: &[(String, Stored<serde_json::Value>)]) -> Vec<SettingMark> {
    stored.iter().map(|(name, it)| (name.clone(), it.version, it.updated_at)).collect()
}

/// The marks of stored channels, in their order.
pub(crate) fn marks_of(stored: &[StoredChannel]) -> Vec<ChannelMark> {
    let mark = |it: &StoredChannel| (it.channel.value.id.clone(), it.channel.version, it.channel.updated_at);
    stored.iter().map(mark).collect()
}

/// What the file says and what the database holds besides. The file wins by name.
pub(crate) fn with_stored(
    file: &Loaded,
    stored: Vec<StoredChannel>,
    settings: &[(String, Stored<serde_json::Value>)],
    secrets: &Secrets,
    source: Option<&MasterSource>,
) -> Result<(Declared, HostSettings)> {
    // Without a sealed credential the master secret isn't needed, and isn't made.
    let sealer = match stored.iter().any(|channel| channel.secret.is_some()) {
        true => Some(master_secret(source)?.sealer()),
        false => None,
    };
    secrets.load(&stored, sealer.as_ref());
    let (mut all, mut host) = (file.declared.clone(), file.host.clone());
    for channel in stored.into_iter().map(|stored| stored.channel.value) {
        if !all.channels.iter().any(|known| known.id == channel.id || known.name == channel.name) {
            all.channels.push(channel);
        }
    }
    add_named(&mut all, settings);
    let kept = kept_settings(settings);
    for (setting, why) in sluicegate_config::overlay(&kept, &file.fixed, &mut all, &mut host) {
        tracing::warn!(setting = setting.name(), %why, "a stored setting can't be used; what holds without it stays");
    }
    all.value_prices();
    sluicegate_config::know_quirks(&mut all.channels);
    Ok((all, host))
}

/// Gives the ledger back what was used before this start: from the database, and from the journal where there is one.
/// A gateway without a data directory, or whose database ends with it, has none. The directory must be this process's own.
pub(crate) async fn restore(
    engine: &Engine,
    store: &dyn Store,
    dir: Option<&Path>,
    durability: Durability,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Journal>> {
    let Some(dir) = dir else {
        let mut balances = store.balances().await?;
        balances.sort_by_key(|balance| balance.window_start);
        let mut ledger = engine.ledger();
        balances.iter().for_each(|balance| ledger.seed(balance));
        // What was just read needs no writing back.
        ledger.take_dirty(clock.now());
        return Ok(None);
    };
    let folder = dir.join("journal");
    let disk = OsDisk::open(&folder).map_err(|why| {
        let message = format!("the journal's folder `{}` can't be used: {why}", folder.display());
        Error::new(ErrorKind::Store, message)
    })?;
    let mut fresh = [0u8; 16];
    fill_random(&mut fresh)?;
    let opening = Opening {
        options: JournalOptions { durability, ..JournalOptions::default() },
        fresh: JournalId(u128::from_le_bytes(fresh)),
        salvage: false,
    };
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (journal, found) = journal::open(&engine.shared_ledger(), store, &disk, clock, opening).await?;
    journal.sync_in_background()?;
    tell(&found);
    Ok(Some(journal))
}

fn tell(found: &Found) {
    for (segment, bytes) in &found.lost {
        tracing::warn!(%segment, bytes, "the journal's last write was cut short; nobody was told that it was done");
    }
    if found.records > 0 || found.held > 0 {
        tracing::warn!(
            records = found.records,
            interrupted = found.interrupted,
            held = found.held,
            "the gateway had ended without a shutdown: its records were recovered, calls that had none got one, and those that were under way are held: see `sluicegate ledger held`"
        );
    }
}

/// Builds the targets, and says which channels can't be sent to.
pub(crate) fn build_targets(engine: &Engine, secrets: &Secrets) -> Targets {
    let targets = Targets::build(&engine.snapshot(), secrets);
    for (channel, problem) in &targets.problems {
        tracing::warn!(%channel, %problem, "the channel can't serve");
    }
    targets
}

/// The channel of a gateway that has none: the built-in provider, so that a first call is answered at once.
pub(crate) fn demo_channel() -> Channel {
    let endpoint = |format| Endpoint { format, url: String::new() };
    Channel {
        endpoints: vec![endpoint(Format::OpenaiChat), endpoint(Format::OpenaiEmbeddings)],
        models: vec![ChannelModel {
            group: "mock".into(),
            upstream: "mock".into(),
            price: Price { input: Some(0), output: Some(0), ..Price::default() },
            context_window: Some(1_000_000),
            max_output: None,
            extra_input: 0,
            reads_more: false,
            extra_reasoning: None,
            beside: Vec::new(),
            is_deployment: false,
            lacks: Needs::default(),
            counting: Counting::default(),
            tokenizer: None,
            regions: Vec::new(),
        }],
        tags: vec!["demo".to_owned()],
        source: Source::File,
        ..Channel::new("demo-mock", "demo (built-in mock, calls no provider)", "mock")
    }
}

/// The file's keys with their credentials' hashes. One whose credential isn't there doesn't work, and is named.
pub(crate) fn keys_of(declared: &Declared, secrets: &Secrets) -> Vec<(KeyHash, ApiKey)> {
    let hash = |(key, reference): &(ApiKey, SecretRef)| match secrets.resolve(reference) {
        Ok(Some(secret)) => Some((KeyHash::of(secret.expose()), key.clone())),
        Ok(None) => None,
        Err(problem) => {
            tracing::warn!(key = %key.id, %problem, "a key of the configuration doesn't work");
            None
        }
    };
    declared.keys.iter().filter_map(hash).collect()
}

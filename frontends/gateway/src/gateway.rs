//! The gateway: the engine with real time, sockets and stores around it.

mod host;
mod inner;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use sluicegate_config::{AuthSettings, Compat, Diagnostic, HostSettings, Loaded};
use sluicegate_core::channel::Translation;
use sluicegate_core::count::Tokenizer;
use sluicegate_core::engine::{BoundCaller, Explained};
use sluicegate_core::ports::{NoText, PolicyHook, RecordStore};
use sluicegate_core::{
    Call, CallId, Caller, Channel, Clock, Denial, Engine, Error, ErrorKind, Format, ModelName,
    OrganizationId, Result, Retry, Secret, Snapshot, Timestamp,
};
use sluicegate_wire::conversation::foreground;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use self::host::Around;
use crate::admin::{Actor, Admin, AdminParts, Rotated};
use crate::answer::{Answer, Inbound, Rejection};
use crate::background::{self, End, Jobs};
use crate::body_text::BodyText;
use crate::credential::KeyHash;
use crate::directory::Directory;
use crate::guardrail::{Guardrails, OwnGuardrail};
use crate::journal::Owner;
use crate::jwt::{Issuers, Providers};
use crate::load::{self, ConfigText, Variables};
use crate::maintain;
use crate::master::{KeyStrength, Master};
use crate::metrics::Metrics;
use crate::pass::{self, PassThrough};
use crate::queue::Queue;
use crate::record::RecordWriter;
use crate::script::{self, PolicyMark, Scripts};
use crate::secret::{MasterSecret, MasterSource, Secrets};
use crate::serve;
use crate::start::{
    ChannelMark, DEFAULT_ORGANIZATION, SettingMark, address_of, audit_chain, build_targets, demo_channel,
    first_admin, keys_of, make_private_dir, marks_of, marks_of_settings, master_secret, master_source,
    may_exist, restore, warn_of_another_secret, with_stored,
};
use crate::store::{self, PolicyFilter, Reach, Store};
use crate::tokenizer;
use crate::upload::Upload;
use crate::upstream::{HttpUpstream, Targets, Upstream};

/// How long a gateway that closes waits for calls to end that nobody drives any more.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// How to open a gateway. Everything has a default: an embedded gateway in memory without any channel.
pub struct Options {
    /// The configuration; `None` for one whose channels and keys come over the API alone.
    pub config: Option<ConfigText>,
    /// The environment that the configuration refers to. Default: the process's.
    pub variables: Variables,
    /// The database's address; overrides the configuration's. See [`store::open`].
    pub database: Option<String>,
    /// Where the embedded database lives when nothing else is named; `None` keeps it in memory.
    pub data_dir: Option<std::path::PathBuf>,
    /// The administrator's key; overrides the configuration's.
    pub master_key: Option<Secret>,
    /// Whether to make an administrator's key when there is none anywhere. Its hash is kept, so it is made once.
    pub make_master_key: bool,
    /// Whether a demo channel of the built-in `mock` provider serves when there is no channel at all.
    pub demo: bool,
    /// Whether to answer with the requested model's name; `None` leaves it to the configuration.
    pub present_requested: Option<bool>,
    /// Whether a translation that loses something is refused, whatever the configuration says.
    pub strict_translation: bool,
    /// Guardrails of the host's own, behind those of the configuration. Default none.
    pub guardrails: Vec<OwnGuardrail>,
    /// The clock. Default: the system's.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: None,
            variables: load::process_variables(),
            database: None,
            data_dir: None,
            master_key: None,
            make_master_key: false,
            demo: false,
            present_requested: None,
            strict_translation: false,
            guardrails: Vec::new(),
            clock: Arc::new(crate::clock::SystemClock),
        }
    }
}

impl Options {
    /// Whether the embedded database that they lead to exists; true for any other. For those who look into a data directory
    /// and must not begin a new one.
    pub fn has_its_database(&self) -> bool {
        let loaded = load::load(self.config.as_ref(), &self.configuration_variables());
        may_exist(&address_of(self, &loaded.host))
    }

    /// The environment as the configuration sees it: what the options override isn't missing there.
    pub(crate) fn configuration_variables(&self) -> Variables {
        let (variables, database) = (Arc::clone(&self.variables), self.database.clone());
        let master_key = self.master_key.clone();
        Arc::new(move |name| match name {
            "SLUICEGATE_DATABASE" if database.is_some() => {
                // A path or `memory` is the option's own affair; to the file it means "not yours".
                database.as_ref().map(|address| {
                    if address.contains("://") { address.clone() } else { "embedded".to_owned() }
                })
            }
            "SLUICEGATE_MASTER_KEY" if master_key.is_some() => {
                master_key.as_ref().map(|key| key.expose().to_owned())
            }
            _ => variables(name),
        })
    }
}

/// The gateway. Cheap to clone; clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
}

/// A handle for one worker thread, with upstream connections of its own. Make it on that thread.
#[derive(Clone)]
pub struct Worker {
    pub(crate) inner: Arc<Inner>,
    upstream: Arc<dyn Upstream>,
}

pub(crate) struct Inner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) targets: ArcSwap<Targets>,
    pub(crate) records: RecordWriter,
    pub(crate) metrics: Arc<Metrics>,
    /// What a monitoring system may show to scrape.
    pub(crate) scrape_token: Option<Secret>,
    pub(crate) queue: Arc<Queue>,
    /// Responses that are worked on in the background.
    pub(crate) jobs: Jobs,
    /// What this process is called by others on the same database: for good, where it has a journal.
    pub(crate) worker_name: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) present_requested: bool,
    /// What becomes of calls that can't be translated whole, at channels that don't say it.
    pub(crate) translation: Translation,
    /// The host wants none of them sent.
    pub(crate) strict_translation: bool,
    /// Keeps the data directory for this process.
    _owner: Option<Owner>,
    /// Calls under way: their records are still to come.
    pub(crate) under_way: AtomicUsize,
    pub(crate) directory: Arc<Directory>,
    /// Whose tokens open calls beside our keys.
    issuers: Issuers,
    pub(crate) store: Arc<dyn Store>,
    secrets: Arc<Secrets>,
    master_source: Option<MasterSource>,
    /// What the file says; what the database holds is added at each rebuild.
    pub(crate) file: Arc<Loaded>,
    /// The host's settings in force: the file's, and those that the database holds besides.
    pub(crate) host: ArcSwap<HostSettings>,
    /// How people sign in, of the same.
    auth: Arc<ArcSwap<AuthSettings>>,
    scripts: ArcSwap<Scripts>,
    pub(crate) guardrails: Guardrails,
    config_path: Option<String>,
    operator: Arc<BoundCaller>,
    master: Master,
    admin: OnceLock<Admin>,
    started_at: Timestamp,
    /// The database's kind.
    database: &'static str,
    /// What is stored and in use. Held while it is exchanged, so that an older set never follows a newer.
    in_use: tokio::sync::Mutex<InUse>,
    pub(crate) maintenance: Task,
    version: AtomicU64,
    counter: AtomicU64,
    random: u64,
}

/// What tells whether what is stored and in use is still the same.
#[derive(PartialEq, Eq)]
struct InUse {
    channels: Vec<ChannelMark>,
    policies: Vec<PolicyMark>,
    settings: Vec<SettingMark>,
}

/// The stored versions of policies that are in use.
pub(crate) const IN_USE: PolicyFilter<'static> = PolicyFilter { name: None, in_use: true };

/// A model that a caller may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The name.
    pub name: ModelName,
    /// The provider of its first channel; none for an alias.
    pub provider: Option<String>,
}

impl Gateway {
    /// Opens a gateway: reads the configuration, opens the store, restores balances.
    ///
    /// Must be called on a Tokio runtime, which then also runs the writer of usage records and what a gateway does by
    /// itself: looking for other nodes' changes, telling of alerts, clearing away what is over. Both end with
    /// [`shutdown`](Self::shutdown), or with the gateway's last clone.
    ///
    /// # Errors
    /// `Config` with everything that is wrong with the configuration, `Store` when the database can't be opened.
    pub async fn open(options: Options) -> Result<Self> {
        let mut loaded = load::load(options.config.as_ref(), &options.configuration_variables());
        load::refuse_errors(&loaded)?;
        // Before anything else is touched: a file that can't be used changes nothing.
        load::compile_policies(&loaded.declared)?;
        let time_zone = loaded.declared.quota.time_zone.clone();
        let variables = Arc::clone(&options.variables);
        let address = address_of(&options, &loaded.host);
        if let Some(dir) = &options.data_dir {
            make_private_dir(dir)?;
        }
        // Before the database is brought to this version: another process may be using it.
        let own = options.data_dir.as_deref().filter(|_| address != "memory");
        let owner = own.map(Owner::take).transpose()?;
        let store = store::open(&address, time_zone).await?;
        if let Err(error) = store.prepare(options.clock.now()).await {
            tracing::warn!(%error, "this month's records have no place of their own yet; they are kept all the same");
        }
        let secrets = Arc::new(Secrets::new(Arc::clone(&options.variables)));
        let guardrails =
            Guardrails::build(&loaded.declared.guardrails, &secrets)?.and(options.guardrails.clone());
        let source = master_source(&options);
        let chain = audit_chain(&address, source.as_ref())?;
        if address != "memory" {
            warn_of_another_secret(&*store, source.as_ref()).await?;
        }
        let master = Master::resolve(&options, &loaded.host, &*store, &chain).await?;
        if master.strength == KeyStrength::Weak && loaded.host.cors_origins.is_none() {
            // Any page that is open on this machine could guess it.
            tracing::warn!(
                "the administrator's key is known from documentation or easy to guess: pages of other origins may not call; set a strong \
                 one (LITELLM_MASTER_KEY), or name the origins that may (`server.cors.origins`)"
            );
            loaded.host.cors_origins = Some(Vec::new());
        }
        if options.demo && loaded.declared.channels.is_empty() && store.channels().await?.is_empty() {
            loaded.declared.channels.push(demo_channel());
        }
        let stored = store.channels().await?;
        let versions = store.policy_versions(&IN_USE, &Reach::ALL).await?;
        let settings = store.settings().await?;
        let in_use = InUse {
            channels: marks_of(&stored),
            policies: script::marks_of(&versions),
            settings: marks_of_settings(&settings),
        };
        let (scripts, alerts) =
            Scripts::first((&loaded.declared).into(), &versions).map_err(|faults| load::unusable(&faults))?;
        let (mut whole, host) = with_stored(&loaded, stored, &settings, &secrets, source.as_ref())?;
        whole.policies = scripts.sources().to_vec();
        let engine = Engine::new(Snapshot::build(1, whole), scripts.hook());
        engine.try_beside(scripts.shadows());
        alerts.into_iter().for_each(|alert| engine.alert(alert));
        let engine = Arc::new(engine);
        let journal = restore(&engine, &*store, own, loaded.host.durability, &options.clock).await?;
        let targets = ArcSwap::from_pointee(build_targets(&engine, &secrets));
        let worker_name = match &journal {
            Some(journal) => journal.id().to_string(),
            None => format!("{:016x}", random()?),
        };
        // What a former process of this name worked on is lost.
        store.end_work_of(&worker_name).await?;
        let directory =
            Arc::new(Directory::new(Arc::clone(&engine), Arc::clone(&store), Arc::clone(&options.clock)));
        directory.declare(&loaded.declared, keys_of(&loaded.declared, &secrets));
        let record_store: Arc<dyn RecordStore> = store.clone();
        let clock = Arc::clone(&options.clock);
        let started_at = clock.now();
        let metrics = Arc::new(Metrics::new(started_at));
        let records =
            RecordWriter::start(record_store, Arc::clone(&engine), clock, journal, Arc::clone(&metrics));
        let organization = OrganizationId::from(DEFAULT_ORGANIZATION);
        let operator = engine.bind(Caller::operator(organization, &loaded.declared.quota.global));
        let present = options.present_requested.unwrap_or(loaded.host.present_as_requested);
        let inner = Inner {
            queue: Queue::new(Arc::clone(&engine)),
            jobs: Jobs::new(loaded.host.responses),
            worker_name,
            engine,
            targets,
            records,
            metrics,
            // An empty one would be anybody's.
            scrape_token: secrets
                .resolve(&loaded.host.metrics_token)?
                .filter(|token| !token.expose().is_empty()),
            clock: options.clock,
            present_requested: present,
            translation: loaded.host.translation,
            strict_translation: options.strict_translation,
            directory,
            issuers: Issuers::new(&loaded.host.auth.jwt)?,
            store,
            secrets,
            master_source: source,
            file: Arc::new(loaded),
            auth: Arc::new(ArcSwap::from_pointee(host.auth.clone())),
            host: ArcSwap::from_pointee(host),
            scripts: ArcSwap::from_pointee(scripts),
            guardrails,
            config_path: options.config.map(|config| config.path),
            operator,
            master,
            admin: OnceLock::new(),
            started_at,
            database: kind_of(&address),
            _owner: owner,
            in_use: tokio::sync::Mutex::new(in_use),
            maintenance: Task::default(),
            under_way: AtomicUsize::new(0),
            version: AtomicU64::new(1),
            counter: AtomicU64::new(0),
            random: random()?,
        };
        let providers = Providers::new(&inner.file.host.auth.oidc, &inner.secrets)?;
        let inner = Arc::new(inner);
        let admin = Admin::new(AdminParts {
            store: Arc::clone(&inner.store),
            directory: Arc::clone(&inner.directory),
            engine: Arc::clone(&inner.engine),
            clock: Arc::clone(&inner.clock),
            chain: Arc::new(chain),
            auth: Arc::clone(&inner.auth),
            providers: Arc::new(providers),
            host: Arc::new(Around(Arc::downgrade(&inner))),
        });
        let admin = inner.admin.get_or_init(|| admin);
        if let Some((email, password)) = first_admin(&variables)? {
            admin.set_up_from(email, password).await?;
        }
        inner.maintenance.begin(maintain::start(&inner));
        Ok(Self { inner })
    }

    /// A handle for the thread that this is called on.
    pub fn worker(&self) -> Worker {
        Worker { inner: Arc::clone(&self.inner), upstream: Arc::new(HttpUpstream::default()) }
    }

    /// A handle that sends through an upstream of the host's own.
    pub fn worker_with(&self, upstream: Arc<dyn Upstream>) -> Worker {
        Worker { inner: Arc::clone(&self.inner), upstream }
    }

    /// Whether calls go to a channel whole or not at all, unless their callers want more than that.
    pub fn is_strict(&self, channel: &Channel) -> bool {
        serve::is_strict(&self.inner, channel, Translation::Drop)
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The administration service.
    ///
    /// # Panics
    /// Never: it is made when the gateway is opened.
    pub fn admin(&self) -> &Admin {
        // INVARIANT: `open` fills it before anybody holds a gateway.
        self.inner.admin.wait()
    }

    /// Another master secret, see [`Admin::rotate_secret`]; the present one is that which the gateway was opened with.
    ///
    /// # Errors
    /// As there.
    pub async fn rotate_secret(&self, actor: &Actor, new: &MasterSecret) -> Result<Rotated> {
        let present = master_secret(self.inner.master_source.as_ref())?;
        self.admin().rotate_secret(actor, &present, new).await
    }

    /// The host's settings that hold from the start to the end, from the file and the environment. Those that may be changed
    /// meanwhile are in [`host_in_force`](Self::host_in_force).
    pub fn host(&self) -> &HostSettings {
        &self.inner.file.host
    }

    /// The host's settings as they are now.
    pub fn host_in_force(&self) -> Arc<HostSettings> {
        self.inner.host.load_full()
    }

    /// How closely the compatible APIs follow the systems that they stand in for, now.
    pub fn compat(&self) -> Compat {
        self.inner.host.load().compat
    }

    /// What there is to say about the configuration file: warnings and notes, less those that channels of the database make void.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.inner.diagnostics()
    }

    /// The administrator's key, if this start made it. Shown once; only its hash is kept.
    pub fn made_master_key(&self) -> Option<&Secret> {
        self.inner.master.made.as_ref()
    }

    /// Whether there is an administrator's key, and whether it is strong enough to serve beyond this machine.
    pub fn master_key_strength(&self) -> KeyStrength {
        self.inner.master.strength
    }

    /// Whether the credential is the administrator's key. Takes the same time whatever it is.
    pub fn is_master_key(&self, credential: &str) -> bool {
        self.inner.master.is(&KeyHash::of(credential))
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// A new call id.
    pub fn call_id(&self) -> CallId {
        self.inner.call_id()
    }

    /// The caller of a credential.
    ///
    /// # Errors
    /// `Unauthenticated` when there is none or nobody issued it, `Store` when the database can't be asked.
    pub async fn caller(&self, credential: Option<&Secret>) -> Result<Arc<BoundCaller>> {
        self.inner.caller(credential).await
    }

    /// Who administers by a token of another issuer's; `None` for every other credential, and for tokens that open calls alone.
    ///
    /// # Errors
    /// `Unauthenticated` saying why a token doesn't count, `UpstreamUnavailable` when its issuer's keys can't be fetched.
    pub async fn issuer_admin(
        &self,
        credential: &Secret,
        client_ip: Option<IpAddr>,
    ) -> Result<Option<Actor>> {
        let text = credential.expose();
        if !self.inner.issuers.is_theirs(text) {
            return Ok(None);
        }
        let now = self.inner.clock.now();
        let found = self.inner.issuers.administers(&KeyHash::of(text), text, now).await?;
        Ok(found.map(|(issuer, subject)| {
            let credential = format!("token of {}", subject.unwrap_or_else(|| "nobody named".to_owned()));
            Actor::issuer(&issuer).from(client_ip).by(credential)
        }))
    }

    /// Whether a caller may do anything at all from this address, now. Every call is asked this by itself; whatever else a
    /// frontend answers to callers, such as a list of models, must be asked it here.
    ///
    /// # Errors
    /// `Forbidden` when the key, or somebody whom it belongs to, is blocked, or when it may not be used from there;
    /// `Unauthenticated` when it has expired.
    pub fn check_caller(&self, caller: &Caller, client_ip: Option<IpAddr>) -> Result<()> {
        let now = self.inner.clock.now();
        Denial::of_caller(caller, client_ip, now).map_or(Ok(()), |denial| Err(denial.to_error(now)))
    }

    /// The caller whose key has this hash: for those who may see the key and don't hold it.
    ///
    /// # Errors
    /// `NotFound` when there is no such key, `Store` when the database can't be asked.
    pub async fn caller_by_hash(&self, hash: &KeyHash) -> Result<Arc<BoundCaller>> {
        let found = self.inner.directory.find(hash).await?;
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "there is no such key, or what it belongs to is gone")
        })
    }

    /// Why would this call go where? Runs the decision without reserving or sending; by `scripts`, where they are given, in the place
    /// of those in force.
    pub fn explain(
        &self,
        call: Call,
        caller: &Arc<BoundCaller>,
        scripts: Option<&Arc<dyn PolicyHook>>,
    ) -> Explained {
        let at = (self.inner.clock.now(), self.inner.seed());
        self.inner.engine.explain_under(scripts, call, caller, at, &|| Arc::new(NoText), None)
    }

    /// The same for a whole request: scripts that look at its prompt see it, a conversation goes where its turns went, and a prompt whose
    /// bytes have no room in a strict limit is counted. Takes a core while it reads and counts.
    ///
    /// # Errors
    /// As of the request itself, where it can't be read; `RateLimited` while two others are read.
    pub async fn explain_body(
        &self,
        inbound: Inbound,
        caller: &Arc<BoundCaller>,
        scripts: Option<Arc<dyn PolicyHook>>,
    ) -> Result<Explained> {
        // BOUND: of those that read and count at the same time; nothing is reserved for them.
        static BESIDE: Semaphore = Semaphore::const_new(2);
        let turn = BESIDE.try_acquire().map_err(|_| {
            let message = "other requests are being explained; try again when they are done";
            Error::new(ErrorKind::RateLimited, message).with_retry(Retry::AfterMs(1_000))
        })?;
        let (inner, caller) = (Arc::clone(&self.inner), Arc::clone(caller));
        let read = Box::pin(serve::read(&inner, &caller, &inbound)).await;
        let (mut scanned, continued) = read.map_err(|why| why.error)?;
        inner.guardrails.check_names(&caller.caller, &scanned.facts().guardrails)?;
        let explain = move || {
            let _turn = turn;
            let call = serve::asked(&inner, &mut scanned, continued.as_deref(), &inbound)?;
            let at = (inner.clock.now(), inner.seed());
            let count = |tokenizer| tokenizer::input_bound_now(&scanned, tokenizer);
            let count = tokenizer::AVAILABLE.then_some(&count as &dyn Fn(Tokenizer) -> Option<u64>);
            let text = || BodyText::of(&scanned);
            let explained = inner.engine.explain_under(scripts.as_ref(), call, &caller, at, &text, count);
            serve::refuse_unbounded(&scanned, inbound.format, explained.strict_spend_by_name)
                .map_err(|why| why.error)?;
            Ok(explained)
        };
        tokio::task::spawn_blocking(explain)
            .await
            .map_err(|why| Error::new(ErrorKind::Internal, "the explanation was cut off").with_source(why))?
    }

    /// The models that a caller may ask for, by name.
    pub fn models(&self, caller: &BoundCaller) -> Vec<ModelCard> {
        let snapshot = self.inner.engine.snapshot();
        let may_call = |name: &&ModelName| {
            caller.caller.may_call(name.as_str()) && snapshot.is_open(name, &caller.caller)
        };
        let names = snapshot.model_names().into_iter().filter(may_call);
        let is_model = |name: &&ModelName| {
            let group = snapshot.model_group(name.as_str());
            let first = group.and_then(|group| snapshot.resolve(*group.candidates.first()?));
            !first.is_some_and(|(_, model)| model.is_pass_through())
        };
        names
            .filter(is_model)
            .map(|name| {
                let group = snapshot.model_group(name.as_str());
                let first = group.and_then(|group| group.candidates.first());
                let provider =
                    first.and_then(|first| snapshot.resolve(*first)).map(|(c, _)| c.provider.to_string());
                ModelCard { name: name.clone(), provider }
            })
            .collect()
    }

    /// Takes changed channels from the database. The file's stay as they were read.
    ///
    /// # Errors
    /// `Store`. The last good configuration keeps serving.
    pub async fn reload_channels(&self) -> Result<()> {
        self.inner.reload().await
    }

    /// Whether calls can be served: the journal can be written, and the database answers.
    ///
    /// # Errors
    /// `Store`.
    pub async fn ready(&self) -> Result<()> {
        self.inner.records.check_room()?;
        self.inner.store.ping().await
    }

    /// Waits until every record of a finished call is written.
    ///
    /// # Errors
    /// `Store` as soon as a write fails, and after 10 seconds at the latest. The writing goes on.
    pub async fn flush(&self) -> Result<()> {
        self.inner.records.flush().await
    }

    /// Writes what is left and closes the store. Calls should be over: those that aren't have two seconds to be.
    ///
    /// A database that takes nothing is given 15 seconds; what is lost then is logged.
    pub async fn shutdown(&self) {
        self.inner.maintenance.abort();
        self.inner.jobs.end_all(End::Stopped);
        let until = tokio::time::Instant::now() + LAST_CALLS;
        // A call that was cut off ends when its thread lets go of it, which nobody waits for elsewhere.
        let is_busy = || self.inner.under_way.load(Ordering::Acquire) > 0 || !self.inner.jobs.is_idle();
        while is_busy() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        match self.inner.records.close().await {
            Ok(()) => self.inner.records.retire(),
            Err(error) => {
                tracing::error!(%error, "usage records aren't in the database")
            }
        }
        self.inner.store.close().await;
    }
}

impl Worker {
    /// Serves one request.
    ///
    /// # Errors
    /// [`Rejection`] with the error and its body in the caller's format. A stream that has begun never fails here: it
    /// ends with an error event.
    pub async fn call(&self, inbound: Inbound) -> Result<Answer, Box<Rejection>> {
        if inbound.format == Format::OpenaiResponses
            && let Some(body) = foreground(&inbound.body)
        {
            return Box::pin(background::start(&self.inner, &self.upstream, inbound, body)).await;
        }
        serve::serve(&self.inner, &*self.upstream, inbound, None, None).await
    }

    /// Serves one request whose body is a form with files: fields are read, files go on as they come. The body of `inbound` is
    /// left empty.
    ///
    /// A form of at most 4 MiB is held, and may be sent to several channels in turn. Of a longer one there is one attempt, and the
    /// fields that decide about it must come before the file.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn upload(&self, inbound: Inbound, upload: Upload) -> Result<Answer, Box<Rejection>> {
        serve::serve(&self.inner, &*self.upstream, inbound, Some(upload), None).await
    }

    /// Passes one request through to a channel that lets it.
    ///
    /// # Errors
    /// As [`call`](Self::call); a provider's own refusal is an answer.
    pub async fn pass_through(&self, request: PassThrough) -> Result<Answer, Box<Rejection>> {
        pass::serve(&self.inner, &*self.upstream, request).await
    }

    /// The gateway.
    pub fn gateway(&self) -> Gateway {
        Gateway { inner: Arc::clone(&self.inner) }
    }
}

/// A task that is ended from elsewhere.
#[derive(Default)]
pub(crate) struct Task(OnceLock<AbortHandle>);

impl Task {
    fn begin(&self, handle: AbortHandle) {
        self.0.get_or_init(|| handle);
    }

    pub(crate) fn abort(&self) {
        if let Some(handle) = self.0.get() {
            handle.abort();
        }
    }

    #[cfg(test)]
    pub(crate) fn is_finished(&self) -> bool {
        self.0.get().is_some_and(AbortHandle::is_finished)
    }
}

/// Which kind of database an address names.
fn kind_of(address: &str) -> &'static str {
    match address.split_once("://") {
        Some(("postgres" | "postgresql", _)) => "postgres",
        _ if address.trim() == "memory" => "memory",
        _ => "sqlite",
    }
}

fn random() -> Result<u64> {
    getrandom::u64()
        .map_err(|why| Error::new(ErrorKind::Internal, format!("the system gives no random numbers: {why}")))
}

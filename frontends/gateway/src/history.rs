//! Replays over the database: what recorded calls would have come to under another configuration or other scripts. Nothing is
//! sent, and no record or balance is written.

mod report;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use sluicegate_config::{Diagnostic, Loaded, Severity};
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::ledger::window_start;
use sluicegate_core::ports::PolicyHook as _;
use sluicegate_core::replay::{Estimates, Replay, Report};
use sluicegate_core::snapshot::{Declared, PolicySource};
use sluicegate_core::{
    CallId, Caller, Clock, Engine, Error, ErrorKind, KeyId, OrganizationId, Result, Snapshot, Timestamp,
    UsageRecord, Window,
};
use sluicegate_policy::Policies;

pub use report::figures;

use crate::credential::KeyHash;
use crate::directory::Directory;
use crate::gateway::{IN_USE, Options};
use crate::load::{self, ConfigText, Variables};
use crate::script;
use crate::secret::Secrets;
use crate::start::{address_of, demo_channel, may_exist, with_stored};
use crate::store::{self, KeyRef, PolicyVersion, Reach, Store, Stored, StoredChannel};

/// Records that are read at a time.
const PAGE: u32 = 1_000;
/// So many callers are kept at hand.
const CALLERS_MAX: usize = 100_000;

/// What to replay, and under what.
pub struct ReplayOptions {
    /// The configuration; `None` for one whose channels and keys are in the database alone.
    pub config: Option<ConfigText>,
    /// The environment that it refers to.
    pub variables: Variables,
    /// The database's address; overrides the configuration's.
    pub database: Option<String>,
    /// Where the embedded database lives when nothing else is named.
    pub data_dir: Option<PathBuf>,
    /// Scripts by name. One takes the place of the script in force of that name, the configuration's or the database's, with what it is
    /// attached to and what it does on an error; one of another name runs for everybody, behind the others.
    pub policies: Vec<(String, String)>,
    /// Leaves the other scripts out.
    pub only_these_policies: bool,
    /// From when on, as [`time_of`] reads it.
    pub from: String,
    /// Until when, excluded, likewise.
    pub to: String,
}

/// A replay that is done.
#[derive(Clone, Debug)]
pub struct ReplayDone {
    /// From when on calls were replayed.
    pub from: Timestamp,
    /// Until when, excluded.
    pub to: Timestamp,
    /// Since when what calls used counts against limits: the start of that month. What was used before is not in limits without
    /// an end.
    pub counted_from: Timestamp,
    /// Whether there were more calls than were to be replayed at most: then `to` is when the last of them came.
    pub is_limited: bool,
    /// What came of it.
    pub report: Report,
}

/// How far a replay may go, and who is told how far it is.
pub(crate) struct Bounds {
    /// So many calls at most.
    pub(crate) calls: u64,
    /// Fails when it has to end at once. Asked for each record that is replayed.
    pub(crate) go_on: Box<dyn Fn() -> Result<()> + Send + Sync>,
    /// Told of each page of records that is done.
    pub(crate) told: Box<dyn Fn(Course) + Send + Sync>,
}

/// What a replay does with records, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reads the span, for what its calls usually come to.
    Reading,
    /// Counts what was used before the span, since the start of its month.
    Counting,
    /// Decides the span's calls anew.
    Replaying,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// What it does.
    pub phase: Phase,
    /// Records that it did this with.
    pub done: u64,
    /// Of so many, where that is known: of those that are replayed.
    pub of: Option<u64>,
    /// When the last of them came.
    pub at: Timestamp,
    /// How much of all its work is done, in millionths; by the time that its records span, since nobody has counted them.
    pub share_ppm: u32,
}

/// The time that a replay has to go through, more than once. Told of a time in one of its phases, it knows the share of the whole.
#[derive(Clone, Copy)]
struct Way {
    counted_from: Timestamp,
    from: Timestamp,
    to: Timestamp,
}

impl Way {
    fn course(&self, phase: Phase, pages: &Pages<'_>, of: Option<u64>) -> Course {
        let length = |from: Timestamp, to: Timestamp| u64::try_from(to.as_ms() - from.as_ms()).unwrap_or(0);
        let (span, before) = (length(self.from, self.to), length(self.counted_from, self.from));
        let at = pages.after.0;
        let gone = match phase {
            Phase::Reading => length(self.from, at),
            Phase::Counting => span + length(self.counted_from, at),
            Phase::Replaying => span + before + length(self.from, at),
        };
        let share = (u128::from(gone) * 1_000_000).checked_div(u128::from(span + before + span));
        let share_ppm = share.and_then(|it| u32::try_from(it).ok()).map_or(1_000_000, |it| it.min(1_000_000));
        Course { phase, done: pages.count, of, at, share_ppm }
    }
}

/// A script to try.
pub(crate) enum Tried {
    /// Takes the place of the script of its name with what that is attached to and does on an error, else runs for everybody.
    Text(PolicySource),
    /// Takes its place with what it is itself attached to and does on an error.
    Whole(PolicySource),
}

impl Tried {
    fn source(&self) -> &PolicySource {
        match self {
            Self::Text(source) | Self::Whole(source) => source,
        }
    }
}

/// Replays the calls that came in a span of time.
///
/// # Errors
/// `Config` when the configuration or a script can't be used, or there is no such database; `InvalidRequest` for times that
/// make no sense; `NotFound` when no call came then; `Store`.
pub async fn replay(options: ReplayOptions) -> Result<ReplayDone> {
    let world = World::open(&options).await?;
    let zone = world.engine.snapshot().declared.quota.time_zone.clone();
    let now = Options::default().clock.now();
    let time = |text: &str| time_of(text, &zone, now);
    let done = match (time(&options.from), time(&options.to)) {
        (Ok(from), Ok(to)) => {
            // BOUND: whoever runs it on their own machine ends it when they like.
            let bounds = Bounds { calls: u64::MAX, go_on: Box::new(|| Ok(())), told: Box::new(|_| ()) };
            world.replay((from, to), &bounds).await
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    world.store.close().await;
    done
}

/// What a running gateway replays beside its calls: under what its file declares and its database holds.
pub(crate) struct Beside {
    pub(crate) file: Loaded,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tried: Vec<Tried>,
    pub(crate) only_these: bool,
    pub(crate) span: (Timestamp, Timestamp),
}

impl Beside {
    /// Replays. Takes a core while it goes on.
    ///
    /// # Errors
    /// As [`replay`], and what `bounds` fail with.
    pub(crate) async fn replay(self, bounds: &Bounds) -> Result<ReplayDone> {
        let secrets = Secrets::new(Arc::new(|_| None));
        let tried = (&*self.tried, self.only_these);
        let world = World::with(self.file, self.store, &secrets, self.clock, tried).await?;
        world.replay(self.span, bounds).await
    }
}

/// A time in RFC 3339, a day with or without a time in `zone`, or `now`.
///
/// # Errors
/// `InvalidRequest`.
pub fn time_of(text: &str, zone: &jiff::tz::TimeZone, now: Timestamp) -> Result<Timestamp> {
    if text == "now" {
        return Ok(now);
    }
    Timestamp::read(text, zone).ok_or_else(|| {
        let message =
            format!("`{text}` is no time; write 2026-11-28T09:30:00Z, a date such as 2026-11-28, or now");
        Error::new(ErrorKind::InvalidRequest, message)
    })
}

/// What the records are replayed in.
struct World {
    store: Arc<dyn Store>,
    engine: Arc<Engine>,
    directory: Directory,
    policy: u64,
}

impl World {
    async fn open(options: &ReplayOptions) -> Result<Self> {
        let of_gateway = Options {
            variables: Arc::clone(&options.variables),
            database: options.database.clone(),
            data_dir: options.data_dir.clone(),
            ..Options::default()
        };
        let loaded = load_without_credentials(options, &of_gateway.configuration_variables());
        load::refuse_errors(&loaded)?;
        let address = address_of(&of_gateway, &loaded.host);
        if address == "memory" || !may_exist(&address) {
            let message = format!(
                "there is no database `{address}` to read calls from; name it with --database, --data or the gateway's --config"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        let store = store::open(&address, loaded.declared.quota.time_zone.clone()).await?;
        let tried: Vec<_> = options
            .policies
            .iter()
            .map(|(name, text)| Tried::Text(PolicySource::new(name.as_str(), text.as_str())))
            .collect();
        let clock = Arc::clone(&of_gateway.clock);
        let secrets = Secrets::new(Arc::clone(&options.variables));
        Self::with(loaded, store, &secrets, clock, (&tried, options.only_these_policies)).await
    }

    /// With what a file declares and a database holds.
    async fn with(
        mut file: Loaded,
        store: Arc<dyn Store>,
        secrets: &Secrets,
        clock: Arc<dyn Clock>,
        (tried, only_these): (&[Tried], bool),
    ) -> Result<Self> {
        let versions = store.policy_versions(&IN_USE, &Reach::ALL).await?;
        let policies = take_policies(&mut file.declared, &versions, tried, only_these)?;
        // Nobody is sent to, so that no credential is needed.
        let stored: Vec<_> =
            store.channels().await?.into_iter().map(|it| StoredChannel { secret: None, ..it }).collect();
        if file.declared.channels.is_empty() && stored.is_empty() {
            file.declared.channels.push(demo_channel());
        }
        let (whole, _) = with_stored(&file, stored, &store.settings().await?, secrets, None)?;
        let policy = policies.digest();
        let engine = Arc::new(Engine::new(Snapshot::build(1, whole), Arc::new(policies)));
        let directory = Directory::new(Arc::clone(&engine), Arc::clone(&store), clock);
        // Records name keys by their ids, and no credential is presented.
        let keys = file.declared.keys.iter();
        directory.declare(&file.declared, keys.map(|(key, _)| (stand_in(&key.id), key.clone())));
        Ok(Self { store, engine, directory, policy })
    }

    async fn replay(&self, (from, to): (Timestamp, Timestamp), bounds: &Bounds) -> Result<ReplayDone> {
        let zone = self.engine.snapshot().declared.quota.time_zone.clone();
        if from >= to {
            let message = format!("`from` {from} must be before `to` {to}");
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        let counted_from = window_start(Window::Month, from, &zone);
        let way = Way { counted_from, from, to };
        let mut estimates = Estimates::default();
        let mut pages = Pages::new(from, to, bounds);
        while let Some(page) = pages.next(&*self.store).await? {
            page.iter().for_each(|record| estimates.learn(record));
            (bounds.told)(way.course(Phase::Reading, &pages, None));
        }
        if pages.count == 0 {
            let since = self.store.records_since().await?;
            let message = format!(
                "no call came from {from} to {to} in this database, which keeps records since {since}; check `from` and `to`"
            );
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let is_limited = pages.is_limited(&*self.store).await?;
        let until = if is_limited { pages.after.0 } else { to };
        let (way, count) = (Way { to: until, ..way }, pages.count);
        let mut replay = Replay::new(Arc::clone(&self.engine), estimates);
        let mut callers = Callers { world: self, known: HashMap::new() };
        // What was used before counts however much it was: its calls aren't replayed.
        let mut pages = Pages { calls: u64::MAX, ..Pages::new(counted_from, from, bounds) };
        while let Some(page) = pages.next(&*self.store).await? {
            for record in &page {
                if let Some(caller) = callers.of(record).await? {
                    replay.remember(record, &caller);
                }
            }
            (bounds.told)(way.course(Phase::Counting, &pages, None));
        }
        let report = self.run(replay, callers, Pages::new(from, to, bounds), (way, count)).await?;
        Ok(ReplayDone { from, to: until, counted_from, is_limited, report })
    }

    async fn run(
        &self,
        mut replay: Replay,
        mut callers: Callers<'_>,
        mut pages: Pages<'_>,
        (way, count): (Way, u64),
    ) -> Result<Report> {
        let (mut report, mut over) = (Report::default(), Vec::new());
        let digest = self.engine.snapshot().digest();
        while let Some(page) = pages.next(&*self.store).await? {
            for record in page {
                // Scripts may take long over each.
                (pages.bounds.go_on)()?;
                let Some(caller) = callers.of(&record).await? else {
                    report.counts.unknown_callers += 1;
                    continue;
                };
                if record.amends.is_some() {
                    report.counts.amendments += 1;
                    replay.remember(&record, &caller);
                    continue;
                }
                let (facts, counts) = (&record.replay, &mut report.counts);
                let is_same_caller = caller.caller.group == record.group
                    && caller.caller.price_ratio_ppm == facts.price_ratio_ppm;
                counts.other_configuration += u64::from(facts.snapshot != digest || !is_same_caller);
                counts.other_policy += u64::from(facts.policy != self.policy);
                let reasons = facts.explanation.reasons();
                counts.cut += u64::from(
                    facts.explanation.is_cut() || reasons.is_empty() && !record.attempts.is_empty(),
                );
                replay.run(record, &caller, &mut over);
            }
            // BOUND: what is over is summed up with each page.
            over.drain(..).for_each(|call| report.add(&call));
            (pages.bounds.told)(way.course(Phase::Replaying, &pages, Some(count)));
        }
        replay.finish_all(&mut over);
        over.iter().for_each(|call| report.add(call));
        Ok(report)
    }
}

/// Reads the configuration. Nobody is sent to, so that credentials whose variables aren't set have stand-ins: without them
/// channels would be disabled, and keys not issued, that the gateway has.
fn load_without_credentials(options: &ReplayOptions, variables: &Variables) -> Loaded {
    let mut missing = BTreeSet::new();
    // BOUND: each turn finds variables that weren't known to be missing.
    loop {
        let (known, set) = (missing.clone(), Arc::clone(variables));
        let with_stand_ins: Variables = Arc::new(move |name| {
            // Of two keys none may have the other's.
            set(name).or_else(|| known.contains(name).then(|| format!("sk-stand-in-{name}")))
        });
        let loaded = load::load(options.config.as_ref(), &with_stand_ins);
        let before = missing.len();
        missing.extend(loaded.diagnostics.iter().filter_map(missing_credential).map(str::to_owned));
        if missing.len() == before {
            return loaded;
        }
    }
}

/// The variable that a credential is missing for. Without anything else a configuration can't be used, or doesn't mean the same.
fn missing_credential(diagnostic: &Diagnostic) -> Option<&str> {
    let is_meant = diagnostic.code == "missing_variable" && diagnostic.severity == Severity::Warning;
    let paste = diagnostic.paste.as_deref().filter(|_| is_meant)?;
    Some(paste.strip_prefix("export ")?.split_once('=')?.0)
}

/// Makes the scripts in force and those that are tried the configuration's.
fn take_policies(
    declared: &mut Declared,
    stored: &[Stored<PolicyVersion>],
    tried: &[Tried],
    only_these: bool,
) -> Result<Policies> {
    let files = declared.policies.len();
    let mut all = script::joined(&declared.policies, stored);
    for it in tried {
        match it {
            Tried::Whole(source) => all = script::with(&all, files, source),
            Tried::Text(source) => match all.iter_mut().find(|known| known.name == source.name) {
                Some(known) => known.text.clone_from(&source.text),
                None => all.push(source.clone()),
            },
        }
    }
    if only_these {
        all.retain(|known| tried.iter().any(|it| it.source().name == known.name));
    }
    // What is tried must work, as what the file declares.
    let must_work: Vec<_> =
        declared.policies.iter().chain(tried.iter().map(Tried::source)).cloned().collect();
    let file = script::File { policies: &must_work, modules: &declared.policy_modules };
    let (all, policies) =
        script::usable(file, stored, all, &mut Vec::new()).map_err(|faults| load::unusable(&faults))?;
    declared.policies = all;
    Ok(policies)
}

/// Stands for the hash of a declared key's credential.
fn stand_in(key: &KeyId) -> KeyHash {
    KeyHash::of(key.as_str())
}

/// Reads records in the order in which their calls came.
struct Pages<'a> {
    after: (Timestamp, CallId),
    to: Timestamp,
    bounds: &'a Bounds,
    /// So many at most.
    calls: u64,
    /// So many were read.
    count: u64,
}

impl<'a> Pages<'a> {
    fn new(from: Timestamp, to: Timestamp, bounds: &'a Bounds) -> Self {
        Self { after: (from, CallId::from("")), to, bounds, calls: bounds.calls, count: 0 }
    }

    /// Whether there are more than may be read.
    async fn is_limited(&self, store: &dyn Store) -> Result<bool> {
        let is_full = self.count >= self.calls;
        Ok(is_full && !store.scan((self.after.0, &self.after.1), self.to, 1).await?.is_empty())
    }

    /// The next records; `None` behind the last.
    // BOUND: a page at a time, and `calls` in all.
    async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<UsageRecord>>> {
        (self.bounds.go_on)()?;
        let rest = u32::try_from(self.calls.saturating_sub(self.count)).unwrap_or(PAGE).min(PAGE);
        if rest == 0 {
            return Ok(None);
        }
        let page = store.scan((self.after.0, &self.after.1), self.to, rest).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = (last.started_at, last.call.clone());
        self.count = self.count.saturating_add(page.len() as u64);
        Ok(Some(page))
    }
}

/// Who made recorded calls.
struct Callers<'a> {
    world: &'a World,
    // BOUND: `CALLERS_MAX`.
    known: HashMap<(Option<KeyId>, OrganizationId), Option<Arc<BoundCaller>>>,
}

impl Callers<'_> {
    /// The caller of a record, as they are today; `None` when the key is gone.
    async fn of(&mut self, record: &UsageRecord) -> Result<Option<Arc<BoundCaller>>> {
        let who = (record.key.clone(), record.organization.clone());
        if let Some(known) = self.known.get(&who) {
            return Ok(known.clone());
        }
        let found = self.find(record).await?;
        if self.known.len() >= CALLERS_MAX {
            self.known.clear();
        }
        self.known.insert(who, found.clone());
        Ok(found)
    }

    async fn find(&self, record: &UsageRecord) -> Result<Option<Arc<BoundCaller>>> {
        let World { store, engine, directory, .. } = self.world;
        let Some(key) = &record.key else {
            let global = &engine.snapshot().declared.quota.global;
            return Ok(Some(engine.bind(Caller::operator(record.organization.clone(), global))));
        };
        if let Some(declared) = directory.find(&stand_in(key)).await? {
            return Ok(Some(declared));
        }
        match store.key(&KeyRef::Id(key.clone()), &Reach::ALL).await? {
            Some(stored) => directory.find(&stored.hash).await,
            None => Ok(None),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;

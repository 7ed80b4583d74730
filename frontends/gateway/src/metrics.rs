//! What a monitoring system is told, as OpenMetrics text: counted from usage records behind the calls, and asked of the
//! engine when it is scraped. The figures are of this process since it started; bills are made of records, not of these.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use sluicegate_config::MetricsAccess;
use sluicegate_core::money::{NANO_PER_USD, NanoUsd};
use sluicegate_core::record::AttemptRow;
use sluicegate_core::tenant::RouteUse;
use sluicegate_core::usage::Usage;
use sluicegate_core::{
    Error, ErrorKind, OutcomeClass, RecordRow, Result, Secret, Snapshot, Timestamp, Window,
};
use smallvec::SmallVec;

use crate::credential;
use crate::gateway::Gateway;

/// The media type of what [`Gateway::metrics`](crate::Gateway::metrics) writes.
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// So many models, groups and channels have a name of their own here; what comes later is counted together.
const NAMES_MAX: usize = 1_000;
/// What is counted together because there are too many names.
const OTHER: &str = "other";
/// Upper bounds of the durations' classes, in seconds: from what a cache answers in to what a long answer takes.
const SECONDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

type Money = Counter<f64, AtomicU64>;
type Ratio = Gauge<f64, AtomicU64>;
type Durations<L> = Family<L, Histogram, Classes>;

/// Makes the histograms of durations.
#[derive(Clone, Copy, Debug)]
struct Classes;

impl MetricConstructor<Histogram> for Classes {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    model: String,
    stream: bool,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTokens {
    model: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfGroup {
    group: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAttempt {
    channel: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfChannel {
    channel: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDenial {
    code: String,
    scope: &'static str,
    metric: &'static str,
    window: String,
}

/// How things stand, as of a scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// The channels, each with its name.
    pub(crate) channels: Vec<(String, ChannelStanding)>,
    /// Calls under way.
    pub(crate) under_way: u64,
    /// Reservations of attempts under way.
    pub(crate) open: u64,
    /// Reservations whose outcome nobody knows.
    pub(crate) held: u64,
    /// Usage records that wait for the database.
    pub(crate) records_waiting: u64,
    /// The journal, where there is one: bytes in its newest segment, older segments, events so far.
    pub(crate) journal: Option<(u64, u64, u64)>,
}

/// How a channel is doing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChannelStanding {
    /// It may be asked now.
    pub(crate) is_up: bool,
    /// It failed permanently, and waits for somebody to mend it.
    pub(crate) is_broken: bool,
    /// Attempts under way.
    pub(crate) in_flight: u32,
    /// Smoothed latency, in microseconds.
    pub(crate) latency_us: u64,
}

/// The figures.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<OfRequest, Counter>,
    tokens: Family<OfTokens, Counter>,
    spend: Family<OfModel, Money>,
    duration: Durations<OfModel>,
    first_content: Durations<OfModel>,
    denials: Family<OfDenial, Counter>,
    group_requests: Family<OfGroup, Counter>,
    group_tokens: Family<OfGroup, Counter>,
    group_spend: Family<OfGroup, Money>,
    attempts: Family<OfAttempt, Counter>,
    attempt_duration: Durations<OfChannel>,
    channel_cost: Family<OfChannel, Money>,
    gauges: Gauges,
    known: Mutex<Known>,
    /// One scrape at a time: what it sets must be what it writes.
    scrape: Mutex<()>,
}

#[derive(Default)]
struct Gauges {
    up: Family<OfChannel, Gauge>,
    broken: Family<OfChannel, Gauge>,
    in_flight: Family<OfChannel, Gauge>,
    latency: Family<OfChannel, Ratio>,
    under_way: Gauge,
    open: Gauge,
    held: Gauge,
    records_waiting: Gauge,
    journal_bytes: Gauge,
    journal_segments: Gauge,
    journal_events: Gauge,
}

/// The figures of each name, found without making its labels again.
// BOUND: `NAMES_MAX` of each, and one for all others.
#[derive(Default)]
struct Known {
    models: HashMap<String, PerModel>,
    groups: HashMap<String, PerGroup>,
    channels: HashMap<String, PerChannel>,
}

#[derive(Clone)]
struct PerModel {
    name: String,
    requests: SmallVec<[((OutcomeClass, bool), Counter); 4]>,
    /// In the order of [`token_kinds`].
    tokens: [Counter; 5],
    spend: Money,
    duration: Histogram,
    first_content: Histogram,
}

#[derive(Clone)]
struct PerGroup {
    requests: Counter,
    tokens: Counter,
    spend: Money,
}

#[derive(Clone)]
struct PerChannel {
    name: String,
    attempts: SmallVec<[(OutcomeClass, Counter); 4]>,
    duration: Histogram,
    cost: Money,
}

/// Tokens by kind; each token is of one kind only.
fn token_kinds(usage: &Usage) -> [(&'static str, u64); 5] {
    [
        ("input", usage.input_uncached + usage.audio_in + usage.image_in),
        ("cache_read", usage.cached_tokens()),
        ("cache_write", usage.cache_write + usage.cache_write_1h),
        ("output", usage.output_visible + usage.audio_out + usage.image_out),
        ("reasoning", usage.output_reasoning),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at; bills are integers")]
fn usd(nano: NanoUsd) -> f64 {
    nano.max(0) as f64 / NANO_PER_USD as f64
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    // A clock that is set back must not make a duration negative.
    f64::from(u32::try_from(to.since_ms(from).max(0)).unwrap_or(u32::MAX)) / 1_000.0
}

/// The figures of a name, or those of all names that come too late to have their own.
fn of_name<'a, V>(
    known: &'a mut HashMap<String, V>,
    name: &str,
    make: impl FnOnce(String) -> V,
) -> &'a mut V {
    let name = if known.len() >= NAMES_MAX && !known.contains_key(name) { OTHER } else { name };
    known.entry_ref(name).or_insert_with(|| make(name.to_owned()))
}

/// Counts one more of a kind among those of a name.
fn count_kind<K: PartialEq>(
    counters: &mut SmallVec<[(K, Counter); 4]>,
    kind: K,
    make: impl FnOnce() -> Counter,
) {
    match counters.iter().find(|(known, _)| *known == kind) {
        Some((_, counter)) => {
            counter.inc();
        }
        // BOUND: the kinds of outcomes.
        None => {
            let counter = make();
            counter.inc();
            counters.push((kind, counter));
        }
    }
}

impl Gateway {
    /// What a monitoring system is told, as text of the type [`METRICS_TYPE`]. A record counts when the database is sent
    /// it, at most 0.2 s after its call while the database answers.
    pub fn metrics(&self) -> String {
        let inner = &self.inner;
        let now = inner.clock.now();
        let snapshot = inner.engine.snapshot();
        let channels = snapshot.channels().iter().map(|channel| {
            let health = inner.engine.health(&channel.id, now).unwrap_or_default();
            let is_benched = health.benched_until.is_some_and(|until| until > now);
            let standing = ChannelStanding {
                is_up: channel.enabled && !health.broken && !is_benched,
                is_broken: health.broken,
                in_flight: health.in_flight,
                latency_us: health.latency_us,
            };
            (channel.name.to_string(), standing)
        });
        let (open, held) = inner.engine.ledger().counts();
        inner.metrics.text(&Standing {
            channels: channels.collect(),
            under_way: inner.under_way.load(Ordering::Relaxed) as u64,
            open: open as u64,
            held: held as u64,
            records_waiting: inner.records.waiting() as u64,
            journal: inner.records.journal().map(|journal| {
                let (_, bytes, old, next) = journal.extent();
                (bytes, old as u64, next)
            }),
        })
    }

    /// Whether somebody with this credential, connecting from `client_ip`, may scrape: whoever shows the configured token, else
    /// super administrators, since the figures are of all organizations.
    ///
    /// # Errors
    /// `NotFound` when the configuration turns metrics off. `Unauthenticated`, `Forbidden`, `Store`.
    pub async fn may_scrape(&self, credential: Option<&Secret>, client_ip: Option<IpAddr>) -> Result<()> {
        match self.inner.file.host.metrics {
            MetricsAccess::Off => {
                let message = "metrics are off; set `server.metrics` in the configuration to have them";
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            MetricsAccess::Open => return Ok(()),
            MetricsAccess::Authorized => {}
        }
        if let (Some(given), Some(token)) = (credential, &self.inner.scrape_token)
            && credential::same(given.expose(), token)
        {
            return Ok(());
        }
        let caller = self.caller(credential).await?;
        caller.caller.routes.check("/metrics", &[RouteUse::Read])?;
        if self.admin().actor(&caller.caller, client_ip).await?.is_super() {
            return Ok(());
        }
        let message = "metrics are of all organizations: super administrators may read them, and whoever shows \
                       `server.metrics_token`";
        Err(Error::new(ErrorKind::Forbidden, message))
    }
}

impl Metrics {
    /// All at zero, of a process that started at `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        let mut it = Self {
            registry: Registry::with_prefix("sluicegate"),
            requests: Family::default(),
            tokens: Family::default(),
            spend: Family::default(),
            duration: Family::new_with_constructor(Classes),
            first_content: Family::new_with_constructor(Classes),
            denials: Family::default(),
            group_requests: Family::default(),
            group_tokens: Family::default(),
            group_spend: Family::default(),
            attempts: Family::default(),
            attempt_duration: Family::new_with_constructor(Classes),
            channel_cost: Family::default(),
            gauges: Gauges::default(),
            known: Mutex::default(),
            scrape: Mutex::default(),
        };
        it.register(now);
        it
    }

    fn register(&mut self, now: Timestamp) {
        let (r, g) = (&mut self.registry, &self.gauges);
        let dollars = || Unit::Other("usd".to_owned());
        r.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let started = Ratio::default();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit well")]
        started.set(now.as_ms() as f64 / 1_000.0);
        r.register_with_unit("start_time", "When it was started, since 1970", Unit::Seconds, started);
        r.register("requests", "Calls that ended, by the model that served them last", self.requests.clone());
        r.register(
            "denials",
            "Calls that weren't let through, and the limit where one refused",
            self.denials.clone(),
        );
        r.register("tokens", "Tokens used, each of one kind", self.tokens.clone());
        r.register_with_unit("spend", "What calls cost their callers", dollars(), self.spend.clone());
        r.register_with_unit(
            "request_duration",
            "From a call's arrival to its end",
            Unit::Seconds,
            self.duration.clone(),
        );
        r.register_with_unit(
            "time_to_first_token",
            "From a streamed call's arrival to its first content",
            Unit::Seconds,
            self.first_content.clone(),
        );
        r.register("group_requests", "Calls that ended, by group", self.group_requests.clone());
        r.register("group_tokens", "Tokens used, by group", self.group_tokens.clone());
        r.register_with_unit("group_spend", "What calls cost, by group", dollars(), self.group_spend.clone());
        r.register("attempts", "Attempts that ended, by channel", self.attempts.clone());
        r.register_with_unit(
            "attempt_duration",
            "How long attempts took",
            Unit::Seconds,
            self.attempt_duration.clone(),
        );
        r.register_with_unit(
            "channel_cost",
            "What attempts cost at list prices",
            dollars(),
            self.channel_cost.clone(),
        );
        r.register("channel_up", "Whether a channel may be asked", g.up.clone());
        r.register("channel_broken", "Whether a channel waits for somebody to mend it", g.broken.clone());
        r.register("channel_in_flight", "Attempts under way", g.in_flight.clone());
        r.register_with_unit("channel_latency", "Smoothed latency", Unit::Seconds, g.latency.clone());
        r.register("requests_in_flight", "Calls under way", g.under_way.clone());
        r.register("reservations_open", "Reservations of attempts under way", g.open.clone());
        r.register("reservations_held", "Reservations whose outcome nobody knows", g.held.clone());
        r.register("records_waiting", "Usage records that wait for the database", g.records_waiting.clone());
        r.register_with_unit(
            "journal_segment",
            "How long the newest segment is",
            Unit::Bytes,
            g.journal_bytes.clone(),
        );
        r.register("journal_old_segments", "Segments that wait for the database", g.journal_segments.clone());
        r.register("journal_position", "The number of the journal's next event", g.journal_events.clone());
    }

    /// Counts what a record says. Each record once, off the calls' way.
    pub(crate) fn count(&self, record: &RecordRow, snapshot: &Snapshot) {
        let mut known = self.known.lock();
        self.count_model(&mut known, record, snapshot);
        self.count_group(&mut known, record);
        // What adds to a call that was counted is no call, and its attempts were counted with it.
        if record.amends.is_some() {
            return;
        }
        for attempt in &record.attempts {
            self.count_attempt(&mut known, attempt, snapshot);
        }
        if let (Some(code), OutcomeClass::Denied) = (&record.error, record.outcome) {
            let by = record.denied_by;
            let labels = OfDenial {
                code: code.clone(),
                scope: by.map_or("", |by| by.scope.as_str()),
                metric: by.map_or("", |by| by.metric.as_str()),
                window: by.map_or_else(String::new, |by| match by.window {
                    // BOUND: how long it is, is for whoever sets the limit to choose.
                    Window::RollingMs(_) => "rolling".to_owned(),
                    named => named.to_string(),
                }),
            };
            self.denials.get_or_create(&labels).inc();
        }
    }

    fn count_model(&self, known: &mut Known, record: &RecordRow, snapshot: &Snapshot) {
        // A name that only callers know would be a new one with each call: only what was tried has one.
        let name = record.attempts.last().map_or("", |attempt| attempt.model.as_str());
        // And what a wildcard lets them ask for is theirs to choose, too.
        let name = snapshot.model_group_name(name).map_or(name, |declared| declared.as_str());
        let model = of_name(&mut known.models, name, |name| self.model(name));
        for ((_, used), counter) in token_kinds(&record.usage).into_iter().zip(&model.tokens) {
            counter.inc_by(used);
        }
        model.spend.inc_by(usd(record.spend));
        if record.amends.is_some() {
            return;
        }
        let (outcome, stream) = (record.outcome, record.stream);
        let labels = |model: &str| OfRequest { model: model.to_owned(), stream, outcome: outcome.as_str() };
        let name = &model.name;
        count_kind(&mut model.requests, (outcome, stream), || {
            self.requests.get_or_create_owned(&labels(name))
        });
        if !record.attempts.is_empty() {
            model.duration.observe(seconds(record.started_at, record.ended_at));
        }
        if let Some(first) = record.first_byte_at.filter(|_| stream) {
            model.first_content.observe(seconds(record.started_at, first));
        }
    }

    fn count_group(&self, known: &mut Known, record: &RecordRow) {
        let Some(group) = &record.group else { return };
        let group = of_name(&mut known.groups, group.as_str(), |group| {
            let labels = OfGroup { group };
            PerGroup {
                requests: self.group_requests.get_or_create_owned(&labels),
                tokens: self.group_tokens.get_or_create_owned(&labels),
                spend: self.group_spend.get_or_create_owned(&labels),
            }
        });
        group.requests.inc_by(u64::from(record.amends.is_none()));
        group.tokens.inc_by(token_kinds(&record.usage).into_iter().map(|(_, used)| used).sum());
        group.spend.inc_by(usd(record.spend));
    }

    fn count_attempt(&self, known: &mut Known, attempt: &AttemptRow, snapshot: &Snapshot) {
        let channel = of_name(&mut known.channels, attempt.channel.as_str(), |id| {
            let channel = snapshot.channels().iter().find(|it| it.id.as_str() == id);
            let name = channel.map(|channel| channel.name.to_string()).unwrap_or(id);
            let labels = OfChannel { channel: name.clone() };
            PerChannel {
                name,
                attempts: SmallVec::new(),
                duration: self.attempt_duration.get_or_create_owned(&labels),
                cost: self.channel_cost.get_or_create_owned(&labels),
            }
        });
        let name = &channel.name;
        let labels = || OfAttempt { channel: name.clone(), outcome: attempt.outcome.as_str() };
        count_kind(&mut channel.attempts, attempt.outcome, || self.attempts.get_or_create_owned(&labels()));
        channel.duration.observe(f64::from(attempt.duration_ms) / 1_000.0);
        channel.cost.inc_by(usd(attempt.cost));
    }

    fn model(&self, name: String) -> PerModel {
        let labels = OfModel { model: name.clone() };
        let tokens = token_kinds(&Usage::default())
            .map(|(kind, _)| self.tokens.get_or_create_owned(&OfTokens { model: name.clone(), kind }));
        PerModel {
            name,
            requests: SmallVec::new(),
            tokens,
            spend: self.spend.get_or_create_owned(&labels),
            duration: self.duration.get_or_create_owned(&labels),
            first_content: self.first_content.get_or_create_owned(&labels),
        }
    }

    /// Everything, as OpenMetrics text.
    pub(crate) fn text(&self, standing: &Standing) -> String {
        let _one = self.scrape.lock();
        self.gauges.set(standing);
        let mut out = String::new();
        // INVARIANT: writing to a string doesn't fail.
        if let Err(why) = text::encode(&mut out, &self.registry) {
            tracing::error!(%why, "the metrics can't be written");
        }
        out
    }
}

impl Gauges {
    fn set(&self, standing: &Standing) {
        // Channels that are gone have no state.
        self.up.clear();
        self.broken.clear();
        self.in_flight.clear();
        self.latency.clear();
        // BOUND: `NAMES_MAX`, as of what is counted.
        for (channel, of) in standing.channels.iter().take(NAMES_MAX) {
            let labels = OfChannel { channel: channel.clone() };
            self.up.get_or_create(&labels).set(i64::from(of.is_up));
            self.broken.get_or_create(&labels).set(i64::from(of.is_broken));
            self.in_flight.get_or_create(&labels).set(i64::from(of.in_flight));
            if of.latency_us > 0 {
                let micros = f64::from(u32::try_from(of.latency_us).unwrap_or(u32::MAX));
                self.latency.get_or_create(&labels).set(micros / 1_000_000.0);
            }
        }
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.under_way, standing.under_way);
        set(&self.open, standing.open);
        set(&self.held, standing.held);
        set(&self.records_waiting, standing.records_waiting);
        let (bytes, segments, events) = standing.journal.unwrap_or_default();
        set(&self.journal_bytes, bytes);
        set(&self.journal_segments, segments);
        set(&self.journal_events, events);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluicegate_core::record::DeniedBy;
    use sluicegate_core::snapshot::Declared;
    use sluicegate_core::{Metric, ScopeKind};

    use super::*;

    fn record(group: &str, amends: Option<&str>) -> RecordRow {
        let row = json!({
            "call": "c", "amends": amends, "started_at": 1_000, "ended_at": 3_500, "group": group, "organization": "o",
            "model": "asked", "stream": false, "outcome": "ok", "spend": 1_500_000_000_i64,
            "usage": {"input_uncached": 3, "output_visible": 4},
            "attempts": [{"channel": "c", "model": "served", "outcome": "ok", "started_at": 1_000, "duration_ms": 2_400,
                "spend": 0, "cost": 0, "usage": {}}],
        });
        serde_json::from_value(row).unwrap()
    }

    fn told(records: &[RecordRow]) -> String {
        told_with(records, Declared::default())
    }

    fn told_with(records: &[RecordRow], declared: Declared) -> String {
        let metrics = Metrics::new(Timestamp::from_ms(0));
        let snapshot = Snapshot::build(1, declared);
        records.iter().for_each(|record| metrics.count(record, &snapshot));
        metrics.text(&Standing::default())
    }

    #[test]
    fn names_are_bounded_and_the_rest_is_counted_together() {
        let groups = NAMES_MAX + 7;
        let records: Vec<_> = (0..groups).map(|n| record(&format!("g{n}"), None)).collect();
        let text = told(&records);
        let has = |line: &str| assert!(text.lines().any(|it| it == line), "no `{line}`");
        has(r#"sluicegate_group_requests_total{group="g999"} 1"#);
        has(r#"sluicegate_group_requests_total{group="other"} 7"#);
        assert!(!text.contains("g1000"));
        assert_eq!(text.matches("sluicegate_group_requests_total{").count(), NAMES_MAX + 1);
        has(&format!(r#"sluicegate_requests_total{{model="served",stream="false",outcome="ok"}} {groups}"#));
        assert!(!text.contains("asked"), "what only callers say is no label");
    }

    #[test]
    fn windows_that_somebody_chose_are_one_label() {
        let denied = |window| {
            let mut record = record("g", None);
            record.outcome = OutcomeClass::Denied;
            record.error = Some("rate_limited".to_owned());
            let (scope, metric) = (ScopeKind::Key, Metric::Requests);
            record.denied_by = Some(DeniedBy { scope, metric, window });
            record
        };
        let windows = [Window::RollingMs(61_000), Window::RollingMs(62_000), Window::Day];
        let text = told(&windows.map(denied));
        for (window, calls) in [("rolling", 2), ("day", 1)] {
            let line = format!(
                r#"sluicegate_denials_total{{code="rate_limited",scope="key",metric="requests",window="{window}"}} {calls}"#
            );
            assert!(text.lines().any(|it| it == line), "no `{line}`");
        }
    }

    #[test]
    fn what_a_wildcard_serves_is_counted_by_it() {
        let channel = serde_json::from_value(serde_json::json!({
            "id": "c", "name": "c", "provider": "openai", "auth": "bearer", "secret": "none",
            "models": [{"group": "openai/*", "upstream": "*"}, {"group": "openai/served", "upstream": "served"}],
            "endpoints": [{"format": "openai_chat", "url": "https://api.example.com/v1/chat/completions"}],
        }))
        .unwrap();
        let asked = |model: &str| {
            let mut record = record("g", None);
            record.attempts[0].model = model.into();
            record
        };
        let records = [asked("openai/a"), asked("openai/b"), asked("openai/served")];
        let text = told_with(&records, Declared { channels: vec![channel], ..Declared::default() });
        for (model, calls) in [("openai/*", 2), ("openai/served", 1)] {
            let line = format!(
                r#"sluicegate_requests_total{{model="{model}",stream="false",outcome="ok"}} {calls}"#
            );
            assert!(text.lines().any(|it| it == line), "no `{line}`");
        }
        assert!(!text.contains("openai/a"), "{text}");
    }

    #[test]
    fn what_adds_to_a_call_costs_and_is_no_call() {
        let text = told(&[record("g", None), record("g", Some("c"))]);
        for line in [
            r#"sluicegate_group_requests_total{group="g"} 1"#,
            r#"sluicegate_group_tokens_total{group="g"} 14"#,
            r#"sluicegate_group_spend_usd_total{group="g"} 3.0"#,
            r#"sluicegate_request_duration_seconds_count{model="served"} 1"#,
            r#"sluicegate_request_duration_seconds_bucket{le="2.5",model="served"} 1"#,
            r#"sluicegate_attempts_total{channel="c",outcome="ok"} 1"#,
        ] {
            assert!(text.lines().any(|it| it == line), "no `{line}` in\n{text}");
        }
    }
}

//! Who calls whom in a history: tenants, their limits, and channels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use sluicegate::core::channel::Endpoint;
use sluicegate::core::count::Counting;
use sluicegate::core::engine::BoundCaller;
use sluicegate::core::ledger::BoundLimit;
use sluicegate::core::tenant::Source;
use sluicegate::core::{
    Caller, Channel, ChannelModel, Declared, Engine, Format, Limit, Metric, Mode, Needs, Price, Scope,
    ScopeKind, ScopeLimits, Snapshot, Window,
};
use sluicegate::policy::Policies;

use crate::rng::Rng;

/// What a history plays with.
pub struct World {
    pub channels: Vec<Channel>,
    /// Each tenant's chain, innermost first.
    pub chains: Vec<Vec<ScopeLimits>>,
    /// What each group pays of the list price, in parts per million.
    ratios: [u32; 2],
    /// Scopes of which a limit was changed.
    pub changed: BTreeSet<Scope>,
}

/// A limit to be watched: found by its name, so that whoever forgets to bind it is found out.
pub struct Watched {
    pub scope: Scope,
    pub bound: BoundLimit,
    /// Whether a limit of its scope was changed.
    pub changed: bool,
}

impl World {
    pub fn new(rng: &mut Rng) -> Self {
        let channels = (0..2 + rng.below(3)).map(|at| channel(at, rng)).collect();
        let global = scope(ScopeKind::Global, "", rng, 60);
        let organization = scope(ScopeKind::Organization, "o", rng, 50);
        let groups: Vec<_> = (0..2).map(|at| scope(ScopeKind::Group, &format!("g{at}"), rng, 30)).collect();
        let chains = (0..3 + rng.below(6))
            .map(|at| {
                let key = scope(ScopeKind::Key, &format!("k{at}"), rng, 12);
                vec![key, rng.pick(&groups).clone(), organization.clone(), global.clone()]
            })
            .collect();
        let ratios = [1_000_000, *rng.pick(&[1_000_000, 333_333, 1_500_000])];
        Self { channels, chains, ratios, changed: BTreeSet::new() }
    }

    pub fn engine(&self) -> Engine {
        let mut declared = Declared { channels: self.channels.clone(), ..Declared::default() };
        declared.quota.time_zone = TimeZone::get("Europe/Berlin").unwrap();
        Engine::new(Snapshot::build(1, declared), Arc::new(Policies::default()))
    }

    pub fn bind(&self, engine: &Engine, tenant: usize) -> Arc<BoundCaller> {
        let mut caller = Caller::operator("o".into(), &[]);
        caller.key = Some(format!("k{tenant}").as_str().into());
        caller.group = Some((&*self.chains[tenant][1].scope.id).into());
        caller.price_ratio_ppm = self.ratio(tenant);
        caller.chain.clone_from(&self.chains[tenant]);
        engine.bind(caller)
    }

    pub fn ratio(&self, tenant: usize) -> u32 {
        self.ratios[usize::from(&*self.chains[tenant][1].scope.id == "g1")]
    }

    /// Every limit of every scope and channel, each once, in an order that a restart doesn't change.
    pub fn watch(&self, engine: &Engine) -> Vec<Watched> {
        let mut scopes: BTreeMap<Scope, ScopeLimits> = BTreeMap::new();
        for link in self.chains.iter().flatten() {
            scopes.insert(link.scope.clone(), link.clone());
        }
        for channel in &self.channels {
            let scope = Scope::new(ScopeKind::Channel, channel.id.as_str());
            scopes.insert(scope.clone(), ScopeLimits { scope, limits: channel.limits.clone() });
        }
        let mut ledger = engine.ledger();
        let watched = scopes.values().flat_map(|of| {
            let (bound, changed) = (ledger.bind(0, of), self.changed.contains(&of.scope));
            bound.into_iter().map(move |bound| Watched { scope: of.scope.clone(), bound, changed })
        });
        watched.collect()
    }
}

fn scope(kind: ScopeKind, id: &str, rng: &mut Rng, calls: u64) -> ScopeLimits {
    let mut limits = Vec::new();
    for metric in [Metric::TotalTokens, Metric::OutputTokens, Metric::Spend, Metric::Requests] {
        for window in
            [Window::Minute, Window::Day, Window::Month, Window::RollingMs(600_000), Window::Lifetime]
        {
            if rng.percent(22) {
                limits.push(limit(metric, window, rng, calls));
            }
        }
    }
    if rng.percent(20) {
        limits.push(Limit::strict(Metric::Concurrency, Window::Lifetime, 1 + rng.below(8) as i64));
    }
    ScopeLimits { scope: Scope::new(kind, id), limits }
}

/// A limit that some calls fit into and others don't.
fn limit(metric: Metric, window: Window, rng: &mut Rng, calls: u64) -> Limit {
    let one = match metric {
        Metric::Requests | Metric::Concurrency => 1,
        Metric::Spend => 300_000,
        _ => 200,
    };
    let max = one * (1 + rng.below(calls) as i64);
    let mode = match rng.below(10) {
        0..7 => Mode::Strict,
        7..9 => Mode::Corrected,
        _ => Mode::Soft,
    };
    Limit { mode, ..Limit::strict(metric, window, max) }
}

fn channel(at: u64, rng: &mut Rng) -> Channel {
    let limits = if rng.percent(40) {
        vec![
            limit(Metric::Requests, Window::Minute, rng, 40),
            limit(Metric::TotalTokens, Window::Minute, rng, 40),
            limit(Metric::Spend, Window::Hour, rng, 40),
        ]
    } else {
        Vec::new()
    };
    Channel {
        endpoints: vec![Endpoint { format: Format::OpenaiChat, url: "http://127.0.0.1:9/".to_owned() }],
        models: vec![ChannelModel {
            group: "m".into(),
            upstream: "m".into(),
            // Not whole nano-USD: what is rounded the wrong way shows.
            price: Price { input: Some(1_000_300), output: Some(2_000_900), ..Price::default() },
            context_window: Some(10_000),
            max_output: Some(500),
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
        priority: (at % 2) as i32,
        limits,
        source: Source::File,
        ..Channel::new(format!("c{at}"), format!("channel {at}"), "openai")
    }
}

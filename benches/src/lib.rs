//! The world that the benches run in: one governed caller, four channels, and optionally a script.

use std::sync::Arc;

use sluicegate_core::channel::{Auth, Endpoint};
use sluicegate_core::count::Counting;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::ids::CallId;
use sluicegate_core::journal::{AttemptFacts, Ending};
use sluicegate_core::ledger::{Amounts, Ask};
use sluicegate_core::snapshot::PolicySource;
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Call, Caller, Channel, ChannelModel, Declared, Engine, Format, Limit, Metric, Needs, OutcomeClass, Price,
    Scope, ScopeKind, ScopeLimits, Snapshot, Timestamp, Usage, UsageSource, Window,
};
use sluicegate_policy::{Policies, PolicyDiagnostic};

/// When everything happens: a morning in November 2026.
pub const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

/// A script of ten lines, of the kind that operators write.
pub const SCRIPT: &str = r#"const LONG = 100000;
fn route(call, candidates) {
    if call.group == "research" { prefer("provider:wanqing"); exclude("tag:overseas"); }
    if call.input_tokens > LONG { use_model("long-context"); }
    if call.model.starts_with("gpt-") && call.tools { fallback(["deepseek-v3", "qwen-max"]); }
    if hash_percent(call.user, "canary") < 10 { tag("canary"); }
    if call.stream { prefer("tag:streams"); }
    if call.max_output == () { max_output(4096); }
    tag("routed");
}"#;

/// The same work, and a look at each candidate.
pub const CANDIDATES_SCRIPT: &str = r#"const LONG = 100000;
fn route(call, candidates) {
    if call.group == "research" { prefer("provider:wanqing"); exclude("tag:overseas"); }
    if call.input_tokens > LONG { use_model("long-context"); }
    if call.model.starts_with("gpt-") && call.tools { fallback(["deepseek-v3", "qwen-max"]); }
    if hash_percent(call.user, "canary") < 10 { tag("canary"); }
    for c in candidates { if c.latency_ms > 2000 || c.failures > 3 { exclude(c); } }
    if call.max_output == () { max_output(4096); }
    prefer(candidates[0]);
}"#;

/// An engine and who calls it.
pub struct World {
    /// The engine.
    pub engine: Engine,
    /// A key in a group of an organization, each with three strict limits.
    pub caller: Arc<BoundCaller>,
}

impl World {
    /// Four candidates, three scopes with three strict limits each, and these scripts.
    ///
    /// # Errors
    /// What is wrong with the scripts.
    pub fn new(scripts: &[&str]) -> Result<Self, Vec<PolicyDiagnostic>> {
        Self::with_candidates(4, scripts)
    }

    /// The same with so many candidates.
    ///
    /// # Errors
    /// What is wrong with the scripts.
    pub fn with_candidates(count: u32, scripts: &[&str]) -> Result<Self, Vec<PolicyDiagnostic>> {
        let sources: Vec<_> = scripts
            .iter()
            .enumerate()
            .map(|(at, text)| PolicySource::new(format!("script {at}"), *text))
            .collect();
        let policies = Policies::compile(&sources)?;
        let declared = Declared { channels: (0..count).map(channel).collect(), ..Declared::default() };
        let engine = Engine::new(Snapshot::build(1, declared), Arc::new(policies));
        let caller = engine.bind(caller(1));
        Ok(Self { engine, caller })
    }

    /// Another key in the same group.
    pub fn member(&self, key: u32) -> Arc<BoundCaller> {
        self.engine.bind(caller(key))
    }
}

/// An attempt of `call` by this caller, as the ledger is asked.
pub fn ask<'a>(call: &'a CallId, caller: &'a BoundCaller) -> Ask<'a> {
    let bound = Amounts { input_tokens: 1_100, output_tokens: 500, spend: 7_750_000 };
    let estimate = Amounts { input_tokens: 280, output_tokens: 500, spend: 5_700_000 };
    Ask {
        call,
        tenant: caller.limits(),
        named: &[],
        channel: &[],
        model: "gpt-4o",
        asked_as: "gpt-4o",
        bound,
        estimate,
        channel_bound: bound,
        channel_estimate: estimate,
        count_request: true,
        turn: None,
        attempt: Some(AttemptFacts {
            number: 1,
            admitted_at: NOW,
            format: Format::OpenaiChat,
            stream: false,
            requested: "gpt-4o",
            organization: "acme",
            key: Some("key-0190f5a2-7c1e"),
            user: Some("user-0190f5a2-7c1e"),
            group: Some("research"),
            customer: None,
            tags: [&[], &[]],
            seed: 7,
            snapshot: 1,
            input_bound: Some(1_100),
            input_estimate: 280,
            max_output: Some(500),
            choices: 1,
            price_ratio_ppm: 1_000_000,
            channel: "channel-1",
            model: "gpt-4o",
            upstream_model: "gpt-4o",
            ceiling: Some(500),
            bound,
            bound_cost: bound.spend,
            priced: true,
        }),
    }
}

/// What that attempt turns out to use.
pub const USED: Amounts = Amounts { input_tokens: 264, output_tokens: 150, spend: 2_080_000 };

/// How that attempt ends.
pub const ENDING: Ending = Ending {
    class: OutcomeClass::Ok,
    status: Some(200),
    usage: Usage { input_uncached: 264, output_visible: 150, ..NOTHING },
    source: UsageSource::Reported,
    spend: USED.spend,
    cost: USED.spend,
    service_tier: None,
    exchange: None,
    at: NOW,
};

const NOTHING: Usage = Usage {
    input_uncached: 0,
    output_visible: 0,
    output_reasoning: 0,
    cache_read: 0,
    cache_read_audio: 0,
    cache_read_image: 0,
    cache_write: 0,
    cache_write_1h: 0,
    audio_in: 0,
    audio_out: 0,
    image_in: 0,
    image_out: 0,
    searches: 0,
    units: 0,
};

/// What a call asks: a prompt of a kilobyte, and an answer of 500 tokens at most.
pub fn call() -> Call {
    let mut call = Call::new("call-0190f5a2-7c1e", Format::OpenaiChat, "gpt-4o");
    call.input_bound = Some(1_100);
    call.input_estimate = 280;
    call.max_output = Some(500);
    call.needs.tools = true;
    call
}

/// What it uses.
pub fn usage() -> Usage {
    Usage { input_uncached: 200, cache_read: 64, output_visible: 150, ..Usage::default() }
}

fn caller(key: u32) -> Caller {
    let limits = |kind, id: &str| ScopeLimits {
        scope: Scope::new(kind, id),
        limits: vec![
            Limit::strict(Metric::Requests, Window::Minute, i64::MAX / 4),
            Limit::strict(Metric::TotalTokens, Window::Day, i64::MAX / 4),
            Limit::strict(Metric::Spend, Window::Month, i64::MAX / 4),
        ],
    };
    let mut caller = Caller::operator("acme".into(), &[]);
    let key = format!("key-{key}");
    caller.key = Some(key.as_str().into());
    caller.user = Some("alice".into());
    caller.group = Some("research".into());
    caller.labels = ["research".into()].into_iter().collect();
    caller.chain = vec![
        limits(ScopeKind::Key, &key),
        limits(ScopeKind::Group, "research"),
        limits(ScopeKind::Organization, "acme"),
    ];
    caller
}

fn channel(at: u32) -> Channel {
    Channel {
        endpoints: vec![Endpoint { format: Format::OpenaiChat, url: "http://127.0.0.1:9/v1".to_owned() }],
        auth: Auth::Bearer,
        models: vec![ChannelModel {
            group: "gpt-4o".into(),
            upstream: "gpt-4o-2024-11-20".into(),
            price: Price {
                input: Some(2_500_000),
                output: Some(10_000_000),
                cache_read: Some(1_250_000),
                ..Price::default()
            },
            context_window: Some(128_000),
            max_output: Some(16_384),
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
        weight: 10,
        tags: if at == 3 { vec!["overseas".to_owned()] } else { Vec::new() },
        source: Source::File,
        ..Channel::new(
            format!("channel-{at}"),
            format!("channel {at}"),
            if at == 0 { "wanqing" } else { "openai" },
        )
    }
}

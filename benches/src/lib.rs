//! The world that the benches run in: one governed caller, four channels, and optionally a script.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_core::channel::{Auth, Endpoint, SecretRef, Timeouts, Transport, UnknownFields};
use sluicegate_core::count::Counting;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::snapshot::PolicySource;
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Call, Caller, Channel, ChannelModel, Declared, Engine, Format, Limit, Metric, Needs, Price, Scope,
    ScopeKind, ScopeLimits, Snapshot, Timestamp, Usage, Window,
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
        let sources: Vec<_> = scripts
            .iter()
            .enumerate()
            .map(|(at, text)| PolicySource {
                name: format!("script {at}"),
                text: (*text).to_owned(),
                group: None,
                on_error: Default::default(),
            })
            .collect();
        let policies = Policies::compile(&sources)?;
        let declared = Declared { channels: (0..4).map(channel).collect(), ..Declared::default() };
        let engine = Engine::new(Snapshot::build(1, declared), Arc::new(policies));
        let caller = engine.bind(caller());
        Ok(Self { engine, caller })
    }
}

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

fn caller() -> Caller {
    let limits = |kind, id: &str| ScopeLimits {
        scope: Scope::new(kind, id),
        limits: vec![
            Limit::strict(Metric::Requests, Window::Minute, i64::MAX / 4),
            Limit::strict(Metric::TotalTokens, Window::Day, i64::MAX / 4),
            Limit::strict(Metric::Spend, Window::Month, i64::MAX / 4),
        ],
    };
    let mut caller = Caller::operator("acme".into(), &[]);
    caller.key = Some("key-1".into());
    caller.user = Some("alice".into());
    caller.group = Some("research".into());
    caller.labels = ["research".into()].into_iter().collect();
    caller.chain = vec![
        limits(ScopeKind::Key, "key-1"),
        limits(ScopeKind::Group, "research"),
        limits(ScopeKind::Organization, "acme"),
    ];
    caller
}

fn channel(at: u32) -> Channel {
    Channel {
        id: format!("channel-{at}").as_str().into(),
        name: format!("channel {at}"),
        provider: if at == 0 { "wanqing" } else { "openai" }.into(),
        endpoints: vec![Endpoint { format: Format::OpenaiChat, url: "http://127.0.0.1:9/v1".to_owned() }],
        auth: Auth::Bearer,
        secret: SecretRef::None,
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
            extra_reasoning: None,
            lacks: Needs::default(),
            counting: Counting::default(),
            tokenizer: None,
        }],
        groups: Vec::new(),
        priority: 0,
        weight: 10,
        limits: Vec::new(),
        tags: if at == 3 { vec!["overseas".to_owned()] } else { Vec::new() },
        headers: IndexMap::new(),
        timeouts: Timeouts::default(),
        transport: Transport::default(),
        allowed_fails: None,
        cooldown_ms: None,
        unknown_fields: UnknownFields::default(),
        client_overrides: Vec::new(),
        enabled: true,
        source: Source::File,
    }
}

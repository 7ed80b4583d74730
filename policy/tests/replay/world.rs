//! A small world: five channels, three keys with limits, and upstreams that do as chance has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluicegate_core::channel::{Endpoint, KeyMode};
use sluicegate_core::count::Counting;
use sluicegate_core::engine::{Admission, BoundCaller, Denied, Failure, Queued};
use sluicegate_core::ports::TextView;
use sluicegate_core::snapshot::{Attachment, Fallbacks, ModelGroupSettings, PolicySource, Routing, Strategy};
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Attempt, Call, Caller, Channel, ChannelModel, Declared, Denial, Engine, Explanation, Format, Limit,
    Metric, Mode, Needs, Next, Outcome, OutcomeClass, Price, Rehearsal, Scope, ScopeKind, ScopeLimits,
    SecretRef, Snapshot, Timestamp, Usage, UsageRecord, UsageSource, WhenShort, Window, hash,
};
use sluicegate_policy::Policies;

const START: Timestamp = Timestamp::from_ms(1_795_000_020_000);

pub(crate) const SCRIPTS: [&str; 4] = [
    r#"fn admit(call) {
        if call.text_contains("Weapons") { deny("not with us"); }
        if call.text_length > 20 { tag("wordy"); }
    }
    fn route(call, candidates) {
        for c in candidates {
            if c.in_flight > 6 { exclude(c); }
            if c.failures > 2 && chance(50) { prefer("channel:c"); }
            if c.latency_ms != () && c.latency_ms > 900.0 { tag("slow"); }
        }
        if chance(3) { deny("bad luck"); }
        if call.model != call.requested_model && call.model == "fast" && chance(40) { deny("not fast"); }
        if call.fallbacks != () && call.model == "cheap" && chance(40) { use_model("little"); }
        if call.has_tag("small") { use_model("little"); }
        if chance(10) { fallback(["little"]); }
    }"#,
    r#"fn route(call, candidates) {
        let fast = candidates.fastest();
        if fast != () && chance(30) { prefer(fast); }
        if hash_percent(call.id) < 10 { max_output(300); }
        if call.has_tag("slow") { tag("twice"); }
        if call.text_contains(["secret", "private"]) == "private" { exclude("channel:b"); }
    }"#,
    r#"fn admit(call) {
        let used = call.quota_used("total_tokens");
        if used != () && used > 0.7 { max_output(200); }
    }
    fn route(call, candidates) {
        for c in candidates {
            if c.limit_used != () && c.limit_used > 0.5 { exclude(c); }
        }
        let left = call.quota_left("requests");
        if left != () && left % 3 == 0 { tag("third"); }
    }
    fn on_error(call, attempt) {
        if attempt.outcome == "rate_limited" && chance(30) { stop(); }
        if attempt.number == 1 && chance(20) { fallback(["little"]); }
        if call.quota_used("spend") != () { tag("spender"); }
    }
    fn finish(call, usage) {
        if usage.attempts > 1 { tag("again"); }
        let used = call.quota_used("spend");
        if used != () && used > 0.5 { tag("half"); }
    }"#,
    // The group's own.
    r#"fn admit(call) {
        if chance(10) { use_model("fast"); }
    }
    fn route(call) {
        if chance(5) { use_model("cheap"); }
        if chance(10) { fallback(["fast", "cheap"]); }
    }"#,
];

/// What people write; most of it nobody minds.
const TEXTS: [&str; 8] =
    ["", "hello", "so PRIVATE", "how are you today, my friend", "a Secret", "hello", "WEAPONS!", "good bye"];

struct Text(&'static str);

impl TextView for Text {
    fn each(&self, take: &mut dyn FnMut(&str)) {
        take(self.0);
    }
}

pub(crate) fn sources(scripts: &[&str]) -> Vec<PolicySource> {
    let source = |(at, text): (usize, &&str)| PolicySource {
        attached: if at == 3 { Attachment::Group("g".into()) } else { Attachment::Everybody },
        ..PolicySource::new(format!("script {at}"), *text)
    };
    scripts.iter().enumerate().map(source).collect()
}

const MODELS: [(&str, Strategy); 6] = [
    ("weighted", Strategy::Weighted),
    ("busy", Strategy::LeastBusy),
    ("fast", Strategy::LowestLatency),
    ("cheap", Strategy::LowestCost),
    ("used", Strategy::Usage),
    ("sticky", Strategy::Affinity),
];

pub(crate) fn declared() -> Declared {
    let groups = MODELS.map(|(name, strategy)| {
        let downgrade_to = if name == "fast" { vec!["little".into()] } else { Vec::new() };
        (
            name.into(),
            ModelGroupSettings { strategy: Some(strategy), downgrade_to, ..ModelGroupSettings::default() },
        )
    });
    Declared {
        channels: ["a", "b", "c", "d", "e"].into_iter().enumerate().map(|(at, id)| channel(at, id)).collect(),
        model_groups: groups.into_iter().collect(),
        fallbacks: Fallbacks {
            general: [
                ("busy".into(), vec!["weighted".into()]),
                ("used".into(), vec!["sticky".into(), "fast".into()]),
            ]
            .into_iter()
            .collect(),
            default: vec!["little".into()],
            ..Fallbacks::default()
        },
        routing: Routing {
            cooldown_ms: 3_000,
            backoff_ms: 50,
            backoff_max_ms: 1_500,
            deadline_ms: 20_000,
            ..Routing::default()
        },
        ..Declared::default()
    }
}

fn channel(at: usize, id: &str) -> Channel {
    let model = |group: &str| ChannelModel {
        extra_input: 0,
        group: group.into(),
        upstream: format!("{group}-up").as_str().into(),
        price: Price { input: Some(1_000_000 << at), output: Some(4_000_000 << at), ..Price::default() },
        context_window: Some(100_000),
        max_output: Some(4_096),
        reads_more: false,
        extra_reasoning: None,
        beside: Vec::new(),
        is_deployment: false,
        lacks: Needs::default(),
        counting: Counting::default(),
        tokenizer: None,
        regions: Vec::new(),
    };
    let mut models: Vec<_> = MODELS.iter().map(|(group, _)| model(group)).collect();
    if at < 2 {
        models.push(ChannelModel {
            price: Price { input: Some(1_000), output: Some(2_000), ..Price::default() },
            ..model("little")
        });
    }
    let limits = match id {
        "a" => vec![Limit::strict(Metric::Requests, Window::Minute, 300)],
        "b" => vec![Limit::strict(Metric::Concurrency, Window::Lifetime, 6)],
        _ => vec![Limit::strict(Metric::TotalTokens, Window::Minute, 4_000_000)],
    };
    let keys = |names: &[&str]| names.iter().map(|name| SecretRef::Env((*name).to_owned())).collect();
    let (more_keys, key_mode) = match id {
        "c" => (keys(&["C2", "C3"]), KeyMode::Polling),
        "d" => (keys(&["D2"]), KeyMode::Random),
        _ => (Vec::new(), KeyMode::default()),
    };
    Channel {
        endpoints: vec![Endpoint { format: Format::OpenaiChat, url: "http://127.0.0.1:9/v1".to_owned() }],
        secret: SecretRef::Env(id.to_owned()),
        more_keys,
        key_mode,
        models,
        weight: [5, 3, 2, 1, 1][at],
        priority: if id == "e" { -1 } else { 0 },
        limits,
        source: Source::File,
        ..Channel::new(id, id, "openai")
    }
}

pub(crate) fn caller(key: &str) -> Caller {
    let mut caller = Caller::operator("acme".into(), &[]);
    caller.key = Some(key.into());
    caller.group = Some("g".into());
    if key == "k2" {
        caller.tags = vec!["of-key".to_owned()];
        caller.price_ratio_ppm = 1_500_000;
    }
    let limit = |metric, window, max, when_short| Limit { when_short, ..Limit::strict(metric, window, max) };
    let own = match key {
        "k0" => vec![
            limit(Metric::OutputTokens, Window::Minute, 160_000, Some(WhenShort::Clamp)),
            limit(Metric::Concurrency, Window::Lifetime, 12, None),
        ],
        "k1" => vec![
            limit(Metric::Spend, Window::Minute, 2_500_000_000, Some(WhenShort::Downgrade)),
            Limit { mode: Mode::Corrected, ..Limit::strict(Metric::TotalTokens, Window::Minute, 600_000) },
        ],
        _ => vec![limit(Metric::TotalTokens, Window::RollingMs(30_000), 240_000, Some(WhenShort::Deny))],
    };
    let group = vec![
        Limit::strict(Metric::Requests, Window::Minute, 1_200),
        Limit::strict(Metric::Spend, Window::Hour, 40_000_000_000),
    ];
    caller.chain = vec![
        ScopeLimits { scope: Scope::new(ScopeKind::Key, key), limits: own },
        ScopeLimits { scope: Scope::new(ScopeKind::Group, "g"), limits: group },
    ];
    caller
}

enum Event {
    Comes,
    Goes,
    /// It is its turn in this line, or it has waited for too long.
    Turn(Queued, bool),
    FirstContent,
    Ended(Box<Outcome>),
    Leaves,
}

pub(crate) struct World {
    engine: Engine,
    callers: Vec<Arc<BoundCaller>>,
    random: u64,
    calls: Vec<Option<Box<Admission>>>,
    events: BTreeMap<(Timestamp, u64), (usize, Event)>,
    scheduled: u64,
    pub(crate) records: Vec<UsageRecord>,
}

impl World {
    pub(crate) fn new(seed: u64, scripts: &[&str]) -> Self {
        let policies = Policies::compile(&sources(scripts)).unwrap();
        let engine = Engine::new(Snapshot::build(1, declared()), Arc::new(policies));
        let callers = ["k0", "k1", "k2"].map(|key| engine.bind(caller(key))).to_vec();
        let (calls, events) = (Vec::new(), BTreeMap::new());
        Self { engine, callers, random: hash::mix(seed), calls, events, scheduled: 0, records: Vec::new() }
    }

    fn draw(&mut self, below: u64) -> u64 {
        hash::draw(&mut self.random) % below
    }

    fn ms(&mut self, below: u64) -> i64 {
        i64::try_from(self.draw(below)).unwrap()
    }

    fn schedule(&mut self, at: Timestamp, call: usize, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), (call, event));
    }

    pub(crate) fn run(&mut self, calls: usize) {
        let mut at = START;
        for call in 0..calls {
            // Bursts, and several in one millisecond.
            let pause = if self.draw(40) == 0 { self.ms(2_000) } else { self.ms(90) };
            at = at.plus_ms(pause * i64::from(self.draw(3) > 0));
            self.calls.push(None);
            self.schedule(at, call, Event::Comes);
        }
        while let Some(((now, _), (at, event))) = self.events.pop_first() {
            self.handle(at, event, now);
        }
        assert_eq!(self.records.len(), calls);
    }

    fn handle(&mut self, at: usize, event: Event, now: Timestamp) {
        match event {
            Event::Comes => self.comes(at, now),
            Event::Goes => self.goes(at, now),
            Event::Turn(queued, in_turn) => {
                if let Some(admission) = &mut self.calls[at] {
                    self.engine.ledger().leave_line(queued.line.cell);
                    if in_turn {
                        admission.take_turn(queued.line.cell)
                    } else {
                        admission.stop_waiting()
                    }
                    self.goes(at, now);
                }
            }
            Event::FirstContent => {
                if let Some(admission) = &mut self.calls[at] {
                    self.engine.answers(admission, now);
                }
            }
            Event::Ended(outcome) => {
                let Some(admission) = &mut self.calls[at] else { return };
                self.engine.observe(admission, &outcome, now);
                match outcome.class {
                    OutcomeClass::Ok => self.ends(at, None, now),
                    OutcomeClass::ClientGone => self.ends(at, Some("cancelled"), now),
                    _ => {
                        // The host takes its time before it asks again.
                        let later = now.plus_ms(self.ms(3));
                        self.schedule(later, at, Event::Goes);
                    }
                }
            }
            Event::Leaves => {
                if self.calls[at].is_some() {
                    self.ends(at, Some("cancelled"), now);
                }
            }
        }
    }

    fn comes(&mut self, at: usize, now: Timestamp) {
        let model = MODELS[usize::try_from(self.draw(6)).unwrap()].0;
        let mut call = Call::new(format!("call-{at:05}").as_str(), Format::OpenaiChat, model);
        call.stream = self.draw(2) == 0;
        call.input_estimate = 50 + self.draw(3_000);
        call.input_bound = Some(call.input_estimate * 4);
        call.max_output = (self.draw(2) == 0).then(|| 100 + self.random % 2_000);
        call.conversation = Some(self.draw(50));
        call.bound = self.draw(8) == 0;
        if self.draw(6) == 0 {
            call.tags.push("small".to_owned());
        }
        match self.draw(40) {
            0..3 => call.fallbacks = Some(vec!["sticky".into(), "little".into()]),
            3 => call.fallbacks = Some(Vec::new()),
            4 => call.rehearse = Some(Rehearsal::Failure),
            5 => call.rehearse = Some(Rehearsal::ContextWindow),
            6 => {
                (call.rehearse, call.fallbacks) = (Some(Rehearsal::ContentPolicy), Some(vec!["fast".into()]))
            }
            7 | 8 => call.mock = true,
            9..17 => call.fallbacks = Some(vec!["fast".into(), "cheap".into()]),
            _ => {}
        }
        let who = usize::try_from(self.draw(3)).unwrap();
        let caller = Arc::clone(&self.callers[who]);
        let seed = hash::draw(&mut self.random);
        if self.draw(40) == 0 {
            let denial = Denial::Guardrail { guardrail: "words".to_owned(), message: None };
            let denied = Denied { denial, explanation: Explanation::default() };
            return self.records.push(self.engine.refuse(call, &caller, &denied, now, seed));
        }
        let text = || Arc::new(Text(TEXTS[usize::try_from(seed % 8).unwrap()])) as Arc<dyn TextView>;
        match self.engine.admit_with_text(call.clone(), &caller, now, seed, &text) {
            Ok(mut admission) => {
                admission.be_patient();
                self.calls[at] = Some(admission);
                if self.draw(30) == 0 {
                    let later = now.plus_ms(self.ms(1_500));
                    self.schedule(later, at, Event::Leaves);
                }
                let later = now.plus_ms(i64::from(self.draw(8) == 0));
                self.schedule(later, at, Event::Goes);
            }
            Err(denied) => self.records.push(self.engine.refuse(call, &caller, &denied, now, seed)),
        }
    }

    fn goes(&mut self, at: usize, now: Timestamp) {
        let Some(mut admission) = self.calls[at].take() else { return };
        let next = self.engine.next(&mut admission, now);
        self.calls[at] = Some(admission);
        match next {
            Next::Try(attempt) => {
                let said = self.answers_with_key(&attempt, now);
                let (outcome, took) =
                    said.unwrap_or_else(|| self.answers(attempt.channel().id.as_str(), attempt.ceiling, now));
                if let Some(first) = outcome.first_byte_at {
                    self.schedule(first, at, Event::FirstContent);
                }
                self.schedule(now.plus_ms(took), at, Event::Ended(Box::new(outcome)));
            }
            Next::Queue(queued) => {
                self.engine.ledger().join_line(queued.line.cell);
                let in_turn = self.draw(4) > 0;
                let pause = if self.draw(5) == 0 { 0 } else { self.ms(1_000) };
                let until = if in_turn { now.plus_ms(pause).min(queued.until) } else { queued.until };
                self.schedule(until, at, Event::Turn(queued, in_turn));
            }
            // Timers are late now and then, and early.
            Next::Wait(until) => {
                let late = self.ms(4);
                self.schedule(until.plus_ms(late), at, Event::Goes);
            }
            Next::Done(failure) => {
                let code = match failure {
                    Failure::Denied(denial) => denial.to_error(now).kind().as_str().to_owned(),
                    Failure::Upstream(_) => "upstream_unavailable".to_owned(),
                };
                self.ends(at, Some(&code), now);
            }
            Next::Refill(_) | Next::Count(_) => panic!("nobody said that this can be done"),
        }
    }

    /// What the upstream has against the key alone, now and then, and how long it takes to say so.
    fn answers_with_key(&mut self, attempt: &Attempt, now: Timestamp) -> Option<(Outcome, i64)> {
        if attempt.channel().more_keys.is_empty() {
            return None;
        }
        let is_revoked = (now.since_ms(START) / 11_000 + i64::from(attempt.key())) % 4 == 1;
        let failed = |class, status, retry_after_ms| Outcome {
            retry_after_ms,
            ..Outcome::failed(class, Some(status))
        };
        let outcome = match self.draw(20) {
            _ if is_revoked && attempt.channel().id.as_str() == "c" => failed(OutcomeClass::Auth, 401, None),
            0 | 1 => failed(OutcomeClass::RateLimited, 429, Some(1 + self.draw(1_500))),
            2 => failed(OutcomeClass::RateLimited, 429, Some(1)),
            3 => failed(OutcomeClass::RateLimited, 429, None),
            4 if is_revoked => failed(OutcomeClass::NoBalance, 402, None),
            _ => return None,
        };
        let took = self.ms(120);
        Some((outcome, took))
    }

    /// What the channel does, and how long it takes. Each has its bad times.
    fn answers(&mut self, channel: &str, ceiling: Option<u64>, now: Timestamp) -> (Outcome, i64) {
        let is_bad = (now.since_ms(START) / 7_000 + i64::from(channel.as_bytes()[0])) % 4 == 0;
        let luck = self.draw(100);
        let took = 20 + self.ms(if is_bad { 3_000 } else { 600 });
        let usage = Usage {
            input_uncached: 40 + self.draw(2_000),
            output_visible: (1 + self.draw(1_500)).min(ceiling.unwrap_or(u64::MAX)),
            ..Usage::default()
        };
        let failed = |class, status, sent| Outcome { sent, ..Outcome::failed(class, status) };
        let mut outcome = match luck {
            0..40 if is_bad => failed(OutcomeClass::ServerError, Some(500), true),
            40..55 if is_bad => failed(OutcomeClass::Timeout, None, true),
            55..70 if is_bad => Outcome {
                retry_after_ms: Some(200 + self.draw(4_000)),
                ..failed(OutcomeClass::RateLimited, Some(429), true)
            },
            70..74 => failed(OutcomeClass::Unreachable, None, false),
            74..75 => failed(OutcomeClass::ContextTooLong, Some(400), true),
            75..76 => failed(OutcomeClass::BadRequest, Some(400), true),
            76..77 => failed(OutcomeClass::Inexpressible, None, false),
            77..78 => Outcome { counted: usage, ..failed(OutcomeClass::Broken, Some(200), true) },
            78..79 => Outcome { counted: usage, ..failed(OutcomeClass::ClientGone, Some(200), true) },
            _ => Outcome::answered(usage),
        };
        if outcome.class == OutcomeClass::Ok {
            let before = self.ms(u64::try_from(took).unwrap());
            outcome.first_byte_at = Some(now.plus_ms(before));
        }
        (outcome, took)
    }

    fn ends(&mut self, at: usize, error: Option<&str>, now: Timestamp) {
        let Some(admission) = self.calls[at].take() else { return };
        let is_open = admission.attempts() as usize > admission.attempt_records().len();
        // A host that loses a call now and then.
        let mut record = if is_open && self.draw(2) == 0 {
            self.engine.abandon(admission, now)
        } else {
            self.engine.finish(admission, error, now)
        };
        // A guardrail that refuses the answer.
        if record.outcome == OutcomeClass::Ok && self.draw(20) == 0 {
            (record.outcome, record.error) = (OutcomeClass::Denied, Some("guardrail_denied".to_owned()));
        }
        assert!(record.attempts.iter().all(|it| !it.held || it.usage_source == UsageSource::None));
        self.records.push(record);
    }
}

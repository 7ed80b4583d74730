//! The world of a scenario: the shipped engine, upstreams that answer as they are told, and a clock that jumps from one
//! event to the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sluicegate_config::{Environment, Source, load};
use sluicegate_core::decision::{OutcomeClass, Reason};
use sluicegate_core::engine::{Admission, BoundCaller, Engine, Failure, Next, Outcome};
use sluicegate_core::ports::{Alert, NoPolicy};
use sluicegate_core::replay::{Estimates, Replay};
use sluicegate_core::snapshot::{Declared, Snapshot};
use sluicegate_core::tenant::{Caller, CallerParts};
use sluicegate_core::usage::Usage;
use sluicegate_core::{Format, RecordEntry, Timestamp, UsageRecord, hash};

use super::{Call, Scenario};

/// A full minute, so that windows begin with the scenario.
const START: Timestamp = Timestamp::from_ms(1_794_996_000_000);

/// What an upstream does with one attempt: `CLASS [after=MS] [takes=MS] [first=MS] [used=N] [until=MS]`.
#[derive(Clone, Debug)]
struct Said {
    class: OutcomeClass,
    status: Option<u16>,
    /// `retry-after`.
    after: Option<u64>,
    takes: i64,
    first: Option<i64>,
    /// Tokens of output.
    used: u64,
    /// Says so to everybody until then, and is then done.
    until: Option<i64>,
}

impl Said {
    fn read(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default();
        let (class, status) = match word {
            "ok" => (OutcomeClass::Ok, Some(200)),
            "400" => (OutcomeClass::BadRequest, Some(400)),
            "context" => (OutcomeClass::ContextTooLong, Some(400)),
            "policy" => (OutcomeClass::ContentPolicy, Some(400)),
            "401" => (OutcomeClass::Auth, Some(401)),
            "402" => (OutcomeClass::NoBalance, Some(402)),
            "404" => (OutcomeClass::NotFound, Some(404)),
            "429" => (OutcomeClass::RateLimited, Some(429)),
            "500" => (OutcomeClass::ServerError, Some(500)),
            "503" | "529" => (OutcomeClass::Overloaded, word.parse().ok()),
            "refused" => (OutcomeClass::Unreachable, None),
            "timeout" => (OutcomeClass::Timeout, None),
            // Never answers: the attempt's own time limits end it.
            "hangs" => (OutcomeClass::Timeout, None),
            "nonsense" => (OutcomeClass::Nonsense, Some(200)),
            "breaks" => (OutcomeClass::Broken, Some(200)),
            "leaves" => (OutcomeClass::ClientGone, Some(200)),
            "inexpressible" => (OutcomeClass::Inexpressible, None),
            other => panic!("`{other}` is no answer"),
        };
        let takes = if word == "hangs" { i64::MAX / 4 } else { 0 };
        let mut said = Said { class, status, after: None, takes, first: None, used: 10, until: None };
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or_else(|| panic!("`{word}` in `{text}`"));
            let value: i64 = value.parse().unwrap_or_else(|_| panic!("`{word}` in `{text}`"));
            match key {
                "after" => said.after = u64::try_from(value).ok(),
                "takes" => said.takes = value,
                "first" => said.first = Some(value),
                "used" => said.used = u64::try_from(value).unwrap_or(0),
                "until" => said.until = Some(value),
                _ => panic!("`{word}` in `{text}`"),
            }
        }
        said
    }

    fn outcome(&self, started: Timestamp, input: u64) -> Outcome {
        let used = Usage { input_uncached: input, output_visible: self.used, ..Usage::default() };
        let first = self.first.or((self.class == OutcomeClass::Ok).then_some(self.takes));
        Outcome {
            status: self.status,
            retry_after_ms: self.after,
            reported: (self.class == OutcomeClass::Ok).then_some(used),
            counted: if self.class == OutcomeClass::Broken { used } else { Usage::default() },
            first_byte_at: first.map(|ms| started.plus_ms(ms)),
            sent: !matches!(self.class, OutcomeClass::Unreachable | OutcomeClass::Inexpressible),
            ..Outcome::failed(self.class, self.status)
        }
    }
}

/// What happens to a call next.
enum Event {
    Comes,
    Goes,
    FirstContent,
    Answered(Box<Outcome>),
}

/// One call on its way.
struct Running<'a> {
    wanted: &'a Call,
    of: usize,
    seed: u64,
    conversation: Option<u64>,
    admission: Option<Box<Admission>>,
    log: Vec<String>,
    order: Vec<String>,
    reasons: Vec<Reason>,
    ended: Timestamp,
    upstream_model: String,
}

struct World<'a> {
    engine: Engine,
    declared: Declared,
    says: HashMap<String, Vec<Said>>,
    calls: Vec<Running<'a>>,
    callers: HashMap<String, Arc<BoundCaller>>,
    /// When, in which order, to which call.
    events: BTreeMap<(Timestamp, u64), (usize, Event)>,
    scheduled: u64,
    records: Vec<UsageRecord>,
}

/// Runs a scenario; what goes otherwise than it says.
pub(super) fn run(scenario: &Scenario) -> Vec<String> {
    let declared = match declare(scenario) {
        Ok(declared) => declared,
        Err(findings) => return vec![findings],
    };
    let snapshot = Snapshot::build(1, declared.clone());
    let says = scenario.upstreams.iter();
    let says =
        says.map(|(id, all)| (id.clone(), all.iter().map(|text| Said::read(text)).collect())).collect();
    let mut world = World {
        engine: Engine::new(snapshot, Arc::new(NoPolicy)),
        declared,
        says,
        calls: Vec::new(),
        callers: HashMap::new(),
        events: BTreeMap::new(),
        scheduled: 0,
        records: Vec::new(),
    };
    for (of, wanted) in scenario.calls.iter().enumerate() {
        for n in 0..wanted.times.max(wanted.conversations.unwrap_or(1)) {
            let many = wanted.conversations.map(hash::mix).map(|_| hash::mix(n));
            world.calls.push(Running {
                wanted,
                of,
                seed: wanted.seed.unwrap_or(of as u64 + 1) + n,
                conversation: wanted.conversation.or(many),
                admission: None,
                log: Vec::new(),
                order: Vec::new(),
                reasons: Vec::new(),
                ended: START,
                upstream_model: String::new(),
            });
            world.schedule(START.plus_ms(wanted.at), world.calls.len() - 1, Event::Comes);
        }
    }
    // BOUND: every call ends by its deadline.
    while let Some(((now, _), (at, event))) = world.events.pop_first() {
        world.handle(at, event, now);
    }
    let mut differences = world.compare(scenario);
    if let Some(wanted) = &scenario.alerts {
        let got: Vec<String> = world.engine.take_alerts().iter().map(alert).collect();
        if got != *wanted {
            differences.push(format!("alerts: want {wanted:?}, got {got:?}"));
        }
    }
    world.replay(&mut differences);
    differences
}

fn alert(alert: &Alert) -> String {
    match alert {
        Alert::Cooldown { channel, until } => format!("cooldown {channel} {}", until.since_ms(START)),
        Alert::ChannelBroken { channel, .. } => format!("broken {channel}"),
        Alert::KeyBroken { channel, key, .. } => format!("key {key} of {channel}"),
        other => format!("{other:?}"),
    }
}

/// The configuration, read as a file.
fn declare(scenario: &Scenario) -> Result<Declared, String> {
    let text = scenario.file.clone().unwrap_or_else(|| native(&scenario.config).to_string());
    let variable = |name: &str| {
        let ours = name == "UP" || name.starts_with(|c: char| c.is_ascii_lowercase());
        ours.then(|| format!("sk-{name}-routing-3f8a1c6d9b2e7450{:016x}", hash::stable(name.as_bytes())))
    };
    let loaded = load(Source { path: "config.yaml", text: &text }, &Environment::new(&variable));
    if loaded.has_errors() {
        return Err(loaded.diagnostics.iter().map(|found| format!("\n    {found}")).collect());
    }
    Ok(loaded.declared)
}

fn native(config: &Map<String, Value>) -> Value {
    let mut whole = config.clone();
    whole.insert("version".to_owned(), json!(1));
    let channels = complete(
        config.get("channels"),
        |id| json!({"id": id, "name": id, "provider": "openai", "url": "http://127.0.0.1:9/v1", "credential": "${UP}", "models": ["m"]}),
    );
    whole.insert("channels".to_owned(), channels);
    whole.insert(
        "keys".to_owned(),
        complete(config.get("keys"), |id| json!({"id": id, "credential": format!("${{{id}}}")})),
    );
    Value::Object(whole)
}

/// A list of what a mapping by id says, over defaults.
fn complete(all: Option<&Value>, default: impl Fn(&str) -> Value) -> Value {
    let all = all.and_then(Value::as_object).into_iter().flatten();
    all.map(|(id, own)| {
        let mut whole = default(id);
        if let (Value::Object(whole), Value::Object(own)) = (&mut whole, own) {
            whole.extend(own.clone());
        }
        whole
    })
    .collect()
}

impl World<'_> {
    fn schedule(&mut self, at: Timestamp, call: usize, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), (call, event));
    }

    fn handle(&mut self, at: usize, event: Event, now: Timestamp) {
        match event {
            Event::Comes => self.comes(at, now),
            Event::Goes => self.goes(at, now),
            Event::FirstContent => {
                if let Some(admission) = &mut self.calls[at].admission {
                    self.engine.answers(admission, now);
                }
            }
            Event::Answered(outcome) => {
                let run = &mut self.calls[at];
                if let Some(admission) = &mut run.admission {
                    self.engine.observe(admission, &outcome, now);
                    let record = admission.attempt_records().last().unwrap();
                    run.log.push(format!("{} {}", record.channel, word(record.outcome)));
                }
                if outcome.class == OutcomeClass::Ok || outcome.class == OutcomeClass::ClientGone {
                    self.ends(at, None, now);
                } else {
                    self.goes(at, now);
                }
            }
        }
    }

    fn comes(&mut self, at: usize, now: Timestamp) {
        let wanted = self.calls[at].wanted;
        if let Some(channel) = &wanted.mend {
            self.engine.mend(&channel.as_str().into());
            return;
        }
        let format = wanted.format.unwrap_or(Format::OpenaiChat);
        let mut call = sluicegate_core::Call::new(format!("call-{at}"), format, wanted.model.as_str());
        call.stream = wanted.stream;
        call.input_bound = Some(wanted.tokens);
        call.input_estimate = wanted.tokens;
        call.max_output = wanted.max;
        call.customer.clone_from(&wanted.customer);
        call.tags = wanted.tags.iter().cloned().collect();
        if let Some(client) = &wanted.client {
            call.tags.extend(self.engine.snapshot().tags_of_client(client));
        }
        call.conversation = self.calls[at].conversation;
        call.bound = wanted.bound;
        call.needs = wanted.needs;
        call.fallbacks.clone_from(&wanted.fallbacks);
        (call.rehearse, call.mock) = (wanted.rehearse, wanted.mock);
        let (caller, seed) = (self.caller(wanted.key.as_deref()), self.calls[at].seed);
        match self.engine.admit(call.clone(), &caller, now, seed) {
            Ok(admission) => {
                let run = &mut self.calls[at];
                run.order = admission.order().iter().map(ToString::to_string).collect();
                run.admission = Some(admission);
                self.goes(at, now);
            }
            Err(denied) => {
                let run = &mut self.calls[at];
                run.reasons = denied.explanation.reasons().to_vec();
                run.log.push(denial(&denied.denial));
                run.ended = now;
                self.records.push(self.engine.refuse(call, &caller, &denied, now, seed));
            }
        }
    }

    fn caller(&mut self, key: Option<&str>) -> Arc<BoundCaller> {
        let name = key.unwrap_or_default();
        if let Some(known) = self.callers.get(name) {
            return Arc::clone(known);
        }
        let bound = self.engine.bind(self.resolve(key));
        self.callers.insert(name.to_owned(), Arc::clone(&bound));
        bound
    }

    fn resolve(&self, key: Option<&str>) -> Caller {
        let declared = &self.declared;
        match key {
            None => Caller::operator("default".into(), &declared.quota.global),
            Some(id) => {
                let found = declared.keys.iter().find(|(key, _)| key.id.as_str() == id);
                let key = &found.unwrap_or_else(|| panic!("no key `{id}`")).0;
                Caller::resolve(CallerParts {
                    key,
                    group: declared.groups.iter().find(|group| Some(&group.id) == key.group.as_ref()),
                    user: declared.users.iter().find(|user| Some(&user.id) == key.user.as_ref()),
                    membership: None,
                    organization: declared.organizations.iter().find(|o| o.id == key.organization),
                    global: &declared.quota.global,
                    access_groups: &declared.access_groups,
                    apply_user_limits_to_group_keys: false,
                })
            }
        }
    }

    fn goes(&mut self, at: usize, now: Timestamp) {
        let run = &mut self.calls[at];
        let Some(admission) = &mut run.admission else { return };
        match self.engine.next(admission, now) {
            Next::Try(attempt) => {
                run.upstream_model = attempt.upstream_model.to_string();
                let mut said = self.says(attempt.channel().id.as_str(), now);
                let left = attempt.deadline.since_ms(now);
                let limit = |ms: Option<u64>| ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(i64::MAX);
                let total = limit(attempt.timeouts.total_ms).min(left);
                let first = limit(attempt.timeouts.first_byte_ms).min(total);
                let begins = said.first.unwrap_or(said.takes);
                if begins > first || said.takes > total {
                    let status = said.status.filter(|_| begins <= first);
                    said = Said { class: OutcomeClass::Timeout, status, ..said };
                    said.first = said.first.filter(|_| begins <= first);
                    said.takes = if begins > first { first } else { total };
                }
                let outcome = said.outcome(now, self.calls[at].wanted.tokens);
                if let Some(first) = outcome.first_byte_at {
                    self.schedule(first, at, Event::FirstContent);
                }
                self.schedule(now.plus_ms(said.takes), at, Event::Answered(Box::new(outcome)));
            }
            Next::Wait(until) => {
                run.log.push(format!("wait {}", until.since_ms(now)));
                self.schedule(until, at, Event::Goes);
            }
            Next::Done(failure) => {
                let (said, error) = match failure {
                    Failure::Denied(why) => (denial(&why), why.to_error(now).kind().as_str().to_owned()),
                    Failure::Upstream(class) => (format!("failed {}", word(class)), word(class)),
                };
                run.log.push(said);
                self.ends(at, Some(&error), now);
            }
            other => panic!("{other:?}"),
        }
    }

    /// What the channel does with this attempt.
    fn says(&mut self, channel: &str, now: Timestamp) -> Said {
        let Some(all) = self.says.get_mut(channel) else { return Said::read("ok") };
        all.retain(|said| said.until.is_none_or(|until| now.since_ms(START) < until));
        match all.first() {
            Some(first) if first.until.is_some() || all.len() == 1 => first.clone(),
            Some(_) => all.remove(0),
            None => Said::read("ok"),
        }
    }

    fn ends(&mut self, at: usize, error: Option<&str>, now: Timestamp) {
        let run = &mut self.calls[at];
        let Some(admission) = run.admission.take() else { return };
        run.reasons = admission.explanation().reasons().to_vec();
        run.ended = now;
        self.records.push(self.engine.finish(admission, error, now));
    }

    /// The records, replayed under the same configuration, tell the same again.
    fn replay(&mut self, differences: &mut Vec<String>) {
        let records: Vec<UsageRecord> = std::mem::take(&mut self.records)
            .into_iter()
            .map(|record| serde_json::from_slice(RecordEntry::from(record).json().as_bytes()).unwrap())
            .collect();
        let mut order: Vec<_> = records.iter().map(|record| record.started_at).enumerate().collect();
        order.sort_by_key(|(at, started)| (*started, *at));
        let mut estimates = Estimates::default();
        records.iter().for_each(|record| estimates.learn(record));
        let engine = Engine::new(Snapshot::build(2, self.declared.clone()), Arc::new(NoPolicy));
        let mut replay = Replay::new(engine, estimates);
        self.callers.clear();
        let (mut over, mut callers) = (Vec::new(), HashMap::new());
        for (at, _) in order {
            let record = records[at].clone();
            let caller = callers.entry(record.key.clone()).or_insert_with(|| {
                replay.engine().bind(self.resolve(record.key.as_ref().map(|key| key.as_str())))
            });
            let caller = Arc::clone(caller);
            replay.run(record, &caller, &mut over);
        }
        replay.finish_all(&mut over);
        if over.len() != records.len() {
            differences.push(format!("{} of {} records were replayed", over.len(), records.len()));
        }
        for call in &over {
            let mut want = (*call.recorded).clone();
            // Of health itself only what counts is known again.
            want.replay.health = call.replayed.replay.health;
            if want != call.replayed || !call.is_same() || call.estimated > 0 {
                differences.push(format!("replayed:\n  {want:?}\n  {:?}", call.replayed));
            }
        }
    }

    fn compare(&self, scenario: &Scenario) -> Vec<String> {
        let mut differences = Vec::new();
        for (of, wanted) in scenario.calls.iter().enumerate() {
            let runs: Vec<_> = self.calls.iter().filter(|run| run.of == of).collect();
            let mut say = |what: String| differences.push(format!("call {}: {what}", of + 1));
            for run in &runs {
                run.compare(wanted, &mut say);
            }
            for (channel, range) in &wanted.share {
                let first =
                    |run: &&&Running<'_>| run.log.first().and_then(|l| l.split(' ').next()) == Some(channel);
                let got = runs.iter().filter(first).count() as i64;
                if !within(range, got) {
                    say(format!("want {range} of {} calls at {channel} first, got {got}", runs.len()));
                }
            }
        }
        differences
    }
}

impl Running<'_> {
    fn compare(&self, wanted: &Call, say: &mut impl FnMut(String)) {
        if let Some(want) = &wanted.want {
            let fits = |(want, got): (&String, &String)| match (
                want.strip_prefix("wait "),
                got.strip_prefix("wait "),
            ) {
                (Some(range), Some(got)) => within(range, got.parse().unwrap_or(-1)),
                _ => want == got || got.starts_with(&format!("{want} ")),
            };
            if want.len() != self.log.len() || !want.iter().zip(&self.log).all(fits) {
                say(format!("want {want:?}\n           got {:?} in {:?}", self.log, self.order));
            }
        }
        if let Some(order) = wanted.order.as_ref().filter(|order| **order != self.order) {
            say(format!("want the order {order:?}, got {:?}", self.order));
        }
        if let Some(range) = &wanted.took {
            let took = self.ended.since_ms(START.plus_ms(wanted.at));
            if !within(range, took) {
                say(format!("want {range} ms, took {took}"));
            }
        }
        if let Some(model) = wanted.upstream_model.as_ref().filter(|model| **model != self.upstream_model) {
            say(format!("want the upstream's model {model}, got {}", self.upstream_model));
        }
        for (id, why) in &wanted.out {
            let is = |r: &Reason| matches!(r, Reason::Excluded { channel, why: got } if channel.as_str() == id && json!(got) == json!(why));
            if !self.reasons.iter().any(is) {
                say(format!("want {id} out for {why}, got {:?}", self.reasons));
            }
        }
        for (id, want) in &wanted.scores {
            let got = self.reasons.iter().find_map(|r| match r {
                Reason::Ranked { channel, score, .. } if channel.as_str() == id => Some(*score),
                _ => None,
            });
            if got != Some(*want) {
                say(format!("want {id} ranked by {want}, got {got:?}"));
            }
        }
    }
}

fn word(class: OutcomeClass) -> String {
    json!(class).as_str().unwrap_or_default().to_owned()
}

/// `denied REASON`, and in how many milliseconds after the start it may be tried again.
fn denial(denial: &sluicegate_core::decision::Denial) -> String {
    let told = json!(denial);
    let reason = told["reason"].as_str().unwrap_or_default();
    match denial {
        sluicegate_core::decision::Denial::NoChannel { retry_at: Some(at) } => {
            format!("denied {reason} until={}", at.since_ms(START))
        }
        _ => format!("denied {reason}"),
    }
}

/// Whether `n` is `N` or in `FROM-TO`.
fn within(range: &str, n: i64) -> bool {
    let parse = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("`{range}` is no range"));
    match range.split_once('-') {
        Some((from, to)) => (parse(from)..=parse(to)).contains(&n),
        None => parse(range) == n,
    }
}

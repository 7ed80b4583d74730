//! `given(…)`: a call that a test makes up, and where it could go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};
use sluicegate_core::call::{Call, Format};
use sluicegate_core::channel::Channel;
use sluicegate_core::ids::{ModelName, UserId};
use sluicegate_core::limit::{Metric, ScopeKind, Window};
use sluicegate_core::ports::{
    Asked, CallView, CandidateView, Hook, LimitStanding, LimitsView, PolicyHook, PolicyRun, TextView,
};
use sluicegate_core::prompt::Prompt;
use sluicegate_core::tenant::Caller;
use sluicegate_core::time::Timestamp;

use super::ending::{Ended, Failed};
use super::field::{Fields, count, flag, moment, name, ratio, texts, usd};
use super::home::{Home, Said};
use super::routed::Routed;
use super::state;
use crate::run::Outcome;
use crate::{Policies, run};

/// What it takes to read or copy a candidate or to route a call to it, in operations.
const OPERATIONS_PER_CANDIDATE: u64 = 16;

/// What a call is made of, by the names that scripts read it under.
const CALL_FIELDS: [&str; 26] = [
    "id",
    "model",
    "requested_model",
    "fallbacks",
    "format",
    "stream",
    "input_tokens",
    "input_bound",
    "max_output",
    "choices",
    "tools",
    "images",
    "audio",
    "json_schema",
    "group",
    "group_id",
    "user",
    "key",
    "organization",
    "customer",
    "tags",
    "client_ip",
    "now",
    "seed",
    "limits",
    "text",
];

/// The same of a candidate.
const CANDIDATE_FIELDS: [&str; 14] = [
    "id",
    "name",
    "provider",
    "tags",
    "upstream_model",
    "priority",
    "weight",
    "input_price",
    "output_price",
    "context_window",
    "latency_ms",
    "in_flight",
    "failures",
    "limit_used",
];

const SCOPES: [ScopeKind; 6] = [
    ScopeKind::Key,
    ScopeKind::Membership,
    ScopeKind::Group,
    ScopeKind::User,
    ScopeKind::Organization,
    ScopeKind::Global,
];

const WINDOWS: [Window; 6] =
    [Window::Minute, Window::Hour, Window::Day, Window::Week, Window::Month, Window::Lifetime];

/// When a test says nothing else: a Thursday, 0:00 in UTC.
const NEW_YEAR_2026_MS: i64 = 1_767_225_600_000;

/// A call and its candidates. Cheap to copy, as the language does with each step of a chain.
#[derive(Clone)]
pub(super) struct Given(Arc<Setting>);

#[derive(Clone)]
struct Setting {
    call: Call,
    /// The model that is being considered.
    model: ModelName,
    caller: Caller,
    now: Timestamp,
    seed: u64,
    limits: Vec<LimitStanding>,
    text: Arc<Words>,
    candidates: Vec<Candidate>,
    /// Those of models that the script may ask for instead.
    others: BTreeMap<String, Vec<Candidate>>,
}

/// A candidate that a test makes up.
#[derive(Clone)]
struct Candidate {
    channel: Channel,
    upstream_model: Option<ModelName>,
    input_price: Option<u64>,
    output_price: Option<u64>,
    context_window: Option<u64>,
    latency_us: u64,
    in_flight: u32,
    failures: u32,
    limit_used_ppm: Option<u64>,
}

/// What people wrote.
struct Words(String);

impl TextView for Words {
    fn each(&self, take: &mut dyn FnMut(&str)) {
        take(&self.0);
    }
}

impl LimitsView for Setting {
    fn of_caller(&self) -> Vec<LimitStanding> {
        self.limits.clone()
    }

    fn of_candidates(&self) -> Vec<Option<u64>> {
        self.candidates.iter().map(|candidate| candidate.limit_used_ppm).collect()
    }
}

pub(super) fn register(engine: &mut Engine, policies: Arc<Policies>, home: &Arc<Home>) {
    engine.register_type_with_name::<Given>("Given");
    let (mine, others) = (Arc::clone(home), Arc::clone(home));
    engine.register_fn("given", move || Given::read(Map::new(), &mine));
    engine.register_fn("given", move |map: Map| Given::read(map, &others));
    engine.register_fn("candidates", |given: Given, list: Array| given.with_candidates(list));
    engine.register_fn("candidates_of", |given: Given, model: ImmutableString, list: Array| {
        given.with_others(&model, list)
    });
    let with = |run: fn(&Given, &Policies, Map) -> Outcome<Routed>| {
        let policies = Arc::clone(&policies);
        move |given: Given, map: Map| run(&given, &policies, map)
    };
    engine.register_fn("fail", with(Given::fail));
    engine.register_fn("end", with(Given::end));
    let without = |run: fn(&Given, &Policies) -> Outcome<Routed>| {
        let policies = Arc::clone(&policies);
        move |given: Given| run(&given, &policies)
    };
    engine.register_fn("admit", without(Given::admit));
    engine.register_fn("route", without(Given::route));
}

impl Given {
    fn read(map: Map, home: &Home) -> Outcome<Self> {
        let mut fields = Fields::new("given", map, &CALL_FIELDS)?;
        let mut call = read_call(&mut fields)?;
        let model = call.model.clone();
        if let Some(requested) = fields.take("requested_model", "a text", name)? {
            call.model = ModelName::from(requested);
        }
        let caller = read_caller(&mut fields, home)?;
        let now = fields.take("now", "a time such as \"2026-03-02T09:30:00+08:00\"", moment)?;
        // `call.seed` is what the test said; the engine's seed has one bit more.
        let seed = fields.take("seed", "a whole number from 0", count)?.unwrap_or(0) << 1;
        let now = Timestamp::from_ms(now.unwrap_or(NEW_YEAR_2026_MS));
        let limits = fields.take("limits", "an array of maps", |value| value.try_cast::<Array>())?;
        let limits = limits.unwrap_or_default().into_iter().map(read_limit).collect::<Outcome<_>>()?;
        let text = Arc::new(Words(fields.take("text", "a text", name)?.unwrap_or_default()));
        let (candidates, others) = (Vec::new(), BTreeMap::new());
        let setting = Setting { call, model, caller, now, seed, limits, text, candidates, others };
        Ok(Self(Arc::new(setting)))
    }

    fn with_candidates(mut self, list: Array) -> Outcome<Self> {
        self.charge(list.len())?;
        Arc::make_mut(&mut self.0).candidates = read_candidates("candidates", list)?;
        Ok(self)
    }

    fn with_others(mut self, model: &str, list: Array) -> Outcome<Self> {
        self.charge(list.len())?;
        let list = read_candidates("candidates_of", list)?;
        Arc::make_mut(&mut self.0).others.insert(model.to_owned(), list);
        Ok(self)
    }

    /// Charges for the candidates that are there, which are copied, and for `more`.
    fn charge(&self, more: usize) -> Outcome<()> {
        let Setting { candidates, others, .. } = &*self.0;
        let count = more + candidates.len() + others.values().map(Vec::len).sum::<usize>();
        run::charge_operations(count as u64 * OPERATIONS_PER_CANDIDATE)
    }

    /// Lets the call come in.
    fn admit(&self, policies: &Policies) -> Outcome<Routed> {
        self.run(policies, Hook::Admit, |view| policies.admit(view))
    }

    /// Lets the call be routed.
    fn route(&self, policies: &Policies) -> Outcome<Routed> {
        let Setting { model, candidates, .. } = &*self.0;
        let views: Vec<CandidateView<'_>> = candidates.iter().map(|c| c.view(model)).collect();
        self.run(policies, Hook::Route, |view| policies.route(view, &views))
    }

    /// Lets an attempt fail.
    fn fail(&self, policies: &Policies, how: Map) -> Outcome<Routed> {
        let failed = Failed::read(how, &self.0.model, |name| self.channel(name))?;
        self.run(policies, Hook::OnError, |view| policies.on_error(view, &failed.view()))
    }

    /// Lets the call be over.
    fn end(&self, policies: &Policies, how: Map) -> Outcome<Routed> {
        let ended = Ended::read(how, &self.0.model, |name| self.channel(name))?;
        self.run(policies, Hook::Finish, |view| policies.finish(view, &ended.view()))
    }

    /// The candidate's channel of this name or id.
    fn channel(&self, name: &str) -> Option<Channel> {
        let named = |c: &&Candidate| c.channel.name == name || c.channel.id.as_str() == name;
        self.0.candidates.iter().find(named).map(|c| c.channel.clone())
    }

    /// Runs a hook of the script as the gateway would.
    fn run(
        &self,
        policies: &Policies,
        hook: Hook,
        ask: impl FnOnce(&CallView<'_>) -> Vec<PolicyRun>,
    ) -> Outcome<Routed> {
        state::count_route()?;
        self.charge(0)?;
        let Setting { call, model, caller, now, seed, text, candidates, others, .. } = &*self.0;
        let asked = Asked::Advice;
        let prompt = matches!(hook, Hook::Admit | Hook::Route);
        let prompt = prompt.then(|| Arc::new(Prompt::of(Arc::clone(text) as Arc<dyn TextView>)));
        let view = CallView {
            call,
            model,
            asked,
            caller,
            now: *now,
            seed: *seed,
            limits: &*self.0,
            prompt: prompt.as_ref(),
        };
        // The script has the fuel of a real call, whatever the test has left.
        let Some(run) = run::aside(|| ask(&view)).pop() else {
            if let Some(what) = policies.is_of_another(caller) {
                let message = format!(
                    "this policy isn't of the test's {what}: leave `{what}` out of `given`, and the test runs as the policy's own"
                );
                return Err(message.into());
            }
            return Err(format!("the script has no function `{}`", hook.as_str()).into());
        };
        state::add_routed(run.fuel);
        let channels = |list: &[Candidate]| list.iter().map(|c| c.channel.clone()).collect::<Vec<_>>();
        let considered = match &run.verdict.model {
            Some(other) if other != model => others.get(other.as_str()).map(|list| channels(list)),
            _ => Some(channels(candidates)),
        };
        Ok(Routed::new(run, considered))
    }
}

fn read_call(fields: &mut Fields) -> Outcome<Call> {
    let id = fields.take("id", "a text", name)?.unwrap_or_else(|| "call-1".to_owned());
    let model = fields.take("model", "a text", name)?.unwrap_or_else(|| "model".to_owned());
    let format = fields.take(
        "format",
        "\"openai_chat\", \"openai_embeddings\", \"anthropic_messages\", \"openai_responses\", \"gemini_generate\" or that of a single operation",
        |value| {
            let word = value.into_immutable_string().ok()?;
            [
                Format::OpenaiChat,
                Format::OpenaiEmbeddings,
                Format::AnthropicMessages,
                Format::OpenaiResponses,
                Format::GeminiGenerate,
            ]
            .into_iter()
            .chain(Format::SINGLE)
            .find(|format| format.as_str() == word.as_str())
        },
    )?;
    let mut call = Call::new(id, format.unwrap_or(Format::OpenaiChat), model);
    call.stream = read_flag(fields, "stream")?;
    call.input_estimate = read_count(fields, "input_tokens")?.unwrap_or(0);
    // What is said to be unknown is; else, for want of better, the bound is the estimate.
    let is_unbounded = fields.is_unit("input_bound");
    let bound = read_count(fields, "input_bound")?.unwrap_or(call.input_estimate);
    call.input_bound = (!is_unbounded).then_some(bound);
    let fallbacks = fields.take("fallbacks", "an array of texts", texts)?;
    call.fallbacks = fallbacks.map(|list| list.into_iter().map(ModelName::from).collect());
    call.max_output = read_count(fields, "max_output")?;
    call.choices = read_small(fields, "choices")?.unwrap_or(1);
    call.needs.tools = read_flag(fields, "tools")?;
    call.needs.images = read_flag(fields, "images")?;
    call.needs.audio = read_flag(fields, "audio")?;
    call.needs.json_schema = read_flag(fields, "json_schema")?;
    call.customer = fields.take("customer", "a text", name)?;
    call.tags = fields.take("tags", "an array of texts", texts)?.unwrap_or_default().into();
    call.client_ip = fields.take("client_ip", "an address such as \"10.0.0.7\"", |value| {
        value.into_immutable_string().ok()?.parse().ok()
    })?;
    Ok(call)
}

fn read_caller(fields: &mut Fields, home: &Home) -> Outcome<Caller> {
    let mut text = |name| fields.take(name, "a text", self::name);
    let said = Said {
        organization: text("organization")?,
        group: text("group")?,
        group_id: text("group_id")?,
        key: text("key")?,
    };
    let user = text("user")?;
    let mut caller = home.caller(said);
    caller.user = user.as_deref().map(UserId::from);
    Ok(caller)
}

fn read_candidates(function: &'static str, list: Array) -> Outcome<Vec<Candidate>> {
    let candidates: Vec<Candidate> =
        list.into_iter().map(|item| Candidate::read(function, item)).collect::<Outcome<_>>()?;
    let mut ids = BTreeSet::new();
    for candidate in &candidates {
        let id = &candidate.channel.id;
        if !ids.insert(id.as_str()) {
            return Err(format!("`{function}` names the channel `{}` twice", id.as_str()).into());
        }
    }
    Ok(candidates)
}

impl Candidate {
    fn read(function: &'static str, item: Dynamic) -> Outcome<Self> {
        // A name alone is a channel of which nothing else matters.
        let map = match item.try_cast_result::<Map>() {
            Ok(map) => map,
            Err(item) => match item.into_immutable_string() {
                Ok(name) => Map::from([("name".into(), name.into())]),
                Err(kind) => {
                    let message = format!(
                        "`{function}` takes an array of maps such as #{{ name: \"a\", provider: \"b\" }}, not a {kind}"
                    );
                    return Err(message.into());
                }
            },
        };
        let mut fields = Fields::new("a candidate", map, &CANDIDATE_FIELDS)?;
        let id = fields.take("id", "a text", name)?;
        let called = fields.take("name", "a text", name)?;
        let (Some(id), Some(called)) = (id.clone().or_else(|| called.clone()), called.or(id)) else {
            return Err(format!("a candidate of `{function}` has no `name`").into());
        };
        let provider = fields.take("provider", "a text", name)?.unwrap_or_default();
        // Nobody ever calls it.
        let mut channel = Channel::new(id, called, provider);
        channel.tags = fields.take("tags", "an array of texts", texts)?.unwrap_or_default();
        channel.priority = fields
            .take("priority", "a whole number", |value| i32::try_from(value.as_int().ok()?).ok())?
            .unwrap_or(0);
        channel.weight = read_small(&mut fields, "weight")?.unwrap_or(1);
        const PRICE: &str = "USD for a million tokens, such as 2.5";
        Ok(Self {
            channel,
            upstream_model: fields.take("upstream_model", "a text", name)?.map(ModelName::from),
            input_price: fields.take("input_price", PRICE, usd)?,
            output_price: fields.take("output_price", PRICE, usd)?,
            context_window: read_count(&mut fields, "context_window")?,
            latency_us: fields
                .take("latency_ms", "a number of milliseconds above 0", |value| {
                    ratio(value).map(|ms| (ms * 1_000.0).round() as u64).filter(|us| *us > 0)
                })?
                .unwrap_or(0),
            in_flight: read_small(&mut fields, "in_flight")?.unwrap_or(0),
            failures: read_small(&mut fields, "failures")?.unwrap_or(0),
            limit_used_ppm: fields
                .take("limit_used", "a share such as 0.75", ratio)?
                .map(|share| (share * 1e6).round() as u64),
        })
    }

    fn view<'a>(&'a self, requested: &'a ModelName) -> CandidateView<'a> {
        CandidateView {
            channel: &self.channel,
            upstream_model: self.upstream_model.as_ref().unwrap_or(requested),
            input_price: self.input_price,
            output_price: self.output_price,
            context_window: self.context_window,
            latency_us: self.latency_us,
            in_flight: self.in_flight,
            failures: self.failures,
        }
    }
}

/// How one of the caller's limits stands: money in USD, all else as it is counted.
fn read_limit(item: Dynamic) -> Outcome<LimitStanding> {
    let map = item.try_cast::<Map>().ok_or("`limits` of given is an array of maps")?;
    let mut fields = Fields::new("a limit", map, &["scope", "metric", "window", "used", "max"])?;
    let scope = fields.take("scope", "such as \"group\"", |value| {
        let word = name(value)?;
        SCOPES.into_iter().find(|known| known.as_str() == word)
    })?;
    let metric = fields.take("metric", "such as \"spend\"", |value| {
        let word = name(value)?;
        Metric::ALL.into_iter().find(|known| known.as_str() == word)
    })?;
    let window = fields.take("window", "such as \"month\"", |value| {
        let word = name(value)?;
        WINDOWS.into_iter().find(|known| known.to_string() == word)
    })?;
    let metric = metric.ok_or("a limit of `limits` has no `metric`")?;
    let unit = if metric == Metric::Spend { 1e9 } else { 1.0 };
    let mut amount = |name: &str| -> Outcome<i64> {
        let amount = fields.take(name, "a number from 0", ratio)?.unwrap_or(0.0);
        Ok((amount * unit).round() as i64)
    };
    let (used, max) = (amount("used")?, amount("max")?);
    let scope = scope.unwrap_or(ScopeKind::Key);
    Ok(LimitStanding { scope, metric, window: window.unwrap_or(Window::Month), max, used })
}

fn read_flag(fields: &mut Fields, name: &str) -> Outcome<bool> {
    Ok(fields.take(name, "true or false", flag)?.unwrap_or(false))
}

fn read_count(fields: &mut Fields, name: &str) -> Outcome<Option<u64>> {
    fields.take(name, "a whole number from 0", count)
}

fn read_small(fields: &mut Fields, name: &str) -> Outcome<Option<u32>> {
    fields.take(name, "a whole number from 0", |value: Dynamic| {
        value.as_int().ok().and_then(|number: INT| u32::try_from(number).ok())
    })
}

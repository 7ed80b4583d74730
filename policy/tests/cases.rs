//! Cases as data: every `tests/data/policy/*.yaml`; and the tests that ready policies carry themselves.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use serde::Deserialize;
use sluicegate_core::call::{Call, Format};
use sluicegate_core::channel::Channel;
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::ids::{GroupId, KeyId, ModelName, OrganizationId, UserId};
use sluicegate_core::ports::{
    Asked, AttemptView, CallView, CandidateView, Hook, NoLimits, PolicyHook, PolicyRun, UsageView, Verdict,
};
use sluicegate_core::snapshot::{ModuleSource, OnPolicyError, PolicySource};
use sluicegate_core::tenant::{Caller, Preference};
use sluicegate_core::time::Timestamp;
use sluicegate_core::usage::Usage;
use sluicegate_policy::{Policies, Tests};

/// A script, a call, its candidates, and the verdict that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    note: String,
    script: String,
    #[serde(default)]
    on_error: OnPolicyError,
    #[serde(default)]
    call: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    caller: CallerCase,
    #[serde(default)]
    candidates: Vec<CandidateCase>,
    #[serde(default)]
    now: Option<String>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    hook: Hook,
    #[serde(default)]
    attempt: AttemptCase,
    #[serde(default)]
    usage: UsageCase,
    want: Want,
}

/// For `on_error`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct AttemptCase {
    channel: Option<CandidateCase>,
    model: String,
    outcome: Option<OutcomeClass>,
    status: Option<u16>,
    number: u32,
    elapsed_ms: u64,
    key_fault: bool,
}

/// For `finish`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct UsageCase {
    channel: Option<CandidateCase>,
    model: String,
    outcome: Option<OutcomeClass>,
    tokens: Usage,
    spend: i64,
    attempts: u32,
    latency_ms: u64,
    first_byte_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CallerCase {
    group: Option<String>,
    alias: Option<String>,
    user: Option<String>,
    key: Option<String>,
    organization: Option<String>,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CandidateCase {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    weight: u32,
    #[serde(default)]
    input_price: Option<u64>,
    #[serde(default)]
    output_price: Option<u64>,
    #[serde(default)]
    context_window: Option<u64>,
    #[serde(default)]
    latency_us: u64,
    #[serde(default)]
    in_flight: u32,
    #[serde(default)]
    failures: u32,
}

/// The verdict in words. What isn't named must be empty.
#[derive(Deserialize, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Want {
    deny: Option<String>,
    prefer: Vec<String>,
    exclude: Vec<String>,
    model: Option<String>,
    fallback: Option<Vec<String>>,
    max_output: Option<u64>,
    tags: Vec<String>,
    stop: bool,
    alerts: Vec<String>,
    /// What the error says, in part.
    error: Option<String>,
    /// The operations used, where a case is about them.
    fuel: Option<u64>,
}

impl Want {
    fn of(verdict: &Verdict) -> Self {
        let words = |list: &[Preference]| {
            list.iter()
                .map(|preference| match preference {
                    Preference::Channel(name) => format!("channel:{name}"),
                    Preference::Provider(name) => format!("provider:{name}"),
                    Preference::Tag(name) => format!("tag:{name}"),
                })
                .collect()
        };
        Self {
            deny: verdict.deny.clone(),
            prefer: words(&verdict.prefer),
            exclude: words(&verdict.exclude),
            model: verdict.model.as_ref().map(ToString::to_string),
            fallback: verdict.fallback.as_ref().map(|list| list.iter().map(ToString::to_string).collect()),
            max_output: verdict.max_output,
            tags: verdict.tags.clone(),
            stop: verdict.stop,
            alerts: verdict.alerts.clone(),
            ..Self::default()
        }
    }
}

/// A script that must not be accepted, and what is said about it: `line:column message; remedy`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiagnosticCase {
    note: String,
    script: String,
    wrong: Vec<String>,
}

#[test]
fn verdicts() {
    run("verdicts.yaml");
}

#[test]
fn views() {
    run("views.yaml");
}

#[test]
fn hooks() {
    run("hooks.yaml");
}

#[test]
fn failures() {
    run("failures.yaml");
}

#[test]
fn sandbox() {
    let started = std::time::Instant::now();
    let cases = run("sandbox.yaml");
    // Generous, for a slow machine and unoptimized code: what matters is that nothing runs away.
    assert!(started.elapsed().as_secs() < u64::try_from(cases).unwrap(), "took {:?}", started.elapsed());
}

#[test]
fn ready_policies_pass_their_own_tests() {
    let mut failed = Vec::new();
    let words = std::fs::read_to_string(root().join("examples/policies/modules/words.rhai")).unwrap();
    let modules = [ModuleSource { name: "words".into(), text: words }];
    for entry in std::fs::read_dir(root().join("examples/policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let tests = Tests::compile_with(&source(&name, &text, OnPolicyError::FailOpen), &modules).unwrap();
        assert!(tests.names().count() >= 2, "`{name}` needs a test where it acts and one where it doesn't");
        let results = tests.run(None);
        failed.extend(results.into_iter().filter(|r| r.failure.is_some()).map(|r| format!("{name}: {r:#?}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn diagnostics() {
    let mut failed = Vec::new();
    for case in load::<DiagnosticCase>("diagnostics.yaml") {
        let said: Vec<String> = match Policies::compile(&[source("p", &case.script, OnPolicyError::FailOpen)])
        {
            Ok(_) => Vec::new(),
            Err(wrong) => {
                wrong.iter().map(|d| format!("{}:{} {}; {}", d.line, d.column, d.message, d.remedy)).collect()
            }
        };
        if said != case.wrong {
            failed.push(format!("{}\n    said {said:#?}\n    want {:#?}", case.note, case.wrong));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn run(file: &str) -> usize {
    let cases: Vec<Case> = load(file);
    let failed: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    cases.len()
}

fn check(case: &Case) -> Result<(), String> {
    let policies = Policies::compile(&[source("p", &case.script, case.on_error)]).map_err(|wrong| {
        format!("{}: {}", case.note, wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    let call = case.call();
    let caller = case.caller();
    let channels: Vec<(Channel, ModelName)> = case.candidates.iter().map(CandidateCase::channel).collect();
    let candidates: Vec<CandidateView<'_>> =
        case.candidates.iter().zip(&channels).map(|(case, channel)| case.view(channel)).collect();
    let now = case.now.as_deref().unwrap_or("2026-01-01T00:00:00Z").parse::<jiff::Timestamp>().unwrap();
    let view = CallView {
        call: &call,
        model: &call.model,
        asked: Asked::Advice,
        caller: &caller,
        now: Timestamp::from_ms(now.as_millisecond()),
        seed: case.seed,
        limits: &NoLimits,
        prompt: None,
    };
    let ask = || case.ask(&policies, &view, &candidates);
    let runs = ask();
    let [run] = runs.as_slice() else { panic!("one script, {} runs", runs.len()) };
    assert_eq!(format!("{runs:?}"), format!("{:?}", ask()), "`{}` isn't deterministic", case.note);

    let error_as_wanted = match (&run.error, &case.want.error) {
        (Some(error), Some(want)) => error.contains(want),
        (None, None) => true,
        _ => false,
    };
    let said = Want { error: case.want.error.clone(), fuel: case.want.fuel, ..Want::of(&run.verdict) };
    let fuel_as_wanted = case.want.fuel.is_none_or(|fuel| fuel == run.fuel);
    if said == case.want && error_as_wanted && fuel_as_wanted {
        return Ok(());
    }
    let said = Want { error: run.error.clone(), fuel: Some(run.fuel), ..said };
    Err(format!("{}\n    said {said:?}\n    want {:?}", case.note, case.want))
}

impl Case {
    fn ask(
        &self,
        policies: &Policies,
        view: &CallView<'_>,
        candidates: &[CandidateView<'_>],
    ) -> Vec<PolicyRun> {
        let of = |channel: &Option<CandidateCase>| channel.as_ref().map(|case| case.channel().0);
        match self.hook {
            Hook::Admit => policies.admit(view),
            Hook::Route => policies.route(view, candidates),
            Hook::OnError => {
                let AttemptCase { channel, model, outcome, status, number, elapsed_ms, key_fault } =
                    &self.attempt;
                let attempt = AttemptView {
                    channel: &of(channel).unwrap_or_else(|| Channel::new("c".to_owned(), "c".to_owned(), "")),
                    model: &model.as_str().into(),
                    outcome: outcome.unwrap_or(OutcomeClass::ServerError),
                    status: *status,
                    number: *number,
                    elapsed_ms: *elapsed_ms,
                    key_fault: *key_fault,
                };
                policies.on_error(view, &attempt)
            }
            Hook::Finish => {
                let it = &self.usage;
                let channel = of(&it.channel);
                let usage = UsageView {
                    usage: &it.tokens,
                    spend: it.spend,
                    attempts: it.attempts,
                    outcome: it.outcome.unwrap_or(OutcomeClass::Ok),
                    latency_ms: it.latency_ms,
                    first_byte_ms: it.first_byte_ms,
                    channel: channel.as_ref(),
                    model: &it.model.as_str().into(),
                };
                policies.finish(view, &usage)
            }
        }
    }

    fn call(&self) -> Call {
        let plain = serde_json::to_value(Call::new("call-1", Format::OpenaiChat, "m")).unwrap();
        let serde_json::Value::Object(mut fields) = plain else { panic!("a call is an object") };
        fields.extend(self.call.clone());
        serde_json::from_value(fields.into()).unwrap()
    }

    fn caller(&self) -> Caller {
        let own = &self.caller;
        let mut caller =
            Caller::operator(OrganizationId::from(own.organization.as_deref().unwrap_or("default")), &[]);
        caller.group = own.group.as_deref().map(GroupId::from);
        caller.labels = own.group.iter().chain(&own.alias).map(|label| label.as_str().into()).collect();
        caller.user = own.user.as_deref().map(UserId::from);
        caller.key = own.key.as_deref().map(KeyId::from);
        caller.tags = own.tags.clone();
        caller
    }
}

impl CandidateCase {
    fn channel(&self) -> (Channel, ModelName) {
        let channel = serde_json::json!({
            "id": self.id, "name": self.name, "provider": self.provider, "endpoints": [], "auth": "bearer",
            "secret": "none", "models": [], "tags": self.tags, "priority": self.priority, "weight": self.weight,
        });
        (serde_json::from_value(channel).unwrap(), ModelName::from(self.model.as_str()))
    }

    fn view<'a>(&self, (channel, upstream_model): &'a (Channel, ModelName)) -> CandidateView<'a> {
        CandidateView {
            channel,
            upstream_model,
            input_price: self.input_price,
            output_price: self.output_price,
            context_window: self.context_window,
            latency_us: self.latency_us,
            in_flight: self.in_flight,
            failures: self.failures,
        }
    }
}

fn source(name: &str, text: &str, on_error: OnPolicyError) -> PolicySource {
    PolicySource { on_error, ..PolicySource::new(name, text) }
}

fn load<T: for<'de> Deserialize<'de>>(file: &str) -> Vec<T> {
    let text = std::fs::read_to_string(root().join("tests/data/policy").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_manuals_scripts_compile_and_pass_their_tests() {
    let manual = std::fs::read_to_string(root().join("docs/policy.md")).unwrap();
    let scripts: Vec<&str> =
        manual.split("```rhai\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let tests = Tests::compile(&source("manual", script, OnPolicyError::FailOpen)).unwrap();
        for result in tests.run(None) {
            assert_eq!(result.failure, None, "{}", result.name);
        }
    }
}

/// The manual is the only place where authors learn what there is: it has to name every fact and verdict.
#[test]
fn the_manual_names_what_scripts_read_in_the_cases() {
    let manual = std::fs::read_to_string(root().join("docs/policy.md")).unwrap();
    for view in ["call", "c", "now", "candidates"] {
        let text = std::fs::read_to_string(root().join("tests/data/policy/views.yaml")).unwrap();
        for rest in text.split(&format!("{{{view}.")).skip(1) {
            let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            assert!(
                manual.contains(&format!("`{word}")) || manual.contains(&format!(".{word}")),
                "`{word}` is missing"
            );
        }
    }
}

//! The script boundary under hostile scripts: none hangs, crashes or takes more than 64 MiB, and nothing stays of it.
//!
//! It runs for `SLUICEGATE_FUZZ_SECONDS` (default 5), from the seed `SLUICEGATE_FUZZ_SEED` (default 1) on; a failure names its seed,
//! and a crash leaves the script behind. `SLUICEGATE_FUZZ_SECONDS=600 cargo test -p sluicegate-policy --test hostile -- --nocapture`
//! is the long run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "hostile/mutation.rs"]
mod mutation;
#[path = "hostile/script.rs"]
mod script;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use sluicegate_core::call::{Call, Format};
use sluicegate_core::channel::Channel;
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::ports::{
    Asked, AttemptView, CallView, CandidateView, Hook, NoLimits, PolicyHook, TextView, UsageView,
};
use sluicegate_core::prompt::Prompt;
use sluicegate_core::snapshot::{ModuleSource, PolicySource};
use sluicegate_core::tenant::Caller;
use sluicegate_core::time::Timestamp;
use sluicegate_core::usage::Usage;
use sluicegate_policy::{FUEL, Policies, Tests};

use mutation::mutated;
use script::{Chance, composed, importing, large, module, nested};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// No script may take more, in bytes, from when it is loaded to when its last run is over.
const PEAK_MAX: usize = 64 << 20;
/// What all of them together may leave behind, in bytes: whatever is made once and kept.
const LEFT_MAX: usize = 4 << 20;
/// The hooks of one script together, in CPU time, on a slow machine without optimization. So are the next two.
const HOOKS_MAX: Duration = Duration::from_secs(2);
/// Loading a script, with its modules.
const LOAD_MAX: Duration = Duration::from_secs(20);
/// Its tests: they have 50,000,000 operations for all that they route.
const TESTS_MAX: Duration = Duration::from_secs(120);
/// So many scripts are tried whatever the time: what is said of them all at the end then doesn't depend on the machine.
const SCRIPTS_MIN: u64 = 300;
/// What hosts give to their threads, in bytes.
const STACK: usize = 2 << 20;

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    scripts: u64,
    accepted: u64,
    runs: u64,
    out_of_fuel: u64,
    tests: u64,
    peak: usize,
    load: Duration,
    hooks: Duration,
    tested: Duration,
}

#[test]
fn no_script_hangs_crashes_or_grows_the_process() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    let time = Duration::from_secs(number("SLUICEGATE_FUZZ_SECONDS").unwrap_or(5));
    let first = number("SLUICEGATE_FUZZ_SEED").unwrap_or(1);
    let (tell, told) = channel();
    let fuzz = move || {
        let (started, mut seen, mut base) = (Instant::now(), Seen::default(), None);
        let world = World::new();
        for seed in first.. {
            if started.elapsed() >= time && seen.scripts >= SCRIPTS_MIN {
                break;
            }
            // BOUND: whoever listens takes them faster than scripts run.
            let _ = tell.send(seed);
            world.try_one(seed, &mut seen);
            let left = MEMORY.current_usage();
            let base = *base.get_or_insert(left);
            assert!(left <= base + LEFT_MAX, "seed {seed}: {left} bytes are in use, {base} were");
        }
        seen
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(fuzz).unwrap();
    let mut last = first;
    loop {
        match told.recv_timeout(TESTS_MAX + LOAD_MAX + HOOKS_MAX) {
            Ok(seed) => last = seed,
            Err(RecvTimeoutError::Timeout) => panic!("seed {last} hangs"),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let seen = thread
        .join()
        .unwrap_or_else(|_| panic!("seed {last} failed; the script is {}", World::place().display()));
    println!("{seen:#?}");
    // Without scripts that run, and run away, all this would prove nothing.
    assert!(seen.accepted * 10 >= seen.scripts, "{seen:#?}");
    assert!(seen.out_of_fuel >= 5 && seen.runs > seen.accepted, "{seen:#?}");
}

struct World {
    ready: Vec<String>,
    words: String,
    channels: Vec<Channel>,
    caller: Caller,
    call: Call,
}

struct Words;

impl TextView for Words {
    fn each(&self, take: &mut dyn FnMut(&str)) {
        take(&"what a long prompt, with a secret in it ".repeat(5_000));
    }
}

impl World {
    fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
        let words = std::fs::read_to_string(folder.join("modules/words.rhai")).unwrap();
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
        paths.sort();
        let ready = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let mut call = Call::new("c", Format::OpenaiChat, "m");
        call.tags = vec!["a".to_owned(); 20].into();
        let channels = (0..20).map(|n| Channel::new(format!("c{n}"), format!("c{n}"), "openai")).collect();
        Self { ready, words, channels, caller: Caller::operator("default".into(), &[]), call }
    }

    /// Where the script under way stands: after a crash it is still there.
    fn place() -> PathBuf {
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hostile.rhai")
    }

    fn source(&self, chance: &mut Chance) -> (String, Vec<ModuleSource>) {
        let any = |chance: &mut Chance| self.ready[chance.below(self.ready.len())].as_str();
        let text = match chance.below(10) {
            0..4 => composed(chance),
            4 => nested(chance),
            5 => large(chance),
            6 => importing(chance),
            _ => {
                let (one, other) = (any(chance), any(chance));
                mutated(chance, one, other)
            }
        };
        let mut modules = vec![ModuleSource { name: "words".into(), text: self.words.clone() }];
        if text.contains("import \"m\"") {
            let imports = ["import \"n\" as n;\n", ""];
            let hostile = |(name, imports): (&str, &str)| ModuleSource {
                name: name.into(),
                text: module(chance, &name.to_uppercase(), imports),
            };
            modules.extend(["m", "n"].into_iter().zip(imports).map(hostile));
        }
        (text, modules)
    }

    fn try_one(&self, seed: u64, seen: &mut Seen) {
        let mut chance = Chance(seed);
        let (text, modules) = self.source(&mut chance);
        let all: String = modules.iter().map(|it| format!("\n// module {}\n{}", it.name, it.text)).collect();
        std::fs::write(Self::place(), format!("{text}{all}")).unwrap();
        let source = PolicySource::new("p", text);

        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let started = cpu();
        let policies = Policies::compile_with(std::slice::from_ref(&source), &modules);
        let load = cpu().saturating_sub(started);
        seen.scripts += 1;
        if let Ok(policies) = &policies {
            seen.accepted += 1;
            let started = cpu();
            self.run(policies, seed, seen);
            seen.hooks = longest(seed, seen.hooks, started, HOOKS_MAX);
        }
        // Those of a few: each may take as long as thousands of calls.
        if policies.is_ok() && chance.below(3) == 0 {
            let started = cpu();
            if let Ok(tests) = Tests::compile_with(&source, &modules) {
                seen.tests += tests.run(None).len() as u64;
            }
            seen.tested = longest(seed, seen.tested, started, TESTS_MAX);
        }
        let peak = MEMORY.peak_usage().saturating_sub(before);
        assert!(peak <= PEAK_MAX, "seed {seed} took {peak} bytes");
        assert!(load <= LOAD_MAX, "seed {seed} took {load:?} to load");
        (seen.peak, seen.load) = (seen.peak.max(peak), seen.load.max(load));
    }

    fn run(&self, policies: &Policies, seed: u64, seen: &mut Seen) {
        let prompt = Arc::new(Prompt::of(Arc::new(Words)));
        let now = Timestamp::from_ms(1_795_000_000_000);
        let (call, caller, model) = (&self.call, &self.caller, "m".into());
        let candidate = |channel| CandidateView {
            channel,
            upstream_model: &model,
            input_price: Some(1_000_000),
            output_price: None,
            context_window: Some(100_000),
            latency_us: 1_000,
            in_flight: 1,
            failures: 0,
        };
        let candidates: Vec<CandidateView<'_>> = self.channels.iter().map(candidate).collect();
        let attempt = AttemptView {
            channel: &self.channels[0],
            model: &model,
            outcome: OutcomeClass::ServerError,
            status: Some(500),
            number: 1,
            elapsed_ms: 20,
            key_fault: false,
        };
        let usage = UsageView {
            usage: &Usage::default(),
            spend: 5,
            attempts: 1,
            outcome: OutcomeClass::Ok,
            latency_ms: 20,
            first_byte_ms: None,
            channel: Some(&self.channels[0]),
            model: &model,
        };
        let hooks = policies.applies(caller);
        for hook in Hook::ALL.into_iter().filter(|hook| hooks.has(*hook)) {
            let shown = matches!(hook, Hook::Admit | Hook::Route).then_some(&prompt);
            let view = CallView {
                call,
                model: &call.model,
                asked: Asked::Advice,
                caller,
                now,
                seed,
                limits: &NoLimits,
                prompt: shown,
            };
            let runs = match hook {
                Hook::Admit => policies.admit(&view),
                Hook::Route => policies.route(&view, &candidates),
                Hook::OnError => policies.on_error(&view, &attempt),
                Hook::Finish => policies.finish(&view, &usage),
            };
            for run in runs {
                seen.runs += 1;
                let out = run.error.is_some_and(|error| error.contains("fuel"));
                seen.out_of_fuel += u64::from(out);
                // The last step may go beyond: by one look through the prompt, or by the bytes of one text.
                assert!(run.fuel <= FUEL + 1_024, "seed {seed} used {}", run.fuel);
            }
        }
    }
}

/// The CPU time of this thread: what a script takes doesn't depend on what else the machine does.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn longest(seed: u64, known: Duration, started: Duration, max: Duration) -> Duration {
    let took = cpu().saturating_sub(started);
    assert!(took <= max, "seed {seed} took {took:?}");
    known.max(took)
}

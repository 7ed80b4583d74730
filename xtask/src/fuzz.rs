//! `cargo xtask fuzz`: what reads bytes of strangers, under libFuzzer, which finds its way by what it reaches.
//!
//! `cargo fuzz` asks for AddressSanitizer unless told otherwise, and only that needs a nightly compiler: without it stable builds the
//! same targets, and nothing here is `unsafe`.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::install;
use crate::tool::{self, Done, Tool, cargo};

/// The release of `cargo fuzz` that is installed.
const VERSION: &str = "0.13.2";
/// So long each target runs unless told otherwise, in seconds.
const SECONDS: u64 = 4;
/// So many run at a time.
const AT_ONCE: usize = 2;
/// What an input may be at most, in bytes; what may be resident, and allocated at once, in MiB; and how long one may take, in
/// seconds. Several times what any takes under these flags, and far from what would go unnoticed.
const BOUNDS: &[&str] =
    &["-max_len=65536", "-rss_limit_mb=1024", "-malloc_limit_mb=64", "-timeout=10", "-print_final_stats=0"];

pub(crate) fn run(args: &[String]) -> Done {
    let (mut seconds, mut names) = (SECONDS, Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let number = words.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
                seconds = number.ok_or("`--seconds` wants a number above zero")?;
            }
            name => names.push(name.to_owned()),
        }
    }
    let all = targets()?;
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        return Err(format!("`{unknown}` is no target; there are {}", all.join(", ")));
    }
    let names = if names.is_empty() { all } else { names };
    let place = tool::scratch("fuzz")?;
    let fuzz = Fuzz { tools: tools()?, place: place.clone(), seconds };
    seeds(&place.join("seeds"))?;
    fuzz.cargo("build").run()?;
    let (left, failed) = (Mutex::new(VecDeque::from(names)), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(name) = next(&left) {
                    match fuzz.one(&name) {
                        Ok(said) => println!("{name:<28} {said}"),
                        Err(error) => {
                            eprintln!("{name}: {error}");
                            failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(name);
                        }
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.sort();
    if failed.is_empty() {
        return Ok(());
    }
    let inputs = place.join("found");
    Err(format!("{} broke; the inputs are in `{}`", failed.join(", "), inputs.display()))
}

fn next(left: &Mutex<VecDeque<String>>) -> Option<String> {
    left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front()
}

/// The targets by name, as their files are called.
fn targets() -> Result<Vec<String>, String> {
    let folder = tool::root().join("fuzz/targets");
    let entries = fs::read_dir(&folder).map_err(|e| format!("cannot read `{}`: {e}", folder.display()))?;
    let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    Ok(names)
}

/// The folder that `cargo-fuzz` is in; installed there when it is missing.
fn tools() -> Result<PathBuf, String> {
    install::programs(&[("c++", "build-essential")])?;
    let folder = tool::scratch(&format!("cargo-fuzz-{VERSION}"))?;
    if !folder.join("bin/cargo-fuzz").is_file() {
        cargo(["install", "--quiet", "--locked", "cargo-fuzz", "--version", VERSION, "--root"])
            .args([&folder])
            .args(["--target-dir"])
            .args([tool::scratch("fuzz")?.join("build")])
            .run()?;
    }
    Ok(folder.join("bin"))
}

/// Has the fixtures written out, those of each kind in a folder.
fn seeds(folder: &Path) -> Done {
    let _ = fs::remove_dir_all(folder);
    cargo(["test", "--quiet", "--workspace", "--exclude", "sluicegate-python", "--test", "fuzz"])
        .env("SLUICEGATE_FUZZ_SEEDS", folder)
        .run()
}

struct Fuzz {
    tools: PathBuf,
    place: PathBuf,
    seconds: u64,
}

impl Fuzz {
    fn cargo(&self, command: &str) -> Tool {
        let mut paths = vec![self.tools.clone()];
        paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let path = std::env::join_paths(paths).unwrap_or_default();
        cargo(["fuzz", command, "--sanitizer", "none", "--codegen-units", "16", "--target-dir"])
            .args([self.place.join("build")])
            .env("PATH", path)
            .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only")
    }

    /// Runs a target and answers how many inputs it took; what libFuzzer said, where one broke it.
    fn one(&self, name: &str) -> Result<String, String> {
        let kind = name.split('_').next().unwrap_or(name);
        let (grown, found) = (self.place.join("corpus").join(name), self.place.join("found"));
        for folder in [&grown, &found] {
            fs::create_dir_all(folder).map_err(|e| format!("cannot make `{}`: {e}", folder.display()))?;
        }
        let mut run = self.cargo("run").args([name]).args([&grown]);
        // Scanners of answers and of frames read streams, too.
        let kinds = if matches!(kind, "answer" | "stream") { vec!["answer", "stream"] } else { vec![kind] };
        let seeds = kinds.into_iter().map(|kind| self.place.join("seeds").join(kind));
        run = run.args(seeds.filter(|folder| folder.is_dir()));
        let mut run = run.args(["--"]).args(BOUNDS).args([format!("-max_total_time={}", self.seconds)]);
        let prefix = format!("-artifact_prefix={}/{name}-", found.display());
        let out = run.0.arg(prefix).output().map_err(|e| format!("cannot run cargo fuzz: {e}"))?;
        let said = String::from_utf8_lossy(&out.stderr);
        if !out.status.success() {
            let lines: Vec<&str> = said.lines().collect();
            return Err(lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        let done = said.lines().find_map(|line| line.strip_prefix("Done ")).unwrap_or("nothing");
        Ok(done.to_owned())
    }
}

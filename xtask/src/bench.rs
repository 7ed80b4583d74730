//! `cargo xtask bench`: the gateway beside nginx, its memory, reports over millions of calls, or the benches in process.

use crate::install;
use crate::postgres::Postgres;
use crate::tool::{self, Done, Tool, cargo};

pub(crate) fn run(args: &[String]) -> Done {
    install::programs(&[("cc", "build-essential")])?;
    if let [first, rest @ ..] = args
        && first == "--criterion"
    {
        return cargo(["bench", "-p", "sluicegate-benches", "--"]).args(rest).run();
    }
    if let [first, rest @ ..] = args
        && first == "--reports"
    {
        return reports(rest);
    }
    let (script, args) = match args {
        [first, rest @ ..] if first == "--memory" => ("benches/rig/memory.py", rest),
        all => ("benches/rig/rig.py", all),
    };
    install::programs(&[("python3", "python3")])?;
    if script.ends_with("rig.py") {
        install::programs(&[("nginx", "nginx-light"), ("wrk", "wrk")])?;
    }
    cargo(["build", "--release", "-p", "sluicegate-cli", "-p", "sluicegate-tests", "--bins"]).run()?;
    let programs = tool::target().join("release");
    Tool::new("python3").args([script, "--bin-dir"]).args([programs]).args(args).run()
}

/// Reports and pages of the log on SQLite and PostgreSQL, each filled anew.
fn reports(args: &[String]) -> Done {
    let only = |name: &str| args.iter().any(|arg| arg == name);
    let rest: Vec<&str> =
        args.iter().map(String::as_str).filter(|arg| !matches!(*arg, "--sqlite" | "--postgres")).collect();
    let measure = |database: &str| {
        let bench = cargo(["bench", "-p", "sluicegate", "--bench", "report", "--", "--database", database]);
        bench.args(&rest).run()
    };
    let mut late = Vec::new();
    if !only("--postgres") {
        let folder = tool::scratch("reports")?;
        let database = folder.join("reports.db");
        late.extend(measure(&database.to_string_lossy()).err());
        std::fs::remove_dir_all(&folder).map_err(|e| format!("cannot remove `{}`: {e}", folder.display()))?;
    }
    if !only("--sqlite") {
        let postgres = Postgres::start()?;
        late.extend(measure(&postgres.url()).err());
    }
    if late.is_empty() { Ok(()) } else { Err(late.join("; ")) }
}

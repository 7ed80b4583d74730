//! `cargo xtask bench`: the gateway beside nginx, its memory, or the benches in process.

use crate::install;
use crate::tool::{self, Done, Tool, cargo};

pub(crate) fn run(args: &[String]) -> Done {
    install::programs(&[("cc", "build-essential")])?;
    if let [first, rest @ ..] = args
        && first == "--criterion"
    {
        return cargo(["bench", "-p", "sluicegate-benches", "--"]).args(rest).run();
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

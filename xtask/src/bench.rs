//! `cargo xtask bench`: the gateway beside nginx, or the benches in process.

use crate::install;
use crate::tool::{self, Done, Tool, cargo};

pub(crate) fn run(args: &[String]) -> Done {
    install::programs(&[("cc", "build-essential")])?;
    if let [first, rest @ ..] = args
        && first == "--criterion"
    {
        return cargo(["bench", "-p", "sluicegate-benches", "--"]).args(rest).run();
    }
    install::programs(&[("python3", "python3"), ("nginx", "nginx-light"), ("wrk", "wrk")])?;
    cargo(["build", "--release", "-p", "sluicegate-cli", "-p", "sluicegate-tests", "--bins"]).run()?;
    let programs = tool::target().join("release");
    Tool::new("python3").args(["benches/rig/rig.py", "--bin-dir"]).args([programs]).args(args).run()
}

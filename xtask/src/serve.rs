//! `cargo xtask serve`: the gateway, ready to be called.

use std::os::unix::process::CommandExt;

use crate::console;
use crate::install;
use crate::tool::{self, Done, Tool, cargo};

pub(crate) fn run(args: &[String]) -> Done {
    install::programs(&[("cc", "build-essential")])?;
    console::before_binary()?;
    cargo(["build", "--release", "-p", "sluicegate-cli"]).run()?;
    let mut gateway = Tool::new(tool::target().join("release/sluicegate")).args(["serve"]).args(args);
    // The gateway takes our place, so that signals and the exit code are its own.
    let error = gateway.0.exec();
    Err(format!("cannot run the gateway: {error}"))
}

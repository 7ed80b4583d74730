//! Real clients, in Python and Node, against the gateway.

use std::fs;

use crate::install;
use crate::rust;
use crate::step::Steps;
use crate::tool::{self, Done, Tool};

/// Makes docs/clients.md from a run of every client.
pub(crate) fn clients() -> Done {
    pytest("tests/sdk/test_matrix.py", &[("SLUICEGATE_UPDATE_DOCS", "1")])
}

pub(crate) fn all(steps: &mut Steps) {
    steps.step("sdk tests", || pytest("tests/sdk", &[]));
}

/// Requests made from the API's document, by every role.
pub(crate) fn api(steps: &mut Steps) {
    steps.step("api contract", || {
        let python = install::python_env()?.join("python");
        rust::build()?;
        Tool::new(python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/api"])
            .env("SLUICEGATE_BIN_DIR", tool::target().join("debug"))
            .run()
    });
}

fn pytest(tests: &str, variables: &[(&str, &str)]) -> Done {
    install::programs(&[("curl", "curl"), ("cc", "build-essential"), ("node", "nodejs"), ("npm", "npm")])?;
    let python = install::python_env()?.join("python");
    node_modules()?;
    rust::build()?;
    let mut run = Tool::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", tests])
        .env("SLUICEGATE_BIN_DIR", tool::target().join("debug"));
    for (name, value) in variables {
        run = run.env(name, value);
    }
    run.run()
}

/// Installs the clients for Node, as their lock file has them, when they aren't yet.
fn node_modules() -> Done {
    let folder = tool::root().join("tests/sdk/node");
    let (lock, stamp) = (folder.join("package-lock.json"), folder.join("node_modules/lock.stamp"));
    let wanted = fs::read_to_string(&lock).map_err(|e| format!("cannot read `{}`: {e}", lock.display()))?;
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    // Nothing that a package brings is run while it is installed.
    let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    Tool::new("npm").args(quiet).args([&folder]).without_input().run()?;
    fs::write(&stamp, wanted).map_err(|e| format!("cannot write `{}`: {e}", stamp.display()))
}

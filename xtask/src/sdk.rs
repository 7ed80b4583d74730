//! The real OpenAI, Anthropic and Google SDKs against the gateway.

use crate::install;
use crate::rust;
use crate::step::Steps;
use crate::tool::{self, Tool};

pub(crate) fn all(steps: &mut Steps) {
    steps.step("sdk tests", || {
        install::programs(&[("curl", "curl"), ("cc", "build-essential")])?;
        let python = install::python_env()?.join("python");
        rust::build()?;
        Tool::new(python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/sdk"])
            .env("SLUICEGATE_BIN_DIR", tool::target().join("debug"))
            .run()
    });
}

//! Format, lints and the tests in Rust.

use crate::install;
use crate::postgres::Postgres;
use crate::step::Steps;
use crate::tool::{Done, cargo};

/// The crates whose tests need no services.
const PURE: &[&str] = &[
    "sluicegate-core",
    "sluicegate-wire",
    "sluicegate-config",
    "sluicegate-policy",
    "sluicegate",
    "sluicegate-server",
    "sluicegate-cli",
];

/// Every package but the Python module: that one links against an interpreter only as an extension, and is built by
/// its own part.
pub(crate) const EVERYTHING: &[&str] = &["--workspace", "--exclude", "sluicegate-python"];

/// Builds all that tests in any language run. Always the same selection, so that cargo sees the same features and
/// builds nothing twice.
pub(crate) fn build() -> Done {
    cargo(["build"]).args(EVERYTHING).args(["--lib", "--bins", "--tests"]).run()
}

pub(crate) fn format_check() -> Done {
    cargo(["fmt", "--all", "--check"]).run()
}

pub(crate) fn lint() -> Done {
    // PyO3's build looks for an interpreter, sqlx's SQLite for a C compiler.
    install::programs(&[("python3", "python3"), ("cc", "build-essential")])?;
    cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

/// Unit, table and arrow tests; an embedded SQLite is all the storage they get.
pub(crate) fn quick(steps: &mut Steps) {
    steps.step("unit tests", || {
        install::programs(&[("cc", "build-essential")])?;
        let packages = PURE.iter().flat_map(|p| ["-p", *p]);
        cargo(["test"]).args(packages).run()
    });
    steps.step("arrows, rig, decisions and providers", || {
        cargo(["test", "-p", "sluicegate-tests", "--lib"])
            .args(["--test", "arrows", "--test", "fake_upstream", "--test", "decide", "--test", "providers"])
            .run()
    });
}

/// All tests in Rust, with a private Postgres beside them.
pub(crate) fn all(steps: &mut Steps) {
    let mut postgres = None;
    steps.step("postgres", || {
        postgres = Some(Postgres::start()?);
        Ok(())
    });
    steps.step("rust tests", || {
        install::programs(&[("cc", "build-essential")])?;
        // The end-to-end tests start the binary, which a test build alone does not make.
        build()?;
        let mut tests = cargo(["test", "--no-fail-fast"]).args(EVERYTHING);
        if let Some(postgres) = &postgres {
            tests = tests.env("SLUICEGATE_TEST_POSTGRES", postgres.url());
        }
        tests.run()
    });
}

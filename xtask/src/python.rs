//! The Python module: built as a wheel, installed, tested.

use std::fs;

use crate::install;
use crate::rust;
use crate::step::Steps;
use crate::tool::{self, Tool};

pub(crate) fn all(steps: &mut Steps) {
    let built = steps.step("python module", || {
        install::programs(&[("cc", "build-essential")])?;
        let bin = install::python_env()?;
        let wheels = tool::scratch("wheels")?;
        let _ = fs::remove_dir_all(&wheels);
        Tool::new(bin.join("maturin"))
            .args(["build", "-q", "-m", "bindings/python/Cargo.toml", "-i"])
            .args([bin.join("python")])
            .args(["--out"])
            .args([&wheels])
            .run()?;
        let entries =
            fs::read_dir(&wheels).map_err(|e| format!("cannot read `{}`: {e}", wheels.display()))?;
        let wheel = entries.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "whl"));
        let wheel = wheel.ok_or("maturin built no wheel")?;
        Tool::new(bin.join("python"))
            .args([
                "-m",
                "pip",
                "install",
                "-q",
                "--no-input",
                "--disable-pip-version-check",
                "--no-deps",
                "--force-reinstall",
            ])
            .args([wheel])
            .run()
    });
    if built {
        steps.step("python types", || {
            let python = install::python_env()?.join("python");
            // The stubs say what is there, and the package and the examples keep to them.
            let stubs = ["-m", "mypy.stubtest", "sluicegate._sluicegate", "sluicegate._errors"];
            Tool::new(&python).args(stubs).run()?;
            let sources = ["bindings/python/python/sluicegate", "examples/python"];
            Tool::new(&python).args(["-m", "mypy", "--strict", "--no-incremental"]).args(sources).run()
        });
        steps.step("python tests", || {
            let python = install::python_env()?.join("python");
            rust::build()?;
            Tool::new(python)
                .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "bindings/python/tests"])
                .env("SLUICEGATE_BIN_DIR", tool::target().join("debug"))
                .run()
        });
    }
}

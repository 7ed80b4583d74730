//! The C ABI: programs in C built against the header and the library.

use std::fs;
use std::path::PathBuf;

use crate::install;
use crate::rust;
use crate::step::Steps;
use crate::tool::{self, Done, Tool};

pub(crate) fn all(steps: &mut Steps) {
    steps.step("c tests", || {
        install::programs(&[("cc", "build-essential")])?;
        rust::build()?;
        let library = library()?;
        let folder = tool::root().join("bindings/c/tests");
        let entries =
            fs::read_dir(&folder).map_err(|e| format!("cannot read `{}`: {e}", folder.display()))?;
        let mut programs: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        programs.retain(|p| p.extension().is_some_and(|e| e == "c"));
        programs.sort();
        if programs.is_empty() {
            return Err("bindings/c/tests holds no program in C".into());
        }
        programs.iter().try_for_each(|program| build_and_run(program, &library))
    });
}

fn build_and_run(source: &PathBuf, library: &PathBuf) -> Done {
    let name = source.file_stem().unwrap_or_default();
    let program = tool::scratch("c")?.join(name);
    let place = library.parent().map_or_else(String::new, |p| format!("-Wl,-rpath,{}", p.display()));
    Tool::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-Ibindings/c/include", "-o"])
        .args([&program, source, library])
        .args([place.as_str(), "-lpthread", "-ldl", "-lm"])
        .run()?;
    Tool::new(program).run()
}

/// The shared library that cargo built, whatever the crate calls it.
fn library() -> Result<PathBuf, String> {
    let names = ["libsluicegate_c.so", "libsluicegate_capi.so", "libsluicegate.so"];
    let folder = tool::target().join("debug");
    let found = names.iter().map(|n| folder.join(n)).find(|p| p.is_file());
    found.ok_or_else(|| format!("`{}` holds no shared library of bindings/c", folder.display()))
}

//! `cargo xtask test`: what must pass before a change lands.

use crate::step::Steps;
use crate::tool::Done;
use crate::{c, console, fuzz, mutants, python, rust, sdk};

const PARTS: &[&str] = &["fmt", "lint", "rust", "mutants", "fuzz", "c", "python", "sdk", "api", "console"];

pub(crate) fn run(args: &[String]) -> Done {
    let quick = args.iter().any(|a| a == "--quick");
    let asked: Vec<&str> = args.iter().map(String::as_str).filter(|a| *a != "--quick").collect();
    if let Some(unknown) = asked.iter().find(|a| !PARTS.contains(a)) {
        return Err(format!("`{unknown}` is no part of the tests; there are {}", PARTS.join(", ")));
    }
    if quick && !asked.is_empty() {
        return Err("`--quick` takes no parts".into());
    }
    // A binding that has no tests yet is built with everything else, and run only when it is asked for by name.
    let furnished = |part: &str| match part {
        "c" => crate::tool::root().join("bindings/c/tests").is_dir(),
        "python" => crate::tool::root().join("bindings/python/tests").is_dir(),
        _ => true,
    };
    let wanted = |part: &str| (asked.is_empty() && furnished(part)) || asked.contains(&part);
    let mut steps = Steps::default();
    if wanted("fmt") {
        steps.step("format", rust::format_check);
    }
    if quick {
        rust::quick(&mut steps);
        return steps.finish();
    }
    if wanted("lint") {
        steps.step("lint", rust::lint);
    }
    if wanted("rust") {
        rust::all(&mut steps);
    }
    if wanted("mutants") {
        steps.step("mutants", || mutants::run(&[]));
    }
    if wanted("fuzz") {
        steps.step("fuzz", || fuzz::run(&[]));
    }
    if wanted("c") {
        c::all(&mut steps);
    }
    if wanted("python") {
        python::all(&mut steps);
    }
    if wanted("sdk") {
        sdk::all(&mut steps);
    }
    if wanted("api") {
        sdk::api(&mut steps);
    }
    if wanted("console") {
        console::all(&mut steps);
    }
    steps.finish()
}

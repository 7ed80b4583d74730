//! `policy`: checks scripts and runs the tests in their files, without a gateway; changes those of a running one.

mod version;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use sluicegate::core::snapshot::{ModuleSource, PolicySource};
use sluicegate::policy::{PolicyDiagnostic, TestResult, Tests};

use super::Report;
use crate::args::{Format, Policy, PolicyCheck, PolicyCommand, PolicyTest};
use crate::client::Failure;

/// Prints what was found; fails when a script can't be used or a test fails.
pub(crate) fn run(args: &Policy) -> ExitCode {
    match &args.command {
        PolicyCommand::Check(args) => check(args).tell(),
        PolicyCommand::Test(args) => test(args).tell(),
        PolicyCommand::Running(command) => super::exit(version::run(command)),
    }
}

/// One file, and what was found in it.
struct Checked {
    path: PathBuf,
    found: Result<Vec<TestResult>, Unusable>,
    /// Whether the file has tests, chosen or not.
    has_tests: bool,
}

/// Why a file can't be used.
enum Unusable {
    /// It can't be read.
    Unread(String),
    /// This is wrong with it.
    Wrong(Vec<PolicyDiagnostic>),
}

fn check(args: &PolicyCheck) -> Report {
    let files = match files(&args.files) {
        Ok(files) => files,
        Err(failure) => return nothing(args.format, failure),
    };
    let modules = match named_modules(&args.modules) {
        Ok(modules) => modules,
        Err(failure) => return nothing(args.format, failure),
    };
    let files: Vec<Checked> = files.into_iter().map(|path| inspect(path, &modules, |_| Vec::new())).collect();
    let unusable = files.iter().filter(|file| file.found.is_err()).count();
    let text = match args.format {
        Format::Json => {
            let list: Vec<Value> = files.iter().map(|file| file.json(false)).collect();
            format!("{:#}", json!({"ok": unusable == 0, "files": list}))
        }
        Format::Text => {
            let mut lines: Vec<String> = files.iter().flat_map(Checked::complaints).collect();
            lines.push(match unusable {
                0 => format!("{}: nothing is wrong", plural(files.len(), "policy", "policies")),
                _ => format!("{}: {unusable} can't be used", plural(files.len(), "policy", "policies")),
            });
            lines.join("\n")
        }
    };
    let verdict = if unusable == 0 { Ok(()) } else { Err(cannot_be_used(unusable)) };
    Report { text, verdict }
}

fn test(args: &PolicyTest) -> Report {
    let files = match files(&args.files) {
        Ok(files) => files,
        Err(failure) => return nothing(args.format, failure),
    };
    let modules = match named_modules(&args.modules) {
        Ok(modules) => modules,
        Err(failure) => return nothing(args.format, failure),
    };
    let filter = args.filter.as_deref();
    let files: Vec<Checked> =
        files.into_iter().map(|path| inspect(path, &modules, |tests| tests.run(filter))).collect();
    let verdict = verdict(args, &files);
    let text = match args.format {
        Format::Json => {
            let list: Vec<Value> = files.iter().map(|file| file.json(true)).collect();
            format!("{:#}", json!({"ok": verdict.is_ok(), "files": list}))
        }
        Format::Text => in_words(&files),
    };
    Report { text, verdict }
}

/// Whether the tests say that the scripts are right.
fn verdict(args: &PolicyTest, files: &[Checked]) -> Result<(), Failure> {
    let unusable = files.iter().filter(|file| file.found.is_err()).count();
    if unusable > 0 {
        return Err(cannot_be_used(unusable));
    }
    let (passed, failed) = count(files);
    if failed > 0 {
        return Err(format!("{} failed", plural(failed, "test", "tests")));
    }
    if args.allow_none {
        return Ok(());
    }
    if let Some(file) = files.iter().find(|file| !file.has_tests) {
        return Err(format!(
            "`{}` has no tests; write a function `test_…`, or allow it with --allow-none",
            file.path.display()
        ));
    }
    match &args.filter {
        Some(filter) if passed == 0 => Err(format!("no test has `{filter}` in its name")),
        _ => Ok(()),
    }
}

fn in_words(files: &[Checked]) -> String {
    let mut lines = Vec::new();
    for file in files {
        lines.extend(file.complaints());
        if let Ok(tests) = &file.found {
            lines.extend(tests.iter().filter_map(|test| failure(&file.path, test)));
            let failed = tests.iter().filter(|test| test.failure.is_some()).count();
            let outcome = match (file.has_tests, failed) {
                (false, _) => "no tests".to_owned(),
                (true, 0) => format!("{} passed", tests.len()),
                (true, _) => format!("{failed} of {} failed", tests.len()),
            };
            lines.push(format!("{}: {outcome}", file.path.display()));
        }
    }
    let (passed, failed) = count(files);
    lines.push(format!(
        "{} in {}: {passed} passed, {failed} failed",
        plural(passed + failed, "test", "tests"),
        plural(files.len(), "policy", "policies")
    ));
    lines.join("\n")
}

/// Why a test failed, with its place in front.
fn failure(path: &Path, test: &TestResult) -> Option<String> {
    let failure = test.failure.as_ref()?;
    let place = place(path, failure.line, failure.column);
    let mut text = format!("{place}: {}: {}", test.name, failure.message);
    if let (Some(expected), Some(came)) = (&failure.expected, &failure.came) {
        text.push_str(&format!("\n    expected: {expected}\n    came:     {came}"));
    }
    Some(text)
}

fn count(files: &[Checked]) -> (usize, usize) {
    let tests = || files.iter().filter_map(|file| file.found.as_ref().ok()).flatten();
    let failed = tests().filter(|test| test.failure.is_some()).count();
    (tests().count() - failed, failed)
}

fn cannot_be_used(unusable: usize) -> Failure {
    format!("{} can't be used as it is", plural(unusable, "policy", "policies"))
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A report of files that weren't even found.
fn nothing(format: Format, failure: Failure) -> Report {
    let text = match format {
        Format::Json => format!("{:#}", json!({"ok": false, "files": [], "error": failure})),
        Format::Text => String::new(),
    };
    Report { text, verdict: Err(failure) }
}

/// The files that are meant: a directory means every script in it.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unread = |why: std::io::Error| format!("`{}` can't be read: {why}", path.display());
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut scripts: Vec<PathBuf> =
            entries.map_err(unread)?.iter().map(std::fs::DirEntry::path).collect();
        scripts.retain(|path| path.extension().is_some_and(|extension| extension == "rhai"));
        if scripts.is_empty() {
            return Err(format!("`{}` has no scripts: their names end in `.rhai`", path.display()));
        }
        scripts.sort();
        files.append(&mut scripts);
    }
    Ok(files)
}

/// The modules that are named one by one, as `NAME=FILE`.
fn named_modules(named: &[String]) -> Result<Vec<ModuleSource>, Failure> {
    let module = |named: &String| {
        let (name, path) = named
            .split_once('=')
            .ok_or_else(|| format!("`{named}` names no module; write `--module NAME=FILE`"))?;
        let text = std::fs::read_to_string(path).map_err(|why| format!("`{path}` can't be read: {why}"))?;
        Ok(ModuleSource { name: name.to_owned(), text })
    };
    named.iter().map(module).collect()
}

/// The modules of a script: those that are named, and every one in `modules` beside it whose name isn't among them.
fn modules_of(script: &Path, named: &[ModuleSource]) -> std::io::Result<Vec<ModuleSource>> {
    let mut modules = named.to_vec();
    let beside = script.with_file_name("modules");
    if !beside.is_dir() {
        return Ok(modules);
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(beside)?.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rhai"));
    paths.sort();
    for path in paths {
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        if !named.iter().any(|module| module.name == name) {
            modules.push(ModuleSource { name, text: std::fs::read_to_string(path)? });
        }
    }
    Ok(modules)
}

fn inspect(path: PathBuf, named: &[ModuleSource], run: impl FnOnce(&Tests) -> Vec<TestResult>) -> Checked {
    let read = || Ok::<_, std::io::Error>((std::fs::read_to_string(&path)?, modules_of(&path, named)?));
    let (text, modules) = match read() {
        Ok(read) => read,
        Err(why) => return Checked { path, found: Err(Unusable::Unread(why.to_string())), has_tests: false },
    };
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let source = PolicySource::new(name, text);
    let tests = Tests::compile_with(&source, &modules);
    let has_tests = tests.as_ref().is_ok_and(|tests| !tests.is_empty());
    Checked { path, found: tests.map(|tests| run(&tests)).map_err(Unusable::Wrong), has_tests }
}

impl Checked {
    /// What keeps the file from being used, a line for each.
    fn complaints(&self) -> Vec<String> {
        match &self.found {
            Ok(_) => Vec::new(),
            Err(Unusable::Unread(why)) => {
                vec![format!("{}: error: can't be read: {why}", self.path.display())]
            }
            Err(Unusable::Wrong(wrong)) => wrong
                .iter()
                .map(|d| match d.is_module {
                    // Its place isn't in this file.
                    true => format!("{}: error: {d}", self.path.display()),
                    false => {
                        format!("{}: error: {}; {}", place(&self.path, d.line, d.column), d.message, d.remedy)
                    }
                })
                .collect(),
        }
    }

    fn json(&self, with_tests: bool) -> Value {
        let diagnostics: Vec<Value> = match &self.found {
            Err(Unusable::Wrong(wrong)) => wrong
                .iter()
                .map(
                    |d| json!({"line": d.line, "column": d.column, "message": d.message, "remedy": d.remedy}),
                )
                .collect(),
            _ => Vec::new(),
        };
        let mut file = json!({
            "file": self.path.display().to_string(),
            "ok": self.found.as_ref().is_ok_and(|tests| tests.iter().all(|test| test.failure.is_none())),
            "diagnostics": diagnostics,
        });
        if let Err(Unusable::Unread(why)) = &self.found {
            file["error"] = json!(why);
        }
        if with_tests {
            let tests = self.found.as_ref().map_or(&[][..], Vec::as_slice);
            file["tests"] = tests.iter().map(test_json).collect();
        }
        file
    }
}

fn test_json(test: &TestResult) -> Value {
    let failure = test.failure.as_ref().map(|failure| {
        json!({
            "line": failure.line,
            "column": failure.column,
            "message": failure.message,
            "expected": failure.expected,
            "came": failure.came,
        })
    });
    json!({
        "name": test.name,
        "line": test.line,
        "ok": test.failure.is_none(),
        "assertions": test.assertions,
        "failure": failure,
    })
}

/// A place that editors and terminals can jump to.
fn place(path: &Path, line: usize, column: usize) -> String {
    let path = path.display();
    match (line, column) {
        (0, _) => path.to_string(),
        (line, 0) => format!("{path}:{line}"),
        (line, column) => format!("{path}:{line}:{column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "fn route(call) { if call.stream { deny(\"no streams\"); } }\n";
    const TESTS: &str = "fn test_denied() { given(#{ stream: true }).route().assert_denied(\"streams\"); }\n\
                         fn test_other() { given().route().assert_no_opinion(); }\n";
    const FAILS: &str = "fn test_fails() {\n    given().route().assert_denied();\n}\n";

    /// A directory with these files, gone at the end.
    struct Scripts(PathBuf);

    impl Scripts {
        fn new(name: &str, files: &[(&str, String)]) -> Self {
            let directory =
                std::env::temp_dir().join(format!("sluicegate-policy-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            for (name, text) in files {
                std::fs::write(directory.join(name), text).unwrap();
            }
            Self(directory)
        }

        fn check(&self, format: Format) -> Report {
            check(&PolicyCheck { files: vec![self.0.clone()], modules: Vec::new(), format })
        }

        fn test(&self, format: Format, filter: Option<&str>, allow_none: bool) -> Report {
            let filter = filter.map(str::to_owned);
            test(&PolicyTest { files: vec![self.0.clone()], modules: Vec::new(), filter, allow_none, format })
        }

        /// A report with the directory's own name left out.
        fn text(&self, report: &Report) -> String {
            report.text.replace(&format!("{}/", self.0.display()), "")
        }
    }

    impl Drop for Scripts {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn parsed(report: &Report) -> Value {
        serde_json::from_str(&report.text).unwrap()
    }

    #[test]
    fn check_says_all_that_is_wrong_in_all_files() {
        let bad = "fn route(call) {\n    prefr(call.gruop);\n}\nfn test_a() { asert(true); }\n";
        let scripts = Scripts::new(
            "check",
            &[
                ("a.rhai", GOOD.into()),
                ("b.rhai", bad.into()),
                ("c.rhai", String::new()),
                ("d.txt", "?".into()),
            ],
        );
        let report = scripts.check(Format::Text);
        assert_eq!(
            scripts.text(&report),
            "b.rhai:2:5: error: there is no function `prefr`; did you mean `prefer`?\n\
             b.rhai:2:16: error: nothing has a property `gruop`; did you mean `group`?\n\
             b.rhai:4:15: error: there is no function `asert`; did you mean `assert`?\n\
             c.rhai: error: the script has no function `admit`, `route`, `on_error` or `finish`, so it would never do anything; write `fn route(call, \
             candidates) { … }`\n\
             3 policies: 2 can't be used"
        );
        assert_eq!(report.verdict, Err("2 policies can't be used as it is".into()));
        let found = parsed(&scripts.check(Format::Json));
        assert_eq!(found["ok"], false);
        assert_eq!(found["files"][0]["ok"], true);
        assert_eq!(found["files"][1]["diagnostics"][1]["column"], 16);
    }

    #[test]
    fn check_passes_what_can_be_used() {
        let scripts = Scripts::new("good", &[("a.rhai", format!("{GOOD}{FAILS}"))]);
        let report = scripts.check(Format::Text);
        assert_eq!((report.text.as_str(), report.verdict), ("1 policy: nothing is wrong", Ok(())));
        assert_eq!(parsed(&scripts.check(Format::Json))["ok"], true);
    }

    #[test]
    fn modules_are_those_beside_the_script_and_those_that_are_named() {
        let script = "import \"words\" as w;\nfn route(call) { if call.stream { deny(w::WHY); } }\n";
        let scripts = Scripts::new("modules", &[("a.rhai", format!("{script}{TESTS}"))]);
        assert!(
            scripts
                .text(&scripts.check(Format::Text))
                .starts_with("a.rhai:1:1: error: there is no module `words`")
        );
        std::fs::create_dir_all(scripts.0.join("modules")).unwrap();
        std::fs::write(scripts.0.join("modules/words.rhai"), "const WHY = \"no streams\";").unwrap();
        assert_eq!(scripts.test(Format::Text, None, false).verdict, Ok(()));
        let other = scripts.0.join("other.txt");
        std::fs::write(&other, "const WHY = \"?\";").unwrap();
        let named = vec![format!("words={}", other.display())];
        let args = PolicyTest {
            files: vec![scripts.0.clone()],
            modules: named,
            filter: None,
            allow_none: false,
            format: Format::Text,
        };
        assert_eq!(test(&args).verdict, Err("1 test failed".into()));
        assert!(named_modules(&["words".to_owned()]).unwrap_err().contains("--module NAME=FILE"));
        std::fs::write(scripts.0.join("modules/words.rhai"), "const WHY = ;").unwrap();
        let said = scripts.text(&scripts.check(Format::Text));
        assert!(said.starts_with("a.rhai: error: policy module `words`, line 1, column 13: "), "{said}");
    }

    #[test]
    fn tests_that_pass() {
        let scripts = Scripts::new("pass", &[("a.rhai", format!("{GOOD}{TESTS}"))]);
        let report = scripts.test(Format::Text, None, false);
        assert_eq!(scripts.text(&report), "a.rhai: 2 passed\n2 tests in 1 policy: 2 passed, 0 failed");
        assert_eq!(report.verdict, Ok(()));
        let found = parsed(&scripts.test(Format::Json, Some("denied"), false));
        assert_eq!(
            (&found["ok"], &found["files"][0]["tests"][0]["name"]),
            (&json!(true), &json!("test_denied"))
        );
        assert_eq!(found["files"][0]["tests"].as_array().unwrap().len(), 1);
        assert!(scripts.test(Format::Text, Some("nothing"), false).verdict.is_err());
    }

    #[test]
    fn a_test_that_fails_says_where_and_how() {
        let scripts = Scripts::new("fail", &[("a.rhai", format!("{GOOD}{TESTS}{FAILS}"))]);
        let report = scripts.test(Format::Text, None, false);
        assert_eq!(
            scripts.text(&report),
            "a.rhai:5:21: test_fails: `assert_denied` doesn't hold\n    expected: denied\n    came:     no opinion\n\
             a.rhai: 1 of 3 failed\n3 tests in 1 policy: 2 passed, 1 failed"
        );
        assert_eq!(report.verdict, Err("1 test failed".into()));
        let found = parsed(&scripts.test(Format::Json, None, false));
        assert_eq!(found["ok"], false);
        assert_eq!(found["files"][0]["tests"][2]["failure"]["expected"], "denied");
    }

    #[test]
    fn a_file_without_tests_fails_unless_it_may() {
        let scripts = Scripts::new("none", &[("a.rhai", format!("{GOOD}{TESTS}")), ("b.rhai", GOOD.into())]);
        let report = scripts.test(Format::Text, None, false);
        assert!(report.verdict.unwrap_err().contains("b.rhai` has no tests"));
        assert!(report.text.contains("b.rhai: no tests\n"), "{}", report.text);
        assert_eq!(scripts.test(Format::Json, None, true).verdict, Ok(()));
    }

    #[test]
    fn what_is_not_there_fails_in_both_formats() {
        let empty = Scripts::new("empty", &[]);
        for format in [Format::Text, Format::Json] {
            assert!(empty.check(format).verdict.unwrap_err().contains("has no scripts"));
            let report =
                check(&PolicyCheck { files: vec!["/no/such.rhai".into()], modules: Vec::new(), format });
            assert!(report.verdict.is_err());
            assert!(report.text.contains("/no/such.rhai"), "{}", report.text);
        }
    }
}

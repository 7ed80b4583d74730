//! Programs in C against the header and the shared library: those beside this file, the example, and the table of
//! decisions fed through one of them. `SLUICEGATE_C_FLAGS` are further flags for the compiler, such as
//! `-fsanitize=address`; `SLUICEGATE_C_RUNNER` a program to run them in, such as `valgrind --error-exitcode=9 -q`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use sluicegate_tests::{data, root, table};

fn words(variable: &str) -> Vec<String> {
    std::env::var(variable).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Compiles a program with every warning as an error.
fn compile(source: &Path) -> PathBuf {
    // Cargo puts the shared library beside the tests that depend on it.
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let library = folder.join("libsluicegate_c.so");
    assert!(library.is_file(), "`{}` isn't there", library.display());
    let program = folder.join(format!("c-{}", source.file_stem().unwrap().to_string_lossy()));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-I"])
        .arg(root().join("bindings/c/include"))
        .args(words("SLUICEGATE_C_FLAGS"))
        .arg("-o")
        .args([&program, &source.to_path_buf(), &library])
        .arg(format!("-Wl,-rpath,{}", folder.display()))
        .arg("-lpthread")
        .status()
        .expect("a C compiler is there");
    assert!(compiled.success(), "`{}` doesn't compile", source.display());
    program
}

fn command(program: &Path) -> Command {
    let runner = words("SLUICEGATE_C_RUNNER");
    match runner.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    }
}

#[test]
fn programs_end_well() {
    let folder = root().join("bindings/c/tests");
    let mut sources: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|e| e == "c"));
    assert!(sources.len() >= 3, "{sources:?}");
    for source in sources {
        let ended = command(&compile(&source)).status().unwrap();
        assert!(ended.success(), "`{}` ended with {ended}", source.display());
    }
}

#[test]
fn the_example_decides_and_reports() {
    let said = command(&compile(&root().join("examples/c/decide.c"))).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    assert!(text.contains("POST https://api.openai.com/v1/chat/completions"), "{text}");
    assert!(text.contains("insufficient_quota"), "{text}");
}

/// The feeding program with one host in it.
struct Fed {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Fed {
    fn open(program: &Path, options: &str) -> Result<Self, Value> {
        let mut child = command(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut fed = Self { child, said };
        let opened = fed.ask(options);
        if opened == "open" {
            return Ok(fed);
        }
        let mut parts = opened.splitn(3, ' ');
        let (code, kind, message) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let message = message.replace('\x1f', "\n");
        Err(json!({"code": code.parse::<i32>().unwrap(), "kind": kind, "message": message}))
    }

    fn ask(&mut self, line: &str) -> String {
        assert!(!line.contains('\n'), "requests have one line");
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.said.read_line(&mut answer).unwrap();
        answer.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Fed {
    /// The program must end well, with its host closed and freed.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let ended = self.child.wait().unwrap();
        assert!(ended.success() || std::thread::panicking(), "the program ended with {ended}");
    }
}

#[test]
fn every_case_is_answered_as_the_table_says() {
    let program = compile(&root().join("bindings/c/tests/table/feed.c"));
    let cases = table::cases(&data().join("decide"));
    let open = |options: &str| Fed::open(&program, options);
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| table::run(case, open, |fed: &mut Fed, request| fed.ask(request)).err())
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

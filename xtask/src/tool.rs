//! Running other programs, and the paths that everything agrees on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every step answers: nothing, or one line that says what went wrong.
pub(crate) type Done = Result<(), String>;

/// A program about to be run from the root of the repository.
pub(crate) struct Tool(pub(crate) Command);

impl Tool {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root());
        Self(command)
    }

    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Gives it nothing to read: it can't wait for an answer.
    pub(crate) fn without_input(mut self) -> Self {
        self.0.stdin(Stdio::null());
        self
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    /// Runs it with our own output; fails when it does.
    pub(crate) fn run(mut self) -> Done {
        let line = self.line();
        eprintln!("$ {line}");
        match self.0.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{line}` ended with {status}")),
            Err(error) => Err(format!("cannot run `{line}`: {error}")),
        }
    }

    /// Runs it and answers what it printed; on failure, what it complained of.
    pub(crate) fn output(mut self) -> Result<String, String> {
        let line = self.line();
        let out = self.0.stdin(Stdio::null()).output().map_err(|e| format!("cannot run `{line}`: {e}"))?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned());
        }
        Err(format!("`{line}` ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim()))
    }
}

/// Cargo with these arguments.
pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Tool {
    Tool::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args)
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A folder of ours below the target directory, made when missing.
pub(crate) fn scratch(name: &str) -> Result<PathBuf, String> {
    let folder = target().join("xtask").join(name);
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make `{}`: {e}", folder.display()))?;
    Ok(folder)
}

/// What is free where cargo builds to, for people.
pub(crate) fn disk_free() -> Option<String> {
    let said = Tool::new("df").args(["-h", "--output=avail"]).args([target()]).output().ok()?;
    said.lines().last().map(|line| line.trim().to_owned())
}

/// Whether a program is on the path.
pub(crate) fn have(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    Tool::new("id").args(["-u"]).output().is_ok_and(|id| id == "0")
}

//! A Node that is new enough, and npm with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::install;
use crate::tool::{self, Tool};

/// What is installed where the machine's own is too old.
const RELEASE: &str = "22";

/// Programs of Node, found in this order.
pub(crate) struct Node {
    path: OsString,
}

impl Node {
    /// The machine's Node where it is new enough; else Debian's, or one from npm in the target directory.
    pub(crate) fn ready() -> Result<Self, String> {
        let own = Self { path: std::env::var_os("PATH").unwrap_or_default() };
        if own.suits() && tool::have("npm") {
            return Ok(own);
        }
        // Debian's may be too old to build the console; its npm brings one that isn't.
        install::programs(&[("node", "nodejs"), ("npm", "npm")])?;
        if own.suits() {
            return Ok(own);
        }
        let bin = from_npm()?;
        let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&own.path)))
            .map_err(|error| format!("cannot put Node onto the path: {error}"))?;
        let brought = Self { path };
        if brought.suits() {
            Ok(brought)
        } else {
            Err("the Node that npm brought doesn't run here: install Node 22 by hand".into())
        }
    }

    /// A program of Node's, in a folder.
    pub(crate) fn tool(&self, program: &str, folder: &Path) -> Tool {
        let mut tool = Tool::new(program).env("PATH", &self.path).without_input();
        tool.0.current_dir(folder);
        tool
    }

    /// Installs what a folder's lock file names, unless that is there already. Nothing that a package brings is run.
    pub(crate) fn modules(&self, folder: &Path) -> tool::Done {
        let read = |path: &Path| std::fs::read_to_string(path);
        let (lock, stamp) = (folder.join("package-lock.json"), folder.join("node_modules/lock.stamp"));
        let wanted = read(&lock).map_err(|e| format!("cannot read `{}`: {e}", lock.display()))?;
        if read(&stamp).is_ok_and(|have| have == wanted) {
            return Ok(());
        }
        let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        self.tool("npm", folder).args(quiet).run()?;
        std::fs::write(&stamp, wanted).map_err(|e| format!("cannot write `{}`: {e}", stamp.display()))
    }

    fn suits(&self) -> bool {
        let version = self.tool("node", &tool::root()).args(["--version"]).output();
        version.is_ok_and(|version| is_new_enough(&version))
    }
}

/// What Vite asks for: 20.19, 22.12, or anything later.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    matches!((major, minor), (20, 19..) | (22, 12..) | (23.., _))
}

/// Node as npm has it: a package that holds the program and nothing else.
fn from_npm() -> Result<PathBuf, String> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("npm has no Node for {other}: install Node {RELEASE} by hand")),
    };
    let package = format!("node-linux-{machine}");
    let folder = tool::scratch("node")?;
    let bin = folder.join("node_modules").join(&package).join("bin");
    if !bin.join("node").is_file() {
        let quiet = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix"];
        Tool::new("npm")
            .args(quiet)
            .args([folder.as_os_str()])
            .args([format!("{package}@{RELEASE}")])
            .without_input()
            .run()?;
    }
    Ok(bin)
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_are_told_apart() {
        for (version, want) in [
            ("v18.20.4", false),
            ("v20.18.3", false),
            ("v20.19.0", true),
            ("v21.7.0", false),
            ("v22.11.0", false),
            ("v22.23.5", true),
            ("v24.0.0", true),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), want, "{version}");
        }
    }
}

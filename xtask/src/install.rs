//! Installs what a step needs and the machine lacks.

use std::fs;
use std::path::PathBuf;

use crate::tool::{self, Done, Tool};

/// Installs Debian packages with `sudo` where we are not root.
pub(crate) fn apt(packages: &[&str]) -> Done {
    let why = format!("install {} by hand", packages.join(", "));
    if !tool::have("apt-get") {
        return Err(format!("this machine has no apt-get: {why}"));
    }
    let privileged = |args: &[&str]| {
        let command: Vec<&str> = if tool::is_root() { vec![] } else { vec!["sudo"] };
        let words: Vec<&str> = command.iter().chain(args).copied().collect();
        Tool::new(words[0]).args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive")
    };
    if !tool::is_root() && !tool::have("sudo") {
        return Err(format!("neither root nor sudo: {why}"));
    }
    privileged(&["apt-get", "update", "-q"]).run()?;
    let install = ["apt-get", "install", "-y", "-q", "--no-install-recommends"];
    privileged(&install.iter().chain(packages).copied().collect::<Vec<_>>()).run()
}

/// Makes sure of programs, each with the package that brings it.
pub(crate) fn programs(needed: &[(&str, &str)]) -> Done {
    let missing: Vec<&str> =
        needed.iter().filter(|(p, _)| !tool::have(p)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

/// The folder of the programs of a Python environment that holds
/// `tests/sdk/requirements.txt`; made or brought up to date when needed.
pub(crate) fn python_env() -> Result<PathBuf, String> {
    let usable = || Tool::new("python3").args(["-c", "import ensurepip, venv"]).output().is_ok();
    if !usable() {
        apt(&["python3", "python3-venv", "python3-dev"])?;
        if !usable() {
            return Err("python3 still has no `venv`: install python3-venv by hand".into());
        }
    }
    let folder = tool::scratch("venv")?;
    let bin = folder.join("bin");
    let wanted = fs::read_to_string(tool::root().join("tests/sdk/requirements.txt"))
        .map_err(|e| format!("cannot read tests/sdk/requirements.txt: {e}"))?;
    let stamp = folder.join("requirements.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(bin);
    }
    Tool::new("python3").args(["-m", "venv"]).args([&folder]).run()?;
    let pip =
        ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "tests/sdk/requirements.txt"];
    Tool::new(bin.join("python")).args(pip).run()?;
    fs::write(&stamp, wanted).map_err(|e| format!("cannot write `{}`: {e}", stamp.display()))?;
    Ok(bin)
}

//! Installs what a step needs and the machine lacks.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::tool::{self, Done, Tool};

/// Options of every `apt-get`: quiet, and patient with whoever else is installing.
const APT: &[&str] = &["-q", "-o", "DPkg::Lock::Timeout=300"];

/// Whether the lists of packages are up to date, for this run.
static UPDATED: AtomicBool = AtomicBool::new(false);

/// Installs Debian packages with `sudo` where we are not root. Nothing is ever asked: a package's own questions are
/// answered by its defaults, and configuration that is there stays.
pub(crate) fn apt(packages: &[&str]) -> Done {
    let why = format!("install {} by hand", packages.join(", "));
    if !tool::have("apt-get") {
        return Err(format!("this machine has no apt-get: {why}"));
    }
    let root = tool::is_root();
    if !root && !tool::have("sudo") {
        return Err(format!("neither root nor sudo: {why}"));
    }
    if !UPDATED.load(Ordering::Relaxed) {
        apt_get(root, &["update"]).run()?;
        UPDATED.store(true, Ordering::Relaxed);
    }
    let install = ["install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"];
    apt_get(root, &install.iter().chain(packages).copied().collect::<Vec<_>>()).run()
}

fn apt_get(root: bool, args: &[&str]) -> Tool {
    // `sudo` drops the environment: `env` behind it sets the variable anew.
    let mut words = if root { vec![] } else { vec!["sudo"] };
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    words.extend(APT.iter().chain(args));
    Tool::new(words[0]).args(&words[1..]).without_input()
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
    let pip = ["-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"];
    Tool::new(bin.join("python")).args(pip).args(["-r", "tests/sdk/requirements.txt"]).run()?;
    fs::write(&stamp, wanted).map_err(|e| format!("cannot write `{}`: {e}", stamp.display()))?;
    Ok(bin)
}

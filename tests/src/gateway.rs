//! The gateway as a child process, on a free port with a directory of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Answer, Request};

/// The master key of every gateway that a test starts.
pub const MASTER_KEY: &str = "sk-master-0123456789abcdef0123456789abcdef";

/// How long the gateway may take to be ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running gateway; it is ended, and its directory goes, when dropped.
pub struct Gateway {
    process: Child,
    folder: PathBuf,
    address: String,
}

impl Gateway {
    /// Starts `sluicegate serve` with this configuration file's text and waits until it is ready.
    ///
    /// # Panics
    /// When there is no binary, or it does not become ready.
    #[must_use]
    pub fn start(name: &str, config: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sluicegate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary directory can be written");
        let file = folder.join("config.yaml");
        fs::write(&file, config).expect("the temporary directory can be written");
        Self::restart(folder, &file)
    }

    fn restart(folder: PathBuf, config: &Path) -> Self {
        let port = crate::free_port();
        let log = File::create(folder.join("gateway.log")).expect("the temporary directory can be written");
        let process = Command::new(binary())
            .args(["serve", "--config"])
            .arg(config)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--data"])
            .arg(folder.join("data"))
            // Nothing of ours: neither settings in the environment nor secrets in the home directory.
            .env_clear()
            .env("HOME", &folder)
            .env("LITELLM_MASTER_KEY", MASTER_KEY)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log can be shared"))
            .stderr(log)
            .spawn()
            .expect("the gateway can be run");
        let mut it = Self { process, folder, address: format!("127.0.0.1:{port}") };
        it.wait_ready();
        it
    }

    fn wait_ready(&mut self) {
        let started = Instant::now();
        let probe = Request::new("GET", "/health/readiness");
        while !probe.send(&self.address, Duration::from_secs(2)).is_ok_and(|a| a.status == 200) {
            let gone = self.process.try_wait().ok().flatten();
            if gone.is_some() || started.elapsed() > PATIENCE {
                panic!("the gateway is not ready ({gone:?}); its log says:\n{}", self.log());
            }
            sleep(Duration::from_millis(30));
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("gateway.log")).unwrap_or_default()
    }

    /// Its resident memory in KiB.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the gateway runs");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a process has a size");
        line.trim().trim_end_matches(" kB").parse().expect("the size is a number")
    }

    /// Sends a request as it stands.
    ///
    /// # Panics
    /// When no answer comes within 30 s.
    #[must_use]
    pub fn send(&self, request: &Request) -> Answer {
        request.send(&self.address, PATIENCE).expect("the gateway answers")
    }

    /// A management call with the master key.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn manage(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(&Request::post(path, body.to_string()).bearer(MASTER_KEY));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// A new key with these fields of `/key/generate`.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn new_key(&self, fields: &Value) -> String {
        self.manage("/key/generate", fields)["key"].as_str().expect("an issued key is shown").to_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The gateway's binary: `SLUICEGATE_BIN`, else the one that cargo built beside this test.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("SLUICEGATE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("cargo puts tests into target/PROFILE/deps");
    let path = folder.join("sluicegate");
    assert!(path.is_file(), "`{}` is missing: run `cargo build -p sluicegate-cli` first", path.display());
    path
}

//! The gateway as a child process, on a free port with a directory of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
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
    options: Vec<String>,
}

impl Gateway {
    /// Starts `sluicegate serve` with this configuration file's text and waits until it is ready.
    ///
    /// # Panics
    /// When there is no binary, or it does not become ready.
    #[must_use]
    pub fn start(name: &str, config: &str) -> Self {
        Self::start_with(name, config, &[])
    }

    /// [`Gateway::start`] with more options of `sluicegate serve`.
    ///
    /// # Panics
    /// When there is no binary, or it does not become ready.
    #[must_use]
    pub fn start_with(name: &str, config: &str, options: &[&str]) -> Self {
        let folder = prepare(name, config);
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let (process, address) = spawn(&folder, &options);
        let mut it = Self { process, folder, address, options };
        it.wait_ready();
        it
    }

    /// Starts `sluicegate serve` with settings that it must refuse; answers whether it ended as well as a program
    /// can, and what it printed.
    ///
    /// # Panics
    /// When there is no binary, or it does not end by itself.
    #[must_use]
    pub fn refusal(name: &str, config: &str, options: &[&str]) -> (bool, String) {
        let folder = prepare(name, config);
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let (process, address) = spawn(&folder, &options);
        let mut it = Self { process, folder, address, options };
        let status = it.wait_end();
        (status.success(), it.log())
    }

    /// Asks the gateway to stop, waits for its end, and starts it anew on the same file and data.
    ///
    /// # Panics
    /// When it does not stop, stops with an error, or does not become ready again.
    pub fn restart(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "the gateway can be asked to stop");
        let status = self.wait_end();
        assert!(status.success(), "the gateway ended with {status}; its log says:\n{}", self.log());
        (self.process, self.address) = spawn(&self.folder, &self.options);
        self.wait_ready();
    }

    fn wait_end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the gateway does not end; its log says:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
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

    /// What a management path tells about something, asked with the master key.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn look_up(&self, path: &str) -> Value {
        let answer = self.send(&Request::new("GET", path).bearer(MASTER_KEY));
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

/// A directory of its own with the configuration file in it.
fn prepare(name: &str, config: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sluicegate-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary directory can be written");
    fs::write(folder.join("config.yaml"), config).expect("the temporary directory can be written");
    folder
}

/// The process on a free port, and its address.
fn spawn(folder: &Path, options: &[String]) -> (Child, String) {
    let port = crate::free_port();
    let log = File::options().create(true).append(true).open(folder.join("gateway.log"));
    let log = log.expect("the temporary directory can be written");
    let process = Command::new(binary("sluicegate"))
        .args(["serve", "--config"])
        .arg(folder.join("config.yaml"))
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--data"])
        .arg(folder.join("data"))
        .args(options)
        // Nothing of ours: neither settings in the environment nor secrets in the home directory.
        .env_clear()
        .env("HOME", folder)
        .env("LITELLM_MASTER_KEY", MASTER_KEY)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log can be shared"))
        .stderr(log)
        .spawn()
        .expect("the gateway can be run");
    (process, format!("127.0.0.1:{port}"))
}

/// One of the workspace's binaries: for the gateway what `SLUICEGATE_BIN` names, else the one that cargo built beside
/// this test.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    if let (Some(path), "sluicegate") = (std::env::var_os("SLUICEGATE_BIN"), name) {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("cargo puts tests into target/PROFILE/deps");
    let path = folder.join(name);
    assert!(path.is_file(), "`{}` is missing: run `cargo build --workspace --bins` first", path.display());
    path
}

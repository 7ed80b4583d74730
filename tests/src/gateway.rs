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

/// How to start a gateway.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The configuration file's text; without one there is no file.
    pub config: Option<String>,
    /// The address to listen on.
    pub host: String,
    /// More options of `sluicegate serve`.
    pub options: Vec<String>,
    /// The environment, besides `HOME`.
    pub variables: Vec<(String, String)>,
}

impl Launch {
    /// On the loopback with [`MASTER_KEY`] and this configuration.
    #[must_use]
    pub fn of(config: &str) -> Self {
        Self { config: Some(config.to_owned()), ..Self::bare() }.variable("LITELLM_MASTER_KEY", MASTER_KEY)
    }

    /// On the loopback, with nothing in the environment and no file.
    #[must_use]
    pub fn bare() -> Self {
        Self { config: None, host: "127.0.0.1".to_owned(), options: Vec::new(), variables: Vec::new() }
    }

    /// With these options, too.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// With this variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// On this address.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }
}

/// A running gateway; it is ended, and its directory goes, when dropped.
pub struct Gateway {
    process: Child,
    folder: PathBuf,
    launch: Launch,
    address: String,
    /// Where in its log this start begins.
    started_at: usize,
}

impl Gateway {
    /// Starts `sluicegate serve` with this configuration file's text and waits until it is ready.
    ///
    /// # Panics
    /// When there is no binary, or it does not become ready.
    #[must_use]
    pub fn start(name: &str, config: &str) -> Self {
        Self::launch(name, Launch::of(config))
    }

    /// [`Gateway::start`] with more options of `sluicegate serve`.
    ///
    /// # Panics
    /// When there is no binary, or it does not become ready.
    #[must_use]
    pub fn start_with(name: &str, config: &str, options: &[&str]) -> Self {
        Self::launch(name, Launch::of(config).options(options))
    }

    /// Starts `sluicegate serve` and waits until it is ready.
    ///
    /// # Panics
    /// When there is no binary, or it does not become ready.
    #[must_use]
    pub fn launch(name: &str, launch: Launch) -> Self {
        let mut it = Self::spawned(name, launch);
        it.wait_ready();
        it
    }

    /// Starts `sluicegate serve` with settings that it must refuse; answers whether it ended as well as a program
    /// can, and what it printed.
    ///
    /// # Panics
    /// When there is no binary, or it does not end by itself.
    #[must_use]
    pub fn refusal(name: &str, launch: Launch) -> (bool, String) {
        let mut it = Self::spawned(name, launch);
        let status = it.wait_end();
        (status.success(), it.log())
    }

    fn spawned(name: &str, launch: Launch) -> Self {
        let folder = prepare(name, launch.config.as_deref());
        let process = spawn(&folder, &launch);
        Self { process, folder, launch, address: String::new(), started_at: 0 }
    }

    /// Asks the gateway to stop, waits for its end, and starts it anew on the same file and data.
    ///
    /// # Panics
    /// When it does not stop, stops with an error, or does not become ready again.
    pub fn restart(&mut self) {
        self.ask_to_stop();
        self.stopped();
        self.start_again();
    }

    /// Asks the gateway to stop, and doesn't wait.
    ///
    /// # Panics
    /// When it can't be asked.
    pub fn ask_to_stop(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "the gateway can be asked to stop");
    }

    /// Waits for the end of a gateway that was asked to stop.
    ///
    /// # Panics
    /// When it does not stop, or stops with an error.
    pub fn stopped(&mut self) {
        let status = self.wait_end();
        assert!(status.success(), "the gateway ended with {status}; its log says:\n{}", self.log());
    }

    /// Kills it, as nothing can be prepared for, and waits for its end.
    ///
    /// # Panics
    /// When it can't be killed.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child can be waited for");
    }

    /// Starts another gateway on the same file and data, which must not run beside this one: whether it ended as well as a
    /// program can, and what it printed.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn second(&self) -> (bool, String) {
        let from = self.log().len();
        let mut other = spawn(&self.folder, &self.launch);
        let status = other.wait().expect("a child can be waited for");
        (status.success(), self.log().get(from..).unwrap_or_default().to_owned())
    }

    /// Starts a gateway that has stopped anew, on the same file and data.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_again(&mut self) {
        self.started_at = self.log().len();
        self.process = spawn(&self.folder, &self.launch);
        self.wait_ready();
    }

    /// Runs `sluicegate ledger` with these words, as JSON, asking the running gateway or its data directory: whether it
    /// ended well, and what it said.
    ///
    /// # Panics
    /// When it can't be run.
    #[must_use]
    pub fn ledger(&self, words: &[&str], running: bool) -> (bool, String) {
        let mut command = Command::new(binary("sluicegate"));
        command.arg("ledger").args(words).arg("--json");
        if running {
            command.args(["--url", &format!("http://{}", self.address), "--admin-key", MASTER_KEY]);
        } else {
            command.arg("--data").arg(self.folder.join("data"));
            command.arg("--config").arg(self.folder.join("config.yaml"));
        }
        command.env_clear().env("HOME", &self.folder).current_dir(&self.folder);
        command.envs(self.launch.variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the command can be run");
        let said =
            if output.status.success() || output.stderr.is_empty() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
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
        loop {
            if let Some(address) = self.said_address() {
                self.address = address;
                if probe.send(&self.address, Duration::from_secs(2)).is_ok_and(|a| a.status == 200) {
                    return;
                }
            }
            let gone = self.process.try_wait().ok().flatten();
            if gone.is_some() || started.elapsed() > PATIENCE {
                panic!("the gateway is not ready ({gone:?}); its log says:\n{}", self.log());
            }
            sleep(Duration::from_millis(30));
        }
    }

    /// Where it says that it listens. It picks its port itself: whoever looked for a free one beforehand might lose it
    /// to somebody else, and then talk to them.
    fn said_address(&self) -> Option<String> {
        let log = self.log();
        let (_, rest) = log.get(self.started_at..)?.split_once(" listens on http://")?;
        let (address, _) = rest.split_once('\n')?;
        Some(address.trim().replace("0.0.0.0", "127.0.0.1"))
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

    /// Its directory: `data` in it is its data directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
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

/// A directory of its own, with the configuration file in it if there is one.
fn prepare(name: &str, config: Option<&str>) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sluicegate-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary directory can be written");
    if let Some(config) = config {
        fs::write(folder.join("config.yaml"), config).expect("the temporary directory can be written");
    }
    folder
}

fn spawn(folder: &Path, launch: &Launch) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("gateway.log"));
    let log = log.expect("the temporary directory can be written");
    let mut command = Command::new(binary("sluicegate"));
    command.arg("serve");
    if launch.config.is_some() {
        command.arg("--config").arg(folder.join("config.yaml"));
    }
    command.args(["--host", &launch.host]);
    // A port that the environment or an option names is theirs.
    let named = launch.options.iter().any(|option| option == "--port")
        || launch.variables.iter().any(|(name, _)| name.ends_with("PORT"));
    if !named {
        command.args(["--port", "0"]);
    }
    command
        .arg("--data")
        .arg(folder.join("data"))
        .args(&launch.options)
        // Nothing of ours: neither settings in the environment nor secrets in the home directory.
        .env_clear()
        .env("HOME", folder)
        .envs(launch.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log can be shared"))
        .stderr(log)
        .spawn()
        .expect("the gateway can be run")
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

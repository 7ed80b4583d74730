//! A Postgres of our own for the time of the tests.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::install;
use crate::tool::{self, Done, Tool};

/// How long the server may take to answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long it may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Ports that are tried before giving up.
const PORT_TRIES: usize = 3;

/// A running server on a free port of the loopback; it ends, and its files go,
/// when dropped.
pub(crate) struct Postgres {
    server: Server,
    folder: PathBuf,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self, String> {
        let programs = match find_programs() {
            Some(folder) => folder,
            None => {
                install::apt(&["postgresql"])?;
                find_programs().ok_or("`postgresql` is installed, but its `initdb` is nowhere to be found")?
            }
        };
        let folder = std::env::temp_dir().join(format!("sluicegate-postgres-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|e| format!("cannot make `{}`: {e}", folder.display()))?;
        match Self::start_in(&programs, &folder) {
            Ok(it) => Ok(it),
            Err(why) => {
                let _ = fs::remove_dir_all(&folder);
                Err(why)
            }
        }
    }

    fn start_in(programs: &Path, folder: &Path) -> Result<Self, String> {
        if tool::is_root() {
            Tool::new("chown").args(["postgres"]).args([folder]).output()?;
        }
        let data = folder.join("data");
        as_postgres(&programs.join("initdb"))
            .args(["-A", "trust", "-U", "sluicegate", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .args([&data])
            .output()?;
        // BOUND: a few tries. Between finding a free port and taking it, somebody else may.
        let mut last = String::new();
        for _ in 0..PORT_TRIES {
            let mut server = Server::spawn(programs, folder, &data)?;
            match server.wait_ready(programs) {
                Ok(()) => {
                    let it = Self { server, folder: folder.to_path_buf() };
                    println!("postgres serves at {}", it.url());
                    return Ok(it);
                }
                Err(why) => {
                    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                    last = format!("{why}; its log says: {}", log.trim());
                }
            }
        }
        Err(last)
    }

    /// Where it answers; user and database are made by us.
    pub(crate) fn url(&self) -> String {
        format!("postgres://sluicegate@127.0.0.1:{}/postgres", self.server.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The process; it ends when dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn spawn(programs: &Path, folder: &Path, data: &Path) -> Result<Self, String> {
        let port = free_port()?;
        let log = fs::File::create(folder.join("log")).map_err(|e| format!("cannot write a log: {e}"))?;
        let mut command = as_postgres(&programs.join("postgres"))
            .args(["-D"])
            .args([data])
            .args(["-p", &port.to_string(), "-k", &folder.to_string_lossy()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"])
            .without_input();
        command.0.stdout(Stdio::null()).stderr(log);
        let process = command.0.spawn().map_err(|e| format!("cannot start postgres: {e}"))?;
        Ok(Self { process, port })
    }

    fn wait_ready(&mut self, programs: &Path) -> Done {
        let started = Instant::now();
        let ready = || {
            let asked = ["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()];
            Tool::new(programs.join("pg_isready")).args(asked).output().is_ok()
        };
        while !ready() {
            let gone = self.process.try_wait().ok().flatten();
            if gone.is_some() || started.elapsed() > START_LIMIT {
                return Err("postgres does not answer".into());
            }
            sleep(Duration::from_millis(100));
        }
        // Whoever answers there must be ours.
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            _ => Err("postgres ended".into()),
        }
    }

    fn stop(&mut self) {
        let pid = self.process.id().to_string();
        let asked = Instant::now();
        while !matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
            if asked.elapsed() > STOP_LIMIT {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            let _ = Tool::new("kill").args(["-QUIT", &pid]).output();
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Postgres ends with us, however we end. It refuses to run as root: then it runs as its own user.
fn as_postgres(program: &Path) -> Tool {
    if !tool::is_root() {
        return match tool::have("setpriv") {
            true => Tool::new("setpriv").args(["--pdeathsig", "QUIT", "--"]).args([program]),
            false => Tool::new(program),
        };
    }
    let mut tool = Tool::new("setpriv")
        .args(["--reuid", "postgres", "--regid", "postgres", "--init-groups", "--pdeathsig", "QUIT", "--"])
        .args([program]);
    // The repository may be closed to that user.
    tool.0.current_dir(std::env::temp_dir());
    tool
}

/// The folder of the newest server's programs.
fn find_programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let folder = entry.path().join("bin");
        if let (true, Ok(version)) =
            (folder.join("initdb").is_file(), entry.file_name().to_string_lossy().parse())
        {
            found.push((version, folder));
        }
    }
    let on_path = || {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).find(|folder| folder.join("initdb").is_file())
    };
    found.into_iter().max().map(|(_, folder)| folder).or_else(on_path)
}

fn free_port() -> Result<u16, String> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    bound.map(|address| address.port()).map_err(|e| format!("no free port: {e}"))
}

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

/// A running server on a free port of the loopback; it ends, and its files go,
/// when dropped.
pub(crate) struct Postgres {
    server: Child,
    folder: PathBuf,
    port: u16,
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
        if tool::is_root() {
            Tool::new("chown").args(["postgres"]).args([&folder]).output()?;
        }
        let data = folder.join("data");
        let initdb = as_postgres(&programs.join("initdb")).args([
            "-A",
            "trust",
            "-U",
            "sluicegate",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);
        initdb.args([&data]).output()?;
        let port = free_port()?;
        let log = fs::File::create(folder.join("log")).map_err(|e| format!("cannot write a log: {e}"))?;
        let mut command = as_postgres(&programs.join("postgres")).args(["-D"]).args([&data]).args([
            "-p",
            &port.to_string(),
            "-k",
            &folder.to_string_lossy(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=200",
        ]);
        command.0.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let server = command.0.spawn().map_err(|e| format!("cannot start postgres: {e}"))?;
        let mut it = Self { server, folder, port };
        it.wait_ready(&programs)?;
        println!("postgres serves at {}", it.url());
        Ok(it)
    }

    /// Where it answers; user and database are made by us.
    pub(crate) fn url(&self) -> String {
        format!("postgres://sluicegate@127.0.0.1:{}/postgres", self.port)
    }

    fn wait_ready(&mut self, programs: &Path) -> Done {
        let started = Instant::now();
        let ready = || {
            let asked = ["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()];
            Tool::new(programs.join("pg_isready")).args(asked).output().is_ok()
        };
        while !ready() {
            let gone = self.server.try_wait().ok().flatten();
            if gone.is_some() || started.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(format!("postgres does not answer; its log says: {}", log.trim()));
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = self.server.id().to_string();
        let _ = Tool::new("kill").args(["-QUIT", &pid]).output();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Postgres refuses to run as root: then it runs as its own user, and ends with us.
fn as_postgres(program: &Path) -> Tool {
    if !tool::is_root() {
        return Tool::new(program);
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

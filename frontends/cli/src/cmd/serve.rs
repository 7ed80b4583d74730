//! `serve`: the gateway.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sluicegate::config::{HostSettings, Severity};
use sluicegate::{ConfigText, Gateway, KeyStrength, Options, Secret};
use sluicegate_server::Settings;

use super::exit;
use crate::args::Serve;
use crate::client::{Failure, KEY_VARIABLES};

/// What is served when no --config names another file.
pub(super) const DEFAULT_FILE: &str = "sluicegate.yaml";
/// Where data goes when nothing else is said.
const DEFAULT_DATA: &str = "data";

/// Serves until it is asked to stop.
pub(crate) fn run(args: &Serve) -> ExitCode {
    crate::log::start();
    crate::memory::give_back();
    match sluicegate_server::block_on(serve(args)) {
        Err(failure) if crate::log::is_json() => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
        done => exit(done),
    }
}

async fn serve(args: &Serve) -> Result<(), Failure> {
    let config = configuration(args.config.as_deref())?;
    let variables = sluicegate::process_variables();
    let loaded = sluicegate::load(config.as_ref(), &variables);
    for diagnostic in loaded.diagnostics.iter().filter(|d| d.severity != Severity::Error) {
        match (crate::log::is_json(), diagnostic.severity) {
            (false, _) => eprintln!("{diagnostic}"),
            (true, Severity::Warning) => tracing::warn!("{diagnostic}"),
            (true, _) => tracing::info!("{diagnostic}"),
        }
    }
    let host = args.host.clone().unwrap_or_else(|| loaded.host.host.clone());
    let port = args.port.unwrap_or(loaded.host.port);
    let given = args.master_key_file.as_deref().map(read_key).transpose()?;
    let demo = is_loopback(&host) && loaded.host.demo_channel && loaded.declared.channels.is_empty();
    let options = Options {
        config,
        variables,
        database: args.database.clone(),
        data_dir: Some(data_dir(args.data.as_deref(), &loaded.host)),
        master_key: given,
        make_master_key: true,
        demo,
        ..Options::default()
    };
    let gateway = Gateway::open(options).await.map_err(|error| error.to_string())?;
    guard(gateway.master_key_strength(), loaded.host.dangerously_permit_weak_or_unset_master_key, &host)?;
    let settings = Settings { workers: args.workers.map(usize::from), ..Settings::new(host, port) };
    let made = gateway.made_master_key().map(|key| key.expose().to_owned());
    let is_secure = gateway.host().tls.is_some();
    let console = gateway.host().console && sluicegate_server::console::is_there();
    let greeting = Greeting { made, console, demo, is_secure };
    sluicegate_server::serve(gateway, settings, |addresses| greeting.print(addresses))
        .await
        .map_err(|error| error.to_string())
}

/// The file that the command line names, or the one that lies here.
pub(crate) fn configuration(named: Option<&Path>) -> Result<Option<ConfigText>, Failure> {
    let path = match named {
        Some(path) => path,
        None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
        None => return Ok(None),
    };
    ConfigText::read(path).map(Some).map_err(|error| error.to_string())
}

/// The directory that the command line names, or the configuration, or the one here.
pub(crate) fn data_dir(named: Option<&Path>, host: &HostSettings) -> PathBuf {
    let named = named.map(Path::to_owned).or_else(|| host.data_dir.as_ref().map(PathBuf::from));
    named.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA))
}

fn read_key(path: &Path) -> Result<Secret, Failure> {
    let text = std::fs::read_to_string(path).map_err(|why| {
        format!("`{}` can't be read: {why}; check the path given as --master-key-file", path.display())
    })?;
    match text.trim() {
        "" => Err(format!("`{}` is empty; write the administrator's key into it", path.display())),
        key => Ok(Secret::new(key)),
    }
}

/// Whether an address, or a name, is this machine's own.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Beyond this machine, a key that anybody can guess is no key. (Without any, a strong one is made.)
fn guard(strength: KeyStrength, permitted: bool, address: &str) -> Result<(), Failure> {
    if strength == KeyStrength::Strong || is_loopback(address) {
        return Ok(());
    }
    let risk = format!(
        "the administrator's key is known from documentation or easy to guess, and `{address}` can be reached from other \
         machines"
    );
    if permitted {
        eprintln!("warning: {risk}");
        return Ok(());
    }
    Err(format!(
        "{risk}; set LITELLM_MASTER_KEY to a strong one (openssl rand -hex 32), or listen on 127.0.0.1"
    ))
}

/// What is said once the gateway listens.
struct Greeting {
    made: Option<String>,
    console: bool,
    demo: bool,
    is_secure: bool,
}

impl Greeting {
    fn print(&self, addresses: &[SocketAddr]) {
        let scheme = if self.is_secure { "https" } else { "http" };
        let url = addresses.first().map(|address| format!("{scheme}://{address}")).unwrap_or_default();
        println!("sluicegate {} listens on {url}", env!("CARGO_PKG_VERSION"));
        if let Some(key) = &self.made {
            println!("admin key: {key}");
            println!("    made just now and shown this once; only its hash is kept");
            let place = if self.console { "/setup" } else { "/api/v1/setup, see docs/administration.md" };
            println!("    it makes the first super administrator: {url}{place}");
        }
        if self.console {
            println!("console: {url}/");
        }
        if self.demo {
            let variable = KEY_VARIABLES.iter().find(|name| std::env::var_os(name).is_some());
            let variable = format!("${}", variable.unwrap_or(&KEY_VARIABLES[0]));
            let key = self.made.as_deref().unwrap_or(&variable);
            println!("no configuration: the channel `mock` answers by itself, for a first try:");
            println!(
                "    curl {url}/v1/chat/completions -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' \
                 -d '{{\"model\":\"mock\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_apart() {
        for (host, want) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("[::1]", true),
            ("::ffff:127.0.0.1", true),
            ("LocalHost", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
            ("example.com", false),
        ] {
            assert_eq!(is_loopback(host), want, "{host}");
        }
    }

    #[test]
    fn beyond_this_machine_a_weak_key_is_refused_unless_permitted() {
        assert!(guard(KeyStrength::Weak, false, "127.0.0.1").is_ok());
        assert!(guard(KeyStrength::Weak, false, "0.0.0.0").is_err());
        assert!(guard(KeyStrength::Unset, false, "0.0.0.0").is_err());
        assert!(guard(KeyStrength::Weak, true, "0.0.0.0").is_ok());
        assert!(guard(KeyStrength::Strong, false, "0.0.0.0").is_ok());
    }
}

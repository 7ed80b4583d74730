//! What the binary says about itself, on standard error.

use std::str::FromStr as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging: `SLUICEGATE_LOG` or `RUST_LOG` say what, as a level or as `target=level,…`. Default `info`, and
/// only warnings of what we are built from.
pub(crate) fn start() {
    let asked = ["SLUICEGATE_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok());
    let targets = asked.as_deref().and_then(|text| Targets::from_str(text).ok()).unwrap_or_else(|| {
        Targets::new()
            .with_default(LevelFilter::WARN)
            // What a client sends wrong is answered, and no error of ours.
            .with_target("actix_http", LevelFilter::OFF)
            .with_target("sluicegate", LevelFilter::INFO)
            .with_target("sluicegate_server", LevelFilter::INFO)
    });
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    // A host that has its own subscriber keeps it.
    let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
}

//! What the binary says about itself, on standard error.

use std::str::FromStr as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Says what is logged.
const WHAT: [&str; 2] = ["SLUICEGATE_LOG", "RUST_LOG"];
/// Says how: `text` or `json`.
const HOW: &str = "SLUICEGATE_LOG_FORMAT";

/// Whether each line is an object.
pub(crate) fn is_json() -> bool {
    std::env::var(HOW).is_ok_and(|format| format == "json")
}

/// Starts logging: `SLUICEGATE_LOG` or `RUST_LOG` say what, as a level or as `target=level,…`. Default `info`, and
/// only warnings of what we are built from. `SLUICEGATE_LOG_FORMAT=json` makes each line an object: `timestamp` (RFC 3339, UTC), `level`,
/// `message`, and what is said about it.
pub(crate) fn start() {
    let asked = WHAT.iter().find_map(|name| std::env::var(name).ok().map(|text| (*name, text)));
    let read = asked.as_ref().map(|(_, text)| Targets::from_str(text));
    let unread = matches!(read, Some(Err(_)));
    let targets = read.and_then(Result::ok).unwrap_or_else(|| {
        Targets::new()
            .with_default(LevelFilter::WARN)
            // What a client sends wrong is answered, and no error of ours.
            .with_target("actix_http", LevelFilter::OFF)
            .with_target("sluicegate", LevelFilter::INFO)
            .with_target("sluicegate_server", LevelFilter::INFO)
    });
    let format = std::env::var(HOW).unwrap_or_default();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    let lines = match format.as_str() {
        "json" => lines.json().flatten_event(true).boxed(),
        _ => lines.boxed(),
    };
    // A host that has its own subscriber keeps it.
    let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
    if let (true, Some((name, text))) = (unread, asked) {
        tracing::warn!(
            "{name}: `{text}` is neither a level nor `target=level,…`; logging as if it weren't set"
        );
    }
    if !matches!(format.as_str(), "" | "text" | "json") {
        tracing::warn!("{HOW}: `{format}` is neither `text` nor `json`; writing text");
    }
}

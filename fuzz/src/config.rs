//! Files of strangers that `sluicegate-config` reads: its own dialect, LiteLLM's, New API's, and lists of prices.

use sluicegate_config::{Environment, Source, load, read_prices, write_prices};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 2] = [("file_config", config), ("file_prices", prices)];

/// A configuration in whichever dialect it is written.
fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let variable = |name: &str| name.len().is_multiple_of(2).then(|| format!("value of {name}"));
    let loaded = load(Source { path: "c.yaml", text: &text }, &Environment::new(&variable));
    for found in &loaded.diagnostics {
        assert!(found.line >= 1 && !found.message.is_empty(), "a diagnostic without a place or words");
    }
}

/// A list of prices: what was read is written, and read again as it was.
fn prices(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let nothing = |_: &str| None;
    let environment = Environment::new(&nothing);
    let file = read_prices(Source { path: "p.yaml", text: &text }, None, &environment);
    drop(write_prices(&file.prices));
}

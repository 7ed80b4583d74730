//! Prints what `GET /api/v1/openapi.json` answers, to be read.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let document: serde_json::Value = serde_json::from_str(sluicegate_server::openapi::document())?;
    io::stdout().write_all(serde_json::to_string_pretty(&document)?.as_bytes())
}

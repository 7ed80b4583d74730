//! Prints what is made from the tables of the native dialect: the JSON Schema, or with the argument `tables` the manual's
//! tables.
//!
//! ```sh
//! cargo run -p sluicegate-config --example schema > docs/schema/sluicegate.schema.json
//! cargo run -p sluicegate-config --example schema -- tables
//! ```

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let text = if std::env::args().nth(1).as_deref() == Some("tables") {
        sluicegate_config::manual_tables()
    } else {
        serde_json::to_string_pretty(&sluicegate_config::json_schema())? + "\n"
    };
    io::stdout().write_all(text.as_bytes())
}

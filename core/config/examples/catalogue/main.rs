//! Prints what is made from the hand-kept facts of the catalogue: the provider table, their quirks, or the manual's page.
//! `cargo xtask catalogue` puts each where it belongs.
//!
//! ```sh
//! cargo run -p sluicegate-config --example catalogue -- providers > core/config/catalogue/providers.csv
//! cargo run -p sluicegate-config --example catalogue -- quirks > core/config/catalogue/quirks.jsonl
//! cargo run -p sluicegate-config --example catalogue -- manual > docs/providers.md
//! ```

mod generate;

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let made = generate::facts().and_then(|facts| match std::env::args().nth(1).as_deref() {
        Some("providers") => Ok(generate::providers(&facts)),
        Some("quirks") => generate::quirks(&facts),
        Some("manual") => Ok(generate::manual(&facts)),
        _ => Err("name what to print: providers, quirks or manual".to_owned()),
    });
    io::stdout().write_all(made.map_err(io::Error::other)?.as_bytes())
}

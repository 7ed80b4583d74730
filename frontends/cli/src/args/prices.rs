//! What `prices` takes.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

/// Look at prices, take over those of other systems, compare them. Nothing is fetched, and no gateway is asked. See
/// docs/prices.md.
#[derive(Debug, ClapArgs)]
pub(crate) struct Prices {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PricesCommand,
}

/// What to do with prices.
#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// Show the built-in price list, or what it says of a model.
    Show(Show),
    /// Write the prices of a LiteLLM price map or of New API's ratios as the `prices` of a native file.
    Import(Import),
    /// Say what is dearer, cheaper, new or gone in one list of prices against another.
    ///
    /// Exits with 0 when nothing differs, with 1 when something does, and with 2 when a list can't be read.
    Diff(Diff),
}

/// Prices to be shown.
#[derive(Debug, ClapArgs)]
pub(crate) struct Show {
    /// The model as its provider names it; may end in `*` [default: all].
    pub(crate) model: Option<String>,
    /// Only those of this provider: an id of the catalogue.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Print them for programs: amounts in pico-USD per token and nano-USD.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prices to be taken over.
#[derive(Debug, ClapArgs)]
pub(crate) struct Import {
    /// The file: LiteLLM's model_prices_and_context_window.json, New API's options, or what its /api/ratio_config answers.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Whose format it is in [default: by its keys].
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Where to write the result; it is not overwritten [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Two lists of prices.
#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// The first: a file in any of the formats, or `built-in`.
    #[arg(value_name = "BEFORE")]
    pub(crate) before: PathBuf,
    /// The second, likewise.
    #[arg(value_name = "AFTER")]
    pub(crate) after: PathBuf,
    /// Print the differences for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose format prices are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Ours.
    Native,
    /// LiteLLM's.
    Litellm,
    /// New API's.
    Newapi,
}

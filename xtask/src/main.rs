//! The front door for developers: `cargo xtask` builds, runs, tests and
//! measures Sluicegate, and installs what that needs.

mod bench;
mod c;
mod catalogue;
mod console;
mod fuzz;
mod install;
mod mutants;
mod node;
mod postgres;
mod prices;
mod python;
mod rust;
mod sdk;
mod serve;
mod simulate;
mod step;
mod test;
mod tool;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND

  serve [ARGS…]          build the release binary with its console and run `sluicegate serve ARGS…`
  console [--api]        build the web console and pack it for the next build of the binary;
                         --api: take over the server's OpenAPI document and make its client's types anew
  test [--quick] [PART…] everything that must pass; installs and starts what it needs
                         parts: fmt lint rust mutants fuzz c python sdk api console
                         --quick: no services: format, unit and table tests
  fmt                    format all sources
  lint                   clippy on everything, warnings are errors
  simulate [OPTIONS]     histories of calls and crashes over ledger and journal
                         --operations N (default 10,000,000), --steps N of a history (200),
                         --first SEED (0), or --seed SEED for that one alone
  mutants [NAME…]        whether the simulation catches the faults of tests/data/mutants.toml
  fuzz [--seconds N] [TARGET…]
                         what reads bytes of strangers, under libFuzzer: each target of fuzz/targets for N seconds (default 4)
  prices [--check]       write the built-in price list from its facts (core/config/catalogue/facts)
  catalogue [--check]    make the provider tables and docs/providers.md from the facts, or say whether they are in step
  clients                make docs/clients.md from a run of real clients against every upstream's format
  bench [ARGS…]          measure the gateway beside nginx (see benches/rig/README.md)
  bench --memory [ARGS…] watch its memory under one long stream and under many at once
  bench --reports [--records N] [--rounds N] [--append] [--sqlite | --postgres]
                         how long reports and pages of the log take over so many calls (default 1,000,000)
  bench --criterion      the benches in process
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("help", &[][..]), |(c, r)| (c.as_str(), r));
    let done = match command {
        "serve" => serve::run(rest),
        "console" => console::run(rest),
        "test" => test::run(rest),
        "fmt" => tool::cargo(["fmt", "--all"]).run(),
        "lint" => rust::lint(),
        "simulate" => simulate::run(rest),
        "mutants" => mutants::run(rest),
        "fuzz" => fuzz::run(rest),
        "prices" => prices::run(rest),
        "catalogue" => catalogue::run(rest),
        "clients" => sdk::clients(),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => Err(format!("`{command}` is no command; `cargo xtask help` lists them")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

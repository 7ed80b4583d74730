//! The scripted upstream as a process: `fake-upstream [--listen 127.0.0.1:PORT] [--key KEY]`.
//!
//! Prints `listening on ADDRESS` once it does, and runs until it is ended or
//! its standard input closes (so that it goes when its parent does).

use std::io::{self, Read, Write};
use std::process::ExitCode;

use sluicegate_tests::fake::FakeUpstream;

fn main() -> ExitCode {
    let (mut listen, mut key) = ("127.0.0.1:0".to_owned(), None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--listen", Some(value)) => listen = value,
            ("--key", Some(value)) => key = Some(value),
            _ => {
                eprintln!("usage: fake-upstream [--listen 127.0.0.1:PORT] [--key KEY]");
                return ExitCode::from(2);
            }
        }
    }
    let upstream = match FakeUpstream::listen(&listen) {
        Ok(upstream) => upstream,
        Err(error) => {
            eprintln!("cannot listen on `{listen}`: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(key) = key {
        upstream.demand_key(&key);
    }
    println!("listening on {}", upstream.address());
    let _ = io::stdout().flush();
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

//! What the tests share: a scripted upstream that speaks the OpenAI and
//! Anthropic formats, a client that can send what no proper client would, and
//! the gateway as a child process, and the runner of the table of decisions.
//!
//! Everything here is blocking and built on the standard library: a thread for
//! each connection gives full control over every byte and every pause.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken rig must fail the test at once"
)]

pub mod client;
pub mod fake;
pub mod gateway;
pub mod http;
pub mod table;

use std::path::PathBuf;

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

/// The directory of the cases and fixtures, `tests/data`.
#[must_use]
pub fn data() -> PathBuf {
    root().join("tests/data")
}

/// A port on the loopback that nobody listens on at the moment of the call.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

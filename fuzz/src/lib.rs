//! Targets of fuzzing, as plain functions. `core/wire/tests/fuzz.rs` and `core/config/tests/fuzz.rs` run them with a mutator of their
//! own among the tests; here they are libFuzzer's, by `cargo xtask fuzz`, or where `cargo fuzz` is installed:
//!
//! ```text
//! cargo fuzz run --sanitizer none request_openai_chat
//! ```
//!
//! `--sanitizer none` is what lets a stable compiler build them.

pub mod config;
pub mod wire;

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let all = wire::TARGETS.iter().chain(&config::TARGETS);
    if let Some((_, target)) = all.into_iter().find(|(known, _)| *known == name) {
        target(data);
    }
}

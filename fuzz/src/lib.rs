//! Targets of fuzzing, as plain functions. `core/wire/tests/fuzz.rs` and `core/config/tests/fuzz.rs` run the same ones on a stable
//! compiler with a mutator of their own; here they are libFuzzer's, which needs a nightly one:
//!
//! ```text
//! cargo +nightly fuzz run request_openai_chat
//! ```

pub mod config;
pub mod wire;

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let all = wire::TARGETS.iter().chain(&config::TARGETS);
    if let Some((_, target)) = all.into_iter().find(|(known, _)| *known == name) {
        target(data);
    }
}

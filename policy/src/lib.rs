//! Operators' [Rhai](https://rhai.rs) scripts behind the engine's policy port.
//!
//! A script is compiled and checked once, by [`Policies::compile`], and then runs for each call of those it steers: it
//! reads typed views of the call and its candidates and gives a verdict through functions such as `prefer` and `deny`.
//! Its file may carry tests, which [`Tests`] runs through the same code and which aren't there when calls come.
//! The manual for its author is `docs/policy.md`; ready scripts are in `examples/policies/`.
//!
//! A run is a pure function of the script, the call, its candidates, the time and the seed that the engine hands in, and
//! it is bounded by fuel alone: the same input gives the same verdict on any machine, so recorded decisions can be
//! replayed.
//!
//! Deliberately absent here: I/O, clocks, randomness, waiting, and any knowledge of what the engine makes of a verdict.
//!
//! ```
//! use sluicegate_core::snapshot::PolicySource;
//! use sluicegate_policy::Policies;
//!
//! let script = r#"fn route(call) { if call.group == "研发部" { prefer("provider:wanqing"); } }"#;
//! let source = PolicySource::new("in-house first", script);
//! let policies = Policies::compile(&[source]).unwrap();
//! assert_eq!(policies.names().collect::<Vec<_>>(), ["in-house first"]);
//! ```

mod api;
mod calls;
mod compile;
mod diagnostic;
mod facts;
mod hook;
mod lint;
mod module;
mod parts;
mod rights;
mod run;
mod sandbox;
mod testing;

pub use diagnostic::PolicyDiagnostic;
pub use hook::Policies;
pub use sandbox::{
    FUEL, MAX_ALERTS, MAX_ARRAY_LEN, MAX_CALL_DEPTH, MAX_FILE_BYTES, MAX_MAP_LEN, MAX_SCRIPT_BYTES,
    MAX_STRING_BYTES, MAX_VERDICT_ENTRIES, MAX_VERDICT_TEXT_BYTES,
};
pub use testing::{TestFailure, TestResult, Tests, Whose};

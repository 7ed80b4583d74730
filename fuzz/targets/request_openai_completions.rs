//! See `sluicegate_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicegate_fuzz::run("request_openai_completions", data));

//! Ollama's own chat around the neutral model: upstreams speak it, callers don't. Its streams are lines of JSON.

mod answer;
mod encode;

pub(crate) use answer::Decoder;
pub(crate) use encode::encode;

//! A scripted upstream on the loopback: OpenAI chat, responses, embeddings and
//! models, Anthropic messages, Gemini, Cohere's and Ollama's own chat; whole
//! answers and streams.
//!
//! Its answers and token counts follow from the request alone (see
//! [`answer`]), it refuses what the real services refuse, it records every
//! request, and it misbehaves on demand (see [`behaviour`]): either a step of
//! a script says so, or the model's name does.
//!
//! Over HTTP: `GET` and `DELETE /_control/requests`, `POST` (one step or a
//! list) and `DELETE /_control/script`, `POST /_control/key` with `{"key": …}`.

mod answer;
mod anthropic;
mod base64;
mod behaviour;
mod choice;
mod cohere;
mod deliver;
mod gemini;
mod hosted;
mod mistral;
mod ollama;
mod openai;
mod responses;
mod server;
mod single;
mod strict;

pub use answer::{Answer, Ask, Finish, Tool, ToolCall, word_count};
pub use behaviour::{Behaviour, Step, UsageFault};
pub use server::{FakeUpstream, Outcome, Record};

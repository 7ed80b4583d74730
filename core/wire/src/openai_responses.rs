//! OpenAI's responses around the neutral model.

mod answer;
mod decode;
mod encode;
mod object;
mod operation;
mod stream;

pub(crate) use answer::Decoder;
pub(crate) use decode::request;
pub(crate) use encode::encode;
pub(crate) use object::{begun, echo};
pub(crate) use operation::behind;
pub use operation::input_tokens_request;
pub(crate) use stream::{Encoder, PLACES};

/// What stands before a redacted thought of another maker's, to be told from a thought that is signed.
const REDACTED: &str = "redacted:";

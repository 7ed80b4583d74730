//! JSON without a tree: a validating cursor, a lazy view and a writer.
//!
//! The byte path reads each body once and keeps spans, so nothing here builds a document. The cursor never recurses:
//! nesting is a bit stack of [`MAX_DEPTH`] levels, and a deeper body is refused instead of overflowing.

mod cursor;
mod text;
mod view;
mod write;

pub(crate) use cursor::{Bad, Cursor, Kind, Span};
pub(crate) use text::{compact, decoded_len, escape_into, unescape};
pub(crate) use view::Val;
pub(crate) use write::{Array, Object, object};

/// How deep a body may nest. Real requests stay below 40 (tool schemas); serde_json's own bound is 128 as well.
pub const MAX_DEPTH: u32 = 128;

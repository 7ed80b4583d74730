//! Being furnished.

pub mod credential;
pub mod store;

//! Being furnished.

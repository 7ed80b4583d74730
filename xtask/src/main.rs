//! Being furnished.
fn main() {}

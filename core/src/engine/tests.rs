//! The engine, driven by hand on a time that is an argument.

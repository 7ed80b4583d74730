//! The gateway as a child process, on a free port with a directory of its own.

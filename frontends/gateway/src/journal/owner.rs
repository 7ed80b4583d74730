//! One process owns a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use sluicegate_core::{Error, ErrorKind, Result};

/// Holds a data directory for as long as it lives; the operating system frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct Owner(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl Owner {
    /// Takes the directory.
    ///
    /// # Errors
    /// `Config` when another process has it, naming that process, or when the directory can't be written.
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join("owner");
        let failed = |why: &std::io::Error| {
            let message = format!(
                "the data directory `{}` can't be used: {why}; give this user the right to write there, or choose another with --data",
                dir.display()
            );
            Error::new(ErrorKind::Config, message)
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(|why| failed(&why))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(why)) => return Err(failed(&why)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who it is helps, but that it is taken is enough.
                let _ = (&file).take(200).read_to_string(&mut holder);
                let message = format!(
                    "the data directory `{}` is in use by {}; stop that first, or choose another with --data",
                    dir.display(),
                    if holder.trim().is_empty() { "another process" } else { holder.trim() }
                );
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        let note = format!("process {} on {}\n", std::process::id(), host_name());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(|why| failed(&why))?;
        Ok(Self(file))
    }
}

fn host_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    if name.is_empty() { "this machine".to_owned() } else { name }
}

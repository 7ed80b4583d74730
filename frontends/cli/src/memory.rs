//! Gives back to the system what a burst of calls left behind.
//!
//! The allocator keeps freed pages for a second in case they are wanted again, and looks for those whose time is over when
//! another page is let go of: in a gateway that has become idle, never. It looks as well when a thread ends.
//!
//! QUIRK(mimalloc, 3, <https://github.com/microsoft/mimalloc/blob/dev3/src/theap.c>): `mi_theap_collect_ex`, which a thread's
//! end calls, purges all that has expired; asking for it by name would be the only `unsafe` of the gateway.

use std::thread::{self, Builder};
use std::time::Duration;

/// As long as the allocator itself keeps what was freed.
const EVERY: Duration = Duration::from_secs(1);

/// Starts looking after the memory for as long as the process lives. Costs some 50 µs of CPU a second.
pub(crate) fn give_back() {
    // A machine that has no room for another thread has other troubles: the memory stays as it is.
    let _ = Builder::new().name("memory".to_owned()).stack_size(64 * 1024).spawn(|| {
        loop {
            thread::sleep(EVERY);
            if let Ok(ends) = Builder::new().name("memory-end".to_owned()).stack_size(64 * 1024).spawn(|| {})
            {
                // It has nothing to panic about.
                let _ = ends.join();
            }
        }
    });
}

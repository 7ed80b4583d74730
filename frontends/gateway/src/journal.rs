//! The ledger's journal in files: what has been reserved and settled outlives the process.
//!
//! [`Journal::commit`] writes what the ledger has logged: once before a call is sent, once when it is settled, before
//! its last byte goes to the caller. After a crash [`read`] says what isn't in the database yet and which calls were
//! under way; those are held until somebody reconciles them or their windows end. The format is
//! [`core::journal`](sluicegate_core::journal)'s.
//!
//! Files are reached through the port [`Disk`], so that a simulation can lose power at any write.

mod checkpoint;
mod disk;
mod owner;
mod recover;
mod sync;
mod write;

pub use checkpoint::{Batch, gather};
pub(crate) use disk::file_name;
pub use disk::{Disk, DiskFile, Keeping, OsDisk, Removal};
pub use owner::Owner;
pub use recover::{Found, Opening, Reading, journal_id, merge, open, read};
pub use write::{Journal, JournalOptions};

pub use sluicegate_config::Durability;

#[cfg(test)]
mod tests;

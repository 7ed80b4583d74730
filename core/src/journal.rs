//! The journal: what the ledger did, as bytes that outlive the process.
//!
//! The ledger keeps a [`Log`] of its changes once [`Ledger::start_log`](crate::ledger::Ledger::start_log) was called; a
//! host writes the log's bytes to files and, after a crash, reads them back with [`Replay`]. This module is bytes only:
//! no file is opened here.
//!
//! # Format
//! A segment (one file) is [`MAGIC`] followed by frames: length of the payload and CRC-32 of length and payload, each
//! four bytes, little-endian, then the payload; see [`frame`]. A payload is a kind, a sequence number and the event's
//! fields as varints; see [`Event`]. Sequence numbers rise by one from frame to frame and from segment to segment.
//!
//! Events hold *effects*, not commands: how much was settled in which window of which counter. Reading them back needs
//! neither limits nor time zone nor clock, and their order between attempts doesn't matter.
//!
//! A reservation's event tells which attempt of whose call it is for, its end what that used and cost: so a call that was
//! charged has its usage record even when the process ends before it is written. Attempts that wait for it are told anew
//! in each segment.
//!
//! A segment begins with a head: [`Event::Segment`], every reservation that is open or held, every attempt that has ended
//! and whose call has no record yet, and [`Event::Ready`]. So the
//! segments before it are only needed until what they settled is in the database. A segment whose head isn't whole was
//! being made when the process ended, and counts as not there.

mod attempt;
mod event;
pub mod frame;
mod log;
mod replay;
mod varint;

pub use attempt::{AttemptFacts, Ending, Fate, INTERRUPTED, Tried, amendment_id, record_of};
pub use event::{CounterKey, Effect, Event, Hold};
pub use frame::MAGIC;
pub use log::Log;
pub use replay::{Flaw, OpenReservation, Recovered, Replay, SegmentEnd, segment_journal};

/// Names a journal for good: a data directory's. Random, made with the first segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JournalId(pub u128);

impl std::fmt::Display for JournalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests;

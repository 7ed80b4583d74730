//! What is journalled, and how each event is written.

use serde::{Deserialize, Serialize};

use super::attempt::{self, Ending};
use super::varint::{Reader, put, put_bytes, put_signed};
use super::{JournalId, frame};
use crate::decision::OutcomeClass;
use crate::ids::ModelName;
use crate::limit::{Metric, Scope, Window};
use crate::time::Timestamp;

/// What a counter counts: its name across processes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CounterKey {
    /// Whose use.
    pub scope: Scope,
    /// Of what.
    pub metric: Metric,
    /// Over which time.
    pub window: Window,
    /// Of which model's calls; `None` of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
}

/// What was settled in one window of one counter. Negative when an operator set it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The counter, by its number in this segment.
    pub cell: u32,
    /// When the window (of a rolling one: the bucket) began, in milliseconds since 1970.
    pub start: i64,
    /// How much.
    pub amount: i64,
}

/// What a reservation has in one window of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The counter, by its number in this segment.
    pub cell: u32,
    /// When the window (of a rolling one: the bucket) began, in milliseconds since 1970.
    pub start: i64,
    /// How much.
    pub amount: i64,
    /// Whether the channel's amounts settle it, or the tenant's.
    pub of_channel: bool,
}

/// One event. `holds` and `settled` are in the order in which the ledger made them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A segment begins.
    Segment {
        /// The journal that it belongs to.
        journal: JournalId,
        /// When.
        at: Timestamp,
    },
    /// From here on `cell` means this counter.
    Counter {
        /// The number.
        cell: u32,
        /// The counter.
        key: CounterKey,
    },
    /// In a head: a reservation that was made in an earlier segment and hasn't ended.
    Open {
        /// Its number, which is unique in a segment and those that follow it in the same process.
        id: u64,
        /// When it was made, or became held.
        at: Timestamp,
        /// Whether it is held, or its attempt is under way.
        held: bool,
        /// The call.
        call: &'a str,
        /// What it has.
        holds: Vec<Hold>,
        /// The attempt, as [`AttemptFacts`](super::AttemptFacts) writes it; empty when that isn't known.
        attempt: &'a [u8],
        /// How its host saw it end, if it is held and did.
        class: Option<OutcomeClass>,
        /// Whether its call has its usage record.
        recorded: bool,
    },
    /// In a head: an attempt that has ended, and whose call has no usage record yet.
    Ended {
        /// The call; of a held attempt that was reconciled, the amendment to its record.
        call: &'a str,
        /// The attempt.
        attempt: &'a [u8],
        /// How.
        ending: Ending,
        /// Whether `call` is an amendment.
        amends: bool,
    },
    /// The head is whole.
    Ready,
    /// An attempt reserved, and what is counted at once was settled.
    Reserve {
        /// The reservation's number.
        id: u64,
        /// When.
        at: Timestamp,
        /// The call.
        call: &'a str,
        /// What it has.
        holds: Vec<Hold>,
        /// What was settled with it.
        settled: Vec<Effect>,
        /// The attempt, as [`AttemptFacts`](super::AttemptFacts) writes it; empty when that isn't known.
        attempt: &'a [u8],
    },
    /// A reservation ended.
    Settle {
        /// Its number.
        id: u64,
        /// What was used.
        settled: Vec<Effect>,
        /// How the attempt ended, if its host said so.
        ending: Option<Ending>,
    },
    /// A reservation has less than before: the amounts, in the order of its holds.
    Shrink {
        /// Its number.
        id: u64,
        /// What it keeps.
        kept: Vec<i64>,
    },
    /// Nobody knows the outcome of an attempt.
    Hold {
        /// The reservation's number.
        id: u64,
        /// Since when.
        at: Timestamp,
        /// How its host saw it end, if it did.
        class: Option<OutcomeClass>,
    },
    /// Something was settled without a reservation: counted from before there was a counter.
    Adjust {
        /// What.
        settled: Vec<Effect>,
    },
    /// Something was settled that no usage record says: carried into a new window, or set back.
    Carry {
        /// What.
        settled: Vec<Effect>,
    },
    /// A usage record.
    Record {
        /// The call, or the amendment; empty from a version that didn't write it.
        call: &'a str,
        /// As JSON.
        json: &'a [u8],
    },
    /// Everything before this number had reached the disk when this was written.
    Durable {
        /// The number.
        before: u64,
    },
}

const SEGMENT: u8 = 1;
const COUNTER: u8 = 2;
const OPEN: u8 = 3;
const READY: u8 = 4;
const RESERVE: u8 = 5;
const SETTLE: u8 = 6;
const SHRINK: u8 = 7;
const HOLD: u8 = 8;
const ADJUST: u8 = 9;
/// A record without its call's id: only read.
const RECORD: u8 = 10;
const DURABLE: u8 = 11;
const RECORD_OF: u8 = 12;
const ENDED: u8 = 13;
const CARRY: u8 = 14;

impl<'a> Event<'a> {
    /// Appends it as a frame.
    pub fn put(&self, seq: u64, out: &mut Vec<u8>) {
        frame::put(out, |out| {
            let kind = |out: &mut Vec<u8>, kind: u8| {
                out.push(kind);
                put(out, seq);
            };
            match self {
                Event::Segment { journal, at } => {
                    kind(out, SEGMENT);
                    out.extend_from_slice(&journal.0.to_le_bytes());
                    put_signed(out, at.as_ms());
                }
                Event::Counter { cell, key } => {
                    kind(out, COUNTER);
                    put(out, u64::from(*cell));
                    // INVARIANT: a counter's key is strings and numbers, which always serialize.
                    put_bytes(out, &serde_json::to_vec(key).unwrap_or_default());
                }
                Event::Open { id, at, held, call, holds, attempt, class, recorded } => {
                    kind(out, OPEN);
                    put(out, *id);
                    put_signed(out, at.as_ms());
                    out.push(u8::from(*held));
                    put_bytes(out, call.as_bytes());
                    put_holds(out, holds, at.as_ms());
                    put_bytes(out, attempt);
                    attempt::put_class(out, *class);
                    out.push(u8::from(*recorded));
                }
                Event::Ended { call, attempt, ending, amends } => {
                    kind(out, ENDED);
                    put_bytes(out, call.as_bytes());
                    put_bytes(out, attempt);
                    attempt::put_ending(out, ending);
                    out.push(u8::from(*amends));
                }
                Event::Ready => kind(out, READY),
                Event::Reserve { id, at, call, holds, settled, attempt } => {
                    kind(out, RESERVE);
                    put_reserve(out, (*id, *at, call), holds, settled, attempt);
                }
                Event::Settle { id, settled, ending } => {
                    kind(out, SETTLE);
                    put_settle(out, *id, settled, ending.as_ref());
                }
                Event::Shrink { id, kept } => {
                    kind(out, SHRINK);
                    put(out, *id);
                    put(out, kept.len() as u64);
                    kept.iter().for_each(|amount| put_signed(out, *amount));
                }
                Event::Hold { id, at, class } => {
                    kind(out, HOLD);
                    put(out, *id);
                    put_signed(out, at.as_ms());
                    attempt::put_class(out, *class);
                }
                Event::Adjust { settled } => {
                    kind(out, ADJUST);
                    put_effects(out, settled);
                }
                Event::Carry { settled } => {
                    kind(out, CARRY);
                    put_effects(out, settled);
                }
                Event::Record { call, json } => {
                    kind(out, RECORD_OF);
                    put_bytes(out, call.as_bytes());
                    out.extend_from_slice(json);
                }
                Event::Durable { before } => {
                    kind(out, DURABLE);
                    put(out, *before);
                }
            }
        });
    }

    /// Reads a payload: the event and its number. `None` when it is none of this version's, nor of the one before, whose
    /// events end earlier.
    pub fn read(payload: &'a [u8]) -> Option<(u64, Self)> {
        let mut from = Reader(payload);
        let kind = from.byte()?;
        let seq = from.number()?;
        let event = match kind {
            SEGMENT => {
                let (id, rest) = from.0.split_first_chunk::<16>()?;
                from.0 = rest;
                let journal = JournalId(u128::from_le_bytes(*id));
                Event::Segment { journal, at: Timestamp::from_ms(from.signed()?) }
            }
            COUNTER => {
                let cell = u32::try_from(from.number()?).ok()?;
                Event::Counter { cell, key: serde_json::from_slice(from.bytes()?).ok()? }
            }
            OPEN => {
                let (id, at, held) = (from.number()?, from.signed()?, from.byte()? != 0);
                let (call, holds) = (from.text()?, holds(&mut from, at)?);
                let (attempt, class, recorded) = match from.is_empty() {
                    true => (&[][..], None, false),
                    false => (from.bytes()?, attempt::maybe_class(&mut from)?, from.byte()? != 0),
                };
                Event::Open { id, at: Timestamp::from_ms(at), held, call, holds, attempt, class, recorded }
            }
            ENDED => {
                let (call, attempt) = (from.text()?, from.bytes()?);
                let ending = attempt::ending(&mut from)?;
                Event::Ended { call, attempt, ending, amends: from.byte()? != 0 }
            }
            READY => Event::Ready,
            RESERVE => {
                let (id, at, call) = (from.number()?, from.signed()?, from.text()?);
                let (holds, settled) = (holds(&mut from, at)?, effects(&mut from)?);
                let attempt = if from.is_empty() { &[][..] } else { from.bytes()? };
                Event::Reserve { id, at: Timestamp::from_ms(at), call, holds, settled, attempt }
            }
            SETTLE => {
                let (id, settled) = (from.number()?, effects(&mut from)?);
                let ending = if from.is_empty() { None } else { Some(attempt::ending(&mut from)?) };
                Event::Settle { id, settled, ending }
            }
            SHRINK => {
                let (id, count) = (from.number()?, from.count()?);
                Event::Shrink { id, kept: (0..count).map(|_| from.signed()).collect::<Option<_>>()? }
            }
            HOLD => {
                let (id, at) = (from.number()?, Timestamp::from_ms(from.signed()?));
                let class = if from.is_empty() { None } else { attempt::maybe_class(&mut from)? };
                Event::Hold { id, at, class }
            }
            ADJUST => Event::Adjust { settled: effects(&mut from)? },
            CARRY => Event::Carry { settled: effects(&mut from)? },
            RECORD => return Some((seq, Event::Record { call: "", json: from.0 })),
            RECORD_OF => {
                let call = from.text()?;
                return Some((seq, Event::Record { call, json: from.0 }));
            }
            DURABLE => Event::Durable { before: from.number()? },
            _ => return None,
        };
        from.is_empty().then_some((seq, event))
    }
}

/// [`Event::Reserve`] from what is at hand, without making one.
pub(super) fn put_reserve_event(
    out: &mut Vec<u8>,
    seq: u64,
    of: (u64, Timestamp, &str),
    holds: &[Hold],
    settled: &[Effect],
    attempt: &[u8],
) {
    frame::put(out, |out| {
        out.push(RESERVE);
        put(out, seq);
        put_reserve(out, of, holds, settled, attempt);
    });
}

/// [`Event::Settle`] likewise.
pub(super) fn put_settle_event(
    out: &mut Vec<u8>,
    seq: u64,
    id: u64,
    settled: &[Effect],
    ending: Option<&Ending>,
) {
    frame::put(out, |out| {
        out.push(SETTLE);
        put(out, seq);
        put_settle(out, id, settled, ending);
    });
}

fn put_settle(out: &mut Vec<u8>, id: u64, settled: &[Effect], ending: Option<&Ending>) {
    put(out, id);
    put_effects(out, settled);
    if let Some(ending) = ending {
        attempt::put_ending(out, ending);
    }
}

fn put_reserve(
    out: &mut Vec<u8>,
    (id, at, call): (u64, Timestamp, &str),
    holds: &[Hold],
    settled: &[Effect],
    attempt: &[u8],
) {
    put(out, id);
    put_signed(out, at.as_ms());
    put_bytes(out, call.as_bytes());
    put_holds(out, holds, at.as_ms());
    put_effects(out, settled);
    put_bytes(out, attempt);
}

// Windows begin shortly before the reservation: the distance has fewer bytes than the time. It may be a lifetime's.
fn put_holds(out: &mut Vec<u8>, holds: &[Hold], at: i64) {
    put(out, holds.len() as u64);
    for hold in holds {
        put(out, u64::from(hold.cell) << 1 | u64::from(hold.of_channel));
        put_signed(out, at.wrapping_sub(hold.start));
        put_signed(out, hold.amount);
    }
}

fn holds(from: &mut Reader<'_>, at: i64) -> Option<Vec<Hold>> {
    let count = from.count()?;
    let mut holds = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let (cell, back, amount) = (from.number()?, from.signed()?, from.signed()?);
        let of_channel = cell & 1 == 1;
        holds.push(Hold {
            cell: u32::try_from(cell >> 1).ok()?,
            start: at.wrapping_sub(back),
            amount,
            of_channel,
        });
    }
    Some(holds)
}

fn put_effects(out: &mut Vec<u8>, effects: &[Effect]) {
    put(out, effects.len() as u64);
    for effect in effects {
        put(out, u64::from(effect.cell));
        put_signed(out, effect.start);
        put_signed(out, effect.amount);
    }
}

fn effects(from: &mut Reader<'_>) -> Option<Vec<Effect>> {
    let count = from.count()?;
    let mut effects = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        effects.push(Effect {
            cell: u32::try_from(from.number()?).ok()?,
            start: from.signed()?,
            amount: from.signed()?,
        });
    }
    Some(effects)
}

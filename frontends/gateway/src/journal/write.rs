//! Writing the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::Ledger;
use sluicegate_core::{Clock, Error, ErrorKind, Result};

use super::sync::{self, Progress, lost_disk};
use super::{Disk, DiskFile, Durability};

/// How to write a journal.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// What a write must survive.
    pub durability: Durability,
    /// Room that a segment takes on the disk, in bytes. A new one begins when it is full. Default 32 MiB.
    pub segment_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { durability: Durability::Process, segment_bytes: 32 << 20 }
    }
}

/// Writes what the ledger logs. Cheap to clone; clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({})", self.shared.id)
    }
}

pub(super) struct Shared {
    id: JournalId,
    ledger: Arc<Mutex<Ledger>>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: JournalOptions,
    /// One tidies at a time: what it found gone must be what it removes. Taken before `files`.
    tidying: Mutex<()>,
    // Taken before the ledger's lock, never while that is held.
    files: Mutex<Files>,
    progress: Arc<Progress>,
    /// The last write failed; the next that succeeds clears it.
    failing: AtomicBool,
}

struct Files {
    file: Arc<dyn DiskFile>,
    number: u64,
    /// Where the next byte goes.
    at: u64,
    /// Events before this number are in the file.
    written: u64,
    /// Older segments, and the number of the first event that came after each.
    old: Vec<(u64, u64)>,
    /// The next segment, made before it is needed.
    next: Option<Arc<dyn DiskFile>>,
    /// Taken from the ledger and not yet written: all of it, after a failed write.
    // BOUND: what one moment logs; while writes fail, what the calls under way still settle.
    buffer: Vec<u8>,
    /// The head of the segment that is to follow, and what comes after it.
    head: Vec<u8>,
    /// How much of it is the head alone.
    next_head_bytes: usize,
    /// How long the head of this segment is: a segment is at least four times as long, whatever the options say.
    head_bytes: u64,
}

impl Journal {
    /// Begins a segment of the journal `id` with what is open now, logs from there on, and removes the segments in
    /// `old`: what they say must be in the database and in this ledger. `next` is the number of the next event.
    ///
    /// # Errors
    /// `Store` when the disk can't be written; then the old segments are still there.
    pub fn start(
        ledger: Arc<Mutex<Ledger>>,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: JournalOptions,
        (id, next): (JournalId, u64),
        old: &[u64],
    ) -> Result<Self> {
        let number = old.last().map_or(1, |last| last + 1);
        let mut head = Vec::new();
        let written = {
            let mut ledger = ledger.lock();
            ledger.start_log(id, next, clock.now());
            ledger.take_log(&mut head, 0)
        };
        let begin = || {
            let file = disk.create(number, options.segment_bytes)?;
            file.write_at(0, &head)?;
            file.sync()?;
            disk.sync_names()?;
            let Some(_right) = disk.removal()? else {
                // Somebody copies them: they go when the first others do.
                return Ok((file, old.iter().map(|number| (*number, next)).collect()));
            };
            old.iter().try_for_each(|number| disk.remove(*number))?;
            Ok((file, Vec::new()))
        };
        let (file, left) = begin().map_err(|why: std::io::Error| unwritten(&why))?;
        let files = Files {
            file,
            number,
            at: head.len() as u64,
            written,
            old: left,
            next: None,
            buffer: Vec::new(),
            head_bytes: head.len() as u64,
            next_head_bytes: 0,
            head: Vec::new(),
        };
        let progress = Arc::new(Progress::default());
        progress.reach(written);
        let shared = Arc::new(Shared {
            id,
            ledger,
            disk,
            clock,
            options,
            tidying: Mutex::new(()),
            files: Mutex::new(files),
            progress: Arc::clone(&progress),
            failing: AtomicBool::new(false),
        });
        Ok(Self { shared })
    }

    /// Starts the thread that brings writes to the disk, where the options ask for it.
    ///
    /// # Errors
    /// `Store` when there can't be another thread.
    pub fn sync_in_background(&self) -> Result<()> {
        if !self.waits() {
            return Ok(());
        }
        let (progress, journal) = (Arc::clone(&self.shared.progress), Arc::downgrade(&self.shared));
        sync::start(progress, journal).map_err(|why| unwritten(&why))
    }

    /// Brings what is written to the disk, for hosts without the thread.
    ///
    /// # Errors
    /// `Store` when the disk failed; no call may be admitted any more.
    pub fn sync(&self) -> Result<()> {
        self.shared.sync();
        if self.shared.progress.has_failed() { Err(lost_disk()) } else { Ok(()) }
    }

    /// Which journal it is.
    pub fn id(&self) -> JournalId {
        self.shared.id
    }

    /// Writes everything that the ledger has logged so far, and says the number of the next event. When it returns, that
    /// survives the end of the process; see [`Self::durable`] for the end of power. Blocks for one write, seldom two.
    ///
    /// # Errors
    /// `Store` when the disk is full or fails. Nothing is lost while the process lives: the next commit writes it.
    pub fn commit(&self) -> Result<u64> {
        let shared = &*self.shared;
        let mut files = shared.files.lock();
        let done = shared.write(&mut files, false);
        shared.failing.store(done.is_err(), Ordering::Release);
        let written = done.map_err(|why| unwritten(&why))?;
        drop(files);
        if shared.options.durability == Durability::Power {
            shared.progress.want();
        }
        Ok(written)
    }

    /// Waits until everything before this number survives what the options ask for: at once for
    /// [`Durability::Process`].
    ///
    /// # Errors
    /// `Store` when the disk failed.
    pub async fn durable(&self, before: u64) -> Result<()> {
        match self.shared.options.durability {
            Durability::Process => Ok(()),
            Durability::Power => self.shared.progress.wait_for(before).await,
        }
    }

    /// Whether writes wait for the disk, so that [`Self::durable`] may have to wait.
    pub fn waits(&self) -> bool {
        self.shared.options.durability == Durability::Power
    }

    /// Whether calls may be admitted: what they do can be written.
    ///
    /// # Errors
    /// `Store` while it can't.
    pub fn ready(&self) -> Result<()> {
        if self.shared.progress.has_failed() {
            return Err(lost_disk());
        }
        if self.shared.failing.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Store,
                "the journal can't be written, so no call is admitted; make room on its disk",
            ));
        }
        Ok(())
    }

    /// The database has everything before this number: removes segments that nobody needs any more, and makes the next
    /// one before it is needed. Blocks for the disk; not for the hot path.
    ///
    /// # Errors
    /// `Store` when the disk can't be written.
    pub fn checkpointed(&self, position: u64) -> Result<()> {
        self.shared.tidy(position).map_err(|why| unwritten(&why))
    }

    /// Begins a segment that holds only what is open, and removes those of which the database has everything, so that the
    /// next start has little to read. For a gateway that stops: the database has all before `position`. Blocks for the
    /// disk.
    ///
    /// # Errors
    /// `Store` when the disk can't be written; then the next start reads more.
    pub fn retire(&self, position: u64) -> Result<()> {
        let shared = &*self.shared;
        let written = {
            let mut files = shared.files.lock();
            shared.write(&mut files, true)
        };
        written.map_err(|why| unwritten(&why))?;
        self.checkpointed(position)
    }

    /// Bytes and events so far, for people: the segment's number, its length, older segments, the number of the next event.
    pub fn extent(&self) -> (u64, u64, usize, u64) {
        let files = self.shared.files.lock();
        (files.number, files.at, files.old.len(), files.written)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.progress.end();
    }
}

impl Shared {
    /// Writes what was logged; into a new segment when this one is full, or is to be left.
    fn write(&self, files: &mut Files, leave: bool) -> std::io::Result<u64> {
        let room = self.options.segment_bytes.max(files.head_bytes.saturating_mul(4));
        let is_full =
            leave || files.at.saturating_add(files.buffer.len() as u64) >= room || !files.head.is_empty();
        let durable = self.progress.durable();
        let next = {
            let mut ledger = self.ledger.lock();
            if is_full && files.head.is_empty() {
                let first = ledger.take_log(&mut files.buffer, durable);
                files.old.push((files.number, first));
                ledger.begin_segment(self.clock.now());
                // No mark in it: what stands behind `Ready` may only be written once the head is on the disk.
                ledger.take_log(&mut files.head, 0);
                files.next_head_bytes = files.head.len();
            }
            let out = if is_full { &mut files.head } else { &mut files.buffer };
            ledger.take_log(out, durable)
        };
        if !files.buffer.is_empty() {
            files.file.write_at(files.at, &files.buffer)?;
            files.at += files.buffer.len() as u64;
            files.buffer.clear();
        }
        if is_full {
            self.turn(files)?;
        }
        files.written = next;
        Ok(next)
    }

    /// Goes on in a new segment.
    fn turn(&self, files: &mut Files) -> std::io::Result<()> {
        // The new segment stands for the old one's open reservations only once the old one's settlements are safe.
        if self.options.durability == Durability::Power {
            files.file.sync()?;
        }
        let number = files.number + 1;
        let file = match files.next.take() {
            Some(file) => file,
            None => self.make(number)?,
        };
        // Kept for another try if the write fails.
        files.next = Some(Arc::clone(&file));
        // The head before everything else: what stands behind one that isn't whole is damage.
        let (head, rest) = files.head.split_at_checked(files.next_head_bytes).unwrap_or((&files.head, &[]));
        file.write_at(0, head)?;
        if self.options.durability == Durability::Power {
            file.sync()?;
        }
        if !rest.is_empty() {
            file.write_at(head.len() as u64, rest)?;
        }
        files.next = None;
        files.at = files.head.len() as u64;
        files.head_bytes = files.next_head_bytes as u64;
        files.head.clear();
        files.head.shrink_to(1 << 20);
        (files.file, files.number) = (file, number);
        Ok(())
    }

    fn make(&self, number: u64) -> std::io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(number, self.options.segment_bytes)?;
        self.disk.sync_names()?;
        Ok(file)
    }

    fn tidy(&self, position: u64) -> std::io::Result<()> {
        let _alone = self.tidying.lock();
        let (file, written, gone) = {
            let mut files = self.files.lock();
            // One that couldn't be left yet stands among the old ones and is still written.
            let is_gone = |(number, after): &&(u64, u64)| *after <= position && *number < files.number;
            let gone = files.old.iter().take_while(is_gone).count();
            if files.next.is_none() && files.at > self.options.segment_bytes / 2 {
                // Under the lock, seldom as it is: a commit that turned meanwhile would find its new segment emptied.
                files.next = Some(self.make(files.number + 1)?);
            }
            (Arc::clone(&files.file), files.written, gone)
        };
        if gone == 0 {
            return Ok(());
        }
        // Segments that somebody copies stay until the next time.
        let Some(_right) = self.disk.removal()? else { return Ok(()) };
        // What is open is now only in the newest segment, which must outlive the machine before the others go.
        file.sync()?;
        self.progress.reach(written);
        let removed: Vec<(u64, u64)> = self.files.lock().old.drain(..gone).collect();
        removed.iter().try_for_each(|(number, _)| self.disk.remove(*number))
    }

    /// Brings what is written to the disk. On the thread that does nothing else.
    pub(super) fn sync(&self) {
        let (file, written) = {
            let files = self.files.lock();
            (Arc::clone(&files.file), files.written)
        };
        match file.sync() {
            Ok(()) => self.progress.reach(written),
            Err(why) => {
                tracing::error!(%why, "the journal's disk failed; no call is admitted any more");
                self.progress.fail();
            }
        }
    }
}

fn unwritten(why: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Store,
        format!("the journal can't be written: {why}; make room on its disk, or mend it"),
    )
}

//! A disk that forgets what it may forget, at the worst moment.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use sluicegate::journal::{Disk, DiskFile};

use crate::rng::Rng;

/// Power is lost in units of this.
const SECTOR: usize = 512;

/// Where a history may end its process: each operation that leaves a trace outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Write,
    Sync,
    SyncNames,
    Remove,
    Database,
}

/// When in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Before,
    Amid,
    After,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Crash {
    /// What was written stays written.
    Kill,
    /// What was not synced may be there, in part, in any order, or not.
    PowerLoss,
}

#[derive(Default)]
struct File {
    /// As the operating system has it.
    content: Vec<u8>,
    /// As the disk has it.
    durable: Vec<u8>,
    /// Written since the last sync.
    pending: Vec<(usize, Vec<u8>)>,
    room: u64,
    /// The disk knows its name.
    named: bool,
}

struct State {
    files: BTreeMap<u64, File>,
    removed: Vec<(u64, File)>,
    rng: Rng,
    /// Operations until the crash.
    fuse: Option<u64>,
    crashed: bool,
    full: bool,
    /// What the last crash hit.
    hit: Option<(Operation, Moment)>,
    operations: u64,
}

pub struct SimDisk(Mutex<State>);

impl SimDisk {
    pub fn new(seed: u64) -> Arc<Self> {
        let state = State {
            files: BTreeMap::new(),
            removed: Vec::new(),
            rng: Rng::new(seed),
            fuse: None,
            crashed: false,
            full: false,
            hit: None,
            operations: 0,
        };
        Arc::new(Self(Mutex::new(state)))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The process ends at the operation after so many others.
    pub fn light(&self, fuse: u64) {
        self.state().fuse = Some(fuse);
    }

    /// How many there were so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// The process ends between two operations.
    pub fn crash_now(&self) {
        self.state().crashed = true;
    }

    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// What is there after a crash of this kind; operations work again. Returns what was hit, if an operation was.
    pub fn restart(&self, crash: Crash) -> Option<(Operation, Moment)> {
        let mut state = self.state();
        let State { files, removed, rng, .. } = &mut *state;
        if crash == Crash::PowerLoss {
            // A name that wasn't synced may be gone; one that was removed may be back.
            for (number, file) in removed.drain(..) {
                if rng.percent(50) {
                    files.entry(number).or_insert(file);
                }
            }
            files.retain(|_, file| file.named || rng.percent(50));
            files.values_mut().for_each(|file| file.lose_power(rng));
        }
        removed.clear();
        for file in files.values_mut() {
            file.durable.clone_from(&file.content);
            file.pending.clear();
            file.named = true;
        }
        (state.crashed, state.fuse, state.full) = (false, None, false);
        state.hit.take()
    }

    /// Runs an operation, unless the process ends before it; it may end after it, too. `amid` is what happens when it ends
    /// in the middle.
    pub fn operate<T>(
        &self,
        operation: Operation,
        run: impl FnOnce(&mut dyn FnMut() -> bool) -> io::Result<T>,
    ) -> io::Result<T> {
        let ended = || io::Error::other("the process has ended");
        let moment = {
            let mut state = self.state();
            if state.crashed {
                return Err(ended());
            }
            state.operations += 1;
            match state.fuse {
                Some(0) => {
                    state.crashed = true;
                    let moment = match state.rng.below(3) {
                        0 => Moment::Before,
                        1 => Moment::Amid,
                        _ => Moment::After,
                    };
                    state.hit = Some((operation, moment));
                    Some(moment)
                }
                Some(left) => {
                    state.fuse = Some(left - 1);
                    None
                }
                None => None,
            }
        };
        match moment {
            None => run(&mut || false),
            Some(Moment::Before) => Err(ended()),
            Some(Moment::Amid) => run(&mut || true).and(Err(ended())),
            Some(Moment::After) => run(&mut || false).and(Err(ended())),
        }
    }
}

impl File {
    fn lose_power(&mut self, rng: &mut Rng) {
        let mut content = self.durable.clone();
        for (at, bytes) in &self.pending {
            if rng.percent(40) {
                continue;
            }
            // Each sector of a write by itself.
            let mut from = 0;
            while from < bytes.len() {
                let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
                if !rng.percent(15) {
                    put(&mut content, at + from, &bytes[from..to]);
                }
                from = to;
            }
        }
        self.content = content;
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left")
}

/// The handle that the journal has.
pub struct Handle(pub Arc<SimDisk>);

struct HandleFile(Arc<SimDisk>, u64);

impl Disk for Handle {
    fn list(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.state().files.keys().copied().collect())
    }

    fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        self.0
            .state()
            .files
            .get(&number)
            .map(|file| file.content.clone())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn create(&self, number: u64, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.0.operate(Operation::Create, |amid| {
            let mut state = self.0.state();
            if state.full {
                return Err(full());
            }
            if !amid() {
                state.files.insert(number, File { room: bytes, ..File::default() });
            }
            Ok(())
        })?;
        Ok(Arc::new(HandleFile(Arc::clone(&self.0), number)))
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        self.0.operate(Operation::Remove, |amid| {
            let mut state = self.0.state();
            if !amid()
                && let Some(file) = state.files.remove(&number)
            {
                state.removed.push((number, file));
            }
            Ok(())
        })
    }

    fn set_aside(&self, number: u64) -> io::Result<String> {
        self.0.state().files.remove(&number);
        Ok(format!("{number} aside"))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.0.operate(Operation::SyncNames, |amid| {
            let mut state = self.0.state();
            if !amid() {
                state.removed.clear();
                state.files.values_mut().for_each(|file| file.named = true);
            }
            Ok(())
        })
    }

    fn name(&self, number: u64) -> String {
        format!("segment {number}")
    }
}

impl DiskFile for HandleFile {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.operate(Operation::Write, |amid| {
            let mut state = self.0.state();
            let State { files, rng, full: is_full, .. } = &mut *state;
            let Some(file) = files.get_mut(&self.1) else { return Err(io::ErrorKind::NotFound.into()) };
            if *is_full && at + bytes.len() as u64 > file.room {
                return Err(full());
            }
            let bytes = if amid() { &bytes[..rng.below(bytes.len() as u64) as usize] } else { bytes };
            put(&mut file.content, at as usize, bytes);
            file.pending.push((at as usize, bytes.to_vec()));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.0.operate(Operation::Sync, |amid| {
            let mut state = self.0.state();
            if let Some(file) = state.files.get_mut(&self.1)
                && !amid()
            {
                for (at, bytes) in std::mem::take(&mut file.pending) {
                    put(&mut file.durable, at, &bytes);
                }
            }
            Ok(())
        })
    }
}

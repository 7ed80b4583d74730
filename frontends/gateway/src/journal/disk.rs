//! Where segments are kept.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of segments, each known by its number.
///
/// What [`DiskFile::write_at`] wrote survives the process; what [`DiskFile::sync`] returned for survives the machine.
/// A file that [`Self::create`] made is in the folder after the next [`Self::sync_names`].
pub trait Disk: Send + Sync {
    /// The numbers of all segments, ascending.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn list(&self) -> io::Result<Vec<u64>>;

    /// A segment's bytes.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn read(&self, number: u64) -> io::Result<Vec<u8>>;

    /// Makes an empty segment with room for so many bytes, in place of one of the same number.
    ///
    /// # Errors
    /// Whatever the disk says; that it is full, when there is no room.
    fn create(&self, number: u64, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a segment. That it isn't there is no error.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn remove(&self, number: u64) -> io::Result<()>;

    /// Takes a damaged segment out of the list without losing it, and says where it is now.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn set_aside(&self, number: u64) -> io::Result<String>;

    /// Makes the folder's own entries survive the machine.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn sync_names(&self) -> io::Result<()>;

    /// A segment's name for people.
    fn name(&self, number: u64) -> String;

    /// The right to remove segments, for as long as the answer is kept; `None` while somebody copies them. By default
    /// nobody ever does.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn removal(&self) -> io::Result<Option<Removal>> {
        Ok(Some(Removal(None)))
    }
}

/// The right to remove segments.
#[derive(Debug)]
pub struct Removal(#[expect(dead_code, reason = "the lock lives as long as the file is open")] Option<File>);

/// As long as this is kept, no segment of a folder is removed, whoever writes there. The operating system ends it with the
/// process.
#[derive(Debug)]
pub struct Keeping(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

/// An open segment.
pub trait DiskFile: Send + Sync {
    /// Writes all bytes at this place. Part of them may be there after an error.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written so far survive the machine. After an error nothing can be said of what was written
    /// since the last success, nor by trying again.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the operating system.
#[derive(Clone, Debug)]
pub struct OsDisk(PathBuf);

impl OsDisk {
    /// Opens the folder, which is made when it doesn't exist, for its owner only.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// Keeps every segment that is there, and that comes, for whoever copies them. Waits for a removal under way.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn keep(&self) -> io::Result<Keeping> {
        let file = self.lock_file()?;
        file.lock_shared()?;
        Ok(Keeping(file))
    }

    fn lock_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.0.join("lock"))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(file_name(number))
    }
}

/// A segment's file.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:010}.journal")
}

impl Disk for OsDisk {
    fn list(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".journal")?.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        std::fs::read(self.path(number))
    }

    fn create(&self, number: u64, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.path(number))?;
        if let Err(full) = reserve_room(&file, bytes) {
            // A segment that can't be filled is none. That it can't be removed either changes nothing.
            let _ = std::fs::remove_file(self.path(number));
            return Err(full);
        }
        Ok(Arc::new(OsFile(file)))
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        match std::fs::remove_file(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn set_aside(&self, number: u64) -> io::Result<String> {
        let path = self.path(number);
        // BOUND: one name is free sooner or later; a thousand repairs of one segment are none.
        for copy in 0..1_000 {
            let aside = path.with_extension(format!("damaged-{copy}"));
            if !aside.exists() {
                std::fs::rename(&path, &aside)?;
                return Ok(aside.display().to_string());
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many damaged segments were set aside"))
    }

    fn sync_names(&self) -> io::Result<()> {
        #[cfg(unix)]
        File::open(&self.0)?.sync_all()?;
        Ok(())
    }

    fn name(&self, number: u64) -> String {
        self.path(number).display().to_string()
    }

    fn removal(&self) -> io::Result<Option<Removal>> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Removal(Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(why)) => Err(why),
        }
    }
}

struct OsFile(File);

impl DiskFile for OsFile {
    #[cfg(unix)]
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, at)
    }

    #[cfg(windows)]
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let rest = bytes.get(written..).unwrap_or_default();
            written += std::os::windows::fs::FileExt::seek_write(&self.0, rest, at + written as u64)?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Takes the room on the disk now, so that a full disk is met here and not in the middle of a call, and so that a sync
/// needn't write the file's length.
fn reserve_room(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        // Some file systems can't; then the room is taken as it is needed.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        done => return Ok(done?),
    }
    file.set_len(bytes)
}

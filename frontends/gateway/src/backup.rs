//! A copy of a data directory in one file, made while a gateway serves from it, and the way back.
//!
//! A backup holds the embedded database as it was at one moment and every segment of the journal from before that moment
//! until after it, so that the two fit: what was settled before the backup began is in one of them, and the journal's
//! position, which is in the database, says what is in both. For why this order and no other, see
//! `docs/decisions/0011-a-backup-is-the-database-first.md`.
//!
//! The master secret isn't in it: it lies elsewhere, and a backup alone gives away no credential.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sluicegate_config::{DatabaseUrl, HostSettings};
use sluicegate_core::{Error, ErrorKind, Result, Timestamp};

use crate::journal::{self, Disk as _, OsDisk, Owner, file_name};
use crate::start::make_private_dir;
use crate::store;

/// The embedded database in a data directory.
pub(crate) const DATABASE: &str = "sluicegate.db";
const JOURNAL: &str = "journal";
const MANIFEST: &str = "manifest.json";
/// The version of the format.
const FORMAT: u32 = 1;
/// So often the journal is copied before what looks like damage is believed to be some.
const TRIES: u32 = 3;
/// No manifest is longer: it has a line for each of a few segments.
const MANIFEST_MAX_BYTES: u64 = 16 << 20;

/// What a backup holds. The first thing in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format: 1.
    pub format: u32,
    /// The version of the program that made it.
    pub version: String,
    /// When it was begun.
    pub made_at: Timestamp,
    /// The files, in their order.
    pub files: Vec<FileEntry>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it lies in the data directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Where the embedded database of a data directory is, given what the command line and the configuration name.
///
/// # Errors
/// `Config` for a database that isn't embedded, with what to do for it instead.
pub fn database_of(address: Option<&str>, host: &HostSettings, data_dir: &Path) -> Result<PathBuf> {
    let elsewhere = |what: &str| Err(Error::new(ErrorKind::Config, what.to_owned()));
    const POSTGRES: &str = "the database is a PostgreSQL server, which has backups of its own: use pg_dump or its archiving, and \
        keep this data directory as it is; see docs/operations.md";
    match (address, &host.database) {
        (Some(address), _) if address.starts_with("postgres://") || address.starts_with("postgresql://") => {
            elsewhere(POSTGRES)
        }
        (Some("memory" | ":memory:"), _) => {
            elsewhere("a database in memory ends with its gateway: there is nothing to copy")
        }
        (Some(address), _) => {
            let path = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:"));
            Ok(PathBuf::from(path.unwrap_or(address)))
        }
        (None, Some(DatabaseUrl::Postgres(_))) => elsewhere(POSTGRES),
        (None, Some(DatabaseUrl::Sqlite(path))) => Ok(PathBuf::from(path)),
        (None, None) => Ok(data_dir.join(DATABASE)),
    }
}

/// Copies a data directory and its embedded database into one file, while a gateway may serve from them. Needs room for
/// the database twice, beside the file, until it is done. Works on the calling thread.
///
/// # Errors
/// `Config` when there is nothing to copy, or the file exists. `Store` when something can't be read or written, or when
/// what was copied doesn't fit together; then there is no file.
pub async fn backup(data_dir: &Path, database: &Path, to: &Path, now: Timestamp) -> Result<Manifest> {
    if !database.is_file() {
        let message =
            format!("there is no database `{}`; name the data directory with --data", database.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    if to.exists() {
        let message = format!("`{}` exists; name a new file, a backup replaces none", to.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    let work = Draft::new(to)?;
    let (copy, segments) = (work.0.join(DATABASE), work.0.join(JOURNAL));
    let failed = |why: io::Error| failed("the journal can't be copied", &why);
    let disk = OsDisk::open(&data_dir.join(JOURNAL)).map_err(failed)?;
    // INVARIANT: from here on no segment goes, and the database's position only grows: what it lacks is in a segment.
    let keeping = disk.keep().map_err(failed)?;
    let positions = store::copy_embedded(database, &copy).await?;
    let mut tries = 0;
    let numbers = loop {
        tries += 1;
        let numbers = copy_journal(&disk, &segments).map_err(failed)?;
        // What is damaged or missing is found now, not when it is needed.
        match verify(&segments, &positions) {
            Ok(()) => break numbers,
            // A place that was read just before it was written, and the next just after, looks like damage.
            Err(error) if tries < TRIES => tracing::debug!(%error, "the journal is copied again"),
            Err(error) => return Err(error),
        }
    };
    drop(keeping);
    let names = numbers.iter().map(|number| format!("{JOURNAL}/{}", file_name(*number)));
    let files = std::iter::once(DATABASE.to_owned()).chain(names).map(|name| entry(&work.0, name));
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now,
        files: files.collect::<io::Result<_>>().map_err(failed)?,
    };
    write_archive(&work, &manifest, to).map_err(|why| self::failed("the backup can't be written", &why))?;
    Ok(manifest)
}

/// Puts a backup's files into a data directory without any. Works on the calling thread.
///
/// # Errors
/// `Config` when the directory has data, or belongs to a running gateway. `Store` when the backup is damaged or isn't one,
/// or something can't be read or written; then the directory has no data.
pub fn restore(from: &Path, data_dir: &Path) -> Result<Manifest> {
    let unread = |why: io::Error| failed(&format!("the backup `{}` can't be used", from.display()), &why);
    let archive = File::open(from).map_err(unread)?;
    make_private_dir(data_dir)?;
    let _owner = Owner::take(data_dir)?;
    let draft = data_dir.join("restoring");
    // What an earlier try left is of no use.
    let _ = fs::remove_dir_all(&draft);
    refuse_data(data_dir)?;
    make_private_dir(&draft.join(JOURNAL))?;
    let restored = unpack(archive, &draft).map_err(unread).and_then(|manifest| {
        let placed = |why: io::Error| failed("the data directory can't be written", &why);
        // The journal first: without its database it is refused, whereas a database without it forgets in silence.
        fs::rename(draft.join(JOURNAL), data_dir.join(JOURNAL)).map_err(placed)?;
        sync_dir(data_dir).map_err(placed)?;
        fs::rename(draft.join(DATABASE), data_dir.join(DATABASE)).map_err(placed)?;
        sync_dir(data_dir).map_err(placed)?;
        Ok(manifest)
    });
    let _ = fs::remove_dir_all(&draft);
    restored
}

/// Fails when the directory holds anything but its owner's note.
fn refuse_data(dir: &Path) -> Result<()> {
    let failed = |why: io::Error| failed("the data directory can't be read", &why);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // A fresh volume has a folder of its own.
        if name != "owner" && name != "lost+found" {
            let message = format!(
                "the data directory `{}` isn't empty (`{}` is in it); choose another with --data",
                dir.display(),
                name.display()
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    Ok(())
}

/// Copies every segment that is there, and says which.
fn copy_journal(disk: &OsDisk, to: &Path) -> io::Result<Vec<u64>> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    OsDisk::open(to)?;
    let numbers = disk.list()?;
    // The newest first. The other way round, what is written to one after it was copied, and before the next was begun
    // and copied, would be missing between the two.
    for number in numbers.iter().rev() {
        let bytes = disk.read(*number)?;
        private(&to.join(file_name(*number)))?.write_all(used(&bytes))?;
    }
    Ok(numbers)
}

/// Reads a copied journal as a start would.
fn verify(copied: &Path, positions: &[(String, u64)]) -> Result<()> {
    let copied = OsDisk::open(copied).map_err(|why| failed("the copied journal can't be read", &why))?;
    let id = journal::journal_id(&copied)?.map(|id| id.to_string());
    let known = positions.iter().find(|(known, _)| Some(known) == id.as_ref());
    if known.is_none() && !positions.is_empty() {
        let message =
            "the database's journal isn't in this data directory; name the gateway's own with --data";
        return Err(Error::new(ErrorKind::Config, message));
    }
    journal::read(&copied, known.map_or(0, |(_, at)| *at), false).map(drop)
}

/// A folder beside the backup, gone when it is done.
struct Draft(PathBuf);

impl Draft {
    fn new(to: &Path) -> Result<Self> {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let dir = PathBuf::from(name);
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&dir).map_err(|why| failed("the backup can't be written", &why))?;
        Ok(Self(dir))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A folder that stays is seen by its name; the backup is none the worse.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write_archive(work: &Draft, manifest: &Manifest, to: &Path) -> io::Result<()> {
    let draft = work.0.join("archive");
    let mut archive = tar::Builder::new(BufWriter::new(private(&draft)?));
    let made = u64::try_from(manifest.made_at.as_ms() / 1_000).unwrap_or_default();
    let header = |bytes: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(made);
        header
    };
    let text = serde_json::to_vec_pretty(manifest)?;
    archive.append_data(&mut header(text.len() as u64), MANIFEST, text.as_slice())?;
    for file in &manifest.files {
        let reader = BufReader::new(File::open(work.0.join(&file.name))?);
        archive.append_data(&mut header(file.bytes), &file.name, reader)?;
    }
    let file = archive.into_inner()?.into_inner()?;
    file.sync_all()?;
    // A link fails where a name exists: of two that write the same file, the first one's stays.
    fs::hard_link(&draft, to).or_else(|why| if to.exists() { Err(why) } else { fs::rename(&draft, to) })?;
    sync_dir(to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn unpack(archive: File, to: &Path) -> io::Result<Manifest> {
    let mut archive = tar::Archive::new(BufReader::new(archive));
    let mut entries = archive.entries()?;
    let mut manifest: Option<Manifest> = None;
    let mut left: Vec<FileEntry> = Vec::new();
    while let Some(entry) = entries.next().transpose()? {
        let name = entry.path()?.to_string_lossy().into_owned();
        if manifest.is_none() {
            if name != MANIFEST {
                return Err(invalid("it isn't a backup of sluicegate: it has no manifest".to_owned()));
            }
            let read: Manifest = serde_json::from_reader(entry.take(MANIFEST_MAX_BYTES))?;
            check(&read)?;
            left.clone_from(&read.files);
            manifest = Some(read);
            continue;
        }
        let Some(at) = left.iter().position(|file| file.name == name) else {
            return Err(invalid(format!("it holds `{name}`, which its manifest doesn't name")));
        };
        let wanted = left.swap_remove(at);
        let mut file = private(&to.join(&name))?;
        let (bytes, sha256) = hash_into(entry, &mut file)?;
        if (bytes, &sha256) != (wanted.bytes, &wanted.sha256) {
            return Err(invalid(format!("`{name}` in it is damaged")));
        }
        file.sync_all()?;
    }
    if let Some(missing) = left.first() {
        return Err(invalid(format!("it is cut short: `{}` is missing", missing.name)));
    }
    manifest.ok_or_else(|| invalid("it isn't a backup of sluicegate: it is empty".to_owned()))
}

/// Fails unless a manifest is one that we can follow, and names nothing outside of a data directory.
fn check(manifest: &Manifest) -> io::Result<()> {
    if manifest.format != FORMAT {
        return Err(invalid(format!(
            "it has format {}, made by version {}",
            manifest.format, manifest.version
        )));
    }
    let is_segment = |name: &str| {
        let number = name.strip_prefix("journal/").and_then(|name| name.strip_suffix(".journal"));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match manifest.files.iter().find(|file| file.name != DATABASE && !is_segment(&file.name)) {
        Some(file) => {
            Err(invalid(format!("its manifest names `{}`, which no data directory has", file.name)))
        }
        None if !manifest.files.iter().any(|file| file.name == DATABASE) => {
            Err(invalid("its manifest names no database".to_owned()))
        }
        None => Ok(()),
    }
}

/// What of a segment is written: the rest is room for more. Zeros right behind the last byte may belong to an event.
fn used(bytes: &[u8]) -> &[u8] {
    const SLACK: usize = 1 << 16;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + SLACK);
    bytes.get(..end).unwrap_or(bytes)
}

fn entry(dir: &Path, name: String) -> io::Result<FileEntry> {
    let (bytes, sha256) = hash_into(File::open(dir.join(&name))?, &mut io::sink())?;
    Ok(FileEntry { name, bytes, sha256 })
}

fn hash_into(mut from: impl Read, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
        hash.update(piece);
        to.write_all(piece)?;
        bytes += read as u64;
    }
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    let _ = dir;
    Ok(())
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn failed(what: &str, why: &io::Error) -> Error {
    Error::new(ErrorKind::Store, format!("{what}: {why}"))
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;

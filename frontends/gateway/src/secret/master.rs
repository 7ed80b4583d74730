//! Where the master secret comes from.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sluicegate_core::{Error, ErrorKind, Result};

use super::MasterSecret;
use crate::credential::fill_random;

/// Where to look for the master secret.
#[derive(Clone, Debug)]
pub struct MasterSource {
    /// The value of `SLUICEGATE_MASTER_SECRET`, if it is set: it wins.
    pub variable: Option<sluicegate_core::Secret>,
    /// The file that holds it otherwise. Made on first need, readable by its owner only.
    pub path: PathBuf,
    /// The data directory, which the file must not lie in: a copy of the data alone must not give the credentials.
    pub data_dir: Option<PathBuf>,
}

/// Where the file is when nobody says otherwise: `sluicegate/master.secret` in `XDG_CONFIG_HOME`, else in `.config` of
/// `HOME`. `None` without either.
pub fn default_path(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("sluicegate").join("master.secret"))
}

impl MasterSource {
    /// The master secret: the variable's, the file's, or a new one that the file is made with.
    ///
    /// # Errors
    /// `Config` when it is too short, when others may read the file, or when the file lies in the data directory.
    pub fn load_or_create(&self) -> Result<MasterSecret> {
        match self.load()? {
            Some(secret) => Ok(secret),
            None => self.create(),
        }
    }

    /// The master secret, if there is one already.
    ///
    /// # Errors
    /// As [`load_or_create`](Self::load_or_create).
    pub fn load(&self) -> Result<Option<MasterSecret>> {
        if let Some(variable) = &self.variable {
            return MasterSecret::from_text(variable.expose()).map(Some);
        }
        self.check_place()?;
        let mut file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&self.path, &format!("can't be read: {error}"))),
        };
        check_rights(&file, &self.path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| unusable(&self.path, &format!("can't be read: {error}")))?;
        MasterSecret::from_text(&text).map(Some)
    }

    fn create(&self) -> Result<MasterSecret> {
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)
                .map_err(|error| unusable(&self.path, &format!("has no directory to be in: {error}")))?;
        }
        let mut random = [0u8; 32];
        fill_random(&mut random)?;
        let text = URL_SAFE_NO_PAD.encode(random);
        // Written whole under another name first: a crash in between must not leave half a secret that counts.
        let draft = self.path.with_extension(format!("draft-{}", std::process::id()));
        let written = new_private_file(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // A link fails when the name exists: of two processes that start at once, one makes the secret.
            std::fs::hard_link(&draft, &self.path)
        });
        // What remains of a draft is of no use to anybody; that it can't be removed is no reason to stop.
        let _ = std::fs::remove_file(&draft);
        match written {
            Ok(()) => MasterSecret::from_text(&text),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.load()?.ok_or_else(|| unusable(&self.path, "was removed while it was read"))
            }
            Err(error) => Err(unusable(&self.path, &format!("can't be made: {error}"))),
        }
    }

    fn check_place(&self) -> Result<()> {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match &self.data_dir {
            Some(data) if whole(&self.path).starts_with(whole(data)) => Err(unusable(
                &self.path,
                "lies in the data directory; keep it elsewhere, apart from what it protects",
            )),
            _ => Ok(()),
        }
    }
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the file `{}` for the master secret {why}", path.display()))
}

#[cfg(unix)]
fn new_private_file(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn new_private_file(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn check_rights(file: &std::fs::File, path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = file.metadata().map_err(|error| unusable(path, &format!("can't be read: {error}")))?.mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(unusable(
            path,
            "may be read by others; run `chmod 600` on it, and rotate the secret if they did",
        )),
    }
}

#[cfg(not(unix))]
fn check_rights(_: &std::fs::File, _: &Path) -> Result<()> {
    Ok(())
}

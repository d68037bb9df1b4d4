//! A snapshot of a file.

use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use jetway_config_file::file;
use serde::{Deserialize, Serialize};

/// Most bytes of a file in the record: units and configuration files have a few thousand.
const MAX_FILE: u64 = 1024 * 1024;
/// The mode of new files: configuration and public keys, which all users may read.
const NEW: u32 = 0o644;
/// The mode of new files that contain data which other users may not have been able to read.
const PRIVATE: u32 = 0o600;

/// Content, permissions and owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(with = "in_base64", rename = "content")]
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
    uid: u32,
    gid: u32,
}

impl State {
    /// Reads the file at a path; `None` when there is none.
    ///
    /// # Errors
    /// A path that is not a file, or a file that cannot be read.
    pub(super) fn of(path: &Path) -> anyhow::Result<Option<Self>> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot access `{}`", path.display()));
            }
        };
        if !metadata.is_file() {
            bail!("`{}` is not a file", path.display());
        }
        Ok(Some(Self {
            bytes: file::read("file", path, MAX_FILE)?,
            mode: metadata.permissions().mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        }))
    }
}

/// Writes a file atomically: a concurrent reader sees either the old or the new one. It gets the permissions and the owner of
/// `like`.
///
/// # Errors
/// A folder that cannot be created or written to.
pub(super) fn write(path: &Path, bytes: &[u8], like: Option<&State>) -> anyhow::Result<()> {
    let mode = like.map_or(NEW, |like| like.mode);
    write_as(path, bytes, like, mode)
}

/// As [`write()`], for a file that only its owner may read.
///
/// # Errors
/// As [`write()`].
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_as(path, bytes, None, PRIVATE)
}

fn write_as(path: &Path, bytes: &[u8], like: Option<&State>, mode: u32) -> anyhow::Result<()> {
    // A symbolic link is followed, so that its target is replaced.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().context("a file is in a folder")?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder `{}`", folder.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.jetway-new"));
    let written = write_new(&temporary, bytes, like, mode)
        .and_then(|()| Ok(std::fs::rename(&temporary, path)?));
    if written.is_err() {
        // The file may not exist.
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

fn write_new(path: &Path, bytes: &[u8], like: Option<&State>, mode: u32) -> anyhow::Result<()> {
    // An interrupted setup may have left one.
    let _ = std::fs::remove_file(path);
    let mut options = OpenOptions::new();
    // The file is private until its owner and its permissions are set.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path)?;
    file.write_all(bytes)?;
    if let Some(like) = like {
        std::os::unix::fs::chown(path, Some(like.uid), Some(like.gid))?;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file.sync_all()?)
}

/// Serializes bytes in base64.
mod in_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

//! Folders below `/run` in which this program keeps files, and which no other account can change.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::trusted_file::WRITABLE_BY_OTHERS;

/// Permission bits of all accounts.
const ALL: u32 = 0o777;

/// The reason why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// The folder or its parent belongs to another account, or other accounts have more permissions than they should.
    #[error("`{0}` has to be a folder of root that others cannot change")]
    Changeable(PathBuf),
    /// The folder cannot be created or examined.
    #[error("`{0}` cannot be used: {1}")]
    Io(PathBuf, #[source] io::Error),
}

/// Creates a folder with these permissions, unless it exists, and checks that only root can change it and its parent.
pub(crate) fn prepare(folder: &Path, mode: u32) -> Result<(), FolderError> {
    create(folder, mode).map_err(|error| FolderError::Io(folder.to_owned(), error))?;
    let parent = folder.parent().unwrap_or(folder);
    for (path, forbidden) in [(parent, WRITABLE_BY_OTHERS), (folder, ALL & !mode)] {
        let metadata = std::fs::symlink_metadata(path)
            .map_err(|error| FolderError::Io(path.to_owned(), error))?;
        let ours = metadata.is_dir() && metadata.uid() == geteuid().as_raw();
        if !ours || metadata.mode() & forbidden != 0 {
            return Err(FolderError::Changeable(path.to_owned()));
        }
    }
    Ok(())
}

fn create(folder: &Path, mode: u32) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)?;
    }
    match DirBuilder::new().mode(mode).create(folder) {
        // A PAM module may have set a narrower umask.
        Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

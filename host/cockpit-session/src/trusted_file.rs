//! Files that only root can have written.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Longest file that is read, in bytes: a configuration has a few lines, a key set a few keys.
const MAX_LENGTH: u64 = 64 * 1024;

/// Permission bits that let accounts other than the owner write.
pub(crate) const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The reason why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file cannot be opened or read.
    #[error("`{0}` cannot be read: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// The file is a folder, a device or a pipe.
    #[error("`{0}` is not a plain file")]
    Kind(PathBuf),
    /// Another account could have written the file.
    #[error(
        "`{0}` has to belong to root and must not be writable by others: `chown root:root {0}; chmod go-w {0}`"
    )]
    Owner(PathBuf),
    /// The file is longer than [`MAX_LENGTH`].
    #[error("`{0}` is longer than {MAX_LENGTH} bytes")]
    TooLong(PathBuf),
}

/// Reads a text file that belongs to the account of this process, which is root, and that no other account can write.
pub(crate) fn read_trusted(path: &Path) -> Result<String, FileError> {
    let failed = |error| FileError::Read(path.to_owned(), error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(FileError::Kind(path.to_owned()));
    }
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(FileError::Owner(path.to_owned()));
    }
    let mut text = String::new();
    file.take(MAX_LENGTH + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(FileError::TooLong(path.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(folder: &Path, mode: u32, text: &str) -> PathBuf {
        let path = folder.join(format!("{mode:o}"));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_files_of_root_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o640, 0o644] {
            assert_eq!(
                read_trusted(&write(folder.path(), mode, "text")).unwrap(),
                "text"
            );
        }
        for mode in [0o660, 0o646, 0o666] {
            let error = read_trusted(&write(folder.path(), mode, "text"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("chmod go-w /"), "{error}");
        }
        let long = write(folder.path(), 0o604, &"x".repeat(64 * 1024 + 1));
        assert!(matches!(read_trusted(&long), Err(FileError::TooLong(_))));
        assert!(matches!(
            read_trusted(folder.path()),
            Err(FileError::Kind(_))
        ));
        assert!(matches!(
            read_trusted(&folder.path().join("none")),
            Err(FileError::Read(..))
        ));
    }
}

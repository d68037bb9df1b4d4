//! The record of used assertions: a file for each, in a folder that only root can open.
//!
//! The folder is below `/run`, which is empty after every boot; a boot takes about as long as the lifetime of an
//! assertion.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::assertion::{LEEWAY, MAX_LIFETIME};
use crate::state_folder::{FolderError, prepare};

/// How long a use is remembered. A token that is accepted now was issued at most [`LEEWAY`] from now, expires
/// [`MAX_LIFETIME`] later, and is accepted for [`LEEWAY`] more; one second is for rounding.
const MEMORY: Duration = Duration::from_secs(MAX_LIFETIME + 2 * LEEWAY + 1);

/// Most uses that are remembered. Only the proxy can cause one, by signing; so many logins in 81 seconds are not human.
const MAX_USES: usize = 10_000;

/// Permissions of the folder.
const MODE: u32 = 0o700;

/// The reason why a use cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UseError {
    /// The assertion was used before.
    #[error("it has been used before")]
    Replayed,
    /// The folder cannot be used, or another account could remove records.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There are more than [`MAX_USES`] records.
    #[error("more than {MAX_USES} logins within {} seconds", MEMORY.as_secs())]
    TooMany,
    /// The folder cannot be used.
    #[error("`{0}` cannot be used: {1}")]
    Io(PathBuf, #[source] io::Error),
}

/// Records the use of the assertion with this id; of several concurrent attempts, one succeeds.
pub(crate) fn record(folder: &Path, id: &str, now: SystemTime) -> Result<(), UseError> {
    let failed = |error| UseError::Io(folder.to_owned(), error);
    prepare(folder, MODE)?;
    if forget_old_uses(folder, now).map_err(failed)? >= MAX_USES {
        return Err(UseError::TooMany);
    }
    // The name has a fixed length and alphabet, for every id.
    let digest = Sha256::digest(id.as_bytes());
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join(name));
    match file {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(UseError::Replayed),
        Err(error) => Err(failed(error)),
    }
}

/// Removes expired records and returns how many are left.
fn forget_old_uses(folder: &Path, now: SystemTime) -> io::Result<usize> {
    let mut left = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A concurrent login may have removed it.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let age = now.duration_since(metadata.modified()?).unwrap_or_default();
        if age > MEMORY {
            let _ = std::fs::remove_file(entry.path());
        } else {
            left += 1;
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn an_assertion_is_used_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("used");
        let now = SystemTime::now();
        record(&folder, "one", now).unwrap();
        assert!(matches!(
            record(&folder, "one", now),
            Err(UseError::Replayed)
        ));
        record(&folder, "../../two\u{0}", now).unwrap();
        assert_eq!(count(&folder), 2);
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
    }

    #[test]
    fn one_of_many_at_the_same_time_succeeds() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("used");
        let results: Vec<bool> = std::thread::scope(|scope| {
            let attempts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| record(&folder, "one", SystemTime::now()).is_ok()))
                .collect();
            attempts
                .into_iter()
                .map(|attempt| attempt.join().unwrap())
                .collect()
        });
        assert_eq!(
            results.iter().filter(|used| **used).count(),
            1,
            "{results:?}"
        );
    }

    #[test]
    fn old_uses_are_forgotten_and_no_earlier() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("used");
        let now = SystemTime::now();
        record(&folder, "one", now).unwrap();
        record(&folder, "two", now + MEMORY - Duration::from_secs(1)).unwrap();
        assert_eq!(count(&folder), 2);
        record(&folder, "three", now + MEMORY + Duration::from_secs(5)).unwrap();
        assert_eq!(count(&folder), 1);
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("used");
        prepare(&folder, MODE).unwrap();
        for number in 0..MAX_USES {
            File::create(folder.join(number.to_string())).unwrap();
        }
        let now = SystemTime::now();
        assert!(matches!(
            record(&folder, "one", now),
            Err(UseError::TooMany)
        ));
        record(&folder, "one", now + MEMORY + Duration::from_secs(5)).unwrap();
        assert_eq!(count(&folder), 1);
    }

    #[test]
    fn a_folder_of_others_is_not_used() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("used");
        let now = SystemTime::now();
        record(&folder, "one", now).unwrap();
        let chmod = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        chmod(&folder, 0o710);
        assert!(matches!(
            record(&folder, "two", now),
            Err(UseError::Folder(FolderError::Changeable(_)))
        ));
        chmod(&folder, 0o700);
        chmod(parent.path(), 0o777);
        assert!(matches!(
            record(&folder, "two", now),
            Err(UseError::Folder(FolderError::Changeable(_)))
        ));
        chmod(parent.path(), 0o755);
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(matches!(
            record(&link, "two", now),
            Err(UseError::Folder(FolderError::Changeable(_)))
        ));
    }
}

//! Reading files that an operator names, with a limit on their size.

use std::cell::RefCell;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Bytes of a configuration file: thousands of routes need less than one MiB.
pub const MAX_CONFIG_BYTES: u64 = 10 * 1024 * 1024;

/// Bytes of a file that holds one secret.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Bytes of a PEM file: a bundle of all public authorities has about 230 KiB.
pub const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;

/// A file that was read, or could not be.
pub struct ReadFile {
    /// Its path, as it was given.
    pub path: PathBuf,
    /// The digest of its content.
    pub digest: Digest,
}

/// The SHA-256 of a file's content; `None` for one that cannot be read.
pub type Digest = Option<[u8; 32]>;

/// Returns the digest of these bytes.
#[must_use]
pub fn compute_digest(bytes: &[u8]) -> Digest {
    Some(Sha256::digest(bytes).into())
}

thread_local! {
    /// The files that were read on this thread while [`record_reads`] runs.
    static READ: RefCell<Option<Vec<ReadFile>>> = const { RefCell::new(None) };
}

/// Runs `work` and returns the files that it read on this thread with its result. So no list of a configuration's files has
/// to be kept, which could be incomplete.
pub fn record_reads<T>(work: impl FnOnce() -> T) -> (T, Vec<ReadFile>) {
    READ.set(Some(Vec::new()));
    let result = work();
    (result, READ.take().unwrap_or_default())
}

fn record_read(path: &Path, bytes: Option<&[u8]>) {
    READ.with_borrow_mut(|read| {
        if let Some(read) = read {
            read.push(ReadFile {
                path: path.to_owned(),
                digest: bytes.and_then(compute_digest),
            });
        }
    });
}

/// The reason why a file cannot be read, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// Reads a whole file of at most `limit` bytes; `what` names its purpose in messages.
///
/// # Errors
/// A file that is missing, unreadable or larger.
pub fn read(what: &str, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let read = read_limited(what, path, limit);
    record_read(path, read.as_deref().ok());
    read
}

fn read_limited(what: &str, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    // One byte more than allowed distinguishes a file that is too large from one that just fits, pipes included.
    let read = File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(Unreadable(explain_error(what, path, &error))),
        Ok(length) if u64::try_from(length).is_ok_and(|length| length > limit) => {
            let name = path.display();
            Err(Unreadable(format!(
                "the {what} `{name}` is larger than {}",
                format_size(limit)
            )))
        }
        Ok(_) => Ok(bytes),
    }
}

fn explain_error(what: &str, path: &Path, error: &std::io::Error) -> String {
    let name = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!("there is no {what} `{name}`{}", describe_absolute(path)),
        ErrorKind::PermissionDenied => format!(
            "the {what} `{name}` cannot be read by this user{}",
            describe_absolute(path)
        ),
        ErrorKind::IsADirectory => format!("the {what} `{name}` is a folder"),
        _ => format!("cannot read the {what} `{name}`: {error}"),
    }
}

/// Returns where a relative path was looked for. Paths are relative to the working directory, as in Pomerium, so that the absolute path helps to find the mistake.
fn describe_absolute(path: &Path) -> String {
    if path.is_absolute() {
        return String::new();
    }
    match std::path::absolute(path) {
        Ok(whole) => format!(" (looked for `{}`)", whole.display()),
        Err(_) => String::new(),
    }
}

fn format_size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    if bytes >= MIB && bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else if bytes >= KIB && bytes.is_multiple_of(KIB) {
        format!("{} KiB", bytes / KIB)
    } else {
        format!("{bytes} bytes")
    }
}

/// Returns the mode of a file that users other than its owner can read; `None` when they cannot, and when the mode is not
/// known.
pub fn exposed_mode(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok()?;
    let mode = metadata.permissions().mode() & 0o7777;
    let exposes = if is_credential(path) { 0o004 } else { 0o044 };
    (metadata.is_file() && mode & exposes != 0).then_some(mode)
}

/// Returns whether systemd passes the file to a service (`LoadCredential=`). An access control list names the service's
/// account then, and the mask of such a list is shown in the place of the group's rights.
fn is_credential(path: &Path) -> bool {
    let mut parts = path.components();
    path.starts_with("/run/credentials") && !parts.any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read("test", &path, 5).unwrap(), b"12345");
        let refused = read("test", &path, 4).unwrap_err().to_string();
        assert!(refused.contains("larger than 4 bytes"), "{refused}");
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(format_size(10 * 1024 * 1024), "10 MiB");
        assert_eq!(format_size(64 * 1024), "64 KiB");
        assert_eq!(format_size(1025), "1025 bytes");
    }

    #[test]
    fn a_missing_file_is_named_with_where_it_was_looked_for() {
        let path = Path::new("no-such-folder/no-such-file");
        let refused = read("secret", path, 1).unwrap_err().to_string();
        let whole = std::env::current_dir().unwrap().join(path);
        assert!(refused.starts_with("there is no secret `no-such-folder/no-such-file`"));
        assert!(refused.contains(&whole.display().to_string()), "{refused}");
    }

    #[test]
    fn a_folder_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let refused = read("secret", folder.path(), 1).unwrap_err().to_string();
        assert!(refused.ends_with("is a folder"), "{refused}");
    }

    #[test]
    fn only_the_right_to_read_exposes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"").unwrap();
        for (mode, exposed) in [
            (0o600, false),
            (0o400, false),
            (0o711, false),
            (0o640, true),
            (0o604, true),
        ] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(exposed_mode(&path), exposed.then_some(mode), "{mode:o}");
        }
        assert_eq!(exposed_mode(folder.path()), None);
    }

    #[test]
    fn credentials_of_systemd_are_told_from_other_files() {
        let is_told = |path: &str| is_credential(Path::new(path));
        assert!(is_told("/run/credentials/jetway.service/client-secret"));
        for other in [
            "/etc/jetway/client-secret",
            "/run/credentials-of-others/x",
            "/run/credentials/../../etc/jetway/client-secret",
        ] {
            assert!(!is_told(other), "{other}");
        }
    }
}

//! New files with the right permissions.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// The accounts that may read a new file; only its owner may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its owner alone.
    Owner,
    /// Every user of the machine, as far as the umask allows.
    Everyone,
}

/// Creates a file, whole or not at all. An existing file is never changed: secrets in use must not be overwritten, and it keeps its permissions.
///
/// # Errors
/// The file exists, or cannot be created or written.
pub(crate) fn create_new(path: &Path, access: Access, content: &[u8]) -> anyhow::Result<()> {
    let mode = match access {
        Access::Owner => 0o600,
        Access::Everyone => 0o644,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot create `{}`", path.display()))?;
    file.write_all(content)
        .inspect_err(|_| drop(std::fs::remove_file(path)))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create_new(&path, Access::Owner, b"a").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = create_new(&path, Access::Owner, b"b").unwrap_err();
        assert!(
            format!("{again:#}").starts_with("cannot create `"),
            "{again:#}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a");
    }
}

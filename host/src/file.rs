//! Reading files that an operator names, with a limit on their size.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};

/// Reads a whole file of at most `limit` bytes; `what` names its purpose in messages.
///
/// # Errors
/// A file that is missing, unreadable or larger.
pub(crate) fn read(what: &str, path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too large from one that just fits, pipes included.
        File::open(path)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("cannot read the {what} `{}`", path.display()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        bail!(
            "the {what} `{}` is larger than {limit} bytes",
            path.display()
        );
    }
    Ok(bytes)
}

/// Whether others than the owner and root may read the file; false when that cannot be told.
pub(crate) fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let path = std::env::temp_dir().join(format!("jetway-file-{}", std::process::id()));
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read("test", &path, 5).unwrap(), b"12345");
        let refused = read("test", &path, 4).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(refused.contains("larger than 4 bytes"), "{refused}");
    }
}

//! Which programs root may run.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Permissions by which others than the owner can change a file or a folder.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Whether a file is there, and it and every folder above it is root's alone to change.
pub(crate) fn belongs_to_root(path: &Path) -> bool {
    let Ok(real) = std::fs::canonicalize(path) else {
        return false;
    };
    real.ancestors().all(|path| {
        std::fs::metadata(path)
            .is_ok_and(|metadata| metadata.uid() == 0 && metadata.mode() & WRITABLE_BY_OTHERS == 0)
    })
}

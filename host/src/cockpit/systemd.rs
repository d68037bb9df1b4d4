//! Detects systemd.

use std::path::Path;

/// Whether systemd runs this machine, by the test of sd_booted(3).
pub(crate) fn is_systemd_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

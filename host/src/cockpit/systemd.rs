//! Whether there is a systemd to talk to.

use std::path::Path;

/// Whether systemd runs this machine, told as sd_booted(3) does.
pub(crate) fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

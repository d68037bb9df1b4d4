//! A test's own PAM rules, which record their calls.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rustix::process::geteuid;

/// The folder of PAM's rules.
const FOLDER: &str = "/etc/pam.d";

/// Prefix of every name; the process id of the test follows.
const PREFIX: &str = "jetway-t";

/// Records each session call with the account and the client's address.
const RECORDER: &str = "#!/bin/sh\necho \"$PAM_TYPE $PAM_USER $PAM_RHOST\" >>\"$1\"\n";

/// A service that is removed when the value is dropped.
pub(crate) struct PamService {
    pub(crate) name: String,
    record: PathBuf,
}

impl PamService {
    /// Creates a service that first applies these rules and then Cockpit's account rules; it writes the record to
    /// `folder`.
    pub(crate) fn create(folder: &Path, rules: &str) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "rules of PAM can only be made by root: run the tests as root"
        );
        remove_abandoned()?;
        let recorder = folder.join("recorder");
        std::fs::write(&recorder, RECORDER)?;
        std::fs::set_permissions(&recorder, std::fs::Permissions::from_mode(0o755))?;
        let mut random = [0; 4];
        getrandom::fill(&mut random)?;
        let number = u32::from_ne_bytes(random);
        let service = Self {
            name: format!("{PREFIX}{}-{number:08x}", std::process::id()),
            record: folder.join("record"),
        };
        let text = format!(
            "{rules}\n\
             auth include common-auth\n\
             account include common-account\n\
             session optional pam_exec.so {} {}\n\
             session include common-session\n",
            recorder.display(),
            service.record.display()
        );
        std::fs::write(Path::new(FOLDER).join(&service.name), text)?;
        Ok(service)
    }

    /// Returns the calls up to now, one a line.
    pub(crate) fn record(&self) -> String {
        std::fs::read_to_string(&self.record).unwrap_or_default()
    }

    /// Returns the line of the configuration that selects it.
    pub(crate) fn setting(&self) -> String {
        format!("pam_service = {}", self.name)
    }
}

impl Drop for PamService {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(Path::new(FOLDER).join(&self.name));
    }
}

fn remove_abandoned() -> Result<()> {
    for entry in std::fs::read_dir(FOLDER)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        if let Some((process, _)) = owner
            && !std::fs::exists(format!("/proc/{process}"))?
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

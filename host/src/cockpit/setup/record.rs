//! What a setup has changed, so that it can be taken back.

use std::path::Path;

use anyhow::Context as _;
use jetway_config_file::file;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::state::{self, State};
use super::{COCKPIT_CONF, below, ensure_inside};

/// Where the record is.
pub(super) const PATH: &str = "/etc/jetway/cockpit-setup.json";
/// Bytes of a record: it holds the former `cockpit.conf`.
const MAX_RECORD: u64 = 16 * 1024 * 1024;

/// The files that a setup has written, in their order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) files: Vec<Recorded>,
    /// Folders that were made for them, the outer ones first.
    pub(super) folders: Vec<String>,
    /// Settings in `cockpit.conf`.
    pub(super) edits: Vec<SettingEdit>,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Recorded {
    pub(super) path: String,
    /// What was there before the first setup.
    pub(super) before: Option<State>,
    /// SHA-256 of what the last setup wrote, in hexadecimal digits.
    pub(super) written: String,
}

/// One setting.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SettingEdit {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    /// The line that became a comment.
    pub(super) replaced: Option<String>,
}

impl Record {
    /// The record below a root folder, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read or is no record.
    pub(super) fn read(root: &Path) -> anyhow::Result<Option<Self>> {
        let path = below(root, PATH);
        if !path.exists() {
            return Ok(None);
        }
        ensure_inside(root, PATH)?;
        let bytes = file::read("record", &path, MAX_RECORD)?;
        let record: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("`{}` is not a record of this program", path.display()))?;
        let paths = record.files.iter().map(|file| &file.path);
        for path in paths.chain(&record.folders) {
            ensure_inside(root, path)?;
        }
        Ok(Some(record))
    }

    /// Notes what is there now, unless an earlier setup has, and what will be.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn note(&mut self, root: &Path, path: &str, text: &[u8]) -> anyhow::Result<()> {
        let written = digest(text);
        let now = State::of(&below(root, path))?;
        if let Some(known) = self.files.iter_mut().find(|file| file.path == path) {
            // What an operator has written into Cockpit's file since is theirs: then single settings are taken back, not
            // the file as a whole.
            let edited = now.is_some_and(|now| digest(&now.bytes) != known.written);
            if !(edited && path == COCKPIT_CONF) {
                known.written = written;
            }
            return Ok(());
        }
        self.note_folders(root, path);
        self.files.push(Recorded {
            path: path.to_owned(),
            before: now,
            written,
        });
        Ok(())
    }

    fn note_folders(&mut self, root: &Path, path: &str) {
        let mut missing: Vec<String> = Path::new(path)
            .ancestors()
            .skip(1)
            .map(|folder| folder.to_string_lossy().into_owned())
            .filter(|folder| !below(root, folder).exists() && !self.folders.contains(folder))
            .collect();
        missing.reverse();
        self.folders.append(&mut missing);
    }

    /// Writes the record, for root's eyes: it holds what others may not have been able to read.
    ///
    /// # Errors
    /// As [`state::write`].
    pub(super) fn write(&mut self, root: &Path) -> anyhow::Result<()> {
        ensure_inside(root, PATH)?;
        self.note_folders(root, PATH);
        let text = format!("{}\n", serde_json::to_string_pretty(self)?);
        state::write_private(&below(root, PATH), text.as_bytes())
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

//! The record of a setup's changes, by which it can be undone.

use std::path::Path;

use anyhow::Context as _;
use jetway_config_file::file;
use jetway_core::hex::encode_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::state::{self, State};
use super::{COCKPIT_CONF, below, ensure_inside};

/// The path of the record.
pub(super) const PATH: &str = "/etc/jetway/cockpit-setup.json";
/// Most bytes of a record, which contains the former `cockpit.conf`.
const MAX_RECORD: u64 = 16 * 1024 * 1024;

/// The files that a setup has written, in their order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) files: Vec<Recorded>,
    /// Folders that were created for them, the outer ones first.
    pub(super) folders: Vec<String>,
    /// Settings in `cockpit.conf`.
    pub(super) edits: Vec<SettingEdit>,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Recorded {
    pub(super) path: String,
    /// The file before the first setup.
    pub(super) before: Option<State>,
    /// SHA-256 of the content that the last setup wrote, in hexadecimal digits.
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
    /// Reads the record below a root folder, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read or is not a record.
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

    /// Records a file as it is now, unless an earlier setup did, and the content that will be written.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn note(&mut self, root: &Path, path: &str, text: &[u8]) -> anyhow::Result<()> {
        let written = digest(text);
        let now = State::of(&below(root, path))?;
        if let Some(known) = self.files.iter_mut().find(|file| file.path == path) {
            // Lines that an operator has added to Cockpit's file since must be kept: then single settings are reverted, not
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

    /// Writes the record, readable only by root: it contains data that other users may not have been able to read.
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

/// Returns the SHA-256 in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    encode_hex(&Sha256::digest(bytes))
}

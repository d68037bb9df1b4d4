//! Undoes a setup.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::record::{self, Record, Recorded, SettingEdit, digest};
use super::state::{self, State};
use super::{FileChange, below};
use crate::cockpit::CockpitConf;
use crate::cockpit::units::{COCKPIT_CONF, SERVICE_UNIT, SOCKET_UNIT, UNITS};

/// Restores every file; a file that was changed since keeps that change. `stop` is called when only Jetway's own units are
/// left, which nothing needs at that point.
///
/// # Errors
/// A missing record, a file that cannot be written, or an error of `stop`: then the record is kept.
pub(crate) fn undo(
    root: &Path,
    stop: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<FileChange>> {
    let Some(record) = Record::read(root)? else {
        bail!(
            "nothing to undo: no record at `{}`",
            below(root, record::PATH).display()
        );
    };
    let mut changes = Vec::new();
    let is_unit = |recorded: &&Recorded| {
        [SOCKET_UNIT, SERVICE_UNIT]
            .iter()
            .any(|unit| recorded.path == format!("{UNITS}/{unit}"))
    };
    let (units, others): (Vec<&Recorded>, Vec<&Recorded>) =
        record.files.iter().rev().partition(is_unit);
    for recorded in others {
        changes.extend(take_back(root, recorded, &record.edits)?);
    }
    stop()?;
    for recorded in units {
        changes.extend(take_back(root, recorded, &record.edits)?);
    }
    let path = below(root, record::PATH);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    for folder in record.folders.iter().rev() {
        // A folder that contains other files is kept.
        let _ = std::fs::remove_dir(below(root, folder));
    }
    Ok(changes)
}

/// Restores one file, unless it was changed since the setup.
///
/// # Errors
/// A file that cannot be read or written.
pub(super) fn take_back(
    root: &Path,
    recorded: &Recorded,
    edits: &[SettingEdit],
) -> anyhow::Result<Option<FileChange>> {
    let path = below(root, &recorded.path);
    let name = recorded.path.clone();
    let current = State::of(&path)?;
    if current == recorded.before {
        return Ok(None);
    }
    let is_ours = current
        .as_ref()
        .is_some_and(|state| digest(&state.bytes) == recorded.written);
    match (&current, &recorded.before) {
        (Some(_), None) if is_ours => {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove `{}`", path.display()))?;
            Ok(Some(FileChange::Removed(name)))
        }
        (Some(_), Some(before)) if is_ours => {
            state::write(&path, &before.bytes, Some(before))?;
            Ok(Some(FileChange::Restored(name)))
        }
        (Some(state), _) if recorded.path == COCKPIT_CONF => {
            take_settings_back(&path, name, state, edits)
        }
        _ => Ok(Some(FileChange::Kept(name))),
    }
}

/// Removes the settings from a `cockpit.conf` that was changed since.
fn take_settings_back(
    path: &Path,
    name: String,
    state: &State,
    edits: &[SettingEdit],
) -> anyhow::Result<Option<FileChange>> {
    let Ok(text) = std::str::from_utf8(&state.bytes) else {
        return Ok(Some(FileChange::Kept(name)));
    };
    let mut conf = CockpitConf::parse(text);
    for edit in edits.iter().rev() {
        conf.take_back(
            &edit.section,
            &edit.key,
            &edit.value,
            edit.replaced.as_deref(),
        );
    }
    state::write(path, conf.text().as_bytes(), Some(state))?;
    let what = "the settings of the setup are removed, and later changes are kept";
    Ok(Some(FileChange::Changed(name, what.to_owned())))
}

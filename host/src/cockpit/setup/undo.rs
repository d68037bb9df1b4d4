//! Taking a setup back.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::record::{self, Record, Recorded, SettingEdit, digest};
use super::state::{self, State};
use super::{Deed, below};
use crate::cockpit::CockpitConf;
use crate::cockpit::units::{COCKPIT_CONF, SERVICE_UNIT, SOCKET_UNIT, UNITS};

/// Brings every file back to what it was; one that somebody else changed since keeps that change. `stop` is called when only
/// our own units are left, which nothing needs any more.
///
/// # Errors
/// No record, a file that cannot be written, or what `stop` says: then the record stays.
pub(crate) fn undo(
    root: &Path,
    stop: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Deed>> {
    let Some(record) = Record::read(root)? else {
        bail!(
            "there is nothing to take back: `{}` is not there",
            below(root, record::PATH).display()
        );
    };
    let mut deeds = Vec::new();
    let is_unit = |recorded: &&Recorded| {
        [SOCKET_UNIT, SERVICE_UNIT]
            .iter()
            .any(|unit| recorded.path == format!("{UNITS}/{unit}"))
    };
    let (units, others): (Vec<&Recorded>, Vec<&Recorded>) =
        record.files.iter().rev().partition(is_unit);
    for recorded in others {
        deeds.extend(take_back(root, recorded, &record.edits)?);
    }
    stop()?;
    for recorded in units {
        deeds.extend(take_back(root, recorded, &record.edits)?);
    }
    let path = below(root, record::PATH);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    for folder in record.folders.iter().rev() {
        // One that holds something else stays.
        let _ = std::fs::remove_dir(below(root, folder));
    }
    Ok(deeds)
}

fn take_back(
    root: &Path,
    recorded: &Recorded,
    edits: &[SettingEdit],
) -> anyhow::Result<Option<Deed>> {
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
            Ok(Some(Deed::Removed(name)))
        }
        (Some(_), Some(before)) if is_ours => {
            state::write(&path, &before.bytes, Some(before))?;
            Ok(Some(Deed::Restored(name)))
        }
        (Some(state), _) if recorded.path == COCKPIT_CONF => {
            take_settings_back(&path, name, state, edits)
        }
        _ => Ok(Some(Deed::Left(name))),
    }
}

/// Takes the settings out of a `cockpit.conf` that somebody has worked on since.
fn take_settings_back(
    path: &Path,
    name: String,
    state: &State,
    edits: &[SettingEdit],
) -> anyhow::Result<Option<Deed>> {
    let Ok(text) = std::str::from_utf8(&state.bytes) else {
        return Ok(Some(Deed::Left(name)));
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
    let what = "the settings of the setup are gone, and what was changed since stays";
    Ok(Some(Deed::Changed(name, what.to_owned())))
}

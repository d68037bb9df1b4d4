//! Writes the files of single sign-on, and undoes that.

mod record;
mod state;
mod undo;

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};

use super::units::{COCKPIT_CONF, Deployment};
use super::{CockpitConf, Edit};
use record::{Record, Recorded, SettingEdit};
use state::State;

pub(crate) use undo::undo;

/// A change to one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FileChange {
    /// The file did not exist.
    Created(String),
    /// The file was different; the string describes the change.
    Changed(String, String),
    /// The file is as before the setup.
    Restored(String),
    /// The file is removed, as before the setup.
    Removed(String),
    /// The file was changed since, and is kept.
    Kept(String),
}

impl std::fmt::Display for FileChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Created(path) => write!(f, "created   {path}"),
            Self::Changed(path, what) => write!(f, "changed   {path}: {what}"),
            Self::Restored(path) => write!(f, "restored  {path}"),
            Self::Removed(path) => write!(f, "removed   {path}"),
            Self::Kept(path) => write!(
                f,
                "kept      {path}: it was changed since the setup, check it yourself"
            ),
        }
    }
}

/// The content that a file is to have.
struct Wanted {
    path: String,
    text: String,
    /// Describes the change of a file that existed.
    changed: String,
}

/// Writes the files that differ, and takes those back that an earlier setup wrote and this one does not want; returns no
/// changes when everything is set up.
///
/// # Errors
/// A file that cannot be read or written. The files written before are in the record, and can be undone.
pub(crate) fn set_up(root: &Path, deployment: &Deployment<'_>) -> anyhow::Result<Vec<FileChange>> {
    let mut record = Record::read(root)?.unwrap_or_default();
    let (conf, edits) = merge_settings(root, deployment)?;
    let mut wanted: Vec<Wanted> = deployment
        .files()
        .into_iter()
        .map(|file| Wanted {
            path: file.path,
            text: file.text,
            changed: "its content is replaced".to_owned(),
        })
        .collect();
    wanted.push(conf);
    let mut changes = take_unwanted_back(root, &mut record, &wanted)?;
    wanted.retain(|wanted| {
        let current = State::of(&below(root, &wanted.path)).ok().flatten();
        current.is_none_or(|state| state.bytes != wanted.text.as_bytes())
    });
    if wanted.is_empty() && changes.is_empty() {
        return Ok(changes);
    }
    for wanted in &wanted {
        ensure_inside(root, &wanted.path)?;
        record.note(root, &wanted.path, wanted.text.as_bytes())?;
    }
    record.edits.extend(edits);
    // The record comes first, so that an interrupted setup can be undone.
    record.write(root)?;
    for wanted in wanted {
        changes.push(apply(root, wanted)?);
    }
    Ok(changes)
}

/// Takes back the files of an earlier setup, with other options, that are not wanted now, and removes them from the record.
fn take_unwanted_back(
    root: &Path,
    record: &mut Record,
    wanted: &[Wanted],
) -> anyhow::Result<Vec<FileChange>> {
    let is_wanted = |path: &str| wanted.iter().any(|wanted| wanted.path == path);
    let (kept, unwanted): (_, Vec<Recorded>) = std::mem::take(&mut record.files)
        .into_iter()
        .partition(|file| is_wanted(&file.path));
    record.files = kept;
    let mut changes = Vec::new();
    for file in &unwanted {
        changes.extend(undo::take_back(root, file, &[])?);
    }
    Ok(changes)
}

fn apply(root: &Path, wanted: Wanted) -> anyhow::Result<FileChange> {
    let path = below(root, &wanted.path);
    let before = State::of(&path)?;
    state::write(&path, wanted.text.as_bytes(), before.as_ref())?;
    Ok(match before {
        None => FileChange::Created(wanted.path),
        Some(_) => FileChange::Changed(wanted.path, wanted.changed),
    })
}

/// Returns Cockpit's file with the settings that single sign-on needs, and the edits.
fn merge_settings(
    root: &Path,
    deployment: &Deployment<'_>,
) -> anyhow::Result<(Wanted, Vec<SettingEdit>)> {
    let before = State::of(&below(root, COCKPIT_CONF))?;
    let text = match before {
        None => String::new(),
        Some(state) => String::from_utf8(state.bytes)
            .with_context(|| format!("`{COCKPIT_CONF}` is not UTF-8: save it as UTF-8"))?,
    };
    let mut conf = CockpitConf::parse(&text);
    let mut edits = Vec::new();
    let mut words = Vec::new();
    for (section, key, value) in deployment.settings() {
        let edit = conf.set(section, key, value);
        let replaced = match edit {
            Edit::None => continue,
            Edit::Added => {
                words.push(format!("[{section}] {key} = {value}"));
                None
            }
            Edit::Replaced(old) => {
                words.push(format!(
                    "[{section}] {key} = {value} instead of `{}`, which is kept as a comment",
                    old.trim()
                ));
                Some(old)
            }
        };
        edits.push(SettingEdit {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            replaced,
        });
    }
    let wanted = Wanted {
        path: COCKPIT_CONF.to_owned(),
        text: conf.text(),
        changed: words.join(", "),
    };
    Ok((wanted, edits))
}

/// Returns an absolute path below another root folder.
fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Checks that a path stays inside its root folder. Neither a path in the record of an image nor a symbolic link in it may
/// lead to files of this machine.
fn ensure_inside(root: &Path, path: &str) -> anyhow::Result<()> {
    let mut parts = Path::new(path).components();
    if parts.any(|part| part == Component::ParentDir) {
        bail!("invalid path `{path}`: the record was changed");
    }
    let root = std::fs::canonicalize(root)
        .with_context(|| format!("cannot access `{}`", root.display()))?;
    let path = below(&root, path);
    // The existing part of the path decides where the rest leads.
    let real = path
        .ancestors()
        .find_map(|part| std::fs::canonicalize(part).ok());
    if !real.is_some_and(|real| real.starts_with(&root)) {
        bail!(
            "a symbolic link leads from `{}` out of `{}`: run this command inside of it, for example with chroot",
            path.display(),
            root.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;

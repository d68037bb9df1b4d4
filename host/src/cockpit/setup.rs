//! Writing the files of single sign-on, and taking them back.

mod record;
mod state;
mod undo;

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};

use super::units::{COCKPIT_CONF, Deployment};
use super::{CockpitConf, Edit};
use record::{Record, SettingEdit};
use state::State;

pub(crate) use undo::undo;

/// What was done to one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It was not there.
    Created(String),
    /// It was something else; what became of it, in words.
    Changed(String, String),
    /// It is as it was before the setup.
    Restored(String),
    /// It is gone, as before the setup.
    Removed(String),
    /// Somebody else changed it since, and it was left alone.
    Left(String),
}

impl std::fmt::Display for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Created(path) => write!(f, "created   {path}"),
            Self::Changed(path, what) => write!(f, "changed   {path}: {what}"),
            Self::Restored(path) => write!(f, "restored  {path}"),
            Self::Removed(path) => write!(f, "removed   {path}"),
            Self::Left(path) => write!(
                f,
                "left      {path}: it was changed since, look at it yourself"
            ),
        }
    }
}

/// A file as it shall be.
struct Wanted {
    path: String,
    text: String,
    /// In words, for a file that was there.
    changed: String,
}

/// Writes what is not yet as it should be; nothing when everything is.
///
/// # Errors
/// A file that cannot be read or written. What was written before is in the record, and can be taken back.
pub(crate) fn set_up(root: &Path, deployment: &Deployment<'_>) -> anyhow::Result<Vec<Deed>> {
    let mut record = Record::read(root)?.unwrap_or_default();
    let (conf, edits) = merged(root, deployment)?;
    let mut wanted: Vec<Wanted> = deployment
        .files()
        .into_iter()
        .map(|file| Wanted {
            path: file.path,
            text: file.text,
            changed: "it is another now".to_owned(),
        })
        .collect();
    wanted.push(conf);
    wanted.retain(|wanted| {
        let current = State::of(&below(root, &wanted.path)).ok().flatten();
        current.is_none_or(|state| state.bytes != wanted.text.as_bytes())
    });
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    for wanted in &wanted {
        ensure_inside(root, &wanted.path)?;
        record.note(root, &wanted.path, wanted.text.as_bytes())?;
    }
    record.edits.extend(edits);
    // Before anything else, so that a setup that was interrupted can be taken back.
    record.write(root)?;
    wanted
        .into_iter()
        .map(|wanted| apply(root, wanted))
        .collect()
}

fn apply(root: &Path, wanted: Wanted) -> anyhow::Result<Deed> {
    let path = below(root, &wanted.path);
    let before = State::of(&path)?;
    state::write(&path, wanted.text.as_bytes(), before.as_ref())?;
    Ok(match before {
        None => Deed::Created(wanted.path),
        Some(_) => Deed::Changed(wanted.path, wanted.changed),
    })
}

/// Cockpit's file with the settings that single sign-on needs, and what was changed for that.
fn merged(root: &Path, deployment: &Deployment<'_>) -> anyhow::Result<(Wanted, Vec<SettingEdit>)> {
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
                    "[{section}] {key} = {value} instead of `{}`, which stays as a comment",
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

/// The place of an absolute path below another root folder.
fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// An image of somebody else's must not lead out of itself, by a path in its record or by a symbolic link: that would be to
/// the image's files when it runs, and is to this machine's now.
fn ensure_inside(root: &Path, path: &str) -> anyhow::Result<()> {
    let mut parts = Path::new(path).components();
    if parts.any(|part| part == Component::ParentDir) {
        bail!("`{path}` is not a path of this program's: its record was changed");
    }
    let root = std::fs::canonicalize(root)
        .with_context(|| format!("cannot look at `{}`", root.display()))?;
    let path = below(&root, path);
    // What is there already decides where the rest goes.
    let real = path
        .ancestors()
        .find_map(|part| std::fs::canonicalize(part).ok());
    if !real.is_some_and(|real| real.starts_with(&root)) {
        bail!(
            "a symbolic link leads from `{}` out of `{}`: run this inside of it, as with chroot",
            path.display(),
            root.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The program that opens Cockpit sessions, which runs as root.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::cockpit::{HELPER, belongs_to_root};

const NAME: &str = "jetway-cockpit-session";
/// Where packages and administrators put programs that people do not run themselves.
const FOLDERS: [&str; 3] = ["/usr/local/libexec", "/usr/libexec", "/usr/lib/jetway"];

/// Where the program is, or should be.
#[derive(Debug)]
pub(super) struct Helper {
    path: PathBuf,
    /// One that is there and cannot be trusted, because it was built a moment ago in somebody's folder.
    built: Option<PathBuf>,
}

impl Helper {
    /// The one that is named, else beside this program or in the usual folders, whichever root can trust.
    pub(super) fn find(named: Option<&Path>, root: &Path) -> Self {
        if let Some(path) = named {
            return Self {
                path: path.to_owned(),
                built: None,
            };
        }
        let beside = std::env::current_exe()
            .ok()
            .map(|program| program.with_file_name(NAME))
            .filter(|path| path.exists());
        let mut candidates: Vec<PathBuf> =
            FOLDERS.map(|folder| Path::new(folder).join(NAME)).to_vec();
        if is_system(root) {
            candidates.extend(beside.clone());
        }
        let found = candidates.into_iter().find(|path| {
            let there = root.join(path.strip_prefix("/").unwrap_or(path));
            there.exists() && (!is_system(root) || belongs_to_root(path))
        });
        Self {
            path: found.unwrap_or_else(|| PathBuf::from(HELPER)),
            built: beside,
        }
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there, and nobody but root can change what root will run.
    ///
    /// # Errors
    /// It is not, with the command that puts it there.
    pub(super) fn ensure_trustworthy(&self, root: &Path) -> anyhow::Result<()> {
        if !self.path.is_absolute() {
            bail!(
                "`{}` is no absolute path: systemd needs one",
                self.path.display()
            );
        }
        // A root folder that is being made may get its programs later.
        if !is_system(root) || belongs_to_root(&self.path) {
            return Ok(());
        }
        let from = self.built.as_deref().unwrap_or_else(|| Path::new(NAME));
        if self.path.exists() {
            bail!(
                "`{}` or a folder above it can be changed by others than root, and root would run it: \
                 `install -D -o root -g root -m 755 {} {HELPER}`, and do this again",
                self.path.display(),
                from.display()
            );
        }
        bail!(
            "there is no `{}`: `install -D -o root -g root -m 755 {} {}`, and do this again",
            self.path.display(),
            from.display(),
            self.path.display()
        );
    }
}

fn is_system(root: &Path) -> bool {
    root == Path::new("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_change_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        std::fs::write(&path, "").unwrap();
        // The folder for temporary files is everybody's.
        let helper = Helper::find(Some(&path), Path::new("/"));
        let refused = helper
            .ensure_trustworthy(Path::new("/"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("can be changed by others"), "{refused}");
        assert!(helper.ensure_trustworthy(folder.path()).is_ok());
        let missing = Helper::find(Some(Path::new("/no/such/program")), Path::new("/"));
        let refused = missing
            .ensure_trustworthy(Path::new("/"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("install -D"), "{refused}");
    }
}

//! Finds the program that opens Cockpit sessions, which runs as root.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::cockpit::{HELPER, belongs_to_root};

const NAME: &str = "jetway-cockpit-session";
/// Folders in which packages and administrators install programs that users do not run themselves.
const FOLDERS: [&str; 3] = ["/usr/local/libexec", "/usr/libexec", "/usr/lib/jetway"];

/// The path of the program, whether it exists or not.
#[derive(Debug)]
pub(super) struct Helper {
    path: PathBuf,
    /// A program beside this one, which cannot be trusted when it was built in a user's folder.
    built: Option<PathBuf>,
}

impl Helper {
    /// Finds the given program, or else the first one beside this program or in the usual folders that root can trust.
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

    /// Returns its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the program exists and that only root can change it.
    ///
    /// # Errors
    /// A program that is missing or that others can change, with the command that installs it.
    pub(super) fn ensure_trustworthy(&self, root: &Path) -> anyhow::Result<()> {
        if !self.path.is_absolute() {
            bail!(
                "`{}` is not an absolute path, which systemd needs",
                self.path.display()
            );
        }
        // A root folder that is being built may get its programs later.
        if !is_system(root) || belongs_to_root(&self.path) {
            return Ok(());
        }
        let from = self.built.as_deref().unwrap_or_else(|| Path::new(NAME));
        if self.path.exists() {
            bail!(
                "`{}` or a folder above it can be changed by users other than root, and root would run it: \
                 run `install -D -o root -g root -m 755 {} {HELPER}`, and then this command again",
                self.path.display(),
                from.display()
            );
        }
        bail!(
            "no program at `{}`: run `install -D -o root -g root -m 755 {} {}`, and then this command again",
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
    fn a_program_that_others_can_change_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        std::fs::write(&path, "").unwrap();
        // All users can write to the folder for temporary files.
        let helper = Helper::find(Some(&path), Path::new("/"));
        let refused = helper
            .ensure_trustworthy(Path::new("/"))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("can be changed by users other than root"),
            "{refused}"
        );
        assert!(helper.ensure_trustworthy(folder.path()).is_ok());
        let missing = Helper::find(Some(Path::new("/no/such/program")), Path::new("/"));
        let refused = missing
            .ensure_trustworthy(Path::new("/"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("install -D"), "{refused}");
    }
}

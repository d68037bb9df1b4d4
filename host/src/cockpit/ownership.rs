//! Checks that only root can change a program that root runs.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// Permissions by which users other than the owner can change a file or a folder.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Most symbolic links in one path, as many as Linux follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Whether a file exists, and only root can change it and every folder on the path to it.
pub(crate) fn belongs_to_root(path: &Path) -> bool {
    matches!(find_changeable(path), Ok(None))
}

/// Returns the first folder on the path to a file, or the file itself, that users other than root can change. Symbolic links
/// are followed step by step, because the owner of a link's folder decides where it leads.
///
/// # Errors
/// A path that is relative, does not exist, is circular, or cannot be accessed.
pub(crate) fn find_changeable(path: &Path) -> io::Result<Option<PathBuf>> {
    find_on_path(path, |metadata| {
        metadata.uid() != 0 || metadata.mode() & WRITABLE_BY_OTHERS != 0
    })
}

/// Returns the first match among the folders on the path to a file and the file itself.
fn find_on_path(path: &Path, is_it: impl Fn(&Metadata) -> bool) -> io::Result<Option<PathBuf>> {
    if !path.is_absolute() {
        return Err(io::Error::other("the path is not absolute"));
    }
    let mut links = 0;
    let mut at = PathBuf::from("/");
    let mut ahead = reversed_names(path);
    if is_it(&at.symlink_metadata()?) {
        return Ok(Some(at));
    }
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        let metadata = next.symlink_metadata()?;
        if metadata.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("the path has too many symbolic links"));
            }
            let target = next.read_link()?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            ahead.extend(reversed_names(&target));
        } else if is_it(&metadata) {
            return Ok(Some(next));
        } else {
            at = next;
        }
    }
    Ok(None)
}

/// Returns the components of a path, the last one first.
fn reversed_names(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn programs_of_the_system_belong_to_root() {
        // `/bin` is a symbolic link on most systems.
        assert!(belongs_to_root(Path::new("/bin/sh")));
        assert!(belongs_to_root(Path::new("/usr/bin/../bin/env")));
        assert!(!belongs_to_root(Path::new("/usr/bin/no-such-program")));
        assert!(!belongs_to_root(Path::new("bin/sh")));
    }

    #[test]
    fn a_link_in_a_folder_of_all_users_can_be_changed() {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().parent().unwrap().canonicalize().unwrap();
        let link = folder.path().join("link");
        symlink("/bin/sh", &link).unwrap();
        assert!(find_changeable(&link).unwrap().is_some());
        assert!(
            find_changeable(&above.join("nothing"))
                .unwrap()
                .is_some_and(|found| above.starts_with(found)),
            "all users can write to the folder for temporary files"
        );
    }

    #[test]
    fn links_are_followed_and_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let inner = folder.join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("program"), "").unwrap();
        symlink("../inner/program", inner.join("link")).unwrap();
        symlink("link", folder.join("circle")).unwrap();
        symlink("circle", folder.join("link")).unwrap();
        let is_file = |metadata: &Metadata| metadata.is_file();
        assert_eq!(
            find_on_path(&inner.join("link"), is_file).unwrap(),
            Some(inner.join("program"))
        );
        assert!(find_on_path(&folder.join("link"), is_file).is_err());
    }
}

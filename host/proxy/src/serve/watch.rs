//! Watches the files that a configuration was read from.
//!
//! Their contents are looked at every second, where anything about them changed. That is cheap for a handful of files, and
//! what the kernel would tell about them instead misses too much: editors and `kubectl` put another file in the place of
//! the watched one, Kubernetes turns a link two folders up, and network file systems tell nothing.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jetway_config_file::file::{self, Content, Noted};

/// Device, inode, size, and the times of the last changes of content and metadata.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

/// The files of a configuration, as they were when it was read.
#[derive(Default)]
pub(super) struct Watch {
    files: HashMap<PathBuf, Watched>,
}

struct Watched {
    /// When it was read for the configuration.
    used: Content,
    /// When it was last looked at.
    seen: Content,
    /// What it looked like from outside then.
    stamp: Option<Stamp>,
}

impl Watch {
    /// Watches these from now on, and no others.
    pub(super) fn set(&mut self, read: Vec<Noted>) {
        let watched = |noted: Noted| {
            let watched = Watched {
                used: noted.content,
                seen: noted.content,
                stamp: None,
            };
            (noted.path, watched)
        };
        self.files = read.into_iter().map(watched).collect();
    }

    /// Looks at all of them: whether some have other contents than the configuration in force, and each has been left alone
    /// since the last look. One that is being written would be read in half.
    pub(super) fn is_changed(&mut self) -> bool {
        let (mut changed, mut settled) = (false, true);
        for (path, file) in &mut self.files {
            let before = file.seen;
            file.look(path);
            changed |= file.seen != file.used;
            settled &= file.seen == before;
        }
        changed && settled
    }
}

impl Watched {
    fn look(&mut self, path: &Path) {
        let metadata = std::fs::metadata(path).ok();
        // What was piped in cannot be read twice.
        if metadata
            .as_ref()
            .is_some_and(|metadata| !metadata.is_file())
        {
            return;
        }
        let stamp = metadata.map(|found| {
            (
                found.dev(),
                found.ino(),
                found.size(),
                found.mtime(),
                found.mtime_nsec(),
                found.ctime(),
                found.ctime_nsec(),
            )
        });
        if stamp.is_none() || stamp != self.stamp {
            self.stamp = stamp;
            let bytes = file::read("file", path, file::MAX_CONFIG_BYTES).ok();
            self.seen = bytes.as_deref().and_then(file::content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn watch(paths: &[&Path]) -> Watch {
        let (_, read) = file::noting(|| {
            for path in paths {
                let _ = file::read("test", path, 100);
            }
        });
        let mut watch = Watch::default();
        watch.set(read);
        watch
    }

    #[test]
    fn another_content_is_a_change_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        fs::write(&path, "one").unwrap();
        let mut watch = watch(&[&path, &other]);
        assert!(!watch.is_changed() && !watch.is_changed());
        fs::write(&path, "t").unwrap();
        assert!(!watch.is_changed(), "just written");
        fs::write(&path, "two").unwrap();
        assert!(!watch.is_changed(), "written again");
        assert!(watch.is_changed() && watch.is_changed());
        fs::write(&path, "one").unwrap();
        assert!(!watch.is_changed() && !watch.is_changed(), "as it was");
        // One that was missing is there, and one that was there is missing.
        fs::write(&other, "").unwrap();
        assert!(!watch.is_changed() && watch.is_changed());
        fs::remove_file(&other).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!watch.is_changed() && watch.is_changed());
    }

    #[test]
    fn a_file_that_is_touched_or_replaced_by_its_like_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("file"), folder.path().join("new"));
        fs::write(&path, "one").unwrap();
        let mut watch = watch(&[&path]);
        fs::write(&new, "one").unwrap();
        fs::rename(&new, &path).unwrap();
        assert!(!watch.is_changed() && !watch.is_changed());
        fs::write(&new, "two").unwrap();
        fs::rename(&new, &path).unwrap();
        assert!(!watch.is_changed() && watch.is_changed());
    }

    #[test]
    fn a_link_that_is_turned_is_a_change() {
        // As Kubernetes lays out what it mounts.
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, content) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), content).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/file", at("file")).unwrap();
        let mut watch = watch(&[&at("file")]);
        assert!(!watch.is_changed());
        symlink("..2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert!(!watch.is_changed() && watch.is_changed());
    }
}

//! Watches the files that a configuration was read from.
//!
//! The watcher looks at the files every second, and reads those whose metadata changed. That is cheap for a handful of
//! files. Notifications of the kernel would miss too much: editors and `kubectl` replace the watched file, Kubernetes
//! changes a symbolic link two folders up, and network file systems send no notifications.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jetway_config_file::file::{self, Digest, ReadFile};

/// Device, inode, size, and the times of the last changes of content and metadata.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

/// Watches the files of a configuration for changes since it was read.
#[derive(Default)]
pub(super) struct FileWatcher {
    files: HashMap<PathBuf, WatchedFile>,
}

struct WatchedFile {
    /// The digest when the file was read for the configuration.
    used: Digest,
    /// The digest at the last look.
    seen: Digest,
    /// The metadata at the last look.
    stamp: Option<Stamp>,
}

impl FileWatcher {
    /// Watches these files from now on, and no others.
    pub(super) fn set(&mut self, read: Vec<ReadFile>) {
        let watched = |read: ReadFile| {
            let watched = WatchedFile {
                used: read.digest,
                seen: read.digest,
                stamp: None,
            };
            (read.path, watched)
        };
        self.files = read.into_iter().map(watched).collect();
    }

    /// Looks at all files and returns whether the content of one differs from the active configuration and none has changed
    /// since the last look. A file that is being written would be read half-written.
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

impl WatchedFile {
    fn look(&mut self, path: &Path) {
        let metadata = std::fs::metadata(path).ok();
        // A pipe cannot be read twice.
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
            self.seen = bytes.as_deref().and_then(file::compute_digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn watch(paths: &[&Path]) -> FileWatcher {
        let (_, read) = file::record_reads(|| {
            for path in paths {
                let _ = file::read("test", path, 100);
            }
        });
        let mut watch = FileWatcher::default();
        watch.set(read);
        watch
    }

    #[test]
    fn other_content_is_a_change_once_it_has_settled() {
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
    fn a_file_that_is_touched_or_replaced_by_a_copy_is_not_changed() {
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
    fn a_link_to_another_file_is_a_change() {
        // The layout of a volume that Kubernetes mounts.
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

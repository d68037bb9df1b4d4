//! Detects the installed Cockpit, whose units changed in release 330.

use std::path::Path;

/// Folders with units of packages.
const UNIT_FOLDERS: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];
/// A unit of every Cockpit.
const COCKPIT: &str = "cockpit.service";
/// A unit only of releases whose group exists while Cockpit runs.
const DYNAMIC: &str = "cockpit-session-socket-user.service";

/// How Cockpit's units are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Up to 329: the web service runs in the group `cockpit-wsinstance`, which is in /etc/group.
    StaticGroup,
    /// From 330 on: in a group that systemd creates while Cockpit runs.
    DynamicGroup,
}

impl Layout {
    /// Detects the Cockpit that is installed below a root folder.
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let has = |unit: &str| {
            UNIT_FOLDERS
                .iter()
                .any(|folder| root.join(folder).join(unit).exists())
        };
        if has(DYNAMIC) {
            Some(Self::DynamicGroup)
        } else {
            has(COCKPIT).then_some(Self::StaticGroup)
        }
    }

    /// Returns the group that may connect to the socket.
    pub(crate) const fn group(self) -> &'static str {
        match self {
            Self::StaticGroup => "cockpit-wsinstance",
            Self::DynamicGroup => "cockpit-session-socket",
        }
    }

    /// Returns the releases, for messages.
    pub(crate) const fn releases(self) -> &'static str {
        match self {
            Self::StaticGroup => "329 or older",
            Self::DynamicGroup => "330 or newer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_recognised_by_their_units() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Layout::of(root.path()), None);
        let folder = root.path().join("lib/systemd/system");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(COCKPIT), "").unwrap();
        assert_eq!(Layout::of(root.path()), Some(Layout::StaticGroup));
        std::fs::write(folder.join(DYNAMIC), "").unwrap();
        assert_eq!(Layout::of(root.path()), Some(Layout::DynamicGroup));
    }
}

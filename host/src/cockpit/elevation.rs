//! How Cockpit becomes root for an administrator: by sudo, or by a unit of systemd for which polkit has to agree.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The rule for polkit that the setup writes.
pub(crate) const POLKIT_RULE: &str = "/etc/polkit-1/rules.d/50-jetway-cockpit.rules";
/// The content of the rule.
pub(crate) const POLKIT_RULE_TEXT: &str = include_str!("elevation/polkit.js");
/// The part of Cockpit's shell that lists its ways to become root.
const MANIFEST: &str = "usr/share/cockpit/shell/manifest.json";
/// The way by a unit of systemd in that list, since release 355.
const UNIT_WAY: &str = "\"StartTransientUnit\"";
/// The file by which the system's D-Bus starts polkit.
const POLKIT_SERVICE: &str = "usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service";
/// The search path for programs in Cockpit's sessions.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The usual path of sudo.
const SUDO: &str = "/usr/bin/sudo";
/// Parts of paths of sudo-rs, to which a package links the path of sudo.
const SUDO_RS: [&str; 2] = ["sudo-rs", "/cargo/"];
/// Most symbolic links to one program: the alternatives of Debian need two.
const MAX_LINKS: usize = 8;

/// The way in which Cockpit becomes root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elevation {
    /// sudo, which must not ask for a password.
    Sudo,
    /// A unit of systemd, if polkit agrees.
    Polkit,
    /// None: sudo cannot ask for a password by a program, and Cockpit is older than release 355.
    None,
}

impl Elevation {
    /// Finds the way that the Cockpit below a root folder takes: like Cockpit itself, sudo if it has the option `-A`.
    pub(crate) fn of(root: &Path) -> Self {
        let has_sudo = if root == Path::new("/") {
            has_askpass("sudo")
        } else {
            is_sudo_in_image(root)
        };
        if has_sudo {
            return Self::Sudo;
        }
        let manifest = std::fs::read_to_string(root.join(MANIFEST)).unwrap_or_default();
        if manifest.contains(UNIT_WAY) {
            Self::Polkit
        } else {
            Self::None
        }
    }
}

/// Whether polkit is installed below a root folder.
pub(crate) fn has_polkit(root: &Path) -> bool {
    root.join(POLKIT_SERVICE).exists()
}

/// Whether a sudo accepts a program that asks for the password, by Cockpit's own test.
fn has_askpass(program: &str) -> bool {
    let status = Command::new(program)
        .args(["-A", "--help"])
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Whether an image has a sudo that is not sudo-rs. Programs of an image are not run; every other sudo has the option.
fn is_sudo_in_image(root: &Path) -> bool {
    let below = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let mut path = PathBuf::from(SUDO);
    for _ in 0..MAX_LINKS {
        let Ok(target) = below(&path).read_link() else {
            break;
        };
        path = path.parent().unwrap_or(&path).join(target);
    }
    let name = path.to_string_lossy();
    below(&path).exists() && !SUDO_RS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn image() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["usr/bin", "usr/lib/cargo/bin", "etc/alternatives"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        root
    }

    #[test]
    fn the_way_is_the_one_that_cockpit_takes() {
        let root = image();
        let path = |name: &str| root.path().join(name);
        assert_eq!(Elevation::of(root.path()), Elevation::None);
        let manifest = path(MANIFEST);
        std::fs::create_dir_all(manifest.parent().unwrap()).unwrap();
        std::fs::write(&manifest, "{\"bridges\": [{\"spawn\": [\"sudo\"]}]}").unwrap();
        assert_eq!(Elevation::of(root.path()), Elevation::None);
        std::fs::write(&manifest, format!("{{\"method\": {UNIT_WAY}}}")).unwrap();
        assert_eq!(Elevation::of(root.path()), Elevation::Polkit);
        std::fs::write(path("usr/lib/cargo/bin/sudo"), "").unwrap();
        symlink("../lib/cargo/bin/sudo", path("usr/bin/sudo-rs")).unwrap();
        symlink("/usr/bin/sudo-rs", path("etc/alternatives/sudo")).unwrap();
        symlink("/etc/alternatives/sudo", path("usr/bin/sudo")).unwrap();
        assert_eq!(Elevation::of(root.path()), Elevation::Polkit);
        std::fs::remove_file(path("usr/bin/sudo")).unwrap();
        std::fs::write(path("usr/bin/sudo"), "").unwrap();
        assert_eq!(Elevation::of(root.path()), Elevation::Sudo);
    }

    #[test]
    fn a_sudo_without_the_option_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("sudo");
        for (script, expected) in [
            ("#!/bin/sh\n[ \"$1\" = -A ]\n", true),
            ("#!/bin/sh\necho invalid option >&2\nexit 1\n", false),
        ] {
            std::fs::write(&program, script).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(has_askpass(&program.display().to_string()), expected);
        }
        assert!(!has_askpass("/no/such/program"));
    }

    #[test]
    fn the_rule_agrees_to_one_action_of_marked_sessions() {
        for part in [
            "\"org.freedesktop.systemd1.manage-units\"",
            "\"cockpit-superuser-\" + subject.pid + \".service\"",
            "/run/jetway/administrators/",
            "no_new_privileges",
        ] {
            assert!(POLKIT_RULE_TEXT.contains(part), "{part}");
        }
        assert_eq!(POLKIT_RULE_TEXT.matches("polkit.Result.YES").count(), 1);
    }
}

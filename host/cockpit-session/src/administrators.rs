//! Marks of the sessions that get administrative access by the proxy's policy.
//!
//! Where sudo cannot ask for a password by a program (`sudo -A`), Cockpit 355 and newer becomes root by a unit of systemd, for
//! which polkit has to agree. The rule that `jetway cockpit setup` writes for polkit agrees for sessions of logind that have
//! a mark: the empty file `SESSION@ACCOUNT`, which exists as long as the session. polkit's own account reads the folder.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::state_folder::{FolderError, prepare};

/// Permissions of the folder.
const FOLDER: u32 = 0o755;
/// Permissions of a mark.
const FILE: u32 = 0o644;
/// Between the session and the account in the name of a mark; no id of a session has it.
const SEPARATOR: u8 = b'@';
/// The folder in which logind describes each session in a file.
const LOGIND: &str = "/run/systemd/sessions";

/// The reason why a session has no mark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MarkError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The mark cannot be written, or an older one cannot be removed.
    #[error("`{0}` cannot be changed: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The id or the account cannot be a part of the name of a file.
    #[error("the name of the session or of the account is not valid")]
    Name,
}

/// Returns the id of the session of logind in which this process is, if it is in one. A user may choose the variable
/// `XDG_SESSION_ID`, and not the control group.
pub(crate) fn own_session() -> Option<OsString> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().find_map(find_session).map(Into::into)
}

/// Returns the session in a line such as `0::/user.slice/user-1000.slice/session-c3.scope`.
fn find_session(group: &str) -> Option<&str> {
    let (_, scope) = group.rsplit_once('/')?;
    let session = scope.strip_prefix("session-")?.strip_suffix(".scope")?;
    is_session_id(session.as_bytes()).then_some(session)
}

/// The mark of an open session. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct AdministratorMark(PathBuf);

impl AdministratorMark {
    /// Marks a session of logind.
    ///
    /// # Errors
    /// The session then has only the access of its account.
    pub(crate) fn set(
        folder: &Path,
        session: &OsStr,
        account: &Account,
    ) -> Result<Self, MarkError> {
        let account = account.name.as_bytes();
        if !is_session_id(session.as_bytes()) || account.contains(&b'/') {
            return Err(MarkError::Name);
        }
        prepare(folder, FOLDER)?;
        let name = [session.as_bytes(), account].join(&SEPARATOR);
        let path = folder.join(OsStr::from_bytes(&name));
        match write(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(MarkError::Io(path, error)),
        }
    }
}

impl Drop for AdministratorMark {
    fn drop(&mut self) {
        // The folder belongs to root, who may have emptied it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes marks that programs have left that were killed: those of sessions that have ended, and those of a new session,
/// whose id an older one may have had.
///
/// # Errors
/// A mark that cannot be removed. The new session must not be used then.
pub(crate) fn forget_old_marks(folder: &Path, new: &OsStr) -> Result<(), MarkError> {
    forget_marks(folder, |session| {
        session == new || !Path::new(LOGIND).join(session).exists()
    })
}

fn forget_marks(folder: &Path, is_old: impl Fn(&OsStr) -> bool) -> Result<(), MarkError> {
    let failed = |error| MarkError::Io(folder.to_owned(), error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // No session was marked yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().as_bytes();
        let session = name.split(|byte| *byte == SEPARATOR).next();
        if !is_old(OsStr::from_bytes(session.unwrap_or_default())) {
            continue;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            // The program of that session has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(MarkError::Io(path, error)),
        }
    }
    Ok(())
}

fn write(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(FILE).open(path)?;
    // A PAM module may have set a narrower umask.
    file.set_permissions(Permissions::from_mode(FILE))
}

/// Whether this has the form of logind's ids, such as `c12`.
fn is_session_id(session: &[u8]) -> bool {
    !session.is_empty() && session.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    use nix::unistd::{Gid, Uid};

    fn account(name: &str) -> Account {
        Account {
            name: CString::new(name).unwrap(),
            uid: Uid::from_raw(1000),
            gid: Gid::from_raw(1000),
            home: "/".into(),
            shell: "/bin/sh".into(),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_mark_exists_as_long_as_its_session() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("administrators");
        let alice = account("alice");
        let mark = AdministratorMark::set(&folder, OsStr::new("c1"), &alice).unwrap();
        assert_eq!(names(&folder), ["c1@alice"]);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&mark.0)), (0o755, 0o644));
        drop(mark);
        assert_eq!(names(&folder), [""; 0]);
    }

    #[test]
    fn the_session_is_that_of_the_control_group() {
        for (group, session) in [
            (
                "0::/user.slice/user-1000.slice/session-c3.scope",
                Some("c3"),
            ),
            (
                "1:name=systemd:/user.slice/user-0.slice/session-12.scope",
                Some("12"),
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/session-c3.scope/x",
                None,
            ),
            ("0::/system.slice/cockpit.service", None),
            ("0::/session-.scope", None),
            ("", None),
        ] {
            assert_eq!(find_session(group), session, "{group}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        for (session, name) in [
            ("", "alice"),
            ("../c1", "alice"),
            ("c1@x", "alice"),
            ("c1", "a/b"),
        ] {
            let set = AdministratorMark::set(parent.path(), OsStr::new(session), &account(name));
            assert!(matches!(set, Err(MarkError::Name)), "{session} {name}");
        }
    }

    #[test]
    fn a_folder_that_others_can_change_is_not_used() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("administrators");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let set = AdministratorMark::set(&folder, OsStr::new("c1"), &account("alice"));
        assert!(matches!(set, Err(MarkError::Folder(_))), "{set:?}");
    }

    #[test]
    fn marks_of_ended_sessions_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path();
        forget_old_marks(&folder.join("none"), OsStr::new("c1")).unwrap();
        for name in ["c1@alice", "c2@bob", "c11@alice"] {
            File::create(folder.join(name)).unwrap();
        }
        forget_marks(folder, |session| session == "c1").unwrap();
        assert_eq!(names(folder), ["c11@alice", "c2@bob"]);
        // No logind of this machine knows such a session.
        forget_old_marks(folder, OsStr::new("c3")).unwrap();
        assert_eq!(names(folder), [""; 0]);
    }
}

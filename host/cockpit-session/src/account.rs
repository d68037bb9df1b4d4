//! The Unix account, and the rules about which accounts may use Cockpit.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use nix::unistd::{Gid, Uid, User};

use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::trusted_file::{FileError, read_trusted};

/// Longest name of an account in bytes, as in `<limits.h>` of Linux.
const MAX_NAME: usize = 256;

/// The only name by which a user can become root.
const ROOT: &str = "root";

/// An account of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Name, as the system spells it.
    pub(crate) name: CString,
    /// User id.
    pub(crate) uid: Uid,
    /// Primary group id.
    pub(crate) gid: Gid,
    /// Home folder.
    pub(crate) home: PathBuf,
    /// Login shell.
    pub(crate) shell: PathBuf,
}

impl Account {
    /// Finds the account, and refuses accounts that never get a session: root without `allow_root`, other names for
    /// root, and those in Cockpit's list of disallowed users, which older versions of Cockpit only check together with
    /// a password.
    pub(crate) fn find(name: &str, settings: &Settings) -> Result<Self, Refusal> {
        if !is_plausible(name) {
            return Err(Refusal::account("The name of the account is not valid"));
        }
        let found = User::from_name(name).map_err(|error| {
            Refusal::Fault(format!("the account `{name}` cannot be looked up: {error}"))
        })?;
        let user = found.ok_or_else(|| {
            Refusal::account(format!("There is no account {name} on this server"))
        })?;
        if user.uid.is_root() {
            ensure_root(&user.name, settings.allow_root)?;
        }
        if is_disallowed(&user.name, settings)? {
            return Err(Refusal::account(format!(
                "The account {} may not use Cockpit",
                user.name
            )));
        }
        let name = CString::new(user.name)
            .map_err(|_| Refusal::Fault("an account name has a zero byte".into()))?;
        let shell = if user.shell.as_os_str().is_empty() {
            "/bin/sh".into()
        } else {
            user.shell
        };
        Ok(Self {
            name,
            uid: user.uid,
            gid: user.gid,
            home: user.dir,
            shell,
        })
    }

    /// Returns the name as a string.
    pub(crate) fn display_name(&self) -> std::borrow::Cow<'_, str> {
        self.name.to_string_lossy()
    }

    /// Returns the home folder for system calls, or `None` if it cannot be passed to them.
    pub(crate) fn home_path(&self) -> CString {
        CString::new(self.home.as_os_str().as_bytes()).unwrap_or_default()
    }
}

/// Refuses root unless it is allowed, and always under another name. An operator who maps users to `root` means root,
/// but may not know that another name is root as well.
fn ensure_root(name: &str, allow_root: bool) -> Result<(), Refusal> {
    if name != ROOT {
        return Err(Refusal::account(format!(
            "The account {name} is another name for root, and may not be used through the proxy"
        )));
    }
    if !allow_root {
        return Err(Refusal::account(
            "The account root may not be used through the proxy",
        ));
    }
    Ok(())
}

/// Returns whether a name is acceptable. Names of directory services (`alice@example.com`, `EXAMPLE\alice`) are; a name
/// that could be read as an option, a path or a field of `/etc/passwd` is not.
fn is_plausible(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('-')
        && !name.contains(|character: char| {
            character.is_control()
                || character.is_whitespace()
                || matches!(character, '/' | ':' | ',')
        })
}

fn is_disallowed(name: &str, settings: &Settings) -> Result<bool, Refusal> {
    match read_trusted(&settings.disallowed_users_file) {
        Ok(text) => Ok(text.lines().any(|line| line.trim() == name)),
        Err(FileError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Refusal::Fault(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_one_name() {
        assert!(ensure_root("root", true).is_ok());
        for (name, allow_root) in [("root", false), ("toor", false), ("toor", true)] {
            assert!(
                ensure_root(name, allow_root).is_err(),
                "{name} {allow_root}"
            );
        }
    }

    #[test]
    fn names_that_no_account_has_are_refused() {
        for name in [
            "alice",
            "alice@example.com",
            "EXAMPLE\\alice",
            "a.b-c_d$",
            "été",
        ] {
            assert!(is_plausible(name), "{name}");
        }
        for name in [
            "",
            "-x",
            "a b",
            "a\n",
            "a\u{0}",
            "../a",
            "a:b",
            "a,b",
            &"a".repeat(257),
        ] {
            assert!(!is_plausible(name), "{name:?}");
        }
    }
}

//! The Unix account that users of the demo become.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Prefix of the names of created accounts; the process id of their demo follows.
const PREFIX: &str = "jetway-demo-";
/// Time limit for the removal of an account.
const REMOVAL: Duration = Duration::from_secs(5);

/// An account of this machine. Dropping one that was created removes it, with all its processes.
pub(crate) struct UnixAccount {
    name: String,
    made: bool,
}

impl UnixAccount {
    /// Returns an existing account.
    ///
    /// # Errors
    /// Returns an error if no account has this name.
    pub(crate) fn existing(name: &str) -> anyhow::Result<Self> {
        if uid_of(name)?.is_none() {
            bail!(
                "there is no Unix user `{name}` on this machine: omit --unix-user to create one for the demo"
            );
        }
        Ok(Self {
            name: name.to_owned(),
            made: false,
        })
    }

    /// Creates an account without a password, after removing the accounts of demos that were killed.
    ///
    /// # Errors
    /// Returns an error when the process is not root, or `useradd` fails.
    pub(crate) fn make() -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            bail!(
                "only root can create a Unix user for the demo: name one with --unix-user, or add --password"
            );
        }
        remove_abandoned();
        let name = format!("{PREFIX}{}", std::process::id());
        let made = Command::new("useradd")
            .args([
                "--create-home",
                "--shell",
                "/bin/bash",
                "--no-log-init",
                "--comment",
            ])
            .args(["for the Jetway demo that runs now", &name])
            .status()
            .context("useradd cannot be started")?;
        if !made.success() {
            bail!("`useradd {name}` failed");
        }
        Ok(Self { name, made: true })
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for UnixAccount {
    fn drop(&mut self) {
        if self.made {
            remove(&self.name);
        }
    }
}

fn remove_abandoned() {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = passwd.lines().filter_map(|line| line.split(':').next());
    for name in names.filter(|name| is_abandoned(name)) {
        remove(name);
    }
}

/// Returns whether a demo that has ended created this account.
fn is_abandoned(name: &str) -> bool {
    let process = name
        .strip_prefix(PREFIX)
        .and_then(|id| id.parse::<u32>().ok());
    process.is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists())
}

/// Kills all processes of an account and removes it. Cockpit leaves a message bus and an ssh-agent of each login
/// running. Killed processes take a moment to end, and until then `userdel` refuses.
fn remove(name: &str) {
    let end = Instant::now() + REMOVAL;
    while let Ok(Some(uid)) = uid_of(name) {
        end_processes_of(uid);
        let removed = Command::new("userdel")
            .args(["--remove", name])
            .stderr(Stdio::null())
            .status();
        // If the removal fails, the next demo removes the account.
        if removed.is_ok_and(|status| status.success()) || Instant::now() >= end {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

fn end_processes_of(uid: u32) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let owner = entry.metadata().map(|metadata| metadata.uid());
        let id = entry.file_name().to_str().and_then(|id| id.parse().ok());
        if let (Ok(owner), Some(id)) = (owner, id.and_then(Pid::from_raw))
            && owner == uid
        {
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// Returns the user id of an account, from files or a directory service.
fn uid_of(name: &str) -> anyhow::Result<Option<u32>> {
    let output = Command::new("getent")
        .args(["passwd", "--", name])
        .output()
        .context("getent cannot be started")?;
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = line.trim_end().split(':');
    let (Some(known), Some(uid)) = (fields.next(), fields.nth(1)) else {
        return Ok(None);
    };
    Ok(uid.parse().ok().filter(|_| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_a_running_demo_is_not_abandoned() {
        assert!(!is_abandoned(&format!("{PREFIX}{}", std::process::id())));
        // No process has this id: Linux gives at most 2^22.
        assert!(is_abandoned(&format!("{PREFIX}4294967295")));
        for other in ["root", "jetway-demo", "jetway-demo-x", "jetway-demo-1x"] {
            assert!(!is_abandoned(other), "{other}");
        }
    }

    #[test]
    fn a_user_is_looked_up_by_name_only() {
        assert_eq!(uid_of("root").unwrap(), Some(0));
        for name in ["", "0", "no-such-user", "--help"] {
            assert_eq!(uid_of(name).unwrap(), None, "{name}");
            assert!(UnixAccount::existing(name).is_err(), "{name}");
        }
    }
}

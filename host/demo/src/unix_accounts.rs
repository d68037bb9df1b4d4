//! The Unix accounts that users of the demo become.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::provider::Rights;

/// Prefixes of the names of created accounts; the process id of their demo follows.
const PREFIXES: [&str; 2] = ["jetway-alice-", "jetway-bob-"];
/// The comment of created accounts. An account without it is never removed.
const COMMENT: &str = "for a Jetway demo that removes it at its end";
/// The user ids of created accounts. Removing an account ends every process with its id; neither ordinary accounts, nor programs
/// in containers, nor the ranges that systemd uses (60001 and above) have these ids.
const UIDS: RangeInclusive<u32> = 59_000..=59_999;
/// The folder of sudo's rules; `/etc/sudoers` includes it.
const SUDO_RULES: &str = "/etc/sudoers.d";
/// Time limit for the removal of an account.
const REMOVAL: Duration = Duration::from_secs(5);

/// The names of the Unix users of alice and bob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnixUsers<'a> {
    pub(crate) alice: &'a str,
    pub(crate) bob: &'a str,
}

/// The accounts of this machine that alice and bob become, before they are there.
pub(crate) struct AccountPlan {
    alice: String,
    bob: String,
    /// Whether the accounts are to be created, and not the operator's own.
    creates: bool,
}

/// The accounts that a demo has created.
pub(crate) struct CreatedAccounts(Vec<UnixAccount>);

/// An account that the demo has created. Dropping it removes it, with all its processes.
pub(crate) struct UnixAccount {
    name: String,
}

/// A line of the accounts' database.
struct Entry {
    uid: u32,
    comment: String,
}

impl AccountPlan {
    /// Plans with an existing account for both, which the demo never changes.
    ///
    /// # Errors
    /// Returns an error if no account has this name.
    pub(crate) fn existing(name: &str) -> anyhow::Result<Self> {
        if find_account(name)?.is_none() {
            bail!(
                "there is no Unix user `{name}` on this machine: omit --unix-user to create two for the demo"
            );
        }
        Ok(Self {
            alice: name.to_owned(),
            bob: name.to_owned(),
            creates: false,
        })
    }

    /// Plans with a new account for each.
    ///
    /// # Errors
    /// Returns an error when the process is not root, or sudo is not installed.
    pub(crate) fn new() -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            bail!(
                "only root can create Unix users for the demo: name one with --unix-user, or add --password"
            );
        }
        if !Path::new(SUDO_RULES).is_dir() {
            bail!(
                "there is no folder {SUDO_RULES}, by which alice gets administrative access: install sudo, or add \
                 --password"
            );
        }
        let [alice, bob] = PREFIXES.map(|prefix| format!("{prefix}{}", std::process::id()));
        Ok(Self {
            alice,
            bob,
            creates: true,
        })
    }

    /// Returns the names.
    pub(crate) fn users(&self) -> UnixUsers<'_> {
        UnixUsers {
            alice: &self.alice,
            bob: &self.bob,
        }
    }

    /// Returns whether alice and bob become Unix users of their own.
    pub(crate) fn rights(&self) -> Rights {
        if self.creates {
            Rights::Own
        } else {
            Rights::Shared
        }
    }

    /// Creates the planned accounts without a password, after removing the accounts of demos that were killed. Alice's may
    /// start Cockpit's privileged bridge by sudo, and nothing else.
    ///
    /// # Errors
    /// Returns an error when `useradd` fails, or the rule for sudo cannot be written. Then no account is left.
    pub(crate) fn create(&self) -> anyhow::Result<CreatedAccounts> {
        if !self.creates {
            return Ok(CreatedAccounts(Vec::new()));
        }
        remove_abandoned();
        let alice = UnixAccount::create(&self.alice)?;
        let bob = UnixAccount::create(&self.bob)?;
        alice.allow_administration()?;
        Ok(CreatedAccounts(vec![alice, bob]))
    }
}

impl CreatedAccounts {
    /// Removes the accounts, and returns a line about each for people.
    pub(crate) fn remove(self) -> String {
        self.0.iter().map(UnixAccount::remove).collect()
    }
}

impl UnixAccount {
    fn create(name: &str) -> anyhow::Result<Self> {
        let output = Command::new("useradd")
            .args(["--create-home", "--shell", "/bin/bash", "--no-log-init"])
            .args(["--comment", COMMENT])
            .args(["--key", &format!("UID_MIN={}", UIDS.start())])
            .args(["--key", &format!("UID_MAX={}", UIDS.end())])
            .arg(name)
            // Ctrl-C does not stop it halfway.
            .process_group(0)
            .output()
            .context("useradd cannot be started")?;
        if !output.status.success() {
            let cause = String::from_utf8_lossy(&output.stderr);
            bail!("`useradd {name}` failed: {}", cause.trim());
        }
        Ok(Self {
            name: name.to_owned(),
        })
    }

    /// Gives the account's Cockpit sessions administrative access without a password.
    fn allow_administration(&self) -> anyhow::Result<()> {
        let path = sudo_rule(&self.name);
        // sudo ignores a file that other accounts could have written.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o440)
            .open(&path);
        let rule = format!(
            "{} ALL=(root) NOPASSWD: /usr/bin/cockpit-bridge --privileged\n",
            self.name
        );
        file.and_then(|mut file| file.write_all(rule.as_bytes()))
            .with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Removes the account, and returns a line about it for people.
    fn remove(&self) -> String {
        let name = &self.name;
        if remove(name) {
            format!("removed: the Unix user {name}, its home folder and its processes\n")
        } else {
            format!("the Unix user {name} is still there: sudo userdel --remove {name}\n")
        }
    }
}

impl Drop for UnixAccount {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

fn sudo_rule(name: &str) -> PathBuf {
    Path::new(SUDO_RULES).join(name)
}

fn remove_abandoned() {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = passwd.lines().filter_map(|line| line.split(':').next());
    for name in names.filter(|name| is_abandoned(name)) {
        remove(name);
    }
}

/// Returns whether an account has the name of one that a demo has created which has ended.
fn is_abandoned(name: &str) -> bool {
    let id = PREFIXES
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    let process = id.and_then(|id| id.parse::<u32>().ok());
    process.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists())
}

/// Kills all processes of a created account and removes it; returns whether it is gone. Cockpit leaves a message bus and an
/// ssh-agent of each login running. Killed processes take a moment to end, and until then `userdel` refuses.
fn remove(name: &str) -> bool {
    let end = Instant::now() + REMOVAL;
    loop {
        let uid = match find_account(name) {
            Ok(None) => return true,
            Ok(Some(entry)) if entry.is_created_by_demo() => entry.uid,
            Ok(Some(_)) | Err(_) => return false,
        };
        // The right to become root goes first. There is no rule for bob.
        let _ = std::fs::remove_file(sudo_rule(name));
        end_processes_of(uid);
        remove_temporary_files_of(uid);
        let removed = Command::new("userdel")
            .args(["--remove", name])
            // Ctrl-C does not stop it halfway.
            .process_group(0)
            .stderr(Stdio::null())
            .status();
        if removed.is_ok_and(|status| status.success()) {
            return true;
        }
        // If the removal fails, the next demo removes the account.
        if Instant::now() >= end {
            return false;
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

/// Removes the sockets that killed programs leave in the folder for temporary files.
fn remove_temporary_files_of(uid: u32) {
    let entries = std::fs::read_dir("/tmp");
    for entry in entries.into_iter().flatten().flatten() {
        // The metadata of an entry are those of a symbolic link itself.
        if entry.metadata().is_ok_and(|metadata| metadata.uid() == uid) {
            let path = entry.path();
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
    }
}

impl Entry {
    /// Reads a line of `passwd(5)` for the account of this name.
    fn read(line: &str, name: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().split(':').collect();
        let [known, _, uid, _, comment, ..] = fields.as_slice() else {
            return None;
        };
        let uid = uid.parse().ok().filter(|_| *known == name)?;
        Some(Self {
            uid,
            comment: (*comment).to_owned(),
        })
    }

    fn is_created_by_demo(&self) -> bool {
        UIDS.contains(&self.uid) && self.comment == COMMENT
    }
}

/// Finds an account in files or a directory service.
fn find_account(name: &str) -> anyhow::Result<Option<Entry>> {
    let output = Command::new("getent")
        .args(["passwd", "--", name])
        .output()
        .context("getent cannot be started")?;
    Ok(Entry::read(&String::from_utf8_lossy(&output.stdout), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_a_running_demo_is_not_abandoned() {
        for prefix in PREFIXES {
            assert!(!is_abandoned(&format!("{prefix}{}", std::process::id())));
            // No process has this id: Linux gives at most 2^22.
            assert!(is_abandoned(&format!("{prefix}4294967295")));
        }
        for other in [
            "root",
            "jetway-alice",
            "jetway-alice-",
            "jetway-alice-x",
            "jetway-bob-1x",
            "jetway-carol-4294967295",
            "xjetway-bob-4294967295",
        ] {
            assert!(!is_abandoned(other), "{other}");
        }
    }

    #[test]
    fn only_an_account_with_the_comment_of_the_demo_is_removed() {
        let created = |line: &str| Entry::read(line, "a").unwrap().is_created_by_demo();
        assert!(created(&format!(
            "a:x:1001:1001:{COMMENT}:/home/a:/bin/bash\n"
        )));
        assert!(!created(&format!(
            "a:x:999:999:{COMMENT}:/home/a:/bin/bash\n"
        )));
        assert!(!created("a:x:1001:1001:Ada:/home/a:/bin/bash\n"));
        assert!(!created(&format!(
            "a:x:1001:1001:{COMMENT},1:/home/a:/bin/bash\n"
        )));
        for line in ["", "a", "a:x:1001:1001", "b:x:1001:1001:c:/home/b:/bin/sh"] {
            assert!(Entry::read(line, "a").is_none(), "{line}");
        }
        // This account exists, and no demo has created it.
        assert!(!remove("root"));
        assert!(find_account("root").unwrap().is_some());
    }

    #[test]
    fn a_user_is_looked_up_by_name_only() {
        assert_eq!(find_account("root").unwrap().unwrap().uid, 0);
        for name in ["", "0", "no-such-user", "--help"] {
            assert!(find_account(name).unwrap().is_none(), "{name}");
            assert!(AccountPlan::existing(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_existing_account_is_for_both_and_stays() {
        let plan = AccountPlan::existing("root").unwrap();
        let both = UnixUsers {
            alice: "root",
            bob: "root",
        };
        assert_eq!(plan.users(), both);
        assert_eq!(plan.create().unwrap().remove(), "");
        assert_eq!(plan.rights(), Rights::Shared);
    }
}

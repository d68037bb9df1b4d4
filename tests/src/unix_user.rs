//! Unix accounts that exist as long as a scenario.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::output_of;

/// Prefix of every such account's name; the process id of its test follows.
const PREFIX: &str = "jetway-t";

/// Time limit for the removal of an account.
const REMOVAL: Duration = Duration::from_secs(10);

/// The system's own accounts have lower user ids: the tests never end their processes.
const FIRST_OF_PEOPLE: u32 = 1000;

/// An account with a random name and password. Dropping it ends its processes and removes it.
#[derive(Debug)]
pub struct UnixUser {
    /// Account name.
    pub name: String,
    /// Password.
    pub password: String,
}

impl UnixUser {
    /// Creates an account, after removing those that killed tests have left.
    ///
    /// # Errors
    /// Returns an error when the caller is not root, or the account cannot be created.
    pub fn create() -> Result<Self> {
        Self::create_with(&[])
    }

    /// Creates an account with further options of `useradd`, such as another `--shell`.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn create_with(options: &[&str]) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "Cockpit needs Unix accounts, and only root can make them: run the tests as root"
        );
        remove_abandoned()?;
        let mut random = [0; 18];
        getrandom::fill(&mut random)?;
        let suffix: String = random[..3]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let user = Self {
            name: format!("{PREFIX}{}-{suffix}", std::process::id()),
            password: BASE64_URL_SAFE_NO_PAD.encode(random),
        };
        output_of(
            Command::new("useradd")
                .args(["--create-home", "--shell", "/bin/bash", "--no-log-init"])
                .args(options)
                .arg(&user.name),
        )?;
        user.set_password()?;
        Ok(user)
    }

    /// Changes the account with the options of `usermod`, such as `--lock` or `--expiredate`.
    ///
    /// # Errors
    /// Returns an error when they are not accepted.
    pub fn change(&self, options: &[&str]) -> Result<()> {
        output_of(Command::new("usermod").args(options).arg(&self.name)).map(drop)
    }

    /// Gives the account's Cockpit sessions administrative access without a password, by a rule for sudo that is
    /// removed with the account.
    ///
    /// # Errors
    /// Returns an error when sudo is not installed.
    pub fn let_cockpit_be_root(&self) -> Result<()> {
        let rule = format!(
            "{} ALL=(root) NOPASSWD: /usr/bin/cockpit-bridge --privileged\n",
            self.name
        );
        let path = sudo_rule(&self.name);
        std::fs::write(&path, rule).context("sudo is not installed: run tests/setup.sh")?;
        // sudo ignores a file that other accounts could have written.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440))?;
        Ok(())
    }

    /// Expires the password, so that it has to be changed at the next login.
    ///
    /// # Errors
    /// Returns an error when `chage` fails.
    pub fn expire_password(&self) -> Result<()> {
        output_of(Command::new("chage").args(["--lastday", "0", &self.name])).map(drop)
    }

    /// The password goes through a pipe: every account of the machine can read arguments.
    fn set_password(&self) -> Result<()> {
        let mut child = Command::new("chpasswd")
            .stdin(Stdio::piped())
            .spawn()
            .context("chpasswd cannot be started")?;
        let mut input = child.stdin.take().context("chpasswd has an input")?;
        writeln!(input, "{}:{}", self.name, self.password)?;
        drop(input);
        if !child.wait()?.success() {
            bail!("chpasswd refuses the password of `{}`", self.name);
        }
        Ok(())
    }
}

impl Drop for UnixUser {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Kills the processes of an account (Cockpit leaves a `dbus-daemon` and an `ssh-agent` running) and removes it. Killed
/// processes take a moment to end, and until then `userdel` refuses.
fn remove(name: &str) {
    let _ = std::fs::remove_file(sudo_rule(name));
    let end = Instant::now() + REMOVAL;
    while let Some(uid) = uid_of(name) {
        if uid >= FIRST_OF_PEOPLE {
            end_processes_of(uid);
            remove_temporary_files_of(uid);
        }
        let removed = Command::new("userdel")
            .args(["--remove", name])
            .stderr(Stdio::null())
            .status();
        // If the removal fails, the next run removes the account.
        if removed.is_ok_and(|status| status.success()) || Instant::now() >= end {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

fn sudo_rule(name: &str) -> PathBuf {
    PathBuf::from("/etc/sudoers.d").join(name)
}

fn uid_of(name: &str) -> Option<u32> {
    accounts()
        .into_iter()
        .find(|(account, _)| account == name)
        .map(|(_, uid)| uid)
}

/// Returns names and user ids of this machine's accounts.
fn accounts() -> Vec<(String, u32)> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            Some((name, uid))
        })
        .collect()
}

fn end_processes_of(uid: u32) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let owner = entry.metadata().map(|metadata| metadata.uid());
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw);
        if let (Ok(owner), Some(id)) = (owner, id)
            && owner == uid
        {
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// Killed programs leave their sockets in the folder for temporary files.
fn remove_temporary_files_of(uid: u32) {
    for entry in std::fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.metadata().is_ok_and(|metadata| metadata.uid() == uid) {
            let path = entry.path();
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
    }
}

fn remove_abandoned() -> Result<()> {
    for (name, _) in accounts() {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'));
        if let Some((process, _)) = owner
            && !std::fs::exists(format!("/proc/{process}"))?
        {
            remove(&name);
        }
    }
    Ok(())
}

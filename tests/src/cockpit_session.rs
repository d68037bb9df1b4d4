//! `jetway-cockpit-session` without systemd: its configuration, and a socket that starts it for every connection.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{Gid, chown};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::process::bound_to_this_process;
use crate::{COCKPIT, cockpit};

/// Time for a session to end after SIGTERM before it is killed; the session gives its bridge as much.
const GRACE: Duration = Duration::from_secs(10);

/// The program with a configuration of its own, and possibly a socket that starts it. Dropping it ends its sessions.
pub struct CockpitSession {
    program: PathBuf,
    folder: TempDir,
    logs: PathBuf,
    running: Arc<Mutex<Vec<Child>>>,
    listener: JoinSet<()>,
}

impl CockpitSession {
    /// Configures `program` for the host [`COCKPIT`] and the proxy with these public keys, PEM or a JSON Web Key Set;
    /// `lines` are further lines of its configuration file. It logs to `LOGS/cockpit-session.log`.
    ///
    /// # Errors
    /// Returns an error when the caller is not root.
    pub fn prepare(program: &Path, keys: &str, lines: &str, logs: &Path) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "sessions of other accounts can only be opened by root: run the tests as root"
        );
        let folder = tempfile::Builder::new()
            .prefix("jetway-session-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()?;
        let session = Self {
            program: program.to_owned(),
            folder,
            logs: logs.to_owned(),
            running: Arc::default(),
            listener: JoinSet::new(),
        };
        session.trust(keys)?;
        let text = format!(
            "host = {COCKPIT}\nkeys_file = {}\nstate_directory = {}\n{lines}\n",
            session.path("keys").display(),
            session.path("used").display()
        );
        std::fs::write(session.path("session.conf"), text)?;
        Ok(session)
    }

    /// Configures it with a socket that starts the program as root for every connection, as systemd does with
    /// `Accept=yes`.
    ///
    /// # Errors
    /// Returns an error when the caller is not root, or Cockpit is not installed.
    pub fn start(program: &Path, keys: &str, lines: &str, logs: &Path) -> Result<Self> {
        let mut session = Self::prepare(program, keys, lines, logs)?;
        let socket = session.path("socket");
        let listener = UnixListener::bind(&socket)?;
        chown(&socket, None, Some(group_of_cockpit()?))?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660))?;
        let (command, log) = (session.command(), session.log_file()?);
        let running = Arc::clone(&session.running);
        session.listener.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // A connection without a program is closed; the client reports it.
                let child = connection
                    .into_std()
                    .and_then(|connection| spawn(&command, connection.into(), &log));
                let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
                running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
                running.extend(child);
            }
        });
        Ok(session)
    }

    /// Changes the trusted keys, for instance to those of a proxy that has just been started.
    ///
    /// # Errors
    /// Returns an error when the file cannot be written.
    pub fn trust(&self, keys: &str) -> Result<()> {
        Ok(std::fs::write(self.path("keys"), keys)?)
    }

    /// Returns the lines of `cockpit.conf` that name the socket.
    #[must_use]
    pub fn cockpit_conf(&self) -> String {
        format!("[bearer]\nUnixPath = {}\n", self.path("socket").display())
    }

    /// Returns a command that runs the program with its configuration file.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.path("session.conf"));
        command
    }

    /// Writes a file in the folder of the configuration, readable by every account.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the log up to now.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.logs.join("cockpit-session.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_file(&self) -> Result<File> {
        let path = self.logs.join("cockpit-session.log");
        Ok(File::options().create(true).append(true).open(path)?)
    }
}

impl Drop for CockpitSession {
    fn drop(&mut self) {
        self.listener.abort_all();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for child in running.iter() {
            // A process that has ended is still a child of this process, so no other process has its id.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        let end = Instant::now() + GRACE;
        for child in running.iter_mut() {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(command: &Command, connection: OwnedFd, log: &File) -> std::io::Result<Child> {
    let connection = std::os::unix::net::UnixStream::from(connection);
    connection.set_nonblocking(false)?;
    bound_to_this_process(command)
        .env_clear()
        .stdin(OwnedFd::from(connection.try_clone()?))
        .stdout(OwnedFd::from(connection))
        .stderr(Stdio::from(log.try_clone()?))
        .spawn()
}

/// Returns the group of Cockpit's web service, which has to be able to connect.
fn group_of_cockpit() -> Result<Gid> {
    let groups = std::fs::read_to_string("/etc/group")?;
    let id = groups.lines().find_map(|line| {
        let rest = line.strip_prefix(cockpit::ACCOUNT)?.strip_prefix(':')?;
        rest.split(':').nth(1)?.parse().ok()
    });
    let id = id.context("Cockpit is not installed: run tests/setup.sh")?;
    Ok(Gid::from_raw(id))
}

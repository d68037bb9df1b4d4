//! The socket at which Cockpit's web service passes logins to `jetway-cockpit-session`, without systemd.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The program that opens sessions, in the folder of this program.
const PROGRAM: &str = "jetway-cockpit-session";
/// Group of Cockpit's web service, the only group that may connect.
const GROUP: &str = "cockpit-wsinstance";
/// Name of the socket in its folder.
const SOCKET: &str = "session";
/// The beginning of the program's own lines on standard error.
const PREFIX: &[u8] = b"jetway-cockpit-session: ";
/// Most bytes of a line that is shown; the program's own have 1024 characters at most.
const MAX_LINE: u64 = 4096;
/// Time for sessions to end before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// A listening socket that starts the program for each connection, as systemd does with `Accept=yes`. Dropping it ends
/// the sessions.
pub(crate) struct SessionSocket {
    path: PathBuf,
    stopping: Arc<AtomicBool>,
    sessions: Arc<Mutex<Vec<Session>>>,
    thread: Option<JoinHandle<()>>,
}

/// A login and its session.
struct Session {
    program: Child,
    /// This process's end of the connection, which the program has as well.
    connection: UnixStream,
}

impl SessionSocket {
    /// Returns the lines that `cockpit.conf` needs after those of the section `[WebService]`.
    pub(crate) fn cockpit_conf(folder: &Path) -> String {
        format!(
            "LoginTo = false\n[bearer]\nUnixPath = {}\n[OAuth]\nURL = {}\n",
            folder.join(SOCKET).display(),
            jetway::SIGN_IN_URL
        )
    }

    /// Opens the socket in a folder of root's, for logins at the public `host` by assertions that one of `keys` (RFC
    /// 7517) has signed.
    ///
    /// # Errors
    /// Returns an error when the process is not root, or the program or Cockpit is not installed.
    pub(crate) fn open(folder: &Path, host: &str, keys: &str) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name(PROGRAM);
        if !program.exists() {
            bail!(
                "`{}` is missing: `cargo build --release` builds it",
                program.display()
            );
        }
        let settings = configure(folder, host, keys)?;
        let path = folder.join(SOCKET);
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("cannot listen on `{}`", path.display()))?;
        chown(&path, None, Some(group()?))
            .with_context(|| format!("cannot give `{}` to Cockpit", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
        let (stopping, sessions) = (Arc::<AtomicBool>::default(), Arc::default());
        let acceptor = Acceptor {
            listener,
            program,
            settings,
            stopping: Arc::clone(&stopping),
            sessions: Arc::clone(&sessions),
        };
        let thread = std::thread::spawn(move || acceptor.run());
        Ok(Self {
            path,
            stopping,
            sessions,
            thread: Some(thread),
        })
    }
}

impl Drop for SessionSocket {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread.
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for session in sessions.iter() {
            let _ = session.connection.shutdown(std::net::Shutdown::Both);
        }
        let end = Instant::now() + GRACE;
        for session in sessions.iter_mut() {
            while matches!(session.program.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = session.program.kill();
            let _ = session.program.wait();
        }
    }
}

/// Writes the program's configuration and the keys that it trusts, and returns the path of the configuration.
fn configure(folder: &Path, host: &str, keys: &str) -> anyhow::Result<PathBuf> {
    let (keys_file, settings) = (folder.join("session.jwks"), folder.join("session.conf"));
    let text = format!(
        "host = {host}\nkeys_file = {}\nstate_directory = {}\nadministrators_directory = {}\n",
        keys_file.display(),
        folder.join("used").display(),
        folder.join("administrators").display()
    );
    for (path, text) in [(&keys_file, keys), (&settings, &text)] {
        std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(settings)
}

/// Accepts connections in a thread of its own, and starts the program for each.
struct Acceptor {
    listener: UnixListener,
    program: PathBuf,
    settings: PathBuf,
    stopping: Arc<AtomicBool>,
    sessions: Arc<Mutex<Vec<Session>>>,
}

impl Acceptor {
    /// Accepts connections until the socket is dropped.
    fn run(&self) {
        for connection in self.listener.incoming() {
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            let session = connection
                .map_err(anyhow::Error::from)
                .and_then(|connection| Session::start(connection, &self.program, &self.settings));
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.retain_mut(|session| matches!(session.program.try_wait(), Ok(None)));
            match session {
                Ok(session) => sessions.push(session),
                Err(error) => tracing::warn!("cannot start a session: {error:#}"),
            }
        }
    }
}

impl Session {
    fn start(connection: UnixStream, program: &Path, settings: &Path) -> anyhow::Result<Self> {
        let (input, output) = (connection.try_clone()?, connection.try_clone()?);
        let mut program = Command::new(program)
            .arg("--config")
            .arg(settings)
            .env_clear()
            .stdin(OwnedFd::from(input))
            .stdout(OwnedFd::from(output))
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = program.stderr.take();
        std::thread::spawn(move || errors.map(|errors| show_lines(errors, std::io::stderr())));
        Ok(Self {
            program,
            connection,
        })
    }
}

/// Copies the lines of the program, and not those of Cockpit's bridge, which the program becomes: the bridge reports each
/// part of the system that is missing here. Ends when no process of the session is left.
fn show_lines(errors: impl Read, mut output: impl Write) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line that is too long goes on as another one.
        match errors.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            _ => return,
        }
        let line = line.trim_ascii_end();
        if line.starts_with(PREFIX) {
            // Any process of the session can write here: it cannot control the terminal. The terminal may be closed.
            let _ = writeln!(output, "{}", line.escape_ascii());
        }
    }
}

fn group() -> anyhow::Result<u32> {
    let groups = std::fs::read_to_string("/etc/group")?;
    let id = groups.lines().find_map(|line| {
        let rest = line.strip_prefix(GROUP)?.strip_prefix(':')?;
        rest.split(':').nth(1)?.parse().ok()
    });
    id.with_context(|| {
        format!("there is no group `{GROUP}`: this Cockpit needs systemd, so add --password")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(errors: &[u8]) -> String {
        let mut output = Vec::new();
        show_lines(errors, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn only_the_programs_own_lines_are_shown() {
        let errors = b"jetway-cockpit-session: session opened for a\n\
            cockpit-protocol-Message: 1:5: Could not connect\n\n\
            invalid or unusable locale\n\
            jetway-cockpit-session: session closed";
        assert_eq!(
            shown(errors),
            "jetway-cockpit-session: session opened for a\njetway-cockpit-session: session closed\n"
        );
    }

    #[test]
    fn a_line_cannot_control_the_terminal_or_grow() {
        assert_eq!(
            shown(b"jetway-cockpit-session: \x1b[2J\r\xff\n"),
            "jetway-cockpit-session: \\x1b[2J\\r\\xff\n"
        );
        let endless = [PREFIX, &[b'x'; 3 * MAX_LINE as usize]].concat();
        assert_eq!(shown(&endless).len(), MAX_LINE as usize + 1);
    }
}

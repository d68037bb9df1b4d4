//! Cockpit's bridge: the program that runs the session on the same socket, as the user.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::account::Account;
use crate::os::become_user::run_as;
use crate::signals::{Event, Signals};

/// Search path for programs, unless PAM sets another one.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Time for the bridge to end by itself, and again after SIGTERM, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How often the session's end is checked while it is open, as the clock may be changed.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// The progress of ending a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The session is open.
    Running,
    /// The socket is closed, at which the bridge should end by itself before this time.
    Leaving(Instant),
    /// SIGTERM was sent; the bridge should end before this time.
    Terminating(Instant),
    /// SIGKILL was sent.
    Killed,
}

/// A running bridge.
pub(crate) struct Bridge {
    child: Child,
    stage: Stage,
}

impl Bridge {
    /// Starts the program as the user, with standard input, output and error of this process.
    pub(crate) fn start(
        program: &Path,
        account: &Account,
        environment: Vec<(OsString, OsString)>,
    ) -> io::Result<Self> {
        let name = std::ffi::OsStr::from_bytes(account.name.as_bytes());
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", &account.home)
            .env("USER", name)
            .env("LOGNAME", name)
            .env("SHELL", &account.shell)
            .envs(environment);
        run_as(&mut command, account);
        Ok(Self {
            child: command.spawn()?,
            stage: Stage::Running,
        })
    }

    /// Waits until the bridge has ended: by itself, because the peer closed the socket, because of a signal, or because
    /// it is `end`. Returns its status, or success if this process ended it.
    pub(crate) fn supervise(
        mut self,
        peer: BorrowedFd<'_>,
        end: SystemTime,
        signals: &Signals,
    ) -> io::Result<u8> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(if self.stage == Stage::Running {
                    exit_code(status)
                } else {
                    0
                });
            }
            let peer = (self.stage == Stage::Running).then_some(peer);
            let event = signals.wait(peer, self.patience(end))?;
            self.react(event, end)?;
        }
    }

    /// Returns how long to wait for the next event.
    fn patience(&self, end: SystemTime) -> Duration {
        match self.stage {
            Stage::Running => end
                .duration_since(SystemTime::now())
                .unwrap_or_default()
                .min(CLOCK_CHECK),
            Stage::Leaving(until) | Stage::Terminating(until) => {
                until.saturating_duration_since(Instant::now())
            }
            Stage::Killed => CLOCK_CHECK,
        }
    }

    fn react(&mut self, event: Event, end: SystemTime) -> io::Result<()> {
        match event {
            Event::Asked(Signal::SIGTERM) => self.terminate(),
            Event::Asked(signal) => self.send(signal),
            Event::PeerClosed => {
                self.stage = Stage::Leaving(Instant::now() + GRACE);
                Ok(())
            }
            Event::Child | Event::Nothing => Ok(()),
        }?;
        if !self.patience(end).is_zero() {
            return Ok(());
        }
        match self.stage {
            Stage::Running | Stage::Leaving(_) => self.terminate(),
            Stage::Terminating(_) | Stage::Killed => {
                self.stage = Stage::Killed;
                self.child.kill()
            }
        }
    }

    fn terminate(&mut self) -> io::Result<()> {
        if matches!(self.stage, Stage::Running | Stage::Leaving(_)) {
            self.stage = Stage::Terminating(Instant::now() + GRACE);
        }
        self.send(Signal::SIGTERM)
    }

    /// The process exists, perhaps as a zombie, until `try_wait` has seen its end, so no other process has its id.
    fn send(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(id), signal)?)
    }
}

impl Drop for Bridge {
    /// The bridge is still running if supervising it failed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the exit code that a shell would report.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

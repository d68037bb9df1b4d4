//! Cockpit's bridge: the program that is the session, on the same socket, as the user.

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

/// Where programs are looked for, unless PAM says otherwise.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the bridge may take to end by itself, and then after SIGTERM, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// The clock may be set while a session is open: its end is looked at this often.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Why a bridge was ended from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until the session ends.
    Running,
    /// The socket is closed, at which the bridge ends by itself; until then.
    Leaving(Instant),
    /// It has got SIGTERM; until then.
    Terminating(Instant),
    /// It has got SIGKILL.
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

    /// Waits until it has ended: by itself, because the peer closed the socket, because a signal asked for it, or
    /// because it is `end`. Returns its status, or success when it was ended from here.
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

    /// How long there is nothing to do unless something happens.
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

    /// The process is there, perhaps as a zombie, until `try_wait` has seen its end: its id is not another's.
    fn send(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(id), signal)?)
    }
}

impl Drop for Bridge {
    /// Where it is still running because it could not be supervised.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As a shell says it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

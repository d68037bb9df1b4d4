//! One connection, as Cockpit's web service makes it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::Place;

/// Longer than any expected event takes.
const LIMIT: Duration = Duration::from_secs(40);

/// A login in progress, or its session.
pub(crate) struct Login {
    child: Child,
    socket: UnixStream,
    log: PathBuf,
    token: String,
}

/// The end of a login or session.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) status: Option<i32>,
    pub(crate) log: String,
}

impl Login {
    /// Starts the program and answers its challenge with a token.
    pub(crate) fn begin(place: &Place, token: &str) -> Result<Self> {
        let mut login = Self::connect(place, place.session.command(), token)?;
        login.answer(&json!({"response": format!("Bearer {token}")}))?;
        Ok(login)
    }

    /// Starts a command that runs the program, and does not answer.
    pub(crate) fn connect(place: &Place, mut command: Command, token: &str) -> Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = place.file(&format!("log-{number}"));
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(LIMIT))?;
        let child = command
            .stdin(OwnedFd::from(theirs.try_clone()?))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::from(File::create(&log)?))
            .spawn()?;
        Ok(Self {
            child,
            socket,
            log,
            token: token.to_owned(),
        })
    }

    /// Reads the challenge and answers it with these fields instead of the correct ones.
    pub(crate) fn answer(&mut self, fields: &Value) -> Result<()> {
        let challenge = self.receive()?;
        ensure!(challenge["challenge"] == "*", "no challenge: {challenge}");
        let mut message = json!({"command": "authorize", "cookie": challenge["cookie"]});
        for (name, value) in fields.as_object().context("fields are an object")? {
            message[name] = value.clone();
        }
        let body = format!("\n{message}");
        self.send(format!("{}\n{body}", body.len()).as_bytes())
    }

    /// Sends bytes unchanged.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.write_all(bytes)?)
    }

    /// Returns the next control message.
    pub(crate) fn receive(&mut self) -> Result<Value> {
        let mut length = String::new();
        loop {
            let mut byte = [0];
            self.socket
                .read_exact(&mut byte)
                .with_context(|| format!("no message; the log says:\n{}", self.log()))?;
            match byte {
                [b'\n'] => break,
                [byte] => length.push(char::from(byte)),
            }
        }
        let mut payload = vec![0; length.parse()?];
        self.socket.read_exact(&mut payload)?;
        let body = payload.strip_prefix(b"\n").context("a control message")?;
        Ok(serde_json::from_slice(body)?)
    }

    /// Returns the bridge's first message.
    pub(crate) fn report(&mut self) -> Result<Value> {
        let report = self.receive()?;
        ensure!(
            report["problem"].is_null(),
            "no session: {report}\n{}",
            self.log()
        );
        Ok(report)
    }

    /// Expects a refusal with this problem, whose message contains `words`, and the matching exit status.
    pub(crate) fn refused(mut self, problem: &str, words: &str) -> Result<Ending> {
        let answer = self.receive()?;
        ensure!(
            answer["command"] == "init" && answer["problem"] == problem,
            "not {problem}: {answer}\n{}",
            self.log()
        );
        let message = answer["message"].as_str().context("there is a message")?;
        ensure!(message.contains(words), "the message is `{message}`");
        let ending = self.end()?;
        let expected = if problem == "internal-error" { 127 } else { 5 };
        ensure!(ending.status == Some(expected), "{ending:?}");
        Ok(ending)
    }

    /// Expects such a refusal, and that the log contains `reason`.
    pub(crate) fn refused_because(self, problem: &str, words: &str, reason: &str) -> Result<()> {
        let ending = self.refused(problem, words)?;
        ensure!(
            ending.log.contains(reason),
            "not `{reason}`: {}",
            ending.log
        );
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.process(), signal)?)
    }

    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Closes the connection in one direction or both.
    pub(crate) fn close(&self, how: Shutdown) -> Result<()> {
        Ok(self.socket.shutdown(how)?)
    }

    /// Waits until the socket is closed.
    pub(crate) fn drain(&mut self) -> Result<()> {
        self.socket.read_to_end(&mut Vec::new())?;
        Ok(())
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> Result<Ending> {
        let status = self.wait()?;
        let log = self.log();
        // Parts of garbage are too short to be significant.
        for part in self.token.split('.').filter(|part| part.len() > 8) {
            ensure!(!log.contains(part), "the token is in the log: {log}");
        }
        ensure!(
            log.lines()
                .all(|line| line.starts_with("jetway-cockpit-session: ")),
            "not lines of the program: {log}"
        );
        Ok(Ending {
            status: status.code(),
            log,
        })
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("still running after {LIMIT:?}:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

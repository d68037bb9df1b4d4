//! Programs that a scenario starts, and that end with it.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Time for a program to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A running program in a process group of its own. Dropping it stops the group; when the test itself is killed, the
/// kernel kills the program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program without input; its output goes to `LOGS/NAME.log`.
    ///
    /// # Errors
    /// Returns an error when it cannot be started.
    pub fn start(name: &str, command: &Command, logs: &Path) -> Result<Self> {
        let file = open_log(&log_file(name, logs))?;
        Self::start_with_errors_to(name, command, logs, file.into())
    }

    /// Starts a program like [`Process::start`], with another standard error.
    ///
    /// # Errors
    /// Returns an error when it cannot be started.
    pub fn start_with_errors_to(
        name: &str,
        command: &Command,
        logs: &Path,
        errors: Stdio,
    ) -> Result<Self> {
        Self::spawn(name, command, logs, (Stdio::null(), errors))
    }

    /// Starts a program like [`Process::start`], with another standard input.
    ///
    /// # Errors
    /// Returns an error when it cannot be started.
    pub(crate) fn start_with_input(
        name: &str,
        command: &Command,
        logs: &Path,
        input: Stdio,
    ) -> Result<Self> {
        let errors = open_log(&log_file(name, logs))?;
        Self::spawn(name, command, logs, (input, errors.into()))
    }

    fn spawn(
        name: &str,
        command: &Command,
        logs: &Path,
        (input, errors): (Stdio, Stdio),
    ) -> Result<Self> {
        let log = log_file(name, logs);
        let file = open_log(&log)?;
        let mut command = bound_to_this_process(command);
        command
            .stdin(input)
            .stdout(file)
            .stderr(errors)
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("`{name}` cannot be started"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Checks that the program still runs.
    ///
    /// # Errors
    /// Returns an error with its last output when it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "`{}` ended with {status}:\n{}",
                self.name,
                self.last_words()
            ),
        }
    }

    /// Waits for the program to end by itself.
    ///
    /// # Errors
    /// Returns an error when it still runs after `limit`.
    pub async fn finish(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!(
                    "`{}` still runs after {limit:?}:\n{}",
                    self.name,
                    self.last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Returns all output up to now.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM to the program's group.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGHUP to the program alone.
    ///
    /// # Errors
    /// Returns an error when it has ended.
    pub fn hang_up(&self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::HUP).context("SIGHUP")
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn signal(&self, signal: Signal) {
        // If the group does not exist, there is no process to stop.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }
}

fn log_file(name: &str, logs: &Path) -> PathBuf {
    logs.join(format!("{name}.log"))
}

fn open_log(log: &Path) -> std::io::Result<File> {
    File::options().create(true).append(true).open(log)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.terminate();
        let end = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Returns the same command under `setpriv --pdeathsig`: the kernel kills the program when the test's thread ends.
pub(crate) fn bound_to_this_process(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

/// Runs a command that ends by itself and returns its standard output.
///
/// # Errors
/// Returns an error with its standard error when it cannot be started or fails.
pub fn output_of(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

//! Whether an account has a shell that runs commands, unlike `nologin` and similar programs.

use std::io::{self, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::os::become_user::run_as;
use crate::signals::{Event, Signals};

/// A status with which no refusing shell ends by chance; Cockpit's own program uses the same.
const STATUS: i32 = 71;

/// Time limit for a shell that does nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs `SHELL -c 'exit 71'` as the account, whose groups this process must have, and returns whether the shell did so
/// in time.
pub(crate) fn runs_commands(account: &Account, signals: &Signals) -> io::Result<bool> {
    let mut command = Command::new(&account.shell);
    command
        .args(["-c", &format!("exit {STATUS}")])
        .env_clear()
        .env("PATH", crate::bridge::PATH)
        .env("HOME", &account.home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    run_as(&mut command, account);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let result = obeys(&mut child, signals);
    // This has no effect on a process that has ended.
    let _ = child.kill();
    let _ = child.wait();
    result
}

fn obeys(child: &mut Child, signals: &Signals) -> io::Result<bool> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code() == Some(STATUS));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        if let Event::Asked(signal) = signals.wait(None, left)? {
            return Err(io::Error::other(format!("ended by {signal}")));
        }
    }
}

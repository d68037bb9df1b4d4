//! Whether an account has a shell that runs commands, as opposed to `nologin` and its kind.

use std::io::{self, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::os::become_user::run_as;
use crate::signals::{Event, Signals};

/// A status that no refusing shell ends with by chance; Cockpit's own program asks for the same.
const STATUS: i32 = 71;

/// How long a shell may take for nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs `SHELL -c 'exit 71'` as the account, whose groups this process has to have, and says whether the shell did as it
/// was told in time.
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
    // Without effect on one that has ended.
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

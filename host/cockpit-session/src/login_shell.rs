//! Whether an account has a shell that runs commands, as opposed to `nologin` and its kind.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::os::become_user::run_as;
use crate::signals::Signals;

/// A status that no refusing shell ends with by chance; Cockpit's own program asks for the same.
const STATUS: i32 = 71;

/// How long a shell may take for nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs `SHELL -c 'exit 71'` as the account and says whether the shell did as it was told in time.
pub(crate) fn runs_commands(account: &Account, signals: &Signals) -> bool {
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
    status(&mut command, signals).is_some_and(|status| status.code() == Some(STATUS))
}

fn status(command: &mut Command, signals: &Signals) -> Option<ExitStatus> {
    let end = Instant::now() + LIMIT;
    let mut child = command.spawn().ok()?;
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        let left = end.saturating_duration_since(Instant::now());
        // A signal that asks for the end ends the login with the shell.
        let ended = match signals.wait(None, left) {
            Ok(crate::signals::Event::Asked(_)) | Err(_) => true,
            Ok(_) => left.is_zero(),
        };
        if ended {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
    }
}

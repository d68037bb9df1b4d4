//! `jetway-cockpit-session`: opens a Cockpit session for the user whom Jetway has signed in.
//!
//! systemd starts it as root for every connection to the socket that `[bearer] UnixPath` in `cockpit.conf` names. It
//! asks Cockpit's web service for the `Authorization` header of the login, verifies the [`assertion`] in it, checks the
//! account, opens a PAM session and runs Cockpit's bridge as the user on the same socket, until the session ends.

mod account;
mod administrators;
mod arguments;
mod assertion;
mod authorize;
mod bridge;
mod frame;
#[cfg(test)]
mod fuzz;
mod journal;
mod login_shell;
mod os;
mod public_keys;
mod refusal;
mod session;
mod settings;
mod signals;
mod state_folder;
mod timed_input;
mod trusted_file;
mod used_assertions;

use std::io::Write as _;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::unistd::{geteuid, getuid};

use account::Account;
use administrators::{AdministratorMark, forget_old_marks, own_session};
use arguments::{Arguments, HELP};
use assertion::{Assertion, AssertionError};
use authorize::ask_for_token;
use bridge::Bridge;
use journal::note;
use public_keys::PublicKeys;
use refusal::Refusal;
use session::Session;
use settings::Settings;
use signals::Signals;
use timed_input::TimedInput;
use trusted_file::read_trusted;
use used_assertions::UseError;

/// Time for the web service to answer the challenge; it has the header already.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Exit status for errors of the command line, as of the shell's builtins.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Arguments::Help) => print(HELP),
        Ok(Arguments::Version) => print(concat!(
            "jetway-cockpit-session ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
        Ok(Arguments::Serve(file)) => serve(&file).into(),
        Err(problem) => {
            note(format_args!("{problem}"));
            USAGE.into()
        }
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs one login from beginning to end and returns the exit status.
fn serve(file: &Path) -> u8 {
    match log_in(file) {
        Ok(status) => status,
        Err(refusal) => {
            note(format_args!("no session: {refusal}"));
            // The web service may have closed the connection.
            let _ = frame::write_control(&mut std::io::stdout(), &refusal.init_message());
            refusal.exit_status()
        }
    }
}

fn log_in(file: &Path) -> Result<u8, Refusal> {
    // The real user id is checked as well as the effective one: a setuid program would read the configuration of its
    // caller.
    if !getuid().is_root() || !geteuid().is_root() {
        return Err(Refusal::Fault(
            "the program must be started by root: let systemd start it".into(),
        ));
    }
    let settings = Settings::read(file).map_err(fault)?;
    let signals = Signals::collect().map_err(fault)?;
    let (assertion, remote_peer) = receive_assertion(&settings)?;

    let account =
        Account::find(&assertion.user, &settings).inspect_err(|_| log_sign_in(&assertion))?;
    let remote_host = assertion.remote_host.or(remote_peer);
    let session = Session::open(&account, &settings.pam_service, remote_host, &signals)
        .inspect_err(|_| log_sign_in(&assertion))?;
    log_sign_in(&assertion);
    note(format_args!(
        "session opened for {}",
        account.display_name()
    ));
    let mark = mark_session(&settings, &account, assertion.administrator)?;
    let status = start_bridge(&settings, &account, &session)
        .and_then(|bridge| wait_for_bridge(bridge, assertion.session_ends, &signals));
    drop(mark);
    drop(session);
    note(format_args!(
        "session closed for {}",
        account.display_name()
    ));
    status
}

/// Receives and verifies the assertion. No account is touched before.
fn receive_assertion(settings: &Settings) -> Result<(Assertion, Option<IpAddr>), Refusal> {
    let keys = read_trusted(&settings.keys_file).map_err(fault)?;
    let keys = PublicKeys::parse(&keys).map_err(|error| {
        Refusal::Fault(format!(
            "`{}` cannot be used: {error}",
            settings.keys_file.display()
        ))
    })?;
    let stdin = std::io::stdin();
    let mut input = TimedInput::new(stdin.as_fd(), Instant::now() + HANDSHAKE);
    let cookie = format!("jetway-{}", std::process::id());
    let answer = ask_for_token(&mut input, &mut std::io::stdout(), &cookie)?;

    let now = SystemTime::now();
    let seconds = now.duration_since(UNIX_EPOCH).map_err(fault)?.as_secs();
    let assertion = Assertion::verify(&answer.token, &keys, &settings.hosts, seconds)?;
    match used_assertions::record(&settings.state_directory, &assertion.id, now) {
        Ok(()) => Ok((assertion, answer.remote_peer)),
        Err(UseError::Replayed) => Err(AssertionError::Replayed.into()),
        Err(error) => Err(fault(error)),
    }
}

/// Marks the session of an administrator, before any program of the user runs in it. Without logind, sessions have no ids and
/// polkit knows none.
fn mark_session(
    settings: &Settings,
    account: &Account,
    administrator: bool,
) -> Result<Option<AdministratorMark>, Refusal> {
    let Some(id) = own_session() else {
        return Ok(None);
    };
    let folder = &settings.administrators_directory;
    forget_old_marks(folder, &id).map_err(fault)?;
    if !administrator {
        return Ok(None);
    }
    match AdministratorMark::set(folder, &id, account) {
        Ok(mark) => Ok(Some(mark)),
        Err(error) => {
            note(format_args!("no administrative access by polkit: {error}"));
            Ok(None)
        }
    }
}

fn start_bridge(
    settings: &Settings,
    account: &Account,
    session: &Session,
) -> Result<Bridge, Refusal> {
    Bridge::start(&settings.bridge, account, session.environment()).map_err(|error| {
        Refusal::Fault(format!(
            "`{}` cannot be started as the user: {error}",
            settings.bridge.display()
        ))
    })
}

/// How long Cockpit's session outlives the session at the proxy. The proxy closes the WebSockets within five seconds of the end
/// and tells Cockpit's page the reason. The end of the bridge tells no reason, and is for what the proxy does not close.
const PROXY_HEAD_START: Duration = Duration::from_secs(10);

fn wait_for_bridge(bridge: Bridge, end: SystemTime, signals: &Signals) -> Result<u8, Refusal> {
    let end = end.checked_add(PROXY_HEAD_START).unwrap_or(end);
    let stdin = std::io::stdin();
    let status = bridge.supervise(stdin.as_fd(), end, signals).map_err(fault);
    // Cockpit sees the end now, before PAM's modules are finished.
    if let Ok(socket) = stdin.as_fd().try_clone_to_owned() {
        let _ = UnixStream::from(socket).shutdown(std::net::Shutdown::Both);
    }
    status
}

fn log_sign_in(assertion: &Assertion) {
    note(format_args!(
        "{:?} ({}) signs in as {:?}",
        assertion.subject,
        assertion.email.as_deref().unwrap_or("no address"),
        assertion.user
    ));
}

fn fault(error: impl std::fmt::Display) -> Refusal {
    Refusal::Fault(error.to_string())
}

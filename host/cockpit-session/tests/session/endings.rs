//! The end of sessions: each time the bridge has ended, the PAM session is closed, and no process is left.

use std::net::Shutdown;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::UnixUser;
use rustix::process::{Pid, Signal, test_kill_process};

use crate::login::Ending;
use crate::{Login, PamService, Place};

/// A session with its PAM record.
struct Session {
    login: Login,
    bridge: Pid,
    service: PamService,
    user: UnixUser,
    _files: tempfile::TempDir,
    _place: Place,
}

impl Session {
    fn open() -> Result<Self> {
        Self::open_until(None)
    }

    /// Returns a session that ends after this many seconds.
    fn open_until(seconds: Option<u64>) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let service = PamService::create(files.path(), "")?;
        let place = Place::with(&service.setting())?;
        let user = UnixUser::create()?;
        let token = place.key.assertion_with(&user.name, |_, claims| {
            if let Some(seconds) = seconds {
                claims["session_exp"] =
                    (claims["iat"].as_u64().unwrap_or_default() + seconds).into();
            }
        })?;
        let mut login = Login::begin(&place, &token)?;
        login.report()?;
        let bridge = only_child(login.process())?;
        Ok(Self {
            login,
            bridge,
            service,
            user,
            _files: files,
            _place: place,
        })
    }

    /// Makes the bridge ignore signals.
    fn tell(&mut self, manner: &str) -> Result<()> {
        self.login.send(format!("{manner}\n").as_bytes())?;
        let answer = self.login.receive()?;
        ensure!(answer[manner] == true, "{answer}");
        Ok(())
    }

    fn expect_signal(&mut self, name: &str) -> Result<()> {
        let message = self.login.receive()?;
        ensure!(message["signal"] == name, "not {name}: {message}");
        Ok(())
    }

    fn expect_end(&mut self) -> Result<Ending> {
        let ending = self.login.end()?;
        let name = &self.user.name;
        assert_eq!(
            self.service.record(),
            format!("open_session {name} 203.0.113.9\nclose_session {name} 203.0.113.9\n")
        );
        assert!(
            test_kill_process(self.bridge).is_err(),
            "the bridge is gone"
        );
        assert!(
            ending.log.contains(&format!("session closed for {name}")),
            "{}",
            ending.log
        );
        Ok(ending)
    }
}

/// Returns the child of a process, which must have exactly one: shells and helpers of PAM have been waited for.
fn only_child(process: Pid) -> Result<Pid> {
    let id = process.as_raw_pid();
    let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let children: Vec<i32> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    ensure!(children.len() == 1, "the children are {children:?}");
    Pid::from_raw(children[0]).context("a process id")
}

#[test]
fn sigterm_is_passed_on_and_ends_the_session() -> Result<()> {
    let mut session = Session::open()?;
    session.login.signal(Signal::TERM)?;
    session.expect_signal("SIGTERM")?;
    assert_eq!(session.expect_end()?.status, Some(0));
    Ok(())
}

#[test]
fn other_signals_are_passed_on_and_end_nothing() -> Result<()> {
    let mut session = Session::open()?;
    for (signal, name) in [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
    ] {
        session.login.signal(signal)?;
        session.expect_signal(name)?;
    }
    session.login.send(b"exit 0\n")?;
    assert_eq!(session.expect_end()?.status, Some(0));
    Ok(())
}

#[test]
fn the_session_ends_with_the_one_at_the_proxy() -> Result<()> {
    let mut session = Session::open_until(Some(8))?;
    session.expect_signal("SIGTERM")?;
    session.login.drain()?;
    assert_eq!(session.expect_end()?.status, Some(0));
    Ok(())
}

#[test]
fn a_bridge_that_ignores_sigterm_is_killed() -> Result<()> {
    let mut session = Session::open()?;
    session.tell("stubborn")?;
    session.login.signal(Signal::TERM)?;
    assert_eq!(session.expect_end()?.status, Some(0));
    Ok(())
}

#[test]
fn the_session_ends_when_the_socket_is_closed() -> Result<()> {
    let mut session = Session::open()?;
    session.login.close(Shutdown::Write)?;
    assert_eq!(session.expect_end()?.status, Some(0));

    // The session ends even if the bridge does not notice.
    let mut session = Session::open()?;
    session.tell("deaf")?;
    session.login.close(Shutdown::Write)?;
    session.expect_signal("SIGTERM")?;
    assert_eq!(session.expect_end()?.status, Some(0));
    Ok(())
}

#[test]
fn cockpit_learns_at_once_that_the_bridge_is_gone() -> Result<()> {
    let mut session = Session::open()?;
    session.login.send(b"die\n")?;
    session.login.drain()?;
    assert_eq!(
        session.expect_end()?.status,
        Some(128 + 10),
        "as a shell says that SIGUSR1 ended it"
    );
    Ok(())
}

#[test]
fn a_bridge_that_cannot_be_started_leaves_no_session_open() -> Result<()> {
    let files = tempfile::tempdir()?;
    let service = PamService::create(files.path(), "")?;
    let place = Place::with(&format!(
        "{}\nbridge = /nonexistent/bridge",
        service.setting()
    ))?;
    let user = UnixUser::create()?;
    let login = Login::begin(&place, &place.key.assertion(&user.name)?)?;
    let ending = login.refused("internal-error", "journal")?;
    assert!(
        ending
            .log
            .contains("`/nonexistent/bridge` cannot be started as the user"),
        "{}",
        ending.log
    );
    assert!(
        service.record().contains("close_session"),
        "{}",
        service.record()
    );
    Ok(())
}

//! Checks that Cockpit accepts logins by Jetway's assertions.

mod administrators;
mod machine;
mod program;

use std::path::Path;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use super::local_conf::LocalConf;
use super::login_page::LoginPage;
use crate::cockpit::{SESSION_SOCKET, SIGN_IN_URL, SOCKET_UNIT};
use crate::doctor::finding::{Change, Finding, Outcome};
use crate::doctor::upstream_probe::UpstreamProbe;

const CHECK: &str = "cockpit-single-sign-on";
const LOGIN: &str = "/cockpit/login";
/// The effect when users are signed in to Jetway and not to Cockpit.
const SEEN: &str = "Cockpit's login page with an error, after the sign-in";
/// The command that shows the log of `jetway-cockpit-session`.
const JOURNAL: &str = "journalctl -u 'jetway-cockpit-session@*'";
/// A value that is not an assertion, which is refused wherever assertions are verified.
const NOT_AN_ASSERTION: &str = "Bearer jetway-doctor";

/// Sends Cockpit a login, and checks this machine when Cockpit runs on it.
pub(super) async fn examine(
    probe: &UpstreamProbe<'_>,
    page: &LoginPage,
    local: &LocalConf,
) -> Vec<Finding> {
    let about = probe.about.as_str();
    let bearer = check_bearer(probe, local).await;
    let works = bearer.outcome == Outcome::Ok;
    let mut findings = vec![check_login_page(page, about, local), bearer];
    if let Some(conf) = local.file() {
        let socket = conf
            .value("bearer", "UnixPath")
            .map_or(SESSION_SOCKET, |written| written.value);
        // A Cockpit in a container has its files elsewhere.
        if !works || Path::new(socket).exists() {
            findings.extend(machine::examine(probe, Path::new(socket)));
        }
    }
    findings
}

fn set_up(local: &LocalConf) -> Change {
    let place = if local.is_here() {
        ""
    } else {
        " on Cockpit's machine"
    };
    Change::act(format!("or let Jetway do everything{place}"))
        .line("jetway cockpit setup -c jetway.yaml")
}

/// Checks that the login page leads to Jetway.
fn check_login_page(page: &LoginPage, about: &str, local: &LocalConf) -> Finding {
    let change = local
        .change_in("OAuth", "URL", "write")
        .line("[OAuth]")
        .line(format!("URL = {SIGN_IN_URL}"));
    match page.sign_in_url.as_deref() {
        Some(SIGN_IN_URL) => Finding::ok(CHECK, about, "Cockpit's login page leads to Jetway"),
        Some(other) => {
            let other: String = other.chars().take(100).collect();
            Finding::failure(CHECK, about, format!("Cockpit's login page leads to {other}"))
                .seen("another sign-in page, after the sign-in to Jetway")
                .why("`URL` in the section [OAuth] is another address")
                .change(change)
        }
        None => Finding::failure(CHECK, about, "Cockpit's login page does not lead to Jetway")
            .seen("Cockpit's form for name and password, after the sign-in; in Firefox possibly a page that reloads endlessly")
            .why("the section [OAuth] is missing in Cockpit's file")
            .change(change)
            .change(set_up(local)),
    }
}

/// Checks that assertions are verified.
async fn check_bearer(probe: &UpstreamProbe<'_>, local: &LocalConf) -> Finding {
    let about = probe.about.as_str();
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static(NOT_AN_ASSERTION),
    );
    let answer = match probe.get_with(LOGIN, headers).await {
        Ok(answer) => answer,
        Err(error) => {
            return Finding::failure(
                CHECK,
                about,
                format!("Cockpit's login does not answer: {error}"),
            )
            .seen("\"Internal error in login process\" on Cockpit's login page");
        }
    };
    let told = answer.outcome();
    match Bearer::of(answer.status, &answer.reason) {
        Bearer::Checked => {
            Finding::ok(CHECK, about, "Cockpit accepts assertions, and refuses a false one")
        }
        Bearer::Disabled => {
            Finding::failure(CHECK, about, format!("Cockpit accepts no assertions: {told}"))
                .seen(SEEN)
                .why("the section [bearer] is missing in Cockpit's file, or has `action = none`")
                .change(local.change_in("bearer", "UnixPath", "write").line("[bearer]").line(format!("UnixPath = {SESSION_SOCKET}")))
                .change(set_up(local))
        }
        Bearer::Unreachable => Finding::failure(CHECK, about, format!("Cockpit cannot reach the program that verifies assertions: {told}"))
            .seen(SEEN)
            .why("the socket in `UnixPath` does not exist or Cockpit's account must not open it, or the program behind it does not start")
            .change(Change::act("check the socket and its log on Cockpit's machine")
                .line(format!("systemctl status {SOCKET_UNIT}"))
                .line(JOURNAL))
            .change(set_up(local)),
        Bearer::Faulty => Finding::failure(CHECK, about, format!("the program that verifies assertions for Cockpit fails: {told}"))
            .seen(SEEN)
            .why("a file that it needs is missing, unreadable or invalid; its log has the name")
            .change(Change::act("read its log on Cockpit's machine").line(JOURNAL))
            .change(set_up(local)),
        Bearer::Open => Finding::failure(CHECK, about, "Cockpit accepts a false assertion")
            .seen("nothing; every client that reaches Cockpit is logged in")
            .why("the program behind [bearer] does not verify assertions")
            .change(set_up(local)),
        Bearer::Other => Finding::failure(CHECK, about, format!("Cockpit answers an assertion with {told}")).seen(SEEN),
    }
}

/// Cockpit's reaction to a value that is not an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bearer {
    /// It was verified and refused.
    Checked,
    /// Cockpit's file names no program that verifies it.
    Disabled,
    /// No program listens, or Cockpit must not connect to it.
    Unreachable,
    /// `jetway-cockpit-session` was started, and failed.
    Faulty,
    /// It was accepted as an assertion.
    Open,
    /// None of these.
    Other,
}

impl Bearer {
    /// Classifies a response by status and reason phrase. For a socket that cannot be reached, Cockpit 287 answers 500, and
    /// 372 answers 401 with another reason than for a refusal; for a program that ends without a message, 287 answers a
    /// refusal.
    fn of(status: StatusCode, reason: &str) -> Self {
        match status {
            StatusCode::UNAUTHORIZED if reason.contains("disabled") => Self::Disabled,
            StatusCode::UNAUTHORIZED if reason.contains("not available") => Self::Unreachable,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Checked,
            // The helper's own message, which Cockpit forwards.
            StatusCode::INTERNAL_SERVER_ERROR if reason.contains("internal-error") => Self::Faulty,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Unreachable,
            StatusCode::OK => Self::Open,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_all_releases_are_distinguished() {
        for (status, reason, expected) in [
            (401, "Authentication failed", Bearer::Checked),
            (403, "No account", Bearer::Checked),
            (401, "Authentication disabled", Bearer::Disabled),
            (401, "Authentication not available", Bearer::Unreachable),
            (500, "Internal error in login process", Bearer::Unreachable),
            (
                500,
                "Authentication failed: internal-error: This server could not open a session%3B its journal says why",
                Bearer::Faulty,
            ),
            (200, "OK", Bearer::Open),
            (502, "Bad Gateway", Bearer::Other),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Bearer::of(status, reason), expected, "{status} {reason}");
        }
    }
}

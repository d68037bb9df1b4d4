//! Whether Cockpit logs visitors in by what Jetway tells about them.

mod machine;
mod program;

use std::path::Path;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use super::super::Subject;
use super::super::finding::{Change, Finding, Outcome};
use super::super::visit::Visit;
use super::local::Local;
use super::login_page::LoginPage;
use crate::cockpit::{SESSION_SOCKET, SIGN_IN_URL, SOCKET_UNIT};

const CHECK: &str = "cockpit-single-sign-on";
const LOGIN: &str = "/cockpit/login";
/// What people see who were signed in by Jetway and not by Cockpit.
const SEEN: &str = "Cockpit's login page with an error, after the sign-in";
/// Where `jetway-cockpit-session` says what it did.
const JOURNAL: &str = "journalctl -u 'jetway-cockpit-session@*'";
/// No assertion at all: who checks assertions refuses it at once.
const NOT_AN_ASSERTION: &str = "Bearer jetway-doctor";

/// Asks Cockpit, and looks at this machine when Cockpit is on it.
pub(super) async fn examine(
    subject: &Subject<'_>,
    visit: &Visit<'_>,
    about: &str,
    page: &LoginPage,
    local: &Local,
) -> Vec<Finding> {
    let bearer = of_bearer(visit, about, local).await;
    let works = bearer.outcome == Outcome::Ok;
    let mut findings = vec![of_page(page, about, local), bearer];
    if let Some(conf) = local.file() {
        let socket = conf
            .value("bearer", "UnixPath")
            .map_or(SESSION_SOCKET, |written| written.value);
        // One in a container has its files elsewhere.
        if !works || Path::new(socket).exists() {
            findings.extend(machine::examine(subject, visit, Path::new(socket)));
        }
    }
    findings
}

fn set_up(local: &Local) -> Change {
    let place = if local.is_here() {
        ""
    } else {
        " on Cockpit's machine"
    };
    Change::act(format!("or let Jetway do all of it{place}"))
        .line("jetway cockpit setup -c jetway.yaml")
}

/// The login page has to lead back to Jetway.
fn of_page(page: &LoginPage, about: &str, local: &Local) -> Finding {
    let change = local
        .conf("OAuth", "URL", "write")
        .line("[OAuth]")
        .line(format!("URL = {SIGN_IN_URL}"));
    match page.sign_in_url.as_deref() {
        Some(SIGN_IN_URL) => Finding::ok(CHECK, about, "Cockpit's login page leads to Jetway"),
        Some(other) => {
            let other: String = other.chars().take(100).collect();
            Finding::failure(CHECK, about, format!("Cockpit's login page leads to {other}"))
                .seen("the page of another sign-in, after the one of Jetway")
                .why("`URL` in the section [OAuth] names it")
                .change(change)
        }
        None => Finding::failure(CHECK, about, "Cockpit's login page does not ask Jetway")
            .seen("Cockpit's form for name and password, after the sign-in; in Firefox perhaps a page that reloads for ever")
            .why("the section [OAuth] is missing in Cockpit's file")
            .change(change)
            .change(set_up(local)),
    }
}

/// Something has to check assertions.
async fn of_bearer(visit: &Visit<'_>, about: &str, local: &Local) -> Finding {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static(NOT_AN_ASSERTION),
    );
    let answer = match visit.get_with(LOGIN, headers).await {
        Ok(answer) => answer,
        Err(silence) => {
            return Finding::failure(
                CHECK,
                about,
                format!("Cockpit's login does not answer: {}", silence.told()),
            )
            .seen("\"Internal error in login process\" on Cockpit's login page");
        }
    };
    let told = answer.outcome();
    match Bearer::of(answer.status, &answer.reason) {
        Bearer::Checked => {
            Finding::ok(CHECK, about, "Cockpit takes assertions, and lets nobody in with a false one")
        }
        Bearer::Disabled => {
            Finding::failure(CHECK, about, format!("Cockpit takes no assertions: {told}"))
                .seen(SEEN)
                .why("the section [bearer] is missing in Cockpit's file, or says `action = none`")
                .change(local.conf("bearer", "UnixPath", "write").line("[bearer]").line(format!("UnixPath = {SESSION_SOCKET}")))
                .change(set_up(local))
        }
        Bearer::Unreachable => Finding::failure(CHECK, about, format!("Cockpit reaches nothing that checks assertions: {told}"))
            .seen(SEEN)
            .why("the socket in `UnixPath` is not there, may not be opened by Cockpit's account, or the program behind it does not start")
            .change(Change::act("look at the socket and its log on Cockpit's machine")
                .line(format!("systemctl status {SOCKET_UNIT}"))
                .line(JOURNAL))
            .change(set_up(local)),
        Bearer::Faulty => Finding::failure(CHECK, about, format!("what checks assertions for Cockpit cannot do so: {told}"))
            .seen(SEEN)
            .why("a file that it needs is missing, cannot be read or means nothing to it; its log says which")
            .change(Change::act("read its log on Cockpit's machine").line(JOURNAL))
            .change(set_up(local)),
        Bearer::Open => Finding::failure(CHECK, about, "Cockpit logs in whoever sends a made-up assertion")
            .seen("nothing; everybody who reaches Cockpit is logged in")
            .why("the program behind [bearer] does not check what it gets")
            .change(set_up(local)),
        Bearer::Other => Finding::failure(CHECK, about, format!("Cockpit answers an assertion with {told}")).seen(SEEN),
    }
}

/// What Cockpit's answer to something that is no assertion tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bearer {
    /// It was looked at and refused.
    Checked,
    /// Cockpit's file has nobody who would look at it.
    Disabled,
    /// Nobody listens, or Cockpit may not ask.
    Unreachable,
    /// `jetway-cockpit-session` was asked, and has a fault of its own.
    Faulty,
    /// It was taken for an assertion.
    Open,
    /// None of these.
    Other,
}

impl Bearer {
    /// By status and reason phrase. Of a socket that cannot be reached, Cockpit 287 makes a 500, and 372 a 401 with other words
    /// than for a refusal; of a program that ends without a word, 287 makes a refusal.
    fn of(status: StatusCode, reason: &str) -> Self {
        match status {
            StatusCode::UNAUTHORIZED if reason.contains("disabled") => Self::Disabled,
            StatusCode::UNAUTHORIZED if reason.contains("not available") => Self::Unreachable,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Checked,
            // The helper's own message, as Cockpit passes it on.
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
    fn answers_of_all_releases_are_told_apart() {
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

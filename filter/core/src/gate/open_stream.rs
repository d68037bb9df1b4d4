//! A stream that stays open: what its permission was based on, so that the decision can be repeated.

mod recheck_round;

pub use recheck_round::{CLOSES_PER_SLICE, RECHECKS_PER_SLICE, RecheckRound};

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use crate::config::RouteNumber;
use crate::gate::cockpit::CockpitIdentity;
use crate::http::client_certificate::Shown;
use crate::policy::Facts;
use crate::session::Session;
use crate::time::Timestamp;

/// The basis of the permission of an open stream. Most streams end before their first recheck.
#[derive(Debug)]
pub struct OpenStream {
    pub(crate) route: RouteNumber,
    pub(crate) session: Option<Rc<Session>>,
    method: Cow<'static, str>,
    path: String,
    preflight: bool,
    source: Option<IpAddr>,
    certificate: Shown,
    /// The user's identity in Cockpit, on its routes.
    pub(crate) cockpit_identity: Option<CockpitIdentity>,
    /// Whether the client has sent something since the last recheck.
    is_active: bool,
    /// When activity was last reported to the other workers.
    pub(crate) reported_at: Timestamp,
}

/// Whether a stream may stay open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// It may.
    Keep,
    /// It may not, and has to be closed.
    Close(StreamClose),
}

/// How an open stream is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamClose {
    /// One line for the log, without secrets.
    pub event: String,
    /// On routes to Cockpit, the message by which its page learns the reason
    /// ([`crate::contract::LAST_MESSAGE_PROPERTY`]).
    pub last_message: Option<&'static str>,
}

impl OpenStream {
    pub(crate) fn new(
        route: RouteNumber,
        facts: &Facts<'_>,
        session: Option<Rc<Session>>,
        certificate: &Shown,
    ) -> Self {
        Self {
            route,
            session,
            method: intern_method(facts.method),
            path: facts.path.to_owned(),
            preflight: facts.preflight,
            source: facts.source,
            certificate: certificate.clone(),
            cockpit_identity: None,
            is_active: false,
            reported_at: facts.now,
        }
    }

    /// The same stream, with the user's identity in Cockpit.
    pub(crate) fn in_cockpit(self, cockpit_identity: Option<CockpitIdentity>) -> Self {
        Self {
            cockpit_identity,
            ..self
        }
    }

    /// Returns the account of the user, if one is signed in.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.session.as_deref().map(Session::account)
    }

    /// Returns the facts for which the policy is evaluated now.
    pub(crate) fn facts(&self, now: Timestamp) -> Facts<'_> {
        Facts {
            session: self.session.as_deref(),
            method: &self.method,
            path: &self.path,
            preflight: self.preflight,
            source: self.source,
            now,
            certificate: self.certificate.as_fact(),
        }
    }

    /// Notes that the client has sent so many bytes. `beginning` returns the first [`BEGINNING`] of them; it is called only
    /// when they matter.
    pub fn hear(&mut self, bytes: usize, beginning: impl FnOnce() -> Option<Vec<u8>>) {
        if self.is_active || bytes == 0 {
            return;
        }
        self.is_active = bytes > LONGEST_AUTOMATIC
            || !beginning().is_some_and(|beginning| is_automatic(bytes, &beginning));
    }

    /// Returns whether the client has sent something since the last call.
    pub(crate) const fn take_activity(&mut self) -> bool {
        std::mem::replace(&mut self.is_active, false)
    }
}

/// How many bytes from a client are needed to find out whether they were sent automatically: the header of a frame with its
/// mask, and the beginning of its content.
pub const BEGINNING: usize = HEADER + 2;
/// The length of a client's short frame header: two bytes, and four bytes of the mask.
const HEADER: usize = 6;
/// The longest automatic frame. Longer ones are sent by users, or on their behalf.
const LONGEST_AUTOMATIC: usize = HEADER + 125;

/// Returns whether so many bytes are one WebSocket frame (RFC 6455 section 5.2) that was sent without a user's action.
///
/// Browsers answer pings by themselves, in control frames. Cockpit's page does the same in its own protocol every few
/// seconds, in messages for no channel. These begin with a newline and an object, which typed input never does.
fn is_automatic(bytes: usize, beginning: &[u8]) -> bool {
    let Some(([first, second, mask @ ..], content)) = beginning.split_first_chunk::<HEADER>()
    else {
        return false;
    };
    let (is_masked, length) = (second & 0x80 != 0, usize::from(second & 0x7f));
    if !is_masked || bytes != HEADER + length {
        return false;
    }
    let is_control_frame = (0x88..=0x8f).contains(first);
    let mut unmasked = content.iter().zip(mask).map(|(byte, mask)| byte ^ mask);
    is_control_frame
        || (*first == 0x81 && unmasked.next() == Some(b'\n') && unmasked.next() == Some(b'{'))
}

/// Returns a method that can be stored. The usual ones cost nothing.
fn intern_method(method: &str) -> Cow<'static, str> {
    const USUAL: [&str; 3] = ["GET", "POST", "HEAD"];
    let usual = USUAL.into_iter().find(|usual| *usual == method);
    usual.map_or_else(|| Cow::Owned(method.to_owned()), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame, masked.
    fn frame(first: u8, content: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let length = u8::try_from(content.len()).unwrap();
        let mut frame = vec![first, 0x80 | length];
        frame.extend_from_slice(&mask);
        let masked = content.iter().zip(mask.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn answers_to_pings_are_automatic_and_what_is_typed_is_not() {
        for (what, sent, automatic) in [
            ("a pong", frame(0x8a, b""), true),
            ("a pong with content", frame(0x8a, b"1234"), true),
            (
                "Cockpit's pong",
                frame(0x81, b"\n{\"command\":\"pong\"}"),
                true,
            ),
            (
                "a key in Cockpit's terminal",
                frame(0x81, b"1:2!5\nl"),
                false,
            ),
            ("a key elsewhere", frame(0x82, b"0l"), false),
            ("an end of line", frame(0x81, b"\n"), false),
            ("nothing in a frame", frame(0x81, b""), false),
            (
                "two frames",
                [frame(0x8a, b""), frame(0x81, b"l")].concat(),
                false,
            ),
            (
                "a piece of a frame",
                frame(0x81, b"\n{}")[..5].to_vec(),
                false,
            ),
            ("no frame", b"\n{".to_vec(), false),
        ] {
            let beginning = sent.get(..BEGINNING).unwrap_or(&sent);
            assert_eq!(is_automatic(sent.len(), beginning), automatic, "{what}");
        }
    }
}

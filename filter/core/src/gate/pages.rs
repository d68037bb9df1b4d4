//! Builds refusals and the pages that several endpoints share.

use std::rc::Rc;

use crate::gate::endpoints::allowed_methods;
use crate::gate::step::Step;
use crate::http::page::{ADDRESS, Theme};
use crate::http::reply::{Audience, Extras, Reply, refuse};
use crate::http::request::{Parsed, Request};
use crate::http::request_line::FORWARDED_METHODS;
use crate::http::websocket;
use crate::refusal::{Refusal, SignInProblem};

/// The most bytes of an address on a page: a user compares it with the address bar, and no page gets long by it.
const LONGEST_ADDRESS: usize = 300;

/// The button on the page for a user who has no access: it signs out, and the page after that signs in again.
pub(super) const OTHER_ACCOUNT: &str = "Use another account";

/// How replies look, and which methods the proxy's own endpoints accept.
#[derive(Debug)]
pub(super) struct Pages {
    theme: Rc<Theme>,
    /// Whether the provider answers a sign-in by a form, so that the callback accepts `POST`.
    accepts_form_post: bool,
}

impl Pages {
    pub(super) fn new(theme: Theme, accepts_form_post: bool) -> Self {
        Self {
            theme: Rc::new(theme),
            accepts_form_post,
        }
    }

    /// Returns how pages look.
    pub(super) fn theme(&self) -> &Theme {
        &self.theme
    }

    /// Returns what a reply to this request depends on: the format that the client accepts, and the theme.
    pub(super) fn audience(&self, request: &Parsed<'_>) -> Audience {
        Audience::of(request, &self.theme)
    }

    /// Refuses a request.
    pub(super) fn refuse(&self, request: &Parsed<'_>, refusal: Refusal) -> Step {
        let audience = self.audience(request);
        let address = matches!(refusal, Refusal::NotFound | Refusal::Misdirected)
            .then(|| name_address(request));
        let extras = Extras {
            facts: address.as_slice(),
            ..Extras::default()
        };
        let mut reply = refuse(refusal, extras, &audience, refusal_event(refusal));
        if refusal == Refusal::MethodNotAllowed {
            let methods = self.methods(request.path()).unwrap_or(FORWARDED_METHODS);
            reply.add("allow", methods.to_owned());
        }
        if refusal == Refusal::WebsocketVersion {
            reply.add("sec-websocket-version", websocket::VERSION.to_owned());
        }
        Step::Reply(reply)
    }

    /// Refuses a request with a reason for the log, which the client does not learn.
    pub(super) fn refuse_because(&self, request: &Parsed<'_>, refusal: Refusal, why: &str) -> Step {
        let mut step = self.refuse(request, refusal);
        if let Step::Reply(reply) = &mut step {
            reply.event = format!("{} ({why})", refusal_event(refusal)).into();
        }
        step
    }

    /// Refuses a request that could not be read.
    pub(super) fn refuse_unreadable(&self, request: &Request<'_>, refusal: Refusal) -> Reply {
        let audience = Audience::of_unreadable(request, &self.theme);
        let mut reply = refuse(
            refusal,
            Extras::default(),
            &audience,
            refusal_event(refusal),
        );
        if refusal == Refusal::MethodNotAllowed {
            reply.add("allow", FORWARDED_METHODS.to_owned());
        }
        reply
    }

    /// Returns the methods of one of the proxy's own endpoints; `None` where there is no endpoint.
    pub(super) fn methods(&self, path: &str) -> Option<&'static str> {
        allowed_methods(path, self.accepts_form_post)
    }
}

/// Returns the address of a request, for a page that says what was not found or is not available: the canonical one, cut when
/// it is long, and without the query, in which secrets may be.
pub(super) fn name_address(request: &Parsed<'_>) -> (&'static str, String) {
    let mut address = format!("{}{}", request.authority.origin(), request.path());
    if address.len() > LONGEST_ADDRESS {
        address.truncate(address.floor_char_boundary(LONGEST_ADDRESS));
        address.push('…');
    }
    (ADDRESS, address)
}

/// Why a sign-in has failed, for the page and for the log.
#[derive(Debug)]
pub(crate) struct SignInFailure {
    refusal: Refusal,
    /// A sentence that says more than the refusal, for the page and the log; empty without one.
    note: String,
    /// The values expected and received, for the log only: one line without secrets, empty without one.
    cause: String,
}

impl From<Refusal> for SignInFailure {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            note: String::new(),
            cause: String::new(),
        }
    }
}

impl From<SignInProblem> for SignInFailure {
    fn from(problem: SignInProblem) -> Self {
        Refusal::SignIn(problem).into()
    }
}

impl SignInFailure {
    /// The same failure with a sentence for the page and the log.
    pub(crate) fn with_note(self, note: String) -> Self {
        Self { note, ..self }
    }

    /// The same failure with its cause, which only the log shows.
    pub(crate) fn with_cause(self, cause: String) -> Self {
        Self { cause, ..self }
    }

    /// Returns the log line.
    fn event(&self) -> String {
        let mut event = refusal_event(self.refusal);
        if !self.note.is_empty() {
            event.push_str(&format!(" ({})", self.note));
        }
        if !self.cause.is_empty() {
            event.push_str(&format!(": {}", self.cause));
        }
        event
    }
}

/// Refuses a sign-in and offers to begin again.
pub(super) fn refuse_sign_in(failure: &SignInFailure, audience: &Audience) -> Reply {
    let extras = Extras {
        link: Some(("/.pomerium/sign_in", "Sign in again")),
        note: Some(failure.note.as_str()).filter(|note| !note.is_empty()),
        ..Extras::default()
    };
    refuse(failure.refusal, extras, audience, failure.event())
}

/// Returns the log line of a refusal.
pub(super) fn refusal_event(refusal: Refusal) -> String {
    format!("refused: {}", refusal.word())
}

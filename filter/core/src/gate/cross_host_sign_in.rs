//! One host at which everybody signs in (`authenticate_service_url`), and the way between it and the routes' hosts.
//!
//! A route's host sends the browser there with a cross_host_request: sealed, so that nobody else can make one or read it. The
//! sign-in host answers with a ticket for that host: sealed too, good for a minute, and only in the browser whose cookie
//! has the secret of the attempt that the cross_host_request was made for. Nobody who sees an address can do anything with it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::routes::KnownOrigin;
use super::sign_in::SIGN_IN;
use super::{Gate, SignInResult};
use crate::contract::{CALLBACK_PATH, SIGN_IN_HOST_CALLBACK};
use crate::env::Env;
use crate::gate::step::Step;
use crate::http::reply::redirect;
use crate::http::request::{Authority, Parsed};
use crate::limits::{ATTEMPT_KEPT, ATTEMPT_LIFETIME, LEEWAY};
use crate::oidc::attempt::Attempt;
use crate::refusal::{Refusal, SignInProblem};
use crate::session::Session;
use crate::session::replay::consume_once;
use crate::session::seal::Purpose;
use crate::time::Timestamp;

/// How long a ticket is good, in seconds: a redirect takes less.
const TICKET_LIFETIME: u64 = 60;
/// Longest ticket. Servers in front take addresses of 8 KB and more.
const MAX_TICKET: usize = 7 * 1024;

/// What a browser is sent to the sign-in host for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum CrossHostRequest {
    /// To sign in, and come back to a route's host.
    #[serde(rename = "i")]
    SignIn {
        /// `host[:port]` to come back to.
        #[serde(rename = "a")]
        authority: String,
        /// Name of the attempt there.
        #[serde(rename = "n")]
        attempt: String,
        /// What the attempt's secret hashes to.
        #[serde(rename = "b")]
        binding: String,
        #[serde(rename = "t")]
        begun_at: Timestamp,
    },
    /// To sign out the session of this name there, too.
    #[serde(rename = "o")]
    SignOut {
        #[serde(rename = "s")]
        session: String,
        #[serde(rename = "t")]
        begun_at: Timestamp,
    },
}

/// A session on its way to a route's host.
#[derive(Serialize, Deserialize)]
struct Ticket {
    #[serde(rename = "s")]
    session: Session,
    #[serde(rename = "b")]
    binding: String,
    #[serde(rename = "t")]
    issued_at: Timestamp,
}

impl CrossHostRequest {
    const fn begun_at(&self) -> Timestamp {
        match self {
            Self::SignIn { begun_at, .. } | Self::SignOut { begun_at, .. } => *begun_at,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.begun_at()) >= ATTEMPT_LIFETIME
    }
}

impl Gate {
    /// Whether a request is for the sign-in host, by its port.
    pub(super) fn is_sign_in_host(&self, request: &Parsed<'_>) -> bool {
        let host = self.config.session.sign_in_host.as_ref();
        host.is_some_and(|sign_in| sign_in.origin == request.authority.origin())
    }

    /// Whether a request is for the name of the sign-in host, by whatever port.
    pub(super) fn is_host_of_sign_in(&self, request: &Parsed<'_>) -> bool {
        let host = self.config.session.sign_in_host.as_ref();
        host.is_some_and(|sign_in| *sign_in.host == *request.authority.host)
    }

    /// Where a request for a route's host is sent to sign in, when that is another host.
    pub(super) fn cross_host_url(
        &self,
        request: &Parsed<'_>,
        attempt: &Attempt,
        env: &mut Env<'_>,
    ) -> Option<String> {
        if self.is_sign_in_host(request) {
            return None;
        }
        let cross_host_request = CrossHostRequest::SignIn {
            authority: request.authority.to_string(),
            attempt: attempt.id().to_owned(),
            binding: binding(attempt),
            begun_at: attempt.begun_at(),
        };
        self.seal_cross_host_request(SIGN_IN, &cross_host_request, env)
    }

    /// An address on the sign-in host with a cross_host_request, when there is such a host.
    pub(super) fn seal_cross_host_request(
        &self,
        path: &str,
        cross_host_request: &CrossHostRequest,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let sign_in = self.config.session.sign_in_host.as_ref()?;
        let plaintext = serde_json::to_vec(cross_host_request).ok()?;
        let sealer = self.sealer.as_ref()?;
        let sealed = sealer.seal(Purpose::CrossHostRequest, &sign_in.host, &plaintext, env);
        Some(format!("{}{path}?request={}", sign_in.origin, sealed.ok()?))
    }

    /// A cross_host_request that this deployment has sealed. One to sign in may be over, see [`CrossHostRequest::is_over`].
    pub(super) fn open_cross_host_request(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        now: Timestamp,
    ) -> Option<CrossHostRequest> {
        if !self.is_sign_in_host(request) {
            return None;
        }
        let sealer = self.sealer.as_ref()?;
        let host = &request.authority.host;
        let opened = sealer.open(Purpose::CrossHostRequest, host, sealed.as_bytes())?;
        let cross_host_request: CrossHostRequest =
            serde_json::from_slice(&opened.plaintext).ok()?;
        let is_kept = match &cross_host_request {
            CrossHostRequest::SignIn { .. } => {
                now.since(cross_host_request.begun_at()) < ATTEMPT_KEPT
            }
            CrossHostRequest::SignOut { .. } => !cross_host_request.is_over(now),
        };
        (is_kept && cross_host_request.begun_at() <= now.plus(LEEWAY)).then_some(cross_host_request)
    }

    /// Signs somebody in for a route's host: at once when they are signed in here, otherwise after the provider.
    pub(super) fn begin_cross_host_sign_in(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        env: &mut Env<'_>,
    ) -> Step {
        let opened = self.open_cross_host_request(request, sealed, env.now);
        let is_over = opened
            .as_ref()
            .is_some_and(|cross_host_request| cross_host_request.is_over(env.now));
        let Some(CrossHostRequest::SignIn {
            authority,
            attempt,
            binding,
            ..
        }) = opened.filter(|cross_host_request| self.leads_to_a_route(cross_host_request))
        else {
            let problem = Refusal::SignIn(SignInProblem::UnknownAttempt);
            return Step::Reply(self.refuse_sign_in(problem, None, &self.audience(request)));
        };
        if is_over {
            // The host that it is from knows the address, and whether this is the first time.
            let location = format!("https://{authority}{SIGN_IN}?attempt={attempt}");
            let event = format!("sign-in for another host took too long host={authority:?}");
            return Step::Reply(redirect(location, event));
        }
        let visit = self.visit(request, env);
        let Some(session) = &visit.session else {
            return self.sign_in(request, &request.target, env);
        };
        let Some(location) = self.ticket_address(session, &authority, &attempt, binding, env)
        else {
            return self.refuse(request, Refusal::Internal);
        };
        let event = format!(
            "signed in for another host account={:?} host={authority:?}",
            session.account()
        );
        let cookies = self.visit_cookies(request, &visit, env);
        Step::Reply(redirect(location, event).with_cookies(cookies))
    }

    /// Whether a cross_host_request comes from an origin that a route has now: nobody else is sent a ticket.
    fn leads_to_a_route(&self, cross_host_request: &CrossHostRequest) -> bool {
        let CrossHostRequest::SignIn { authority, .. } = cross_host_request else {
            return false;
        };
        Authority::read(authority.as_bytes()).is_some_and(|authority| {
            self.index.origin(&self.config.routes, &authority) == KnownOrigin::Yes
        })
    }

    fn ticket_address(
        &self,
        session: &Session,
        authority: &str,
        attempt: &str,
        binding: String,
        env: &mut Env<'_>,
    ) -> Option<String> {
        // The provider's hint is for the sign-out, which ends at this host.
        let mut session = session.clone();
        session.id_token = None;
        let sealer = self.sealer.as_ref()?;
        self.shrinking(&session).find_map(|session| {
            let ticket = Ticket {
                session,
                binding: binding.clone(),
                issued_at: env.now,
            };
            let plaintext = serde_json::to_vec(&ticket).ok()?;
            if plaintext.len() > MAX_TICKET {
                return None;
            }
            let sealed = sealer
                .seal(Purpose::Ticket, authority, &plaintext, env)
                .ok()?;
            (sealed.len() <= MAX_TICKET).then(|| {
                format!("https://{authority}{CALLBACK_PATH}?attempt={attempt}&ticket={sealed}")
            })
        })
    }

    /// The sign-in host sends a browser back with a ticket.
    pub(super) fn take_ticket(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let audience = self.audience(request);
        let stray = |gate: &Self, env: &Env<'_>| {
            let problem = SignInProblem::UnknownAttempt;
            Step::Reply(gate.answer_stray(request, problem, &audience, env))
        };
        let id = request.parameter("attempt").unwrap_or_default();
        let Some(attempt) = self.attempt_named(request, &id, env.now) else {
            return stray(self, env);
        };
        if self.visit(request, env).session.is_some() {
            return Step::Reply(self.keep_session(request, &attempt));
        }
        if attempt.is_over(env.now) {
            return self.begin_again(request, &attempt, env);
        }
        let sealed = request.parameter("ticket").unwrap_or_default();
        let Some(ticket) = self.open_ticket(request, &sealed, &attempt, env.now) else {
            let problem = Refusal::SignIn(SignInProblem::BadCallback);
            return Step::Reply(self.sign_in_failed(&attempt, &audience, problem));
        };
        if !consume_once(attempt.id(), attempt.begun_at(), env) {
            return stray(self, env);
        }
        let result = SignInResult {
            attempt: &attempt,
            host: &request.authority.host,
            audience: &audience,
        };
        Step::Reply(self.finish_sign_in(Some(request), &result, &ticket.session, env))
    }

    fn open_ticket(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Option<Ticket> {
        let sealer = self.sealer.as_ref()?;
        // For this origin: who reads what is sent to another port of the host gets nothing.
        let origin = request.authority.to_string();
        let opened = sealer.open(Purpose::Ticket, &origin, sealed.as_bytes())?;
        let ticket: Ticket = serde_json::from_slice(&opened.plaintext).ok()?;
        let age = now.since(ticket.issued_at);
        let fresh = age < TICKET_LIFETIME && ticket.issued_at <= now.plus(LEEWAY);
        (fresh && ticket.binding == binding(attempt)).then_some(ticket)
    }

    /// Signs out on the sign-in host what was signed out on a route's host a moment ago, in the same browser.
    pub(super) fn cross_host_sign_out(
        &self,
        request: &Parsed<'_>,
        env: &mut Env<'_>,
    ) -> Option<Step> {
        let sealed = request.parameter("request")?;
        let CrossHostRequest::SignOut { session, .. } =
            self.open_cross_host_request(request, &sealed, env.now)?
        else {
            return None;
        };
        Some(self.sign_out_of(request, &session, env))
    }

    /// Where the browser goes after a sign-out on a route's host, when there is a sign-in host.
    pub(super) fn sign_out_address(
        &self,
        request: &Parsed<'_>,
        session: Option<&Session>,
        env: &mut Env<'_>,
    ) -> Option<String> {
        if self.is_sign_in_host(request) {
            return None;
        }
        let cross_host_request = CrossHostRequest::SignOut {
            session: session?.id.clone(),
            begun_at: env.now,
        };
        self.seal_cross_host_request(super::sign_out::SIGN_OUT, &cross_host_request, env)
    }

    /// Whether visitors of a request's host sign in on another host.
    pub(super) fn signs_in_elsewhere(&self, request: &Parsed<'_>) -> bool {
        self.config.session.sign_in_host.is_some() && !self.is_sign_in_host(request)
    }

    /// The address that is registered with the provider for this host.
    pub(super) fn described_callback(&self, request: &Parsed<'_>) -> String {
        match &self.config.session.sign_in_host {
            Some(sign_in) => format!("{}{}", sign_in.origin, SIGN_IN_HOST_CALLBACK),
            None => self.redirect_uri(request),
        }
    }
}

/// What ties a ticket to the browser that asked for it.
fn binding(attempt: &Attempt) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.ticket_secret().as_bytes()))
}

impl Parsed<'_> {
    /// A parameter of the query, when it stands there once.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut found = form_urlencoded::parse(self.query().as_bytes())
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned());
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

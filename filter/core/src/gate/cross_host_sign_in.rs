//! One host at which all users sign in (`authenticate_service_url`), and the exchange between it and the routes' hosts.
//!
//! A route's host redirects the browser to the sign-in host with a sealed request, which only this deployment can make or
//! read. The sign-in host answers with a ticket for that host. The ticket is sealed too, expires after a minute, and is
//! valid only in the browser whose cookie has the secret of the attempt that the request was made for. An address that
//! another user sees is therefore of no use to them.

use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::SignInHost;
use crate::contract::CALLBACK_PATH;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::callback::SignInResult;
use crate::gate::cookie_vault::CookieVault;
use crate::gate::pages::refuse_sign_in;
use crate::gate::sign_in::SIGN_IN;
use crate::gate::sign_out::SIGN_OUT;
use crate::gate::step::Step;
use crate::gate::terms::SessionTerms;
use crate::http::reply::redirect;
use crate::http::request::{Authority, Parsed};
use crate::limits::{ATTEMPT_KEPT, ATTEMPT_LIFETIME, LEEWAY};
use crate::oidc::attempt::Attempt;
use crate::refusal::{Refusal, SignInProblem};
use crate::session::Session;
use crate::session::replay::consume_once;
use crate::session::seal::Purpose;
use crate::time::Timestamp;

/// How long a ticket is valid, in seconds: a redirect takes less.
const TICKET_LIFETIME: u64 = 60;
/// The longest ticket. Servers in front accept addresses of 8 KB and more.
const MAX_TICKET: usize = 7 * 1024;

/// The purpose for which a browser is redirected to the sign-in host.
#[derive(Debug, Serialize, Deserialize)]
enum CrossHostRequest {
    /// To sign in and return to a route's host.
    #[serde(rename = "i")]
    SignIn(CrossHostSignIn),
    /// To sign out the session of this id there, too.
    #[serde(rename = "o")]
    SignOut {
        #[serde(rename = "s")]
        session: String,
        #[serde(rename = "t")]
        begun_at: Timestamp,
    },
}

/// A sign-in for a route's host.
#[derive(Debug, Serialize, Deserialize)]
struct CrossHostSignIn {
    /// `host[:port]` to return to.
    #[serde(rename = "a")]
    authority: String,
    /// The id of the attempt there.
    #[serde(rename = "n")]
    attempt: String,
    /// The hash of the attempt's secret.
    #[serde(rename = "b")]
    binding: String,
    #[serde(rename = "t")]
    begun_at: Timestamp,
    /// Whether the provider is to ask the user for an account.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    is_for_other_account: bool,
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
    /// Returns whether a request is recent enough to be looked at. A sign-in is looked at for longer than it is valid,
    /// because an expired one begins again.
    const fn is_kept(&self, now: Timestamp) -> bool {
        let (begun_at, lifetime) = match self {
            Self::SignIn(sign_in) => (sign_in.begun_at, ATTEMPT_KEPT),
            Self::SignOut { begun_at, .. } => (*begun_at, ATTEMPT_LIFETIME),
        };
        now.since(begun_at) < lifetime && begun_at.0 <= now.plus(LEEWAY).0
    }
}

/// Seals and opens what the sign-in host and the routes' hosts send each other by way of the browser.
#[derive(Debug)]
pub(super) struct CrossHost {
    vault: Rc<CookieVault>,
    sign_in_host: Option<SignInHost>,
}

impl CrossHost {
    pub(super) const fn new(vault: Rc<CookieVault>, sign_in_host: Option<SignInHost>) -> Self {
        Self {
            vault,
            sign_in_host,
        }
    }

    /// Returns the address on the sign-in host at which a route's host continues an attempt, when there is such a host.
    fn sign_in_url(
        &self,
        request: &Parsed<'_>,
        attempt: &Attempt,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let sign_in = CrossHostRequest::SignIn(CrossHostSignIn {
            authority: request.authority.to_string(),
            attempt: attempt.id().to_owned(),
            binding: binding(attempt),
            begun_at: attempt.begun_at(),
            is_for_other_account: attempt.is_for_other_account(),
        });
        self.seal(SIGN_IN, &sign_in, env)
    }

    /// Returns the address on the sign-in host at which a session is signed out, too, when there is such a host.
    fn sign_out_url(&self, session: &Session, env: &mut Env<'_>) -> Option<String> {
        let sign_out = CrossHostRequest::SignOut {
            session: session.id.clone(),
            begun_at: env.now,
        };
        self.seal(SIGN_OUT, &sign_out, env)
    }

    fn seal(&self, path: &str, what: &CrossHostRequest, env: &mut Env<'_>) -> Option<String> {
        let host = self.sign_in_host.as_ref()?;
        let sealed = self
            .vault
            .seal(Purpose::CrossHostRequest, &host.host, what, env)?;
        Some(format!("{}{path}?request={sealed}", host.origin))
    }

    /// Opens a request that this deployment has sealed for the sign-in host. A sign-in may have expired.
    fn open(&self, host: &str, sealed: &str, now: Timestamp) -> Option<CrossHostRequest> {
        let opened: CrossHostRequest =
            self.vault
                .open(Purpose::CrossHostRequest, host, sealed.as_bytes())?;
        opened.is_kept(now).then_some(opened)
    }

    /// Returns the address with a ticket at which a route's host gets a session, shortened until the address fits.
    fn ticket_url(
        &self,
        to: &CrossHostSignIn,
        session: &Session,
        terms: &SessionTerms,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let (authority, attempt) = (&to.authority, &to.attempt);
        // The provider's hint is for the sign-out, which ends at this host.
        let mut session = session.clone();
        session.id_token = None;
        terms.shrinking(&session).find_map(|session| {
            let ticket = Ticket {
                session,
                binding: to.binding.clone(),
                issued_at: env.now,
            };
            let sealed = self.vault.seal(Purpose::Ticket, authority, &ticket, env)?;
            (sealed.len() <= MAX_TICKET).then(|| {
                format!("https://{authority}{CALLBACK_PATH}?attempt={attempt}&ticket={sealed}")
            })
        })
    }

    /// Opens a ticket that was issued for this origin and this attempt.
    fn open_ticket(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Option<Ticket> {
        // The port counts: what is sent to another port of the host is of no use there.
        let origin = request.authority.to_string();
        let ticket: Ticket = self
            .vault
            .open(Purpose::Ticket, &origin, sealed.as_bytes())?;
        let age = now.since(ticket.issued_at);
        let is_fresh = age < TICKET_LIFETIME && ticket.issued_at <= now.plus(LEEWAY);
        (is_fresh && ticket.binding == binding(attempt)).then_some(ticket)
    }
}

impl Gate {
    /// Returns where a request for a route's host is redirected to sign in, when that is another host.
    pub(super) fn cross_host_url(
        &self,
        request: &Parsed<'_>,
        attempt: &Attempt,
        env: &mut Env<'_>,
    ) -> Option<String> {
        if self.router.is_sign_in_host(request) {
            return None;
        }
        self.cross_host.sign_in_url(request, attempt, env)
    }

    /// Returns where the browser goes after a sign-out on a route's host, when there is a sign-in host.
    pub(super) fn cross_host_sign_out_url(
        &self,
        request: &Parsed<'_>,
        session: Option<&Session>,
        env: &mut Env<'_>,
    ) -> Option<String> {
        if self.router.is_sign_in_host(request) {
            return None;
        }
        self.cross_host.sign_out_url(session?, env)
    }

    fn open_cross_host_request(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        now: Timestamp,
    ) -> Option<CrossHostRequest> {
        if !self.router.is_sign_in_host(request) {
            return None;
        }
        self.cross_host.open(&request.authority.host, sealed, now)
    }

    /// Signs a user in for a route's host: at once when there is a session on the sign-in host, otherwise with the
    /// provider.
    pub(super) fn begin_cross_host_sign_in(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        env: &mut Env<'_>,
    ) -> Step {
        let opened = match self.open_cross_host_request(request, sealed, env.now) {
            Some(CrossHostRequest::SignIn(opened)) if self.has_origin(&opened.authority) => opened,
            _ => {
                let failure = SignInProblem::UnknownAttempt.into();
                let audience = self.pages.audience(request);
                return Step::Reply(refuse_sign_in(&failure, &audience));
            }
        };
        let authority = &opened.authority;
        if env.now.since(opened.begun_at) >= ATTEMPT_LIFETIME {
            // The other host knows the address, and whether this is the first time.
            let location = format!("https://{authority}{SIGN_IN}?attempt={}", opened.attempt);
            let event = format!("sign-in for another host took too long at={authority:?}");
            return Step::Reply(redirect(location, event));
        }
        let authentication = self.sessions.authenticate(request, env);
        let Some(session) = &authentication.session else {
            if opened.is_for_other_account {
                return self.sign_in_with_other_account(request, &request.target, env);
            }
            return self.sign_in(request, &request.target, env);
        };
        let ticket = self
            .cross_host
            .ticket_url(&opened, session, &self.sessions.terms, env);
        let Some(location) = ticket else {
            return self.pages.refuse(request, Refusal::Internal);
        };
        let event = format!("signed in for another host at={authority:?}");
        let cookies = self.sessions.cookies_after(request, &authentication, env);
        let reply = redirect(location, event).for_account(Some(session.account()));
        Step::Reply(reply.with_cookies(cookies))
    }

    /// Returns whether a route has this origin now. Tickets are sent to no other origin.
    fn has_origin(&self, authority: &str) -> bool {
        let authority = Authority::read(authority.as_bytes());
        authority.is_some_and(|authority| self.router.has_origin(&authority))
    }

    /// Ends a sign-in with the ticket that the sign-in host has issued.
    pub(super) fn redeem_ticket(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let audience = self.pages.audience(request);
        let unknown = SignInProblem::UnknownAttempt.into();
        let id = request.parameter("attempt").unwrap_or_default();
        let Some(attempt) = self.attempts.find(request, &id, env.now) else {
            return Step::Reply(self.answer_stray_callback(request, &unknown, env));
        };
        if self.sessions.authenticate(request, env).session.is_some() {
            return Step::Reply(self.keep_session(request, &attempt));
        }
        if attempt.is_over(env.now) {
            return self.begin_again(request, &attempt, env);
        }
        let sealed = request.parameter("ticket").unwrap_or_default();
        let ticket = self
            .cross_host
            .open_ticket(request, &sealed, &attempt, env.now);
        let Some(ticket) = ticket else {
            let failure = SignInProblem::BadCallback.into();
            return Step::Reply(self.sign_in_failed(&attempt, &audience, &failure));
        };
        if !consume_once(attempt.id(), attempt.begun_at(), env) {
            return Step::Reply(self.answer_stray_callback(request, &unknown, env));
        }
        let result = SignInResult {
            attempt: &attempt,
            host: &request.authority.host,
            audience: &audience,
        };
        Step::Reply(self.finish_sign_in(Some(request), &result, &ticket.session, env))
    }

    /// Signs out on the sign-in host what was signed out on a route's host a moment ago, in the same browser.
    pub(super) fn cross_host_sign_out(
        &self,
        request: &Parsed<'_>,
        env: &mut Env<'_>,
    ) -> Option<Step> {
        let sealed = request.parameter("request")?;
        match self.open_cross_host_request(request, &sealed, env.now)? {
            CrossHostRequest::SignOut { session, .. } => {
                Some(self.sign_out_session(request, &session, env))
            }
            CrossHostRequest::SignIn(_) => None,
        }
    }
}

/// Returns what ties a ticket to the browser that asked for it.
fn binding(attempt: &Attempt) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.ticket_secret().as_bytes()))
}

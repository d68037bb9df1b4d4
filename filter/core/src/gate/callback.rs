//! The callback, by which the provider sends the browser back (OpenID Connect Core 1.0 section 3.1.2.5).

use std::borrow::Cow;

use url::form_urlencoded;

use super::Gate;
use super::sign_in::hold;
use crate::env::Env;
use crate::gate::step::Step;
use crate::gate::waiting::{Flow, SignIn, Waiting};
use crate::http::cookie::{self, OwnCookies};
use crate::http::reply::{Audience, Reply, redirect};
use crate::http::request::{Parsed, Request};
use crate::oidc::attempt::Attempt;
use crate::oidc::email::TenantSource;
use crate::oidc::logout_token;
use crate::oidc::metadata::{Metadata, is_issuer};
use crate::oidc::token::CodeGrant;
use crate::oidc::token_flow::{TokenFlow, VerifiedTokens};
use crate::refusal::{Refusal, SignInProblem};
use crate::session::replay::consume_once;
use crate::session::{RefreshGrant, Session};
use crate::time::Timestamp;

/// Longest form of a provider: it has code, state and the user's name from Apple.
const MAX_FORM: usize = 16 * 1024;
/// Longest code that is redeemed.
const MAX_CODE: usize = 4096;

/// The parameters of a callback. None may be repeated.
#[derive(Default)]
struct Callback<'a> {
    code: Option<Cow<'a, str>>,
    state: Option<Cow<'a, str>>,
    issuer: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
}

impl<'a> Callback<'a> {
    fn read(query: &'a str) -> Result<Self, SignInProblem> {
        let mut callback = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "code" => &mut callback.code,
                "state" => &mut callback.state,
                "iss" => &mut callback.issuer,
                "error" => &mut callback.error,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(SignInProblem::BadCallback);
            }
        }
        if callback.code.is_some() && callback.error.is_some() {
            return Err(SignInProblem::BadCallback);
        }
        Ok(callback)
    }

    /// Returns the code of a callback that comes from the provider of the authorization request (RFC 9207) and has no
    /// error.
    fn code(&self, metadata: &Metadata) -> Result<&str, SignInProblem> {
        let is_from_provider = match &self.issuer {
            Some(issuer) => is_issuer(&metadata.discovered.issuer, issuer),
            None => !metadata.discovered.sends_issuer,
        };
        if !is_from_provider {
            return Err(SignInProblem::WrongIssuer);
        }
        if self.error.is_some() {
            return Err(SignInProblem::Declined);
        }
        let code = self
            .code
            .as_deref()
            .filter(|code| !code.is_empty() && code.len() <= MAX_CODE);
        code.ok_or(SignInProblem::BadCallback)
    }
}

/// What is known of a sign-in beside its tokens.
#[derive(Clone, Copy)]
pub(crate) struct SignInResult<'a> {
    /// The attempt that the sign-in began with.
    pub(crate) attempt: &'a Attempt,
    /// The host that the session is for.
    pub(crate) host: &'a str,
    /// The audience of the reply.
    pub(crate) audience: &'a Audience,
}

/// Longest fragment that is kept during a sign-in, so that its cookie stays small.
const MAX_FRAGMENT: usize = 1024;

/// Reads a fragment if it is valid in an address (RFC 3986 section 3.5): any script in the browser may have written it.
fn read_fragment(value: &[u8]) -> Option<&str> {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    let fragment = std::str::from_utf8(value).ok()?;
    let is_short = !fragment.is_empty() && fragment.len() <= MAX_FRAGMENT;
    (is_short && value.iter().all(is_fit)).then_some(fragment)
}

/// Returns the fragment of the address that an attempt began at, if the browser kept one.
pub(super) fn kept_fragment<'c>(attempt: &Attempt, present: &OwnCookies<'c>) -> Option<&'c str> {
    present.fragment_of(attempt.id()).and_then(read_fragment)
}

/// Returns the address that an attempt returns to, with the fragment that the browser kept.
fn return_address(attempt: &Attempt, present: &OwnCookies<'_>) -> String {
    let return_to = attempt.return_to();
    match kept_fragment(attempt, present) {
        Some(fragment) => format!("{return_to}#{fragment}"),
        None => return_to.to_owned(),
    }
}

impl Gate {
    /// Answers the callback of a provider that answers by a form. A page of another site sends that form.
    pub(super) fn answer_form(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let provider = self.provider.as_ref();
        if !provider.is_some_and(|provider| provider.settings().form_post) {
            return self.refuse(request, Refusal::MethodNotAllowed);
        }
        match request.body {
            None => Step::ReadBody { limit: MAX_FORM },
            Some(body) if body.len() > MAX_FORM => self.answer_parameters("", request, env),
            Some(body) => {
                let form = std::str::from_utf8(body).unwrap_or_default();
                self.answer_parameters(form, request, env)
            }
        }
    }

    /// Answers the callback of a provider that answers by the query.
    pub(super) fn answer_callback(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        self.answer_parameters(request.query(), request, env)
    }

    fn answer_parameters(&self, parameters: &str, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let audience = self.audience(request);
        let callback = match Callback::read(parameters) {
            Ok(callback) => callback,
            Err(problem) => {
                return Step::Reply(self.refuse_sign_in(Refusal::SignIn(problem), None, &audience));
            }
        };
        let Some(attempt) = self.attempt(request, callback.state.as_deref(), env.now) else {
            let declined = callback.error.is_some();
            let problem = if declined {
                SignInProblem::Declined
            } else {
                SignInProblem::UnknownAttempt
            };
            return Step::Reply(self.answer_stray(request, problem, &audience, env));
        };
        if self.visit(request, env).session.is_some() {
            return Step::Reply(self.keep_session(request, &attempt));
        }
        if attempt.is_over(env.now) && callback.error.is_none() {
            return self.begin_again(request, &attempt, env);
        }
        // A sign-in may begin on one instance and end on another, which has to learn about the provider first.
        let Some((provider, metadata)) = self.known_provider() else {
            return hold(env.now);
        };
        let code = match callback.code(&metadata) {
            Ok(code) => code,
            Err(problem) => {
                return Step::Reply(self.sign_in_failed(
                    &attempt,
                    &audience,
                    Refusal::SignIn(problem),
                ));
            }
        };
        if !consume_once(attempt.id(), attempt.begun_at(), env) {
            return Step::Reply(self.answer_stray(
                request,
                SignInProblem::UnknownAttempt,
                &audience,
                env,
            ));
        }
        let grant = CodeGrant {
            attempt: &attempt,
            code,
            redirect_uri: &self.redirect_uri(request),
        };
        let Some((call, flow)) = TokenFlow::redeem(provider.client(&metadata), &grant, env) else {
            return Step::Reply(self.sign_in_failed(&attempt, &audience, Refusal::Internal));
        };
        let host = request.authority.host.to_string();
        let sign_in = SignIn::new(attempt, host, audience, flow);
        Step::Call(call, Waiting::on(Flow::SignIn(Box::new(sign_in))))
    }

    /// Redirects to the attempt's return address in a browser that has signed in meanwhile, for instance in another tab.
    /// Its session stays, so that no open terminal ends, and the code expires unused.
    pub(super) fn keep_session(&self, request: &Parsed<'_>, attempt: &Attempt) -> Reply {
        let present = request.own_cookies(&self.cookies);
        let event = "sign-in not needed: there is a session already".to_owned();
        let reply = redirect(return_address(attempt, &present), event);
        reply.with_cookies(self.forget_attempt(attempt, &present))
    }

    /// Returns the `Set-Cookie` values by which a browser forgets an attempt. `present` has the browser's cookies.
    pub(super) fn forget_attempt(
        &self,
        attempt: &Attempt,
        present: &OwnCookies<'_>,
    ) -> Vec<String> {
        let mut names = vec![self.cookies.attempt(attempt.id())];
        if present.fragment_of(attempt.id()).is_some() {
            names.push(self.cookies.fragment(attempt.id()));
        }
        names.iter().map(|name| cookie::clear(name)).collect()
    }

    /// Returns the attempt that `state` names, if this browser began it. The user may have taken too long.
    fn attempt(
        &self,
        request: &Parsed<'_>,
        state: Option<&str>,
        now: Timestamp,
    ) -> Option<Attempt> {
        let state = state?;
        let (id, _) = state.split_once('.')?;
        let attempt = self.attempt_named(request, id, now)?;
        (attempt.state() == state).then_some(attempt)
    }

    /// Returns the attempt of this id, if this browser began it. The user may have taken too long.
    pub(super) fn attempt_named(
        &self,
        request: &Parsed<'_>,
        id: &str,
        now: Timestamp,
    ) -> Option<Attempt> {
        let sealer = self.sealer.as_ref()?;
        let own = request.own_cookies(&self.cookies);
        let (_, sealed) = own.attempts.iter().find(|(name, _)| *name == id)?;
        Attempt::open(sealer, &request.authority.host, id, sealed, now)
    }

    /// Answers a callback that belongs to no open attempt of this browser: a bookmark, the back button, a repeat, or an
    /// attack. A session that is there stays as it is.
    pub(super) fn answer_stray(
        &self,
        request: &Parsed<'_>,
        problem: SignInProblem,
        audience: &Audience,
        env: &Env<'_>,
    ) -> Reply {
        if self.visit(request, env).session.is_some() {
            redirect("/".to_owned(), "stray callback beside a session".to_owned())
        } else {
            self.refuse_sign_in(Refusal::SignIn(problem), None, audience)
        }
    }

    /// Builds the page of an attempt that has failed. The browser forgets the attempt.
    pub(crate) fn sign_in_failed(
        &self,
        attempt: &Attempt,
        audience: &Audience,
        refusal: Refusal,
    ) -> Reply {
        self.sign_in_failed_because(attempt, audience, refusal, None)
    }

    /// Builds the same page with a sentence that tells more than the refusal.
    pub(crate) fn sign_in_failed_because(
        &self,
        attempt: &Attempt,
        audience: &Audience,
        refusal: Refusal,
        note: Option<&str>,
    ) -> Reply {
        let mut reply = self.refuse_sign_in(refusal, note, audience);
        reply.add(
            "set-cookie",
            cookie::clear(&self.cookies.attempt(attempt.id())),
        );
        reply
    }

    /// Begins the session of a user whose tokens are verified. `request` is the callback.
    pub(crate) fn complete_sign_in(
        &self,
        request: &Request<'_>,
        result: &SignInResult<'_>,
        verified: &VerifiedTokens,
        env: &mut Env<'_>,
    ) -> Reply {
        let SignInResult {
            attempt, audience, ..
        } = *result;
        let session = match self.new_session(verified, &attempt.nonce(), env) {
            Ok(session) => session,
            Err(refusal) => return self.sign_in_failed(attempt, audience, refusal),
        };
        if self.revoked_during_sign_in(&session, attempt.begun_at(), env) {
            // Another sign-in shows whether the user is still signed in at the provider.
            let event = "the provider ended its session during the sign-in".to_owned();
            let again = redirect(attempt.return_to().to_owned(), event);
            let attempt = cookie::clear(&self.cookies.attempt(attempt.id()));
            return again.with_cookies(vec![attempt]);
        }
        self.remember_provider_session(&session, env);
        let request = self.read(request).ok();
        let request = request.filter(|request| *request.authority.host == *result.host);
        self.finish_sign_in(request.as_ref(), result, &session, env)
    }

    /// Sets the session's cookies and redirects to the attempt's return address, with the fragment that the browser kept.
    /// `request` is the callback if it can still be read.
    pub(super) fn finish_sign_in(
        &self,
        request: Option<&Parsed<'_>>,
        result: &SignInResult<'_>,
        session: &Session,
        env: &mut Env<'_>,
    ) -> Reply {
        let SignInResult {
            attempt,
            host,
            audience,
        } = *result;
        let present = request.map(|request| request.own_cookies(&self.cookies));
        let present = present.unwrap_or_default();
        let Some(lines) = self.session_cookies(session, host, &present, env) else {
            return self.sign_in_failed(
                attempt,
                audience,
                Refusal::SignIn(SignInProblem::TooLarge),
            );
        };
        let event = format!("signed in account={:?}", session.account());
        let mut reply = redirect(return_address(attempt, &present), event)
            .with_cookies(lines)
            .with_cookies(self.forget_attempt(attempt, &present));
        if let Some(line) = self.record_sign_in(request, host, env) {
            reply.add("set-cookie", line);
        }
        reply
    }

    /// Creates the session of a user whose tokens are verified.
    fn new_session(
        &self,
        verified: &VerifiedTokens,
        nonce: &str,
        env: &mut Env<'_>,
    ) -> Result<Session, Refusal> {
        let source = self.claim_source().ok_or(Refusal::Internal)?;
        let claims = verified.claims.as_ref().ok_or(Refusal::Internal)?;
        let lifetime = self.config.session.lifetime.as_secs();
        let id = env.token::<16>().map_err(|_| Refusal::Internal)?;
        let identity = source
            .read_identity(claims, TenantSource::Claims)
            .map_err(|problem| Refusal::SignIn(problem.into()))?;
        let mut session = Session::new(id, identity, env.now, lifetime);
        session.provider_session = logout_token::read_provider_session(claims);
        session.refresh = RefreshGrant::first(&verified.tokens.grant, nonce, env);
        if let Some(id_token) = &verified.tokens.id_token {
            session.keep_hint(id_token);
        }
        Ok(session.chosen_for(&self.terms))
    }
}

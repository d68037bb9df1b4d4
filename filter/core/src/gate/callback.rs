//! Handles the callback, by which the provider sends the browser back (OpenID Connect Core 1.0 section 3.1.2.5).

use std::borrow::Cow;

use serde_json::Value;
use url::form_urlencoded;

use crate::email_address::canonical_email;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::attempts::return_address;
use crate::gate::pages::{SignInFailure, refuse_sign_in};
use crate::gate::sign_in::hold;
use crate::gate::step::Step;
use crate::gate::waiting::{Flow, SignIn, Waiting};
use crate::http::reply::{Audience, Reply, redirect};
use crate::http::request::{Parsed, Request};
use crate::oidc::attempt::Attempt;
use crate::oidc::cause::{ReportedError, describe_issuer, describe_tenant};
use crate::oidc::metadata::{Metadata, is_issuer};
use crate::oidc::token::CodeGrant;
use crate::oidc::token_flow::{TokenFlow, VerifiedTokens};
use crate::refusal::{Refusal, SignInProblem, TokenProblem};
use crate::session::Session;
use crate::session::replay::consume_once;

/// The longest form of a provider: the code, the state, and the user's name that Apple sends.
const MAX_FORM: usize = 16 * 1024;
/// The longest code that is sent on to the token endpoint.
const MAX_CODE: usize = 4096;

/// The errors by which a provider says that the user or an administrator did not allow the sign-in, or that the user would
/// have to do something first (RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6, and LinkedIn's two). All
/// others are faults of the provider or of the configuration.
const DECLINED: [&str; 7] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "login_required",
    "user_cancelled_authorize",
    "user_cancelled_login",
];

/// The parameters of a callback; each may be there once.
#[derive(Default)]
struct Callback<'a> {
    code: Option<Cow<'a, str>>,
    state: Option<Cow<'a, str>>,
    issuer: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    description: Option<Cow<'a, str>>,
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
                "error_description" => {
                    // It is only logged, so that a second one does no harm.
                    callback.description.get_or_insert(value);
                    continue;
                }
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

    /// Returns the code, if the answer comes from the provider that was asked (RFC 9207) and is no refusal.
    fn code(&self, metadata: &Metadata) -> Result<&str, SignInFailure> {
        let is_from_provider = match &self.issuer {
            Some(issuer) => is_issuer(&metadata.discovered.issuer, issuer),
            None => !metadata.discovered.sends_issuer,
        };
        if !is_from_provider {
            let cause = describe_issuer(&metadata.discovered.issuer, self.issuer.as_deref());
            return Err(SignInFailure::from(SignInProblem::WrongIssuer).with_cause(cause));
        }
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        let code = self
            .code
            .as_deref()
            .filter(|code| !code.is_empty() && code.len() <= MAX_CODE);
        code.ok_or_else(|| SignInProblem::BadCallback.into())
    }

    /// Returns the failure that the provider reports, if it does (RFC 6749 section 4.1.2.1).
    fn failure(&self) -> Option<SignInFailure> {
        let code = self.error.as_deref()?;
        let problem = if DECLINED.contains(&code) {
            SignInProblem::Declined
        } else {
            SignInProblem::ProviderError
        };
        let error = ReportedError {
            code,
            description: self.description.as_deref().unwrap_or_default(),
        };
        let cause = error.describe(&[
            self.state.as_deref().unwrap_or_default(),
            self.code.as_deref().unwrap_or_default(),
        ]);
        Some(SignInFailure::from(problem).with_cause(cause))
    }
}

/// Where a sign-in ends.
#[derive(Clone, Copy)]
pub(crate) struct SignInResult<'a> {
    /// The attempt that it began with.
    pub(crate) attempt: &'a Attempt,
    /// The host that it is for.
    pub(crate) host: &'a str,
    /// The properties of the client on which the reply depends.
    pub(crate) audience: &'a Audience,
}

impl Gate {
    /// Handles the callback of a provider that answers by a form, which comes from a page of the provider's site.
    pub(super) fn answer_form_callback(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if !self.provider.answers_by_form() {
            return self.pages.refuse(request, Refusal::MethodNotAllowed);
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

    /// Handles the callback of a provider that answers by the query.
    pub(super) fn answer_callback(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        self.answer_parameters(request.query(), request, env)
    }

    fn answer_parameters(&self, parameters: &str, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let callback = match Callback::read(parameters) {
            Ok(callback) => callback,
            Err(problem) => {
                let audience = self.pages.audience(request);
                return Step::Reply(refuse_sign_in(&problem.into(), &audience));
            }
        };
        let state = callback.state.as_deref();
        let Some(attempt) = self.attempts.find_by_state(request, state, env.now) else {
            let failure = callback.failure();
            let failure = failure.unwrap_or_else(|| SignInProblem::UnknownAttempt.into());
            return Step::Reply(self.answer_stray_callback(request, &failure, env));
        };
        if self.sessions.authenticate(request, env).session.is_some() {
            return Step::Reply(self.keep_session(request, &attempt));
        }
        if attempt.is_over(env.now) && callback.error.is_none() {
            return self.begin_again(request, &attempt, env);
        }
        self.redeem_code(&callback, attempt, request, env)
    }

    /// Redeems the code of a callback at the provider's token endpoint, once.
    fn redeem_code(
        &self,
        callback: &Callback<'_>,
        attempt: Attempt,
        request: &Parsed<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        // A sign-in may begin on one instance and end on another, which has to learn about the provider first.
        let Some((provider, metadata)) = self.provider.known() else {
            return hold(env.now);
        };
        let audience = self.pages.audience(request);
        let code = match callback.code(&metadata) {
            Ok(code) => code,
            Err(failure) => {
                return Step::Reply(self.sign_in_failed(&attempt, &audience, &failure));
            }
        };
        if !consume_once(attempt.id(), attempt.begun_at(), env) {
            let unknown = SignInProblem::UnknownAttempt.into();
            return Step::Reply(self.answer_stray_callback(request, &unknown, env));
        }
        let grant = CodeGrant {
            attempt: &attempt,
            code,
            redirect_uri: &self.redirect_uri(request),
        };
        let Some((call, flow)) = TokenFlow::redeem(provider.client(&metadata), &grant, env) else {
            let failure = Refusal::Internal.into();
            return Step::Reply(self.sign_in_failed(&attempt, &audience, &failure));
        };
        let host = request.authority.host.to_string();
        let sign_in = SignIn::new(attempt, host, audience, flow);
        Step::Call(call, Waiting::on(Flow::SignIn(Box::new(sign_in))))
    }

    /// Redirects to where an attempt was to end, in a browser that has a session by now, for instance from another tab.
    ///
    /// The session is not replaced, so that no open stream ends, and the code expires unused.
    pub(super) fn keep_session(&self, request: &Parsed<'_>, attempt: &Attempt) -> Reply {
        let present = self.sessions.vault.read(request);
        let event = "sign-in not needed: there is a session already".to_owned();
        let reply = redirect(return_address(attempt, &present), event);
        reply.with_cookies(self.attempts.forget(attempt, &present))
    }

    /// Answers a callback that belongs to no open attempt of this browser: a bookmark, the back button, a repeat, or an
    /// attack. An existing session is left as it is.
    pub(super) fn answer_stray_callback(
        &self,
        request: &Parsed<'_>,
        failure: &SignInFailure,
        env: &Env<'_>,
    ) -> Reply {
        if self.sessions.authenticate(request, env).session.is_some() {
            redirect("/".to_owned(), "stray callback beside a session".to_owned())
        } else {
            let audience = self.pages.audience(request);
            refuse_sign_in(failure, &audience)
        }
    }

    /// Builds the page of an attempt that ended without an identity; the browser forgets the attempt.
    pub(crate) fn sign_in_failed(
        &self,
        attempt: &Attempt,
        audience: &Audience,
        failure: &SignInFailure,
    ) -> Reply {
        let mut reply = refuse_sign_in(failure, audience);
        reply.add("set-cookie", self.attempts.remove(attempt.id()));
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
            attempt,
            host,
            audience,
        } = *result;
        let Some(source) = self.claim_source() else {
            return self.sign_in_failed(attempt, audience, &Refusal::Internal.into());
        };
        let begun = self.sessions.begin(verified, source, &attempt.nonce(), env);
        let session = match begun {
            Ok(session) => session,
            Err(refusal) => {
                let cause = match refusal {
                    Refusal::SignIn(SignInProblem::Token(problem)) => {
                        self.describe_refused_claims(problem, verified)
                    }
                    _ => String::new(),
                };
                let failure = SignInFailure::from(refusal).with_cause(cause);
                return self.sign_in_failed(attempt, audience, &failure);
            }
        };
        let begun = attempt.begun_at();
        if self
            .sessions
            .was_revoked_during_sign_in(&session, begun, env)
        {
            // Another sign-in finds out whether the user is still signed in with the provider.
            let event = "the provider ended its session during the sign-in".to_owned();
            let again = redirect(attempt.return_to().to_owned(), event);
            return again.with_cookies(vec![self.attempts.remove(attempt.id())]);
        }
        self.remember_provider_session(&session, env);
        // The request is only needed for its cookies: without it, the sign-in ends all the same.
        let request = self.router.read(request).ok();
        let request = request.filter(|request| *request.authority.host == *host);
        let mut reply = self.finish_sign_in(request.as_ref(), result, &session, env);
        if has_malformed_email(verified) {
            reply.event = format!("{} email=malformed", reply.event).into();
        }
        reply
    }

    /// Describes for the log why verified claims make no session; empty when the problem says everything.
    pub(super) fn describe_refused_claims(
        &self,
        problem: TokenProblem,
        verified: &VerifiedTokens,
    ) -> String {
        let claims = verified.claims.as_ref();
        let claims = claims.filter(|_| problem == TokenProblem::Tenant);
        let settings = self.provider.settings();
        claims
            .zip(settings)
            .map_or_else(String::new, |(claims, settings)| {
                describe_tenant(claims, &settings.email_trust)
            })
    }

    /// Puts a session into the browser and redirects to the requested address, with its fragment.
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
        let present = request.map(|request| self.sessions.vault.read(request));
        let present = present.unwrap_or_default();
        let Some(lines) = self.sessions.cookies_for(session, host, &present, env) else {
            let failure = SignInProblem::TooLarge.into();
            return self.sign_in_failed(attempt, audience, &failure);
        };
        let mut reply = redirect(return_address(attempt, &present), "signed in".to_owned())
            .for_account(Some(session.account()))
            .with_cookies(lines)
            .with_cookies(self.attempts.forget(attempt, &present));
        if let Some(line) = self.sign_in_counter.record(request, host, env) {
            reply.add("set-cookie", line);
        }
        reply
    }
}

/// Returns whether the provider states an address that cannot be one, so that the session has none.
fn has_malformed_email(verified: &VerifiedTokens) -> bool {
    let claims = verified.claims.as_ref();
    let email = claims.and_then(|claims| claims.get("email"));
    email
        .and_then(Value::as_str)
        .is_some_and(|email| !email.is_empty() && canonical_email(email).is_none())
}

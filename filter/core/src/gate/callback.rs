//! The provider sends the browser back (OpenID Connect Core 1.0 section 3.1.2.5).

use std::borrow::Cow;

use url::form_urlencoded;

use super::Gate;
use super::sign_in::{hold, redirect_uri};
use crate::cookie;
use crate::env::{Env, Timestamp};
use crate::oidc::attempt::Attempt;
use crate::oidc::claims::{self, Claims};
use crate::oidc::metadata::Metadata;
use crate::oidc::token;
use crate::refusal::{Refusal, SignInProblem};
use crate::reply::{Audience, redirect};
use crate::request::Parsed;
use crate::seal::Purpose;
use crate::session::Session;
use crate::step::{Reply, Step};
use crate::waiting::Waiting;

/// Longest code that is passed on.
const MAX_CODE: usize = 4096;

/// The parameters of a callback; each may stand once.
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

    /// The code, once the answer is known to come from the provider that was asked (RFC 9207) and to be no refusal.
    fn code(&self, metadata: &Metadata) -> Result<&str, SignInProblem> {
        let issuer_fits = match &self.issuer {
            Some(issuer) => **issuer == *metadata.discovered.issuer,
            None => !metadata.discovered.sends_issuer,
        };
        if !issuer_fits {
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

impl Gate {
    pub(super) fn answer_callback(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let audience = Audience::of(request);
        let callback = match Callback::read(request.query()) {
            Ok(callback) => callback,
            Err(problem) => {
                return Step::Reply(self.refuse_sign_in(Refusal::SignIn(problem), &audience));
            }
        };
        let Some(attempt) = self.attempt(request, callback.state.as_deref(), env.now) else {
            let declined = callback.error.is_some();
            let problem = if declined {
                SignInProblem::Declined
            } else {
                SignInProblem::UnknownAttempt
            };
            return Step::Reply(self.answer_stray(request, problem, &audience, env.now));
        };
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
        if !self.used.borrow_mut().insert(attempt.id()) {
            return Step::Reply(self.answer_stray(
                request,
                SignInProblem::UnknownAttempt,
                &audience,
                env.now,
            ));
        }
        let call = token::redeem(
            provider.settings(),
            &metadata.discovered,
            &attempt,
            code,
            &redirect_uri(request),
        );
        let host = request.authority.host.to_string();
        Step::Call(call, Waiting::redeeming(attempt, host, audience))
    }

    /// The attempt that `state` names, when this browser began it and it is not over.
    fn attempt(
        &self,
        request: &Parsed<'_>,
        state: Option<&str>,
        now: Timestamp,
    ) -> Option<Attempt> {
        let sealer = self.sealer.as_ref()?;
        let state = state?;
        let (id, _) = state.split_once('.')?;
        let own = request.own_cookies(&self.cookies);
        let (_, sealed) = own.attempts.iter().find(|(name, _)| *name == id)?;
        let attempt = Attempt::open(sealer, &request.authority.host, id, sealed, now)?;
        (attempt.state() == state).then_some(attempt)
    }

    /// A callback that belongs to no open attempt of this browser: a bookmark, the back button, a repeat, or an attack.
    /// Whoever is signed in stays who they are.
    fn answer_stray(
        &self,
        request: &Parsed<'_>,
        problem: SignInProblem,
        audience: &Audience,
        now: Timestamp,
    ) -> Reply {
        if self.session(request, now).is_some() {
            redirect("/".to_owned(), "stray callback beside a session".to_owned())
        } else {
            self.refuse_sign_in(Refusal::SignIn(problem), audience)
        }
    }

    /// The page of an attempt that ended without an identity; the browser forgets the attempt.
    pub(crate) fn sign_in_failed(
        &self,
        attempt: &Attempt,
        audience: &Audience,
        refusal: Refusal,
    ) -> Reply {
        let mut reply = self.refuse_sign_in(refusal, audience);
        reply.add(
            "set-cookie",
            cookie::clear(&self.cookies.attempt(attempt.id())),
        );
        reply
    }

    /// Begins the session and goes to where the visitor wanted.
    pub(crate) fn signed_in(
        &self,
        attempt: &Attempt,
        host: &str,
        audience: &Audience,
        claims: &Claims,
        env: &mut Env<'_>,
    ) -> Reply {
        match self.begin_session(attempt, host, claims, env) {
            Some(reply) => reply,
            None => self.sign_in_failed(attempt, audience, Refusal::Internal),
        }
    }

    fn begin_session(
        &self,
        attempt: &Attempt,
        host: &str,
        claims: &Claims,
        env: &mut Env<'_>,
    ) -> Option<Reply> {
        let lifetime = self.config.session.lifetime.as_secs();
        let (session, sealed) = self.seal_session(host, claims, env)?;
        let event = format!("signed in account={:?}", session.account());
        let mut reply = redirect(attempt.return_to().to_owned(), event);
        reply.add(
            "set-cookie",
            cookie::set(self.cookies.session(), &sealed, lifetime),
        );
        reply.add(
            "set-cookie",
            cookie::clear(&self.cookies.attempt(attempt.id())),
        );
        Some(reply)
    }

    /// A session that fits into a cookie. Claims that only upstreams would be told give way: somebody with very many
    /// groups gets in all the same, and the upstream is told of those that the policies name.
    fn seal_session(
        &self,
        host: &str,
        claims: &Claims,
        env: &mut Env<'_>,
    ) -> Option<(Session, String)> {
        let verification = self.provider.as_ref()?.settings().email_verification;
        let lifetime = self.config.session.lifetime.as_secs();
        let id = env.token::<16>().ok()?;
        for needs in [&self.needs, &self.policy_needs] {
            let identity = claims::identity(claims, verification, needs)?;
            let session = Session::new(id.clone(), identity, env.now, lifetime)
                .chosen_for(&self.policy_digest);
            let plaintext = serde_json::to_vec(&session).ok()?;
            let sealer = self.sealer.as_ref()?;
            let sealed = sealer.seal(Purpose::Session, host, &plaintext, env).ok()?;
            if cookie::fits(self.cookies.session(), &sealed) {
                return Some((session, sealed));
            }
        }
        None
    }
}

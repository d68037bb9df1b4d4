//! Begins a sign-in (OpenID Connect Core 1.0 section 3.1.2.1).

use crate::contract::{CALLBACK_PATH, SIGN_IN_HOST_CALLBACK};
use crate::env::{Env, NoRandomness};
use crate::explain::ExplainedDecision;
use crate::gate::Gate;
use crate::gate::attempts::kept_fragment;
use crate::gate::pages::{refusal_event, refuse_sign_in};
use crate::gate::step::Step;
use crate::http::reply::{
    Audience, Extras, Reply, SIGN_IN_BEGUN, challenge, leave, redirect, refuse,
};
use crate::http::request::Parsed;
use crate::oidc::attempt::Attempt;
use crate::oidc::authorization_url;
use crate::refusal::{Refusal, SignInProblem};
use crate::time::Timestamp;

/// Where users sign in.
pub(super) const SIGN_IN: &str = "/.pomerium/sign_in";

/// Where users sign in with another account than that of the provider's session.
pub(super) const SIGN_IN_AGAIN: &str = "/.pomerium/sign_in?account=other";
/// The parameter of [`SIGN_IN_AGAIN`], and its value.
const ACCOUNT: &str = "account";
const OTHER: &str = "other";

/// The sentence for a user whose form came without a session.
const FORM_NOT_SENT: &str = "Your form was not sent to the application. Sign in, then go back to the form and send it again.";

/// How long a request waits for the provider's metadata, in seconds. A user waits about so long before reloading.
const HOLD: u64 = 10;

impl Gate {
    /// Redirects a browser to a sign-in, and answers any other client that it is not signed in. A form is not kept for
    /// after the sign-in: a page says so.
    pub(super) fn sign_in(&self, request: &Parsed<'_>, return_to: &str, env: &mut Env<'_>) -> Step {
        self.sign_in_by(request, &|env| Attempt::begin(return_to, env), env)
    }

    /// Signs in as [`Gate::sign_in`] does; the provider asks for an account, although it may still have a session.
    pub(super) fn sign_in_with_other_account(
        &self,
        request: &Parsed<'_>,
        return_to: &str,
        env: &mut Env<'_>,
    ) -> Step {
        let begin = |env: &mut Env<'_>| Ok(Attempt::begin(return_to, env)?.for_other_account());
        self.sign_in_by(request, &begin, env)
    }

    fn sign_in_by(
        &self,
        request: &Parsed<'_>,
        begin: &dyn Fn(&mut Env<'_>) -> Result<Attempt, NoRandomness>,
        env: &mut Env<'_>,
    ) -> Step {
        if request.is_form_submission() {
            return Step::Reply(refuse_form(&self.pages.audience(request)));
        }
        if !request.is_navigation() {
            return Step::Reply(challenge(request, &self.pages.audience(request)));
        }
        self.begin_attempt(request, begin, "", env)
    }

    /// Begins an expired sign-in again, to the address that was requested; at most once.
    pub(super) fn begin_again(
        &self,
        request: &Parsed<'_>,
        expired: &Attempt,
        env: &mut Env<'_>,
    ) -> Step {
        let present = self.sessions.vault.read(request);
        let forgotten = self.attempts.forget(expired, &present);
        if expired.is_second() {
            let page = self.refuse_unknown_attempt(request);
            return Step::Reply(page.with_cookies(forgotten));
        }
        let fragment = kept_fragment(expired, &present)
            .map(|fragment| format!("#{fragment}"))
            .unwrap_or_default();
        match self.begin_attempt(request, &|env| expired.again(env), &fragment, env) {
            Step::Reply(reply) => Step::Reply(reply.with_cookies(forgotten)),
            other => other,
        }
    }

    /// Redirects a browser to a sign-in, by the attempt that `begin` makes. `fragment` is empty, or what the browser takes
    /// along to the page that keeps it, with its `#`.
    fn begin_attempt(
        &self,
        request: &Parsed<'_>,
        begin: &dyn Fn(&mut Env<'_>) -> Result<Attempt, NoRandomness>,
        fragment: &str,
        env: &mut Env<'_>,
    ) -> Step {
        if let Some(page) = self.break_login_loop(request, env) {
            return Step::Reply(page);
        }
        // When no sign-in is possible now, the user learns that at the address that they requested.
        if !self.router.signs_in_elsewhere(request) && self.provider.known().is_none() {
            return hold(env.now);
        }
        let Ok(attempt) = begin(env) else {
            return self.pages.refuse(request, Refusal::Internal);
        };
        let kept = self.attempts.keep(&attempt, &request.authority.host, env);
        let Some(cookie) = kept else {
            return self.pages.refuse(request, Refusal::Internal);
        };
        // A browser carries the fragment of its address along with redirects, and a page of ours can keep it. Any other
        // client would not run that page.
        let location = if request.client.is_browser() && !self.router.is_sign_in_host(request) {
            format!("{SIGN_IN}?attempt={}{fragment}", attempt.id())
        } else {
            match self.sign_in_url(request, &attempt, env) {
                Ok(location) => location,
                Err(step) => return *step,
            }
        };
        let event = format!("{SIGN_IN_BEGUN} attempt={}", attempt.id());
        let mut reply = redirect(location, event);
        reply.decision = ExplainedDecision::Login;
        for id in self.attempts.surplus(request, env.now) {
            reply.add("set-cookie", self.attempts.remove(&id));
        }
        reply.add("set-cookie", cookie);
        Step::Reply(reply)
    }

    /// Answers the proxy's own sign-in address, by its parameter.
    pub(super) fn answer_sign_in(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if let Some(id) = request.parameter("attempt") {
            return self.leave_for_sign_in(request, &id, env);
        }
        if let Some(sealed) = request.parameter("request") {
            return self.begin_cross_host_sign_in(request, &sealed, env);
        }
        if let Some(sealed) = request.parameter("api_client") {
            return self.sign_in_for_api_client(request, &sealed, env);
        }
        let authentication = self.sessions.authenticate(request, env);
        if authentication.session.is_some() {
            // Any page can send a browser here. Only a sign-out ends a session.
            let event = "sign-in not needed: there is a session already".to_owned();
            let cookies = self.sessions.cookies_after(request, &authentication, env);
            return Step::Reply(redirect("/".to_owned(), event).with_cookies(cookies));
        }
        if request
            .parameter(ACCOUNT)
            .is_some_and(|value| value == OTHER)
        {
            return self.sign_in_with_other_account(request, "/", env);
        }
        self.sign_in(request, "/", env)
    }

    /// Builds the page between an address of the proxy and the provider, which keeps the address's fragment.
    fn leave_for_sign_in(&self, request: &Parsed<'_>, id: &str, env: &mut Env<'_>) -> Step {
        let Some(attempt) = self.attempts.find(request, id, env.now) else {
            // The cookie that was set a moment ago is missing: the provider need not be asked to find that out.
            return Step::Reply(self.refuse_unknown_attempt(request));
        };
        if self.sessions.authenticate(request, env).session.is_some() {
            return Step::Reply(self.keep_session(request, &attempt));
        }
        if attempt.is_over(env.now) {
            return self.begin_again(request, &attempt, env);
        }
        match self.sign_in_url(request, &attempt, env) {
            Ok(location) => {
                let cookie = self.sessions.vault.names.fragment(attempt.id());
                Step::Reply(leave(&location, &cookie, self.pages.theme()))
            }
            Err(step) => *step,
        }
    }

    fn refuse_unknown_attempt(&self, request: &Parsed<'_>) -> Reply {
        let failure = SignInProblem::UnknownAttempt.into();
        refuse_sign_in(&failure, &self.pages.audience(request))
    }

    /// Returns where an attempt continues: at the sign-in host, or at the provider.
    ///
    /// # Errors
    /// A step that waits for the provider's metadata.
    fn sign_in_url(
        &self,
        request: &Parsed<'_>,
        attempt: &Attempt,
        env: &mut Env<'_>,
    ) -> Result<String, Box<Step>> {
        if let Some(address) = self.cross_host_url(request, attempt, env) {
            return Ok(address);
        }
        let Some((provider, metadata)) = self.provider.known() else {
            return Err(Box::new(hold(env.now)));
        };
        let address = authorization_url(
            provider.settings(),
            &metadata.discovered,
            attempt,
            &self.redirect_uri(request),
        );
        Ok(address.into())
    }

    /// Returns the address to which the provider sends the browser back: this host, by the port that the browser used.
    pub(super) fn redirect_uri(&self, request: &Parsed<'_>) -> String {
        let path = if self.router.is_sign_in_host(request) {
            SIGN_IN_HOST_CALLBACK
        } else {
            CALLBACK_PATH
        };
        format!("{}{path}", request.authority.origin())
    }

    /// Returns the callback address for this host that is registered with the provider.
    pub(super) fn registered_callback(&self, request: &Parsed<'_>) -> String {
        match self.router.sign_in_host() {
            Some(sign_in) => format!("{}{SIGN_IN_HOST_CALLBACK}", sign_in.origin),
            None => self.redirect_uri(request),
        }
    }
}

/// Builds the page for a user whose form came without a session.
fn refuse_form(audience: &Audience) -> Reply {
    let extras = Extras {
        link: Some((SIGN_IN, "Sign in")),
        note: Some(FORM_NOT_SENT),
        ..Extras::default()
    };
    let refusal = Refusal::Unauthenticated;
    refuse(refusal, extras, audience, refusal_event(refusal))
}

/// Waits for the provider's metadata, for a bounded time.
pub(super) fn hold(now: Timestamp) -> Step {
    Step::Hold {
        until: now.plus(HOLD),
    }
}

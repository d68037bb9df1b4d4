//! Beginning a sign-in (OpenID Connect Core 1.0 section 3.1.2.1).

use super::Gate;
use super::callback::kept_fragment;
use crate::contract::{CALLBACK_PATH, SIGN_IN_HOST_CALLBACK};
use crate::env::{Env, NoRandomness};
use crate::gate::step::Step;
use crate::http::cookie;
use crate::http::reply::{SIGN_IN_BEGUN, challenge, redirect};
use crate::http::request::Parsed;
use crate::limits::{ATTEMPT_KEPT, MAX_ATTEMPTS};
use crate::oidc::attempt::Attempt;
use crate::oidc::authorization_url;
use crate::refusal::{Refusal, SignInProblem};
use crate::session::seal::Sealer;
use crate::time::Timestamp;

/// Where somebody signs in.
pub(super) const SIGN_IN: &str = "/.pomerium/sign_in";

/// How long a request waits for the provider's metadata, in seconds. A person waits about so long before reloading.
const HOLD: u64 = 10;

impl Gate {
    /// Sends a person to sign in, tells anything else that nobody is signed in.
    pub(super) fn sign_in(&self, request: &Parsed<'_>, return_to: &str, env: &mut Env<'_>) -> Step {
        if !request.is_navigation() {
            return Step::Reply(challenge(request, &self.audience(request)));
        }
        self.depart(request, &|env| Attempt::begin(return_to, env), "", env)
    }

    /// Begins a sign-in again that took too long, to the address that was asked for; at most once.
    pub(super) fn begin_again(
        &self,
        request: &Parsed<'_>,
        over: &Attempt,
        env: &mut Env<'_>,
    ) -> Step {
        let present = request.own_cookies(&self.cookies);
        if over.is_second() {
            let problem = Refusal::SignIn(SignInProblem::UnknownAttempt);
            let page = self.refuse_sign_in(problem, None, &self.audience(request));
            return Step::Reply(page.with_cookies(self.forget_attempt(over, &present)));
        }
        let fragment = kept_fragment(over, &present)
            .map(|fragment| format!("#{fragment}"))
            .unwrap_or_default();
        match self.depart(request, &|env| over.again(env), &fragment, env) {
            Step::Reply(reply) => {
                Step::Reply(reply.with_cookies(self.forget_attempt(over, &present)))
            }
            other => other,
        }
    }

    /// Sends a person to sign in, by an attempt that `begin` makes. `fragment` is what the browser takes along to the page
    /// of ours that keeps it: nothing, or with its `#`.
    fn depart(
        &self,
        request: &Parsed<'_>,
        begin: &dyn Fn(&mut Env<'_>) -> Result<Attempt, NoRandomness>,
        fragment: &str,
        env: &mut Env<'_>,
    ) -> Step {
        if let Some(page) = self.break_login_loop(request, env) {
            return Step::Reply(page);
        }
        // Who cannot sign in now is told so at the address that they asked for.
        if !self.signs_in_elsewhere(request) && self.known_provider().is_none() {
            return hold(env.now);
        }
        let Some(sealer) = &self.sealer else {
            return self.refuse(request, Refusal::Internal);
        };
        let begun = begin(env)
            .and_then(|attempt| Ok((attempt.seal(sealer, &request.authority.host, env)?, attempt)));
        let Ok((sealed, attempt)) = begun else {
            return self.refuse(request, Refusal::Internal);
        };
        // A browser carries the fragment of the address that it asked for along with redirects, and a page of ours can
        // keep it; a program would not run that page.
        let location = if request.client.is_browser() && !self.is_sign_in_host(request) {
            format!("{SIGN_IN}?attempt={}{fragment}", attempt.id())
        } else {
            match self.sign_in_url(request, &attempt, env) {
                Ok(location) => location,
                Err(step) => return *step,
            }
        };
        let mut reply = redirect(
            location,
            format!("{SIGN_IN_BEGUN} attempt={}", attempt.id()),
        );
        for id in self.surplus_attempts(request, sealer, env.now) {
            reply.add("set-cookie", cookie::clear(&self.cookies.attempt(&id)));
        }
        let name = self.cookies.attempt(attempt.id());
        let set = if self.answers_by_form() {
            cookie::set_cross_site
        } else {
            cookie::set
        };
        reply.add("set-cookie", set(&name, &sealed, ATTEMPT_KEPT));
        Step::Reply(reply)
    }

    /// Our own sign-in address, with what it is asked for.
    pub(super) fn answer_sign_in(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if let Some(id) = request.parameter("attempt") {
            return self.leave_for_sign_in(request, &id, env);
        }
        if let Some(cross_host_request) = request.parameter("request") {
            return self.begin_cross_host_sign_in(request, &cross_host_request, env);
        }
        if let Some(program) = request.parameter("program") {
            return self.sign_in_for_program(request, &program, env);
        }
        let visit = self.visit(request, env);
        if visit.session.is_some() {
            // Any page can send a browser here. Only a sign-out ends a session.
            let event = "sign-in not needed: there is a session already".to_owned();
            let cookies = self.visit_cookies(request, &visit, env);
            return Step::Reply(redirect("/".to_owned(), event).with_cookies(cookies));
        }
        self.sign_in(request, "/", env)
    }

    /// The page between an address of ours and the provider, which keeps the address's fragment.
    fn leave_for_sign_in(&self, request: &Parsed<'_>, id: &str, env: &mut Env<'_>) -> Step {
        let Some(attempt) = self.attempt_named(request, id, env.now) else {
            // The cookie that was set a moment ago is not here: the provider need not be asked to find that out.
            let problem = Refusal::SignIn(SignInProblem::UnknownAttempt);
            return Step::Reply(self.refuse_sign_in(problem, None, &self.audience(request)));
        };
        if self.visit(request, env).session.is_some() {
            return Step::Reply(self.keep_session(request, &attempt));
        }
        if attempt.is_over(env.now) {
            return self.begin_again(request, &attempt, env);
        }
        match self.sign_in_url(request, &attempt, env) {
            Ok(location) => Step::Reply(crate::http::reply::leave(
                &location,
                &self.cookies.fragment(attempt.id()),
                &self.look,
            )),
            Err(step) => *step,
        }
    }

    /// Where an attempt goes on: to the sign-in host, or to the provider.
    fn sign_in_url(
        &self,
        request: &Parsed<'_>,
        attempt: &Attempt,
        env: &mut Env<'_>,
    ) -> Result<String, Box<Step>> {
        if let Some(address) = self.cross_host_url(request, attempt, env) {
            return Ok(address);
        }
        let Some((provider, metadata)) = self.known_provider() else {
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

    fn answers_by_form(&self) -> bool {
        let provider = self.provider.as_ref();
        provider.is_some_and(|provider| provider.settings().form_post)
    }

    /// Attempts to forget: those that are not ours or long over, and the oldest when one more would be too many.
    fn surplus_attempts(
        &self,
        request: &Parsed<'_>,
        sealer: &Sealer,
        now: Timestamp,
    ) -> Vec<String> {
        let host = &request.authority.host;
        let (mut kept, mut surplus) = (Vec::new(), Vec::new());
        for (id, sealed) in request.own_cookies(&self.cookies).attempts {
            match Attempt::open(sealer, host, id, sealed, now) {
                Some(attempt) => kept.push(attempt),
                None if is_attempt_name(id) => surplus.push(id.to_owned()),
                // A name that we never give is not repeated in an answer.
                None => {}
            }
        }
        kept.sort_by_key(|attempt| std::cmp::Reverse(attempt.begun_at()));
        surplus.extend(
            kept.iter()
                .skip(MAX_ATTEMPTS - 1)
                .map(|attempt| attempt.id().to_owned()),
        );
        surplus
    }

    /// Where the provider sends the browser back to: this host, by the port that the browser used.
    pub(super) fn redirect_uri(&self, request: &Parsed<'_>) -> String {
        let path = if self.is_sign_in_host(request) {
            SIGN_IN_HOST_CALLBACK
        } else {
            CALLBACK_PATH
        };
        format!("{}{path}", request.authority.origin())
    }
}

/// Waits for the provider's metadata, for a bounded time.
pub(super) fn hold(now: Timestamp) -> Step {
    Step::Hold {
        until: now.plus(HOLD),
    }
}

fn is_attempt_name(id: &str) -> bool {
    id.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

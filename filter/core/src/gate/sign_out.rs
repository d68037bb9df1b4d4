//! Signing out: here, in every copy of the cookie, and at the provider (OpenID Connect RP-Initiated Logout 1.0).

use std::borrow::Cow;
use std::rc::Rc;

use url::{Url, form_urlencoded};

use super::Gate;
use super::sign_in::hold;
use crate::config::Origin;
use crate::env::Env;
use crate::gate::step::Step;
use crate::gate::waiting::{Flow, SignOut, Waiting};
use crate::http::cookie;
use crate::http::reply::{Extras, Reply, redirect, render_page};
use crate::http::request::Parsed;
use crate::oidc::call::ProviderCall;
use crate::oidc::token;
use crate::refusal::Refusal;
use crate::session::Session;

/// Where somebody signs out.
pub(super) const SIGN_OUT: &str = "/.pomerium/sign_out";
/// Where the provider sends the browser after the sign-out, registered there as a post-logout redirect URI.
pub(super) use crate::contract::SIGNED_OUT_PATH as SIGNED_OUT;

/// How long the provider may ask whether somebody means it, in seconds.
const STATE_LIFETIME: u64 = 600;

/// What the address says with which the provider sends a browser back from a sign-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    None,
    /// That it is the sign-out which began in this browser.
    Own,
    /// Something else.
    Foreign,
}

impl Gate {
    /// A link cannot sign anybody out: it only leads to this question.
    pub(super) fn confirm_sign_out(&self, request: &Parsed<'_>) -> Reply {
        let target = self.sign_out_targets();
        let extras = Extras {
            sign_out: true,
            form_target: target.as_deref(),
            ..Extras::default()
        };
        render_page(
            "Sign out?",
            "You can sign in again at any time.",
            extras,
            &self.audience(request),
        )
    }

    /// Ends the session in this browser and wherever else its cookie may be, gives the refresh token back, and sends the
    /// browser on to the provider's own sign-out.
    pub(super) fn sign_out(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if !is_from_here(request) {
            return self.refuse(request, Refusal::ForeignOrigin);
        }
        self.end_sessions(request, env)
    }

    /// Signs out of one session, which another host of this deployment has asked for in this browser.
    pub(super) fn sign_out_of(&self, request: &Parsed<'_>, name: &str, env: &mut Env<'_>) -> Step {
        let is_here = |session: &Rc<Session>| session.id == name;
        if self.opened_sessions(request, env).iter().any(is_here) {
            self.end_sessions(request, env)
        } else {
            let target = format!("{}{SIGNED_OUT}", request.authority.origin());
            Step::Reply(redirect(target, "signed out elsewhere".to_owned()))
        }
    }

    fn end_sessions(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let sessions = self.opened_sessions(request, env);
        let mut all_ended = true;
        for session in &sessions {
            all_ended &= self.revoke_session(session, env).is_ok();
        }
        // Otherwise the provider would sign the person in again with the next click.
        if self.provider.is_some() && self.known_provider().is_none() {
            return hold(env.now);
        }
        let session = sessions
            .first()
            .map(|session| self.newest_form(session, env));
        let session = session.as_deref();
        let mut event = match session {
            Some(session) => format!("signed out account={:?}", session.account()),
            None => "signed out without a session".to_owned(),
        };
        if !all_ended {
            event.push_str(", but copies of the cookie live on: the shared data is full");
        }
        let reply = self.sign_out_reply(request, session, event, env);
        match session.and_then(|session| self.revoke_refresh_token(session, env)) {
            Some(call) => Step::Call(call, Waiting::on(Flow::SignOut(SignOut::new(reply)))),
            None => Step::Reply(reply),
        }
    }

    /// The answer to a sign-out that waited for the provider in vain; the session was ended when it began to wait.
    pub(super) fn sign_out_alone(&self, request: &Parsed<'_>) -> Option<Reply> {
        let is_sign_out = request.path() == SIGN_OUT && request.method == "POST";
        if !is_sign_out || !is_from_here(request) {
            return None;
        }
        let mut reply = render_page(
            "You are signed out here",
            "The identity provider does not answer: whoever uses this browser may still be signed in there.",
            Extras::default(),
            &self.audience(request),
        );
        reply.event = "signed out, but the provider could not be reached".into();
        let own = request.own_cookies(&self.cookies);
        Some(reply.with_cookies(self.cookies.clear_session(&own)))
    }

    /// Where the provider's sign-out leads back to: the page that says so.
    pub(super) fn signed_out(&self, request: &Parsed<'_>, env: &Env<'_>) -> Reply {
        let audience = self.audience(request);
        if let Some(session) = self.visit(request, env).session {
            // Whoever leads somebody here by a link has signed nobody out.
            let target = self.sign_out_targets();
            let extras = Extras {
                account: Some(session.account()),
                sign_out: true,
                form_target: target.as_deref(),
                ..Extras::default()
            };
            return render_page(
                "You are still signed in",
                "This address only tells how a sign-out ended. Nothing was done.",
                extras,
                &audience,
            );
        }
        let extras = Extras {
            link: Some(("/", "Sign in again")),
            ..Extras::default()
        };
        let state = self.state(request);
        if state == State::Foreign {
            let mut reply = render_page(
                "Nobody is signed in",
                "This address belongs to a sign-out that did not begin in this browser, or that is long over.",
                extras,
                &audience,
            );
            reply.event = "a sign-out came back with a foreign state".into();
            return reply;
        }
        let text = "Close the browser on a shared computer.";
        let mut reply = render_page("You are signed out", text, extras, &audience);
        if state == State::Own {
            reply.add("set-cookie", cookie::clear(self.cookies.sign_out()));
        }
        reply
    }

    /// For the pages' Content-Security-Policy: where a sign-out may lead.
    pub(super) fn sign_out_targets(&self) -> Option<String> {
        let provider = self.known_provider().and_then(|(provider, metadata)| {
            let sign_out = metadata.discovered.sign_out(provider.settings().kind)?;
            Origin::of(&sign_out.address)
        });
        let own = self.config.session.signed_out_url.as_ref();
        let sign_in = self.config.session.sign_in_host.as_ref();
        let sign_in = sign_in.and_then(|host| Url::parse(&host.origin).ok());
        let targets: Vec<String> = provider
            .into_iter()
            .chain(sign_in.as_ref().and_then(Origin::of))
            .chain(own.and_then(Origin::of))
            .map(|origin| origin.to_string())
            .collect();
        (!targets.is_empty()).then(|| targets.join(" "))
    }

    /// The sessions in a request's cookies, whether they are in force or not: a copy may be, elsewhere.
    fn opened_sessions(&self, request: &Parsed<'_>, env: &Env<'_>) -> Vec<Rc<Session>> {
        let Some(sealer) = &self.sealer else {
            return Vec::new();
        };
        let host = &request.authority.host;
        let own = request.own_cookies(&self.cookies);
        own.sessions()
            .filter_map(|sealed| self.sessions.open(sealer, host, &sealed, env.now))
            .map(|opened| opened.session)
            .collect()
    }

    /// The session as its last refresh left it, with the refresh token that is good.
    fn newest_form(&self, session: &Rc<Session>, env: &Env<'_>) -> Rc<Session> {
        let standing = self.refresh_state(session, env);
        let newest = standing.and_then(|standing| standing.newest.clone());
        newest
            .filter(|newest| newest.generation() > session.generation())
            .unwrap_or_else(|| Rc::clone(session))
    }

    /// Clears the cookies and sends the browser on.
    fn sign_out_reply(
        &self,
        request: &Parsed<'_>,
        session: Option<&Session>,
        event: String,
        env: &mut Env<'_>,
    ) -> Reply {
        let own = request.own_cookies(&self.cookies);
        let cookies = self.cookies.clear_session(&own);
        if let Some(address) = self.sign_out_address(request, session, env) {
            return redirect(address, event).with_cookies(cookies);
        }
        let elsewhere = self.config.session.signed_out_url.as_ref();
        let home = match elsewhere {
            Some(address) => address.to_string(),
            None => format!("{}{SIGNED_OUT}", request.authority.origin()),
        };
        // The state is for our own page. Without randomness that page says a little less.
        let state = env.token::<16>().ok().filter(|_| elsewhere.is_none());
        let Some(address) = self.end_session_address(session, &home, state.as_deref()) else {
            return redirect(home, event).with_cookies(cookies);
        };
        let mut reply = redirect(address, event).with_cookies(cookies);
        if let Some(state) = state {
            let line = cookie::set(self.cookies.sign_out(), &state, STATE_LIFETIME);
            reply.add("set-cookie", line);
        }
        reply
    }

    fn end_session_address(
        &self,
        session: Option<&Session>,
        home: &str,
        state: Option<&str>,
    ) -> Option<String> {
        let (provider, metadata) = self.known_provider()?;
        let sign_out = metadata.discovered.sign_out(provider.settings().kind)?;
        let mut address = sign_out.address;
        let hint = session.and_then(|session| session.id_token.as_deref());
        let mut query = address.query_pairs_mut();
        if let Some(hint) = hint.filter(|_| sign_out.is_standard) {
            query.append_pair("id_token_hint", hint);
        }
        query
            .append_pair("client_id", &provider.settings().client_id)
            .append_pair(sign_out.return_parameter, home);
        if let Some(state) = state.filter(|_| sign_out.is_standard) {
            query.append_pair("state", state);
        }
        drop(query);
        Some(address.into())
    }

    /// The call that makes the session's refresh token useless (RFC 7009), where there are both.
    fn revoke_refresh_token(&self, session: &Session, env: &mut Env<'_>) -> Option<ProviderCall> {
        let refresh_token = session.refresh.as_ref()?.refresh_token.as_deref()?;
        let (provider, metadata) = self.known_provider()?;
        token::revoke(
            provider.settings(),
            &metadata.discovered,
            refresh_token,
            env,
        )
    }

    /// Whether `state` in the query is that of this browser's sign-out.
    fn state(&self, request: &Parsed<'_>) -> State {
        let parameters = form_urlencoded::parse(request.query().as_bytes());
        let mut states = parameters.filter(|(name, _)| name == "state");
        let stated: Option<Cow<'_, str>> = states.next().map(|(_, value)| value);
        let own = request.own_cookies(&self.cookies).sign_out;
        match (stated, own) {
            (None, _) => State::None,
            (Some(stated), Some(own)) if stated.as_bytes() == own && states.next().is_none() => {
                State::Own
            }
            _ => State::Foreign,
        }
    }
}

/// Browsers tell where a form came from, in `Origin` and `Sec-Fetch-Site`; whoever tells neither is refused.
pub(super) fn is_from_here(request: &Parsed<'_>) -> bool {
    match request.origin {
        // A page with `Referrer-Policy: no-referrer`, as ours are, sends `null` and leaves it to `Sec-Fetch-Site`.
        Some(origin) if origin != b"null" => origin == request.authority.origin().as_bytes(),
        _ => request.client.is_same_site() == Some(true),
    }
}

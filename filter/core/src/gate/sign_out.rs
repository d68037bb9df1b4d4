//! Signs users out: in every copy of the cookie, and with the provider (OpenID Connect RP-Initiated Logout 1.0).

use std::borrow::Cow;
use std::rc::Rc;

use url::{Url, form_urlencoded};

use crate::config::Origin;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::endpoints::SESSION_PAGE;
use crate::gate::sign_in::{SIGN_IN_AGAIN, hold};
use crate::gate::step::Step;
use crate::gate::waiting::{Flow, SignOut, Waiting};
use crate::http::cookie;
use crate::http::reply::{Extras, Reply, SIGN_OUT_BUTTON, redirect, render_page};
use crate::http::request::Parsed;
use crate::oidc::call::ProviderCall;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::revocation::revoke_session;

/// Where users sign out.
pub(super) const SIGN_OUT: &str = "/.pomerium/sign_out";
/// Where the provider sends the browser after the sign-out, registered there as a post-logout redirect URI.
pub(super) use crate::contract::SIGNED_OUT_PATH as SIGNED_OUT;

/// How long the provider may take to ask the user for confirmation, in seconds.
const STATE_LIFETIME: u64 = 600;

/// The meaning of `state` in the address by which the provider sends a browser back from a sign-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReturnState {
    /// There is none.
    Missing,
    /// It is the state of the sign-out that began in this browser.
    Own,
    /// It is another one.
    Foreign,
}

impl Gate {
    /// Asks whether the user wants to sign out. A link signs out of nothing; it only leads to this question.
    /// Without a session the question is the same: the provider may still have one.
    pub(super) fn confirm_sign_out(&self, request: &Parsed<'_>, env: &Env<'_>) -> Reply {
        let authentication = self.sessions.authenticate(request, env);
        let session = authentication.session.as_deref();
        let target = self.sign_out_targets();
        let back = match session {
            Some(_) => "Stay signed in",
            None => "Back",
        };
        let extras = Extras {
            account: session.map(Session::account),
            sign_out: Some(SIGN_OUT_BUTTON),
            form_target: target.as_deref(),
            link: Some((self.first_path(request), back)),
            ..Extras::default()
        };
        let text = format!(
            "This ends your session for {} and for every tab that is open there. You can sign in again at any time.",
            request.authority
        );
        render_page("Sign out?", &text, extras, &self.pages.audience(request))
    }

    /// Returns the path of the first application on this host, or of the page about the session.
    fn first_path<'g>(&'g self, request: &'g Parsed<'_>) -> &'g str {
        let first = self.router.routes_of_host(request).next();
        first.map_or(SESSION_PAGE, |(_, path)| path)
    }

    /// Ends the session in this browser and wherever else its cookie may be, revokes the refresh token, and redirects the
    /// browser to the provider's own sign-out.
    pub(super) fn sign_out(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if !is_same_site(request) {
            return self.pages.refuse(request, Refusal::ForeignOrigin);
        }
        self.end_sessions(request, env)
    }

    /// Signs out of one session, as another host of this deployment has requested by way of this browser.
    pub(super) fn sign_out_session(
        &self,
        request: &Parsed<'_>,
        id: &str,
        env: &mut Env<'_>,
    ) -> Step {
        let is_here = |session: &Rc<Session>| session.id == id;
        if self.sessions.opened(request, env).iter().any(is_here) {
            self.end_sessions(request, env)
        } else {
            let target = format!("{}{SIGNED_OUT}", request.authority.origin());
            Step::Reply(redirect(target, "signed out elsewhere".to_owned()))
        }
    }

    fn end_sessions(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let sessions = self.sessions.opened(request, env);
        let mut all_ended = true;
        for session in &sessions {
            all_ended &= revoke_session(session, env).is_ok();
        }
        // Otherwise the provider would sign the user in again with the next click.
        if self.provider.is_configured() && self.provider.known().is_none() {
            return hold(env.now);
        }
        let session = sessions
            .first()
            .map(|session| self.sessions.newest(session, env));
        let session = session.as_deref();
        let mut event = match session {
            Some(_) => "signed out".to_owned(),
            None => "signed out without a session".to_owned(),
        };
        let account = session.map(Session::account);
        if !all_ended {
            event.push_str(", but copies of the cookie live on: the shared data is full");
        }
        let reply = self.sign_out_reply(request, session, event, env);
        let reply = reply.for_account(account);
        match session.and_then(|session| self.revoke_refresh_token(session, env)) {
            Some(call) => Step::Call(call, Waiting::on(Flow::SignOut(SignOut::new(reply)))),
            None => Step::Reply(reply),
        }
    }

    /// Answers a sign-out that has waited for the provider in vain. The session was ended before the wait.
    pub(super) fn sign_out_without_provider(&self, request: &Parsed<'_>) -> Option<Reply> {
        let is_sign_out = request.path() == SIGN_OUT && request.method == "POST";
        if !is_sign_out || !is_same_site(request) {
            return None;
        }
        let mut reply = render_page(
            "You are signed out here",
            "The identity provider does not answer: you may still be signed in there.",
            Extras::default(),
            &self.pages.audience(request),
        );
        reply.event = "signed out, but the provider could not be reached".into();
        let own = self.sessions.vault.read(request);
        Some(reply.with_cookies(self.sessions.vault.names.clear_session(&own)))
    }

    /// Builds the page to which the provider's sign-out leads back.
    pub(super) fn confirm_signed_out(&self, request: &Parsed<'_>, env: &Env<'_>) -> Reply {
        if let Some(session) = self.sessions.authenticate(request, env).session {
            return self.deny_signed_out(request, &session);
        }
        let audience = self.pages.audience(request);
        // The host of all sign-ins may have no application.
        let has_application = self.router.routes_of_host(request).next().is_some();
        let extras = Extras {
            link: has_application.then_some((SIGN_IN_AGAIN, "Sign in again")),
            ..Extras::default()
        };
        let state = self.return_state(request);
        if state == ReturnState::Foreign {
            let text = "This address belongs to a sign-out that did not begin in this browser, or that is long over.";
            let mut reply = render_page("You are not signed in", text, extras, &audience);
            reply.event = "a sign-out came back with a foreign state".into();
            return reply;
        }
        let text = "Close the browser on a shared computer.";
        let mut reply = render_page("You are signed out", text, extras, &audience);
        if state == ReturnState::Own {
            let cookie = self.sessions.vault.names.sign_out();
            reply.add("set-cookie", cookie::clear(cookie));
        }
        reply
    }

    /// Builds the same page for a user who is signed in: a link to it has not signed the user out.
    fn deny_signed_out(&self, request: &Parsed<'_>, session: &Session) -> Reply {
        let target = self.sign_out_targets();
        let extras = Extras {
            account: Some(session.account()),
            sign_out: Some(SIGN_OUT_BUTTON),
            link: Some((self.first_path(request), "Back")),
            form_target: target.as_deref(),
            ..Extras::default()
        };
        render_page(
            "You are still signed in",
            "This address only tells how a sign-out ended. Nothing was done.",
            extras,
            &self.pages.audience(request),
        )
    }

    /// Returns where a sign-out may lead, for the Content-Security-Policy of pages with a sign-out button.
    pub(super) fn sign_out_targets(&self) -> Option<String> {
        let own = self.signed_out_url.as_ref();
        let sign_in = self.router.sign_in_host();
        let sign_in = sign_in.and_then(|host| Url::parse(&host.origin).ok());
        let targets: Vec<String> = self
            .provider_sign_out_origin()
            .into_iter()
            .chain(sign_in.as_ref().and_then(Origin::of))
            .chain(own.and_then(Origin::of))
            .map(|origin| origin.to_string())
            .collect();
        (!targets.is_empty()).then(|| targets.join(" "))
    }

    /// Returns the origin of the provider's page that ends its session. Another worker may know the provider before this one
    /// does, and answer the form: until then it is the issuer's origin.
    fn provider_sign_out_origin(&self) -> Option<Origin> {
        let Some((provider, metadata)) = self.provider.known() else {
            let issuer = Url::parse(self.provider.issuer()).ok()?;
            return Origin::of(&issuer);
        };
        let sign_out = metadata.discovered.sign_out(provider.settings().kind)?;
        Origin::of(&sign_out.address)
    }

    /// Clears the cookies and redirects the browser.
    fn sign_out_reply(
        &self,
        request: &Parsed<'_>,
        session: Option<&Session>,
        event: String,
        env: &mut Env<'_>,
    ) -> Reply {
        let own = self.sessions.vault.read(request);
        let cookies = self.sessions.vault.names.clear_session(&own);
        if let Some(address) = self.cross_host_sign_out_url(request, session, env) {
            return redirect(address, event).with_cookies(cookies);
        }
        let elsewhere = self.signed_out_url.as_ref();
        let home = match elsewhere {
            Some(address) => address.to_string(),
            None => format!("{}{SIGNED_OUT}", request.authority.origin()),
        };
        // The state is for the proxy's own page. Without randomness that page says a little less.
        let state = env.token::<16>().ok().filter(|_| elsewhere.is_none());
        let Some(address) = self.end_session_url(session, &home, state.as_deref()) else {
            return redirect(home, event).with_cookies(cookies);
        };
        let mut reply = redirect(address, event).with_cookies(cookies);
        if let Some(state) = state {
            let line = cookie::set(self.sessions.vault.names.sign_out(), &state, STATE_LIFETIME);
            reply.add("set-cookie", line);
        }
        reply
    }

    /// Returns the address of the provider's sign-out, when it has one.
    fn end_session_url(
        &self,
        session: Option<&Session>,
        home: &str,
        state: Option<&str>,
    ) -> Option<String> {
        let (provider, metadata) = self.provider.known()?;
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

    /// Builds the call that revokes the session's refresh token (RFC 7009), when the provider offers it and there is one.
    fn revoke_refresh_token(&self, session: &Session, env: &mut Env<'_>) -> Option<ProviderCall> {
        let refresh_token = session.refresh.as_ref()?.refresh_token.as_deref()?;
        let (provider, metadata) = self.provider.known()?;
        provider.client(&metadata).revoke(refresh_token, env)
    }

    /// Compares `state` in the query with that of this browser's sign-out.
    fn return_state(&self, request: &Parsed<'_>) -> ReturnState {
        let parameters = form_urlencoded::parse(request.query().as_bytes());
        let mut states = parameters.filter(|(name, _)| name == "state");
        let stated: Option<Cow<'_, str>> = states.next().map(|(_, value)| value);
        let own = self.sessions.vault.read(request).sign_out;
        match (stated, own) {
            (None, _) => ReturnState::Missing,
            (Some(stated), Some(own)) if stated.as_bytes() == own && states.next().is_none() => {
                ReturnState::Own
            }
            _ => ReturnState::Foreign,
        }
    }
}

/// Returns whether a form was sent by a page of this site. Browsers say so in `Origin` or `Sec-Fetch-Site`; a request with
/// neither does not count.
pub(super) fn is_same_site(request: &Parsed<'_>) -> bool {
    match request.origin {
        // A page with `Referrer-Policy: no-referrer`, as ours are, sends `null` and leaves it to `Sec-Fetch-Site`.
        Some(origin) if origin != b"null" => origin == request.authority.origin().as_bytes(),
        _ => request.client.is_same_site() == Some(true),
    }
}

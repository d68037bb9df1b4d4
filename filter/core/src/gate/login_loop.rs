//! Stops sign-ins that succeed and lead nowhere: a browser that comes back without its session is not redirected forever.

use std::rc::Rc;

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::cookie_vault::CookieVault;
use crate::gate::pages::{SignInFailure, refuse_sign_in};
use crate::gate::sessions::Sessions;
use crate::http::cookie;
use crate::http::reply::Reply;
use crate::http::request::Parsed;
use crate::refusal::SignInProblem;
use crate::session::seal::Purpose;
use crate::time::Timestamp;

/// Sign-ins are counted for so many seconds.
const WINDOW: u64 = 60;
/// After so many sign-ins within [`WINDOW`] the next one is not begun. A user does not sign in three times a minute.
const MOST: usize = 2;

/// Counts the recent sign-ins of a browser in a cookie.
#[derive(Debug)]
pub(super) struct SignInCounter {
    vault: Rc<CookieVault>,
}

impl SignInCounter {
    pub(super) const fn new(vault: Rc<CookieVault>) -> Self {
        Self { vault }
    }

    /// Returns the cookie that records this sign-in beside earlier ones.
    pub(super) fn record(
        &self,
        request: Option<&Parsed<'_>>,
        host: &str,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let mut recent = request
            .map(|request| self.recent(request, env.now))
            .unwrap_or_default();
        recent.push(env.now);
        let first = recent.len().saturating_sub(MOST);
        let kept = recent.get(first..)?;
        let sealed = self.vault.seal(Purpose::LoginCount, host, &kept, env)?;
        Some(cookie::set(self.vault.names.login_loop(), &sealed, WINDOW))
    }

    /// Returns whether this browser has signed in too often within [`WINDOW`].
    fn is_looping(&self, request: &Parsed<'_>, now: Timestamp) -> bool {
        self.recent(request, now).len() >= MOST
    }

    /// Returns when this browser has signed in recently.
    fn recent(&self, request: &Parsed<'_>, now: Timestamp) -> Vec<Timestamp> {
        let own = self.vault.read(request);
        let host = &request.authority.host;
        let sealed = own.login_loop.unwrap_or_default();
        let recent: Option<Vec<Timestamp>> = self.vault.open(Purpose::LoginCount, host, sealed);
        let mut recent = recent.unwrap_or_default();
        recent.retain(|signed_in_at| now.since(*signed_in_at) < WINDOW);
        recent
    }

    /// Returns the `Set-Cookie` value that removes the counter.
    fn reset(&self) -> String {
        cookie::clear(self.vault.names.login_loop())
    }
}

impl Gate {
    /// Returns the page that ends a login loop, when the browser is in one.
    pub(super) fn break_login_loop(&self, request: &Parsed<'_>, env: &Env<'_>) -> Option<Reply> {
        if !self.sign_in_counter.is_looping(request, env.now) {
            return None;
        }
        let cause = probable_cause(&self.sessions, request, env);
        let failure = SignInFailure::from(SignInProblem::Circle).with_note(cause.to_owned());
        let audience = self.pages.audience(request);
        let mut reply = refuse_sign_in(&failure, &audience);
        // The user may try again on purpose.
        reply.add("set-cookie", self.sign_in_counter.reset());
        Some(reply)
    }
}

/// Returns what is probably wrong, judging by what the browser has sent.
fn probable_cause(sessions: &Sessions, request: &Parsed<'_>, env: &Env<'_>) -> &'static str {
    let own = sessions.vault.read(request);
    if !own.has_session() {
        return "The browser has not sent the session's cookie back: it may be blocked, or there was no room for it.";
    }
    let host = &request.authority.host;
    let is_readable = |sealed: &[u8]| {
        let sealer = sessions.vault.sealer();
        sealer.is_some_and(|sealer| sealer.open(Purpose::Session, host, sealed).is_some())
    };
    if !own.sessions().any(|sealed| is_readable(&sealed)) {
        return "This proxy cannot read the session that the browser has sent: several proxies with different secrets may answer under this name.";
    }
    let is_live = |sealed: &[u8]| sessions.open(host, sealed, env.now).is_some();
    if own.sessions().any(|sealed| is_live(&sealed)) {
        "The session was ended right after it began, or it is for other policies: several proxies with different files may answer under this name."
    } else {
        "The session that the browser has sent is over already: a clock may be wrong."
    }
}

//! Sign-ins that succeed and lead nowhere: a browser that comes back without its session is not sent in circles.

use super::Gate;
use crate::env::Env;
use crate::http::cookie;
use crate::http::reply::Reply;
use crate::http::request::Parsed;
use crate::refusal::{Refusal, SignInProblem};
use crate::session::seal::Purpose;
use crate::time::Timestamp;

/// Sign-ins are counted for so many seconds.
const WINDOW: u64 = 60;
/// After so many sign-ins within [`WINDOW`] the next one is not begun. A person does not sign in three times a minute.
const MOST: usize = 2;

impl Gate {
    /// The page that ends a circle, when there is one.
    pub(super) fn break_login_loop(&self, request: &Parsed<'_>, env: &Env<'_>) -> Option<Reply> {
        if self.recent_sign_ins(request, env.now).len() < MOST {
            return None;
        }
        let refusal = Refusal::SignIn(SignInProblem::Circle);
        let cause = self.cause(request, env);
        let mut reply = self.refuse_sign_in(refusal, Some(cause), &self.audience(request));
        // Whoever tries again on purpose may.
        reply.add("set-cookie", cookie::clear(self.cookies.login_loop()));
        Some(reply)
    }

    /// The cookie that remembers this sign-in, beside earlier ones.
    pub(super) fn record_sign_in(
        &self,
        request: Option<&Parsed<'_>>,
        host: &str,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let mut recent_sign_ins = request
            .map(|request| self.recent_sign_ins(request, env.now))
            .unwrap_or_default();
        recent_sign_ins.push(env.now);
        let kept = recent_sign_ins.len().saturating_sub(MOST);
        let plaintext = serde_json::to_vec(recent_sign_ins.get(kept..)?).ok()?;
        let sealer = self.sealer.as_ref()?;
        let sealed = sealer
            .seal(Purpose::LoginCount, host, &plaintext, env)
            .ok()?;
        Some(cookie::set(self.cookies.login_loop(), &sealed, WINDOW))
    }

    /// When this browser has signed in lately.
    fn recent_sign_ins(&self, request: &Parsed<'_>, now: Timestamp) -> Vec<Timestamp> {
        let own = request.own_cookies(&self.cookies);
        let opened = self
            .sealer
            .as_ref()
            .zip(own.login_loop)
            .and_then(|(sealer, sealed)| {
                sealer.open(Purpose::LoginCount, &request.authority.host, sealed)
            });
        let recent_sign_ins: Vec<Timestamp> = opened
            .and_then(|opened| serde_json::from_slice(&opened.plaintext).ok())
            .unwrap_or_default();
        recent_sign_ins
            .into_iter()
            .filter(|landing| now.since(*landing) < WINDOW)
            .collect()
    }

    /// What seems to be wrong, by what the browser has sent.
    fn cause(&self, request: &Parsed<'_>, env: &Env<'_>) -> &'static str {
        let own = request.own_cookies(&self.cookies);
        if !own.has_session() {
            return "The browser has not sent the session's cookie back: it may be blocked, or there was no room for it.";
        }
        let host = &request.authority.host;
        let opens = |sealed: &[u8]| {
            let sealer = self.sealer.as_ref();
            sealer.is_some_and(|sealer| sealer.open(Purpose::Session, host, sealed).is_some())
        };
        if !own.sessions().any(|sealed| opens(&sealed)) {
            return "This proxy cannot read the session that the browser has sent: several proxies with different secrets may answer under this name.";
        }
        let live = |sealed: &[u8]| {
            let sealer = self.sealer.as_ref();
            sealer.is_some_and(|sealer| self.sessions.open(sealer, host, sealed, env.now).is_some())
        };
        if own.sessions().any(|sealed| live(&sealed)) {
            "The session was ended right after it began, or it is for other policies: several proxies with different files may answer under this name."
        } else {
            "The session that the browser has sent is over already: a clock may be wrong."
        }
    }
}

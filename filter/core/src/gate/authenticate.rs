//! Who sends a request: the session in its cookies, and what becomes of those cookies.

use std::rc::Rc;

use super::Gate;
use crate::env::Env;
use crate::http::cookie::{MAX_SESSION_VALUE, OwnCookies};
use crate::http::request::Parsed;
use crate::session::seal::Purpose;
use crate::session::{OpenedSession, Session, activity};

/// A cookie is written anew when this part of the idle time is over: often enough to be true, seldom enough to be cheap.
pub(super) const IDLE_PART: u64 = 10;

/// Who sends a request.
#[derive(Debug, Default)]
pub(super) struct Authentication {
    /// The session, when there is a good one.
    pub(super) session: Option<Rc<Session>>,
    /// What becomes of its cookies.
    pub(super) cookies: Cookies,
    /// Whether it came in a header, from a program: that is never sent anywhere to sign in.
    pub(super) by_header: bool,
}

/// What becomes of the session's cookies with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cookies {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are written anew, because the session or its key is newer than they are.
    Renew,
    /// They are removed: nobody can open them.
    Clear,
}

/// Whether a session is in force.
pub(super) enum SessionStatus {
    /// In this form.
    Yes {
        /// The newest session of this name.
        session: Rc<Session>,
        /// Whether that is another than the one that was asked about.
        is_newer: bool,
    },
    /// It is over.
    No,
}

impl Gate {
    /// Finds out who sends a request.
    pub(super) fn visit(&self, request: &Parsed<'_>, env: &Env<'_>) -> Authentication {
        let Some(sealer) = self.sealer.as_ref() else {
            return Authentication::default();
        };
        let own = request.own_cookies(&self.cookies);
        let host = &request.authority.host;
        let open = |sealed: &[u8]| self.sessions.open(sealer, host, sealed, env.now);
        let opened = own.sessions().find_map(|sealed| open(&sealed));
        match opened {
            Some(opened) => self.judge_session(opened, env),
            None => Authentication {
                session: None,
                cookies: if own.has_session() {
                    Cookies::Clear
                } else {
                    Cookies::Keep
                },
                by_header: false,
            },
        }
    }

    /// Whether a session that could be opened is in force.
    fn judge_session(&self, opened: OpenedSession, env: &Env<'_>) -> Authentication {
        let OpenedSession { session, by_newest } = opened;
        let SessionStatus::Yes { session, is_newer } = self.newest(session, env) else {
            return Authentication {
                session: None,
                cookies: Cookies::Clear,
                by_header: false,
            };
        };
        let Some(silence) = self.silence(&session, env) else {
            return Authentication::default();
        };
        if !session.answers(&self.terms) {
            return Authentication::default();
        }
        let is_unnoted = self.note_use(&session, silence, env);
        if is_newer || !by_newest || is_unnoted {
            Authentication {
                session: Some(Rc::new(session.seen(env.now))),
                cookies: Cookies::Renew,
                by_header: false,
            }
        } else {
            Authentication {
                session: Some(session),
                cookies: Cookies::Keep,
                by_header: false,
            }
        }
    }

    /// Remembers that a session is used now, if there is an idle limit and it is long enough ago that this was remembered.
    /// Says whether it was.
    pub(super) fn note_use(&self, session: &Session, silence: u64, env: &Env<'_>) -> bool {
        self.config.session.idle.is_some_and(|idle| {
            let is_unnoted = silence >= idle.as_secs() / IDLE_PART;
            if is_unnoted {
                activity::note(session.name_of_use(), env.now, idle.as_secs(), env.shared);
            }
            is_unnoted
        })
    }

    /// The newest session of a session's name, unless the name is over.
    pub(super) fn newest(&self, session: Rc<Session>, env: &Env<'_>) -> SessionStatus {
        if self.is_revoked(&session, env) {
            return SessionStatus::No;
        }
        let mut is_newer = false;
        let mut session = session;
        if let Some(standing) = self.refresh_state(&session, env) {
            let generation = session.generation();
            if standing.ended.is_some_and(|last| generation <= last) {
                return SessionStatus::No;
            }
            if let Some(newest) = &standing.newest
                && newest.replaces(&session)
                && newest.is_live(env.now)
            {
                // What it was last used for is the visitor's to say, not the refresh's.
                session = Rc::new(newest.instead_of(&session));
                is_newer = true;
            }
        }
        SessionStatus::Yes { session, is_newer }
    }

    /// For how many seconds nobody has used a session; `None` when that is too long.
    pub(super) fn silence(&self, session: &Session, env: &Env<'_>) -> Option<u64> {
        let silence = env.now.since(session.seen_at());
        let Some(idle) = self.config.session.idle else {
            return Some(silence);
        };
        if silence < idle.as_secs() {
            return Some(silence);
        }
        // The cookie knows nothing of what was typed into a websocket, nor a websocket of requests beside it.
        let used_at = activity::last(session.name_of_use(), env.now, env.shared)?;
        let silence = env.now.since(used_at);
        (silence < idle.as_secs()).then_some(silence)
    }

    /// The `Set-Cookie` values that an answer to this visit carries.
    pub(super) fn visit_cookies(
        &self,
        request: &Parsed<'_>,
        visit: &Authentication,
        env: &mut Env<'_>,
    ) -> Vec<String> {
        match (visit.cookies, &visit.session) {
            (Cookies::Renew, Some(session)) => {
                let own = request.own_cookies(&self.cookies);
                // Without a new cookie the old one serves a while longer.
                self.session_cookies(session, &request.authority.host, &own, env)
                    .unwrap_or_default()
            }
            (Cookies::Clear, _) => {
                let own = request.own_cookies(&self.cookies);
                self.cookies.clear_session(&own)
            }
            (Cookies::Keep | Cookies::Renew, _) => Vec::new(),
        }
    }

    /// `Set-Cookie` values that keep a session on a host, as much of it as fits ([`Gate::shrinking`]). `present` is what
    /// the browser has there. `None` when even the least does not fit.
    pub(super) fn session_cookies(
        &self,
        session: &Session,
        host: &str,
        present: &OwnCookies<'_>,
        env: &mut Env<'_>,
    ) -> Option<Vec<String>> {
        let lifetime = session.expires_at().since(env.now);
        let sealer = self.sealer.as_ref()?;
        self.shrinking(session).find_map(|session| {
            let plaintext = serde_json::to_vec(&session).ok()?;
            if plaintext.len() > MAX_SESSION_VALUE {
                return None;
            }
            let sealed = sealer.seal(Purpose::Session, host, &plaintext, env).ok()?;
            self.cookies.set_session(&sealed, lifetime, present)
        })
    }
}

//! Finds out who sends a request: the session in its cookies, whether it is active, and what becomes of the cookies.

use std::rc::Rc;
use std::time::Duration;

use crate::config::Config;
use crate::env::Env;
use crate::gate::cookie_vault::CookieVault;
use crate::gate::refresh::note_id_token;
use crate::gate::terms::SessionTerms;
use crate::http::cookie::OwnCookies;
use crate::http::request::Parsed;
use crate::oidc::claim_source::ClaimSource;
use crate::oidc::email::TenantSource;
use crate::oidc::logout_token::read_provider_session;
use crate::oidc::token_flow::VerifiedTokens;
use crate::refusal::Refusal;
use crate::session::refresh::Queue;
use crate::session::refresh_state::RefreshCache;
use crate::session::revocation::Revocations;
use crate::session::seal::Purpose;
use crate::session::{OpenedSession, RefreshGrant, Session, SessionReader, activity};
use crate::time::Timestamp;

/// A use is recorded again after this part of the idle limit: often enough to be exact, seldom enough to be cheap.
pub(super) const IDLE_PART: u64 = 10;

/// The sessions of a configuration: how they are read, kept, refreshed and revoked.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) vault: Rc<CookieVault>,
    pub(super) terms: SessionTerms,
    /// The longest life of a session.
    pub(super) lifetime: Duration,
    /// How long a session lasts without a request; `None` for as long as it lives.
    pub(super) idle: Option<Duration>,
    /// The configured issuer, by which the revocations of several providers are kept apart.
    issuer: String,
    reader: SessionReader,
    revocations: Revocations,
    /// The newest known state of refreshed sessions.
    pub(super) refresh_cache: RefreshCache,
    /// Sessions whose refresh waits for the timer.
    pub(super) refreshes: Queue,
}

/// The session of a request, and the changes of its cookies.
#[derive(Debug, Default)]
pub(super) struct Authentication {
    /// The session, when there is a valid one.
    pub(super) session: Option<Rc<Session>>,
    /// The changes of the session's cookies.
    pub(super) cookies: CookieAction,
    /// Whether the session came in a header, from an API client, which is never redirected to a sign-in.
    pub(super) is_by_header: bool,
}

/// The changes of the session's cookies that the response makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CookieAction {
    /// They are left alone.
    #[default]
    Keep,
    /// They are written again, because the session or its key is newer than they are.
    Rewrite,
    /// They are removed, because they hold no valid session.
    Clear,
}

/// Whether a session is active.
pub(super) enum SessionStatus {
    /// It is active, in this form.
    Active {
        /// The newest session of this id.
        session: Rc<Session>,
        /// Whether that is a newer one than the session in question.
        is_newer: bool,
    },
    /// It has ended.
    Ended,
}

impl Authentication {
    /// Returns the authentication by a session in cookies.
    fn by_cookie(session: Rc<Session>, cookies: CookieAction) -> Self {
        Self {
            session: Some(session),
            cookies,
            is_by_header: false,
        }
    }

    /// Returns the authentication of an API client by a header.
    pub(super) fn by_header(session: Rc<Session>) -> Self {
        Self {
            session: Some(session),
            cookies: CookieAction::Keep,
            is_by_header: true,
        }
    }

    /// Returns an unauthenticated request whose cookies are removed or left alone.
    fn none(cookies: CookieAction) -> Self {
        Self {
            cookies,
            ..Self::default()
        }
    }
}

impl Sessions {
    pub(super) fn new(config: &Config, vault: Rc<CookieVault>) -> Self {
        let provider = config.provider.as_ref();
        Self {
            vault,
            terms: SessionTerms::new(config),
            lifetime: config.session.lifetime,
            idle: config.session.idle,
            issuer: provider
                .map(|provider| provider.issuer.clone())
                .unwrap_or_default(),
            reader: SessionReader::default(),
            revocations: Revocations::default(),
            refresh_cache: RefreshCache::default(),
            refreshes: Queue::default(),
        }
    }

    /// Finds out who sends a request, by its cookies.
    pub(super) fn authenticate(&self, request: &Parsed<'_>, env: &Env<'_>) -> Authentication {
        if self.vault.sealer().is_none() {
            return Authentication::default();
        }
        let own = self.vault.read(request);
        let host = &request.authority.host;
        let opened = own
            .sessions()
            .find_map(|sealed| self.open(host, &sealed, env.now));
        match opened {
            Some(opened) => self.check(opened, env),
            None if own.has_session() => Authentication::none(CookieAction::Clear),
            None => Authentication::none(CookieAction::Keep),
        }
    }

    /// Opens the value of a session cookie, unless the session has expired.
    pub(super) fn open(&self, host: &str, sealed: &[u8], now: Timestamp) -> Option<OpenedSession> {
        self.reader.open(self.vault.sealer()?, host, sealed, now)
    }

    /// Returns the sessions in a request's cookies, active or not: a copy of an ended session may be in use elsewhere.
    pub(super) fn opened(&self, request: &Parsed<'_>, env: &Env<'_>) -> Vec<Rc<Session>> {
        let host = &request.authority.host;
        let own = self.vault.read(request);
        own.sessions()
            .filter_map(|sealed| self.open(host, &sealed, env.now))
            .map(|opened| opened.session)
            .collect()
    }

    /// Checks whether a session that could be opened is active and was made on the present terms.
    fn check(&self, opened: OpenedSession, env: &Env<'_>) -> Authentication {
        let OpenedSession { session, by_newest } = opened;
        let SessionStatus::Active { session, is_newer } = self.status(session, env) else {
            return Authentication::none(CookieAction::Clear);
        };
        let Some(unused) = self.unused_for(&session, env) else {
            return Authentication::default();
        };
        if !self.terms.are_met_by(&session) {
            return Authentication::default();
        }
        let was_recorded = self.record_use(&session, unused, env);
        if is_newer || !by_newest || was_recorded {
            let session = Rc::new(session.seen(env.now));
            Authentication::by_cookie(session, CookieAction::Rewrite)
        } else {
            Authentication::by_cookie(session, CookieAction::Keep)
        }
    }

    /// Records that a session is used now, if there is an idle limit and the last record is old enough. Returns whether it
    /// did.
    pub(super) fn record_use(&self, session: &Session, unused: u64, env: &Env<'_>) -> bool {
        self.idle.is_some_and(|idle| {
            let is_due = unused >= idle.as_secs() / IDLE_PART;
            if is_due {
                activity::note(session.name_of_use(), env.now, idle.as_secs(), env.shared);
            }
            is_due
        })
    }

    /// Returns the newest session of a session's id, unless that id has ended.
    pub(super) fn status(&self, session: Rc<Session>, env: &Env<'_>) -> SessionStatus {
        if self.is_revoked(&session, env) {
            return SessionStatus::Ended;
        }
        let mut is_newer = false;
        let mut session = session;
        if let Some(state) = self.refresh_state(&session, env) {
            let generation = session.generation();
            if state.ended.is_some_and(|last| generation <= last) {
                return SessionStatus::Ended;
            }
            if let Some(newest) = &state.newest
                && newest.replaces(&session)
                && newest.is_live(env.now)
            {
                // The time of the last use comes from the cookie, not from the refresh.
                session = Rc::new(newest.instead_of(&session));
                is_newer = true;
            }
        }
        SessionStatus::Active { session, is_newer }
    }

    /// Returns the session as its last refresh left it, with the refresh token that is valid.
    pub(super) fn newest(&self, session: &Rc<Session>, env: &Env<'_>) -> Rc<Session> {
        let state = self.refresh_state(session, env);
        let newest = state.and_then(|state| state.newest.clone());
        newest
            .filter(|newest| newest.generation() > session.generation())
            .unwrap_or_else(|| Rc::clone(session))
    }

    /// Returns for how many seconds a session has been unused; `None` when that exceeds the idle limit.
    pub(super) fn unused_for(&self, session: &Session, env: &Env<'_>) -> Option<u64> {
        let unused = env.now.since(session.seen_at());
        let Some(idle) = self.idle else {
            return Some(unused);
        };
        if unused < idle.as_secs() {
            return Some(unused);
        }
        // The cookie does not tell of activity on a WebSocket, nor the WebSocket of requests beside it.
        let used_at = activity::last(session.name_of_use(), env.now, env.shared)?;
        let unused = env.now.since(used_at);
        (unused < idle.as_secs()).then_some(unused)
    }

    /// Returns the `Set-Cookie` values that the response to an authenticated request carries.
    pub(super) fn cookies_after(
        &self,
        request: &Parsed<'_>,
        authentication: &Authentication,
        env: &mut Env<'_>,
    ) -> Vec<String> {
        match (authentication.cookies, &authentication.session) {
            (CookieAction::Rewrite, Some(session)) => {
                let own = self.vault.read(request);
                // If no new cookie can be made, the old one remains usable for a while.
                self.cookies_for(session, &request.authority.host, &own, env)
                    .unwrap_or_default()
            }
            (CookieAction::Clear, _) => {
                let own = self.vault.read(request);
                self.vault.names.clear_session(&own)
            }
            (CookieAction::Keep | CookieAction::Rewrite, _) => Vec::new(),
        }
    }

    /// Returns the `Set-Cookie` values that keep a session on a host, with as much of it as fits
    /// ([`SessionTerms::shrinking`]). `present` is what the browser has there. `None` when even the shortest form does not
    /// fit.
    pub(super) fn cookies_for(
        &self,
        session: &Session,
        host: &str,
        present: &OwnCookies<'_>,
        env: &mut Env<'_>,
    ) -> Option<Vec<String>> {
        let lifetime = session.expires_at().since(env.now);
        self.terms.shrinking(session).find_map(|session| {
            let sealed = self.vault.seal(Purpose::Session, host, &session, env)?;
            self.vault.names.set_session(&sealed, lifetime, present)
        })
    }

    /// Begins the session of a user whose tokens are verified.
    ///
    /// # Errors
    /// Why these tokens make no session.
    pub(super) fn begin(
        &self,
        verified: &VerifiedTokens,
        source: ClaimSource<'_>,
        nonce: &str,
        env: &mut Env<'_>,
    ) -> Result<Session, Refusal> {
        let claims = verified.claims.as_ref().ok_or(Refusal::Internal)?;
        let id = env.token::<16>().map_err(|_| Refusal::Internal)?;
        let identity = source
            .read_identity(claims, TenantSource::Claims)
            .map_err(|problem| Refusal::SignIn(problem.into()))?;
        let mut session = Session::new(id, identity, env.now, self.lifetime.as_secs());
        session.provider_session = read_provider_session(claims);
        session.refresh = RefreshGrant::first(&verified.tokens.grant, nonce, env);
        if let Some(id_token) = &verified.tokens.id_token {
            session.keep_hint(id_token);
        }
        note_id_token(&mut session, verified, source);
        Ok(self.terms.mark(session))
    }

    /// Returns whether a session was ended, by a sign-out or by the provider.
    pub(super) fn is_revoked(&self, session: &Session, env: &Env<'_>) -> bool {
        self.revocations.is_revoked(session, &self.issuer, env)
    }

    /// Returns whether the provider has ended, since the sign-in began, what this new session comes from.
    pub(super) fn was_revoked_during_sign_in(
        &self,
        session: &Session,
        begun: Timestamp,
        env: &Env<'_>,
    ) -> bool {
        self.revocations
            .is_revoked_since(begun, session, &self.issuer, env)
    }
}

//! Session refresh: when the provider is asked again, and how all workers learn the result.

pub(crate) mod refreshing;

use std::borrow::Cow;
use std::rc::Rc;

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::provider_access::ProviderAccess;
use crate::gate::refresh::refreshing::{RefreshEnd, Refreshing};
use crate::gate::sessions::Sessions;
use crate::http::cookie::MAX_SESSION_VALUE;
use crate::oidc::call::ProviderCall;
use crate::oidc::claim_source::ClaimSource;
use crate::oidc::claims::Claims;
use crate::oidc::email;
use crate::oidc::token_flow::VerifiedTokens;
use crate::refusal::TokenProblem;
use crate::session::claim_filter::ClaimFilter;
use crate::session::refresh::PAUSE;
use crate::session::refresh_state::{
    REFRESH_STATES, REFRESH_WAIT, RefreshEntry, RefreshOutcome, RefreshState, RefreshTurn,
    seal_for_all,
};
use crate::session::{NamedClaims, Session, StatedClaims, UserInfoUpdate};
use crate::time::Timestamp;

/// The reason in the log when a refreshed session has no room.
const TOO_LARGE: &str = "the claims that policies need do not fit into it";

/// Whether a session needs a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It needs none, or requests go on until it can be refreshed.
    No,
    /// The refresh begins now, ahead of time: requests go on meanwhile.
    Soon,
    /// The provider's statements are no longer current. A refresh is running, or begins as soon as the provider is known.
    Overdue {
        /// How long a request waits for it.
        until: Timestamp,
    },
}

impl Gate {
    /// Returns whether [`Gate::next_refresh`] has something to send.
    #[must_use]
    pub fn has_refreshes(&self) -> bool {
        !self.sessions.refreshes.is_empty()
    }

    /// Returns the next refresh to send. Its reply goes to [`Refreshing::resume`], even if the request that was the
    /// reason for it has ended.
    pub fn next_refresh(&self, env: &mut Env<'_>) -> Option<(ProviderCall, Box<Refreshing>)> {
        while let Some(session) = self.sessions.refreshes.take() {
            if let Some(begun) = Refreshing::begin(Rc::clone(&session), self, env) {
                return Some(begun);
            }
            // Requests must not wait for a refresh that cannot begin.
            let _ = end_turn(&session, None, env);
        }
        None
    }

    /// Returns, once, whether a refresh has ended for which requests are held ([`crate::gate::step::Step::Hold`]), in
    /// whichever worker: these requests may begin again.
    pub fn take_ended_refreshes(&self, env: &Env<'_>) -> bool {
        let versions = || REFRESH_STATES.read_versions(env.shared);
        self.sessions.refreshes.forget_ended(versions, |session| {
            self.sessions
                .refresh_state(session, env)
                .is_some_and(|state| state.turn.waits_until(env.now).is_some())
        })
    }

    /// Returns a session with what the provider says about the same user now. Without claims the session stays as it is;
    /// without an ID token it keeps the claims of the last one that UserInfo does not name.
    ///
    /// # Errors
    /// See [`crate::oidc::claims::read_identity`].
    pub(crate) fn apply_refresh(
        &self,
        session: &Session,
        verified: &VerifiedTokens,
    ) -> Result<Session, TokenProblem> {
        let Some(claims) = &verified.claims else {
            return Ok(session.clone());
        };
        let source = self.claim_source().ok_or(TokenProblem::Issuer)?;
        let identity = source.read_identity(claims, verified.tenant_source())?;
        let session = if verified.id_token_claims().is_some() {
            let mut refreshed = session.refreshed(identity);
            note_id_token(&mut refreshed, verified, source);
            refreshed
        } else {
            let trust = &source.provider.settings().email_trust;
            session.updated(UserInfoUpdate {
                identity,
                named: read_names(claims),
                has_email_proof: email::has_proof(claims, trust),
                has_email_denial: email::has_denial(claims),
            })
        };
        Ok(self.sessions.terms.mark(session))
    }
}

/// Returns which claims a UserInfo names, flattened as in a session.
fn read_names(userinfo: &Claims) -> NamedClaims {
    NamedClaims::of(ClaimFilter::everything().select(userinfo))
}

/// Notes in a session what the ID token of its claims states, for a later refresh without an ID token.
pub(super) fn note_id_token(
    session: &mut Session,
    verified: &VerifiedTokens,
    source: ClaimSource<'_>,
) {
    if let Some(id_token) = verified.id_token_claims() {
        let trust = &source.provider.settings().email_trust;
        let is_verified = session.email().is_some();
        session.note_id_token(&StatedClaims {
            id_token,
            userinfo: verified.userinfo().map(read_names),
            is_email_proven: email::is_proven_alone(id_token, trust, is_verified),
        });
    }
}

impl Sessions {
    /// Returns the refresh state of a session that can be refreshed, as this process knows it.
    pub(super) fn refresh_state(
        &self,
        session: &Session,
        env: &Env<'_>,
    ) -> Option<Rc<RefreshState>> {
        let sealer = self.vault.sealer()?;
        session.refresh.as_ref()?;
        Some(self.refresh_cache.look_up(&session.id, sealer, env))
    }

    /// Begins the refresh of a session if it is due and no other refresh of it is running. The timer sends the call, see
    /// [`Gate::next_refresh`].
    pub(super) fn refresh_when_due(
        &self,
        session: &Rc<Session>,
        provider: &ProviderAccess,
        env: &Env<'_>,
    ) -> Due {
        let refresh = session.refresh.as_ref();
        let can_begin = refresh
            .is_some_and(|refresh| refresh.is_due(env.now) && refresh.refresh_token.is_some());
        if !can_begin {
            return Due::No;
        }
        let Some(state) = self.refresh_state(session, env) else {
            return Due::No;
        };
        if !state.turn.is_free(env.now) {
            return self.wait_for_refresh(session, state.turn, env.now);
        }
        if self.refreshes.is_full() {
            return Due::No;
        }
        // Asking for the provider makes it due when it is not known.
        if provider.known().is_none() {
            return match unknown_provider_until(provider, env.now) {
                Some(until) if is_overdue(session, env.now) => Due::Overdue { until },
                _ => Due::No,
            };
        }
        match lock(session, env) {
            Ok(turn) => self.queue_refresh(session, turn, env.now),
            Err(turn) => self.wait_for_refresh(session, turn, env.now),
        }
    }

    /// Leaves the refresh of a session, whose turn has begun, to the timer.
    fn queue_refresh(&self, session: &Rc<Session>, turn: RefreshTurn, now: Timestamp) -> Due {
        self.refreshes.push(if session.is_for_api_client() {
            Rc::new(session.to_browser_session())
        } else {
            Rc::clone(session)
        });
        match self.wait_for_refresh(session, turn, now) {
            Due::No => Due::Soon,
            due => due,
        }
    }

    /// Returns how long a request waits in this turn: only for a refresh that is running, and only when what the provider
    /// said is no longer current.
    fn wait_for_refresh(&self, session: &Rc<Session>, turn: RefreshTurn, now: Timestamp) -> Due {
        match turn.waits_until(now) {
            Some(until) if is_overdue(session, now) => {
                self.refreshes.note_awaited(session);
                Due::Overdue { until }
            }
            _ => Due::No,
        }
    }

    /// Shares the result of a refresh with all workers, and returns one line for the log.
    pub(crate) fn conclude(
        &self,
        before: &Session,
        end: RefreshEnd,
        env: &mut Env<'_>,
    ) -> Cow<'static, str> {
        let account = before.account();
        let (outcome, event) = match end {
            RefreshEnd::Refreshed(session) => match self.share(&session, env) {
                Some(shared) => (Some(shared), "session refreshed".to_owned()),
                // The provider's answer would not count now, and the refresh token that it gave would be lost.
                None => (
                    Some(RefreshOutcome::Ended(before.generation())),
                    format!("session ended: {TOO_LARGE}"),
                ),
            },
            RefreshEnd::Rotated(session, why) => (
                self.share(&session, env),
                format!("session not refreshed: {why}"),
            ),
            RefreshEnd::Postponed(why) => (None, format!("session not refreshed: {why}")),
            RefreshEnd::Ended(why) => (
                Some(RefreshOutcome::Ended(before.generation())),
                format!("session ended: {why}"),
            ),
        };
        if self.is_revoked(before, env) {
            // Requests in other workers must not wait for this refresh any longer.
            let _ = end_turn(before, None, env);
            return format!("refresh dropped: the session was ended account={account:?}").into();
        }
        match end_turn(before, outcome, env) {
            Some(true) => format!("{event} account={account:?}").into(),
            Some(false) => format!("refresh dropped: it came too late account={account:?}").into(),
            None => "refresh lost: the shared data could not be written".into(),
        }
    }

    /// Shares a browser's session with all workers, with its refresh token. The session of an API client has none, and is
    /// refreshed by the shared one when the browser is closed. If the session cannot be shared, the API client's session
    /// ends when what the provider said is no longer current.
    pub(super) fn share_with_api_clients(&self, session: &Session, env: &mut Env<'_>) {
        if session.refresh.is_none() {
            return;
        }
        let Some(outcome) = self.share(session, env) else {
            return;
        };
        let _ = REFRESH_STATES.update(env.shared, &session.id, env.now, |present| {
            let present = RefreshEntry::read(present);
            if !present.leaves(session.generation()) {
                return Err(());
            }
            let entry = RefreshEntry {
                outcome: outcome.clone(),
                ..present
            };
            Ok((entry.write(), session.expires_at(), ()))
        });
        REFRESH_STATES.bump_version(env.shared, &session.id);
    }

    /// Seals a session for all workers. Claims that have no room there are left out in the same order as in a cookie.
    fn share(&self, session: &Session, env: &mut Env<'_>) -> Option<RefreshOutcome> {
        let sealer = self.vault.sealer()?;
        self.terms.shrinking(session).find_map(|session| {
            let sealed = seal_for_all(&session, sealer, env)?;
            let is_short = sealed.len() <= MAX_SESSION_VALUE;
            is_short.then(|| RefreshOutcome::Refreshed(session.generation(), sealed))
        })
    }
}

/// Returns until when requests wait for a provider that this worker does not know yet: once, and as long as for a
/// refresh. A provider that is not known after that is down, which ends no session.
fn unknown_provider_until(provider: &ProviderAccess, now: Timestamp) -> Option<Timestamp> {
    let until = provider.unknown_since(now)?.plus(REFRESH_WAIT);
    (now < until).then_some(until)
}

/// Returns whether the provider's last statement about a user is no longer current.
fn is_overdue(session: &Session, now: Timestamp) -> bool {
    let refresh = session.refresh.as_ref();
    refresh.is_some_and(|refresh| refresh.is_overdue(now))
}

/// Begins the turn of a session's refresh and returns it.
///
/// # Errors
/// The turn that is there, when another refresh is running or was faster.
fn lock(session: &Session, env: &Env<'_>) -> Result<RefreshTurn, RefreshTurn> {
    let taken = REFRESH_STATES.update(env.shared, &session.id, env.now, |present| {
        let present = RefreshEntry::read(present);
        if !present.turn.is_free(env.now) || !present.leaves(session.generation()) {
            return Err(Err(present.turn));
        }
        let turn = RefreshTurn::begin(env.now);
        let entry = RefreshEntry { turn, ..present };
        Ok((entry.write(), session.expires_at(), Ok(turn)))
    });
    REFRESH_STATES.bump_version(env.shared, &session.id);
    taken.unwrap_or_else(|| Err(RefreshTurn::default()))
}

/// Ends the turn of a session's refresh with its outcome, or with a pause when there is none. Returns whether the outcome
/// counts, and `None` when the shared data could not be written.
fn end_turn(session: &Session, outcome: Option<RefreshOutcome>, env: &Env<'_>) -> Option<bool> {
    let changed = REFRESH_STATES.update(env.shared, &session.id, env.now, |present| {
        let present = RefreshEntry::read(present);
        // Another refresh was faster, or the user has signed out meanwhile: that counts.
        if !present.leaves(session.generation()) {
            return Err(false);
        }
        let entry = match &outcome {
            Some(outcome) => RefreshEntry {
                turn: RefreshTurn::default(),
                outcome: outcome.clone(),
            },
            None => RefreshEntry {
                turn: RefreshTurn::Paused(env.now.plus(PAUSE)),
                ..present
            },
        };
        Ok((entry.write(), session.expires_at(), true))
    });
    REFRESH_STATES.bump_version(env.shared, &session.id);
    changed
}

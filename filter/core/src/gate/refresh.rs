//! Keeps sessions current: which worker asks the provider again, and what its answer means for all workers.

pub(crate) mod refreshing;

use std::borrow::Cow;
use std::rc::Rc;

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::provider_access::ProviderAccess;
use crate::gate::refresh::refreshing::{End, Refreshing};
use crate::gate::sessions::Sessions;
use crate::http::cookie::MAX_SESSION_VALUE;
use crate::oidc::call::ProviderCall;
use crate::oidc::claims::Claims;
use crate::refusal::TokenProblem;
use crate::session::Session;
use crate::session::refresh::PAUSE;
use crate::session::refresh_state::{
    LOCK, REFRESH_STATES, RefreshEntry, RefreshOutcome, RefreshState, seal_for_all,
};
use crate::time::Timestamp;

/// The longest wait of a request for the refresh of its session, in seconds: one call, and a moment for the timer.
pub(super) const REFRESH_WAIT: u64 = 12;

/// Whether a session needs a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It needs none, or another request or worker is refreshing it.
    No,
    /// The refresh begins now, ahead of time: no request has to wait.
    Soon,
    /// The refresh begins now, or as soon as the provider is known, and the provider's last statement is no longer current.
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

    /// Returns the next refresh to send. Its answer goes to [`Refreshing::resume`], even if the request that caused it is
    /// gone.
    pub fn next_refresh(&self, env: &mut Env<'_>) -> Option<(ProviderCall, Box<Refreshing>)> {
        while let Some(session) = self.sessions.refreshes.take() {
            if let Some(begun) = Refreshing::begin(session, self, env) {
                return Some(begun);
            }
        }
        None
    }
}

impl Sessions {
    /// Returns how the refresh of a session stands in this process; `None` for a session that cannot be refreshed.
    pub(super) fn refresh_state(
        &self,
        session: &Session,
        env: &Env<'_>,
    ) -> Option<Rc<RefreshState>> {
        let sealer = self.vault.sealer()?;
        session.refresh.as_ref()?;
        Some(self.refresh_cache.look_up(&session.id, sealer, env))
    }

    /// Begins the refresh of a session if it is due and not under way. The timer sends the call, see
    /// [`Gate::next_refresh`].
    pub(super) fn refresh_when_due(
        &self,
        session: &Rc<Session>,
        provider: &ProviderAccess,
        env: &Env<'_>,
    ) -> Due {
        let Some(refresh) = &session.refresh else {
            return Due::No;
        };
        let has_token = refresh.refresh_token.is_some();
        if env.now.0 < refresh.due_at || !has_token || self.refreshes.is_full() {
            return Due::No;
        }
        let is_free = self
            .refresh_state(session, env)
            .is_some_and(|state| state.busy_until <= env.now);
        if !is_free {
            return Due::No;
        }
        let is_overdue = env.now.0 >= refresh.overdue_at;
        // Asking for the provider makes it due when it is not known.
        if provider.known().is_none() {
            return match unknown_provider_until(provider, env.now) {
                Some(until) if is_overdue => Due::Overdue { until },
                _ => Due::No,
            };
        }
        if !lock(session, env) {
            return Due::No;
        }
        self.refreshes.push(if session.is_programs() {
            Rc::new(session.as_browsers())
        } else {
            Rc::clone(session)
        });
        if is_overdue {
            let until = env.now.plus(REFRESH_WAIT);
            Due::Overdue { until }
        } else {
            Due::Soon
        }
    }

    /// Returns a session with the provider's new statement about the same user.
    ///
    /// # Errors
    /// See [`crate::oidc::claims::identity`].
    pub(crate) fn with_new_claims(
        &self,
        session: &Session,
        claims: &Claims,
    ) -> Result<Session, TokenProblem> {
        let identity = self.terms.identify(claims)?;
        Ok(self.terms.mark(session.refreshed(identity)))
    }

    /// Shares the result of a refresh with all workers, and returns a line for the log.
    pub(crate) fn conclude(
        &self,
        before: &Session,
        end: End,
        env: &mut Env<'_>,
    ) -> Cow<'static, str> {
        let account = before.account();
        let (outcome, event) = self.outcome(before, end, env);
        if self.is_revoked(before, env) {
            return format!("refresh dropped: the session was ended account={account:?}").into();
        }
        let now = env.now;
        let changed = REFRESH_STATES.update(env.shared, &before.id, now, |present| {
            let present = RefreshEntry::read(present);
            // A faster refresh or a sign-out in the meantime takes precedence.
            if !present.leaves(before.generation()) {
                return Err(false);
            }
            let entry = match &outcome {
                Some(outcome) => RefreshEntry {
                    busy_until: now,
                    outcome: outcome.clone(),
                },
                None => RefreshEntry {
                    busy_until: now.plus(PAUSE),
                    ..present
                },
            };
            Ok((entry.write(), before.expires_at(), true))
        });
        REFRESH_STATES.bump_version(env.shared, &before.id);
        match changed {
            Some(true) => event.into(),
            Some(false) => format!("refresh dropped: it came too late account={account:?}").into(),
            None => "refresh lost: the shared data could not be written".into(),
        }
    }

    /// Returns what the workers share about a refresh that has ended, and its line for the log.
    fn outcome(
        &self,
        before: &Session,
        end: End,
        env: &mut Env<'_>,
    ) -> (Option<RefreshOutcome>, String) {
        let account = before.account();
        match end {
            End::Refreshed(session) => (
                self.share(&session, env),
                format!("session refreshed account={account:?}"),
            ),
            End::Rotated(session, why) => (
                self.share(&session, env),
                format!("session not refreshed: {why} account={account:?}"),
            ),
            End::Later(why) => (
                None,
                format!("session not refreshed: {why} account={account:?}"),
            ),
            End::Over(why) => (
                Some(RefreshOutcome::Ended(before.generation())),
                format!("session ended: {why} account={account:?}"),
            ),
        }
    }

    /// Puts a browser's session, with its refresh token, where all workers find it.
    ///
    /// The session of an API client has no refresh token, and is refreshed from there when the browser is closed. If the
    /// session cannot be stored, the API client's session ends when the provider's last statement is no longer current.
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

    /// Returns a session in the form that all workers share. If it does not fit, it is shortened as for a cookie.
    fn share(&self, session: &Session, env: &mut Env<'_>) -> Option<RefreshOutcome> {
        let sealer = self.vault.sealer()?;
        self.terms.shrinking(session).find_map(|session| {
            let sealed = seal_for_all(&session, sealer, env)?;
            let is_short = sealed.len() <= MAX_SESSION_VALUE;
            is_short.then(|| RefreshOutcome::Refreshed(session.generation(), sealed))
        })
    }
}

/// Returns until when requests wait for a provider that this worker does not know yet: once, and as long as for a refresh.
/// A provider that does not answer until then is down, which ends no session.
fn unknown_provider_until(provider: &ProviderAccess, now: Timestamp) -> Option<Timestamp> {
    let until = provider.unknown_since(now)?.plus(REFRESH_WAIT);
    (now < until).then_some(until)
}

/// Takes the lock of a session's refresh. Returns `false` when another worker has it, or has refreshed the session already.
fn lock(session: &Session, env: &Env<'_>) -> bool {
    let taken = REFRESH_STATES.update(env.shared, &session.id, env.now, |present| {
        let present = RefreshEntry::read(present);
        if env.now < present.busy_until || !present.leaves(session.generation()) {
            return Err(false);
        }
        let entry = RefreshEntry {
            busy_until: env.now.plus(LOCK),
            ..present
        };
        Ok((entry.write(), session.expires_at(), true))
    });
    REFRESH_STATES.bump_version(env.shared, &session.id);
    taken == Some(true)
}

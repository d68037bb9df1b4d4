//! Keeping sessions current: who asks the provider again, and what the answer means for everybody.

pub(crate) mod refreshing;

use std::borrow::Cow;
use std::rc::Rc;

use super::Gate;
use crate::env::Env;
use crate::gate::refresh::refreshing::{End, Refreshing};
use crate::http::cookie::MAX_SESSION_VALUE;
use crate::oidc::call::ProviderCall;
use crate::oidc::claims::{self, Claims};
use crate::oidc::provider::Provider;
use crate::refusal::TokenProblem;
use crate::session::Session;
use crate::session::refresh::PAUSE;
use crate::session::refresh_state::{
    LOCK, REFRESH_STATES, RefreshEntry, RefreshOutcome, RefreshState, seal_for_all,
};
use crate::time::Timestamp;

/// Longest wait of a request for the refresh of its session, in seconds: one call, and a moment for the timer.
pub(super) const REFRESH_WAIT: u64 = 12;

/// Whether a session needs a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// No, or somebody else is at it.
    No,
    /// It begins now, ahead of time: nobody has to wait.
    Soon,
    /// It begins now, or as soon as the provider is known, and what the provider said is no longer current.
    Overdue {
        /// How long a request waits for it.
        until: Timestamp,
    },
}

impl Gate {
    /// How a session that can be refreshed stands in this process.
    pub(super) fn refresh_state(
        &self,
        session: &Session,
        env: &Env<'_>,
    ) -> Option<Rc<RefreshState>> {
        let sealer = self.sealer.as_ref()?;
        session.refresh.as_ref()?;
        Some(self.refresh_cache.look_up(&session.id, sealer, env))
    }

    /// Begins the refresh of a session if it is due and nobody else is at it. The timer sends the call, see
    /// [`Gate::next_refresh`].
    pub(super) fn refresh_when_due(&self, session: &Rc<Session>, env: &Env<'_>) -> Due {
        let Some(refresh) = &session.refresh else {
            return Due::No;
        };
        let has_token = refresh.refresh_token.is_some();
        if env.now.0 < refresh.due_at || !has_token || self.refreshes.is_full() {
            return Due::No;
        }
        let is_free = self
            .refresh_state(session, env)
            .is_some_and(|standing| standing.busy_until <= env.now);
        if !is_free {
            return Due::No;
        }
        let is_overdue = env.now.0 >= refresh.overdue_at;
        // Asking for the provider makes it due when it is not known.
        if self.known_provider().is_none() {
            return match self.unknown_provider_until(env.now) {
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

    /// Until when requests wait for a provider that this worker does not know yet: as long as for a refresh, once. A provider
    /// that cannot be asked after that is down, and ends no session.
    fn unknown_provider_until(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.provider.as_ref()?.unknown_since(now)?;
        let until = since.plus(REFRESH_WAIT);
        (now < until).then_some(until)
    }

    /// Whether [`Gate::next_refresh`] has something to send.
    #[must_use]
    pub fn has_refreshes(&self) -> bool {
        !self.refreshes.is_empty()
    }

    /// The next refresh to send. Its answer goes to [`Refreshing::resume`], whatever has become of who asked for it.
    pub fn next_refresh(&self, env: &mut Env<'_>) -> Option<(ProviderCall, Box<Refreshing>)> {
        while let Some(session) = self.refreshes.take() {
            if let Some(begun) = Refreshing::begin(session, self, env) {
                return Some(begun);
            }
        }
        None
    }

    /// A session with what the provider says about the same person now.
    ///
    /// # Errors
    /// See [`claims::identity`].
    pub(crate) fn refreshed(
        &self,
        session: &Session,
        claims: &Claims,
    ) -> Result<Session, TokenProblem> {
        let settings = self.provider.as_ref().map(Provider::settings);
        let trust = &settings.ok_or(TokenProblem::Issuer)?.email_trust;
        let identity = claims::identity(claims, trust, &self.needs)?;
        Ok(session.refreshed(identity).chosen_for(&self.terms))
    }

    /// Tells all workers what a refresh came to, and the log in one line.
    pub(crate) fn conclude(
        &self,
        before: &Session,
        end: End,
        env: &mut Env<'_>,
    ) -> Cow<'static, str> {
        let account = before.account();
        let (outcome, event) = match end {
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
        };
        if self.is_revoked(before, env) {
            return format!("refresh dropped: the session was ended account={account:?}").into();
        }
        let now = env.now;
        let changed = REFRESH_STATES.update(env.shared, &before.id, now, |present| {
            let present = RefreshEntry::read(present);
            // Somebody was faster, or the person signed out meanwhile: that counts.
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

    /// Puts a browser's session where all workers find it, with its refresh token: that of a program has none, and is
    /// refreshed from there when the browser is closed. If it cannot be stored, the program's session ends when what the
    /// provider said is no longer current.
    pub(super) fn share_with_programs(&self, session: &Session, env: &mut Env<'_>) {
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

    /// A session as all workers share it. What has no room there gives way in the same order as in a cookie.
    fn share(&self, session: &Session, env: &mut Env<'_>) -> Option<RefreshOutcome> {
        let sealer = self.sealer.as_ref()?;
        self.shrinking(session).find_map(|session| {
            let sealed = seal_for_all(&session, sealer, env)?;
            let is_short = sealed.len() <= MAX_SESSION_VALUE;
            is_short.then(|| RefreshOutcome::Refreshed(session.generation(), sealed))
        })
    }
}

/// Takes the lock of a session's refresh. Says no when somebody else has it, or was faster.
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

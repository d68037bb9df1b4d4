//! Keeping sessions current: who asks the provider again, and what the answer means for everybody.

use std::borrow::Cow;
use std::rc::Rc;

use super::Gate;
use crate::env::{Env, Timestamp};
use crate::gate::step::ProviderCall;
use crate::http::cookie::MAX_SESSION_VALUE;
use crate::oidc::claims::{self, Claims};
use crate::oidc::provider::Provider;
use crate::refusal::TokenProblem;
use crate::session::Session;
use crate::session::refresh::{
    End, Entry, LOCK, Outcome, PAUSE, Renewing, STANDINGS, Standing, seal_for_all,
};

/// Longest wait of a request for the renewal of its session, in seconds: one call, and a moment for the timer.
pub(super) const RENEWAL_WAIT: u64 = 12;

/// Whether a session needs a renewal.
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
    /// How a session that can be renewed stands in this process.
    pub(super) fn standing(&self, session: &Session, env: &Env<'_>) -> Option<Rc<Standing>> {
        let sealer = self.sealer.as_ref()?;
        session.renewal.as_ref()?;
        Some(self.standings.of(&session.id, sealer, env))
    }

    /// Begins the renewal of a session if it is due and nobody else is at it. The timer sends the call, see
    /// [`Gate::next_renewal`].
    pub(super) fn renew_when_due(&self, session: &Rc<Session>, env: &Env<'_>) -> Due {
        let Some(renewal) = &session.renewal else {
            return Due::No;
        };
        let has_token = renewal.refresh_token.is_some();
        if env.now.0 < renewal.due_at || !has_token || self.renewals.is_full() {
            return Due::No;
        }
        let is_free = self
            .standing(session, env)
            .is_some_and(|standing| standing.busy_until <= env.now);
        if !is_free {
            return Due::No;
        }
        let is_overdue = env.now.0 >= renewal.overdue_at;
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
        self.renewals.push(if session.is_programs() {
            Rc::new(session.as_browsers())
        } else {
            Rc::clone(session)
        });
        if is_overdue {
            let until = env.now.plus(RENEWAL_WAIT);
            Due::Overdue { until }
        } else {
            Due::Soon
        }
    }

    /// Until when requests wait for a provider that this worker does not know yet: as long as for a renewal, once. A provider
    /// that cannot be asked after that is down, and ends no session.
    fn unknown_provider_until(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.provider.as_ref()?.unknown_since(now)?;
        let until = since.plus(RENEWAL_WAIT);
        (now < until).then_some(until)
    }

    /// Whether [`Gate::next_renewal`] has something to send.
    #[must_use]
    pub fn has_renewals(&self) -> bool {
        !self.renewals.is_empty()
    }

    /// The next renewal to send. Its answer goes to [`Renewing::resume`], whatever has become of who asked for it.
    pub fn next_renewal(&self, env: &mut Env<'_>) -> Option<(ProviderCall, Box<Renewing>)> {
        while let Some(session) = self.renewals.take() {
            if let Some(begun) = Renewing::begin(session, self, env) {
                return Some(begun);
            }
        }
        None
    }

    /// A session with what the provider says about the same person now.
    ///
    /// # Errors
    /// See [`claims::identity`].
    pub(crate) fn renewed(
        &self,
        session: &Session,
        claims: &Claims,
    ) -> Result<Session, TokenProblem> {
        let settings = self.provider.as_ref().map(Provider::settings);
        let trust = &settings.ok_or(TokenProblem::Issuer)?.email_trust;
        let identity = claims::identity(claims, trust, &self.needs)?;
        Ok(session.renewed(identity).chosen_for(&self.terms))
    }

    /// Tells all workers what a renewal came to, and the log in one line.
    pub(crate) fn conclude(
        &self,
        before: &Session,
        end: End,
        env: &mut Env<'_>,
    ) -> Cow<'static, str> {
        let account = before.account();
        let (outcome, event) = match end {
            End::Renewed(session) => (
                self.share(&session, env),
                format!("session renewed account={account:?}"),
            ),
            End::Rotated(session, why) => (
                self.share(&session, env),
                format!("session not renewed: {why} account={account:?}"),
            ),
            End::Later(why) => (
                None,
                format!("session not renewed: {why} account={account:?}"),
            ),
            End::Over(why) => (
                Some(Outcome::Ended(before.generation())),
                format!("session ended: {why} account={account:?}"),
            ),
        };
        if self.is_revoked(before, env) {
            return format!("renewal dropped: the session was ended account={account:?}").into();
        }
        let now = env.now;
        let changed = STANDINGS.update(env.shared, &before.id, now, |present| {
            let present = Entry::read(present);
            // Somebody was faster, or the person signed out meanwhile: that counts.
            if !present.leaves(before.generation()) {
                return Err(false);
            }
            let entry = match &outcome {
                Some(outcome) => Entry {
                    busy_until: now,
                    outcome: outcome.clone(),
                },
                None => Entry {
                    busy_until: now.plus(PAUSE),
                    ..present
                },
            };
            Ok((entry.write(), before.expires_at(), true))
        });
        STANDINGS.announce(env.shared, &before.id);
        match changed {
            Some(true) => event.into(),
            Some(false) => format!("renewal dropped: it came too late account={account:?}").into(),
            None => "renewal lost: the shared data could not be written".into(),
        }
    }

    /// Puts a browser's session where all workers find it, with its refresh token: that of a program has none, and is
    /// renewed from there when the browser is closed. If it cannot be stored, the program's session ends when what the
    /// provider said is no longer current.
    pub(super) fn share_with_programs(&self, session: &Session, env: &mut Env<'_>) {
        if session.renewal.is_none() {
            return;
        }
        let Some(outcome) = self.share(session, env) else {
            return;
        };
        let _ = STANDINGS.update(env.shared, &session.id, env.now, |present| {
            let present = Entry::read(present);
            if !present.leaves(session.generation()) {
                return Err(());
            }
            let entry = Entry {
                outcome: outcome.clone(),
                ..present
            };
            Ok((entry.write(), session.expires_at(), ()))
        });
        STANDINGS.announce(env.shared, &session.id);
    }

    /// A session as all workers share it. What has no room there gives way in the same order as in a cookie.
    fn share(&self, session: &Session, env: &mut Env<'_>) -> Option<Outcome> {
        let sealer = self.sealer.as_ref()?;
        self.shrinking(session).find_map(|session| {
            let sealed = seal_for_all(&session, sealer, env)?;
            let is_short = sealed.len() <= MAX_SESSION_VALUE;
            is_short.then(|| Outcome::Renewed(session.generation(), sealed))
        })
    }
}

/// Takes the lock of a session's renewal. Says no when somebody else has it, or was faster.
fn lock(session: &Session, env: &Env<'_>) -> bool {
    let taken = STANDINGS.update(env.shared, &session.id, env.now, |present| {
        let present = Entry::read(present);
        if env.now < present.busy_until || !present.leaves(session.generation()) {
            return Err(false);
        }
        let entry = Entry {
            busy_until: env.now.plus(LOCK),
            ..present
        };
        Ok((entry.write(), session.expires_at(), true))
    });
    STANDINGS.announce(env.shared, &session.id);
    taken == Some(true)
}

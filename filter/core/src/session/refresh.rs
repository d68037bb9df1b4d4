//! Session refreshes: they check with the provider, ahead of time, that its statements about a user are still current.
//!
//! A refresh runs in the background. A request or an open stream that finds its session due takes the lock that all workers of
//! the process share (`refresh_state`) and puts the session into the queue of its instance. The timer sends the call, so that
//! the response is not lost when the request ends. The refreshed session is stored in the shared data, from which requests with
//! an older one take it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::env::{Env, NoRandomness};
use crate::oidc::token::Grant;
use crate::session::{RefreshGrant, Session};
use crate::time::Timestamp;

/// Lifetime of an access token in seconds if the provider states none.
const DEFAULT_LIFE: u64 = 15 * 60;
/// Shortest lifetime in seconds that is used: with a shorter one, the provider would be called all the time.
const SHORTEST_LIFE: u64 = 10;
/// Longest lifetime in seconds that is used, so that a user who loses an account or a group loses access within an hour.
const LONGEST_LIFE: u64 = 60 * 60;
/// A session is due when this part of the lifetime of its access token has passed, in percent.
const DUE_PERCENT: u64 = 80;
/// It may be due earlier by up to this part, in percent, so that sessions which began together are not refreshed together.
const JITTER_PERCENT: u64 = 10;
/// Seconds from a failed refresh until the next attempt.
pub(crate) const PAUSE: u64 = 30;
/// Most refreshes that an instance watches for its held requests; a request that is held for another one begins again at the
/// end of its wait.
const MAX_AWAITED: usize = 1024;
/// How many characters of the nonce of the sign-in are kept: 96 random bits.
const NONCE: usize = 16;
/// How many refreshes may wait for the timer in one instance. When the queue is full, the next request tries again.
const MAX_QUEUED: usize = 256;

/// Returns when a session with an access token issued now is due and overdue.
fn schedule(
    expires_in: Option<u64>,
    env: &mut Env<'_>,
) -> Result<(Timestamp, Timestamp), NoRandomness> {
    let life = expires_in.unwrap_or(DEFAULT_LIFE);
    let life = life.clamp(SHORTEST_LIFE, LONGEST_LIFE);
    let [dice] = env.bytes()?;
    let earlier = life * JITTER_PERCENT * u64::from(dice) / (100 * u64::from(u8::MAX));
    let due = life * DUE_PERCENT / 100 - earlier;
    Ok((env.now.plus(due), env.now.plus(life)))
}

impl RefreshGrant {
    /// Creates the refresh grant of a session that begins with this grant; `None` without a refresh token.
    pub(crate) fn first(grant: &Grant, nonce: &str, env: &mut Env<'_>) -> Option<Self> {
        let refresh_token = grant.refresh_token.clone()?;
        let (due, overdue) = schedule(grant.expires_in, env).ok()?;
        Some(Self {
            refresh_token: Some(refresh_token),
            due_at: due.0,
            overdue_at: overdue.0,
            nonce: nonce.get(..NONCE)?.to_owned(),
            generation: 0,
        })
    }

    /// Whether the access token is about to end, so that a refresh may begin.
    pub(crate) const fn is_due(&self, now: Timestamp) -> bool {
        now.0 >= self.due_at
    }

    /// Whether the access token has ended, so that what the provider said is no longer current.
    pub(crate) const fn is_overdue(&self, now: Timestamp) -> bool {
        now.0 >= self.overdue_at
    }

    /// Returns the refresh grant after a refresh with this grant.
    pub(crate) fn next(&self, grant: &Grant, env: &mut Env<'_>) -> Result<Self, NoRandomness> {
        let (due, overdue) = schedule(grant.expires_in, env)?;
        Ok(Self {
            due_at: due.0,
            overdue_at: overdue.0,
            ..self.rotated(grant)
        })
    }

    /// Returns the refresh grant with a new refresh token only, when nothing else of the grant could be used. The next attempt
    /// comes after a pause.
    pub(crate) fn rotated_only(&self, grant: &Grant, now: Timestamp) -> Self {
        Self {
            due_at: now.plus(PAUSE).0,
            ..self.rotated(grant)
        }
    }

    fn rotated(&self, grant: &Grant) -> Self {
        let mut next = self.clone();
        if grant.refresh_token.is_some() {
            next.refresh_token.clone_from(&grant.refresh_token);
        }
        next.generation = next.generation.saturating_add(1);
        next
    }
}

/// The refreshes that one instance has to send, and those that its held requests wait for.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Sessions that wait for the timer to send their refreshes.
    unsent: RefCell<VecDeque<Rc<Session>>>,
    /// Sessions whose running refresh requests are held for.
    awaited: RefCell<Vec<Rc<Session>>>,
    /// The versions of the table of refresh states when the awaited refreshes were looked up.
    seen_versions: RefCell<Vec<u8>>,
}

impl Queue {
    pub(crate) fn is_full(&self) -> bool {
        self.unsent.borrow().len() >= MAX_QUEUED
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unsent.borrow().is_empty()
    }

    pub(crate) fn push(&self, session: Rc<Session>) {
        self.unsent.borrow_mut().push_back(session);
    }

    pub(crate) fn take(&self) -> Option<Rc<Session>> {
        self.unsent.borrow_mut().pop_front()
    }

    /// Notes that a request is held for the running refresh of a session.
    pub(crate) fn note_awaited(&self, session: &Rc<Session>) {
        let mut awaited = self.awaited.borrow_mut();
        let has_room = awaited.len() < MAX_AWAITED;
        if has_room && !awaited.iter().any(|known| known.id == session.id) {
            awaited.push(Rc::clone(session));
        }
    }

    /// Forgets the awaited refreshes that are not running any more, and returns whether there were any. Each is looked up only
    /// after the versions of the table have changed: the timer asks many times a second.
    pub(crate) fn forget_ended(
        &self,
        versions: impl FnOnce() -> Vec<u8>,
        is_running: impl Fn(&Session) -> bool,
    ) -> bool {
        let mut awaited = self.awaited.borrow_mut();
        if awaited.is_empty() {
            return false;
        }
        let versions = versions();
        if *self.seen_versions.borrow() == versions {
            return false;
        }
        self.seen_versions.replace(versions);
        let before = awaited.len();
        awaited.retain(|session| is_running(session));
        awaited.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn due_between_70_and_80_percent_of_the_life() {
        let mut fixture = Fixture::new();
        for (stated, life) in [
            (Some(300), 300),
            (None, DEFAULT_LIFE),
            (Some(0), SHORTEST_LIFE),
            (Some(u64::MAX), LONGEST_LIFE),
        ] {
            for _ in 0..100 {
                let now = fixture.now;
                let (due, overdue) = schedule(stated, &mut fixture.env()).unwrap();
                assert_eq!(overdue, now.plus(life));
                let due = due.since(now) * 10;
                assert!((life * 7..=life * 8).contains(&due), "{stated:?}: {due}");
            }
        }
    }
}

//! Rechecks open streams, WebSockets above all: whether the decision that opened them is still the same.

use std::rc::Rc;

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::active_policies::ActivePolicies;
use crate::gate::api_client::STRANDED;
use crate::gate::cockpit::CockpitIdentity;
use crate::gate::cockpit::close_problem::CloseProblem;
use crate::gate::decision::decide;
use crate::gate::open_stream::{OpenStream, Recheck, StreamClose};
use crate::gate::sessions::{IDLE_PART, SessionStatus};
use crate::policy::Decision;
use crate::session::{Session, activity};

/// Why an open stream may not stay open: in words for the log, and for Cockpit's page.
struct CloseReason {
    words: &'static str,
    problem: CloseProblem,
}

impl CloseReason {
    /// The session has reached a limit: the user has to sign in again.
    const fn expired(words: &'static str) -> Self {
        Self {
            words,
            problem: CloseProblem::NoSession,
        }
    }

    /// The session or the permission was withdrawn.
    const fn terminated(words: &'static str) -> Self {
        Self {
            words,
            problem: CloseProblem::Terminated,
        }
    }
}

/// Activity on a stream is reported to the other workers at most this often, in seconds.
const REPORT_PAUSE: u64 = 60;

impl Gate {
    /// Publishes the gate's policies for the whole process.
    ///
    /// Streams that another gate of this name has opened are judged again by that gate, and end where a route is gone or
    /// has another policy. Only the first call has an effect. It comes with the first turn of the timer, so that a gate that
    /// was built and never used changes nothing.
    pub fn publish_policies(&self, name: &str, env: &Env<'_>) {
        let publish = || ActivePolicies::publish(name, self.router.routes(), env.shared);
        self.active_policies.get_or_init(publish);
    }

    /// Decides again whether an open stream may stay open. The proxy calls it for each stream every few seconds.
    ///
    /// The stream takes over a refreshed session, and begins a refresh when one is due.
    pub fn recheck(&self, stream: &mut OpenStream, env: &Env<'_>) -> Recheck {
        match self.reason_to_close(stream, env) {
            None => Recheck::Keep,
            Some(reason) => Recheck::Close(self.close(stream, &reason)),
        }
    }

    fn close(&self, stream: &OpenStream, reason: &CloseReason) -> StreamClose {
        let route = self.router.route(stream.route);
        let event = format!(
            "stream closed: {} route={:?}",
            reason.words,
            route.map(|route| route.name.as_str()).unwrap_or_default(),
        );
        let identity = stream.cockpit_identity.as_ref();
        StreamClose {
            event,
            last_message: identity.map(|_| reason.problem.message()),
        }
    }

    fn reason_to_close(&self, stream: &mut OpenStream, env: &Env<'_>) -> Option<CloseReason> {
        let Some(route) = self.router.route(stream.route) else {
            return Some(CloseReason::terminated("it has no route"));
        };
        let active = self.active_policies.get();
        if active.is_some_and(|active| !active.has(stream.route, env.shared)) {
            return Some(CloseReason::terminated(
                "its route or its policy was changed",
            ));
        }
        if let Some(reason) = self.session_over(stream, env) {
            return Some(reason);
        }
        let facts = stream.facts(env.now);
        let words = match decide(route, &facts) {
            Decision::Allow(_) => (CockpitIdentity::on(route, &facts) != stream.cockpit_identity)
                .then_some("the user has another Unix user or access in Cockpit now"),
            Decision::Deny(_) | Decision::SignIn(_) => {
                Some("the policy does not allow it any more")
            }
        };
        words.map(CloseReason::terminated)
    }

    /// Brings the session of a stream up to date, and returns why it is no longer active if it is not.
    fn session_over(&self, stream: &mut OpenStream, env: &Env<'_>) -> Option<CloseReason> {
        let is_active = stream.take_activity();
        let session = stream.session.clone()?;
        if !session.is_live(env.now) {
            return Some(CloseReason::expired("the session is over"));
        }
        let SessionStatus::Active {
            session: mut newest,
            ..
        } = self.sessions.status(session, env)
        else {
            return Some(CloseReason::terminated("the session was ended"));
        };
        if is_active {
            newest = self.report_activity(stream, newest, env);
        }
        stream.session = Some(Rc::clone(&newest));
        if self.sessions.unused_for(&newest, env).is_none() {
            return Some(CloseReason::expired(
                "the session has not been used for too long",
            ));
        }
        if newest.is_stranded(env.now) {
            return Some(CloseReason::expired(STRANDED));
        }
        if !self.sessions.terms.are_met_by(&newest) {
            return Some(CloseReason::expired(
                "the configuration asks for other claims, or for another proof of the address",
            ));
        }
        // No request waits here; the result is seen at one of the next rechecks.
        let _ = self.sessions.refresh_when_due(&newest, &self.provider, env);
        None
    }

    /// Reports the activity of a stream to the other workers, and returns its session as used now.
    fn report_activity(
        &self,
        stream: &mut OpenStream,
        session: Rc<Session>,
        env: &Env<'_>,
    ) -> Rc<Session> {
        let Some(idle) = self.sessions.idle.map(|idle| idle.as_secs()) else {
            return session;
        };
        let session = Rc::new(session.seen(env.now));
        if env.now.since(stream.reported_at) >= REPORT_PAUSE.min(idle / IDLE_PART) {
            stream.reported_at = env.now;
            activity::note(session.name_of_use(), env.now, idle, env.shared);
        }
        session
    }
}

//! Open streams, websockets above all: whether what let them in still does.

use std::rc::Rc;

use super::authenticate::{IDLE_PART, SessionStatus};
use super::program::STRANDED;
use super::{CockpitIdentity, Gate};
use crate::env::Env;
use crate::gate::open_stream::{OpenStream, Recheck};
use crate::policy::Decision;
use crate::session::{Session, activity};
use crate::time::Timestamp;

/// What a client sends is told to the other workers at most this often, in seconds.
const TELL_PAUSE: u64 = 60;

impl Gate {
    /// Puts the gate's policies in force for the whole process: streams that another gate of this name has let in are
    /// judged by that gate anew, and end where a route is gone or has another policy. Only the first call does anything. It
    /// comes with the first turn of the timer: a gate that was made and never used has changed nothing.
    pub fn publish_policies(&self, name: &str, env: &Env<'_>) {
        let publish = || {
            crate::gate::active_policies::ActivePolicies::publish(
                name,
                &self.config.routes,
                env.shared,
            )
        };
        self.active_policies.get_or_init(publish);
    }

    /// Asks anew whether an open stream may stay open. To be called for each every few seconds.
    ///
    /// The stream takes over a refreshed session, and begins a refresh when one is due.
    pub fn recheck(&self, watched: &mut OpenStream, env: &Env<'_>) -> Recheck {
        match self.objection(watched, env) {
            None => Recheck::Keep,
            Some(why) => {
                let route = self.config.routes.get(watched.route.0);
                let account = watched.session.as_deref().map(Session::account);
                Recheck::Close(format!(
                    "stream closed: {why} route={:?} account={:?}",
                    route.map(|route| route.name.as_str()).unwrap_or_default(),
                    account.unwrap_or_default(),
                ))
            }
        }
    }

    fn objection(&self, watched: &mut OpenStream, env: &Env<'_>) -> Option<&'static str> {
        let Some(route) = self.config.routes.get(watched.route.0) else {
            return Some("it has no route");
        };
        let active = self.active_policies.get();
        if active.is_some_and(|active| !active.has(watched.route, env.shared)) {
            return Some("its route or its policy was changed");
        }
        let is_active = watched.take_activity();
        if let Some(session) = watched.session.take() {
            match self.still_in_force(session, is_active, &mut watched.told_at, env) {
                Ok(session) => watched.session = Some(session),
                Err((session, why)) => {
                    watched.session = Some(session);
                    return Some(why);
                }
            }
        }
        let facts = watched.facts(env.now);
        match Self::judge(route, &facts) {
            Decision::Allow(_) => {
                let cockpit = route.cockpit.as_ref();
                let standing = cockpit.and_then(|cockpit| CockpitIdentity::of(cockpit, &facts));
                (standing != watched.standing)
                    .then_some("the visitor has another user or access in Cockpit now")
            }
            Decision::Deny(_) | Decision::SignIn(_) => {
                Some("the policy does not allow it any more")
            }
        }
    }

    /// The session as it is in force now, or why it is not.
    fn still_in_force(
        &self,
        session: Rc<Session>,
        is_active: bool,
        told_at: &mut Timestamp,
        env: &Env<'_>,
    ) -> Result<Rc<Session>, (Rc<Session>, &'static str)> {
        if !session.is_live(env.now) {
            return Err((session, "the session is over"));
        }
        let SessionStatus::Yes {
            session: mut newest,
            ..
        } = self.newest(Rc::clone(&session), env)
        else {
            return Err((session, "the session was ended"));
        };
        if let Some(idle) = self.config.session.idle.map(|idle| idle.as_secs()) {
            if is_active {
                newest = Rc::new(newest.seen(env.now));
                if env.now.since(*told_at) >= TELL_PAUSE.min(idle / IDLE_PART) {
                    *told_at = env.now;
                    activity::note(newest.name_of_use(), env.now, idle, env.shared);
                }
            }
            if self.silence(&newest, env).is_none() {
                return Err((newest, "nobody has used the session for too long"));
            }
        }
        if newest.is_stranded(env.now) {
            return Err((newest, STRANDED));
        }
        if !newest.answers(&self.terms) {
            return Err((
                newest,
                "the configuration asks for other claims, or for another proof of the address",
            ));
        }
        // Nobody waits here; what comes of it is seen at one of the next looks.
        let _ = self.refresh_when_due(&newest, env);
        Ok(newest)
    }
}

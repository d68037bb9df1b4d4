//! A stream that stays open: what its permission rested on, so that it can be asked for again.

use std::net::IpAddr;
use std::rc::Rc;

use crate::client_certificate::Shown;
use crate::env::Timestamp;
use crate::gate::Standing;
use crate::policy::Facts;
use crate::session::Session;
use crate::step::RouteNumber;

/// What the permission of an open stream rests on. Most streams are over before anybody looks at it.
#[derive(Debug)]
pub struct Watched {
    pub(crate) route: RouteNumber,
    pub(crate) session: Option<Rc<Session>>,
    method: String,
    path: String,
    preflight: bool,
    source: Option<IpAddr>,
    certificate: Shown,
    /// As whom the visitor is in Cockpit, on its routes.
    pub(crate) standing: Option<Standing>,
    /// The client has sent something since the last look.
    is_active: bool,
    /// When that was last told to others.
    pub(crate) told_at: Timestamp,
}

/// Whether a stream may stay open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// Yes.
    Keep,
    /// No: end it. One line for the log, without secrets.
    Close(String),
}

impl Watched {
    pub(crate) fn new(
        route: RouteNumber,
        facts: &Facts<'_>,
        session: Option<Rc<Session>>,
        certificate: &Shown,
    ) -> Self {
        Self {
            route,
            session,
            method: facts.method.to_owned(),
            path: facts.path.to_owned(),
            preflight: facts.preflight,
            source: facts.source,
            certificate: certificate.clone(),
            standing: None,
            is_active: false,
            told_at: facts.now,
        }
    }

    /// The same stream, in Cockpit as somebody.
    pub(crate) fn in_cockpit(self, standing: Option<Standing>) -> Self {
        Self { standing, ..self }
    }

    /// What the policy is asked about now.
    pub(crate) fn facts(&self, now: Timestamp) -> Facts<'_> {
        Facts {
            session: self.session.as_deref(),
            method: &self.method,
            path: &self.path,
            preflight: self.preflight,
            source: self.source,
            now,
            certificate: self.certificate.as_fact(),
        }
    }

    /// Notes that the client has sent so many bytes; `first` is asked for the first of them when that matters.
    ///
    /// Browsers answer pings by themselves: control frames (RFC 6455 section 5.5) are nobody's activity. A chunk of a
    /// longer message that looks like one is missed, and the next one counts.
    pub fn hear(&mut self, bytes: usize, first: impl FnOnce() -> Option<u8>) {
        /// Header, mask and content.
        const LONGEST_CONTROL_FRAME: usize = 2 + 4 + 125;
        if self.is_active || bytes == 0 {
            return;
        }
        let is_control = |first: u8| (0x88..=0x8f).contains(&first);
        self.is_active = bytes > LONGEST_CONTROL_FRAME || !first().is_some_and(is_control);
    }

    /// Whether the client has sent something since the last time that this was asked.
    pub(crate) const fn take_activity(&mut self) -> bool {
        std::mem::replace(&mut self.is_active, false)
    }
}

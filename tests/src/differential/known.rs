//! Differences that are there for a reason. `docs/differences.md` shows this table.

mod change;
mod table;

use super::generate::Place;
use super::observation::Outcome;
use super::request::{Conversation, Request};

pub use table::KNOWN;

/// Both proxies' outcomes of one request.
pub struct Pair<'a> {
    /// The request that was sent.
    pub request: &'a Request,
    /// Whether another request was sent together with it.
    pub is_pipelined: bool,
    /// The host's outcome.
    pub host: &'a Outcome,
    /// Envoy's outcome.
    pub envoy: &'a Outcome,
}

impl<'a> Pair<'a> {
    /// The outcomes of each request of a conversation, as far as both connections lasted.
    pub(crate) fn all(
        conversation: &'a Conversation,
        host: &'a [Outcome],
        envoy: &'a [Outcome],
    ) -> impl Iterator<Item = Self> {
        let requests = &conversation.requests;
        let is_sent_along = |place: usize| requests.get(place).is_some_and(|one| one.pipelined);
        let outcomes = host.iter().zip(envoy).enumerate();
        outcomes.map(move |(place, (host, envoy))| Self {
            request: &requests[place],
            is_pipelined: is_sent_along(place) || is_sent_along(place + 1),
            host,
            envoy,
        })
    }
}

/// How a difference is recognised.
pub(crate) enum Sign {
    /// The change takes this difference, and nothing else, out of an outcome of the request.
    Change(fn(&Request, Outcome) -> Outcome),
    /// The proxies part ways here: whatever else differs follows from it.
    Fork(fn(&Pair<'_>) -> bool),
}

/// A difference and its reason.
pub struct Known {
    /// The requests that it is about.
    pub what: &'static str,
    /// The host's behaviour.
    pub host: &'static str,
    /// Envoy's behaviour.
    pub envoy: &'static str,
    /// The reason.
    pub why: &'static str,
    pub(crate) sign: Sign,
    /// A conversation of which one request shows it, and no other differs before. `None` where timing decides whether it shows.
    pub(crate) example: Option<fn(&Place) -> Conversation>,
}

impl Known {
    /// The row of the table in `docs/differences.md`.
    #[must_use]
    pub fn row(&self) -> String {
        let Self {
            what,
            host,
            envoy,
            why,
            ..
        } = self;
        format!("| {what} | {host} | {envoy} | {why} |")
    }

    /// Whether this difference alone explains what differs.
    pub(crate) fn explains(&self, pair: &Pair<'_>) -> bool {
        match self.sign {
            Sign::Change(change) => {
                let of = |outcome: &Outcome| change(pair.request, outcome.clone());
                of(pair.host) == of(pair.envoy)
            }
            Sign::Fork(is_fork) => is_fork(pair),
        }
    }
}

/// Whether known differences, also several at once, explain what differs.
pub(crate) fn is_explained(pair: &Pair<'_>) -> bool {
    let Pair { request, .. } = *pair;
    let reduced = |outcome: &Outcome| {
        let changes = KNOWN.iter().filter_map(|known| match known.sign {
            Sign::Change(change) => Some(change),
            Sign::Fork(_) => None,
        });
        changes.fold(outcome.clone(), |outcome, change| change(request, outcome))
    };
    let (host, envoy) = (&reduced(pair.host), &reduced(pair.envoy));
    let reduced = Pair {
        host,
        envoy,
        ..*pair
    };
    let is_fork = |known: &Known| matches!(known.sign, Sign::Fork(_)) && known.explains(&reduced);
    host == envoy || KNOWN.iter().any(is_fork)
}

//! The decision about a hypothetical request and its reasons: the input of [`Gate::explain`](crate::gate::Gate::explain) and its
//! result.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::client_certificate::ClientCertificate;
use crate::time::Timestamp;

/// A hypothetical request.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The headers as a proxy provides them, with `:method`, `:path` and `:authority`.
    pub headers: &'a [(String, Vec<u8>)],
    /// The claims of the signed-in user as the provider states them (`sub`, `email`, …); `None` for an anonymous client.
    pub claims: Option<&'a Map<String, Value>>,
    /// The client's address.
    pub source: Option<IpAddr>,
    /// The time of the request.
    pub now: Timestamp,
    /// The client's certificate.
    pub certificate: ClientCertificate<'a>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The route; absent when there is none, or when the request is refused before.
    pub route: Option<ExplainedRoute>,
    /// The decision of the policy, or of what precedes it.
    pub decision: ExplainedDecision,
    /// The HTTP status that the client gets; 200 means the status of the upstream.
    pub status: u16,
    /// The reasons of the policy (`email-unauthorized`), or why no policy was evaluated (`bad-host`).
    pub reasons: Vec<&'static str>,
    /// The result in one sentence without a final period.
    pub summary: String,
    /// The terms of `allow`, one of which must hold.
    pub allow: Vec<ExplainedTerm>,
    /// The terms of `deny`, none of which may hold.
    pub deny: Vec<ExplainedTerm>,
    /// The Unix user in Cockpit, on a route with `cockpit`; absent elsewhere and for an anonymous client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cockpit: Option<ExplainedCockpit>,
}

/// The Unix user with which the user is logged in to Cockpit if the policy allows it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedCockpit {
    /// The Unix user; `null` when none is assigned, and then the request is refused.
    pub user: Option<String>,
    /// The key that determines the user: `users`, `user_claim` or `local_part_of`.
    pub by: Option<&'static str>,
    /// Whether Cockpit gives administrative access at login.
    pub administrator: bool,
}

/// The route of a request.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedRoute {
    /// The name.
    pub name: String,
    /// The id, see [`crate::config::Route::id`].
    pub id: String,
    /// The public address.
    pub from: String,
    /// Index in the list of all routes, from 0.
    pub index: usize,
}

/// The decision about a hypothetical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainedDecision {
    /// The request is forwarded.
    Allow,
    /// The request is refused.
    Deny,
    /// The user has to sign in first.
    Login,
}

impl ExplainedDecision {
    /// Returns the word for the decision in configurations, reports and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Login => "login",
        }
    }
}

/// One operator of a policy with its criteria.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedTerm {
    /// `and`, `or`, `not` or `nor`.
    pub operator: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The criteria.
    pub criteria: Vec<ExplainedCriterion>,
}

/// One criterion with its result.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedCriterion {
    /// The criterion as in the configuration, on one line: `email: {is: alice@example.com}`.
    pub criterion: String,
    /// Whether it holds.
    pub holds: bool,
    /// The reason.
    pub reason: String,
    /// The value that was compared, in words: `bob@example.com`, `10.0.0.7`.
    pub looked_at: String,
}

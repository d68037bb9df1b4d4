//! What would become of a request, and why: questions for [`Gate::explain`](crate::gate::Gate::explain) and its answers.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::client_certificate::ClientCertificate;
use crate::time::Timestamp;

/// A request that somebody wonders about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The headers as a body would show them, `:method`, `:path` and `:authority` among them.
    pub headers: &'a [(String, Vec<u8>)],
    /// The claims of the visitor who is signed in, as the provider gives them (`sub`, `email`, …); `None` when nobody is.
    pub claims: Option<&'a Map<String, Value>>,
    /// The client's address.
    pub source: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
    /// The client's certificate.
    pub certificate: ClientCertificate<'a>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The route; absent when there is none, or when the request does not get that far.
    pub route: Option<ExplainedRoute>,
    /// What the policy, or what came before it, says.
    pub decision: ExplainedDecision,
    /// HTTP status that the visitor gets; 200 stands for whatever the upstream answers.
    pub status: u16,
    /// The policy's reasons, in its own words (`email-unauthorized`); before any route, why none is asked (`bad-host`).
    pub reasons: Vec<&'static str>,
    /// What happens, in one sentence without final period.
    pub summary: String,
    /// The terms of `allow`, one of which must hold.
    pub allow: Vec<ExplainedTerm>,
    /// The terms of `deny`, none of which may hold.
    pub deny: Vec<ExplainedTerm>,
    /// As whom the visitor gets into Cockpit, on a route with `cockpit`; absent elsewhere, and when nobody is signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cockpit: Option<ExplainedCockpit>,
}

/// As whom a visitor gets into Cockpit, if the policy lets them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedCockpit {
    /// The Unix user; `null` when nothing names one, and then the visitor is refused.
    pub user: Option<String>,
    /// The key that names the user: `users`, `user_claim` or `local_part_of`.
    pub by: Option<&'static str>,
    /// Whether Cockpit gives administrative access at login.
    pub administrator: bool,
}

/// The route of a request.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedRoute {
    /// Its name.
    pub name: String,
    /// Its id, see [`crate::config::Route::id`].
    pub id: String,
    /// Its public address.
    pub from: String,
    /// Place in the list of all routes, from 0.
    pub index: usize,
}

/// Allowed, refused, or to be asked again after a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainedDecision {
    /// The upstream sees it.
    Allow,
    /// Refused.
    Deny,
    /// The visitor has to sign in first.
    Login,
}

/// One operator of a policy with its criteria.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedTerm {
    /// `and`, `or`, `not` or `nor`.
    pub operator: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Its criteria.
    pub criteria: Vec<ExplainedCriterion>,
}

/// One criterion with its result.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedCriterion {
    /// As in the file, on one line: `email: {is: alice@example.com}`.
    pub criterion: String,
    /// Whether it holds.
    pub holds: bool,
    /// Its reason.
    pub reason: String,
    /// What it looked at, in words: `bob@example.com`, `nobody is signed in`, `10.0.0.7`.
    pub looked_at: String,
}

//! One route: what it matches, where it leads and who may use it.

mod from;
mod path;
mod policy;
mod rewrite;
mod target;

pub use from::From;
pub use path::PathMatch;
pub use rewrite::{
    HeaderRewrite, HostHeader, PathRewrite, RequestHeaders, ResponseHeaders, Substitution,
};
pub use target::{Endpoint, FixedResponse, Redirect, RedirectPath, Target, UpstreamTls, Upstreams};

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::findings::{Findings, Place};
use super::keys;
use super::object::Object;
use crate::policy::Policy;
use policy::read_policy;

/// One entry of `routes`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Route {
    /// Sixteen hexadecimal digits made from what the route matches and where it leads; a change of policy keeps it.
    /// The value of [`crate::contract::ROUTE_HEADER`].
    pub id: String,
    /// `name`, or the `from` address when there is none: for logs and pages.
    pub name: String,
    /// The public address.
    pub from: From,
    /// Which paths.
    pub path: PathMatch,
    /// What becomes of permitted requests.
    pub target: Target,
    /// The `Host` that the upstream sees.
    pub host: HostHeader,
    /// The path that the upstream sees.
    pub rewrite: Option<PathRewrite>,
    /// Changes of the request's headers.
    pub request_headers: RequestHeaders,
    /// Changes of the answer's headers.
    pub response_headers: ResponseHeaders,
    /// Whether `Upgrade: websocket` may pass (`allow_websockets`).
    pub allow_websockets: bool,
    /// Whether the upstream is told who the visitor is (`pass_identity_headers`).
    pub pass_identity_headers: bool,
    /// Whether a refusal says why (`show_error_details`).
    pub show_error_details: bool,
    /// Who may use it.
    pub policy: Policy,
    /// How long the upstream may take to begin its answer (`timeout`, else `default_upstream_timeout`, else 30 seconds,
    /// and none with `allow_websockets`); `None` is for ever.
    pub timeout: Option<Duration>,
    /// How long a request and its answer may be silent (`idle_timeout`, else five minutes, and none with
    /// `allow_websockets`); `None` is for ever.
    pub idle_timeout: Option<Duration>,
}

/// How long an upstream may take to begin its answer when the file does not say, as in Pomerium.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request may be silent when the file does not say, as in Pomerium.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

impl Route {
    /// Reads one entry of `routes`.
    pub(crate) fn read(value: &Value, place: &Place, findings: &mut Findings) -> Option<Self> {
        let Value::Object(map) = value else {
            findings
                .problem(place, "a route must be an object")
                .help("write `from`, `to` and `policy`");
            return None;
        };
        let object = Object::open(map, place.clone(), keys::ROUTE, findings);
        let from = From::read(&object, findings);
        let path = PathMatch::read(&object, findings);
        let target = Target::read(&object, findings);
        let policy = read_policy(&object, findings);
        let allow_websockets = object.flag("allow_websockets", findings);
        let timeout = match object.duration("timeout", findings) {
            Some(Duration::ZERO) => None,
            Some(timeout) => Some(timeout),
            None if allow_websockets => None,
            None => Some(DEFAULT_TIMEOUT),
        };
        let name = object.text("name", findings);
        let host = if object.flag("preserve_host_header", findings) {
            HostHeader::Preserve
        } else {
            HostHeader::Upstream
        };
        let (from, path, target) = (from?, path?, target?);
        Some(Self {
            id: identify(&from, &path, &target),
            name: name.unwrap_or_else(|| from.authority()),
            from,
            path,
            target,
            host,
            rewrite: None,
            request_headers: RequestHeaders::default(),
            response_headers: ResponseHeaders::default(),
            policy,
            allow_websockets,
            pass_identity_headers: false,
            show_error_details: false,
            timeout,
            idle_timeout: (!allow_websockets).then_some(DEFAULT_IDLE_TIMEOUT),
        })
    }
}

/// Sixteen hexadecimal digits of what the route matches and where it leads.
fn identify(from: &From, path: &PathMatch, target: &Target) -> String {
    let text = format!("{from:?}\n{path:?}\n{target:?}");
    Sha256::digest(text.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

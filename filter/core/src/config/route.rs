//! One route: which requests it matches, its target and its policy.

mod cockpit;
mod from;
mod github_login;
mod headers;
mod number;
mod path;
mod pattern;
mod policy;
mod rewrite;
mod target;
mod unique;

pub(crate) use cockpit::LOGIN_HEADERS;
pub use cockpit::{CockpitSettings, FoundBy};
pub use from::From;
pub use headers::{HeaderRewrite, RequestHeaders, ResponseHeaders};
pub use number::RouteNumber;
pub use path::{PathMatch, PathPattern};
pub use rewrite::{HostHeader, PathRewrite, Substitution};
pub use target::{Endpoint, FixedResponse, Redirect, RedirectPath, Target, UpstreamTls, Upstreams};
pub(super) use unique::Known;

use std::time::Duration;

use serde_json::Value;

use crate::config::file_map::FileMap;
use crate::config::keys::ROUTE;
use crate::config::{BearerFormat, IssuerFormat};
use crate::diagnostics::{Findings, KeyPath};
use crate::policy::Policy;
use cockpit::{CockpitRoute, preserve_host};
use github_login::refuse_logins;
use policy::read_policy;

/// One item of `routes`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Route {
    /// Sixteen hexadecimal digits derived from what the route matches and from its target; a change of policy keeps them.
    /// This is the value of [`crate::contract::ROUTE_HEADER`].
    pub id: String,
    /// The name for logs and pages (`name`, else the host of `from`).
    pub name: String,
    /// The public address.
    pub from: From,
    /// The paths that the route serves.
    pub path: PathMatch,
    /// The target of permitted requests.
    pub target: Target,
    /// The `Host` that the upstream gets.
    pub host: HostHeader,
    /// The path that the upstream gets.
    pub rewrite: Option<PathRewrite>,
    /// Changes of the request's headers.
    pub request_headers: RequestHeaders,
    /// Changes of the response's headers.
    pub response_headers: ResponseHeaders,
    /// Whether WebSockets are allowed (`allow_websockets`).
    pub allow_websockets: bool,
    /// Whether the upstream gets the user's identity (`pass_identity_headers`).
    pub pass_identity_headers: bool,
    /// The issuer of assertions (`jwt_issuer_format`).
    pub issuer_format: IssuerFormat,
    /// Whether a refused user sees the reasons (`show_error_details`).
    pub show_error_details: bool,
    /// How a token in `Authorization: Bearer` is treated (`bearer_token_format`).
    pub bearer: BearerFormat,
    /// The policy that says who may use the route.
    pub policy: Policy,
    /// Single sign-on into Cockpit, the upstream (`cockpit`). Requests without a session then never reach the upstream, even
    /// if the policy would allow them.
    pub cockpit: Option<CockpitSettings>,
    /// How long the upstream may take to begin its response (`timeout`, else `default_upstream_timeout`, else 30 seconds; no
    /// limit with `allow_websockets`); `None` means no limit.
    pub timeout: Option<Duration>,
    /// How long a request and its response may be idle (`idle_timeout`, else five minutes; no limit with
    /// `allow_websockets`); `None` means no limit.
    pub idle_timeout: Option<Duration>,
}

/// The default of `timeout`, as in Pomerium.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The default of `idle_timeout`, as in Pomerium.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// The top-level keys that apply to all routes.
#[derive(Debug)]
pub(super) struct Common {
    /// `allow_upgrades`.
    pub(super) allow_websockets: bool,
    /// `default_upstream_timeout`.
    pub(super) timeout: Duration,
    pub(super) pass_identity_headers: bool,
    pub(super) issuer_format: IssuerFormat,
    pub(super) bearer: BearerFormat,
    pub(super) response_headers: ResponseHeaders,
    /// Whether client certificates are requested.
    pub(super) certificates_asked: bool,
    /// Whether every route refuses requests without a valid certificate.
    pub(super) deny_uncertified: bool,
    /// Whether users sign in at GitHub.
    pub(super) is_github: bool,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            allow_websockets: false,
            timeout: DEFAULT_TIMEOUT,
            pass_identity_headers: false,
            issuer_format: IssuerFormat::default(),
            bearer: BearerFormat::default(),
            response_headers: ResponseHeaders::default(),
            certificates_asked: false,
            deny_uncertified: false,
            is_github: false,
        }
    }
}

impl Route {
    /// Reads a route of a file without other keys.
    #[cfg(test)]
    pub(crate) fn read(value: &Value, key_path: &KeyPath, findings: &mut Findings) -> Option<Self> {
        Self::read_with(value, key_path, &Common::default(), findings)
    }

    /// Reads one item of `routes`.
    pub(super) fn read_with(
        value: &Value,
        key_path: &KeyPath,
        common: &Common,
        findings: &mut Findings,
    ) -> Option<Self> {
        let Value::Object(map) = value else {
            findings
                .problem(key_path, "a route must be a map")
                .help("write `from`, `to` and `policy`");
            return None;
        };
        let map = FileMap::open(map, key_path.clone(), ROUTE, findings);
        let from = From::read(&map, findings);
        let path = PathMatch::read(&map, findings);
        let read = Target::read(&map, findings);
        let own_rewrite = PathRewrite::read(&map, findings);
        let mut host = HostHeader::read(&map, findings);
        let request_headers = RequestHeaders::read(&map, findings);
        let response_headers = ResponseHeaders::read(&map, &common.response_headers, findings);
        let policy = read_policy(&map, common, findings);
        let mut cockpit = CockpitSettings::read(&map, findings);
        if common.is_github {
            refuse_logins(&map, &policy, cockpit.as_ref(), findings);
        }
        if cockpit.is_some() {
            host = preserve_host(host, &map, findings);
        }
        let upgrades = read_upgrades(&map, findings);
        let allow_websockets = map
            .optional_flag("allow_websockets", findings)
            .unwrap_or(common.allow_websockets)
            || upgrades
            || cockpit.is_some();
        let (timeout, idle_timeout) = read_timeouts(&map, common, allow_websockets, findings);
        let pass_identity_headers = map.optional_flag("pass_identity_headers", findings);
        let issuer_format = IssuerFormat::read(&map, findings);
        let bearer = BearerFormat::read(&map, findings);
        let show_error_details = map.flag("show_error_details", findings);
        let name = map.non_empty_string("name", findings);
        let (from, path, read) = (from?, path?, read?);
        let rewrite = own_rewrite.or_else(|| read.path.clone().map(PathRewrite::Prefix));
        warn_of_slashes(&path, rewrite.as_ref(), &map, findings);
        if let Some(cockpit) = &mut cockpit {
            cockpit.set_url_root(&path, &map, findings);
            let restricted = CockpitRoute {
                target: &read.target,
                rewrite: rewrite.as_ref(),
                headers: &request_headers,
            };
            restricted.check(&map, findings);
        }
        Some(Self {
            id: unique::identify(&from, &path, &read),
            name: name.unwrap_or_else(|| from.authority()),
            from,
            path,
            target: read.target,
            host,
            rewrite,
            request_headers,
            response_headers,
            allow_websockets,
            pass_identity_headers: pass_identity_headers.unwrap_or(common.pass_identity_headers),
            issuer_format: issuer_format.unwrap_or(common.issuer_format),
            bearer: bearer.unwrap_or(common.bearer),
            show_error_details,
            policy,
            cockpit,
            timeout,
            idle_timeout,
        })
    }
}

impl Route {
    /// Returns whether both routes have the same upstreams; all names of this machine are the same upstream.
    #[must_use]
    pub fn shares_upstreams_with(&self, other: &Self) -> bool {
        self.places() == other.places()
    }

    /// Returns the hosts and ports of the upstreams, with one name for this machine.
    fn places(&self) -> Vec<(String, u16)> {
        let upstreams = self.target.upstreams().into_iter();
        let origins = upstreams.flat_map(|upstreams| &upstreams.endpoints);
        origins
            .map(|Endpoint { origin, .. }| {
                let host = if origin.is_loopback() {
                    "localhost"
                } else {
                    &origin.host
                };
                (host.to_owned(), origin.port)
            })
            .collect()
    }

    /// Returns the policies that the route evaluates.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Policy> {
        let administrators = self.cockpit.as_ref().map(|cockpit| &cockpit.administrators);
        std::iter::once(&self.policy).chain(administrators)
    }

    /// Returns whether a user's email address decides about access or about the Unix user.
    pub(crate) fn asks_for_email(&self) -> bool {
        let cockpit = self.cockpit.as_ref();
        self.policy.asks_for_email() || cockpit.is_some_and(CockpitSettings::asks_for_email)
    }

    /// Returns whether claims, which a tenant's administrator can set, decide about access or about the Unix user.
    pub(crate) fn asks_for_claims(&self) -> bool {
        let cockpit = self.cockpit.as_ref();
        let user_claim = cockpit.and_then(|cockpit| cockpit.user_claim.as_ref());
        user_claim.is_some()
            || self
                .policies()
                .any(|policy| policy.claims().next().is_some())
    }

    /// Returns whether some decision of the route needs a session.
    #[must_use]
    pub fn asks_for_identity(&self) -> bool {
        self.cockpit.is_some() || self.policy.asks_for_identity()
    }
}

/// Returns whether `allow_upgrades`, a top-level key and a key of a route, lists `websocket`; other protocols are problems.
pub(super) fn read_upgrades(map: &FileMap<'_>, findings: &mut Findings) -> bool {
    let listed = map.strings("allow_upgrades", findings).unwrap_or_default();
    let key_path = map.path_of("allow_upgrades");
    let mut websocket = false;
    for (index, protocol) in listed.iter().enumerate() {
        if protocol.eq_ignore_ascii_case("websocket") {
            websocket = true;
        } else {
            findings
                .problem(
                    &key_path.item(index),
                    format!(
                        "upgrades to {} are not supported",
                        crate::diagnostics::quoted(protocol)
                    ),
                )
                .help("only `websocket` is supported; remove the others");
        }
    }
    websocket
}

/// Reads `timeout` and `idle_timeout`; zero means no limit.
fn read_timeouts(
    map: &FileMap<'_>,
    common: &Common,
    websockets: bool,
    findings: &mut Findings,
) -> (Option<Duration>, Option<Duration>) {
    let mut read = |key, default| {
        let limit = match map.duration(key, findings) {
            Some(limit) => limit,
            None if websockets => Duration::ZERO,
            None => default,
        };
        (!limit.is_zero()).then_some(limit)
    };
    (
        read("timeout", common.timeout),
        read("idle_timeout", DEFAULT_IDLE_TIMEOUT),
    )
}

/// Warns about rewrites that are surely not intended. A rewritten path is the replacement followed by the rest of the path:
/// no slash is added or removed between them, except at the beginning.
fn warn_of_slashes(
    path: &PathMatch,
    rewrite: Option<&PathRewrite>,
    map: &FileMap<'_>,
    findings: &mut Findings,
) {
    let Some(PathRewrite::Prefix(replacement)) = rewrite else {
        return;
    };
    let matched = match path {
        PathMatch::Any => "/",
        PathMatch::Prefix(prefix) => prefix,
        PathMatch::Exact(_) | PathMatch::Regex(_) => return,
    };
    // The root may replace a prefix without a slash too: a path never begins with two slashes.
    if replacement == "/" || matched.ends_with('/') == replacement.ends_with('/') {
        return;
    }
    let rest = if matched.ends_with('/') { "x" } else { "/x" };
    let key = if map.has("prefix_rewrite") {
        "prefix_rewrite"
    } else {
        "to"
    };
    findings
        .warning(
            &map.path_of(key),
            format!("the path `{matched}{rest}` becomes `{replacement}{rest}`"),
        )
        .help("end both `prefix` and its replacement with a slash, or neither");
}

//! One route: what it matches, where it leads and who may use it.

mod cockpit;
mod from;
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
use cockpit::preserve_host;
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
    /// What stands as `iss` of assertions (`jwt_issuer_format`).
    pub issuer_format: IssuerFormat,
    /// Whether a refusal says why (`show_error_details`).
    pub show_error_details: bool,
    /// What an `Authorization: Bearer` header stands for (`bearer_token_format`).
    pub bearer: BearerFormat,
    /// Who may use it.
    pub policy: Policy,
    /// Single sign-on into Cockpit, which is the upstream (`cockpit`). Visitors without a session then never reach it,
    /// whatever the policy says.
    pub cockpit: Option<CockpitSettings>,
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

/// What the top of the file says for all routes.
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
    /// Whether clients are asked for certificates.
    pub(super) certificates_asked: bool,
    /// Whether requests without a valid certificate are refused on every route.
    pub(super) deny_uncertified: bool,
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
        }
    }
}

impl Route {
    /// Reads an entry of a file that has nothing else.
    #[cfg(test)]
    pub(crate) fn read(value: &Value, key_path: &KeyPath, findings: &mut Findings) -> Option<Self> {
        Self::read_with(value, key_path, &Common::default(), findings)
    }

    /// Reads one entry of `routes`.
    pub(super) fn read_with(
        value: &Value,
        key_path: &KeyPath,
        common: &Common,
        findings: &mut Findings,
    ) -> Option<Self> {
        let Value::Object(map) = value else {
            findings
                .problem(key_path, "a route must be an object")
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
        let cockpit = CockpitSettings::read(&map, findings);
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
        let cockpit = cockpit.map(|cockpit| {
            let (target, rewrite) = (&read.target, rewrite.as_ref());
            cockpit.fit(&path, target, rewrite, &request_headers, &map, findings)
        });
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
    /// Whether both lead to the same servers, however this machine is called.
    #[must_use]
    pub fn shares_upstreams_with(&self, other: &Self) -> bool {
        self.places() == other.places()
    }

    /// Hosts and ports of the upstreams; this machine has one name.
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

    /// Everything that judges visitors of this route.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Policy> {
        let administrators = self.cockpit.as_ref().map(|cockpit| &cockpit.administrators);
        std::iter::once(&self.policy).chain(administrators)
    }

    /// Whether a user's email address decides who gets in, or as whom.
    pub(crate) fn asks_for_email(&self) -> bool {
        let cockpit = self.cockpit.as_ref();
        self.policy.asks_for_email() || cockpit.is_some_and(CockpitSettings::asks_for_email)
    }

    /// Whether claims that a tenant's administrator writes decide who gets in, or as whom.
    pub(crate) fn asks_for_claims(&self) -> bool {
        let cockpit = self.cockpit.as_ref();
        let user_claim = cockpit.and_then(|cockpit| cockpit.user_claim.as_ref());
        user_claim.is_some()
            || self
                .policies()
                .any(|policy| policy.claims().next().is_some())
    }

    /// Whether a visitor has to be signed in before anything of the route is decided or reached.
    #[must_use]
    pub fn asks_for_identity(&self) -> bool {
        self.cockpit.is_some() || self.policy.asks_for_identity()
    }
}

/// Whether `allow_upgrades`, at the top of the file or of a route, lists `websocket`; it can list nothing else.
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
                        "upgrades to {} cannot be allowed",
                        crate::diagnostics::quoted(protocol)
                    ),
                )
                .help("only `websocket` is passed on; take the others out");
        }
    }
    websocket
}

/// `timeout` and `idle_timeout`, without limit where they are zero.
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

/// Warns of paths that are surely not meant. A rewritten path is what was matched, replaced, and the rest: nothing adds a
/// slash between them or takes one out, but at the beginning.
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
    // The root takes the place of a prefix without a slash too: a path never begins with two.
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
        .help("end both `prefix` and what replaces it with a slash, or neither");
}

//! One route: what it matches, where it leads and who may use it.

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::findings::{Findings, Place};
use super::object::Object;
use super::{Origin, keys};
use crate::path::canonical;
use crate::policy::{Criterion, Policy};

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
    /// Where permitted requests go.
    pub upstream: Upstream,
    /// Whether `Upgrade: websocket` may pass (`allow_websockets`).
    pub allow_websockets: bool,
    /// Whether the upstream sees the public host name in `Host`; otherwise it sees its own (`preserve_host_header`).
    pub preserve_host_header: bool,
    /// Who may use it.
    pub policy: Policy,
    /// How long the upstream may take to begin its answer; `None` is for ever. Default 30 seconds, and none with
    /// `allow_websockets`.
    pub timeout: Option<Duration>,
}

/// Public address of a route (`from`), always `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// Host in lower case, without wildcards.
    pub host: String,
    /// The port, when `from` names one; without it any port matches.
    pub port: Option<u16>,
}

impl From {
    /// The `Host` header values browsers send for this address start with this: `host[:port]`, the port only when given.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) if port != 443 => format!("{}:{port}", self.host),
            _ => self.host.clone(),
        }
    }
}

/// Which paths a route serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Every path.
    Any,
    /// This path exactly (`path`).
    Exact(String),
    /// Paths that begin with this text (`prefix`).
    Prefix(String),
}

/// Where a route's requests go (`to`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upstream {
    /// Scheme, host and port.
    pub origin: Origin,
    /// Whether the upstream's certificate is not checked (`tls_skip_verify`).
    pub tls_skip_verify: bool,
    /// PEM file of the authority that signs the upstream's certificate (`tls_custom_ca_file`).
    pub tls_custom_ca_file: Option<String>,
}

/// How long an upstream may take to begin its answer when the file does not say, as in Pomerium.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

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
        let upstream = Upstream::read(&object, findings);
        let policy = read_policy(&object, findings);
        let allow_websockets = object.flag("allow_websockets", findings);
        let timeout = match object.duration("timeout", findings) {
            Some(Duration::ZERO) => None,
            Some(timeout) => Some(timeout),
            None if allow_websockets => None,
            None => Some(DEFAULT_TIMEOUT),
        };
        let name = object.text("name", findings);
        let preserve_host_header = object.flag("preserve_host_header", findings);
        let (from, path, upstream) = (from?, path?, upstream?);
        Some(Self {
            id: identify(&from, &path, &upstream),
            name: name.unwrap_or_else(|| from.authority()),
            from,
            path,
            upstream,
            policy,
            allow_websockets,
            preserve_host_header,
            timeout,
        })
    }
}

impl From {
    fn read(object: &Object<'_>, findings: &mut Findings) -> Option<Self> {
        let place = object.place_of("from");
        let Some(text) = object.text("from", findings) else {
            findings
                .problem(&place, "`from` is missing")
                .help("write for example `from: https://app.example.com`");
            return None;
        };
        if text.contains('*') {
            findings
                .problem(
                    &place,
                    "wildcards in `from` are not supported by this version",
                )
                .help("write one route per host");
            return None;
        }
        let Some((url, origin)) = Url::parse(&text)
            .ok()
            .and_then(|url| Origin::of(&url).map(|origin| (url, origin)))
        else {
            findings
                .problem(&place, format!("`{text}` is not a web address"))
                .help("write for example `https://app.example.com`");
            return None;
        };
        if !origin.tls {
            findings
                .problem(
                    &place,
                    "`from` must be an `https://` address: session cookies are only safe there",
                )
                .help(format!("write `https://{}`", origin.authority()));
            return None;
        }
        if url.path() != "/"
            || text.ends_with('/')
            || url.query().is_some()
            || url.fragment().is_some()
        {
            findings
                .problem(&place, "`from` must not have a path, a query or a fragment")
                .help(format!(
                    "write `{origin}`, and the path as `path` or `prefix`"
                ));
            return None;
        }
        Some(Self {
            host: origin.host,
            port: url.port(),
        })
    }

    /// Whether a request for this host and port is meant.
    #[must_use]
    pub fn serves(&self, host: &str, port: u16) -> bool {
        self.host == host && self.port.is_none_or(|own| own == port)
    }
}

impl PathMatch {
    fn read(object: &Object<'_>, findings: &mut Findings) -> Option<Self> {
        let before = findings.problem_count();
        let exact = object.text("path", findings);
        let prefix = object.text("prefix", findings);
        for (key, text) in [("path", &exact), ("prefix", &prefix)] {
            if let Some(text) = text
                && canonical(text).as_deref() != Ok(text.as_str())
            {
                findings
                    .problem(
                        &object.place_of(key),
                        format!("`{text}` is not a path in its plain form, so it never matches"),
                    )
                    .help("begin with `/`, without `.` segments, `//`, `?` or needless escapes");
            }
        }
        if findings.problem_count() > before {
            return None;
        }
        Some(match (exact, prefix) {
            (Some(exact), _) => Self::Exact(exact),
            (None, Some(prefix)) if prefix != "/" => Self::Prefix(prefix),
            _ => Self::Any,
        })
    }

    /// Whether a canonical path, without its query, is meant.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }
}

impl Upstream {
    fn read(object: &Object<'_>, findings: &mut Findings) -> Option<Self> {
        let place = object.place_of("to");
        let text = match object.texts("to", findings) {
            Some(addresses) if addresses.len() == 1 => addresses.into_iter().next(),
            Some(_) => {
                findings
                    .problem(
                        &place,
                        "several upstreams in `to` are not supported by this version",
                    )
                    .help("name one");
                return None;
            }
            None => None,
        };
        let Some(text) = text else {
            findings
                .problem(&place, "`to` is missing")
                .help("write for example `to: http://localhost:9090`");
            return None;
        };
        let parsed = Url::parse(&text)
            .ok()
            .and_then(|url| Origin::of(&url).map(|origin| (url, origin)));
        let Some((url, origin)) = parsed else {
            findings
                .problem(&place, format!("`{text}` is not an address of an upstream"))
                .help("write for example `http://localhost:9090` or `https://10.0.0.5`");
            return None;
        };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            findings
                .problem(&place, "a path in `to` is not supported by this version")
                .help(format!("write `{origin}`"));
            return None;
        }
        Some(Self {
            origin,
            tls_skip_verify: object.flag("tls_skip_verify", findings),
            tls_custom_ca_file: object.text("tls_custom_ca_file", findings),
        })
    }
}

/// The route's own policy, with Pomerium's older keys as one more `allow` rule, in Pomerium's order.
fn read_policy(object: &Object<'_>, findings: &mut Findings) -> Policy {
    let public = object.flag("allow_public_unauthenticated_access", findings);
    let anybody = object.flag("allow_any_authenticated_user", findings);
    let domains = object
        .texts("allowed_domains", findings)
        .unwrap_or_default();
    let users = object.texts("allowed_users", findings).unwrap_or_default();
    let listed = !domains.is_empty() || !users.is_empty();
    if public && (anybody || listed) {
        findings
            .problem(
                &object.place_of("allow_public_unauthenticated_access"),
                "a public route with a list of who may enter",
            )
            .help("keep one of the two");
    }
    if anybody && listed {
        findings
            .problem(
                &object.place_of("allow_any_authenticated_user"),
                "a route for anybody with a list of who may enter",
            )
            .help("keep one of the two");
    }
    let mut policy = match object.value("policy") {
        Some(value) => Policy::read(value, &object.place_of("policy"), findings),
        None => Policy::default(),
    };
    let mut criteria = Vec::new();
    criteria.extend(public.then_some(Criterion::Accept));
    criteria.extend(
        object
            .flag("cors_allow_preflight", findings)
            .then_some(Criterion::CorsPreflight),
    );
    criteria.extend(anybody.then_some(Criterion::AuthenticatedUser));
    criteria.extend(domains.iter().map(|domain| Criterion::domain_is(domain)));
    criteria.extend(read_idp_claims(object, findings));
    criteria.extend(
        users
            .iter()
            .flat_map(|user| [Criterion::user_is(user), Criterion::email_is(user)]),
    );
    policy.allow_any_of(criteria);
    if policy == Policy::default() {
        findings
            .warning(object.place(), "no policy: nobody may use this route")
            .help("add `policy:` with an `allow` rule");
    }
    policy
}

/// `allowed_idp_claims`: names with a value, a list of values, or further names below them. Any one of them is enough.
fn read_idp_claims(object: &Object<'_>, findings: &mut Findings) -> Vec<Criterion> {
    let mut criteria = Vec::new();
    match object.value("allowed_idp_claims") {
        None => {}
        Some(Value::Object(claims)) => collect_claims("", claims, &mut criteria),
        Some(_) => {
            findings
                .problem(
                    &object.place_of("allowed_idp_claims"),
                    "`allowed_idp_claims` takes an object",
                )
                .help("write `{groups: [admins, staff]}`");
        }
    }
    criteria
}

fn collect_claims(prefix: &str, claims: &Map<String, Value>, criteria: &mut Vec<Criterion>) {
    for (key, value) in claims {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Object(nested) => collect_claims(&name, nested, criteria),
            Value::Array(values) => {
                criteria.extend(
                    values
                        .iter()
                        .map(|value| Criterion::claim_has(&name, value)),
                );
            }
            single => criteria.push(Criterion::claim_has(&name, single)),
        }
    }
}

/// Sixteen hexadecimal digits of what the route matches and where it leads.
fn identify(from: &From, path: &PathMatch, upstream: &Upstream) -> String {
    let text = format!("{from:?}\n{path:?}\n{}", upstream.origin);
    Sha256::digest(text.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

//! Reads `to` of a route.

use serde_json::Value;
use url::Url;

use super::UpstreamTls;
use crate::config::Origin;
use crate::config::file_map::FileMap;
use crate::diagnostics::{Findings, KeyPath, quoted};

/// The upstreams of a route. Requests are distributed over them by weight.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Upstreams {
    /// Never empty; all with the same scheme.
    pub endpoints: Vec<Endpoint>,
    /// The TLS settings for upstreams whose scheme is `https`.
    pub tls: UpstreamTls,
}

/// One upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port.
    pub origin: Origin,
    /// The share of the requests, relative to the other weights; at least 1.
    pub weight: u32,
}

/// The most upstreams of one route; more of them are the job of a load balancer.
const MAX_ENDPOINTS: usize = 256;
/// The largest weight. The sum of all weights must fit in 32 bits (Envoy).
const MAX_WEIGHT: u32 = 1_000_000;

/// One URL in the file.
struct Address {
    key_path: KeyPath,
    url: Url,
    origin: Origin,
    weight: Option<u32>,
}

impl Upstreams {
    /// Reads the upstreams, and the path of the first URL.
    pub(super) fn read(
        map: &FileMap<'_>,
        findings: &mut Findings,
    ) -> Option<(Self, Option<String>)> {
        let before = findings.problem_count();
        let key_path = map.path_of("to");
        let mut texts = Vec::new();
        if let Some(value) = map.value("to") {
            flatten(value, &key_path, &mut texts, findings);
        }
        let tls = UpstreamTls::read(map, findings);
        let addresses: Vec<Address> = texts
            .iter()
            .filter_map(|written| Address::read(written, findings))
            .collect();
        check_number(addresses.len(), before, &key_path, findings);
        check_weights(&addresses, &key_path, findings);
        check_schemes(&addresses, &tls, map, findings);
        let path = first_path(&addresses, map, findings);
        let endpoints: Vec<Endpoint> = addresses
            .into_iter()
            .map(|address| Endpoint {
                origin: address.origin,
                weight: address.weight.unwrap_or(1),
            })
            .collect();
        (!endpoints.is_empty()).then_some((Self { endpoints, tls }, path))
    }
}

/// A URL and its weight, as strings.
struct Written {
    key_path: KeyPath,
    address: String,
    weight: Option<String>,
}

/// Reads strings, lists, and lists in lists; a number after a comma is the weight of the URL before it.
fn flatten(value: &Value, key_path: &KeyPath, texts: &mut Vec<Written>, findings: &mut Findings) {
    match value {
        Value::String(text) => {
            let mut parts = text.split(',').map(str::trim).peekable();
            while let Some(address) = parts.next() {
                let is_weight = |part: &&str| {
                    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
                };
                let weight = parts.next_if(is_weight).map(str::to_owned);
                if !address.is_empty() {
                    texts.push(Written {
                        key_path: key_path.clone(),
                        address: address.to_owned(),
                        weight,
                    });
                }
            }
        }
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                flatten(item, &key_path.item(index), texts, findings);
            }
        }
        _ => findings.problem(key_path, "an upstream must be a string").help(
            "write for example `http://10.0.0.1:9090`, or `http://10.0.0.1:9090,3` with a weight",
        ),
    }
}

impl Address {
    fn read(written: &Written, findings: &mut Findings) -> Option<Self> {
        let (text, key_path) = (&written.address, &written.key_path);
        let (scheme, _) = text.split_once(':').unwrap_or_default();
        if let Some((problem, help)) = objection(&scheme.to_ascii_lowercase()) {
            findings.problem(key_path, problem).help(help);
            return None;
        }
        let parsed = Url::parse(text)
            .ok()
            .filter(|_| text.contains("://"))
            .and_then(|url| Origin::of(&url).map(|origin| (url, origin)))
            .filter(|(_, origin)| !origin.host.contains('*'));
        let Some((url, origin)) = parsed else {
            findings
                .problem(
                    key_path,
                    format!("{} is not the URL of an upstream", quoted(text)),
                )
                .help("write for example `http://localhost:9090` or `https://10.0.0.5`");
            return None;
        };
        if url.query().is_some() || url.fragment().is_some() {
            findings
                .problem(
                    key_path,
                    "the URL of an upstream must not have a query or a fragment",
                )
                .help(format!("write `{origin}`"));
            return None;
        }
        let weight = match &written.weight {
            None => None,
            Some(digits) => Some(read_weight(digits, key_path, findings)?),
        };
        Some(Self {
            key_path: key_path.clone(),
            url,
            origin,
            weight,
        })
    }
}

/// Returns why a scheme is not supported, and what to write instead.
fn objection(scheme: &str) -> Option<(&'static str, &'static str)> {
    match scheme {
        "h2c" => Some((
            "HTTP/2 to upstreams needs TLS",
            "write `https://` or `http://`",
        )),
        "unix" | "http+unix" | "https+unix" => Some((
            "upstreams on Unix sockets are not supported",
            "let the upstream listen on `127.0.0.1`, and write that URL",
        )),
        "tcp" | "udp" | "ssh" => Some((
            "upstreams must be web applications: other protocols are not supported",
            "remove the route",
        )),
        _ => None,
    }
}

fn read_weight(digits: &str, key_path: &KeyPath, findings: &mut Findings) -> Option<u32> {
    let weight = digits.parse().ok().filter(|weight| *weight <= MAX_WEIGHT);
    match weight {
        Some(0) => {
            findings
                .problem(key_path, "an upstream with weight 0 gets no requests")
                .help("remove it, or set a weight of at least 1");
            None
        }
        Some(weight) => Some(weight),
        None => {
            findings
                .problem(key_path, format!("weights are at most {MAX_WEIGHT}"))
                .help("only their proportion matters");
            None
        }
    }
}

fn check_number(count: usize, before: usize, key_path: &KeyPath, findings: &mut Findings) {
    if count == 0 && findings.problem_count() == before {
        findings
            .problem(key_path, "`to` has no upstream")
            .help("write for example `to: http://localhost:9090`");
    }
    if count > MAX_ENDPOINTS {
        findings
            .problem(
                key_path,
                format!("{count} upstreams are more than {MAX_ENDPOINTS}"),
            )
            .help("put a load balancer in front of them");
    }
}

fn check_weights(addresses: &[Address], key_path: &KeyPath, findings: &mut Findings) {
    let weighted = addresses.iter().filter(|a| a.weight.is_some()).count();
    if weighted != 0 && weighted != addresses.len() {
        findings
            .problem(key_path, "some upstreams have a weight and some have none")
            .help("give each one a weight, or none");
    }
}

fn check_schemes(
    addresses: &[Address],
    tls: &UpstreamTls,
    map: &FileMap<'_>,
    findings: &mut Findings,
) {
    let Some((first, rest)) = addresses.split_first() else {
        return;
    };
    if let Some(other) = rest.iter().find(|a| a.origin.tls != first.origin.tls) {
        findings
            .problem(
                &other.key_path,
                "the upstreams of a route must be all `http` or all `https`",
            )
            .help(format!(
                "write `{}://`, or a second route",
                first.origin.scheme()
            ));
    } else if !first.origin.tls && *tls != UpstreamTls::default() {
        let keys = [
            "tls_skip_verify",
            "tls_upstream_server_name",
            "tls_server_name",
            "tls_custom_ca",
            "tls_custom_ca_file",
            "tls_client_cert",
            "tls_client_cert_file",
        ];
        let key = keys.into_iter().find(|key| map.has(key));
        let key = key.unwrap_or("tls_skip_verify");
        findings
            .warning(
                &map.path_of(key),
                format!("`{key}` has no effect for an upstream without TLS"),
            )
            .help("write `https://` in `to`, or remove it");
    }
}

/// Returns the path of the first URL, which means `prefix_rewrite`. A single slash is no path: many URLs without a path are
/// written with it.
fn first_path(addresses: &[Address], map: &FileMap<'_>, findings: &mut Findings) -> Option<String> {
    let (first, rest) = addresses.split_first()?;
    if let Some(other) = rest.iter().find(|a| a.url.path() != first.url.path()) {
        findings
            .warning(
                &other.key_path,
                "this path has no effect: the path of the first upstream applies to all",
            )
            .help("write the path as `prefix_rewrite`");
    }
    let path = first.url.path();
    if path == "/" {
        return None;
    }
    let rewritten = ["prefix_rewrite", "regex_rewrite_pattern"]
        .into_iter()
        .find(|key| map.has(key));
    if let Some(key) = rewritten {
        findings
            .warning(
                &first.key_path,
                format!("the path in `to` has no effect next to `{key}`"),
            )
            .help("keep one of them");
        return None;
    }
    crate::config::route::rewrite::is_plain(path, &first.key_path, findings)
        .then(|| path.to_owned())
}

//! Changes of the headers of a request and of its response. The module makes them, identically in every proxy.

use crate::config::file_map::FileMap;
use crate::config::header_name::{Wish, check_value, read_name};
use crate::config::keys::HEADER_REWRITE;
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::http::template::Template;

/// Changes of the headers that the upstream sees.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestHeaders {
    /// Headers to set, by lower-case name; takes precedence over `remove` (`set_request_headers`).
    pub set: Vec<(String, Template)>,
    /// Headers to remove, by lower-case name (`remove_request_headers`).
    pub remove: Vec<String>,
}

/// Changes of the headers of the upstream's response.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResponseHeaders {
    /// Headers to set, by lower-case name (`set_response_headers`, the route's over the top-level key's).
    pub set: Vec<(String, String)>,
    /// Headers to set when the upstream did not, by lower-case name: Pomerium's defaults when the key is absent.
    pub defaults: Vec<(String, String)>,
    /// Prefixes of values to replace (`rewrite_response_headers`).
    pub rewrite: Vec<HeaderRewrite>,
}

/// Replaces the prefix of a header's value, if the value has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRewrite {
    /// The name of the header, in lower case.
    pub header: String,
    /// The prefix.
    pub prefix: String,
    /// The replacement.
    pub value: String,
}

impl RequestHeaders {
    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Self {
        let set = read_set(map, "set_request_headers", Wish::SetRequest, findings)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| {
                let template = Template::parse(&value);
                let key_path = map.path_of("set_request_headers").key(&name);
                check_references(&template, &key_path, findings);
                (name, template)
            })
            .collect();
        let key_path = map.path_of("remove_request_headers");
        let remove = map
            .strings("remove_request_headers", findings)
            .unwrap_or_default()
            .iter()
            .enumerate()
            .filter_map(|(index, name)| {
                read_name(name, Wish::RemoveRequest, &key_path.item(index), findings)
            })
            .collect();
        Self { set, remove }
    }
}

/// Warns about unknown references, which are replaced by the empty string, as in Pomerium. References to tokens are
/// problems.
fn check_references(template: &Template, key_path: &KeyPath, findings: &mut Findings) {
    for name in template.unknown_references() {
        if matches!(name, "pomerium.access_token" | "pomerium.id_token") {
            findings
                .problem(
                    key_path,
                    format!("`{name}` is not supported: sessions keep no tokens of the provider"),
                )
                .help("let the upstream verify the assertion, `${pomerium.jwt}`");
        } else {
            findings
                .warning(
                    key_path,
                    format!(
                        "unknown reference {}, which is replaced by the empty string",
                        quoted(name)
                    ),
                )
                .help("write for example `${pomerium.jwt}`, or `$$` for a dollar sign");
        }
    }
}

impl ResponseHeaders {
    /// Reads the route's changes, over `common`, those of the top-level key.
    pub(super) fn read(map: &FileMap<'_>, common: &Self, findings: &mut Findings) -> Self {
        let own = SetResponse::read(map, findings);
        let (mut set, mut defaults) = match own {
            Some(SetResponse::Disable) => (Vec::new(), Vec::new()),
            _ => (common.set.clone(), common.defaults.clone()),
        };
        if let Some(SetResponse::Set(own)) = own {
            let replaced = |name: &String| own.iter().any(|(known, _)| known == name);
            set.retain(|(name, _)| !replaced(name));
            defaults.retain(|(name, _)| !replaced(name));
            set.extend(own);
        }
        Self {
            set,
            defaults,
            rewrite: read_rewrites(map, findings),
        }
    }

    /// Reads the top-level `set_response_headers`; Pomerium's defaults when the key is absent.
    pub(in crate::config) fn common(
        file: &FileMap<'_>,
        tls: bool,
        findings: &mut Findings,
    ) -> Self {
        let mut headers = Self::default();
        match SetResponse::read(file, findings) {
            Some(SetResponse::Set(set)) => headers.set = set,
            Some(SetResponse::Disable) => {}
            None => headers.defaults = defaults(tls),
        }
        headers
    }
}

/// Returns Pomerium's defaults. Strict-Transport-Security is set only by a listener with TLS. X-XSS-Protection is left out:
/// browsers have removed the feature, which attacks could use.
fn defaults(tls: bool) -> Vec<(String, String)> {
    let framing = ("x-frame-options", "SAMEORIGIN");
    let transport = (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains; preload",
    );
    std::iter::once(framing)
        .chain(tls.then_some(transport))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The value of `set_response_headers`.
enum SetResponse {
    /// No headers, including those of the top-level key (`disable: true`).
    Disable,
    /// These headers.
    Set(Vec<(String, String)>),
}

impl SetResponse {
    fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        const KEY: &str = "set_response_headers";
        let mut set = read_set(map, KEY, Wish::SetResponse, findings)?;
        let Some(position) = set.iter().position(|(name, _)| name == "disable") else {
            return Some(Self::Set(set));
        };
        let key_path = map.path_of(KEY).key("disable");
        let (_, value) = set.swap_remove(position);
        if !value.eq_ignore_ascii_case("true") {
            findings
                .problem(&key_path, "`disable` must be `true`")
                .help("remove it to keep the headers");
        } else if !set.is_empty() {
            findings
                .warning(&key_path, "`disable` clears the headers next to it too")
                .help("remove them, or remove `disable`");
        }
        Some(Self::Disable)
    }
}

fn read_rewrites(map: &FileMap<'_>, findings: &mut Findings) -> Vec<HeaderRewrite> {
    map.maps_below("rewrite_response_headers", HEADER_REWRITE, findings)
        .iter()
        .filter_map(|entry| read_rewrite(entry, findings))
        .collect()
}

fn read_rewrite(entry: &FileMap<'_>, findings: &mut Findings) -> Option<HeaderRewrite> {
    let name = entry.non_empty_string("header", findings);
    if name.is_none() {
        findings
            .problem(entry.key_path(), "each item needs `header`")
            .help("write for example `header: Location`");
    }
    let key_path = entry.path_of("header");
    let header = read_name(&name?, Wish::RewriteResponse, &key_path, findings);
    let prefix = entry.string("prefix", findings).unwrap_or_default();
    let value = entry.string("value", findings).unwrap_or_default();
    check_value(&value, &entry.path_of("value"), findings);
    Some(HeaderRewrite {
        header: header?,
        prefix,
        value,
    })
}

/// Reads names and values of headers, each name once.
fn read_set(
    map: &FileMap<'_>,
    key: &str,
    wish: Wish,
    findings: &mut Findings,
) -> Option<Vec<(String, String)>> {
    let written_headers = map.string_map(key, findings)?;
    let key_path = map.path_of(key);
    let mut set: Vec<(String, String)> = Vec::with_capacity(written_headers.len());
    let mut names = std::collections::BTreeSet::new();
    for (written, value) in written_headers {
        let key_path = key_path.key(&written);
        let Some(name) = read_name(&written, wish, &key_path, findings) else {
            continue;
        };
        if !check_value(&value, &key_path, findings) {
            continue;
        }
        if !names.insert(name.clone()) {
            findings
                .problem(
                    &key_path,
                    format!("duplicate key `{written}` (keys are case-insensitive)"),
                )
                .help("keep one of them");
            continue;
        }
        set.push((name, value));
    }
    Some(set)
}

//! Reads `redirect` of a route.

use crate::config::file_map::FileMap;
use crate::config::keys::REDIRECT;
use crate::config::route::rewrite::{is_authority, is_plain, read_path};
use crate::diagnostics::{Findings, quoted};

/// A redirect to the URL of the request with these parts replaced (`redirect`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// `https` or another scheme (`https_redirect`, else `scheme_redirect`).
    pub scheme: Option<String>,
    /// Host (`host_redirect`).
    pub host: Option<String>,
    /// Port (`port_redirect`).
    pub port: Option<u16>,
    /// The path.
    pub path: RedirectPath,
    /// 301, 302, 303, 307 or 308 (`response_code`).
    pub status: u16,
    /// Whether the query is dropped (`strip_query`).
    pub strip_query: bool,
}

/// The path of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectPath {
    /// The path of the request.
    Keep,
    /// This path (`path_redirect`); a query in it replaces the request's.
    Replace(String),
    /// The path of the request with the matched prefix replaced by this (`prefix_rewrite`).
    Prefix(String),
}

/// The default status, as in Pomerium.
const DEFAULT_STATUS: u16 = 301;
/// The statuses of redirects (RFC 9110 section 15.4).
const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

impl Redirect {
    pub(super) fn read(route: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        let map = route.map_below("redirect", REDIRECT, findings)?;
        let scheme = read_scheme(&map, findings);
        let https = map.flag("https_redirect", findings);
        let port = map
            .integer("port_redirect", 0, u32::from(u16::MAX), findings)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0);
        let redirect = Self {
            scheme: if https {
                Some("https".to_owned())
            } else {
                scheme
            },
            host: read_host(&map, findings),
            port,
            path: RedirectPath::read(&map, findings),
            status: read_status(&map, findings),
            strip_query: map.flag("strip_query", findings),
        };
        let elsewhere = redirect.host.is_some()
            || redirect.port.is_some()
            || redirect.path != RedirectPath::Keep
            || redirect
                .scheme
                .as_ref()
                .is_some_and(|scheme| scheme != "https");
        if !elsewhere {
            findings
                .warning(
                    map.key_path(),
                    "the redirect leads back to the same URL in an endless loop",
                )
                .help("add `host_redirect`, `path_redirect` or `prefix_rewrite`");
        }
        Some(redirect)
    }
}

impl RedirectPath {
    fn read(map: &FileMap<'_>, findings: &mut Findings) -> Self {
        let replacement = map.non_empty_string("path_redirect", findings);
        let replacement = replacement.filter(|text| {
            let (path, query) = crate::http::path::split_query(text);
            let key_path = map.path_of("path_redirect");
            let fits = is_plain(path, &key_path, findings);
            let query = query.unwrap_or_default();
            if !query
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#')
            {
                findings
                    .problem(&key_path, format!("{} is not a query", quoted(query)))
                    .help("percent-encode it, for example `%20` for a space");
            }
            fits
        });
        let prefix = read_path(map, "prefix_rewrite", findings);
        match (replacement, prefix) {
            (Some(path), _) => Self::Replace(path),
            (None, Some(prefix)) => Self::Prefix(prefix),
            (None, None) => Self::Keep,
        }
    }
}

fn read_scheme(map: &FileMap<'_>, findings: &mut Findings) -> Option<String> {
    let text = map.non_empty_string("scheme_redirect", findings)?;
    let lower = text.to_ascii_lowercase();
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let fits = lower.starts_with(|c: char| c.is_ascii_lowercase()) && lower.bytes().all(letter);
    if !fits {
        findings
            .problem(
                &map.path_of("scheme_redirect"),
                format!("{} is not a scheme", quoted(&text)),
            )
            .help("write `https`");
    }
    fits.then_some(lower)
}

fn read_host(map: &FileMap<'_>, findings: &mut Findings) -> Option<String> {
    let text = map.non_empty_string("host_redirect", findings)?;
    let without_port = text.ends_with(']') || !text.contains(':');
    let fits = without_port && is_authority(&text);
    if !fits {
        findings
            .problem(
                &map.path_of("host_redirect"),
                format!("{} is not a host", quoted(&text)),
            )
            .help("write for example `app.example.com`, and a port as `port_redirect`");
    }
    fits.then(|| text.to_ascii_lowercase())
}

fn read_status(map: &FileMap<'_>, findings: &mut Findings) -> u16 {
    let Some(number) = map.integer("response_code", 0, 999, findings) else {
        return DEFAULT_STATUS;
    };
    let status = u16::try_from(number).ok();
    match status.filter(|status| STATUSES.contains(status)) {
        Some(status) => status,
        None if number == 0 => DEFAULT_STATUS,
        None => {
            findings
                .problem(
                    &map.path_of("response_code"),
                    format!("{number} is not the status of a redirect"),
                )
                .help("write 301, 302, 303, 307 or 308");
            DEFAULT_STATUS
        }
    }
}

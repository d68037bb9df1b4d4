//! The public address of a route.

use url::Url;

use crate::config::Origin;
use crate::config::file_map::FileMap;
use crate::diagnostics::{Findings, KeyPath, quoted};

/// The longest host: DNS has no longer names, and a wildcard adds little.
const MAX_HOST: usize = 255;

/// The public address of a route (`from`), always with `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// The host in lower case. Each `*` in it stands for any characters, dots included.
    pub host: String,
    /// The port, if `from` has one; otherwise the route serves 443 and the listener's port.
    pub port: Option<u16>,
}

impl From {
    /// Returns `host[:port]`, as in browsers' `Host` headers for this address; the port only if `from` has one.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) if port != 443 => format!("{}:{port}", self.host),
            _ => self.host.clone(),
        }
    }

    /// Returns whether the host is a pattern for more than one host.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.host.contains('*')
    }

    /// Returns whether a host in lower case matches. Takes time in proportion to both lengths.
    #[must_use]
    pub fn fits(&self, host: &str) -> bool {
        fits(&self.host, host)
    }

    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        let key_path = map.path_of("from");
        let Some(text) = map.non_empty_string("from", findings) else {
            if !map.has("from") {
                findings
                    .problem(&key_path, "`from` is missing")
                    .help("write for example `from: https://app.example.com`");
            }
            return None;
        };
        let (scheme, _) = text.split_once("://").unwrap_or_default();
        if let Some((problem, help)) = objection(&scheme.to_ascii_lowercase()) {
            findings.problem(&key_path, problem).help(help);
            return None;
        }
        Self::parse(&text, &key_path, findings)
    }

    fn parse(text: &str, key_path: &KeyPath, findings: &mut Findings) -> Option<Self> {
        let parsed = Url::parse(text)
            .ok()
            .and_then(|url| Origin::of(&url).map(|origin| (url, origin)));
        let Some((url, origin)) = parsed.filter(|(_, origin)| origin.host.len() <= MAX_HOST) else {
            findings
                .problem(key_path, format!("{} is not a URL", quoted(text)))
                .help("write for example `https://app.example.com`");
            return None;
        };
        if !origin.tls {
            findings
                .problem(
                    key_path,
                    "`from` must be an `https://` URL: session cookies are only safe with TLS",
                )
                .help(format!("write `https://{}`", origin.host));
            return None;
        }
        if origin.host.ends_with('.') {
            findings
                .problem(key_path, "`from` must not end with a dot")
                .help("remove the dot: requests with it are refused");
            return None;
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            findings
                .problem(
                    key_path,
                    "`from` must not have a path, a query or a fragment",
                )
                .help(format!(
                    "write `{origin}`, and the path as `path` or `prefix`"
                ));
            return None;
        }
        Some(Self {
            port: written_port(text, origin.port),
            host: origin.host,
        })
    }
}

/// Returns why a scheme is not supported, and what to write instead.
fn objection(scheme: &str) -> Option<(&'static str, &'static str)> {
    match scheme {
        "tcp+https" | "udp+https" => Some((
            "tunnels for other protocols are not supported: Jetway serves web applications only",
            "remove the route",
        )),
        "ssh" => Some((
            "SSH is not supported: Jetway serves web applications only",
            "remove the route",
        )),
        _ => None,
    }
}

/// Returns the port, if the string has one: the parsed URL does not keep `:443`.
fn written_port(text: &str, port: u16) -> Option<u16> {
    let after = text.split_once("://").map_or(text, |(_, after)| after);
    let authority = after.split(['/', '\\', '?', '#']).next().unwrap_or(after);
    let digits = authority.rsplit(':').next().unwrap_or_default();
    let written = authority.contains(':') && digits.parse() == Ok(port);
    written.then_some(port)
}

/// Returns whether a pattern matches a host. Each part between two `*` is searched once, after the previous one.
fn fits(pattern: &str, host: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| host.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(text: &str) -> Option<From> {
        From::parse(text, &KeyPath::root(), &mut Findings::default())
    }

    #[test]
    fn addresses() {
        for (text, host, port) in [
            ("https://App.Example.com", "app.example.com", None),
            ("https://app.example.com/", "app.example.com", None),
            ("https://app.example.com:443", "app.example.com", Some(443)),
            (
                "https://app.example.com:8443",
                "app.example.com",
                Some(8443),
            ),
            ("https://[2001:DB8::443]", "[2001:db8::443]", None),
            ("https://[::1]:443", "[::1]", Some(443)),
            ("https://*.example.com", "*.example.com", None),
            ("https://a-*.*.example.com:1", "a-*.*.example.com", Some(1)),
            ("https://*", "*", None),
        ] {
            let from = from(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((from.host.as_str(), from.port), (host, port), "{text}");
        }
        for text in [
            "https://",
            "app.example.com",
            "https://a b",
            "https://u@a",
            "https://a/b",
            "https://a?b",
            "http://a",
            "https://a:70000",
        ] {
            assert!(from(text).is_none(), "{text}");
        }
    }

    #[test]
    fn wildcards_stand_for_any_text() {
        for (pattern, host, expected) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", ".example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.example.com.evil", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "acb", false),
            ("*b*b*", "b", false),
            ("*b*b*", "abab", true),
            ("**", "", true),
            ("*", "anything", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(fits(pattern, host), expected, "{pattern} {host}");
        }
    }

    proptest! {
        #[test]
        fn wildcards_agree_with_a_regular_expression(pattern in "[ab*]{0,8}", host in "[ab]{0,10}") {
            let regex = regex_lite::Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap();
            prop_assert_eq!(fits(&pattern, &host), regex.is_match(&host));
        }
    }
}

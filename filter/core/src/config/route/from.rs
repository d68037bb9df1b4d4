//! The public address of a route.

use url::Url;

use crate::config::Origin;
use crate::config::file_map::FileMap;
use crate::diagnostics::{Findings, KeyPath, quoted};

/// Longest host: DNS knows no longer names, and a wildcard adds little.
const MAX_HOST: usize = 255;

/// Public address of a route (`from`), always `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// Host in lower case, as written: each `*` in it stands for any text, dots included.
    pub host: String,
    /// The port, when `from` names one; without it that of `https`, and the listener's own.
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

    /// Whether the host stands for more than one.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.host.contains('*')
    }

    /// Whether this host, in lower case, is meant. Takes time in proportion to their lengths.
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
                .problem(key_path, format!("{} is not a web address", quoted(text)))
                .help("write for example `https://app.example.com`");
            return None;
        };
        if !origin.tls {
            findings
                .problem(
                    key_path,
                    "`from` must be an `https://` address: session cookies are only safe there",
                )
                .help(format!("write `https://{}`", origin.host));
            return None;
        }
        if origin.host.ends_with('.') {
            findings
                .problem(key_path, "`from` must not end with a dot")
                .help("write the name without it: requests for the other spelling are refused");
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

/// Why a scheme cannot be served, and what to write instead.
fn objection(scheme: &str) -> Option<(&'static str, &'static str)> {
    match scheme {
        "tcp+https" | "udp+https" => Some((
            "tunnels for other protocols need a client program, and only web applications are served here",
            "take the route out",
        )),
        "ssh" => Some((
            "SSH is not spoken here: only web applications are served",
            "take the route out",
        )),
        _ => None,
    }
}

/// The port, if the text names one: the URL does not tell whether `:443` was written.
fn written_port(text: &str, port: u16) -> Option<u16> {
    let after = text.split_once("://").map_or(text, |(_, after)| after);
    let authority = after.split(['/', '\\', '?', '#']).next().unwrap_or(after);
    let digits = authority.rsplit(':').next().unwrap_or_default();
    let written = authority.contains(':') && digits.parse() == Ok(port);
    written.then_some(port)
}

/// Whether a pattern whose `*` stand for any text means a host. Each piece is looked for once, after the one before.
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

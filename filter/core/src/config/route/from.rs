//! The public address of a route.

use url::Url;

use super::super::Origin;
use super::super::findings::Findings;
use super::super::object::Object;

/// Public address of a route (`from`), always `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// Host in lower case, as written: each `*` in it stands for any text, dots included.
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

impl From {
    pub(super) fn read(object: &Object<'_>, findings: &mut Findings) -> Option<Self> {
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

//! Scheme, host and port of a server (RFC 6454).

use std::fmt;
use std::net::IpAddr;

/// An `http` or `https` origin. Its `Display` omits the scheme's default port: `https://idp.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether the scheme is `https`.
    pub tls: bool,
    /// Host in lower case; IPv6 addresses in brackets.
    pub host: String,
    /// Port, the scheme's default included.
    pub port: u16,
}

impl Origin {
    /// Returns the origin of a URL, or `None` for another scheme, a URL without a host, or a URL with a user name.
    #[must_use]
    pub fn of(url: &url::Url) -> Option<Self> {
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let host = url.host_str()?.to_ascii_lowercase();
        Some(Self {
            tls,
            host,
            port: url.port_or_known_default()?,
        })
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Returns whether the host is this machine, regardless of what a name server says (RFC 6761 section 6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let ip: Result<IpAddr, _> = bare.parse();
        bare == "localhost" || bare.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns `host[:port]` as in a `Host` header, without the default port.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

//! The addresses of the demo: the names in the browser's address bar and the addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jetway_core::config::Origin;

/// Host of the demo provider when the application is under `.localhost`: a host of its own, as real providers have.
const PROVIDER_HOST: &str = "idp.localhost";

/// Names and addresses of one demo.
pub(crate) struct Place {
    host: String,
    listen: SocketAddr,
    provider_host: String,
    provider_listen: SocketAddr,
}

impl Place {
    /// Returns the addresses for an application under `host` (a name, or an address as in a URL) on `listen`. The demo
    /// provider has another port of the same address.
    pub(crate) fn new(host: &str, listen: SocketAddr, provider_port: u16) -> Self {
        // Elsewhere only the given name is known to resolve to this machine, so the provider shares it.
        let provider_host = if is_local_name(host) {
            PROVIDER_HOST
        } else {
            host
        };
        Self {
            host: host.to_owned(),
            listen,
            provider_host: provider_host.to_owned(),
            provider_listen: SocketAddr::new(listen.ip(), provider_port),
        }
    }

    /// Returns the public address of the application.
    pub(crate) fn application(&self) -> String {
        origin(&self.host, self.listen.port()).to_string()
    }

    /// Returns the demo provider's issuer identifier, which is its public address.
    pub(crate) fn issuer(&self) -> Origin {
        origin(&self.provider_host, self.provider_listen.port())
    }

    /// Returns the address on which the proxy listens.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Returns the address on which the demo provider listens.
    pub(crate) fn provider_listen(&self) -> SocketAddr {
        self.provider_listen
    }

    /// Returns the address at which this machine itself reaches the demo provider.
    pub(crate) fn provider_from_here(&self) -> SocketAddr {
        let ip = match self.provider_listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.provider_listen.port())
    }

    /// Returns the names for which the certificate has to be valid.
    pub(crate) fn certificate_names(&self) -> Vec<String> {
        let mut names = vec![
            bare(&self.host),
            bare(&self.provider_host),
            "localhost".to_owned(),
            Ipv4Addr::LOCALHOST.to_string(),
            Ipv6Addr::LOCALHOST.to_string(),
        ];
        if !self.listen.ip().is_unspecified() {
            names.push(self.listen.ip().to_string());
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns whether other machines can connect.
    pub(crate) fn is_open_to_others(&self) -> bool {
        !self.listen.ip().is_loopback()
    }

    /// Returns whether the name means the browser's own machine on every machine (RFC 6761 section 6.3).
    pub(crate) fn has_local_name(&self) -> bool {
        is_local_name(&self.host)
    }
}

fn origin(host: &str, port: u16) -> Origin {
    Origin {
        tls: true,
        host: host.to_owned(),
        port,
    }
}

fn is_local_name(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// Returns a host without the brackets that a URL puts around an IPv6 address.
fn bare(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn on_a_laptop_application_and_provider_have_names_of_their_own() {
        let place = Place::new("cockpit.localhost", "127.0.0.1:8443".parse().unwrap(), 8444);
        assert_eq!(place.application(), "https://cockpit.localhost:8443");
        assert_eq!(place.issuer().to_string(), "https://idp.localhost:8444");
        assert!(!place.is_open_to_others());
        assert!(place.has_local_name());
    }

    #[test]
    fn on_a_server_both_have_the_given_name() {
        let place = Place::new("server.example", "0.0.0.0:443".parse().unwrap(), 8444);
        assert_eq!(place.application(), "https://server.example");
        assert_eq!(place.issuer().to_string(), "https://server.example:8444");
        assert_eq!(
            place.provider_from_here(),
            "127.0.0.1:8444".parse().unwrap()
        );
        assert!(place.is_open_to_others());
        assert!(!place.has_local_name());
    }

    #[test]
    fn an_ipv6_address_stands_without_brackets_in_the_certificate() {
        let place = Place::new("[2001:db8::1]", "[::]:8443".parse().unwrap(), 8444);
        assert_eq!(place.application(), "https://[2001:db8::1]:8443");
        assert!(
            place
                .certificate_names()
                .contains(&"2001:db8::1".to_owned())
        );
        assert_eq!(place.provider_from_here(), "[::1]:8444".parse().unwrap());
    }
}

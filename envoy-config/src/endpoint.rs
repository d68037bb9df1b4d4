//! Builds the addresses of a cluster's servers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jetway_core::config::Origin;

use crate::bootstrap::build_socket_address;
use crate::yaml::Map;

/// How Envoy finds the servers of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// All of them are IP addresses.
    Static,
    /// Some are names, which are resolved periodically.
    Dns,
}

impl Discovery {
    /// Returns the discovery that these servers need.
    pub(crate) fn of<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Self {
        let all_known = origins
            .into_iter()
            .all(|origin| !matches!(HostKind::of(origin), HostKind::Name(_)));
        if all_known { Self::Static } else { Self::Dns }
    }

    /// Sets the type of the cluster.
    pub(crate) fn set(self, map: Map) -> Map {
        match self {
            Self::Static => map.set("type", "STATIC"),
            Self::Dns => map
                .set("type", "STRICT_DNS")
                .set("dns_lookup_family", "V4_PREFERRED"),
        }
    }
}

/// Builds an `envoy.config.endpoint.v3.Endpoint` without a host name.
pub(crate) fn build_endpoint(origin: &Origin, discovery: Discovery) -> Map {
    match HostKind::of(origin) {
        HostKind::Address(ip) => build_address(ip, origin.port),
        HostKind::Name(name) => Map::new().set("address", build_socket_address(name, origin.port)),
        HostKind::Loopback => {
            let map = build_address(Ipv4Addr::LOCALHOST.into(), origin.port);
            // Tested with 1.40: Envoy ignores additional addresses in a cluster with names.
            let second = (discovery == Discovery::Static).then(|| {
                let address = build_socket_address(&Ipv6Addr::LOCALHOST.to_string(), origin.port);
                vec![Map::new().set("address", address)]
            });
            map.note("Used if no server listens on the first one.")
                .set_some("additional_addresses", second)
        }
    }
}

fn build_address(ip: IpAddr, port: u16) -> Map {
    Map::new().set("address", build_socket_address(&ip.to_string(), port))
}

/// The kind of an origin's host.
enum HostKind<'a> {
    Address(IpAddr),
    /// RFC 6761 section 6.3: `localhost` is this machine and is not resolved.
    Loopback,
    Name(&'a str),
}

impl<'a> HostKind<'a> {
    fn of(origin: &'a Origin) -> Self {
        match parse_ip(&origin.host) {
            Some(ip) => Self::Address(ip),
            None if origin.host == "localhost" => Self::Loopback,
            None => Self::Name(&origin.host),
        }
    }
}

/// Parses an IP address; IPv6 addresses may be in brackets.
pub(crate) fn parse_ip(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

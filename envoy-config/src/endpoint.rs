//! Where the servers of a cluster are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jetway_core::config::Origin;

use crate::bootstrap::socket_address;
use crate::yaml::Map;

/// How Envoy finds the servers of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// All of them are addresses.
    Static,
    /// Some are names, which are resolved again and again.
    Dns,
}

impl Discovery {
    /// What these servers need.
    pub(crate) fn of<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Self {
        let all_known = origins
            .into_iter()
            .all(|origin| !matches!(Place::of(origin), Place::Name(_)));
        if all_known { Self::Static } else { Self::Dns }
    }

    /// The map with the type of the cluster.
    pub(crate) fn set(self, map: Map) -> Map {
        match self {
            Self::Static => map.set("type", "STATIC"),
            Self::Dns => map
                .set("type", "STRICT_DNS")
                .set("dns_lookup_family", "V4_PREFERRED"),
        }
    }
}

/// An `envoy.config.endpoint.v3.Endpoint`, without a host name of its own.
pub(crate) fn endpoint(origin: &Origin, discovery: Discovery) -> Map {
    match Place::of(origin) {
        Place::Address(ip) => at(ip, origin.port),
        Place::Name(name) => Map::new().set("address", socket_address(name, origin.port)),
        Place::Loopback => {
            let map = at(Ipv4Addr::LOCALHOST.into(), origin.port);
            // Tried with 1.40: beside names, Envoy takes no notice of further addresses.
            let second = (discovery == Discovery::Static).then(|| {
                let address = socket_address(&Ipv6Addr::LOCALHOST.to_string(), origin.port);
                vec![Map::new().set("address", address)]
            });
            map.note("If nothing listens on the first one.")
                .set_some("additional_addresses", second)
        }
    }
}

fn at(ip: IpAddr, port: u16) -> Map {
    Map::new().set("address", socket_address(&ip.to_string(), port))
}

/// What the host of an origin is.
enum Place<'a> {
    Address(IpAddr),
    /// RFC 6761 section 6.3: `localhost` is this machine and nothing has to be asked.
    Loopback,
    Name(&'a str),
}

impl<'a> Place<'a> {
    fn of(origin: &'a Origin) -> Self {
        match ip(&origin.host) {
            Some(ip) => Self::Address(ip),
            None if origin.host == "localhost" => Self::Loopback,
            None => Self::Name(&origin.host),
        }
    }
}

/// The address, if the host is one; IPv6 addresses may stand in brackets.
pub(crate) fn ip(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

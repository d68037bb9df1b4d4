//! Builds the listener.

use std::net::IpAddr;
use std::time::Duration;

use jetway_core::config::{Config, Listener};

use crate::yaml::Map;
use crate::{Error, Options, connection, tls};

/// Bytes that Envoy buffers for one connection before it stops reading: the value of Envoy's guide for edge proxies. Bodies
/// are streamed, so that this does not limit them.
const CONNECTION_BUFFER_BYTES: u32 = 32 * 1024;

/// How long a connection may take to send its PROXY protocol header: Envoy's default, made explicit.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// Builds the listener with all its filters.
pub(crate) fn build_listener(
    config: &Config,
    file: &serde_json::Value,
    options: &Options,
) -> Result<Map, Error> {
    let (ip, port) = parse_address(&config.listener.address)?;
    let proxy = config.listener.proxy_protocol;
    let socket = Map::new()
        .set("address", ip.to_string())
        .set("port_value", port)
        .set_some("ipv4_compat", (ip == IpAddr::from([0; 16])).then_some(true));
    let chain = Map::new()
        .set_some(
            "transport_socket",
            build_transport_socket(&config.listener)?,
        )
        .set(
            "filters",
            vec![connection::build_connection_manager(config, file, options)?],
        );
    Ok(Map::new()
        .set("name", "jetway")
        .set("address", Map::new().set("socket_address", socket))
        .note("Bodies are streamed; this limits the memory that one slow peer can use.")
        .set("per_connection_buffer_limit_bytes", CONNECTION_BUFFER_BYTES)
        .note("`use_proxy_protocol`: a connection without the header of version 1 or 2 is closed.")
        .set_some(
            "listener_filters",
            proxy.then(|| vec![build_proxy_protocol()]),
        )
        .set_some(
            "listener_filters_timeout",
            proxy.then_some(PROXY_HEADER_TIMEOUT),
        )
        .set("filter_chains", vec![chain]))
}

/// Builds the filter that replaces the address of the connection by the one in the header.
fn build_proxy_protocol() -> Map {
    let config = Map::typed("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol");
    Map::new()
        .set("name", "envoy.filters.listener.proxy_protocol")
        .set("typed_config", config)
}

fn build_transport_socket(listener: &Listener) -> Result<Option<Map>, Error> {
    if listener.insecure {
        return Ok(None);
    }
    if listener.certificates.is_empty() {
        return Err(Error::NoCertificate);
    }
    tls::build_downstream(listener).map(Some)
}

/// Parses `host:port` or `:port` as the bundled host does, except names.
fn parse_address(text: &str) -> Result<(IpAddr, u16), Error> {
    let wrong = || Error::ListenAddress(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let ip = match host {
        "" => IpAddr::from([0; 4]),
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        _ => match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(inner) => IpAddr::V6(inner.parse().map_err(|_| wrong())?),
            None => IpAddr::V4(host.parse().map_err(|_| wrong())?),
        },
    };
    Ok((ip, port.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_in_go() {
        for (text, ip, port) in [
            (":443", "0.0.0.0", 443),
            ("127.0.0.1:8443", "127.0.0.1", 8443),
            ("localhost:8443", "127.0.0.1", 8443),
            ("[::]:443", "::", 443),
            ("[2001:db8::1]:1", "2001:db8::1", 1),
        ] {
            assert_eq!(
                parse_address(text),
                Ok((ip.parse().unwrap(), port)),
                "{text}"
            );
        }
    }

    #[test]
    fn names_and_incomplete_addresses_are_refused() {
        for text in [
            "",
            "443",
            "example.com:443",
            "::1:443",
            "127.0.0.1",
            "127.0.0.1:",
            ":65536",
            "[127.0.0.1]:1",
            ":443x",
        ] {
            assert_eq!(
                parse_address(text),
                Err(Error::ListenAddress(text.to_owned())),
                "{text}"
            );
        }
    }
}

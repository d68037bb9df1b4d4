//! `source_ip`: which network a client comes from.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Reads an address or a network. `::ffff:a.b.c.d` means the IPv4 address in it; host bits may be set.
pub(super) fn read_network(text: &str) -> Option<IpNet> {
    let network = match text.split_once('/') {
        Some((address, length)) => IpNet::new(address.parse().ok()?, read_length(length)?).ok()?,
        None => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let IpNet::V6(v6) = network else {
        return Some(network);
    };
    /// Length of the prefix that marks an IPv4 address within IPv6 (RFC 4291 section 2.5.5.2).
    const MAPPED: u8 = 96;
    match (
        v6.addr().to_ipv4_mapped(),
        v6.prefix_len().checked_sub(MAPPED),
    ) {
        (Some(v4), Some(length)) => Ipv4Net::new(v4, length).ok().map(IpNet::V4),
        _ => Some(network),
    }
}

/// A prefix length: decimal digits without a leading zero, which some programs would read as octal.
fn read_length(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Whether any of the networks holds the address.
pub(super) fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, address, expected) in [
            ("192.168.1.1/24", "192.168.1.200", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/32", "2001:db8::2", true),
        ] {
            let holds = holds(&[read_network(network).unwrap()], address.parse().unwrap());
            assert_eq!(holds, expected, "{network} {address}");
        }
        for text in [
            "10.0.0.0/33",
            "10.0.0",
            "010.0.0.1",
            "010.0.0.0/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "::ffff:010.0.0.1/120",
            "host.test",
            "fe80::1%eth0",
            "10.0.0.0/",
            "",
        ] {
            assert_eq!(read_network(text), None, "{text}");
        }
    }
}

//! `source_ip`: the client's address.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::read::read_each;
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the client's address is in one of the networks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceIpCriterion(Vec<IpNet>);

impl CriterionKind for SourceIpCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "source_ip",
        topic: Topic::Address,
        about: "The client's address is one of the addresses or in one of the networks. Behind other proxies, \
                `xff_num_trusted_hops` and `use_proxy_protocol` say which address is the client's",
        argument: "an address, a network, or a list of them",
        example: "source_ip: [192.0.2.7, \"2001:db8::/32\"]",
    };
    const HOLDS: Reason = Reason::SourceIpOk;
    const FAILS: Reason = Reason::SourceIpUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let networks = read_each(argument.value, read_network);
        if networks.is_none() {
            findings
                .problem(
                    argument.path,
                    "`source_ip` must be an address, a network, or a list of them",
                )
                .help("write for example `10.0.0.0/8` or `[192.0.2.1, \"2001:db8::/32\"]`");
        }
        networks.map(Self)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        let source = facts.source;
        verdict::<Self>(source.is_some_and(|source| is_in_any(&self.0, source)))
    }

    fn to_argument(&self) -> Value {
        let networks: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        json!(networks)
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        facts
            .source
            .map_or_else(|| "no address".to_owned(), |source| source.to_string())
    }

    fn schema() -> Value {
        reference("strings")
    }
}

/// Reads an address or a network. `::ffff:a.b.c.d` means the IPv4 address in it; bits after the prefix may be set.
fn read_network(string: &str) -> Option<IpNet> {
    let network = match string.split_once('/') {
        Some((address, length)) => IpNet::new(address.parse().ok()?, read_length(length)?).ok()?,
        None => IpNet::from(string.parse::<IpAddr>().ok()?),
    };
    let IpNet::V6(v6) = network else {
        return Some(network);
    };
    /// The length of the prefix that marks an IPv4 address within IPv6 (RFC 4291 section 2.5.5.2).
    const MAPPED: u8 = 96;
    match (
        v6.addr().to_ipv4_mapped(),
        v6.prefix_len().checked_sub(MAPPED),
    ) {
        (Some(v4), Some(length)) => Ipv4Net::new(v4, length).ok().map(IpNet::V4),
        _ => Some(network),
    }
}

/// Reads a prefix length: decimal digits without a leading zero, which some software reads as octal.
fn read_length(string: &str) -> Option<u8> {
    let digits = string.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (string == "0" || !string.starts_with('0'));
    string.parse().ok().filter(|_| plain)
}

/// Returns whether any of the networks contains the address.
fn is_in_any(networks: &[IpNet], address: IpAddr) -> bool {
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
            let is_in = is_in_any(&[read_network(network).unwrap()], address.parse().unwrap());
            assert_eq!(is_in, expected, "{network} {address}");
        }
        for string in [
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
            assert_eq!(read_network(string), None, "{string}");
        }
    }
}

//! The statements of proxies in front about the client of a request, and how many of them are trusted (`xff_num_trusted_hops`).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Reads an address as proxies write it, with or without a port: `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`.
#[must_use]
pub fn read_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let with_port = text.parse::<SocketAddr>().map(|socket| socket.ip());
    with_port.or_else(|_| text.parse()).ok()
}

/// Request header to which each proxy appends the address of its peer.
pub const FORWARDED_FOR: &str = "x-forwarded-for";
/// Request header that states the scheme with which the client reached the first proxy.
pub const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The trusted proxies in front.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrustedProxies {
    hops: usize,
    /// Whether the listener itself terminates TLS.
    secure: bool,
}

impl TrustedProxies {
    /// Trusts `hops` proxies in front; `secure` is whether the listener itself terminates TLS.
    #[must_use]
    pub const fn new(hops: usize, secure: bool) -> Self {
        Self { hops, secure }
    }

    /// Returns whether any proxy is trusted.
    #[must_use]
    pub const fn any(self) -> bool {
        self.hops > 0
    }

    /// Returns the client's address from the lines of `X-Forwarded-For` as they were received. As in Envoy, there is none when
    /// the header has fewer entries than there are trusted proxies, or when its entry is not an address: the peer is then the
    /// client.
    pub fn client<'l>(self, lines: impl IntoIterator<Item = &'l [u8]>) -> Option<IpAddr> {
        let entries = split_entries(lines);
        let place = entries.len().checked_sub(self.hops)?;
        read_entry(entries.get(place)?)
    }

    /// Returns the value of `X-Forwarded-For` for the upstream, from its lines after this proxy has appended the address of its
    /// peer: that address, and in front of it those that trusted proxies have stated, without ports (Azure Application Gateway
    /// adds one). Earlier entries are dropped, because the client may have written them.
    pub fn chain<'l>(self, lines: impl IntoIterator<Item = &'l [u8]>) -> String {
        let entries = split_entries(lines);
        let start = entries.len().saturating_sub(self.hops.saturating_add(1));
        let trusted = entries.iter().skip(start);
        let addresses: Vec<String> = trusted
            .filter_map(|entry| read_address(entry.trim_ascii()))
            .map(|address| address.to_string())
            .collect();
        // A comma and a space: Cockpit takes what follows the last space as the client.
        addresses.join(", ")
    }

    /// Returns the same, without a copy for the line that most requests have: one IPv4 address, of which there is only one
    /// spelling.
    pub fn chain_of_lines<'l>(self, lines: &[&'l [u8]]) -> Cow<'l, str> {
        match lines {
            [line] if let Some(address) = read_plain_address(line) => Cow::Borrowed(address),
            _ => Cow::Owned(self.chain(lines.iter().copied())),
        }
    }

    /// Returns the scheme with which the client reached the first trusted proxy, or this one: `https` or `http`. `stated` is the
    /// value of `X-Forwarded-Proto`, if there is exactly one.
    #[must_use]
    pub fn scheme(self, stated: Option<&[u8]>) -> &'static str {
        if self.secure || (self.hops > 0 && stated == Some(b"https")) {
            "https"
        } else {
            "http"
        }
    }
}

fn split_entries<'l>(lines: impl IntoIterator<Item = &'l [u8]>) -> Vec<&'l [u8]> {
    let lines = lines.into_iter();
    lines
        .flat_map(|line| line.split(|byte| *byte == b','))
        .collect()
}

/// Returns a line that is one IPv4 address.
fn read_plain_address(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line).ok()?;
    text.parse::<Ipv4Addr>().ok().map(|_| text)
}

/// Reads an entry of a list that is an address without a port.
fn read_entry(entry: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(entry.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER: &str = "192.0.2.7";

    fn proxies(hops: usize) -> TrustedProxies {
        TrustedProxies::new(hops, false)
    }

    fn bytes<'l>(lines: &[&'l str]) -> Vec<&'l [u8]> {
        lines.iter().map(|line| line.as_bytes()).collect()
    }

    /// The expected addresses are those of Envoy 1.40 with `use_remote_address` and this `xff_num_trusted_hops`.
    #[test]
    fn the_client_is_the_one_that_envoy_takes() {
        let cases: [(&[&str], usize, Option<&str>); 21] = [
            (&[], 0, None),
            (&[], 1, None),
            (&["203.0.113.9"], 0, None),
            (&["203.0.113.9"], 1, Some("203.0.113.9")),
            (&["203.0.113.9"], 2, None),
            (&["203.0.113.9, 10.0.0.5"], 1, Some("10.0.0.5")),
            (&["203.0.113.9, 10.0.0.5"], 2, Some("203.0.113.9")),
            (&["203.0.113.9, 10.0.0.5"], 3, None),
            (&["evil, 203.0.113.9,10.0.0.5"], 2, Some("203.0.113.9")),
            (&["evil, 203.0.113.9,10.0.0.5"], 3, None),
            (&["1.2.3.4", "5.6.7.8"], 1, Some("5.6.7.8")),
            (&["1.2.3.4", "5.6.7.8"], 2, Some("1.2.3.4")),
            (&["junk"], 1, None),
            (&["1.2.3.4,"], 1, None),
            (&["1.2.3.4, "], 1, None),
            (&[",1.2.3.4"], 1, Some("1.2.3.4")),
            (&["1.2.3.4:80"], 1, None),
            (&["01.2.3.4"], 1, None),
            (&["[2001:db8::1]"], 1, None),
            (&["2001:DB8:0:0::1"], 1, Some("2001:db8::1")),
            (&["::ffff:1.2.3.4"], 1, Some("::ffff:1.2.3.4")),
        ];
        for (lines, hops, client) in cases {
            let expected = client.map(|client| client.parse().unwrap());
            assert_eq!(
                proxies(hops).client(bytes(lines)),
                expected,
                "{lines:?}, {hops}"
            );
        }
    }

    /// N-18
    #[test]
    fn the_chain_begins_with_the_first_trusted_proxy() {
        for (line, hops, chain) in [
            ("evil", 1, PEER),
            ("evil, 203.0.113.9", 1, "203.0.113.9, 192.0.2.7"),
            ("203.0.113.9, evil", 1, PEER),
            ("1.2.3.4, 203.0.113.9, 10.0.0.5", 1, "10.0.0.5, 192.0.2.7"),
            (
                "1.2.3.4,203.0.113.9,10.0.0.5",
                2,
                "203.0.113.9, 10.0.0.5, 192.0.2.7",
            ),
            ("203.0.113.9", 5, "203.0.113.9, 192.0.2.7"),
            ("203.0.113.9", 0, PEER),
            (
                "203.0.113.9:80, 2001:DB8:0::1",
                2,
                "203.0.113.9, 2001:db8::1, 192.0.2.7",
            ),
            ("203.0.113.9:51000", 1, "203.0.113.9, 192.0.2.7"),
            ("[2001:db8::1]:51000", 1, "2001:db8::1, 192.0.2.7"),
            ("203.0.113.9:99999, evil:80", 2, PEER),
        ] {
            let appended = proxies(hops).chain(bytes(&[line, PEER]));
            assert_eq!(appended, chain, "{line}, {hops}");
            let again = proxies(hops).chain(bytes(&[&appended]));
            assert_eq!(again, chain, "cutting twice changes nothing");
        }
        assert_eq!(proxies(usize::MAX).chain(bytes(&[])), "");
    }

    proptest! {
        #[test]
        fn a_line_that_is_not_copied_has_the_same_chain(
            lines in proptest::collection::vec("[0-9.]{0,3}|[0-9a-f:.,\\[\\] ]{0,20}|([0-9]{1,3}\\.){3}[0-9]{1,3}|([1-9]\\.){3}[1-9]", 0..3),
            hops in 0..3_usize,
        ) {
            let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
            let copied = proxies(hops).chain(lines.iter().copied());
            prop_assert_eq!(proxies(hops).chain_of_lines(&lines), copied);
        }
    }

    #[test]
    fn the_scheme_is_one_of_two() {
        let https: Option<&[u8]> = Some(b"https");
        for (hops, secure, stated, scheme) in [
            (0, true, None, "https"),
            (1, true, Some(&b"http"[..]), "https"),
            (0, false, https, "http"),
            (1, false, https, "https"),
            (1, false, Some(b"evil"), "http"),
            (1, false, Some(b"https,http"), "http"),
            (1, false, None, "http"),
        ] {
            let proxies = TrustedProxies::new(hops, secure);
            assert_eq!(proxies.scheme(stated), scheme, "{hops} {secure} {stated:?}");
        }
    }
}

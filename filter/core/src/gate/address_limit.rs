//! Limits how often one client address may cause costly work without a session.
//!
//! The counts are in the shared data, so that a limit applies to the whole process and not to each worker.

use std::net::{IpAddr, Ipv6Addr};

use crate::env::Env;
use crate::store::ExpiringTable;
use crate::time::Timestamp;

/// A limit for each client address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressLimit {
    /// The table of the counts. It is bounded: with too many addresses, the counts that expire first are dropped.
    pub(crate) counts: ExpiringTable,
    /// How often the work may be caused within [`AddressLimit::seconds`].
    pub(crate) most: u32,
    /// How long a count lasts after the first time, in seconds.
    pub(crate) seconds: u64,
}

/// The count of one address.
struct Count {
    until: Timestamp,
    times: u32,
}

impl AddressLimit {
    /// Returns how many seconds an address has to wait; `None` when it is below the limit. All clients without a known
    /// address count as one.
    pub(crate) fn wait(&self, address: Option<IpAddr>, env: &Env<'_>) -> Option<u64> {
        let bytes = self
            .counts
            .find(env.shared, &counter_name(address), env.now)?;
        let count = self.read(&bytes, env.now)?;
        (count.times >= self.most).then(|| count.until.since(env.now))
    }

    /// Adds one to the count of an address.
    pub(crate) fn count(&self, address: Option<IpAddr>, env: &Env<'_>) {
        let change = |present: Option<&[u8]>| {
            let known = present.and_then(|bytes| self.read(bytes, env.now));
            let count = known.unwrap_or_else(|| Count {
                until: env.now.plus(self.seconds),
                times: 0,
            });
            Ok((count.next().write(), count.until, ()))
        };
        // A request that cannot be counted passes: the limit protects from load and decides about no access.
        let _ = self
            .counts
            .update(env.shared, &counter_name(address), env.now, change);
    }

    /// Reads a count, unless it is from before the clock was set back: no count lasts longer than its seconds.
    fn read(&self, bytes: &[u8], now: Timestamp) -> Option<Count> {
        Count::read(bytes).filter(|count| count.until <= now.plus(self.seconds))
    }
}

impl Count {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (until, times) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            until: Timestamp(u64::from_be_bytes(*until)),
            times: u32::from_be_bytes(times.try_into().ok()?),
        })
    }

    const fn next(&self) -> Self {
        Self {
            until: self.until,
            times: self.times.saturating_add(1),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = self.until.0.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.times.to_be_bytes());
        bytes
    }
}

/// Returns the name under which an address is counted. An IPv6 address is counted by its first 64 bits, because one client
/// has all addresses of such a network (RFC 4291 section 2.5.4).
fn counter_name(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    const LIMIT: AddressLimit = AddressLimit {
        counts: ExpiringTable {
            key: "jetway test counts",
            count: 2,
            bytes: 1024,
        },
        most: 3,
        seconds: 60,
    };

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_waits_for_the_rest_of_its_time() {
        let mut fixture = Fixture::new();
        let begun = fixture.now;
        let client = address("192.0.2.1");
        for seconds in [0, 10, 20] {
            fixture.now = begun.plus(seconds);
            assert_eq!(LIMIT.wait(client, &fixture.env()), None, "{seconds}");
            LIMIT.count(client, &fixture.env());
        }
        assert_eq!(LIMIT.wait(client, &fixture.env()), Some(40));
        for other in [None, address("192.0.2.2"), address("2001:db8::1")] {
            assert_eq!(LIMIT.wait(other, &fixture.env()), None, "{other:?}");
        }
        fixture.now = begun.plus(59);
        assert_eq!(LIMIT.wait(client, &fixture.env()), Some(1));
        fixture.now = begun.plus(60);
        assert_eq!(LIMIT.wait(client, &fixture.env()), None);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_out() {
        let mut fixture = Fixture::new();
        let begun = fixture.now;
        let client = address("192.0.2.1");
        fixture.now = begun.plus(3600);
        for _ in 0..3 {
            LIMIT.count(client, &fixture.env());
        }
        assert_eq!(LIMIT.wait(client, &fixture.env()), Some(60));
        fixture.now = begun;
        assert_eq!(LIMIT.wait(client, &fixture.env()), None);
        for _ in 0..3 {
            assert_eq!(LIMIT.wait(client, &fixture.env()), None);
            LIMIT.count(client, &fixture.env());
        }
        assert_eq!(LIMIT.wait(client, &fixture.env()), Some(60));
        fixture.now = begun.plus(60);
        assert_eq!(LIMIT.wait(client, &fixture.env()), None);
    }

    #[test]
    fn networks_of_ipv6_count_as_one_and_mapped_addresses_as_ipv4() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ] {
            let are_same = counter_name(address(one)) == counter_name(address(other));
            assert_eq!(are_same, same, "{one} {other}");
        }
    }

    #[test]
    fn very_many_addresses_take_bounded_room() {
        let mut fixture = Fixture::new();
        for number in 0..2000_u32 {
            let client = Some(IpAddr::V4(number.into()));
            fixture.now = fixture.now.plus(1);
            LIMIT.count(client, &fixture.env());
        }
        for place in 0..2 {
            use crate::store::SharedData as _;
            let key = format!("jetway test counts {place}");
            let (shelf, _) = fixture.shared.read(&key).unwrap();
            assert!(shelf.len() <= 1024);
        }
    }
}

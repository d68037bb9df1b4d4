//! Sums up repeated refusals of one client for the log. Any client can cause refusals without end, and a line for each of them
//! would flood the log.
//!
//! In each window the first replies of each status are logged in full. The others are counted, and one line states the counts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::time::Timestamp;

/// Seconds that one line sums up: few enough for a timely log, and enough for few lines.
pub const WINDOW: u64 = 10;
/// How many replies of one client, status and window are logged in full, so that the retries of a user and the parts of a refused
/// page are all visible.
pub const WHOLE: u64 = 10;
/// How many clients are counted one by one, in about 150 KiB. Further ones share a count, so that many addresses take bounded
/// memory and few log lines.
pub const CLIENTS: usize = 1024;

/// Counts the replies to refused requests, by client and status.
#[derive(Debug, Default)]
pub struct Repeats {
    /// The counts by client; `None` is for all clients beyond the limit.
    clients: HashMap<Option<IpAddr>, ClientCount>,
}

/// The replies to one client, by status.
#[derive(Debug)]
struct ClientCount {
    since: Timestamp,
    answers: BTreeMap<u16, u64>,
}

impl Repeats {
    /// Counts a reply, and returns whether to log it in full. Status 0 means a request without a reply.
    pub fn note(&mut self, client: IpAddr, status: u16, now: Timestamp) -> bool {
        let mut client = Some(client_network(client));
        if self.clients.len() >= CLIENTS && !self.clients.contains_key(&client) {
            client = None;
        }
        let window = self.clients.entry(client).or_insert_with(|| ClientCount {
            since: now,
            answers: BTreeMap::new(),
        });
        let count = window.answers.entry(status).or_default();
        *count = count.saturating_add(1);
        *count <= WHOLE
    }

    /// Ends the windows that are over, and returns what was not logged in full. It has to be called every few seconds.
    pub fn end_windows(&mut self, now: Timestamp) -> Vec<Summary> {
        // A window in the future is over as well: the clock was set back.
        self.end(now, |window| {
            now.since(window.since) >= WINDOW || now < window.since
        })
    }

    /// Ends all windows, and returns what was not logged in full.
    pub fn finish(&mut self, now: Timestamp) -> Vec<Summary> {
        self.end(now, |_| true)
    }

    fn end(&mut self, now: Timestamp, is_over: impl Fn(&ClientCount) -> bool) -> Vec<Summary> {
        let ended = self.clients.extract_if(|_, window| is_over(window));
        let mut summaries: Vec<Summary> = ended
            .filter_map(|(client, window)| window.sum_up(client, now))
            .collect();
        summaries.sort_unstable_by_key(|summary| summary.client);
        summaries
    }
}

impl ClientCount {
    fn sum_up(self, client: Option<IpAddr>, now: Timestamp) -> Option<Summary> {
        let further = |(status, count): (u16, u64)| Some((status, count.checked_sub(WHOLE)?));
        let answers: Vec<(u16, u64)> = self
            .answers
            .into_iter()
            .filter_map(further)
            .filter(|(_, count)| *count > 0)
            .collect();
        (!answers.is_empty()).then(|| Summary {
            client,
            seconds: now.since(self.since),
            answers,
        })
    }
}

/// The replies to one client that were not logged in full, displayed as one line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    client: Option<IpAddr>,
    seconds: u64,
    answers: Vec<(u16, u64)>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.answers.iter().map(|(_, count)| count);
        let total = total.fold(0_u64, |sum, count| sum.saturating_add(*count));
        write!(f, "{total} further requests of ")?;
        match self.client {
            // A whole network, see `client_network`.
            Some(IpAddr::V6(client)) => write!(f, "{client}/64")?,
            Some(IpAddr::V4(client)) => write!(f, "{client}")?,
            None => f.write_str("other clients")?,
        }
        write!(f, " were not let through in the last {} s:", self.seconds)?;
        for (place, (status, count)) in self.answers.iter().enumerate() {
            let separator = if place == 0 { "" } else { "," };
            match status {
                0 => write!(f, "{separator} {count} without an answer")?,
                _ => write!(f, "{separator} {count} with status {status}")?,
            }
        }
        Ok(())
    }
}

/// Returns what counts as one client: an IPv4 address, or an IPv6 network of 64 bits, which every customer has at least (RFC 6177).
fn client_network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn lines(summaries: &[Summary]) -> Vec<String> {
        summaries.iter().map(ToString::to_string).collect()
    }

    /// N-14: the first replies are logged in full, and one line sums up the others.
    #[test]
    fn n_14_repeated_refusals_of_one_client_are_summed_up() {
        let mut repeats = Repeats::default();
        let mallory = client("192.0.2.1");
        let whole = |repeats: &mut Repeats, status, count: u64| {
            let noted = (0..count).map(|_| repeats.note(mallory, status, NOW));
            noted.filter(|whole| *whole).count() as u64
        };
        assert_eq!(whole(&mut repeats, 404, 40), WHOLE);
        // Another kind is not lost in the flood of the first.
        assert_eq!(whole(&mut repeats, 403, 17), WHOLE);
        assert_eq!(whole(&mut repeats, 0, 11), WHOLE);
        assert_eq!(whole(&mut repeats, 400, 3), 3);
        assert_eq!(repeats.end_windows(NOW.plus(WINDOW - 1)), []);
        assert_eq!(
            lines(&repeats.end_windows(NOW.plus(WINDOW))),
            [
                "38 further requests of 192.0.2.1 were not let through in the last 10 s: \
                 1 without an answer, 7 with status 403, 30 with status 404"
            ]
        );
        assert_eq!(repeats.finish(NOW.plus(WINDOW)), [], "summed up once");
        assert_eq!(whole(&mut repeats, 404, 40), WHOLE, "a window of its own");
    }

    #[test]
    fn clients_are_counted_apart_and_networks_together() {
        let mut repeats = Repeats::default();
        for number in 0..WHOLE + 2 {
            for text in ["192.0.2.1", "::ffff:192.0.2.2"] {
                repeats.note(client(text), 404, NOW);
            }
            let spread = Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(number));
            repeats.note(spread.into(), 404, NOW);
        }
        let told = lines(&repeats.finish(NOW.plus(3)));
        assert_eq!(told.len(), 3);
        for (line, name) in told.iter().zip(["192.0.2.1", "192.0.2.2", "2001:db8::/64"]) {
            let expected = format!(
                "2 further requests of {name} were not let through in the last 3 s: 2 with status 404"
            );
            assert_eq!(*line, expected);
        }
    }

    #[test]
    fn the_table_and_the_log_stay_small_with_any_number_of_clients() {
        let mut repeats = Repeats::default();
        let mut whole = 0;
        for number in 0..100_000_u32 {
            let address = std::net::Ipv4Addr::from(number);
            whole += usize::from(repeats.note(address.into(), 404, NOW));
        }
        assert_eq!(repeats.clients.len(), CLIENTS + 1);
        assert_eq!(whole, CLIENTS + WHOLE as usize);
        let further = 100_000 - whole;
        assert_eq!(
            lines(&repeats.end_windows(NOW.plus(WINDOW))),
            [format!(
                "{further} further requests of other clients were not let through in the last 10 s: \
                 {further} with status 404"
            )]
        );
        assert_eq!(repeats.clients.len(), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_windows() {
        let mut repeats = Repeats::default();
        for _ in 0..=WHOLE {
            repeats.note(client("192.0.2.1"), 404, NOW);
        }
        assert_eq!(repeats.end_windows(Timestamp(5)).len(), 1);
    }
}

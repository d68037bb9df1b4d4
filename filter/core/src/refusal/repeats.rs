//! Sums up repeated refusals of one client for the log: any client can ask for refusals without end, and a log that has a line
//! for each of them holds nothing else.
//!
//! In each window the first answers of each status are logged whole. The rest is counted, and one line tells the counts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::time::Timestamp;

/// Seconds that are summed up in one line: short enough to see in the log what goes on, long enough for few lines.
pub const WINDOW: u64 = 10;
/// How many are logged whole of one client, status and window: a visitor who tries again, and a page whose parts are all
/// refused, stay visible one by one.
pub const WHOLE: u64 = 10;
/// Clients that are counted one by one. Further ones share a count, so that many addresses cost neither memory nor a full
/// log; some 150 KiB.
pub const CLIENTS: usize = 1024;

/// Counts the answers to requests that were not let through, by client and status.
#[derive(Debug, Default)]
pub struct Repeats {
    /// Under `None` those for which there was no room.
    clients: HashMap<Option<IpAddr>, ClientCount>,
}

/// What one client was answered, by status.
#[derive(Debug)]
struct ClientCount {
    since: Timestamp,
    answers: BTreeMap<u16, u64>,
}

impl Repeats {
    /// Counts an answer, and tells whether it is to be logged whole. Status 0 is none.
    pub fn note(&mut self, client: IpAddr, status: u16, now: Timestamp) -> bool {
        let mut client = Some(network(client));
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

    /// What was not logged whole in the windows that are over; they begin again. To be asked every few seconds.
    pub fn over(&mut self, now: Timestamp) -> Vec<Summary> {
        // Also over is one that lies in the future: the clock was set back.
        self.end(now, |window| {
            now.since(window.since) >= WINDOW || now < window.since
        })
    }

    /// What was not logged whole up to now; all windows begin again.
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

/// What of one client was not logged whole. Displays as a line of the log.
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
            // A whole network, see `network`.
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

/// Who counts as one client: an IPv4 address, or the network of 64 bits that each IPv6 customer has at least (RFC 6177).
fn network(client: IpAddr) -> IpAddr {
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

    /// N-14: the first are logged whole, the rest is one line.
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
        assert_eq!(repeats.over(NOW.plus(WINDOW - 1)), []);
        assert_eq!(
            lines(&repeats.over(NOW.plus(WINDOW))),
            [
                "38 further requests of 192.0.2.1 were not let through in the last 10 s: \
                 1 without an answer, 7 with status 403, 30 with status 404"
            ]
        );
        assert_eq!(repeats.finish(NOW.plus(WINDOW)), [], "told once");
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
    fn however_many_clients_there_are_the_table_and_the_log_stay_small() {
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
            lines(&repeats.over(NOW.plus(WINDOW))),
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
        assert_eq!(repeats.over(Timestamp(5)).len(), 1);
    }
}

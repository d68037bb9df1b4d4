//! How often the plugin answered requests itself, by its decision and reason.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock;

/// Most pairs of a decision and a reason. The module has about 80 reasons; the limit protects the monitoring system from a module
/// that makes up others.
const PAIRS: usize = 256;
/// Longest word of a decision or reason in bytes.
const WORD: usize = 64;
/// Stands for what has no word of its own.
const OTHER: &str = "other";

/// Answers by decision and reason.
#[derive(Debug, Default)]
pub(crate) struct DecisionCounters(Mutex<DecisionReading>);

/// The number of answers by decision and reason.
pub(crate) type DecisionReading = BTreeMap<(String, String), u64>;

impl DecisionCounters {
    /// Counts an answer. Of several reasons, which commas separate, the first is counted.
    pub(crate) fn count(&self, decision: &str, reasons: &str) {
        let reason = reasons.split(',').next().unwrap_or_default();
        add(&mut lock(&self.0), (clean(decision), clean(reason)), 1);
    }

    /// Adds the numbers to a reading.
    pub(super) fn add_to(&self, reading: &mut DecisionReading) {
        for ((decision, reason), count) in &*lock(&self.0) {
            add(reading, (decision, reason), *count);
        }
    }
}

fn add(reading: &mut DecisionReading, (decision, reason): (&str, &str), count: u64) {
    let pair = (decision.to_owned(), reason.to_owned());
    let has_room = reading.len() < PAIRS || reading.contains_key(&pair);
    let pair = if has_room {
        pair
    } else {
        (OTHER.to_owned(), OTHER.to_owned())
    };
    let sum = reading.entry(pair).or_default();
    *sum = sum.wrapping_add(count);
}

/// Returns a word of the module, or [`OTHER`] for what is none. An answer of one of the proxy's own pages has no reason.
fn clean(word: &str) -> &str {
    let word = word.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if word.len() <= WORD && word.bytes().all(is_plain) {
        word
    } else {
        OTHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_and_the_number_of_pairs_is_bounded() {
        let counters = DecisionCounters::default();
        counters.count("deny", "domain-unauthorized, email-unauthorized");
        counters.count("deny", "domain-unauthorized");
        counters.count("deny", "a client's \"value\"");
        let mut reading = DecisionReading::new();
        counters.add_to(&mut reading);
        let pair = |reason: &str| ("deny".to_owned(), reason.to_owned());
        assert_eq!(reading[&pair("domain-unauthorized")], 2);
        assert_eq!(reading[&pair(OTHER)], 1);
        for number in 0..2 * PAIRS {
            counters.count("deny", &format!("r{number}"));
        }
        let mut reading = DecisionReading::new();
        counters.add_to(&mut reading);
        assert!(reading.len() <= PAIRS + 1);
        assert_eq!(reading.values().sum::<u64>(), 3 + 2 * PAIRS as u64);
    }
}

//! Rechecks every open stream in slices. A worker with ten thousand websockets has other requests to answer, too.

/// Streams that are rechecked in one slice. A recheck takes some microseconds, so that a slice takes a few milliseconds.
pub const RECHECKS_PER_SLICE: usize = 256;

/// Streams that are closed in one slice. Closing one costs a log line, its context and, in the bundled host, two close
/// frames: up to half a millisecond. With a slice every few milliseconds, ten thousand streams are closed within the
/// promised five seconds.
pub const CLOSES_PER_SLICE: usize = 32;

/// The streams that are left of one recheck of all of them. A stream that opens meanwhile belongs to the next round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecheckRound {
    left: Vec<u32>,
}

impl RecheckRound {
    /// Begins a round over these streams.
    #[must_use]
    pub fn new(streams: impl IntoIterator<Item = u32>) -> Self {
        Self {
            left: streams.into_iter().collect(),
        }
    }

    /// Returns whether every stream has been rechecked.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// Runs the next slice. `recheck` gets a stream and returns whether it closed the stream. The slice ends after
    /// [`RECHECKS_PER_SLICE`] calls, or once [`CLOSES_PER_SLICE`] streams are closed.
    pub fn run_slice(&mut self, mut recheck: impl FnMut(u32) -> bool) {
        let mut closed = 0;
        for _ in 0..RECHECKS_PER_SLICE {
            let Some(stream) = self.left.pop() else {
                return;
            };
            if recheck(stream) {
                closed += 1;
            }
            if closed == CLOSES_PER_SLICE {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const STREAMS: u32 = 9_900;

    /// Returns how many streams each slice rechecks and closes, when `closes` says which ones are closed.
    fn slices(closes: impl Fn(u32) -> bool) -> Vec<(usize, usize)> {
        let mut round = RecheckRound::new(0..STREAMS);
        let (mut slices, mut seen) = (Vec::new(), BTreeSet::new());
        while !round.is_over() {
            let (mut rechecked, mut closed) = (0, 0);
            round.run_slice(|stream| {
                assert!(seen.insert(stream), "{stream} is rechecked twice");
                rechecked += 1;
                closed += usize::from(closes(stream));
                closes(stream)
            });
            slices.push((rechecked, closed));
        }
        assert_eq!(seen.len(), STREAMS as usize);
        slices
    }

    #[test]
    fn no_slice_rechecks_or_closes_many() {
        let all = [
            slices(|_| true),
            slices(|stream| stream % 3 == 0),
            slices(|_| false),
        ];
        for (rechecked, closed) in all.concat() {
            assert!(closed <= CLOSES_PER_SLICE && rechecked <= RECHECKS_PER_SLICE);
        }
    }

    #[test]
    fn all_streams_are_closed_within_the_promised_time() {
        // A slice every five milliseconds; the round begins within two seconds of the change.
        assert!(slices(|_| true).len() * 5 < 3_000);
    }

    #[test]
    fn an_empty_round_rechecks_nothing() {
        let mut round = RecheckRound::default();
        round.run_slice(|_| panic!("there is no stream"));
        assert!(round.is_over());
    }
}

//! One look at every open stream, in slices: whoever holds ten thousand websockets has other requests to answer, too.

/// How many streams are looked at in one slice: a look takes some microseconds, and this many take a few milliseconds.
pub const LOOKED_AT_ONCE: usize = 256;

/// How many streams are ended in one slice. Each costs a log line, its context and, in the bundled host, two last frames:
/// up to half a millisecond. At a slice every few milliseconds, ten thousand are ended in the time that is promised.
pub const ENDED_AT_ONCE: usize = 32;

/// What is left of a look at every open stream. A stream that comes meanwhile belongs to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    left: Vec<u32>,
}

impl Round {
    /// Begins with these streams.
    #[must_use]
    pub fn of(streams: impl IntoIterator<Item = u32>) -> Self {
        Self {
            left: streams.into_iter().collect(),
        }
    }

    /// Whether every stream has been looked at.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// The next slice: asks `look` about streams, which answers whether it has ended the stream. No more than
    /// [`LOOKED_AT_ONCE`] are asked about, and none when [`ENDED_AT_ONCE`] have been ended.
    pub fn slice(&mut self, mut look: impl FnMut(u32) -> bool) {
        let mut ended = 0;
        for _ in 0..LOOKED_AT_ONCE {
            let Some(stream) = self.left.pop() else {
                return;
            };
            if look(stream) {
                ended += 1;
            }
            if ended == ENDED_AT_ONCE {
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

    /// How many are looked at and ended in each slice when those are ended of which `ends` is true.
    fn slices(ends: impl Fn(u32) -> bool) -> Vec<(usize, usize)> {
        let mut round = Round::of(0..STREAMS);
        let (mut slices, mut seen) = (Vec::new(), BTreeSet::new());
        while !round.is_over() {
            let (mut looked, mut ended) = (0, 0);
            round.slice(|stream| {
                assert!(seen.insert(stream), "{stream} is looked at twice");
                looked += 1;
                ended += usize::from(ends(stream));
                ends(stream)
            });
            slices.push((looked, ended));
        }
        assert_eq!(seen.len(), STREAMS as usize);
        slices
    }

    #[test]
    fn no_slice_ends_or_looks_at_many() {
        for (looked, ended) in [slices(|_| true), slices(|stream| stream % 3 == 0)].concat() {
            assert!(ended <= ENDED_AT_ONCE && looked <= LOOKED_AT_ONCE);
        }
        assert!(
            slices(|_| false)
                .iter()
                .all(|(looked, _)| *looked <= LOOKED_AT_ONCE)
        );
    }

    #[test]
    fn all_that_have_to_end_do_so_within_the_promised_time() {
        // A slice every five milliseconds, after up to two seconds until the first.
        assert!(slices(|_| true).len() * 5 < 3_000);
    }

    #[test]
    fn nothing_is_left_of_an_empty_round() {
        let mut round = Round::default();
        round.slice(|_| panic!("there is no stream"));
        assert!(round.is_over());
    }
}

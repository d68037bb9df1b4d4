//! One list of revocations, as bytes: `watermark ‖ entries in the order of their names`.

use crate::time::Timestamp;

/// Length of a name: a digest, so that names have one length and tell nothing.
pub(super) const NAME: usize = 16;
/// Length of an entry: name, `begun_by` (8) and `until` (8).
const ENTRY: usize = NAME + 8 + 8;

/// What is revoked under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: [u8; NAME],
    /// Sessions that began until then are over.
    pub(super) begun_by: Timestamp,
    /// From here on no such session can live, whatever the list says: the entry gives way.
    pub(super) until: Timestamp,
}

/// A list that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    /// Entries that had to give way before their time have left this behind: whatever began until then is over.
    pub(super) watermark: Timestamp,
    entries: &'a [[u8; ENTRY]],
}

impl<'a> List<'a> {
    /// Reads a list; rubbish is an empty one.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let (watermark, rest) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        Self {
            watermark: timestamp(*watermark),
            entries: rest.as_chunks::<ENTRY>().0,
        }
    }

    /// The entry under a name.
    pub(super) fn find(&self, name: &[u8; NAME]) -> Option<Entry> {
        let found = self
            .entries
            .binary_search_by(|entry| entry.get(..NAME).unwrap_or_default().cmp(name));
        found
            .ok()
            .and_then(|place| self.entries.get(place))
            .and_then(decode)
    }

    /// The same list with one more entry and without those whose time is over.
    ///
    /// When there are more than `most`, those about the oldest sessions give way, and the watermark rises in their place:
    /// it may end sessions of others that are as old, but none that was revoked comes to life.
    pub(super) fn with(&self, new: Entry, now: Timestamp, most: usize) -> Vec<u8> {
        let mut watermark = self.watermark;
        let mut new = new;
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len() + 1);
        for entry in self.entries.iter().filter_map(decode) {
            if entry.name == new.name {
                new.begun_by = new.begun_by.max(entry.begun_by);
                new.until = new.until.max(entry.until);
            } else if now < entry.until {
                kept.push(entry);
            }
        }
        kept.push(new);
        if kept.len() > most {
            kept.sort_unstable_by_key(|entry| entry.begun_by);
            for entry in kept.drain(..kept.len() - most) {
                watermark = watermark.max(entry.begun_by);
            }
        }
        kept.sort_unstable_by_key(|entry| entry.name);
        let mut bytes = Vec::with_capacity(8 + kept.len() * ENTRY);
        bytes.extend_from_slice(&watermark.0.to_be_bytes());
        for entry in kept {
            bytes.extend_from_slice(&entry.name);
            bytes.extend_from_slice(&entry.begun_by.0.to_be_bytes());
            bytes.extend_from_slice(&entry.until.0.to_be_bytes());
        }
        bytes
    }
}

fn decode(bytes: &[u8; ENTRY]) -> Option<Entry> {
    let (name, rest) = bytes.split_first_chunk::<NAME>()?;
    let (begun_by, until) = rest.split_first_chunk::<8>()?;
    Some(Entry {
        name: *name,
        begun_by: timestamp(*begun_by),
        until: timestamp(until.try_into().ok()?),
    })
}

const fn timestamp(bytes: [u8; 8]) -> Timestamp {
    Timestamp(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: u8, begun_by: u64, until: u64) -> Entry {
        Entry {
            name: [name; NAME],
            begun_by: Timestamp(begun_by),
            until: Timestamp(until),
        }
    }

    fn list(entries: &[Entry], now: u64, most: usize) -> Vec<u8> {
        entries.iter().fold(Vec::new(), |bytes, entry| {
            List::read(&bytes).with(*entry, Timestamp(now), most)
        })
    }

    #[test]
    fn entries_are_found_by_name() {
        let bytes = list(&[entry(7, 1, 90), entry(3, 2, 90), entry(5, 3, 90)], 0, 9);
        let list = List::read(&bytes);
        for (name, begun_by) in [(3, Some(2)), (5, Some(3)), (7, Some(1)), (4, None)] {
            let found = list.find(&[name; NAME]).map(|entry| entry.begun_by.0);
            assert_eq!(found, begun_by, "{name}");
        }
        assert_eq!(list.watermark, Timestamp(0));
    }

    #[test]
    fn a_name_that_comes_again_keeps_the_later_times() {
        let bytes = list(&[entry(1, 5, 90), entry(1, 3, 99)], 0, 9);
        assert_eq!(
            List::read(&bytes).find(&[1; NAME]),
            Some(entry(1, 5, 99)),
            "neither revocation is weakened"
        );
        assert_eq!(List::read(&bytes).entries.len(), 1);
    }

    #[test]
    fn what_is_over_gives_way_first() {
        let bytes = list(&[entry(1, 5, 10), entry(2, 5, 90)], 0, 2);
        let list = List::read(&bytes).with(entry(3, 5, 90), Timestamp(10), 2);
        let list = List::read(&list);
        assert_eq!((list.entries.len(), list.watermark), (2, Timestamp(0)));
        assert!(list.find(&[1; NAME]).is_none());
    }

    #[test]
    fn a_full_list_ends_the_oldest_sessions_rather_than_forget() {
        let bytes = list(&[entry(1, 5, 90), entry(2, 4, 90), entry(3, 6, 90)], 0, 2);
        let list = List::read(&bytes);
        assert_eq!((list.entries.len(), list.watermark), (2, Timestamp(4)));
        assert!(list.find(&[2; NAME]).is_none());
    }

    #[test]
    fn rubbish_revokes_nothing() {
        for bytes in [&[][..], &[1; 7], &[0; 8 + ENTRY - 1]] {
            let list = List::read(bytes);
            assert!(list.find(&[0; NAME]).is_none() && list.watermark == Timestamp(0));
        }
    }
}

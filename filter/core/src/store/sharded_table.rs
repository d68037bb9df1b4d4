//! Lists of named entries that forget what is over.

use sha2::{Digest as _, Sha256};

use super::{SharedData, update};
use crate::time::Timestamp;

/// Length of an entry's name: a digest of whatever it is about, so that names have one length and tell nothing.
const NAME: usize = 16;
/// Bytes before an entry's value: name, end (8) and length (4).
const HEAD: usize = NAME + 8 + 4;

/// ExpiringTable of one kind: a fixed number of lists, over which entries are spread by their names.
///
/// An entry has an end, after which it counts for nothing and gives way. When a shelf would grow beyond its bytes, those
/// entries give way that end first, but never the one that is being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiringTable {
    /// Prefix of the keys.
    pub(crate) kind: &'static str,
    /// How many there are.
    pub(crate) count: u16,
    /// Most bytes of one of them.
    pub(crate) bytes: usize,
}

impl ExpiringTable {
    /// The value under a name, unless it is over.
    pub(crate) fn find(
        &self,
        shared: &dyn SharedData,
        name: &str,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let digest = digest(name);
        let (shelf, _) = shared.read(&self.key(&digest))?;
        let found = entries(&shelf).find(|entry| entry.name == digest && now < entry.until);
        found.map(|entry| entry.value.to_vec())
    }

    /// Changes the entry under a name. `change` gets the present value, unless that is over, and returns the new value
    /// and its end with a result, or `Err` with the result when nothing shall change.
    ///
    /// `None` when it could not be stored.
    pub(crate) fn update<T>(
        &self,
        shared: &dyn SharedData,
        name: &str,
        now: Timestamp,
        mut change: impl FnMut(Option<&[u8]>) -> Result<(Vec<u8>, Timestamp, T), T>,
    ) -> Option<T> {
        let digest = digest(name);
        update(shared, &self.key(&digest), |shelf| {
            let present = entries(shelf).find(|entry| entry.name == digest && now < entry.until);
            let (value, until, result) = change(present.map(|entry| entry.value))?;
            let live = entries(shelf).filter(|entry| now < entry.until && entry.name != digest);
            let new = Borrowed {
                name: digest,
                until,
                value: &value,
            };
            Ok((self.write(new, live.collect()), result))
        })
    }

    /// Key of a number that [`ExpiringTable::bump_version`] changes for the shelf on which this name lies. It tells in a few bytes
    /// whether what was found there may be another by now.
    pub(crate) fn version_key(&self, name: &str) -> String {
        format!("{} news", self.key(&digest(name)))
    }

    /// Tells everybody who reads [`ExpiringTable::version_key`] that an entry has changed.
    pub(crate) fn bump_version(&self, shared: &dyn SharedData, name: &str) {
        let change = |count: &[u8]| {
            let next = count_of(count).wrapping_add(1);
            Ok::<_, ()>((next.to_be_bytes().to_vec(), ()))
        };
        // If so many others announce something at once that this cannot, they do it for us.
        let _ = update(shared, &self.version_key(name), change);
    }

    /// The new entry, and then the others in the order in which they end, the earliest left out as far as there is no room.
    fn write(&self, new: Borrowed<'_>, mut others: Vec<Borrowed<'_>>) -> Vec<u8> {
        others.sort_by_key(|entry| std::cmp::Reverse(entry.until));
        let mut shelf = Vec::new();
        for entry in std::iter::once(new).chain(others) {
            let length = u32::try_from(entry.value.len()).unwrap_or(u32::MAX);
            if shelf.len() + HEAD + entry.value.len() > self.bytes {
                continue;
            }
            shelf.extend_from_slice(&entry.name);
            shelf.extend_from_slice(&entry.until.0.to_be_bytes());
            shelf.extend_from_slice(&length.to_be_bytes());
            shelf.extend_from_slice(entry.value);
        }
        shelf
    }

    fn key(&self, name: &[u8; NAME]) -> String {
        let [first, second, ..] = *name;
        self.key_at(u16::from_be_bytes([first, second]) % self.count)
    }

    fn key_at(&self, place: u16) -> String {
        format!("jetway {} {place}", self.kind)
    }
}

struct Borrowed<'a> {
    name: [u8; NAME],
    until: Timestamp,
    value: &'a [u8],
}

/// The number under a [`ExpiringTable::version_key`]; 0 when nothing was announced.
pub(crate) fn version_of(shared: &dyn SharedData, key: &str) -> u64 {
    shared.read(key).map_or(0, |(count, _)| count_of(&count))
}

fn count_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

/// The entries of a shelf; what is not one ends the list.
fn entries(mut shelf: &[u8]) -> impl Iterator<Item = Borrowed<'_>> {
    std::iter::from_fn(move || {
        let (name, rest) = shelf.split_first_chunk::<NAME>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        shelf = rest;
        Some(Borrowed {
            name: *name,
            until: Timestamp(u64::from_be_bytes(*until)),
            value,
        })
    })
}

fn digest(name: &str) -> [u8; NAME] {
    let digest = Sha256::digest(name.as_bytes());
    let mut short = [0; NAME];
    short.copy_from_slice(digest.get(..NAME).unwrap_or(&[0; NAME]));
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalShared;

    const TABLE: ExpiringTable = ExpiringTable {
        kind: "test",
        count: 2,
        bytes: 4 * (HEAD + 1),
    };

    fn put(shared: &LocalShared, name: &str, value: &[u8], until: u64, now: u64) {
        let change = |_: Option<&[u8]>| Ok((value.to_vec(), Timestamp(until), ()));
        TABLE.update(shared, name, Timestamp(now), change).unwrap();
    }

    #[test]
    fn entries_are_found_until_they_are_over() {
        let shared = LocalShared::default();
        put(&shared, "a", b"1", 10, 0);
        put(&shared, "b", b"2", 20, 0);
        put(&shared, "a", b"3", 15, 0);
        let find = |name, now| TABLE.find(&shared, name, Timestamp(now));
        assert_eq!(find("a", 14), Some(b"3".to_vec()));
        assert_eq!(find("a", 15), None);
        assert_eq!(find("b", 19), Some(b"2".to_vec()));
    }

    #[test]
    fn a_full_shelf_gives_up_what_ends_first() {
        let shared = LocalShared::default();
        for number in 0..100 {
            put(&shared, &number.to_string(), b"x", 1000 + number, 0);
        }
        let found = |number: &u64| TABLE.find(&shared, &number.to_string(), Timestamp(0));
        let kept: Vec<u64> = (0..100).filter(|number| found(number).is_some()).collect();
        assert_eq!(kept.len(), 8);
        assert!(kept.contains(&99), "what ends last stays");
    }

    #[test]
    fn what_is_written_stays_even_if_it_ends_first() {
        let shared = LocalShared::default();
        for number in 0..100 {
            put(&shared, &number.to_string(), b"x", 1000, 0);
        }
        put(&shared, "short", b"y", 10, 0);
        assert_eq!(
            TABLE.find(&shared, "short", Timestamp(0)),
            Some(b"y".to_vec())
        );
    }

    #[test]
    fn news_is_of_one_shelf() {
        let shared = LocalShared::default();
        let key = TABLE.version_key("a");
        assert_eq!(version_of(&shared, &key), 0);
        TABLE.bump_version(&shared, "a");
        TABLE.bump_version(&shared, "a");
        assert_eq!(version_of(&shared, &key), 2);
        let elsewhere = (0..).map(|number| TABLE.version_key(&number.to_string()));
        let other = elsewhere.into_iter().find(|other| *other != key).unwrap();
        assert_eq!(version_of(&shared, &other), 0);
    }

    #[test]
    fn rubbish_is_no_entry() {
        let shared = LocalShared::default();
        for place in 0..2 {
            assert!(shared.write(&TABLE.key_at(place), &[7; 40], crate::store::ABSENT));
        }
        assert_eq!(TABLE.find(&shared, "a", Timestamp(0)), None);
        put(&shared, "a", b"1", 10, 0);
        assert_eq!(TABLE.find(&shared, "a", Timestamp(0)), Some(b"1".to_vec()));
    }
}

//! Tables of expiring entries in the shared data.

use std::cmp::Reverse;

use crate::digest;
use crate::store::{SharedData, update};
use crate::time::Timestamp;

/// Length of an entry's name: a digest of what the entry is about, so that all names have one length and reveal nothing.
const NAME: usize = 16;
/// Bytes in front of a shard's entries: its watermark.
const WATERMARK: usize = 8;
/// Bytes of an entry in front of its value: name, end (8) and length (4).
const HEAD: usize = NAME + 8 + 4;
/// Bytes of the version of one shard.
const VERSION: usize = 4;

/// The digest by which an entry is found.
pub(crate) type EntryName = [u8; NAME];

/// A table of entries that expire. Its entries are spread over a fixed number of shards by their names, so that one change
/// rewrites only a small part of the table.
///
/// An expired entry counts for nothing and is removed by the next change of its shard. When a shard is full, entries are
/// dropped before they expire: see [`ExpiringTable::update`] and [`ExpiringTable::raise_or_insert`].
///
/// A shard is `watermark ‖ entries`, an entry `name ‖ end ‖ length ‖ value`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiringTable {
    /// The key of the versions of this table in the shared data. The keys of its shards begin with it. It is whole, because each
    /// request reads versions.
    pub(crate) key: &'static str,
    /// Number of shards.
    pub(crate) count: u16,
    /// Largest size of one shard in bytes.
    pub(crate) bytes: usize,
}

/// An entry as it lies in a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableEntry<'a> {
    name: EntryName,
    /// The entry is expired from this time on.
    pub(crate) until: Timestamp,
    /// The value.
    pub(crate) value: &'a [u8],
}

/// A shard that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard<'a> {
    /// The largest value that [`ExpiringTable::raise_or_insert`] has dropped; 0 if it has dropped none.
    pub(crate) watermark: Timestamp,
    entries: &'a [u8],
}

impl ExpiringTable {
    /// Returns the value under a name, unless it is expired.
    pub(crate) fn find(
        &self,
        shared: &dyn SharedData,
        name: &str,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let name = entry_name(name);
        let shard = self.read_shard(shared, self.shard_of(&name))?;
        let entry = Shard::parse(&shard).find(&name)?;
        (now < entry.until).then(|| entry.value.to_vec())
    }

    /// Changes the entry under a name. `change` gets the present value, unless that is expired, and returns the new value
    /// and its end with a result, or `Err` with the result to change nothing.
    ///
    /// When the shard is full, the entries that end first are dropped, but never the one that is being written. Returns `None`
    /// when the entry could not be stored.
    pub(crate) fn update<T>(
        &self,
        shared: &dyn SharedData,
        name: &str,
        now: Timestamp,
        mut change: impl FnMut(Option<&[u8]>) -> Result<(Vec<u8>, Timestamp, T), T>,
    ) -> Option<T> {
        let name = entry_name(name);
        update(shared, &self.shard_key(self.shard_of(&name)), |shard| {
            let shard = Shard::parse(shard);
            let present = shard.find(&name).filter(|entry| now < entry.until);
            let (value, until, result) = change(present.map(|entry| entry.value))?;
            let mut entries = shard.others(&name, now);
            entries.sort_by_key(|entry| Reverse(entry.until));
            let value = value.as_slice();
            entries.insert(0, TableEntry { name, until, value });
            Ok((self.write_shard(shard.watermark, &entries), result))
        })
    }

    /// Stores a time as the value under a name. If there is one already, the later time and the later end remain.
    ///
    /// When the shard is full, the entries with the earliest times are dropped, and the latest of these becomes the shard's
    /// watermark: an earlier or equal time may have been stored under any name. Returns `None` when the entry could not be
    /// stored.
    pub(crate) fn raise_or_insert(
        &self,
        shared: &dyn SharedData,
        name: &str,
        now: Timestamp,
        (time, until): (Timestamp, Timestamp),
    ) -> Option<()> {
        let name = entry_name(name);
        update(shared, &self.shard_key(self.shard_of(&name)), |shard| {
            let shard = Shard::parse(shard);
            let present = shard.find(&name);
            let value = present.map_or(time, |entry| entry.time().max(time));
            let value = value.0.to_be_bytes();
            let mut entries = shard.others(&name, now);
            entries.push(TableEntry {
                name,
                until: present.map_or(until, |entry| entry.until.max(until)),
                value: &value,
            });
            entries.sort_by_key(|entry| Reverse(entry.time()));
            let dropped = entries.split_off(self.count_fitting(&entries).min(entries.len()));
            let watermark = dropped.iter().map(TableEntry::time).max();
            let watermark = watermark.unwrap_or_default().max(shard.watermark);
            Ok((self.write_shard(watermark, &entries), ()))
        })
    }

    /// Returns how many of the entries fit into a shard, from the first one.
    fn count_fitting(&self, entries: &[TableEntry<'_>]) -> usize {
        let mut size = WATERMARK;
        let fitting = entries.iter().take_while(|entry| {
            size += entry.size();
            size <= self.bytes
        });
        fitting.count()
    }

    /// Writes the entries into a shard, without those for which there is no room.
    fn write_shard(&self, watermark: Timestamp, entries: &[TableEntry<'_>]) -> Vec<u8> {
        let mut shard = watermark.0.to_be_bytes().to_vec();
        for entry in entries {
            if shard.len() + entry.size() <= self.bytes {
                entry.append_to(&mut shard);
            }
        }
        shard
    }

    /// Marks the shard of a name as changed: its version becomes another one. Returns `None` when that could not be stored.
    pub(crate) fn bump_version(&self, shared: &dyn SharedData, name: &str) -> Option<()> {
        let shard = usize::from(self.shard_of(&entry_name(name)));
        update(shared, self.key, |versions| {
            let mut versions = versions.to_vec();
            versions.resize(usize::from(self.count) * VERSION, 0);
            if let Some(version) = versions.as_chunks_mut::<VERSION>().0.get_mut(shard) {
                *version = u32::from_be_bytes(*version).wrapping_add(1).to_be_bytes();
            }
            Ok((versions, ()))
        })
    }

    /// Returns the versions of all shards, as bytes to be compared and passed to [`version_in`]; empty before the first change.
    pub(crate) fn read_versions(&self, shared: &dyn SharedData) -> Vec<u8> {
        let versions = shared.read(self.key);
        versions.map(|(versions, _)| versions).unwrap_or_default()
    }

    /// Returns a shard as bytes, for [`Shard::parse`].
    pub(crate) fn read_shard(&self, shared: &dyn SharedData, shard: u16) -> Option<Vec<u8>> {
        shared.read(&self.shard_key(shard)).map(|(shard, _)| shard)
    }

    /// Returns the number of the shard in which the entry of this name is.
    pub(crate) fn shard_of(&self, name: &EntryName) -> u16 {
        let [first, second, ..] = *name;
        u16::from_be_bytes([first, second]) % self.count
    }

    /// Returns the key of a shard.
    pub(crate) fn shard_key(&self, shard: u16) -> String {
        format!("{} {shard}", self.key)
    }
}

impl<'a> Shard<'a> {
    /// Reads a shard. Bytes that are no shard are an empty one.
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let (watermark, entries) = bytes
            .split_first_chunk::<WATERMARK>()
            .unwrap_or((&[0; WATERMARK], &[]));
        Self {
            watermark: Timestamp(u64::from_be_bytes(*watermark)),
            entries,
        }
    }

    /// Returns the entry of this name, expired or not.
    pub(crate) fn find(self, name: &EntryName) -> Option<TableEntry<'a>> {
        self.entries().find(|entry| entry.name == *name)
    }

    /// Returns the entries of other names that are not expired.
    fn others(self, name: &EntryName, now: Timestamp) -> Vec<TableEntry<'a>> {
        self.entries()
            .filter(|entry| now < entry.until && entry.name != *name)
            .collect()
    }

    /// Iterates over the entries; bytes that are no entry end the list.
    fn entries(self) -> impl Iterator<Item = TableEntry<'a>> {
        let mut rest = self.entries;
        std::iter::from_fn(move || {
            let (entry, after) = TableEntry::split_from(rest)?;
            rest = after;
            Some(entry)
        })
    }
}

impl<'a> TableEntry<'a> {
    /// Returns the value as a time; 0 if it is none.
    pub(crate) fn time(&self) -> Timestamp {
        let value = self.value.try_into();
        value.map_or(Timestamp(0), |value| Timestamp(u64::from_be_bytes(value)))
    }

    fn size(&self) -> usize {
        HEAD + self.value.len()
    }

    fn append_to(&self, shard: &mut Vec<u8>) {
        let length = u32::try_from(self.value.len()).unwrap_or(u32::MAX);
        shard.extend_from_slice(&self.name);
        shard.extend_from_slice(&self.until.0.to_be_bytes());
        shard.extend_from_slice(&length.to_be_bytes());
        shard.extend_from_slice(self.value);
    }

    fn split_from(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (name, rest) = bytes.split_first_chunk::<NAME>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        let entry = Self {
            name: *name,
            until: Timestamp(u64::from_be_bytes(*until)),
            value,
        };
        Some((entry, rest))
    }
}

/// Returns the digest by which an entry of this name is found.
pub(crate) fn entry_name(name: &str) -> EntryName {
    digest::hash(name.as_bytes())
}

/// Returns the version of one shard; 0 when it was never changed.
pub(crate) fn version_in(versions: &[u8], shard: u16) -> u32 {
    let versions = versions.as_chunks::<VERSION>().0;
    let version = versions.get(usize::from(shard)).copied();
    version.map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests;

use super::*;
use crate::store::{ABSENT, LocalShared};

/// A table whose shards have room for four entries with a value of one byte.
const TABLE: ExpiringTable = ExpiringTable {
    key: "jetway test",
    count: 2,
    bytes: WATERMARK + 4 * (HEAD + 1),
};

/// A table of one shard, with room for two times.
const TIMES: ExpiringTable = ExpiringTable {
    key: "jetway times",
    count: 1,
    bytes: WATERMARK + 2 * (HEAD + 8),
};

fn put(shared: &LocalShared, name: &str, value: &[u8], until: u64, now: u64) {
    let change = |_: Option<&[u8]>| Ok((value.to_vec(), Timestamp(until), ()));
    TABLE.update(shared, name, Timestamp(now), change).unwrap();
}

/// Stores times, each with its end, and returns the shard.
fn store_times(shared: &LocalShared, times: &[(&str, u64, u64)], now: u64) -> Vec<u8> {
    for (name, time, until) in times {
        let value = (Timestamp(*time), Timestamp(*until));
        TIMES
            .raise_or_insert(shared, name, Timestamp(now), value)
            .unwrap();
    }
    TIMES.read_shard(shared, 0).unwrap()
}

fn find_time(shard: &[u8], name: &str) -> Option<(u64, u64)> {
    let entry = Shard::parse(shard).find(&entry_name(name))?;
    Some((entry.time().0, entry.until.0))
}

#[test]
fn entries_are_found_until_they_are_expired() {
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
fn a_full_shard_drops_what_ends_first() {
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
fn a_version_is_of_one_shard() {
    let shared = LocalShared::default();
    let shard = |name: &str| TABLE.shard_of(&entry_name(name));
    let version = |name: &str| version_in(&TABLE.read_versions(&shared), shard(name));
    assert_eq!(version("a"), 0);
    TABLE.bump_version(&shared, "a").unwrap();
    TABLE.bump_version(&shared, "a").unwrap();
    assert_eq!(version("a"), 2);
    let mut names = (0..).map(|number| number.to_string());
    let other = names.find(|name| shard(name) != shard("a")).unwrap();
    assert_eq!(version(&other), 0);
}

#[test]
fn bytes_that_are_no_shard_hold_no_entry() {
    let shared = LocalShared::default();
    for shard in 0..2 {
        assert!(shared.write(&TABLE.shard_key(shard), &[7; 40], ABSENT));
    }
    assert_eq!(TABLE.find(&shared, "a", Timestamp(0)), None);
    put(&shared, "a", b"1", 10, 0);
    assert_eq!(TABLE.find(&shared, "a", Timestamp(0)), Some(b"1".to_vec()));
    for bytes in [&[][..], &[1; 7], &[0; WATERMARK + HEAD - 1]] {
        let shard = Shard::parse(bytes);
        assert!(shard.entries().next().is_none() && shard.watermark == Timestamp(0));
    }
}

#[test]
fn times_are_found_by_name() {
    let shared = LocalShared::default();
    let shard = store_times(&shared, &[("a", 1, 90), ("b", 2, 91)], 0);
    assert_eq!(find_time(&shard, "a"), Some((1, 90)));
    assert_eq!(find_time(&shard, "b"), Some((2, 91)));
    assert_eq!(find_time(&shard, "c"), None);
    assert_eq!(Shard::parse(&shard).watermark, Timestamp(0));
}

#[test]
fn a_name_that_comes_again_keeps_the_later_times() {
    let shared = LocalShared::default();
    let shard = store_times(&shared, &[("a", 5, 90), ("a", 3, 99)], 0);
    assert_eq!(find_time(&shard, "a"), Some((5, 99)), "neither is weakened");
    assert_eq!(Shard::parse(&shard).entries().count(), 1);
}

#[test]
fn expired_times_are_dropped_first() {
    let shared = LocalShared::default();
    store_times(&shared, &[("a", 5, 10), ("b", 5, 90)], 0);
    let shard = store_times(&shared, &[("c", 5, 90)], 10);
    assert_eq!(Shard::parse(&shard).entries().count(), 2);
    assert_eq!(Shard::parse(&shard).watermark, Timestamp(0));
    assert_eq!(find_time(&shard, "a"), None);
}

#[test]
fn the_earliest_times_of_a_full_shard_raise_its_watermark() {
    let shared = LocalShared::default();
    let shard = store_times(&shared, &[("a", 5, 90), ("b", 4, 90), ("c", 6, 90)], 0);
    assert_eq!(Shard::parse(&shard).entries().count(), 2);
    assert_eq!(Shard::parse(&shard).watermark, Timestamp(4));
    assert_eq!(find_time(&shard, "b"), None);
    let shard = store_times(&shared, &[("d", 1, 90)], 0);
    assert_eq!(find_time(&shard, "d"), None, "the new time is the earliest");
    assert_eq!(Shard::parse(&shard).watermark, Timestamp(4));
}

use std::cell::Cell;
use std::collections::BTreeMap;

use super::*;
use crate::session::Identity;
use crate::store::LocalShared;
use crate::testing::{Fixture, ISSUER};

fn session(id: &str, subject: &str, sid: Option<&str>, begun: Timestamp) -> Session {
    let identity = Identity {
        subject: subject.to_owned(),
        email: None,
        email_verified: false,
        claims: BTreeMap::new(),
    };
    let mut session = Session::new(id.to_owned(), identity, begun, 1000);
    session.provider_session = sid.map(str::to_owned);
    session
}

#[test]
fn a_session_ends_in_every_worker_and_in_a_new_one() {
    let mut fixture = Fixture::new();
    let (one, other) = (Revocations::default(), Revocations::default());
    let (ended, kept) = (
        session("a", "s", None, fixture.now),
        session("b", "s", None, fixture.now),
    );
    let env = fixture.env();
    for worker in [&one, &other] {
        assert!(!worker.is_revoked(&ended, ISSUER, &env));
    }
    revoke_session(&ended, &env).unwrap();
    for worker in [&one, &other, &Revocations::default()] {
        assert!(worker.is_revoked(&ended, ISSUER, &env));
        assert!(!worker.is_revoked(&kept, ISSUER, &env));
        assert!(
            !worker.is_revoked(&kept, ISSUER, &env),
            "as it was remembered"
        );
    }
}

#[test]
fn what_was_remembered_as_good_can_end_later() {
    let mut fixture = Fixture::new();
    let worker = Revocations::default();
    let (first, second) = (
        session("a", "s", None, fixture.now),
        session("b", "s", None, fixture.now),
    );
    let env = fixture.env();
    revoke_session(&first, &env).unwrap();
    assert!(!worker.is_revoked(&second, ISSUER, &env));
    revoke_session(&second, &env).unwrap();
    assert!(worker.is_revoked(&second, ISSUER, &env));
}

#[test]
fn the_provider_ends_earlier_sessions_by_session_and_by_user() {
    let mut fixture = Fixture::new();
    let begun = fixture.now;
    let with = session("a", "s", Some("sid"), begun);
    let without = session("b", "s", None, begun);
    let other_session = session("c", "s", Some("other"), begun);
    let other_person = session("d", "t", Some("third"), begun);
    let issuer = ISSUER;
    for (revoked, ends) in [
        (
            Revoked::ProviderSession { issuer, id: "sid" },
            [true, false, false, false],
        ),
        (
            Revoked::Subject { issuer, id: "s" },
            [true, true, true, false],
        ),
        (
            Revoked::SubjectAlone { issuer, id: "s" },
            [false, true, false, false],
        ),
        (
            Revoked::Subject {
                issuer: "https://other.test",
                id: "s",
            },
            [false; 4],
        ),
    ] {
        fixture.shared = LocalShared::default();
        let worker = Revocations::default();
        fixture.now = begun.plus(10);
        let env = fixture.env();
        revoke(&revoked, &env).unwrap();
        let found = [&with, &without, &other_session, &other_person]
            .map(|session| worker.is_revoked(session, ISSUER, &env));
        assert_eq!(found, ends, "{revoked:?}");
        let later = session("e", "s", Some("sid"), begun.plus(11));
        assert!(
            !worker.is_revoked(&later, ISSUER, &env),
            "it began afterwards"
        );
    }
}

/// D-15: a million sign-outs take bounded memory, and no ended session becomes valid again.
#[test]
fn d_15_growth_is_bounded_and_ended_sessions_stay_ended() {
    let mut fixture = Fixture::new();
    let worker = Revocations::default();
    // One shard, so that the test is quick; the others are alike.
    let mut ids = (0_u64..).map(|number| number.to_string());
    let mut next = || {
        ids.find(|id| REVOCATIONS.shard_of(&entry_name(&Revoked::Session(id).name())) == 0)
            .unwrap()
    };
    let first = session(&next(), "s", None, fixture.now);
    revoke_session(&first, &fixture.env()).unwrap();
    for _ in 0..1024 + 100 {
        fixture.now = fixture.now.plus(1);
        let ended = Session::new(
            next(),
            Identity {
                subject: "s".to_owned(),
                email: None,
                email_verified: false,
                claims: BTreeMap::new(),
            },
            fixture.now,
            1_000_000,
        );
        revoke_session(&ended, &fixture.env()).unwrap();
        let shard = REVOCATIONS.read_shard(&fixture.shared, 0).unwrap();
        assert!(shard.len() <= REVOCATIONS.bytes);
        assert!(worker.is_revoked(&ended, ISSUER, &fixture.env()));
    }
    assert!(
        worker.is_revoked(&first, ISSUER, &fixture.env()),
        "its entry was dropped, and the watermark covers it"
    );
    let newest = session(&next(), "s", None, fixture.now);
    assert!(!worker.is_revoked(&newest, ISSUER, &fixture.env()));
}

/// Shared data that another worker changes a moment before each of the first changes.
struct Busy {
    table: LocalShared,
    races: Cell<u32>,
}

impl SharedData for Busy {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let found = self.table.read(key);
        if let Some(left) = self.races.get().checked_sub(1) {
            self.races.set(left);
            // Between the read and the write, another worker ends another session.
            let mut random = |_: &mut [u8]| Ok(());
            let env = Env {
                now: Timestamp(1),
                random: &mut random,
                shared: &self.table,
            };
            let theirs = session(&format!("theirs {left}"), "t", None, Timestamp(1));
            revoke_session(&theirs, &env).unwrap();
        }
        found
    }

    fn write(&self, key: &str, value: &[u8], version: u32) -> bool {
        self.table.write(key, value, version)
    }
}

/// two workers change the lists at the same time.
#[test]
fn x_16_no_entry_is_lost_to_another_worker() {
    let busy = Busy {
        table: LocalShared::default(),
        races: Cell::new(40),
    };
    let mut random = |_: &mut [u8]| Ok(());
    let env = Env {
        now: Timestamp(1),
        random: &mut random,
        shared: &busy,
    };
    let ours: Vec<Session> = (0..40)
        .map(|number| session(&format!("ours {number}"), "s", None, Timestamp(1)))
        .collect();
    for session in &ours {
        revoke_session(session, &env).unwrap();
    }
    assert_eq!(busy.races.get(), 0, "every race happened");
    let worker = Revocations::default();
    let theirs =
        (0..40).map(|number| session(&format!("theirs {number}"), "t", None, Timestamp(1)));
    for session in ours.into_iter().chain(theirs) {
        assert!(worker.is_revoked(&session, ISSUER, &env), "{}", session.id);
    }
}

#[test]
fn a_table_that_accepts_nothing_is_an_error() {
    struct Full;
    impl SharedData for Full {
        fn read(&self, _: &str) -> Option<(Vec<u8>, u32)> {
            None
        }
        fn write(&self, _: &str, _: &[u8], _: u32) -> bool {
            false
        }
    }
    let mut random = |_: &mut [u8]| Ok(());
    let env = Env {
        now: Timestamp(1),
        random: &mut random,
        shared: &Full,
    };
    let session = session("a", "s", None, Timestamp(1));
    assert_eq!(revoke_session(&session, &env), Err(NotStored));
}

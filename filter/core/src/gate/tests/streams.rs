//! Open streams: what closes them, and what does not.

use serde_json::{Value, json};

use super::refresh::{ALICE, DUE, LIFE, refused, renewable};
use super::world::{Jar, KEY, World, request, status};
use crate::gate::open_stream::{OpenStream, Recheck};
use crate::gate::*;
use crate::store::LocalShared;
use crate::testing::config;

impl World {
    /// Opens a WebSocket in this browser, and returns its stream.
    fn open(&mut self, jar: &Jar) -> OpenStream {
        let cookies = jar.header();
        let upgrade = [
            ("upgrade", &b"websocket"[..]),
            ("sec-websocket-version", b"13"),
            KEY,
            ("origin", b"https://app.test"),
            ("cookie", cookies.as_bytes()),
        ];
        match self.begin(&request("GET", "app.test", "/socket", &upgrade)) {
            Step::Forward(mut forward) => forward.take_open_stream().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn look(&mut self, stream: &mut OpenStream) -> Recheck {
        self.gate.recheck(stream, &self.fixture.env())
    }

    /// Returns why a stream is closed.
    fn closed(&mut self, stream: &mut OpenStream) -> String {
        match self.look(stream) {
            Recheck::Close(close) => close.event,
            Recheck::Keep => panic!("it stays open"),
        }
    }

    fn keeps(&mut self, stream: &mut OpenStream) -> bool {
        self.look(stream) == Recheck::Keep
    }

    fn publish_policies(&mut self) {
        self.gate.publish_policies("p", &self.fixture.env());
    }

    /// Reloads the configuration: a new gate handles new requests, and the old one keeps its streams.
    fn reload(&mut self, changes: &Value) -> Gate {
        let gate = Gate::new(config(changes));
        gate.publish_policies("p", &self.fixture.env());
        gate
    }
}

fn typed(stream: &mut OpenStream) {
    stream.hear(20, || Some(b"\x81\x8e1234ab".to_vec()));
}

#[test]
fn a_stream_ends_with_its_session_to_the_second() {
    let mut world = World::with(&json!({"cookie_expire": "1h"}));
    let jar = world.sign_in("app.test", "/", ALICE);
    let mut stream = world.open(&jar);
    world.later(3599);
    assert!(world.keeps(&mut stream));
    world.later(1);
    assert_eq!(
        world.closed(&mut stream),
        "stream closed: the session is over route=\"app.test\""
    );
}

#[test]
fn a_stream_ends_with_a_sign_out() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", ALICE);
    let bob = world.sign_in("app.test", "/", "bob@corp.test");
    let (mut stream, mut other) = (world.open(&jar), world.open(&bob));
    let cookies = jar.header();
    let _ = world.reply(&request(
        "POST",
        "app.test",
        "/.pomerium/sign_out",
        &[
            ("cookie", cookies.as_bytes()),
            ("origin", b"https://app.test"),
        ],
    ));
    assert!(world.closed(&mut stream).contains("the session was ended"));
    assert!(world.keeps(&mut other), "another's stays");
}

#[test]
fn only_unused_streams_are_closed_by_the_idle_limit() {
    let mut world = World::with(&json!({"cookie_idle_expire": "10m", "cookie_expire": "10h"}));
    let mut jar = world.sign_in("app.test", "/", ALICE);
    let (mut used, mut unused) = (world.open(&jar), world.open(&jar));
    let mut other = world.sign_in("app.test", "/", "bob@corp.test");
    let mut silent = world.open(&other);
    for _ in 0..9 {
        world.later(599);
        typed(&mut used);
        assert!(world.keeps(&mut used));
        // Another stream of the session, maybe with another worker, and a plain request learn of it.
        assert!(world.keeps(&mut unused));
        // A browser's answer to a ping is not activity.
        silent.hear(6, || Some(b"\x8a\x801234".to_vec()));
    }
    assert_eq!(world.fetch(&mut jar), 200);
    assert!(
        world
            .closed(&mut silent)
            .contains("the session has not been used for too long")
    );
    assert_eq!(world.fetch(&mut other), 401);
    world.later(600);
    assert!(world.closed(&mut used).contains("has not been used"));
}

#[test]
fn requests_keep_a_silent_stream_open() {
    let mut world = World::with(&json!({"cookie_idle_expire": "10m"}));
    let mut jar = world.sign_in("app.test", "/", ALICE);
    let mut stream = world.open(&jar);
    for _ in 0..9 {
        world.later(300);
        assert_eq!(world.fetch(&mut jar), 200);
        assert!(world.keeps(&mut stream));
    }
}

#[test]
fn a_policy_that_looks_at_the_clock_closes_streams() {
    let until = "2027-01-15T08:10:00Z";
    let mut world = World::with(&json!({"routes": [
        {"from": "https://app.test", "to": "http://a", "allow_websockets": true,
         "policy": {"allow": {"and": [{"domain": "corp.test"}, {"date": {"before": until}}]}}}]}));
    let jar = world.sign_in("app.test", "/", ALICE);
    let mut stream = world.open(&jar);
    let end: jiff::Timestamp = until.parse().unwrap();
    let left = end.as_second() as u64 - world.fixture.now.0;
    world.later(left - 1);
    assert!(world.keeps(&mut stream));
    world.later(1);
    assert!(
        world
            .closed(&mut stream)
            .contains("the policy does not allow it any more")
    );
}

/// C-33: the open WebSocket.
#[test]
fn a_reload_closes_the_streams_of_changed_and_removed_routes_only() {
    let route = |host: &str, email: &str| {
        json!({"from": format!("https://{host}"), "to": "http://a", "allow_websockets": true,
               "policy": {"allow": {"or": [{"email": email}]}}})
    };
    let file = |routes: Value| json!({ "routes": routes });
    let before = file(json!([route("b.test", ALICE), route("app.test", ALICE)]));
    let mut world = World::with(&before);
    world.publish_policies();
    let jar = world.sign_in("app.test", "/", ALICE);
    let mut stream = world.open(&jar);
    for same in [
        before,
        file(json!([route("app.test", ALICE), route("c.test", ALICE)])),
    ] {
        let _new = world.reload(&same);
        assert!(world.keeps(&mut stream), "{same}");
    }
    for changed in [
        file(json!([
            route("b.test", ALICE),
            route("app.test", "bob@corp.test")
        ])),
        file(json!([route("b.test", ALICE)])),
    ] {
        let _new = world.reload(&changed);
        let mut stream = world.open(&jar);
        let why = world.closed(&mut stream);
        assert!(why.contains("its route or its policy was changed"), "{why}");
    }
}

#[test]
fn a_public_stream_is_watched_for_changes_only() {
    let file = |criterion: Value| {
        json!({"routes": [{"from": "https://app.test", "to": "http://a", "allow_websockets": true,
            "policy": {"allow": {"or": [criterion]}}}]})
    };
    let mut world = World::with(&file(json!({"accept": true})));
    world.publish_policies();
    let mut stream = world.open(&Jar::default());
    world.later(100 * 3600);
    assert!(world.keeps(&mut stream));
    let _new = world.reload(&file(json!({"domain": "corp.test"})));
    let _ = world.closed(&mut stream);
}

/// While only the WebSocket is open, the timer refreshes its session, and the stream and the next request use the new one.
#[test]
fn a_stream_renews_its_session_in_the_background_and_stays_open() {
    let (mut world, mut jar) = renewable(&json!({}));
    let mut stream = world.open(&jar);
    for round in 1..5 {
        world.later(DUE);
        assert!(world.keeps(&mut stream));
        assert!(world.keeps(&mut stream));
        let (_, refreshing) = world.begun_refresh().unwrap();
        assert!(world.begun_refresh().is_none(), "one at a time");
        let _ = world.refresh(refreshing, &format!("r{round}"), &json!({}));
        assert!(world.keeps(&mut stream));
    }
    let before = jar.clone();
    assert_eq!(world.fetch(&mut jar), 200);
    assert_ne!(jar.0, before.0, "the browser gets the newest session");
    world.later(LIFE);
    assert!(world.keeps(&mut stream));
    assert_eq!(world.begun_refresh().unwrap().0, "r4");
}

/// A refresh is not activity.
#[test]
fn refreshes_do_not_keep_an_unused_stream_open() {
    let (mut world, jar) = renewable(&json!({"cookie_idle_expire": "10m"}));
    let mut stream = world.open(&jar);
    for round in 1..3 {
        world.later(DUE);
        assert!(world.keeps(&mut stream));
        let (_, refreshing) = world.begun_refresh().unwrap();
        let _ = world.refresh(refreshing, &format!("r{round}"), &json!({}));
        assert!(world.keeps(&mut stream));
    }
    world.later(600 - 2 * DUE);
    assert!(world.closed(&mut stream).contains("has not been used"));
}

#[test]
fn refreshed_claims_and_a_refused_refresh_close_a_stream() {
    let (mut world, jar) = renewable(&json!({}));
    let mut stream = world.open(&jar);
    world.later(DUE);
    assert!(world.keeps(&mut stream));
    let (_, refreshing) = world.begun_refresh().unwrap();
    let _ = world.refresh(refreshing, "r1", &json!({"email": "mallory@corp.test"}));
    assert!(
        world
            .closed(&mut stream)
            .contains("the policy does not allow it any more")
    );

    let (mut world, jar) = renewable(&json!({}));
    let mut stream = world.open(&jar);
    world.later(DUE);
    assert!(world.keeps(&mut stream));
    let (_, refreshing) = world.begun_refresh().unwrap();
    let _ = world.finish(refreshing, &refused());
    assert!(world.closed(&mut stream).contains("the session was ended"));
}

/// A process that has lost its shared data, or does not know the active policies, keeps its streams open.
#[test]
fn nothing_is_closed_for_want_of_news() {
    let mut world = World::new();
    world.publish_policies();
    let jar = world.sign_in("app.test", "/", ALICE);
    let mut stream = world.open(&jar);
    world.fixture.shared = LocalShared::default();
    assert!(world.keeps(&mut stream));
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
}

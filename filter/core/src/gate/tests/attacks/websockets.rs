//! W rows: open streams, and who may open them. Invalid handshakes need a connection, see
//! `tests/tests/hostile_provider/`.

use serde_json::json;

use super::target::Target;
use crate::gate::Gate;
use crate::gate::open_stream::{OpenStream, Recheck};
use crate::gate::step::Step;
use crate::gate::tests::world::{Jar, KEY, request, status};
use crate::testing::config;

const HERE: &[u8] = b"https://app.test";

impl Target {
    fn handshake(&mut self, jar: &Jar, more: &[(&str, &[u8])]) -> Step {
        let cookies = jar.header();
        let mut headers = vec![
            ("upgrade", &b"websocket"[..]),
            ("sec-websocket-version", b"13"),
            KEY,
            ("connection", b"upgrade"),
            ("cookie", cookies.as_bytes()),
        ];
        headers.extend(more);
        self.send("GET", "/socket", &headers)
    }

    fn open(&mut self, jar: &Jar) -> OpenStream {
        match self.handshake(jar, &[("origin", HERE)]) {
            Step::Forward(mut forward) => forward.take_open_stream().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn closes(&mut self, stream: &mut OpenStream) -> bool {
        let recheck = self.world.gate.recheck(stream, &self.world.fixture.env());
        matches!(recheck, Recheck::Close(_))
    }
}

#[test]
fn w_02_sibling_origin() {
    let mut target = Target::new();
    let jar = target.innocent();
    for origin in [
        &b"https://app.test.evil"[..],
        b"http://app.test",
        b"https://app.test:8443",
        b"https://b.test",
        b"https://evil.test",
        b"https://app.test/",
        b"https://app.test@evil.test",
        b"null",
        b"",
        b"https://app.test\xff",
        b"https://APP.test.",
    ] {
        let step = target.handshake(&jar, &[("origin", origin)]);
        assert_eq!(status(&step), 403, "{}", String::from_utf8_lossy(origin));
        target.still_serves("a sibling's origin");
    }
    let twice = target.handshake(&jar, &[("origin", HERE), ("origin", b"https://evil.test")]);
    assert_eq!(status(&twice), 400);
    assert!(matches!(
        target.handshake(&jar, &[("origin", HERE)]),
        Step::Forward(_)
    ));
}

#[test]
fn w_04_c_33_the_session_ends_or_the_policy_changes() {
    let mut target = Target::with(&json!({"cookie_expire": "1h"}));
    target
        .world
        .gate
        .publish_policies("p", &target.world.fixture.env());
    let jar = target.sign_in("alice@corp.test");
    let (mut signed_out, cookies) = (target.open(&jar), jar.header());
    let form = [("cookie", cookies.as_bytes()), ("origin", HERE)];
    assert!(!target.closes(&mut signed_out));
    assert!(matches!(
        target.send("POST", "/.pomerium/sign_out", &form),
        Step::Reply(_)
    ));
    assert!(target.closes(&mut signed_out), "a sign-out closes it");

    let jar = target.sign_in("alice@corp.test");
    let (mut over, mut changed) = (target.open(&jar), target.open(&jar));
    let start = target.world.fixture.now;
    target.world.fixture.now = start.plus(3600);
    assert!(target.closes(&mut over), "the end of the session closes it");
    target.world.fixture.now = start;

    // Alice is removed from the list, and the file is read again.
    let without = json!({"cookie_expire": "1h", "routes": [
        {"from": "https://app.test", "to": "http://a", "allow_websockets": true,
         "policy": {"allow": {"or": [{"email": "bob@corp.test"}]}}},
    ]});
    let reloaded = Gate::new(config(&without));
    reloaded.publish_policies("p", &target.world.fixture.env());
    assert!(target.closes(&mut changed), "a changed policy closes it");
    target.world.gate = reloaded;
    target.learn();
    assert_eq!(
        status(&target.world.visit("app.test", "/", &jar)),
        403,
        "and refuses the next request"
    );
    target.still_serves("a reload");
}

#[test]
fn w_05_handshakes_that_are_none() {
    let mut target = Target::new();
    let cookies = target.innocent().header();
    for (method, upgrade) in [
        ("POST", &b"websocket"[..]),
        ("HEAD", b"websocket"),
        ("PUT", b"websocket"),
        ("GET", b"h2c"),
        ("GET", b"websocket, h2c"),
        ("GET", b"websocket\xff"),
    ] {
        let headers = [
            ("upgrade", upgrade),
            ("sec-websocket-version", b"13"),
            ("origin", HERE),
            ("cookie", cookies.as_bytes()),
        ];
        let step = target.send(method, "/socket", &headers);
        assert_eq!(
            status(&step),
            403,
            "{method} {}",
            String::from_utf8_lossy(upgrade)
        );
        target.still_serves(method);
    }
}

#[test]
fn w_05_versions_and_keys_that_are_none() {
    let mut target = Target::new();
    let jar = target.innocent();
    let cookies = jar.header();
    for (name, value, expected) in [
        ("sec-websocket-version", &b"8"[..], 426),
        ("sec-websocket-version", b"", 426),
        ("sec-websocket-version", b"13, 8", 426),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==", 200),
        ("sec-websocket-key", b"c2hvcnQ=", 400),
        ("sec-websocket-key", b"", 400),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ", 400),
        ("sec-websocket-key", b"\xff", 400),
    ] {
        let mut headers = vec![
            ("upgrade", &b"websocket"[..]),
            ("origin", HERE),
            ("cookie", cookies.as_bytes()),
            (name, value),
        ];
        if name != "sec-websocket-version" {
            headers.push(("sec-websocket-version", b"13"));
        }
        if name != KEY.0 {
            headers.push(KEY);
        }
        let step = target.send("GET", "/socket", &headers);
        let value = String::from_utf8_lossy(value);
        assert_eq!(status(&step), expected, "{name}: {value}");
        if let (426, Step::Reply(reply)) = (expected, &step) {
            assert_eq!(reply.header("sec-websocket-version"), Some("13"));
        }
        target.still_serves(name);
    }
    let none = [
        ("upgrade", &b"websocket"[..]),
        ("cookie", cookies.as_bytes()),
    ];
    assert_eq!(status(&target.send("GET", "/socket", &none)), 426);
    let again = [("sec-websocket-version", &b"13"[..])];
    assert_eq!(status(&target.handshake(&jar, &again)), 426, "twice");
}

#[test]
fn n_20_handshakes_without_a_key_or_with_a_body() {
    let mut target = Target::new();
    let jar = target.innocent();
    let cookies = jar.header();
    let without_key = [
        ("upgrade", &b"websocket"[..]),
        ("sec-websocket-version", b"13"),
        ("cookie", cookies.as_bytes()),
    ];
    assert_eq!(status(&target.send("GET", "/socket", &without_key)), 400);
    target.still_serves("no key");
    for (name, value, expected) in [
        ("transfer-encoding", &b"chunked"[..], 400),
        ("x-jetway-transfer-encoding", b"chunked", 400),
        ("content-length", b"5", 400),
        ("content-length", b"0", 200),
    ] {
        let step = target.handshake(&jar, &[(name, value)]);
        assert_eq!(status(&step), expected, "{name}");
        target.still_serves(name);
    }
}

#[test]
fn w_07_subprotocol_as_token() {
    let mut target = Target::new();
    let token = {
        let callback = target.come_back();
        target.forge.honest(&target.claims(&callback))
    };
    for protocol in [
        format!("bearer, {token}"),
        format!("base64url.bearer.authorization.k8s.io.{token}"),
        token,
    ] {
        let more = [
            ("origin", HERE),
            ("sec-websocket-protocol", protocol.as_bytes()),
        ];
        let step = target.handshake(&Jar::default(), &more);
        assert_eq!(status(&step), 401, "{protocol:.20}");
        target.still_serves("a token as subprotocol");
        // With a session the request is the application's, unchanged.
        let jar = target.innocent();
        let cookies = jar.header();
        let headers = [
            ("upgrade", &b"websocket"[..]),
            ("sec-websocket-version", b"13"),
            KEY,
            ("cookie", cookies.as_bytes()),
            more[0],
            more[1],
        ];
        let seen = target
            .world
            .upstream(&request("GET", "app.test", "/socket", &headers));
        assert_eq!(seen.get("sec-websocket-protocol"), Some(protocol));
    }
}

//! Programs that come without a browser.

use serde_json::{Value, json};

use super::super::*;
use super::world::{HTML, Jar, World, ok, request, status};
use crate::testing::{CLIENT, FakeProvider, ISSUER};

const API: &str = "https://api.test";

fn world(format: &str) -> World {
    World::with(&json!({
        "bearer_token_format": format,
        "idp_access_token_allowed_audiences": [API],
    }))
}

fn claims(world: &World, changes: &Value) -> Value {
    let now = world.fixture.now.0;
    // Programs use a token for longer than a sign-in does.
    let mut claims = json!({
        "iss": ISSUER, "sub": "s1", "aud": CLIENT, "exp": now + 3600, "iat": now - 1800,
        "email": "alice@corp.test", "email_verified": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn bearer(world: &mut World, token: &str) -> Step {
    let value = format!("Bearer {token}");
    world.begin(&request(
        "POST",
        "app.test",
        "/api",
        &[("authorization", value.as_bytes())],
    ))
}

#[test]
fn id_tokens_stand_for_their_person() {
    let mut world = world("idp_identity_token");
    for (changes, expected) in [
        (json!({}), 200),
        (json!({"aud": ["x", CLIENT]}), 200),
        (json!({"email": "mallory@corp.test"}), 403),
        (json!({"aud": API}), 401),
        (json!({"aud": null}), 401),
        (json!({"iss": "https://evil.test"}), 401),
        (json!({"exp": 1}), 401),
        (json!({"exp": null}), 401),
        (json!({"nbf": 9_999_999_999_u64}), 401),
        (json!({"sub": ""}), 401),
        // An access token is no ID token (J-55).
        (json!({"scope": "openid"}), 401),
        (json!({"client_id": CLIENT}), 401),
    ] {
        let token = world.fake.sign(&claims(&world, &changes));
        let step = bearer(&mut world, &token);
        assert_eq!(status(&step), expected, "{changes}");
        if let Step::Reply(reply) = step
            && expected == 401
        {
            let challenge = reply.header("www-authenticate");
            assert_eq!(challenge, Some(r#"Bearer error="invalid_token""#));
            assert_eq!(reply.header("location"), None);
        }
    }
    let foreign = FakeProvider::with_key(9, "k1");
    let forged = foreign.sign(&claims(&world, &json!({})));
    assert_eq!(status(&bearer(&mut world, &forged)), 401);
    for junk in ["", "x", "a.b.c", "\u{e9}", &"x".repeat(50_000)] {
        let answer = status(&bearer(&mut world, junk));
        assert_eq!(answer, 401, "{} bytes", junk.len());
    }
}

#[test]
fn access_tokens_are_for_named_audiences() {
    let mut world = world("idp_access_token");
    for (changes, expected) in [
        (json!({"aud": API, "client_id": "cli"}), 200),
        (json!({"aud": [API, "x"], "scope": "a"}), 200),
        (json!({"aud": CLIENT, "scope": "a"}), 401),
        (json!({"aud": "https://other.test", "scope": "a"}), 401),
        // An ID token is no access token, whatever its audience.
        (json!({"aud": API}), 401),
        (json!({"aud": API, "scope": "a", "nonce": "n"}), 401),
    ] {
        let token = world.fake.sign(&claims(&world, &changes));
        assert_eq!(status(&bearer(&mut world, &token)), expected, "{changes}");
    }
}

#[test]
fn a_token_is_good_until_its_end_and_on_routes_that_take_it() {
    let mut world = world("idp_identity_token");
    let token = world.fake.sign(&claims(&world, &json!({})));
    assert_eq!(status(&bearer(&mut world, &token)), 200);
    let begun = world.fixture.now;
    world.fixture.now = begun.plus(3600 + crate::oidc::LEEWAY);
    assert_eq!(status(&bearer(&mut world, &token)), 401);

    let mut plain = World::new();
    let token = plain.fake.sign(&claims(&plain, &json!({})));
    let step = bearer(&mut plain, &token);
    assert!(
        matches!(&step, Step::Reply(reply) if reply.status == 401 && reply.header("www-authenticate").is_none_or(|challenge| !challenge.contains("invalid_token"))),
        "there it is the upstream's business: {step:?}"
    );
}

/// D-09: anybody can name unknown keys.
#[test]
fn unknown_keys_are_looked_for_once_a_minute() {
    let mut world = world("idp_identity_token");
    world.fixture.now = world.fixture.now.plus(120);
    let rotated = FakeProvider::with_key(3, "k2");
    let token = rotated.sign(&claims(&world, &json!({})));
    let Step::Call(call, waiting) = bearer(&mut world, &token) else {
        panic!("the keys are fetched")
    };
    assert_eq!(call.path, "/jwks");
    let other = FakeProvider::with_key(4, "k3").sign(&claims(&world, &json!({})));
    assert_eq!(status(&bearer(&mut world, &other)), 401, "meanwhile");
    let value = format!("Bearer {token}");
    world.last = request(
        "POST",
        "app.test",
        "/api",
        &[("authorization", value.as_bytes())],
    );
    let step = world.resume(waiting, &ok(&rotated.jwks()));
    assert_eq!(status(&step), 200);
    for _ in 0..10 {
        assert_eq!(status(&bearer(&mut world, &other)), 401);
    }
}

#[test]
fn a_person_hands_a_session_to_a_program() {
    let mut world = World::new();
    let ask = |world: &mut World, query: &str| {
        let path = format!("/.pomerium/api/v1/login{query}");
        world.reply(&request("GET", "app.test", &path, &[]))
    };
    assert_eq!(ask(&mut world, "").status, 404);
    for bad in [
        "https://evil.test/",
        "http://localhost.evil.test/",
        "http://localhost@evil.test/",
        "http://user@localhost/",
        "javascript:alert(1)",
        "//localhost/",
        "localhost",
        "http://localhost/#x",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("pomerium_redirect_uri", bad)
            .finish();
        assert_eq!(ask(&mut world, &format!("?{query}")).status, 400, "{bad}");
    }
    let told = ask(
        &mut world,
        "?pomerium_redirect_uri=http%3A%2F%2Flocalhost%3A8899%2Fdone%3Fx%3D1",
    );
    assert_eq!(told.status, 200);
    let address = url::Url::parse(&told.body).unwrap();
    assert_eq!(
        (address.host_str(), address.path()),
        (Some("app.test"), "/.pomerium/sign_in")
    );
    let path = &address[url::Position::BeforePath..];

    let jar = world.sign_in("app.test", path, "alice@corp.test");
    let Step::Reply(reply) = world.visit("app.test", path, &jar) else {
        panic!("the program gets its session")
    };
    let to = url::Url::parse(reply.header("location").unwrap()).unwrap();
    assert_eq!(
        (to.host_str(), to.port(), to.path()),
        (Some("localhost"), Some(8899), "/done")
    );
    let session = to
        .query_pairs()
        .find(|(name, _)| name == "pomerium_session")
        .unwrap()
        .1
        .into_owned();

    for header in [
        ("authorization", format!("Pomerium {session}")),
        ("authorization", format!("Bearer Pomerium-{session}")),
        ("x-pomerium-authorization", session.clone()),
    ] {
        let headers = request(
            "POST",
            "app.test",
            "/api",
            &[(header.0, header.1.as_bytes())],
        );
        let seen = world.upstream(&headers);
        assert!(!seen.has_like("authorization"), "{header:?}");
        assert!(!seen.has_like("x-pomerium-authorization"));
    }
    let with = |host: &str, path: &str, value: &str, more: &[(&str, &[u8])]| {
        let mut extra = vec![("authorization", value.as_bytes())];
        extra.extend(more);
        request("GET", host, path, &extra)
    };
    let value = format!("Pomerium {session}");
    // On another host, as a cookie, or changed, it is nothing; and a program is never sent to sign in.
    for headers in [
        with("b.test", "/", &value, &[HTML]),
        with("app.test", "/", &format!("{value}A"), &[HTML]),
        with("app.test", "/", "Pomerium x", &[HTML]),
    ] {
        assert_eq!(world.reply(&headers).status, 401);
    }
    let mut cookie = Jar::default();
    cookie.0.insert("__Host-_pomerium".to_owned(), session);
    assert_eq!(status(&world.visit("app.test", "/", &cookie)), 303);

    // Signing out in the browser ends it.
    let cookies = jar.header();
    let out = request(
        "POST",
        "app.test",
        "/.pomerium/sign_out",
        &[
            HTML,
            ("origin", b"https://app.test"),
            ("cookie", cookies.as_bytes()),
        ],
    );
    let _ = world.begin(&out);
    assert_eq!(world.reply(&with("app.test", "/", &value, &[])).status, 401);
}

#[test]
fn access_tokens_for_nobody_in_particular_are_an_error() {
    let file = json!({
        "bearer_token_format": "idp_access_token",
        "routes": [{"from": "https://a.test", "to": "http://a", "allow_public_unauthenticated_access": true}],
    });
    let error = Config::read(&file, &|_| None).unwrap_err();
    assert!(error.to_string().contains("allowed_audiences"), "{error}");
}

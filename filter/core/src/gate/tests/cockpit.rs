//! Single sign-on into Cockpit.

use serde_json::{Value, json};

use super::identity::verified;
use super::world::{HTML, Headers, Jar, KEY, Sight, World, request, status};
use crate::explain::Question;
use crate::gate::*;
use crate::http::client_certificate::ClientCertificate;
use crate::time::Timestamp;

pub(super) const HOST: &str = "app.test";
pub(super) const ALICE: &str = "alice@corp.test";
pub(super) const BOB: &str = "bob@corp.test";

pub(super) fn settings() -> Value {
    json!({
        "users": {"alice@corp.test": "alice", "s-carl@corp.test": "carl"},
        "user_claim": "unix",
        "local_part_of": ["lab.test"],
        "administrators": {"allow": {"or": [{"email": ALICE}]}},
    })
}

pub(super) fn world() -> World {
    with(settings(), &json!({}))
}

/// Returns a world with Cockpit at `app.test`, for the users of two domains.
pub(super) fn with(settings: Value, keys: &Value) -> World {
    let mut route = json!({
        "from": "https://app.test", "to": "http://a", "cockpit": settings,
        "policy": {"allow": {"or": [{"domain": "corp.test"}, {"domain": "lab.test"}]}},
    });
    for (key, value) in keys.as_object().unwrap() {
        route[key] = value.clone();
    }
    let other = json!({"from": "https://b.test", "to": "http://b", "policy": {"allow": {"or": [{"accept": true}]}}});
    World::with(&json!({"routes": [route, other]}))
}

pub(super) fn sent(path: &str, jar: &Jar, extra: &[(&str, &[u8])]) -> Headers {
    let cookie = jar.header();
    let mut all = vec![("cookie", cookie.as_bytes())];
    all.extend_from_slice(extra);
    request("GET", HOST, path, &all)
}

/// Returns header and claims of the assertion in a request.
fn login(world: &mut World, seen: &Sight) -> (Value, Value) {
    let line = seen.get("authorization").unwrap();
    verified(world, HOST, line.strip_prefix("Bearer ").unwrap())
}

/// Returns the Unix user as whom a user would be logged in.
fn user_of(world: &mut World, email: &str, claims: &Value) -> Option<String> {
    let jar = world.sign_in_with(HOST, "/", email, claims);
    let login_request = sent("/cockpit/login", &jar, &[]);
    match world.begin(&login_request) {
        Step::Reply(reply) => {
            assert!(reply.event.contains("no-unix-user"), "{reply:?}");
            None
        }
        _ => {
            let seen = world.upstream(&login_request);
            let (_, claims) = login(world, &seen);
            claims["user"].as_str().map(str::to_owned)
        }
    }
}

#[test]
fn the_login_carries_an_assertion_for_itself_alone() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let headers = sent("/cockpit/login", &jar, &[("authorization", b"Bearer sso")]);
    let address = "2001:db8::1".parse().ok();
    let begin = |world: &mut World| {
        let request = Request::new(&headers).from(address);
        let Step::Forward(forward) = world.gate.begin(&request, &mut world.fixture.env()) else {
            panic!("permitted")
        };
        assert!(!format!("{forward:?}").contains("eyJ"), "no token is shown");
        Sight::of(&headers, &forward)
    };
    let seen = begin(&mut world);
    let now = world.fixture.now.0;
    let (header, mut claims) = login(&mut world, &seen);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("ES256"), &json!("jetway-cockpit+jwt"))
    );
    let (jti, sid) = (claims["jti"].take(), claims["sid"].take());
    assert_eq!(
        (jti.as_str().unwrap().len(), sid.as_str().unwrap().len()),
        (22, 22)
    );
    assert_eq!(
        claims,
        json!({
            "iss": "https://app.test/", "aud": "app.test", "sub": "s-alice@corp.test", "email": ALICE, "user": "alice",
            "administrator": true, "iat": now, "nbf": now, "exp": now + 60, "jti": null, "sid": null,
            "session_exp": now + 14 * 3600, "rhost": "2001:db8::1",
        })
    );
    assert_eq!(seen.get("x-superuser").as_deref(), Some("any"));
    assert_eq!(seen.get("x-forwarded-for").as_deref(), Some("2001:db8::1"));
    let again = begin(&mut world);
    let (_, again) = login(&mut world, &again);
    assert_ne!(again["jti"], jti, "no assertion is made twice");
}

#[test]
fn an_assertion_does_not_outlive_its_session() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    world.fixture.now = world.fixture.now.plus(14 * 3600 - 5);
    let seen = world.upstream(&sent("/cockpit/login", &jar, &[]));
    let (_, claims) = login(&mut world, &seen);
    assert_eq!(claims["exp"], claims["session_exp"]);
}

#[test]
fn nothing_that_a_client_says_about_the_login_passes() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", BOB);
    assert_eq!(
        status(&world.begin(&sent("/", &jar, &[]))),
        403,
        "bob has no user yet"
    );
    let jar = world.sign_in_with(HOST, "/", BOB, &json!({"unix": "bob"}));
    let evil: &[(&str, &[u8])] = &[
        ("authorization", b"Basic YTpi"),
        ("authorization", b"X-Conversation x y"),
        ("x_superuser", b"any"),
        ("x-superuser", b"any"),
        ("x-ssh-connect-unknown-hosts", b"yes"),
        ("x-forwarded-host", b"evil.test"),
        ("x-forwarded-for", b"10.0.0.1, 10.0.0.2"),
    ];
    for path in [
        "/",
        "/cockpit/socket",
        "/cockpit/channel/x",
        "/cockpit/login/x",
        "/system/login",
    ] {
        let seen = world.upstream(&sent(path, &jar, evil));
        for name in [
            "authorization",
            "x-superuser",
            "x-ssh-connect-unknown-hosts",
            "x-forwarded-host",
            "x-forwarded-for",
        ] {
            assert!(!seen.has_like(name), "{path} {name}");
        }
    }
    let seen = world.upstream(&sent("/cockpit/login", &jar, evil));
    let (_, claims) = login(&mut world, &seen);
    assert_eq!(claims["user"], "bob");
    assert!(claims.get("rhost").is_none());
    assert!(!seen.has_like("x-superuser"), "bob is no administrator");
    let mut post = sent("/cockpit/login", &jar, evil);
    post[0].1 = b"POST".to_vec();
    assert!(
        !world.upstream(&post).has_like("authorization"),
        "only GET logs in"
    );
}

#[test]
fn answers_to_questions_of_the_login_pass() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let answer: (&str, &[u8]) = ("authorization", b"x-conversation abc c2VjcmV0");
    let seen = world.upstream(&sent("/cockpit/login", &jar, &[answer]));
    assert_eq!(
        seen.get("authorization").as_deref(),
        Some("x-conversation abc c2VjcmV0")
    );
    assert!(
        !world
            .upstream(&sent("/cockpit/socket", &jar, &[answer]))
            .has_like("authorization")
    );
    for other in [
        &b"X-Conversation"[..],
        b"X-ConversationX y",
        b" X-Conversation x y",
    ] {
        let seen = world.upstream(&sent("/cockpit/login", &jar, &[("authorization", other)]));
        login(&mut world, &seen);
    }
}

#[test]
fn who_becomes_which_user() {
    let mut world = world();
    let claim = |value: Value| json!({"unix": value});
    for (email, claims, user) in [
        (ALICE, json!({}), Some("alice")),
        (ALICE, claim(json!("eve")), Some("alice")),
        (BOB, json!({}), None),
        (BOB, claim(json!("bob")), Some("bob")),
        (BOB, claim(json!(["bob"])), Some("bob")),
        (BOB, claim(json!(["bob", "eve"])), None),
        (BOB, claim(json!("no name")), None),
        (BOB, claim(json!(1000)), None),
        (BOB, claim(json!("root")), None),
        // An id that looks like an address is not looked up as an address.
        ("carl@corp.test", json!({}), None),
        ("dora@lab.test", json!({}), Some("dora")),
        ("dora@LAB.test", json!({}), Some("dora")),
        ("dora@lab.test", claim(json!("eve")), Some("eve")),
        ("dora@lab.test", claim(json!("no name")), None),
        ("root@lab.test", json!({}), None),
        ("a+b@lab.test", json!({}), None),
    ] {
        let found = user_of(&mut world, email, &claims);
        assert_eq!(found.as_deref(), user, "{email} {claims}");
    }
    let unverified = json!({"email_verified": false});
    let jar = with(
        settings(),
        &json!({"policy": {"allow": {"or": [{"authenticated_user": true}]}}}),
    );
    let mut world = jar;
    assert_eq!(
        user_of(&mut world, ALICE, &unverified),
        None,
        "anybody can claim an address"
    );
    let by_id = json!({"users": {"s-1": "one", "jo\u{308}rg": "two", "j\u{f6}rg": "three",
        "root@corp.test": "root"}, "allow_root": true});
    let mut world = with(by_id, &json!({}));
    // Ids are compared byte for byte.
    for (id, user) in [("jo\u{308}rg", "two"), ("j\u{f6}rg", "three")] {
        let found = user_of(&mut world, ALICE, &json!({"sub": id}));
        assert_eq!(found.as_deref(), Some(user), "{id}");
    }
    assert_eq!(
        user_of(&mut world, ALICE, &json!({"sub": "s-1"})).as_deref(),
        Some("one")
    );
    assert_eq!(
        user_of(&mut world, "root@corp.test", &json!({})).as_deref(),
        Some("root")
    );
}

#[test]
fn cockpit_requires_a_session_and_a_unix_user() {
    let public = json!({"allow": {"or": [{"accept": true}]}});
    let mut world = with(settings(), &json!({"policy": public}));
    world.depart(HOST, "/", &mut Jar::default());
    for path in ["/", "/cockpit/login", "/cockpit/socket", "/ping2"] {
        assert_eq!(
            status(&world.begin(&request("GET", HOST, path, &[]))),
            401,
            "{path}"
        );
    }
    let jar = world.sign_in(HOST, "/", BOB);
    let reply = world.reply(&sent("/", &jar, &[HTML]));
    assert_eq!(reply.status, 403);
    assert!(
        reply.body.contains(BOB) && reply.body.contains("no Unix user"),
        "{}",
        reply.body
    );
    assert!(reply.body.contains("/.pomerium/sign_out"), "{}", reply.body);
    let reply = world.reply(&sent("/cockpit/login", &jar, &[]));
    assert!(
        reply.status == 403 && reply.body.contains("no-unix-user"),
        "{}",
        reply.body
    );
}

#[test]
fn other_hosts_are_blocked_unless_allowed() {
    let paths = [
        "/=10.0.0.1/",
        "/%3D10.0.0.1/",
        "/=10.0.0.1",
        "//=x/",
        "/cockpit+=x/login",
        "/cockpit%2B=x/login",
        "/x/../=h/",
    ];
    let mut blocked = world();
    let jar = blocked.sign_in(HOST, "/", ALICE);
    for path in paths {
        let reply = blocked.reply(&sent(path, &jar, &[HTML]));
        assert!(
            reply.status == 403
                && reply
                    .body
                    .contains("Connecting to other hosts is not allowed"),
            "{path}: {reply:?}"
        );
    }
    let mut settings = settings();
    settings["allow_other_hosts"] = json!(true);
    let mut allowed = with(settings, &json!({}));
    let jar = allowed.sign_in(HOST, "/", ALICE);
    for path in paths {
        let basic: (&str, &[u8]) = ("authorization", b"Basic x");
        let seen = allowed.upstream(&sent(path, &jar, &[basic]));
        assert_eq!(
            seen.get("authorization").as_deref(),
            Some("Basic x"),
            "it is for that host"
        );
    }
    // This path is on the same host, with a login that the proxy does not control.
    for world in [&mut blocked, &mut allowed] {
        let reply = world.reply(&sent("/cockpit+x/login", &jar, &[HTML]));
        assert_eq!(reply.status, 404);
    }
}

#[test]
fn the_token_address_leads_back_to_this_cockpit_only() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let ask = |world: &mut World, jar: &Jar, address: &str| {
        let query: String = url::form_urlencoded::byte_serialize(address.as_bytes()).collect();
        let path = format!("/.pomerium/cockpit/token?redirect_uri={query}");
        world.reply(&sent(&path, jar, &[HTML]))
    };
    for (address, location) in [
        ("https://app.test/", "/#access_token=sso"),
        (
            "https://app.test/system/terminal",
            "/system/terminal#access_token=sso",
        ),
        ("https://app.test/system?a=b", "/system#access_token=sso"),
        (
            "https://app.test//evil.test/x",
            "/evil.test/x#access_token=sso",
        ),
        (
            "https://app.test/\\evil.test",
            "/evil.test#access_token=sso",
        ),
        ("https://app.test/./\\evil.test/..", "/#access_token=sso"),
        ("https://app.test/%2e/", "/#access_token=sso"),
    ] {
        let reply = ask(&mut world, &jar, address);
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some(location)),
            "{address}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    for address in [
        "",
        "/",
        "/system",
        "https://app.test",
        "https://app.test:8443/",
        "http://app.test/",
        "https://evil.test/",
        "https://app.test@evil.test/",
        "https://app.test.evil.test/",
        "https://app.test\\evil.test/",
        "//evil.test/",
        "https://b.test/",
        "HTTPS://app.test/",
        "javascript:alert(1)//https://app.test/",
        " https://app.test/",
        "https://app.test/a b",
        "https://app.test/\r\nset-cookie: a=b",
        "https://app.test/#x",
        "https://app.test/%2fevil",
        "https://app.test/%0d",
        "https://app.test?/",
    ] {
        let reply = ask(&mut world, &jar, address);
        assert_eq!(
            (reply.status, reply.header("location")),
            (400, None),
            "{address:?}"
        );
    }
    let twice =
        "/.pomerium/cockpit/token?redirect_uri=https://app.test/&redirect_uri=https://app.test/";
    assert_eq!(world.reply(&sent(twice, &jar, &[HTML])).status, 400);
    let own = ask(&mut world, &jar, "https://app.test/.pomerium/sign_out");
    assert_eq!(own.status, 404, "only Cockpit is led back to");
    let blocked = ask(&mut world, &jar, "https://app.test/=x/");
    assert_eq!(blocked.status, 403);
}

#[test]
fn the_token_address_is_for_whom_cockpit_is_for() {
    let mut world = world();
    let path = "/.pomerium/cockpit/token?redirect_uri=https%3A%2F%2Fapp.test%2Fsystem";
    let reply = world.reply(&request("GET", HOST, path, &[HTML]));
    let location = reply.header("location").unwrap();
    assert!(
        reply.status == 303 && location.starts_with("https://op.test/authorize"),
        "{location}"
    );
    assert_eq!(world.reply(&request("GET", HOST, path, &[])).status, 401);
    let jar = world.sign_in(HOST, "/", BOB);
    let reply = world.reply(&sent(path, &jar, &[HTML]));
    assert!(reply.status == 403 && reply.body.contains("no Unix user"));
    let jar = world.sign_in(HOST, "/", "mallory@evil.test");
    let reply = world.reply(&sent(path, &jar, &[HTML]));
    assert!(reply.status == 403 && !reply.body.contains("no Unix user"));
    let elsewhere = "/.pomerium/cockpit/token?redirect_uri=https%3A%2F%2Fb.test%2F";
    assert_eq!(
        world
            .reply(&request("GET", "b.test", elsewhere, &[HTML]))
            .status,
        404
    );
    let mut post = request("POST", HOST, path, &[HTML]);
    assert_eq!(world.reply(&post).status, 405);
    post[0].1 = b"HEAD".to_vec();
    assert_eq!(world.reply(&post).status, 405);
}

#[test]
fn a_cookie_of_cockpit_is_valid_only_for_its_user() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let seen = world.upstream(&sent("/cockpit/login", &jar, &[]));
    let answer: Headers = vec![
        (":status".to_owned(), b"200".to_vec()),
        (
            "set-cookie".to_owned(),
            b"cockpit=dj0y==; Path=/; SameSite=Strict; HttpOnly".to_vec(),
        ),
        ("set-cookie".to_owned(), b"__Host-_pomerium=evil".to_vec()),
    ];
    let got = world.answer_of(seen.forwarded.as_ref().unwrap(), &answer);
    let line = got.get("set-cookie").unwrap();
    assert!(
        line.starts_with("cockpit=dj0y==.")
            && line.ends_with("; SameSite=Strict; HttpOnly; Secure"),
        "{line}"
    );
    let pair = line.split(';').next().unwrap().to_owned();
    let with_cookie = |jar: &Jar| {
        let mut jar = jar.clone();
        jar.0.insert("x".to_owned(), format!("1; {pair}"));
        sent("/cockpit/socket", &jar, &[])
    };
    let seen = world.upstream(&with_cookie(&jar));
    assert_eq!(seen.get("cookie").as_deref(), Some("x=1; cockpit=dj0y=="));
    let later = world.sign_in(HOST, "/", ALICE);
    let others = world.sign_in(HOST, "/", "dora@lab.test");
    for jar in [later, others] {
        let seen = world.upstream(&with_cookie(&jar));
        assert_eq!(seen.get("cookie").as_deref(), Some("x=1"));
    }
    // No other application on the host gets it.
    let both = format!("x=1; {pair}");
    let elsewhere = request("GET", "b.test", "/", &[("cookie", both.as_bytes())]);
    let seen = world.upstream(&elsewhere);
    assert_eq!(seen.get("cookie").as_deref(), Some("x=1"));
}

/// Cockpit passes on responses of programs that a user runs, cookies included.
#[test]
fn only_a_login_sets_a_cookie_of_cockpit() {
    let mut settings = settings();
    settings["allow_other_hosts"] = json!(true);
    let mut world = with(settings, &json!({}));
    let jar = world.sign_in(HOST, "/", "dora@lab.test");
    let mut set = |path: &str, line: &str| {
        let seen = world.upstream(&sent(path, &jar, &[]));
        let answer: Headers = vec![
            (":status".to_owned(), b"200".to_vec()),
            ("set-cookie".to_owned(), line.as_bytes().to_vec()),
        ];
        let got = world.answer_of(seen.forwarded.as_ref().unwrap(), &answer);
        got.get("set-cookie")
    };
    let alices = "cockpit=alices; Secure";
    assert_eq!(set("/cockpit/channel/x", alices), None);
    assert_eq!(set("/cockpit+=10.0.0.1/@x/pkg/login", alices), None);
    for login in ["/cockpit/login", "/cockpit+=10.0.0.1/login"] {
        let line = set(login, alices).unwrap();
        assert!(line.starts_with("cockpit=alices."), "{line}");
    }
    for other in ["cockpit=deleted; Secure", "other=1; Secure"] {
        assert_eq!(set("/cockpit/channel/x", other).as_deref(), Some(other));
    }
}

#[test]
fn below_another_root() {
    let mut world = with(settings(), &json!({"prefix": "/admin"}));
    let jar = world.sign_in(HOST, "/admin/", ALICE);
    let seen = world.upstream(&sent("/admin/cockpit/login", &jar, &[]));
    login(&mut world, &seen);
    let reply = world.reply(&sent("/admin", &jar, &[HTML]));
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/admin/"))
    );
    assert_eq!(
        status(&world.begin(&sent("/administrator", &jar, &[]))),
        404
    );
    assert_eq!(status(&world.begin(&sent("/admin/=x/", &jar, &[]))), 403);
    let token = "/.pomerium/cockpit/token?redirect_uri=https%3A%2F%2Fapp.test%2Fadmin%2Fsystem";
    let reply = world.reply(&sent(token, &jar, &[HTML]));
    assert_eq!(
        reply.header("location"),
        Some("/admin/system#access_token=sso")
    );
}

#[test]
fn a_change_of_the_users_claim_asks_for_a_new_session() {
    let mut world = world();
    let jar = world.sign_in_with(HOST, "/", BOB, &json!({"unix": "bob"}));
    let mut changed = settings();
    changed["user_claim"] = json!("login");
    let mut changed = with(changed, &json!({}));
    assert_eq!(status(&changed.begin(&sent("/", &jar, &[]))), 401);
}

#[test]
fn websockets_pass() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let websocket: &[(&str, &[u8])] = &[
        ("upgrade", b"websocket"),
        ("sec-websocket-version", b"13"),
        KEY,
        ("origin", b"https://app.test"),
    ];
    for path in ["/cockpit/socket", "/cockpit/channel/csrf"] {
        let seen = world.upstream(&sent(path, &jar, websocket));
        assert_eq!(
            seen.get(":authority").as_deref(),
            Some(HOST),
            "Cockpit compares it with the origin"
        );
    }
}

#[test]
fn explanations_tell_the_user() {
    let world = world();
    let headers = request("GET", HOST, "/", &[HTML]);
    let explain = |claims: Value| {
        let told = world.gate.explain(&Question {
            headers: &headers,
            claims: claims.as_object(),
            source: None,
            now: Timestamp(1_800_000_000),
            certificate: ClientCertificate::NotAsked,
        });
        let cockpit = told
            .cockpit
            .map(|cockpit| (cockpit.user, cockpit.by, cockpit.administrator));
        (told.status, cockpit)
    };
    let person = |email: &str| json!({"sub": "x", "email": email});
    let user = |name: &str| Some(name.to_owned());
    assert_eq!(
        explain(person(ALICE)),
        (200, Some((user("alice"), Some("users"), true)))
    );
    assert_eq!(
        explain(person("d@lab.test")),
        (200, Some((user("d"), Some("local_part_of"), false)))
    );
    assert_eq!(explain(person(BOB)), (403, Some((None, None, false))));
}

#[test]
fn the_user_page_names_the_unix_user_and_administrative_access() {
    let mut world = world();
    for (email, text, expected) in [
        (
            ALICE,
            "as the Unix user alice, with administrative access",
            json!({"user": "alice", "administrator": true}),
        ),
        (
            "d@lab.test",
            "as the Unix user d, without administrative access",
            json!({"user": "d", "administrator": false}),
        ),
        (
            BOB,
            "no Unix user is mapped to this account",
            json!({"user": null, "administrator": false}),
        ),
    ] {
        let jar = world.sign_in(HOST, "/", email);
        let page = world.reply(&sent("/.pomerium/", &jar, &[HTML]));
        assert!(page.body.contains(text), "{text}: {}", page.body);
        let accept: (&str, &[u8]) = ("accept", b"application/json");
        let reply = world.reply(&sent("/.pomerium/", &jar, &[accept]));
        let value: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(value["open"][0]["cockpit"], expected, "{email}");
    }
}

//! Sessions that users hand over to API clients: after a question, and as children of the browser's session.

use serde_json::{Value, json};

use super::provider_logout::send_claims;
use super::refresh::{ALICE, DUE, LIFE, renewable};
use super::world::{HTML, Headers, Jar, World, request, status};
use crate::gate::open_stream::Recheck;
use crate::gate::*;
use crate::oidc::call::ProviderReply;
use crate::refusal::Refusal;

const LOGIN: &str = "/.pomerium/api/v1/login";
const HERE: (&str, &[u8]) = ("origin", b"https://app.test");
const FORM: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");
const REFUSED: ProviderReply<'_> = ProviderReply {
    status: 400,
    body: br#"{"error":"invalid_grant"}"#,
    date: &[],
};

/// Returns the path that an API client is told to open in a browser.
fn ask(world: &mut World) -> String {
    let query = "pomerium_redirect_uri=http%3A%2F%2Flocalhost%3A8899%2Fdone%3Fx%3D1";
    let told = world.reply(&request(
        "GET",
        "app.test",
        &format!("{LOGIN}?{query}"),
        &[],
    ));
    assert_eq!(told.status, 200);
    let address = url::Url::parse(&told.body).unwrap();
    assert_eq!(
        (address.host_str(), address.path()),
        (Some("app.test"), "/.pomerium/sign_in")
    );
    address[url::Position::BeforePath..].to_owned()
}

/// Returns the page that asks about the API client.
fn page(world: &mut World, jar: &Jar) -> Reply {
    let path = ask(world);
    match world.visit("app.test", &path, jar) {
        Step::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

/// Returns what the page's form sends.
fn answer_in(page: &Reply) -> String {
    let (_, rest) = page.body.split_once("name=\"handover\" value=\"").unwrap();
    let (value, _) = rest.split_once('"').unwrap();
    format!("handover={value}")
}

fn post(world: &mut World, jar: &Jar, body: &str, extra: &[(&str, &[u8])]) -> Reply {
    let cookies = jar.header();
    let mut all = vec![HTML, ("cookie", cookies.as_bytes())];
    all.extend_from_slice(extra);
    let headers = request("POST", "app.test", LOGIN, &all);
    let step = world.begin(&headers);
    let step = match step {
        Step::ReadBody { .. } => {
            let request = Request::new(&headers).body(body.as_bytes());
            world.gate.begin(&request, &mut world.fixture.env())
        }
        other => other,
    };
    match step {
        Step::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

/// Returns the session that an API client gets from alice's browser.
fn hand_over(world: &mut World, jar: &Jar) -> String {
    let page = page(world, jar);
    let reply = post(world, jar, &answer_in(&page), &[HERE, FORM]);
    assert_eq!(reply.status, 303, "{reply:?}");
    session_in(&reply)
}

fn session_in(reply: &Reply) -> String {
    let to = url::Url::parse(reply.header("location").unwrap()).unwrap();
    assert_eq!(
        (to.host_str(), to.port(), to.path()),
        (Some("localhost"), Some(8899), "/done")
    );
    let mut query = to.query_pairs();
    let session = query.find(|(name, _)| name == "pomerium_session");
    session.unwrap().1.into_owned()
}

fn by_api_client(session: &str) -> Headers {
    let value = format!("Pomerium {session}");
    request(
        "GET",
        "app.test",
        "/api",
        &[("authorization", value.as_bytes())],
    )
}

fn use_it(world: &mut World, session: &str) -> u16 {
    status(&world.begin(&by_api_client(session)))
}

/// Uses a session that has to be refused, and returns the line for the log.
fn refused(world: &mut World, session: &str) -> String {
    let reply = world.reply(&by_api_client(session));
    assert_eq!(reply.status, 401, "{reply:?}");
    reply.event.into_owned()
}

fn sign_out(world: &mut World, jar: &Jar) {
    let cookies = jar.header();
    let headers = [HTML, HERE, ("cookie", cookies.as_bytes())];
    let _ = world.begin(&request(
        "POST",
        "app.test",
        "/.pomerium/sign_out",
        &headers,
    ));
}

#[test]
fn api_clients_listen_on_hosts_that_the_operator_has_named() {
    let mut world = World::new();
    let mut ask =
        |query: &str| world.reply(&request("GET", "app.test", &format!("{LOGIN}{query}"), &[]));
    assert_eq!(ask("").status, 404);
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
        assert_eq!(ask(&format!("?{query}")).status, 400, "{bad}");
    }
}

#[test]
fn a_user_hands_a_session_over_to_an_api_client() {
    let mut world = World::new();
    let path = ask(&mut world);
    // Signing in leads back to the question.
    let jar = world.sign_in("app.test", &path, ALICE);
    let session = hand_over(&mut world, &jar);
    for header in [
        ("authorization", format!("Pomerium {session}")),
        ("authorization", format!("Bearer Pomerium-{session}")),
        ("x-pomerium-authorization", session.clone()),
    ] {
        let headers = [(header.0, header.1.as_bytes())];
        let seen = world.upstream(&request("POST", "app.test", "/api", &headers));
        assert!(!seen.has_like("authorization"), "{header:?}");
        assert!(!seen.has_like("x-pomerium-authorization"));
    }
    let with = |host: &str, value: &str| {
        let extra = [("authorization", value.as_bytes()), HTML];
        request("GET", host, "/", &extra)
    };
    // On another host, as a cookie, or changed, it is invalid, and an API client is never redirected to a sign-in.
    for headers in [
        with("b.test", &format!("Pomerium {session}")),
        with("app.test", &format!("Pomerium {session}A")),
        with("app.test", "Pomerium x"),
        // A browser's session is not valid for an API client either.
        with(
            "app.test",
            &format!("Pomerium {}", jar.0["__Host-_pomerium"]),
        ),
    ] {
        assert_eq!(world.reply(&headers).status, 401);
    }
    let mut cookie = Jar::default();
    cookie.0.insert("__Host-_pomerium".to_owned(), session);
    assert_eq!(status(&world.visit("app.test", "/", &cookie)), 303);
}

/// N-03: a link leads to a question that names the API client, and to nothing else.
#[test]
fn n_03_a_link_hands_nothing_over() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", ALICE);
    let page = page(&mut world, &jar);
    assert_eq!((page.status, page.header("location")), (200, None));
    assert!(page.body.contains("localhost:8899"), "{}", page.body);
    assert!(page.body.contains(ALICE), "{}", page.body);
    assert!(!page.body.contains("pomerium_session"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self' http://localhost:8899;")
            && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    // A link to the address that accepts the answer hands over nothing either.
    let path = format!("{LOGIN}?{}", answer_in(&page));
    assert_eq!(status(&world.visit("app.test", &path, &jar)), 404);
}

/// N-03: the answer is a form of the proxy's own page, for this session, and valid once.
#[test]
fn n_03_only_our_own_page_answers() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", ALICE);
    let others = world.sign_in("app.test", "/", "bob@corp.test");
    let answer = answer_in(&page(&mut world, &jar));
    let foreign: &[&[(&str, &[u8])]] = &[
        &[FORM],
        &[FORM, ("origin", b"https://evil.test")],
        &[FORM, ("origin", b"https://b.test")],
        &[FORM, ("origin", b"http://app.test")],
        &[FORM, ("origin", b"null")],
        &[FORM, ("origin", b"null"), ("sec-fetch-site", b"cross-site")],
        &[FORM, ("sec-fetch-site", b"same-site")],
        &[FORM, ("sec-fetch-site", b"none")],
    ];
    for extra in foreign {
        assert_eq!(
            post(&mut world, &jar, &answer, extra).status,
            403,
            "{extra:?}"
        );
    }
    let good = [FORM, HERE];
    let waiting = ask(&mut world);
    let (_, waiting) = waiting.split_once("api_client=").unwrap();
    for (what, jar, body) in [
        ("nothing", &jar, ""),
        ("rubbish", &jar, "handover=x"),
        (
            "what the API client has",
            &jar,
            &*format!("handover={waiting}"),
        ),
        ("another person", &others, &*answer),
        ("nobody", &Jar::default(), &*answer),
        (
            "too long",
            &jar,
            &*format!("{answer}&x={}", "x".repeat(9000)),
        ),
    ] {
        let reply = post(&mut world, jar, body, &good);
        assert_eq!(
            (reply.status, reply.header("location")),
            (400, None),
            "{what}"
        );
    }
    let untyped = post(&mut world, &jar, &answer, &[HERE]);
    assert_eq!(untyped.status, 400);
    assert_eq!(post(&mut world, &jar, &answer, &good).status, 303);
    let again = post(&mut world, &jar, &answer, &good);
    assert_eq!((again.status, again.header("location")), (400, None));
    let word = Refusal::BadRequest(BadRequest::Handover).word();
    let why = format!("{word} (the question was answered before)");
    assert!(again.event.contains(&why), "{}", again.event);
    let late = answer_in(&page(&mut world, &jar));
    world.later(600);
    assert_eq!(post(&mut world, &jar, &late, &good).status, 400);
}

/// N-03: what ends the browser's session ends the API client's.
#[test]
fn n_03_an_api_client_ends_with_the_browser() {
    let (mut world, jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    assert_eq!(use_it(&mut world, &session), 200);
    sign_out(&mut world, &jar);
    assert!(refused(&mut world, &session).contains("was ended"));

    let (mut world, jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    world.later(1);
    let logout = json!({"sub": format!("s-{ALICE}"), "sid": null});
    assert_eq!(status(&send_claims(&mut world, &logout)), 200);
    refused(&mut world, &session);

    // The configuration uses other claims.
    let (mut world, jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    let changes = json!({"routes": [{"from": "https://app.test", "to": "http://a",
        "policy": {"allow": {"or": [{"claim/groups": "staff"}]}}}]});
    world.gate = world.other_worker(&changes);
    assert!(refused(&mut world, &session).contains("other claims"));

    let mut world = World::with(&json!({"cookie_expire": "1h"}));
    let jar = world.sign_in("app.test", "/", ALICE);
    world.later(1800);
    let session = hand_over(&mut world, &jar);
    world.later(1799);
    assert_eq!(use_it(&mut world, &session), 200);
    world.later(1);
    assert!(refused(&mut world, &session).contains("over"));
}

/// N-03: when the provider refuses the browser's refresh, the API client's session ends, too.
#[test]
fn n_03_a_refused_refresh_ends_the_api_client() {
    let (mut world, mut jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 200);
    let (_, refreshing) = world.begun_refresh().unwrap();
    world.finish(refreshing, &REFUSED);
    refused(&mut world, &session);
    assert_eq!(world.fetch(&mut jar), 401);
}

/// N-03: while the browser is closed, the API client's requests refresh the session, with each refresh token once.
#[test]
fn n_03_an_api_client_refreshes_the_session_of_a_closed_browser() {
    let (mut world, mut jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    for round in 0..3 {
        world.later(LIFE + 1);
        let overdue = world.begin(&by_api_client(&session));
        assert!(matches!(overdue, Step::Hold { .. }), "{overdue:?}");
        let (token, refreshing) = world.begun_refresh().unwrap();
        assert_eq!(token, format!("r{round}"));
        assert!(world.begun_refresh().is_none(), "one at a time");
        world.refresh(refreshing, &format!("r{}", round + 1), &json!({}));
        assert_eq!(use_it(&mut world, &session), 200);
    }
    // The browser comes back and gets the newest form as its own.
    assert_eq!(world.fetch(&mut jar), 200);
    assert!(world.begun_refresh().is_none());
    let cookie = &jar.0["__Host-_pomerium"];
    let with_cookie = request(
        "GET",
        "app.test",
        "/",
        &[("authorization", format!("Pomerium {cookie}").as_bytes())],
    );
    assert_eq!(status(&world.begin(&with_cookie)), 401);
    world.later(LIFE + 1);
    let _ = world.begin(&by_api_client(&session));
    let (token, refreshing) = world.begun_refresh().unwrap();
    assert_eq!(token, "r3");
    world.finish(refreshing, &REFUSED);
    refused(&mut world, &session);
    assert_eq!(world.fetch(&mut jar), 401);
}

/// N-03: another process does not know the browser's session, and has no refresh token to lose.
#[test]
fn n_03_an_api_client_outlives_the_process_until_the_next_refresh() {
    let (mut world, mut jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    world.fixture.shared = crate::store::LocalShared::default();
    world.gate = world.other_worker(&json!({}));
    world.later(LIFE - 1);
    assert_eq!(use_it(&mut world, &session), 200);
    assert!(world.begun_refresh().is_none());
    world.later(1);
    assert!(refused(&mut world, &session).contains("no longer current"));
    assert!(world.begun_refresh().is_none());
    // Once the browser has refreshed the session, the API client's is valid again.
    let overdue = world.fetch(&mut jar);
    assert_eq!(overdue, 0);
    let (_, refreshing) = world.begun_refresh().unwrap();
    world.refresh(refreshing, "r1", &json!({}));
    assert_eq!(use_it(&mut world, &session), 200);
}

/// N-03: an API client has the idle limit, and neither it nor the browser keeps the other's session alive.
#[test]
fn n_03_an_api_client_has_the_idle_limit() {
    let mut world = World::with(&json!({"cookie_idle_expire": "10m"}));
    let mut jar = world.sign_in("app.test", "/", ALICE);
    let (used, unused) = (hand_over(&mut world, &jar), hand_over(&mut world, &jar));
    for _ in 0..3 {
        world.later(400);
        assert_eq!(use_it(&mut world, &used), 200);
    }
    assert!(refused(&mut world, &unused).contains("too long"));
    assert_eq!(world.fetch(&mut jar), 401, "nobody has used the browser");
    world.later(600);
    assert!(refused(&mut world, &used).contains("too long"));

    let mut jar = world.sign_in("app.test", "/", ALICE);
    let unused = hand_over(&mut world, &jar);
    for _ in 0..3 {
        world.later(400);
        assert_eq!(world.fetch(&mut jar), 200);
    }
    assert!(refused(&mut world, &unused).contains("too long"));
}

/// N-03: an API client's WebSocket is closed with the browser's session.
#[test]
fn n_03_an_api_clients_stream_ends_with_the_browser() {
    let (mut world, jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    let Step::Forward(mut forward) = world.begin(&by_api_client(&session)) else {
        panic!("it is let in")
    };
    let mut stream = forward.take_open_stream().unwrap();
    let gate = &world.gate;
    assert_eq!(
        gate.recheck(&mut stream, &world.fixture.env()),
        Recheck::Keep
    );
    sign_out(&mut world, &jar);
    let after = world.gate.recheck(&mut stream, &world.fixture.env());
    assert!(matches!(after, Recheck::Close(_)), "{after:?}");
}

/// An API client gets nothing of the browser's session that could be used elsewhere.
#[test]
fn an_api_client_gets_no_refresh_token() {
    let (mut world, jar) = renewable(&json!({}));
    let session = hand_over(&mut world, &jar);
    let sealer = world.gate.sessions.vault.sealer().unwrap();
    let purpose = crate::session::seal::Purpose::ApiClient;
    let opened = sealer
        .open(purpose, "app.test", session.as_bytes())
        .unwrap();
    let text = String::from_utf8(opened.plaintext).unwrap();
    let sealed: Value = serde_json::from_str(&text).unwrap();
    assert!(sealed["r"].get("t").is_none() && sealed.get("h").is_none());
    assert!(!text.contains("\"r0\""));
}

/// N-16: a session in any of several lines stays at the proxy, and the client's other credentials are forwarded.
#[test]
fn n_16_a_session_among_other_lines_stays_here() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let session = hand_over(&mut world, &jar);
    let (own, other) = (
        format!("bearer Pomerium-{session}"),
        "Basic eDp5".to_owned(),
    );
    let joined = format!("{other} ,{own}");
    for lines in [
        vec![&own, &own],
        vec![&other, &own],
        vec![&own, &other, &own],
        vec![&joined],
        vec![&joined, &other],
    ] {
        let lines: Vec<(&str, &[u8])> = lines
            .iter()
            .map(|line| ("authorization", line.as_bytes()))
            .chain([("x-pomerium-authorization", session.as_bytes())])
            .collect();
        let seen = world.upstream(&request("POST", "app.test", "/api", &lines));
        let shown = seen
            .headers
            .iter()
            .any(|(_, value)| String::from_utf8_lossy(value).contains(&session));
        assert!(!shown && !seen.has_like("authorization"), "{seen:?}");
    }
    let ours = [
        ("x-pomerium-authorization", session.as_bytes()),
        ("authorization", other.as_bytes()),
    ];
    let seen = world.upstream(&request("POST", "app.test", "/api", &ours));
    assert_eq!(seen.get("authorization").as_deref(), Some("Basic eDp5"));
}

//! Cockpit in a browser: "Login again" after Cockpit's own log-out, and the reason of a closed WebSocket.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cockpit::{ALICE, BOB, HOST, sent, settings, with, world};
use super::world::{HTML, Headers, Jar, KEY, World, request};
use crate::gate::open_stream::{OpenStream, Recheck};
use crate::gate::*;
use crate::http::reply::Reply;

/// The headers of a click on a link of the same origin, as Chromium and Firefox send them.
const CLICK: [(&str, &[u8]); 5] = [
    HTML,
    ("sec-fetch-mode", b"navigate"),
    ("sec-fetch-dest", b"document"),
    ("sec-fetch-site", b"same-origin"),
    ("sec-fetch-user", b"?1"),
];
const TOKEN: &str =
    "/.pomerium/cockpit/token?redirect_uri=https%3A%2F%2Fapp.test%2Fsystem%2Fterminal";

/// Clicks on "Login again".
fn click(world: &mut World, jar: &Jar, path: &str) -> Reply {
    world.reply(&sent(path, jar, &CLICK))
}

/// Returns the addresses of the links of a page.
fn links(page: &str) -> Vec<&str> {
    let parts = page.split("<a ").skip(1);
    parts
        .filter_map(|part| part.split("href=\"").nth(1)?.split('"').next())
        .collect()
}

#[test]
fn a_click_on_login_again_asks_first() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let page = click(&mut world, &jar, TOKEN);
    assert_eq!((page.status, page.header("location")), (200, None));
    assert!(page.body.contains("You are still signed in"), "{page:?}");
    assert!(page.body.contains(ALICE), "{}", page.body);
    assert!(page.body.contains("action=\"/.pomerium/sign_out\""));
    // The link leads to Cockpit itself. Its login page begins as on a first visit, without a click.
    assert_eq!(links(&page.body), ["/system/terminal"]);
    // Only the script continues with a token, when the user has not logged out.
    let argument = "<script data-argument=\"/system/terminal#access_token=sso\">";
    assert!(page.body.contains(argument), "{}", page.body);
    assert_eq!(page.body.matches("access_token").count(), 1);
    let seen = world.upstream(&sent("/system/terminal", &jar, &CLICK));
    assert_eq!(seen.get(":path").as_deref(), Some("/system/terminal"));
    let automatic = world.reply(&sent(TOKEN, &jar, &CLICK[..4]));
    assert_eq!(
        automatic.header("location"),
        Some("/system/terminal#access_token=sso")
    );
}

#[test]
fn a_browser_that_goes_on_by_itself_is_not_asked() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    for (name, value) in [
        // Cockpit's login page goes on by itself.
        ("sec-fetch-user", Some(&b"?0"[..])),
        ("sec-fetch-user", None),
        // A page that no other page may frame would stay empty.
        ("sec-fetch-dest", Some(b"iframe")),
        ("sec-fetch-mode", Some(b"cors")),
    ] {
        let mut headers: Vec<(&str, &[u8])> = CLICK.to_vec();
        headers.retain(|(other, _)| *other != name);
        headers.extend(value.map(|value| (name, value)));
        let reply = world.reply(&sent(TOKEN, &jar, &headers));
        assert_eq!(
            reply.header("location"),
            Some("/system/terminal#access_token=sso"),
            "{name} {value:?}"
        );
    }
    // A link on another site asks, too. A sign-in never comes back here, so that it is not asked about.
    for site in [&b"cross-site"[..], b"same-site", b"none"] {
        let mut headers = CLICK.to_vec();
        headers[3].1 = site;
        let reply = world.reply(&sent(TOKEN, &jar, &headers));
        assert_eq!(reply.status, 200);
    }
}

#[test]
fn a_sign_in_at_login_again_returns_to_cockpit_itself() {
    let mut world = world();
    let (reply, _) = world.finish_sign_in(HOST, TOKEN, (ALICE, &json!({})));
    // Cockpit's login page begins as on a first visit: without a question, and without a token in its address.
    assert_eq!(reply.header("location"), Some("/system/terminal"));
}

#[test]
fn a_click_gets_no_further_than_the_automatic_way() {
    let mut world = world();
    let to = |address: &str| {
        let query: String = url::form_urlencoded::byte_serialize(address.as_bytes()).collect();
        format!("/.pomerium/cockpit/token?redirect_uri={query}")
    };
    let anonymous = click(&mut world, &Jar::default(), TOKEN);
    let location = anonymous.header("location").unwrap();
    assert!(
        location.starts_with("/.pomerium/sign_in?attempt="),
        "{location}"
    );
    let jar = world.sign_in(HOST, "/", ALICE);
    for address in [
        "https://evil.test/",
        "https://app.test@evil.test/",
        "//evil.test/",
        "javascript:alert(1)//https://app.test/",
        "https://app.test/#x",
    ] {
        let reply = click(&mut world, &jar, &to(address));
        assert_eq!(
            (reply.status, links(&reply.body).len()),
            (400, 0),
            "{address}"
        );
    }
    for (address, link) in [
        ("https://app.test//evil.test/x", "/evil.test/x"),
        ("https://app.test/\\evil.test", "/evil.test"),
        ("https://app.test/system?a=%22b", "/system"),
    ] {
        let page = click(&mut world, &jar, &to(address));
        assert_eq!(
            (page.status, links(&page.body)),
            (200, vec![link]),
            "{address}"
        );
    }
    for address in [
        "https://app.test/\"onclick=\"alert(1)",
        "https://app.test/</a><script>alert(1)</script>",
        "https://app.test/'><b>",
    ] {
        let page = click(&mut world, &jar, &to(address));
        assert!(!page.body.contains("\"onclick"), "{}", page.body);
        assert!(!page.body.contains("alert(1)</script>"), "{}", page.body);
        assert!(!page.body.contains("<b>"), "{}", page.body);
    }
    let own = click(&mut world, &jar, &to("https://app.test/.pomerium/sign_out"));
    assert_eq!(own.status, 404);
    assert_eq!(
        click(&mut world, &jar, &to("https://app.test/=x/")).status,
        403
    );
    let bob = world.sign_in(HOST, "/", BOB);
    assert_eq!(click(&mut world, &bob, TOKEN).status, 403, "no Unix user");
}

#[test]
fn the_question_allows_its_own_script_and_nothing_else() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let page = click(&mut world, &jar, TOKEN);
    let policy = page.header("content-security-policy").unwrap();
    let script = page.body.split("<script ").nth(1).unwrap();
    let script = script.split("</script>").next().unwrap();
    let script = script.split_once('>').unwrap().1;
    let hash = STANDARD.encode(Sha256::digest(script.as_bytes()));
    assert!(
        policy.ends_with(&format!("; script-src 'sha256-{hash}'")),
        "{policy}"
    );
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    // Pages without the link have no script.
    let other = world.reply(&sent("/.pomerium/sign_out", &jar, &[HTML]));
    let policy = other.header("content-security-policy").unwrap();
    assert!(!policy.contains("script-src") && !other.body.contains("<script"));
}

/// Opens the WebSocket of Cockpit's page.
fn open(world: &mut World, jar: &Jar) -> OpenStream {
    let handshake: &[(&str, &[u8])] = &[
        ("upgrade", b"websocket"),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-protocol", b"cockpit1"),
        KEY,
        ("origin", b"https://app.test"),
    ];
    match world.begin(&sent("/cockpit/socket", jar, handshake)) {
        Step::Forward(mut forward) => forward.take_open_stream().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Returns the message that a closed stream leaves.
fn last_message(world: &mut World, stream: &mut OpenStream) -> Option<&'static str> {
    match world.gate.recheck(stream, &world.fixture.env()) {
        Recheck::Close(close) => close.last_message,
        Recheck::Keep => panic!("it stays open"),
    }
}

/// Returns the message in which Cockpit's page finds this problem.
fn problem(word: &str) -> String {
    format!("\n{{\"command\":\"init\",\"problem\":\"{word}\"}}")
}

#[test]
fn cockpit_learns_that_the_session_is_over() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let mut stream = open(&mut world, &jar);
    world.later(14 * 3600);
    let message = last_message(&mut world, &mut stream).unwrap();
    assert_eq!(message, problem("no-session"));
    // Cockpit's page takes a message without a channel, which begins with a line break, for a control message.
    let control: Value = serde_json::from_str(message.strip_prefix('\n').unwrap()).unwrap();
    assert_eq!(control["problem"], "no-session");
}

#[test]
fn cockpit_learns_that_the_session_was_revoked() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let mut stream = open(&mut world, &jar);
    let cookies = jar.header();
    let own: &[(&str, &[u8])] = &[
        ("cookie", cookies.as_bytes()),
        ("origin", b"https://app.test"),
    ];
    let sign_out: Headers = request("POST", HOST, "/.pomerium/sign_out", own);
    assert_eq!(world.reply(&sign_out).status, 303);
    assert_eq!(
        last_message(&mut world, &mut stream),
        Some(problem("terminated").as_str())
    );
}

#[test]
fn cockpit_learns_that_its_access_was_withdrawn() {
    let mut world = world();
    let jar = world.sign_in(HOST, "/", ALICE);
    let mut stream = open(&mut world, &jar);
    world.gate.publish_policies("p", &world.fixture.env());
    let mut denied = settings();
    denied["users"] = json!({"alice@corp.test": "alicia"});
    with(denied, &json!({}))
        .gate
        .publish_policies("p", &world.fixture.env());
    assert_eq!(
        last_message(&mut world, &mut stream),
        Some(problem("terminated").as_str())
    );
}

#[test]
fn other_applications_get_no_message_of_cockpits() {
    let mut world = World::new();
    let jar = world.sign_in(HOST, "/", ALICE);
    let mut stream = open(&mut world, &jar);
    world.later(14 * 3600);
    assert_eq!(last_message(&mut world, &mut stream), None);
}

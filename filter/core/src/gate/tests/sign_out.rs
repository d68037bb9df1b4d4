//! Sign-outs: by a form of this site only, for every copy of the cookie, and with the provider.

use std::collections::BTreeMap;

use serde_json::json;

use super::world::{HTML, Headers, Jar, World, request, status};
use crate::gate::*;
use crate::session::Session;
use crate::testing::{config, provider_settings};

const HERE: (&str, &[u8]) = ("origin", b"https://app.test");
const COOKIE: &str = "__Host-_pomerium";

fn post(jar: &Jar, extra: &[(&str, &[u8])]) -> Headers {
    let cookie = jar.header();
    let mut all = vec![HTML, ("cookie", cookie.as_bytes())];
    all.extend_from_slice(extra);
    request("POST", "app.test", "/.pomerium/sign_out", &all)
}

fn parameters(reply: &Reply) -> BTreeMap<String, String> {
    let location = url::Url::parse(reply.header("location").unwrap()).unwrap();
    location.query_pairs().into_owned().collect()
}

/// Gives the session in a jar a refresh token.
fn with_refresh_token(world: &mut World, jar: &Jar) -> Jar {
    let gate = &world.gate;
    let opened = gate
        .sessions
        .open("app.test", jar.0[COOKIE].as_bytes(), world.fixture.now)
        .unwrap();
    let mut session = Session::clone(&opened.session);
    let far = world.fixture.now.plus(9999).0;
    let refresh = json!({"t": "the-refresh-token", "d": far, "o": far, "n": "", "g": 0});
    session.refresh = Some(serde_json::from_value(refresh).unwrap());
    let present = crate::http::cookie::OwnCookies::default();
    let lines = gate
        .sessions
        .cookies_for(&session, "app.test", &present, &mut world.fixture.env());
    let line = lines.unwrap().remove(0);
    let (_, value) = line.split_once('=').unwrap();
    let value = value.split(';').next().unwrap().to_owned();
    Jar(BTreeMap::from([(COOKIE.to_owned(), value)]))
}

/// F-35: neither a link, an image nor a form of another site signs a user out.
#[test]
fn f_35_signing_out_takes_a_form_of_this_site() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let origin = |value: &'static str| ("origin", value.as_bytes());
    let site = |value: &'static str| ("sec-fetch-site", value.as_bytes());
    for extra in [
        &[][..],
        &[origin("https://evil.test")],
        &[origin("null")],
        &[origin("null"), site("cross-site")],
        &[origin("null"), site("same-site")],
        &[origin("https://evil.test"), site("same-origin")],
    ] {
        let reply = world.reply(&post(&jar, extra));
        assert_eq!(reply.status, 403, "{extra:?}");
        assert!(reply.header("set-cookie").is_none());
    }
    let cookie = jar.header();
    let image = ("sec-fetch-dest", &b"image"[..]);
    for path in ["/.pomerium/sign_out", "/.pomerium/signed_out"] {
        let all = [
            HTML,
            image,
            ("sec-fetch-site", b"cross-site"),
            ("cookie", cookie.as_bytes()),
        ];
        let page = world.reply(&request("GET", "app.test", path, &all));
        assert_eq!(
            (page.status, page.header("set-cookie")),
            (200, None),
            "a link only asks"
        );
    }
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
}

/// A sign-out is known to every worker, and to one that starts afterwards.
#[test]
fn a_copy_of_the_cookie_is_dead_in_every_worker() {
    let mut world = World::new();
    let mut jar = world.sign_in("app.test", "/", "alice@corp.test");
    let copy = jar.clone();
    let other_session = world.sign_in("app.test", "/", "alice@corp.test");
    let worker = Gate::new(config(&json!({})));
    let ask = |gate: &Gate, jar: &Jar, world: &mut World| {
        let cookie = jar.header();
        let headers = request("GET", "app.test", "/", &[("cookie", cookie.as_bytes())]);
        status(&gate.begin(&Request::new(&headers), &mut world.fixture.env()))
    };
    assert_eq!(ask(&worker, &copy, &mut world), 200);

    let reply = world.reply(&post(&jar, &[HERE]));
    assert_eq!(reply.status, 303);
    jar.take(&reply);
    assert!(!jar.0.contains_key(COOKIE));
    assert_eq!(reply.event, "signed out");

    assert_eq!(ask(&worker, &copy, &mut world), 401);
    assert_eq!(ask(&worker, &other_session, &mut world), 200);
    let restarted = Gate::new(config(&json!({})));
    assert_eq!(ask(&restarted, &copy, &mut world), 401);
    // The copy is removed from a browser that has it.
    let step = world.visit("app.test", "/", &copy);
    let Step::Reply(reply) = step else {
        panic!("{step:?}")
    };
    assert!(
        reply.status == 303
            && reply.headers.iter().any(|(_, line)| {
                line.starts_with("__Host-_pomerium=;") && line.contains("Max-Age=0")
            })
    );
}

/// C-24: the answer clears every part of a long session with the attributes that it was set with.
#[test]
fn c_24_all_cookies_of_the_session_go() {
    let mut world = World::new();
    let mut jar = world.sign_in("app.test", "/", "alice@corp.test");
    jar.0.insert(format!("{COOKIE}_1"), "x".to_owned());
    jar.0.insert(format!("{COOKIE}_2"), "x".to_owned());
    let reply = world.reply(&post(&jar, &[HERE]));
    jar.take(&reply);
    let left: Vec<&String> = jar.0.keys().collect();
    assert_eq!(left, ["__Host-_pomerium_sign_out"]);
}

#[test]
fn rp_init_logout() {
    let mut world = World::new();
    let mut jar = world.sign_in("app.test", "/", "alice@corp.test");
    let reply = world.reply(&post(&jar, &[HERE]));
    jar.take(&reply);
    let asked = parameters(&reply);
    assert!(
        reply
            .header("location")
            .unwrap()
            .starts_with("https://op.test/logout?")
    );
    assert_eq!(asked["client_id"], "rp");
    assert_eq!(
        asked["post_logout_redirect_uri"],
        "https://app.test/.pomerium/signed_out"
    );
    assert_eq!(asked["id_token_hint"].split('.').count(), 3);
    assert!(asked["state"].len() >= 22);
    let path = format!("/.pomerium/signed_out?state={}", asked["state"]);
    let Step::Reply(back) = world.visit("app.test", &path, &jar) else {
        panic!("a page")
    };
    assert!(back.status == 200 && back.body.contains("You are signed out"));
    jar.take(&back);
    assert!(jar.0.is_empty());
}

/// L-15: the query has no influence on where a sign-out leads.
#[test]
fn l_15_a_sign_out_leads_nowhere_else() {
    for changes in [
        json!({}),
        json!({"signout_redirect_url": "https://www.test/bye"}),
    ] {
        let mut world = World::with(&changes);
        let jar = world.sign_in("app.test", "/", "alice@corp.test");
        let mut headers = post(&jar, &[HERE]);
        headers[2].1 = b"/.pomerium/sign_out?post_logout_redirect_uri=https://evil.test&rd=https://evil.test&pomerium_redirect_uri=https://evil.test".to_vec();
        let reply = world.reply(&headers);
        assert!(!reply.header("location").unwrap().contains("evil"));
        let path = "/.pomerium/signed_out?post_logout_redirect_uri=https://evil.test";
        let Step::Reply(page) = world.visit("app.test", path, &Jar::default()) else {
            panic!("a page")
        };
        assert!(page.status == 200 && !page.body.contains("evil"));
    }
}

#[test]
fn l_16_rp_init_logout_no_state() {
    let mut world = World::new();
    let mut jar = world.sign_in("app.test", "/", "alice@corp.test");
    let reply = world.reply(&post(&jar, &[HERE]));
    jar.take(&reply);
    let Step::Reply(page) = world.visit("app.test", "/.pomerium/signed_out", &jar) else {
        panic!("a page")
    };
    assert!(page.status == 200 && page.body.contains("You are signed out"));
}

#[test]
fn l_16_rp_init_logout_other_state() {
    let mut world = World::new();
    let mut jar = world.sign_in("app.test", "/", "alice@corp.test");
    let signed_in = jar.clone();
    let reply = world.reply(&post(&jar, &[HERE]));
    let state = parameters(&reply).remove("state").unwrap();
    jar.take(&reply);
    for (path, jar) in [
        ("?state=foreign".to_owned(), &jar),
        ("?state=".to_owned(), &jar),
        (format!("?state={state}&state={state}"), &jar),
        (format!("?state={state}"), &Jar::default()),
    ] {
        let path = format!("/.pomerium/signed_out{path}");
        let Step::Reply(page) = world.visit("app.test", &path, jar) else {
            panic!("a page")
        };
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("You are signed out"), "{path}");
        assert!(
            page.header("set-cookie").is_none(),
            "{path}: nothing is done"
        );
    }
    // While a session is active, the page claims no sign-out.
    let bob = world.sign_in("app.test", "/", "bob@corp.test");
    for (path, jar) in [("", &bob), ("?state=foreign", &bob)] {
        let path = format!("/.pomerium/signed_out{path}");
        let Step::Reply(page) = world.visit("app.test", &path, jar) else {
            panic!("a page")
        };
        assert!(
            page.body.contains("You are still signed in") && page.header("set-cookie").is_none()
        );
    }
    assert_eq!(status(&world.visit("app.test", "/", &bob)), 200);
    assert_eq!(status(&world.visit("app.test", "/", &signed_in)), 303);
}

#[test]
fn the_configured_address_follows_a_sign_out() {
    let mut world = World::with(&json!({"signout_redirect_url": "https://www.test/bye?a=b"}));
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let Step::Reply(question) = world.visit("app.test", "/.pomerium/sign_out", &jar) else {
        panic!("a page")
    };
    let policy = question.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' https://op.test https://www.test;"));
    let asked = parameters(&world.reply(&post(&jar, &[HERE])));
    assert_eq!(
        asked["post_logout_redirect_uri"],
        "https://www.test/bye?a=b"
    );
    assert!(!asked.contains_key("state"), "it is for our own page");
}

/// Chromium applies `form-action` to redirects, and another worker may answer the form.
#[test]
fn the_form_may_lead_to_the_provider_before_this_worker_knows_it() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    world.gate = Gate::new(config(&json!({})));
    assert!(world.gate.provider.known().is_none());
    let Step::Reply(question) = world.visit("app.test", "/.pomerium/sign_out", &jar) else {
        panic!("a page")
    };
    let policy = question.header("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self' https://op.test;"),
        "{policy}"
    );
}

/// RFC 7009: a copy of the refresh token is useless after a sign-out.
#[test]
fn the_refresh_token_is_given_back() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    for answered in [200, 400, 503, 0] {
        let jar = with_refresh_token(&mut world, &jar);
        let Step::Call(call, waiting) = world.begin(&post(&jar, &[HERE])) else {
            panic!("a call")
        };
        assert_eq!((call.path.as_str(), call.method), ("/revoke", "POST"));
        assert_eq!(
            call.body,
            "token=the-refresh-token&token_type_hint=refresh_token"
        );
        assert!(call.timeout_ms <= 3000);
        let answer = ProviderReply {
            status: answered,
            body: b"",
            date: b"",
        };
        let Step::Reply(reply) = world.resume(waiting, &answer) else {
            panic!("a reply")
        };
        assert_eq!(
            reply.status, 303,
            "{answered}: it does not stop the sign-out"
        );
        assert!(!reply.event.contains("the-refresh-token"));
        assert_eq!(
            reply.event.contains("could not be revoked"),
            answered != 200
        );
        assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
    }
}

fn given_up(world: &mut World, headers: &Headers) -> Reply {
    let request = Request::new(headers);
    match world.gate.begin_without(&request, &mut world.fixture.env()) {
        Step::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sign_out_does_not_need_the_provider() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    world.gate.provider = ProviderAccess::new(Some(provider_settings()));
    let headers = post(&jar, &[HERE]);
    assert!(matches!(world.begin(&headers), Step::Hold { .. }));
    let reply = given_up(&mut world, &headers);
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("You are signed out here"));
    let mut browser = jar.clone();
    browser.take(&reply);
    assert!(browser.0.is_empty());
    world.learn();
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303, "a copy");
    // Another site cannot cause it in this way either.
    let foreign = post(&jar, &[("origin", b"https://evil.test")]);
    let reply = given_up(&mut world, &foreign);
    assert!(reply.status == 403 && reply.header("set-cookie").is_none());
}

/// Without this, a provider that still has a session signs in the account that the user wants to replace.
#[test]
fn after_a_sign_out_the_provider_asks_for_an_account() {
    let again = "/.pomerium/sign_in?account=other";
    for (changes, prompt) in [
        (json!({}), Some("login")),
        (
            json!({"idp_request_params": {"prompt": "consent"}}),
            Some("consent"),
        ),
    ] {
        let mut world = World::with(&changes);
        let Step::Reply(page) = world.visit("app.test", "/.pomerium/signed_out", &Jar::default())
        else {
            panic!("a page")
        };
        assert!(
            page.body.contains(&format!("href=\"{again}\"")),
            "{}",
            page.body
        );
        let mut jar = Jar::default();
        let query = world.depart("app.test", again, &mut jar);
        assert_eq!(query.get("prompt").map(String::as_str), prompt);
        // The address is only another beginning of the same sign-in.
        let step = world.callback("app.test", &query["state"], &jar);
        let claims = world.claims("alice@corp.test", &query["nonce"]);
        let Step::Reply(reply) = world.answer(step, &claims) else {
            panic!("a reply")
        };
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
        jar.take(&reply);
        // A link to it does not replace a session.
        let Step::Reply(kept) = world.visit("app.test", again, &jar) else {
            panic!("a reply")
        };
        assert_eq!((kept.status, kept.header("location")), (303, Some("/")));
    }
    let mut world = World::new();
    let query = world.depart("app.test", "/", &mut Jar::default());
    assert!(
        !query.contains_key("prompt"),
        "other sign-ins are as before"
    );
}

//! Return addresses of sign-ins, and login loops.

use serde_json::json;

use super::world::{HTML, Jar, World, request, status};
use crate::gate::*;
use crate::testing::ISSUER;

const BROWSER: (&str, &[u8]) = ("sec-fetch-mode", b"navigate");

/// Returns what a browser gets for an address.
fn open(world: &mut World, path: &str, jar: &mut Jar) -> Reply {
    let cookies = jar.header();
    let headers = [HTML, BROWSER, ("cookie", cookies.as_bytes())];
    let reply = world.reply(&request("GET", "app.test", path, &headers));
    jar.take(&reply);
    reply
}

fn attribute(page: &str, name: &str) -> String {
    // The link that leads on; the page's head has another one.
    let link = &page[page.find("id=\"continue\"").unwrap()..];
    let start = link.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
    let rest = &link[start..];
    rest[..rest.find('"').unwrap()]
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

/// Goes through a sign-in as a browser does, and returns its last answer.
fn sign_in(world: &mut World, path: &str, jar: &mut Jar, fragment: Option<&str>) -> Reply {
    let begun = open(world, path, jar);
    assert_eq!(begun.status, 303);
    let page = open(world, begun.header("location").unwrap(), jar);
    assert_eq!(page.status, 200, "{}", page.body);
    let to = url::Url::parse(&attribute(&page.body, "href")).unwrap();
    assert_eq!(to.host_str(), Some("op.test"));
    if let Some(fragment) = fragment {
        // The page's script does this.
        jar.0
            .insert(attribute(&page.body, "data-cookie"), fragment.to_owned());
    }
    let parameter = |name: &str| {
        let found = to.query_pairs().find(|(known, _)| known == name);
        found.unwrap().1.into_owned()
    };
    let callback = format!(
        "/.pomerium/callback?code=c&state={}&iss={ISSUER}",
        parameter("state")
    );
    let cookies = jar.header();
    let headers = [HTML, BROWSER, ("cookie", cookies.as_bytes())];
    let step = world.begin(&request("GET", "app.test", &callback, &headers));
    let claims = world.claims("alice@corp.test", &parameter("nonce"));
    let Step::Reply(reply) = world.answer(step, &claims) else {
        panic!("a reply ends a sign-in")
    };
    jar.take(&reply);
    reply
}

#[test]
fn query_and_fragment_come_back() {
    for (fragment, expected) in [
        (None, "/a?b=c"),
        (Some("/?type=timer"), "/a?b=c#/?type=timer"),
        (Some("%C3%A9"), "/a?b=c#%C3%A9"),
        (Some("x\"onload=1"), "/a?b=c"),
        (Some("a\r\nset-cookie: x"), "/a?b=c"),
        (Some("\u{e9}"), "/a?b=c"),
        (Some(""), "/a?b=c"),
    ] {
        let (mut world, mut jar) = (World::new(), Jar::default());
        let reply = sign_in(&mut world, "/a?b=c", &mut jar, fragment);
        assert_eq!(reply.header("location"), Some(expected), "{fragment:?}");
        assert!(!jar.0.keys().any(|name| name.contains("fragment")));
    }
    let (mut world, mut jar) = (World::new(), Jar::default());
    let reply = sign_in(&mut world, "/", &mut jar, Some(&"x".repeat(1025)));
    assert_eq!(reply.header("location"), Some("/"));
}

#[test]
fn the_page_between_allows_its_own_script_and_nothing_else() {
    let (mut world, mut jar) = (World::new(), Jar::default());
    let begun = open(&mut world, "/", &mut jar);
    let page = open(&mut world, begun.header("location").unwrap(), &mut jar);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let start = page.body.find("<script>").unwrap() + "<script>".len();
    let script = &page.body[start..page.body.find("</script>").unwrap()];
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};
    let hash = STANDARD.encode(Sha256::digest(script.as_bytes()));
    assert!(
        policy.contains(&format!("script-src 'sha256-{hash}'")),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
}

/// A cookie that does not come back is reported before the provider is asked.
#[test]
fn blocked_cookies_have_a_friendly_end() {
    let (mut world, mut jar) = (World::new(), Jar::default());
    let begun = open(&mut world, "/", &mut jar);
    let page = open(
        &mut world,
        begun.header("location").unwrap(),
        &mut Jar::default(),
    );
    assert_eq!(page.status, 400);
    assert!(
        page.body.contains("Cookies must be allowed"),
        "{}",
        page.body
    );
}

#[test]
fn a_third_bounce_within_a_minute_is_stopped_with_its_cause() {
    let (mut world, mut jar) = (World::new(), Jar::default());
    for _ in 0..2 {
        assert_eq!(sign_in(&mut world, "/", &mut jar, None).status, 303);
        // The browser loses the session each time.
        jar.0.retain(|name, _| name.ends_with("_login_count"));
        assert_eq!(jar.0.len(), 1);
    }
    let cookies = jar.clone();
    let page = open(&mut world, "/", &mut jar);
    assert_eq!(page.status, 400);
    assert!(page.body.contains("not sent the session"), "{}", page.body);
    assert!(jar.0.is_empty(), "whoever tries again on purpose may");
    assert_eq!(open(&mut world, "/", &mut jar).status, 303);

    let mut other_secret = cookies.clone();
    other_secret
        .0
        .insert("__Host-_pomerium".to_owned(), "AAAA".to_owned());
    let page = open(&mut world, "/", &mut other_secret);
    assert!(page.body.contains("different secrets"), "{}", page.body);

    world.fixture.now = world.fixture.now.plus(60);
    let mut cookies = cookies;
    assert_eq!(open(&mut world, "/", &mut cookies).status, 303);
}

/// N-04: a link from any site ends no session.
#[test]
fn n_04_a_link_replaces_no_session() {
    let (mut world, mut jar) = (World::new(), Jar::default());
    assert_eq!(sign_in(&mut world, "/", &mut jar, None).status, 303);
    let session = jar.clone();
    let cross_site: (&str, &[u8]) = ("sec-fetch-site", b"cross-site");
    for path in [
        "/.pomerium/sign_in",
        "/.pomerium/sign_in?",
        "/.pomerium/sign_in?x=1",
    ] {
        let cookies = jar.header();
        let headers = [HTML, BROWSER, cross_site, ("cookie", cookies.as_bytes())];
        let reply = world.reply(&request("GET", "app.test", path, &headers));
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
        jar.take(&reply);
        assert_eq!(jar.header(), session.header(), "{path}");
    }
    assert_eq!(status(&world.visit("app.test", "/", &session)), 200);
}

/// N-04: a sign-in that began in another tab before there was a session leads to that session, and revokes nothing.
#[test]
fn n_04_an_earlier_tab_ends_in_the_session_that_is_there() {
    let (mut world, mut jar) = (World::new(), Jar::default());
    let begun = open(&mut world, "/tab", &mut jar);
    let leaving = begun.header("location").unwrap().to_owned();
    let page = open(&mut world, &leaving, &mut jar);
    let to = url::Url::parse(&attribute(&page.body, "href")).unwrap();
    jar.0
        .insert(attribute(&page.body, "data-cookie"), "part".to_owned());
    let state = to.query_pairs().find(|(name, _)| name == "state").unwrap();
    let callback = format!("/.pomerium/callback?code=c&state={}&iss={ISSUER}", state.1);
    assert_eq!(sign_in(&mut world, "/", &mut jar, None).status, 303);
    let session: Vec<String> = jar.0.values().cloned().collect();
    for (path, is_first) in [(callback, true), (leaving, false)] {
        let mut tab = jar.clone();
        let reply = open(&mut world, &path, &mut tab);
        assert_eq!(reply.status, 303, "{path}");
        assert_eq!(reply.header("location"), Some("/tab#part"), "{path}");
        assert!(
            tab.0.values().all(|value| session.contains(value)),
            "{path}"
        );
        assert!(
            !tab.0.keys().any(|name| name.contains("_attempt_")),
            "{is_first}"
        );
        assert_eq!(status(&world.visit("app.test", "/", &tab)), 200);
    }
}

/// N-06: an attempt that took too long begins again to the address that was asked for, fragment included, and once.
#[test]
fn n_06_a_sign_in_that_took_too_long_begins_again_once() {
    for by_page in [false, true] {
        let (mut world, mut jar) = (World::new(), Jar::default());
        let begun = open(&mut world, "/deep?a=1", &mut jar);
        let mut leaving = begun.header("location").unwrap().to_owned();
        for is_second in [false, true] {
            let page = open(&mut world, &leaving, &mut jar);
            let to = url::Url::parse(&attribute(&page.body, "href")).unwrap();
            jar.0
                .insert(attribute(&page.body, "data-cookie"), "part".to_owned());
            let (_, state) = to.query_pairs().find(|(name, _)| name == "state").unwrap();
            let callback = format!("/.pomerium/callback?code=c&state={state}&iss={ISSUER}");
            world.fixture.now = world.fixture.now.plus(crate::limits::ATTEMPT_LIFETIME);
            let late = if by_page { leaving } else { callback };
            let reply = open(&mut world, &late, &mut jar);
            if is_second {
                assert_eq!(reply.status, 400, "{}", reply.body);
                assert!(jar.0.is_empty(), "{:?}", jar.0.keys());
                break;
            }
            assert_eq!(reply.status, 303, "{}", reply.body);
            let again = reply.header("location").unwrap();
            let again = again
                .strip_suffix("#part")
                .expect("the fragment goes along");
            assert!(again.starts_with("/.pomerium/sign_in?attempt="), "{again}");
            assert_eq!(jar.0.len(), 1, "the first attempt is forgotten");
            assert_eq!(open(&mut world, &late, &mut jar.clone()).status, 400);
            leaving = again.to_owned();
        }
    }
}

/// N-06: the second attempt ends where the first one should have.
#[test]
fn n_06_the_second_attempt_leads_to_the_address() {
    let (mut world, mut jar) = (World::new(), Jar::default());
    let query = world.depart("app.test", "/deep?a=1", &mut jar);
    world.fixture.now = world.fixture.now.plus(crate::limits::ATTEMPT_LIFETIME);
    let Step::Reply(reply) = world.callback("app.test", &query["state"], &jar) else {
        panic!("begun again")
    };
    jar.take(&reply);
    let to = url::Url::parse(reply.header("location").unwrap()).unwrap();
    let query: std::collections::BTreeMap<_, _> = to.query_pairs().into_owned().collect();
    let step = world.callback("app.test", &query["state"], &jar);
    let claims = world.claims("alice@corp.test", &query["nonce"]);
    let Step::Reply(reply) = world.answer(step, &claims) else {
        panic!("a reply ends a sign-in")
    };
    assert_eq!(reply.header("location"), Some("/deep?a=1"));
}

#[test]
fn a_session_that_fits_nowhere_is_told() {
    let groups: Vec<String> = (0..2000).map(|n| format!("group-{n}")).collect();
    let criteria: Vec<_> = groups
        .iter()
        .map(|group| json!({"groups": group}))
        .collect();
    let mut world = World::with(&json!({
        "routes": [{"from": "https://app.test", "to": "http://a", "policy": {"allow": {"or": criteria}}}],
    }));
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let step = world.callback("app.test", &query["state"], &jar);
    let mut claims = world.claims("alice@corp.test", &query["nonce"]);
    claims["groups"] = json!(groups);
    let Step::Reply(page) = world.answer(step, &claims) else {
        panic!("a page")
    };
    assert_eq!(page.status, 400);
    assert!(page.body.contains("do not fit"), "{}", page.body);
}

//! Pages for users, the same as JSON for API clients, and their headers.

use serde_json::{Value, json};

use super::world::*;
use crate::gate::*;

const JSON: (&str, &[u8]) = ("accept", b"application/json");

fn ask(world: &mut World, path: &str, jar: &Jar, more: &[(&str, &[u8])]) -> Reply {
    ask_by(world, "GET", path, jar, more)
}

fn ask_by(world: &mut World, method: &str, path: &str, jar: &Jar, more: &[(&str, &[u8])]) -> Reply {
    let cookies = jar.header();
    let mut headers: Vec<(&str, &[u8])> = vec![("x-request-id", b"id-1")];
    headers.push(("cookie", cookies.as_bytes()));
    headers.extend(more);
    world.reply(&request(method, "app.test", path, &headers))
}

fn parsed(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    serde_json::from_str(&reply.body).unwrap()
}

/// Returns a configuration whose policies use groups, with a session that can be refreshed or idle.
fn world_with_groups() -> World {
    World::with(&json!({
        "cookie_idle_expire": "1h",
        "routes": [
            {"from": "https://app.test", "to": "http://a", "name": "the wiki",
             "policy": {"allow": {"or": [{"groups": {"has": "staff"}}, {"domain": "corp.test"}]}}},
            {"from": "https://app.test", "to": "http://b", "prefix": "/never", "policy": {"allow": {"or": [{"accept": true}]}}},
            {"from": "https://b.test", "to": "http://b", "policy": {"allow": {"or": [{"accept": true}]}}},
        ],
    }))
}

#[test]
fn the_user_page_shows_the_session_and_why_the_policies_allow_it() {
    let mut world = world_with_groups();
    let groups = json!({"groups": ["staff", "other"]});
    let jar = world.sign_in_with("app.test", "/", "al&ice@corp.test", &groups);
    world.fixture.now = world.fixture.now.plus(600);
    let reply = ask(&mut world, "/.pomerium/", &jar, &[HTML]);
    assert_eq!(reply.status, 200);
    for part in [
        "al&#38;ice@corp.test",
        "verified by the provider",
        "s-al&#38;ice@corp.test",
        "<dd>staff</dd>",
        "2027-01-15 08:00 UTC, 10 min ago",
        "2027-01-15 22:00 UTC, in 13 h 50 min",
        "after 1 h 0 min without a request",
        "app.test",
        "<a href=\"/\">the wiki</a>",
        "domain-ok, groups-ok",
        "action=\"/.pomerium/sign_out\"",
        "Request id id-1",
    ] {
        assert!(reply.body.contains(part), "{part}: {}", reply.body);
    }
    // An earlier route has that path.
    assert!(!reply.body.contains("/never"), "{}", reply.body);

    let told = parsed(&ask(&mut world, "/.pomerium/", &jar, &[JSON]));
    assert_eq!(
        told,
        json!({
            "account": "al&ice@corp.test", "email_verified": true, "subject": "s-al&ice@corp.test", "groups": ["staff"],
            "host": "app.test", "signed_in_at": 1_800_000_000, "expires_at": 1_800_050_400, "idle_seconds": 3600,
            "refresh": null, "request_id": "id-1",
            "open": [{"route": "the wiki", "path": "/", "reasons": ["domain-ok", "groups-ok"]}],
        })
    );
}

#[test]
fn who_am_i_names_no_route_that_is_closed() {
    let mut world = world_with_groups();
    let jar = world.sign_in("app.test", "/", "m@evil.test");
    let reply = ask(&mut world, "/.pomerium/", &jar, &[HTML]);
    assert!(
        reply.body.contains("no policy allows this account"),
        "{}",
        reply.body
    );
    assert!(!reply.body.contains("the wiki"));
    let told = parsed(&ask(&mut world, "/.pomerium/", &jar, &[JSON]));
    assert_eq!(told["open"], json!([]));
}

#[test]
fn who_am_i_without_a_session_offers_to_sign_in() {
    let mut world = World::new();
    let nobody = Jar::default();
    let page = ask(&mut world, "/.pomerium/", &nobody, &[HTML]);
    assert!(page.body.contains("href=\"/.pomerium/sign_in\""));
    let told = parsed(&ask(&mut world, "/.pomerium", &nobody, &[JSON]));
    assert_eq!(told["account"], Value::Null);
    assert_eq!(told["sign_in_url"], "https://app.test/.pomerium/sign_in");
}

#[test]
fn an_unverified_address_is_told_to_be_one() {
    let mut world = World::new();
    let unverified = json!({"email_verified": false});
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &unverified);
    let reply = ask(&mut world, "/.pomerium/", &jar, &[HTML]);
    assert!(reply.body.contains("not verified: no policy relies on it"));
    let told = parsed(&ask(&mut world, "/.pomerium/", &jar, &[JSON]));
    assert_eq!(told["email_verified"], false);
}

#[test]
fn applications_get_the_user_of_the_assertion() {
    let mut world =
        World::with(&json!({"pass_identity_headers": true, "jwt_claims_headers": ["team"]}));
    let more = json!({"name": "Alice", "groups": ["a"], "team": ["x"]});
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &more);
    let mut told = parsed(&ask(&mut world, "/.pomerium/user", &jar, &[]));
    assert!(told.as_object_mut().unwrap().remove("sid").is_some());
    assert_eq!(
        told,
        json!({"sub": "s-alice@corp.test", "user": "s-alice@corp.test", "email": "alice@corp.test",
               "groups": ["a"], "name": "Alice", "team": "x"})
    );
    let reply = ask(&mut world, "/.pomerium/user", &Jar::default(), &[HTML]);
    assert_eq!(
        (reply.status, parsed(&reply)["error"].as_str()),
        (401, Some("unauthenticated"))
    );
}

#[test]
fn what_needs_a_session_says_so_without_a_browsers_prompt() {
    let mut world = World::new();
    let reply = ask(&mut world, "/api", &Jar::default(), &[JSON]);
    assert_eq!(reply.status, 401);
    let told = parsed(&reply);
    let shape = ["error", "message", "request_id", "sign_in_url"];
    assert!(told.as_object().unwrap().keys().eq(shape), "{told}");
    let challenge = reply.header("www-authenticate").unwrap();
    let (scheme, _) = challenge.split_once(' ').unwrap();
    for known in ["basic", "digest", "negotiate", "ntlm", "bearer"] {
        assert!(!scheme.eq_ignore_ascii_case(known), "{challenge}");
    }
}

#[test]
fn robots_are_kept_out_where_people_would_have_to_sign_in() {
    let mut world = World::new();
    let stranger = world.sign_in("app.test", "/", "m@evil.test");
    for jar in [&Jar::default(), &stranger] {
        let reply = ask(&mut world, "/robots.txt", jar, &[HTML]);
        assert_eq!(
            (reply.status, &*reply.body),
            (200, "User-agent: *\nDisallow: /\n")
        );
    }
    assert_eq!(
        ask_by(&mut world, "POST", "/robots.txt", &stranger, &[]).status,
        403
    );
    // A user with access gets the application's own file.
    let alice = world.sign_in("app.test", "/", "alice@corp.test");
    assert!(matches!(
        world.visit("app.test", "/robots.txt", &alice),
        Step::Forward(_)
    ));
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let mut world = World::new();
    let nobody = Jar::default();
    for (method, path, allowed) in [
        ("POST", "/ping", "GET, HEAD"),
        ("POST", "/.pomerium/", "GET, HEAD"),
        ("PUT", "/.pomerium/sign_out", "GET, POST"),
        ("POST", "/.pomerium/callback", "GET"),
        ("GET", "/.pomerium/backchannel_logout", "POST"),
        ("DELETE", "/.well-known/pomerium/jwks.json", "GET, HEAD"),
        ("TRACE", "/", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ] {
        let reply = ask_by(&mut world, method, path, &nobody, &[]);
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some(allowed)),
            "{method} {path}"
        );
    }
    let mut form = World::with(&json!({"idp_response_mode": "form_post"}));
    let reply = ask_by(&mut form, "PUT", "/.pomerium/callback", &nobody, &[]);
    assert_eq!(reply.header("allow"), Some("GET, POST"));
}

#[test]
fn every_page_is_json_for_those_who_ask_for_it() {
    let mut world = World::new();
    let stranger = world.sign_in("app.test", "/", "m@evil.test");
    for (path, jar, status) in [
        ("/", &stranger, 403),
        ("/.pomerium/x", &stranger, 404),
        ("/.pomerium/callback?state=x", &Jar::default(), 400),
        ("/.pomerium/signed_out", &Jar::default(), 200),
        ("/.pomerium/sign_out", &stranger, 200),
        ("/.pomerium/", &stranger, 200),
    ] {
        let reply = ask(&mut world, path, jar, &[JSON]);
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(parsed(&reply)["request_id"], "id-1", "{path}");
        let reply = ask(&mut world, path, jar, &[HTML]);
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(
            reply.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        assert!(reply.body.contains("Request id id-1"), "{path}");
    }
}

#[test]
fn the_operators_words_are_on_pages_and_their_paragraph_on_refusals() {
    let mut world = World::with(&json!({
        "page_name": "Lab & Co", "page_contact": "help@lab.test", "primary_color": "#010203",
        "logo_url": "data:image/png;base64,AAAA", "error_message_first_paragraph": "Ask <Ada>.",
    }));
    let stranger = world.sign_in("app.test", "/", "m@evil.test");
    let refused = ask(&mut world, "/", &stranger, &[HTML]);
    let unreadable = world.reply(&request("GET", "app.test", "/a%2e%2e%2fb%00", &[HTML]));
    let out = ask(
        &mut world,
        "/.pomerium/signed_out",
        &Jar::default(),
        &[HTML],
    );
    for reply in [&refused, &unreadable, &out] {
        for part in [
            "Lab &#38; Co",
            "mailto:help@lab.test",
            "#010203",
            "data:image/png;base64,AAAA",
        ] {
            assert!(reply.body.contains(part), "{part}: {}", reply.body);
        }
    }
    assert_eq!((refused.status, unreadable.status), (403, 400));
    assert!(refused.body.contains("Ask &#60;Ada&#62;.") && unreadable.body.contains("Ask"));
    assert!(!out.body.contains("Ask"));
}

#[test]
fn a_page_about_an_address_names_it_without_the_query_and_cuts_it() {
    let mut world = World::new();
    let nobody = Jar::default();
    let address = |reply: &Reply| {
        let (_, rest) = reply.body.split_once("<dt>Address</dt><dd>").unwrap();
        rest.split_once("</dd>").unwrap().0.to_owned()
    };
    let reply = ask(
        &mut world,
        "/.pomerium/no%74hing?code=secret",
        &nobody,
        &[HTML],
    );
    assert_eq!(
        (reply.status, &*address(&reply)),
        (404, "https://app.test/.pomerium/nothing")
    );
    assert!(!reply.body.contains("secret"));
    let evil = ask(&mut world, "/.pomerium/<b>'\"&amp;", &nobody, &[HTML]);
    assert!(!evil.body.contains("<b>"), "{}", evil.body);
    let long = format!("/.pomerium/{}", "x".repeat(5000));
    let cut = address(&ask(&mut world, &long, &nobody, &[HTML]));
    assert!(cut.ends_with("x…") && cut.len() < 310, "{cut}");
    let other = world.reply(&request("GET", "Other.test:8443", "/a", &[HTML]));
    assert_eq!(
        (other.status, &*address(&other)),
        (404, "https://other.test:8443/a")
    );
    assert!(other.body.contains("<p class=\"site\">other.test:8443</p>"));
}

#[test]
fn a_page_names_the_host_only_when_it_is_a_host() {
    let mut world = World::new();
    let unreadable = world.reply(&request("GET", "app.test", "/a%00", &[HTML]));
    assert!(
        unreadable
            .body
            .contains("<title>Bad request – app.test</title>")
    );
    for host in ["<b>app.test", "app.test,evil.test", "app.test/evil"] {
        let reply = world.reply(&request("GET", host, "/", &[HTML]));
        assert_eq!(reply.status, 400, "{host}");
        assert!(!reply.body.contains("class=\"site\""), "{}", reply.body);
    }
}

#[test]
fn a_refused_user_can_use_another_account_and_knows_whom_to_ask() {
    let mut world = World::with(&json!({"page_contact": "help@lab.test"}));
    let stranger = world.sign_in("app.test", "/", "m@evil.test");
    let page = ask(&mut world, "/", &stranger, &[HTML]);
    for part in [
        "Signed in as <span class=\"account\">m@evil.test</span>",
        "action=\"/.pomerium/sign_out\"><p><button type=\"submit\">Use another account</button>",
        "<a href=\"mailto:help@lab.test\">help@lab.test</a>",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
}

#[test]
fn the_question_before_a_sign_out_names_the_account_and_leads_back() {
    let mut world = World::with(&json!({"routes": [
        {"from": "https://app.test", "to": "http://a", "prefix": "/wiki",
         "policy": {"allow": {"or": [{"domain": {"is": "corp.test"}}]}}},
    ]}));
    let jar = world.sign_in("app.test", "/wiki", "al&ice@corp.test");
    let page = ask(&mut world, "/.pomerium/sign_out", &jar, &[HTML]);
    for part in [
        "al&#38;ice@corp.test",
        "your session for app.test",
        "href=\"/wiki\">Stay signed in</a>",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let page = ask(&mut world, "/.pomerium/sign_out", &Jar::default(), &[HTML]);
    assert!(page.body.contains(">Back</a>") && !page.body.contains("Signed in as"));
}

#[test]
fn reasons_are_one_click_away_and_the_rest_is_for_users() {
    let mut world = world_with_groups();
    let jar = world.sign_in_with(
        "app.test",
        "/",
        "alice@corp.test",
        &json!({"groups": ["staff"]}),
    );
    let page = ask(&mut world, "/.pomerium/", &jar, &[HTML]).body;
    let (shown, rest) = page.split_once("<details>").unwrap();
    let (hidden, after) = rest.split_once("</details>").unwrap();
    assert!(shown.contains("<h2>You may open</h2>") && shown.contains(">the wiki</a>"));
    for word in ["domain-ok", "groups-ok", "s-alice@corp.test", "staff"] {
        assert!(
            hidden.contains(word) && !shown.contains(word) && !after.contains(word),
            "{word}"
        );
    }
    assert!(hidden.starts_with("<summary>"), "{hidden}");
}

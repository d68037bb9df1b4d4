//! One host at which all users sign in.

use serde_json::json;

use super::world::{HTML, Headers, Jar, World, request, status};
use crate::gate::*;
use crate::testing::{CLIENT, ISSUER};

const AUTH: &str = "auth.test";

fn world() -> World {
    World::with(&json!({"authenticate_service_url": "https://auth.test"}))
}

fn location(step: Step) -> (Reply, url::Url) {
    let Step::Reply(reply) = step else {
        panic!("{step:?}")
    };
    assert_eq!(reply.status, 303, "{reply:?} {}", reply.body);
    let to = reply.header("location").unwrap();
    let to = url::Url::parse("https://relative.test")
        .unwrap()
        .join(to)
        .unwrap();
    (reply, to)
}

fn target(url: &url::Url) -> String {
    url[url::Position::BeforePath..].to_owned()
}

/// Opens an address on a route's host; the browser is now on its way to the sign-in host.
fn leave(world: &mut World, host: &str, path: &str, jar: &mut Jar) -> url::Url {
    let (reply, to) = location(world.visit(host, path, jar));
    jar.take(&reply);
    assert_eq!(
        (to.host_str(), to.path()),
        (Some(AUTH), "/.pomerium/sign_in")
    );
    to
}

/// Signs in at the sign-in host with the provider, which sends the browser back to the host that the request came from.
fn sign_in_there(
    world: &mut World,
    cross_host_request: &url::Url,
    auth: &mut Jar,
    email: &str,
) -> url::Url {
    let (reply, to) = location(world.visit(AUTH, &target(cross_host_request), auth));
    auth.take(&reply);
    let query: std::collections::BTreeMap<_, _> = to.query_pairs().into_owned().collect();
    assert_eq!(to.host_str(), Some("op.test"));
    assert_eq!(query["redirect_uri"], "https://auth.test/oauth2/callback");
    let path = format!(
        "/oauth2/callback?code=the-code&state={}&iss={ISSUER}",
        query["state"]
    );
    let step = world.visit(AUTH, &path, auth);
    let mut claims = world.claims(email, &query["nonce"]);
    claims["aud"] = json!(CLIENT);
    let (reply, to) = location(world.answer(step, &claims));
    auth.take(&reply);
    let (reply, to) = location(world.visit(AUTH, &target(&to), auth));
    auth.take(&reply);
    to
}

#[test]
fn one_sign_in_serves_all_hosts() {
    let mut world = world();
    let (mut app, mut b, mut auth) = (Jar::default(), Jar::default(), Jar::default());
    let cross_host_request = leave(&mut world, "app.test:8443", "/page?x=1", &mut app);
    assert!(
        !cross_host_request.as_str().contains("page"),
        "nobody reads where somebody wanted to go"
    );
    let ticket = sign_in_there(
        &mut world,
        &cross_host_request,
        &mut auth,
        "alice@corp.test",
    );
    assert_eq!(ticket.port(), Some(8443));
    let (reply, to) = location(world.visit("app.test:8443", &target(&ticket), &app));
    assert_eq!(target(&to), "/page?x=1");
    app.take(&reply);
    assert_eq!(status(&world.visit("app.test:8443", "/page", &app)), 200);

    let cross_host_request = leave(&mut world, "b.test", "/", &mut b);
    let (reply, ticket) = location(world.visit(AUTH, &target(&cross_host_request), &auth));
    // The line in the log has the account and the host of the request as fields.
    assert_eq!(reply.account.as_deref(), Some("alice@corp.test"));
    assert_eq!(reply.event, r#"signed in for another host at="b.test""#);
    let (reply, _) = location(world.visit("b.test", &target(&ticket), &b));
    b.take(&reply);
    assert_eq!(
        status(&world.visit("b.test", "/", &b)),
        200,
        "without the provider"
    );
    assert_eq!(
        status(&world.visit("b.test", "/", &app)),
        303,
        "cookies stay on their host"
    );

    // A sign-out on one host ends all sessions.
    let cookies = app.header();
    let post: Headers = request(
        "POST",
        "app.test:8443",
        "/.pomerium/sign_out",
        &[
            HTML,
            ("origin", b"https://app.test:8443"),
            ("cookie", cookies.as_bytes()),
        ],
    );
    let (_, out) = location(world.begin(&post));
    assert_eq!(
        (out.host_str(), out.path()),
        (Some(AUTH), "/.pomerium/sign_out")
    );
    assert_eq!(status(&world.visit("b.test", "/", &b)), 303);
    let (reply, to) = location(world.visit(AUTH, &target(&out), &auth));
    assert_eq!((to.host_str(), to.path()), (Some("op.test"), "/logout"));
    auth.take(&reply);
    let step = world.visit(AUTH, &target(&cross_host_request), &auth);
    let (_, to) = location(step);
    assert_eq!(
        to.host_str(),
        Some("op.test"),
        "nobody is signed in there any more"
    );
}

#[test]
fn a_ticket_is_good_in_one_browser_once_and_for_a_minute() {
    let mut world = world();
    let (mut app, mut auth) = (Jar::default(), Jar::default());
    let cross_host_request = leave(&mut world, "app.test", "/", &mut app);
    let ticket = sign_in_there(
        &mut world,
        &cross_host_request,
        &mut auth,
        "alice@corp.test",
    );

    // Another browser has an attempt of its own.
    let mut other = Jar::default();
    let theirs = leave(&mut world, "app.test", "/", &mut other);
    assert_eq!(
        status(&world.visit("app.test", &target(&ticket), &other)),
        400
    );
    let parameter = |url: &url::Url, name: &str| {
        let found = url.query_pairs().find(|(known, _)| known == name);
        found.unwrap().1.into_owned()
    };
    let (_, their_ticket) = location(world.visit(AUTH, &target(&theirs), &auth));
    let crossed = format!(
        "/.pomerium/callback?attempt={}&ticket={}",
        parameter(&their_ticket, "attempt"),
        parameter(&ticket, "ticket")
    );
    assert_eq!(status(&world.visit("app.test", &crossed, &other)), 400);
    // Another host, a changed ticket.
    assert_eq!(status(&world.visit("b.test", &target(&ticket), &app)), 400);
    let changed = target(&ticket).replace("ticket=A", "ticket=B");
    assert_eq!(status(&world.visit("app.test", &changed, &app)), 400);

    let begun = world.fixture.now;
    world.fixture.now = begun.plus(61);
    assert_eq!(
        status(&world.visit("app.test", &target(&ticket), &app)),
        400
    );
    world.fixture.now = begun.plus(59);
    assert_eq!(
        status(&world.visit("app.test", &target(&ticket), &app)),
        303
    );
    assert_eq!(
        status(&world.visit("app.test", &target(&ticket), &app)),
        400,
        "once"
    );
}

#[test]
fn only_this_deployment_makes_cross_host_requests() {
    let mut world = world();
    let mut app = Jar::default();
    let cross_host_request = leave(&mut world, "app.test", "/", &mut app);
    let good = target(&cross_host_request);
    for path in [
        "/.pomerium/sign_in?request=AAAA".to_owned(),
        "/.pomerium/sign_in?request=https://evil.test".to_owned(),
        format!("{good}&cross_host_request=x"),
        good.replace("cross_host_request=A", "cross_host_request=B"),
    ] {
        let answer = status(&world.visit(AUTH, &path, &Jar::default()));
        assert!(answer == 400 || answer == 303, "{path}: {answer}");
        if answer == 303 {
            let (_, to) = location(world.visit(AUTH, &path, &Jar::default()));
            assert_eq!(to.host_str(), Some("op.test"), "{path}");
        }
    }
    assert_eq!(
        status(&world.visit("app.test", &good, &Jar::default())),
        400
    );
    world.fixture.now = world.fixture.now.plus(crate::limits::ATTEMPT_KEPT);
    assert_eq!(status(&world.visit(AUTH, &good, &Jar::default())), 400);
    // A link signs out of nothing.
    let out = good.replace("sign_in", "sign_out");
    assert_eq!(status(&world.visit(AUTH, &out, &Jar::default())), 200);
}

/// N-07: a request by a port that no route has begins nothing, and no ticket is sent to such a port.
#[test]
fn n_07_tickets_go_to_origins_of_routes_only() {
    let mut world = world();
    for (host, path) in [
        ("app.test:4444", "/"),
        ("app.test:4444", "/.pomerium/sign_in"),
        ("app.test:4444", "/.pomerium/callback"),
        ("b.test:80", "/open"),
        ("auth.test:4444", "/.pomerium/sign_in"),
        ("auth.test:8443", "/"),
    ] {
        let step = world.visit(host, path, &Jar::default());
        assert_eq!(status(&step), 421, "{host}{path}");
    }
    // A request of another configuration with the same secret, which has that port.
    let other = json!({"authenticate_service_url": "https://auth.test", "address": ":4444"});
    let mut elsewhere = World::with(&other);
    let (mut app, mut auth) = (Jar::default(), Jar::default());
    let cross_host_request = leave(&mut elsewhere, "app.test:4444", "/", &mut app);
    assert_eq!(
        status(&world.visit(AUTH, &target(&cross_host_request), &auth)),
        400
    );
    // A ticket is valid for its port only.
    let cross_host_request = leave(&mut world, "app.test:8443", "/", &mut app);
    let ticket = sign_in_there(
        &mut world,
        &cross_host_request,
        &mut auth,
        "alice@corp.test",
    );
    assert_eq!(
        status(&world.visit("app.test", &target(&ticket), &app)),
        400
    );
    let step = world.visit("app.test:8443", &target(&ticket), &app);
    assert_eq!(status(&step), 303);
}

/// N-06: when a sign-in has taken too long, the sign-in host sends the browser back, and the route's host begins again.
#[test]
fn n_06_a_cross_host_request_that_took_too_long_begins_again() {
    let mut world = world();
    let (mut app, mut auth) = (Jar::default(), Jar::default());
    let cross_host_request = leave(&mut world, "app.test", "/deep?a=1", &mut app);
    let (reply, to) = location(world.visit(AUTH, &target(&cross_host_request), &auth));
    auth.take(&reply);
    let query: std::collections::BTreeMap<_, _> = to.query_pairs().into_owned().collect();
    world.fixture.now = world.fixture.now.plus(crate::limits::ATTEMPT_LIFETIME);
    let path = format!(
        "/oauth2/callback?code=c&state={}&iss={ISSUER}",
        query["state"]
    );
    // The sign-in host's own attempt has expired, too, and begins again.
    let (reply, to) = location(world.visit(AUTH, &path, &auth));
    auth.take(&reply);
    let query: std::collections::BTreeMap<_, _> = to.query_pairs().into_owned().collect();
    let path = format!(
        "/oauth2/callback?code=c&state={}&iss={ISSUER}",
        query["state"]
    );
    let step = world.visit(AUTH, &path, &auth);
    let claims = world.claims("alice@corp.test", &query["nonce"]);
    let (reply, to) = location(world.answer(step, &claims));
    auth.take(&reply);
    let (_, back) = location(world.visit(AUTH, &target(&to), &auth));
    assert_eq!(
        (back.host_str(), back.path()),
        (Some("app.test"), "/.pomerium/sign_in")
    );
    let cross_host_request = leave(&mut world, "app.test", &target(&back), &mut app);
    let (_, ticket) = location(world.visit(AUTH, &target(&cross_host_request), &auth));
    let (_, end) = location(world.visit("app.test", &target(&ticket), &app));
    assert_eq!(target(&end), "/deep?a=1");
}

#[test]
fn addresses_of_the_sign_in_host() {
    for (url, problem) in [
        ("http://auth.test", "https origin"),
        ("https://auth.test/path", "https origin"),
        ("auth.test", "https origin"),
        ("https://authenticate.pomerium.app", "Pomerium's hosted"),
    ] {
        let file = json!({
            "authenticate_service_url": url,
            "routes": [{"from": "https://a.test", "to": "http://a", "allow_public_unauthenticated_access": true}],
        });
        let error = Config::read(&file, &|_| None).unwrap_err();
        assert!(error.to_string().contains(problem), "{url}: {error}");
    }
}

#[test]
fn the_wish_for_another_account_reaches_the_provider() {
    let mut world = world();
    for (path, prompt) in [
        ("/.pomerium/sign_in?account=other", Some("login")),
        ("/", None),
    ] {
        let cross_host_request = leave(&mut world, "app.test", path, &mut Jar::default());
        let (_, to) = location(world.visit(AUTH, &target(&cross_host_request), &Jar::default()));
        let mut query = to.query_pairs();
        let sent = query
            .find(|(name, _)| name == "prompt")
            .map(|(_, value)| value);
        assert_eq!(sent.as_deref(), prompt, "{to}");
    }
}

/// The host of all sign-ins has no application to which the page after a sign-out could lead.
#[test]
fn the_page_after_a_sign_out_leads_nowhere_without_an_application() {
    let mut world = world();
    for (host, links) in [(AUTH, false), ("app.test", true)] {
        let Step::Reply(page) = world.visit(host, "/.pomerium/signed_out", &Jar::default()) else {
            panic!("a page")
        };
        assert_eq!(page.body.contains("Sign in again"), links, "{host}");
    }
}

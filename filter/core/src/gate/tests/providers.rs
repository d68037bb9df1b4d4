//! Sign-ins with the provider presets.

use serde_json::{Value, json};

use super::world::{HTML, Jar, World, ok, request, status};
use crate::gate::*;
use crate::testing::{CLIENT, ISSUER, config};

/// Returns a world with another kind of provider.
fn world(changes: &Value) -> World {
    let mut world = before_discovery(changes);
    world.learn();
    world
}

/// Returns the same world before the provider is known.
fn before_discovery(changes: &Value) -> World {
    World {
        gate: Gate::new(config(changes)),
        fixture: crate::testing::Fixture::new(),
        fake: crate::testing::FakeProvider::new(),
        last: super::world::Headers::new(),
        grant: json!({}),
    }
}

fn location(reply: &Reply) -> url::Url {
    url::Url::parse(reply.header("location").unwrap()).unwrap()
}

#[test]
fn github_says_who_it_is_in_three_answers() {
    let policy = json!({"allow": {"or": [{"groups": "acme"}]}});
    let mut world = world(&json!({
        "idp_provider": "github", "idp_provider_url": null,
        "routes": [{"from": "https://app.test", "to": "http://a", "policy": policy}],
    }));
    let mut jar = Jar::default();
    let Step::Reply(reply) = world.visit("app.test", "/x", &jar) else {
        panic!("nothing has to be fetched before")
    };
    jar.take(&reply);
    let to = location(&reply);
    assert_eq!(
        (to.host_str(), to.path()),
        (Some("github.com"), "/login/oauth/authorize")
    );
    let state = to
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let path = format!("/.pomerium/callback?code=c&state={state}");
    let mut step = world.visit("app.test", &path, &jar);
    for (upstream, path, answer) in [
        (
            "https://github.com",
            "/login/oauth/access_token",
            json!({"access_token": "gho_1", "token_type": "bearer"}),
        ),
        (
            "https://api.github.com",
            "/user",
            json!({"node_id": "MDQ6", "login": "alice", "id": 5, "name": "Alice"}),
        ),
        (
            "https://api.github.com",
            "/user/emails?per_page=100",
            json!([{"email": "alice@corp.test", "primary": true, "verified": true}]),
        ),
        (
            "https://api.github.com",
            "/user/orgs?per_page=100",
            json!([{"login": "acme"}, {"login": "other"}]),
        ),
    ] {
        let Step::Call(call, waiting) = step else {
            panic!("{path}: {step:?}")
        };
        assert_eq!(
            (call.upstream.as_str(), call.path.as_str()),
            (upstream, path)
        );
        step = world.resume(waiting, &ok(&answer.to_string()));
    }
    let Step::Reply(reply) = step else {
        panic!("{step:?}")
    };
    assert_eq!((reply.status, reply.header("location")), (303, Some("/x")));
    jar.take(&reply);
    assert_eq!(status(&world.visit("app.test", "/x", &jar)), 200);
}

#[test]
fn apple_answers_by_a_form_from_its_own_site() {
    let mut world = world(&json!({
        "idp_provider": "apple", "idp_provider_url": ISSUER,
    }));
    let Step::Reply(reply) = world.visit("app.test", "/x", &Jar::default()) else {
        panic!("a redirect")
    };
    let cookie = reply.header("set-cookie").unwrap();
    assert!(
        cookie.ends_with("; Secure; HttpOnly; SameSite=None"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap().to_owned();
    let query = |wanted: &str| {
        let to = location(&reply);
        let found = to.query_pairs().find(|(name, _)| name == wanted);
        found.unwrap().1.into_owned()
    };
    assert_eq!(query("response_mode"), "form_post");
    let (state, nonce) = (query("state"), query("nonce"));
    let post = request(
        "POST",
        "app.test",
        "/.pomerium/callback",
        &[
            HTML,
            ("origin", b"https://appleid.apple.com"),
            ("cookie", pair.as_bytes()),
        ],
    );
    let Step::ReadBody { limit } = world.begin(&post) else {
        panic!("the form is in the body")
    };
    let form = format!("code=the-code&state={state}&iss={ISSUER}&user=%7B%7D");
    let mut answer = |body: &[u8]| {
        let request = Request::new(&post).body(body);
        world.gate.begin(&request, &mut world.fixture.env())
    };
    assert_eq!(status(&answer(&vec![b'x'; limit + 1])), 400);
    assert_eq!(status(&answer(b"\xff")), 400);
    let Step::Call(_, waiting) = answer(form.as_bytes()) else {
        panic!("the code is redeemed")
    };
    let mut claims = world.claims("alice@corp.test", &nonce);
    claims["aud"] = json!(CLIENT);
    let body = json!({"id_token": world.fake.sign(&claims)}).to_string();
    let Step::Reply(reply) = world.resume(waiting, &ok(&body)) else {
        panic!("signed in")
    };
    assert_eq!((reply.status, reply.header("location")), (303, Some("/x")));
}

#[test]
fn a_form_is_refused_where_the_provider_answers_by_the_query() {
    let mut world = World::new();
    let post = request("POST", "app.test", "/.pomerium/callback", &[HTML]);
    assert_eq!(world.reply(&post).status, 405);
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let Step::Call(_, waiting) = world.callback("app.test", &query["state"], &jar) else {
        panic!("the code is redeemed")
    };
    let mut claims = world.claims("alice@corp.test", &query["nonce"]);
    let ahead = world.fixture.now.0 + 600;
    claims["iat"] = json!(ahead);
    claims["exp"] = json!(ahead + 300);
    let body = json!({"id_token": world.fake.sign(&claims)}).to_string();
    let reply = ProviderReply {
        // Ten minutes after the fixture's clock.
        date: b"Fri, 15 Jan 2027 08:10:00 GMT",
        ..ok(&body)
    };
    let Step::Reply(page) = world.resume(waiting, &reply) else {
        panic!("a page")
    };
    assert_eq!(page.status, 400);
    assert!(page.body.contains("600 seconds behind"), "{}", page.body);
}

#[test]
fn microsofts_common_document_names_the_tenant_in_the_token() {
    let common = "https://login.microsoftonline.com/common/v2.0";
    let settings = config(&json!({"idp_provider": "azure", "idp_provider_url": common,
                                  "require_email_verified": "strict"}));
    let settings = settings.provider.unwrap();
    let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let document = json!({
        "issuer": template,
        "authorization_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "jwks_uri": "https://login.microsoftonline.com/common/discovery/v2.0/keys",
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
    });
    use crate::oidc::metadata::{Discovered, is_issuer, resolve_issuer};
    let read = Discovered::read(document.to_string().as_bytes(), &settings).unwrap();
    let expected = |claims: Value| {
        let claims = claims.as_object().unwrap().clone();
        resolve_issuer(&read.issuer, &claims).map(|issuer| issuer.into_owned())
    };
    assert_eq!(
        expected(json!({"tid": "9122040d"})).as_deref(),
        Some("https://login.microsoftonline.com/9122040d/v2.0")
    );
    for claims in [json!({}), json!({"tid": ""}), json!({"tid": "a/b"})] {
        assert_eq!(expected(claims), None);
    }
    for (stated, fits) in [
        ("https://login.microsoftonline.com/9122040d/v2.0", true),
        ("https://login.microsoftonline.com//v2.0", false),
        ("https://login.microsoftonline.com/a/b/v2.0", false),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", false),
        ("https://evil.test/9122040d/v2.0", false),
        ("https://login.microsoftonline.com/9122040d/v2.0/x", false),
    ] {
        assert_eq!(is_issuer(&read.issuer, stated), fits, "{stated}");
    }
    assert_eq!(
        read.assertion_audience(),
        "https://login.microsoftonline.com/common/oauth2/v2.0/token"
    );
    assert!(is_issuer(ISSUER, ISSUER) && !is_issuer(ISSUER, "https://op.test/"));
}

#[test]
fn auth0_and_cognito_sign_out_in_their_own_ways() {
    use crate::config::ProviderKind;
    use crate::oidc::metadata::Discovered;

    let settings = crate::testing::provider_settings();
    let mut document: Value =
        serde_json::from_str(&crate::testing::FakeProvider::new().discovery()).unwrap();
    let read =
        |document: &Value| Discovered::read(document.to_string().as_bytes(), &settings).unwrap();
    let standard = read(&document).sign_out(ProviderKind::Auth0).unwrap();
    assert_eq!(
        (
            standard.address.path(),
            standard.return_parameter,
            standard.is_standard
        ),
        ("/logout", "post_logout_redirect_uri", true)
    );
    document
        .as_object_mut()
        .unwrap()
        .remove("end_session_endpoint");
    for (kind, expected) in [
        (
            ProviderKind::Auth0,
            Some(("https://op.test/v2/logout", "returnTo")),
        ),
        (
            ProviderKind::Cognito,
            Some(("https://op.test/logout", "logout_uri")),
        ),
        (ProviderKind::Oidc, None),
    ] {
        let sign_out = read(&document).sign_out(kind);
        let told = sign_out
            .as_ref()
            .map(|sign_out| (sign_out.address.as_str(), sign_out.return_parameter));
        assert_eq!(told, expected, "{kind:?}");
    }
}

/// A logout token names its tenant in `iss` alone.
#[test]
fn a_tenant_of_microsofts_common_document_ends_sessions() {
    use crate::oidc::keys::{KeySet, MAX_TRIED};
    use crate::oidc::logout_token::{ExpectedLogout, LogoutProblem, verify};

    let (fake, now) = (crate::testing::FakeProvider::new(), 1_800_000_000);
    let keys = KeySet::read(fake.jwks().as_bytes()).unwrap();
    let judge = |issuer: &str| {
        let token = fake.sign(&json!({
            "iss": issuer, "aud": CLIENT, "iat": now, "jti": "1", "sid": "s",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }));
        let expected = ExpectedLogout {
            issuer: "https://login.microsoftonline.com/{tenantid}/v2.0",
            client_id: CLIENT,
            now: crate::time::Timestamp(now),
            most_keys: MAX_TRIED,
        };
        verify(&token, &keys, &expected).map(|logout| logout.session)
    };
    let tenant = "https://login.microsoftonline.com/9122040d/v2.0";
    assert_eq!(judge(tenant), Ok(Some("s".to_owned())));
    assert_eq!(judge("https://evil.test/v2.0"), Err(LogoutProblem::Issuer));
}

/// N-01: at Microsoft's issuer for all tenants, another tenant's administrator gives a user alice's address.
#[test]
fn n_01_an_address_of_a_foreign_tenant_is_none() {
    const OWN: &str = "11111111-1111-1111-1111-111111111111";
    const FOREIGN: &str = "22222222-2222-2222-2222-222222222222";
    let azure = |more: Value| {
        let mut changes = json!({"idp_provider": "azure",
            "idp_provider_url": "https://login.microsoftonline.com/organizations/v2.0"});
        for (key, value) in more.as_object().unwrap() {
            changes[key] = value.clone();
        }
        changes
    };
    let listed = azure(json!({"idp_allowed_tenants": [OWN]}));
    let stated = azure(json!({"require_email_verified": "strict"}));
    for (file, claims, expected) in [
        (&listed, json!({"tid": OWN}), (303, 200)),
        (&listed, json!({"tid": OWN, "xms_edov": false}), (303, 403)),
        (&listed, json!({"tid": FOREIGN}), (403, 0)),
        (&listed, json!({"tid": FOREIGN, "xms_edov": true}), (403, 0)),
        (&stated, json!({"tid": FOREIGN}), (303, 403)),
        (
            &stated,
            json!({"tid": FOREIGN, "email_verified": true}),
            (303, 403),
        ),
        (
            &stated,
            json!({"tid": FOREIGN, "xms_edov": false}),
            (303, 403),
        ),
        (
            &stated,
            json!({"tid": FOREIGN, "xms_edov": "1"}),
            (303, 200),
        ),
    ] {
        let mut world = microsoft(file);
        let mut jar = Jar::default();
        let Step::Reply(reply) = world.visit("app.test", "/", &jar) else {
            panic!("a redirect")
        };
        jar.take(&reply);
        let to = location(&reply);
        let query: std::collections::BTreeMap<_, _> = to.query_pairs().into_owned().collect();
        let path = format!("/.pomerium/callback?code=c&state={}", query["state"]);
        let Step::Call(_, waiting) = world.visit("app.test", &path, &jar) else {
            panic!("the code is redeemed")
        };
        let tenant = claims["tid"].as_str().unwrap();
        let mut token = world.claims("alice@corp.test", &query["nonce"]);
        token.as_object_mut().unwrap().remove("email_verified");
        token["iss"] = json!(format!("https://login.microsoftonline.com/{tenant}/v2.0"));
        for (name, value) in claims.as_object().unwrap() {
            token[name] = value.clone();
        }
        let body = world.tokens(Some(&token));
        let Step::Reply(reply) = world.resume(waiting, &ok(&body)) else {
            panic!("{claims}: a reply ends a sign-in")
        };
        jar.take(&reply);
        assert_eq!(reply.status, expected.0, "{claims} {}", reply.body);
        if reply.status == 303 {
            let step = world.visit("app.test", "/", &jar);
            assert_eq!(status(&step), expected.1, "{claims}");
        } else {
            let expected = "refused: token-tenant: tid expected=";
            assert!(reply.event.starts_with(expected), "{}", reply.event);
            let received = format!(" received={tenant:?}");
            assert!(reply.event.ends_with(&received), "{}", reply.event);
        }
    }
}

/// A world whose provider is Microsoft's for many tenants.
fn microsoft(changes: &Value) -> World {
    let mut world = before_discovery(changes);
    let at = |path: &str| format!("https://login.microsoftonline.com/organizations/{path}");
    let document = json!({
        "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
        "authorization_endpoint": at("oauth2/v2.0/authorize"),
        "token_endpoint": at("oauth2/v2.0/token"),
        "jwks_uri": at("discovery/v2.0/keys"),
    })
    .to_string();
    let _ = world.gate.known_provider();
    let due = world.gate.due(&world.fixture.env());
    assert!(matches!(due, ProviderDue::Call(_)), "{due:?}");
    let next = world.gate.absorb(&ok(&document), &world.fixture.env());
    assert!(matches!(next, Absorbed::Next(_)), "{next:?}");
    let keys = world.fake.jwks();
    let ready = world.gate.absorb(&ok(&keys), &world.fixture.env());
    assert!(matches!(ready, Absorbed::Ready), "{ready:?}");
    world
}

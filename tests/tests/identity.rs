//! The upstream's view of the user, and how it can verify it.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use jetway_tests::{
    ALICE, APP, Assertion, Authority, BOB, OTHER, Parties, Route, Scene, Seen, Upstream, UserAgent,
    on_both_proxies,
};
use serde_json::{Value, json};
use url::Url;

on_both_proxies!(
    upstreams_learn_who_the_user_is,
    a_user_cannot_change_the_groups_header,
    groups_that_do_not_fit_are_named,
    a_signing_key_of_ones_own_signs_assertions,
);

const ASSERTION: &str = "x-pomerium-jwt-assertion";
const CLAIM_HEADERS: [&str; 6] = [
    "x-email",
    "x-user",
    "x-groups",
    "x-department",
    "x-roles",
    "x-missing",
];

const CLAIM_KEYS: &str = "jwt_claims_headers:\n  X-Email: email\n  X-User: user\n  X-Groups: groups\n  X-Department: department\n  \
                  X-Roles: realm_access.roles\n  X-Missing: nothing\n";

async fn upstreams_learn_who_the_user_is(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let to = upstream.address();
    scene.keys = CLAIM_KEYS.to_owned();
    let routes = [
        Route::new(APP, &to)
            .prefix("/public")
            .public()
            .key("pass_identity_headers: true"),
        Route::new(APP, &to).key("pass_identity_headers: true"),
        Route::new(OTHER, &to),
    ];
    let _proxy = scene.serve(&routes).await?;
    let (app, other) = (scene.url(APP, "/")?, scene.url(OTHER, "/")?);
    let keys = published_keys(&mut scene.user_agent(), &app).await?;
    assert_eq!(
        keys,
        published_keys(&mut scene.user_agent(), &other).await?,
        "every host publishes the same keys"
    );

    let mut alice = scene.user_agent();
    alice.sign_in(&app, ALICE).await?.1.expect(200)?;
    // The provider has a session for alice already.
    alice.follow(&other).await?.1.expect(200)?;
    upstream.take();
    let seen = forge(&mut alice, &app, &upstream).await?;
    for (name, value) in CLAIM_HEADERS.into_iter().zip([
        ALICE,
        ALICE,
        "admins,staff",
        "engineering",
        "editor,auditor",
        "",
    ]) {
        assert_eq!(seen.value(name)?, value, "{name}");
    }
    judge_assertion(scene, seen.value(ASSERTION)?, &keys)?;

    // N-09: without a session, the upstream gets no identity.
    let seen = forge(
        &mut scene.user_agent(),
        &scene.url(APP, "/public")?,
        &upstream,
    )
    .await?;
    for name in CLAIM_HEADERS.into_iter().chain([ASSERTION]) {
        assert!(seen.values(name).is_empty(), "`{name}`: {seen:?}");
    }

    let mut bob = scene.user_agent();
    bob.sign_in(&app, BOB).await?.1.expect(200)?;
    upstream.take();
    assert_eq!(
        forge(&mut bob, &app, &upstream).await?.value("x-groups")?,
        "staff"
    );

    let seen = forge(&mut alice, &other, &upstream).await?;
    for name in CLAIM_HEADERS.into_iter().chain([ASSERTION]) {
        assert!(
            seen.values(name).is_empty(),
            "`{name}` on a route without `pass_identity_headers`: {seen:?}"
        );
    }
    Ok(())
}

/// Checks alice's assertion, and that an altered one is invalid.
fn judge_assertion(scene: &Scene, token: &str, keys: &Value) -> Result<()> {
    let assertion = Assertion::verify(scene, token, keys, Parties::of_host(APP))?;
    let claims = &assertion.claims;
    assert_eq!(claims["email"], ALICE);
    assert_eq!(claims["sub"], ALICE);
    assert_eq!(claims["user"], ALICE);
    assert_eq!(claims["name"], "Alice");
    assert_eq!(claims["aud"], APP, "one string, not a list");
    assert_eq!(claims["groups"], json!(["admins", "staff"]));
    let times = [&claims["exp"], &claims["iat"]].map(|time| time.as_i64().unwrap_or_default());
    assert_eq!(times[0] - times[1], 300, "{claims}");
    assert!(
        keys["keys"].as_array().is_some_and(|keys| keys
            .iter()
            .any(|key| key["kid"] == assertion.header["kid"] && key.get("d").is_none())),
        "the key is published, and only its public half: {keys}"
    );
    for (what, broken) in [
        (
            "another signature",
            format!("{}AAAA", &token[..token.len() - 4]),
        ),
        ("other claims", with_other_claims(token)?),
    ] {
        assert!(
            Assertion::verify(scene, &broken, keys, Parties::of_host(APP)).is_err(),
            "{what} is accepted"
        );
    }
    Ok(())
}

/// N-15: a user with an oversized name and odd groups cannot change what an upstream reads of the groups.
async fn a_user_cannot_change_the_groups_header(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    scene.keys = "jwt_claims_headers: {X-Groups: groups, X-Email: email, X-Name: name}".to_owned();
    let routes = [Route::new(APP, &upstream.address()).key("pass_identity_headers: true")];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let odd = json!(["staff", "x,admins", "adm\u{1}in", "\u{e9}"]);
    let claims = json!({"name": "n".repeat(9 * 1024), "groups": odd});
    scene.provider.set_user(ALICE, &claims).await?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let seen = upstream.take_one()?;
    assert_eq!(seen.value("x-groups")?, "staff,x%2Cadmins,adm%01in,%C3%A9");
    assert_eq!(seen.value("x-email")?, ALICE);
    assert_eq!(seen.value("x-name")?, "");
    assert_eq!(seen.value("x-pomerium-incomplete-claims")?, "name");

    let mut bob = scene.user_agent();
    bob.sign_in(&url, BOB).await?.1.expect(200)?;
    let seen = upstream.take_one()?;
    assert_eq!(seen.value("x-groups")?, "staff");
    assert!(seen.values("x-pomerium-incomplete-claims").is_empty());
    Ok(())
}

/// More groups than cookies hold: the application learns that the list is incomplete, and small claims stay.
async fn groups_that_do_not_fit_are_named(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    scene.keys = "jwt_claims_headers: {X-Groups: groups, X-Name: name}".to_owned();
    let policy = "- {allow: {or: [groups: ops]}, deny: {or: [groups: contractors]}}";
    let routes = [Route::new(APP, &upstream.address())
        .key("pass_identity_headers: true")
        .policy(policy)];
    let proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let many = |named: &[&str]| {
        let groups = (0..90).map(|number| format!("{number:03}-{}", "g".repeat(116)));
        groups
            .chain(named.iter().map(ToString::to_string))
            .collect::<Vec<_>>()
    };
    let claims = json!({"name": "Alice", "groups": many(&["ops"])});
    scene.provider.set_user(ALICE, &claims).await?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let seen = upstream.take_one()?;
    assert_eq!(seen.value("x-groups")?, "ops");
    assert_eq!(seen.value("x-name")?, "Alice");
    assert_eq!(seen.value("x-pomerium-incomplete-claims")?, "groups");
    let keys = published_keys(&mut alice, &url).await?;
    let assertion = Assertion::verify(scene, seen.value(ASSERTION)?, &keys, Parties::of_host(APP))?;
    assert_eq!(assertion.claims["groups"], json!(["ops"]));
    assert_eq!(assertion.claims["incomplete_claims"], json!(["groups"]));
    let log = proxy.process.log();
    assert!(log.contains("incomplete claims"), "{log}");

    // Values that policies name are never dropped.
    let claims = json!({"name": "Bob", "groups": many(&["ops", "contractors"])});
    scene.provider.set_user(BOB, &claims).await?;
    let mut bob = scene.user_agent();
    bob.sign_in(&url, BOB).await?.1.expect(403)?;
    Ok(())
}

async fn a_signing_key_of_ones_own_signs_assertions(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let key = Authority::create("only for its key")?
        .issue(&["key.example.com"])?
        .key;
    scene.keys = "pass_identity_headers: true\njwt_issuer_format: IssuerURI\njwt_claims_headers: [email, groups]\n"
        .to_owned();
    scene
        .variables
        .push(("SIGNING_KEY".to_owned(), key.clone()));
    let routes = [
        Route::new(APP, &upstream.address()),
        Route::new(OTHER, &upstream.address()).key("pass_identity_headers: false"),
    ];
    let mut alice = scene.user_agent();
    let url = scene.url(APP, "/")?;
    let mut proxy = scene.serve(&routes).await?;
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let seen = upstream.take_one()?;
    assert_eq!(seen.value("x-pomerium-claim-email")?, ALICE);
    assert_eq!(seen.value("x-pomerium-claim-groups")?, "admins,staff");
    let keys = published_keys(&mut alice, &url).await?;
    let issuer = format!("https://{APP}/");
    let parties = Parties {
        issuer: &issuer,
        audience: APP,
    };
    let first = Assertion::verify(scene, seen.value(ASSERTION)?, &keys, parties)?;
    assert_eq!(first.claims["email"], ALICE);

    let other = scene.url(OTHER, "/")?;
    alice.follow(&other).await?.1.expect(200)?;
    let seen = upstream.take_one()?;
    assert!(seen.values(ASSERTION).is_empty(), "the route's word counts");

    // The key outlives the process, and so do its signatures.
    proxy.process.terminate();
    proxy
        .process
        .finish(std::time::Duration::from_secs(15))
        .await?;
    drop(proxy);
    let proxy = scene.serve(&routes).await?;
    assert_eq!(keys, published_keys(&mut alice, &url).await?);
    let secret = key
        .lines()
        .nth(1)
        .context("a key in PEM has several lines")?;
    assert!(
        !proxy.process.log().contains(secret),
        "the key is in the log"
    );
    Ok(())
}

/// Sends all headers that a client must not be able to set, and returns the request that the upstream got.
async fn forge(client: &mut UserAgent, url: &Url, upstream: &Upstream) -> Result<Seen> {
    let mut headers = HeaderMap::new();
    for name in CLAIM_HEADERS {
        headers.append(name, HeaderValue::from_static("forged"));
        headers.append(name, HeaderValue::from_static("forged again"));
    }
    for name in [
        ASSERTION,
        "x-pomerium-jwt-assertion-for",
        "x-pomerium-claim-email",
        "x-pomerium-claim-anything",
    ] {
        headers.append(name, HeaderValue::from_static("forged"));
    }
    client
        .send(Method::GET, url, headers, Bytes::new())
        .await?
        .expect(200)?;
    let seen = upstream.take_one()?;
    for (name, value) in &seen.headers {
        assert!(!value.as_bytes().starts_with(b"forged"), "`{name}` passed");
    }
    Ok(seen)
}

/// Returns the keys that verify a host's assertions; no sign-in is needed for them.
async fn published_keys(client: &mut UserAgent, url: &Url) -> Result<Value> {
    let answer = client
        .fetch(&url.join("/.well-known/pomerium/jwks.json")?)
        .await?
        .expect(200)?;
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.contains("json"), "{answer:?}");
    answer.json()
}

/// Returns the same token for another user.
fn with_other_claims(token: &str) -> Result<String> {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let mut parts: Vec<String> = token.split('.').map(ToOwned::to_owned).collect();
    let claims = parts.get_mut(1).context("a token has three parts")?;
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(&*claims)?)?;
    *claims = BASE64_URL_SAFE_NO_PAD.encode(text.replace(ALICE, BOB));
    Ok(parts.join("."))
}

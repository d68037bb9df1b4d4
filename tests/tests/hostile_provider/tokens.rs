//! Tokens of the provider: good ones open a session, forged ones do not.

use anyhow::{Result, ensure};
use jetway_tests::{
    ALICE, APP, HostileProvider, MALLORY, Route, Scene, SignedBy, Upstream, json_answer, part,
};
use serde_json::{Value, json};

use crate::attacked::Attacked;

pub(crate) async fn users_of_this_provider_sign_in(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for (by, alg, kid) in [
        (SignedBy::Rsa, "RS256", "k1"),
        (SignedBy::Ec, "ES256", "e1"),
        (SignedBy::Ed25519, "EdDSA", "d1"),
    ] {
        attacked.provider.forge(move |keys, claims| {
            keys.token(
                by,
                &json!({"alg": alg, "kid": kid}).to_string(),
                &claims.to_string(),
            )
        });
        let mut alice = scene.user_agent();
        let (end, page) = alice.follow(&attacked.url).await?;
        assert_eq!(end, attacked.url, "{alg}");
        page.expect(200)?;
        attacked.upstream.take();
    }
    attacked.provider.is(MALLORY, json!({}));
    let mut mallory = scene.user_agent();
    mallory.follow(&attacked.url).await?.1.expect(403)?;
    attacked.still_serves("mallory").await
}

pub(crate) async fn users_of_github_sign_in_by_their_verified_primary_address(
    scene: &mut Scene,
) -> Result<()> {
    let github = HostileProvider::start(ALICE).await?;
    scene.registration = Some(github.as_github());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/wanted?x=1")?;
    let mut alice = scene.user_agent();
    let (end, page) = alice.follow(&url).await?;
    page.expect(200)?;
    assert_eq!(end, url);
    let asked: Vec<String> = github.asked().into_iter().map(|asked| asked.path).collect();
    for path in [
        "/login/oauth/authorize",
        "/login/oauth/access_token",
        "/api/v3/user",
        "/api/v3/user/emails",
    ] {
        assert!(asked.iter().any(|known| known == path), "{path}: {asked:?}");
    }
    upstream.take();

    let others = [
        json!([{"email": ALICE, "verified": false, "primary": true}]),
        json!([{"email": ALICE, "verified": true, "primary": false}, {"email": MALLORY, "verified": true, "primary": true}]),
        json!([]),
        json!({"email": ALICE, "verified": true, "primary": true}),
    ];
    for emails in others {
        let answer = emails.clone();
        github.order("/api/v3/user/emails", move |_| {
            Some(json_answer(200, &answer))
        });
        let page = scene.user_agent().follow(&url).await?.1;
        ensure!(
            page.status.is_client_error() || page.status.as_u16() == 502,
            "{emails}: {}",
            page.status
        );
        ensure!(upstream.take().is_empty(), "{emails}");
    }
    github.be_honest();
    // GitHub reports an invalid code with status 200.
    github.order("/login/oauth/access_token", |_| {
        Some(json_answer(200, &json!({"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."})))
    });
    let page = scene.user_agent().follow(&url).await?.1;
    ensure!(page.status.is_client_error(), "{}", page.status);
    github.be_honest();
    scene.user_agent().follow(&url).await?.1.expect(200)?;
    alice.navigate(&url).await?.expect(200)?;
    Ok(())
}

/// One token of each kind of forgery: every other one is tried on the core (`gate::tests::attacks`).
pub(crate) async fn j_01_and_others_forged_tokens_open_no_session(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("J-23 aud", |claims| claims["aud"] = json!("other")),
        ("J-26 nonce", |claims| claims["nonce"] = json!("other")),
        ("J-27 exp", |claims| claims["exp"] = json!(1)),
        ("J-27 exp", |claims| claims["exp"] = json!(1e300)),
        ("J-30 iat", |claims| claims["iat"] = json!("x")),
        ("iss", |claims| {
            claims["iss"] = json!("https://evil.example.com")
        }),
        ("sub", |claims| claims["sub"] = Value::Null),
    ];
    for (what, change) in changes {
        attacked.provider.forge(move |keys, mut claims| {
            change(&mut claims);
            keys.honest(&claims)
        });
        attacked.fails_to_sign_in(scene, what).await?;
    }
    let headers = [
        ("J-01 none", json!({"alg": "none"})),
        ("J-03 no alg", json!({"kid": "k1"})),
        (
            "J-15 kid",
            json!({"alg": "RS256", "kid": "k1\u{0}\r\n\u{1b}[31m"}),
        ),
        (
            "J-20 crit",
            json!({"alg": "RS256", "kid": "k1", "crit": ["exp"]}),
        ),
        (
            "J-21 typ",
            json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}),
        ),
    ];
    for (what, header) in headers {
        attacked.provider.forge(move |keys, claims| {
            keys.token(SignedBy::Rsa, &header.to_string(), &claims.to_string())
        });
        attacked.fails_to_sign_in(scene, what).await?;
    }
    attacked.provider.forge(|_, claims| {
        let header = json!({"alg": "ES256", "kid": "e1"}).to_string();
        format!(
            "{}.{}.{}",
            part(header.as_bytes()),
            part(claims.to_string().as_bytes()),
            part(&[0; 64])
        )
    });
    attacked.fails_to_sign_in(scene, "J-37 zeros").await?;
    attacked.provider.forge(|keys, claims| {
        let twice = claims
            .to_string()
            .replacen('{', &format!("{{\"email\":\"{MALLORY}\","), 1);
        keys.token(SignedBy::Rsa, r#"{"alg":"RS256","kid":"k1"}"#, &twice)
    });
    attacked.fails_to_sign_in(scene, "J-32 twins").await?;
    attacked
        .provider
        .forge(|_, _| "\u{fffd}\u{0}".repeat(20_000));
    attacked.fails_to_sign_in(scene, "J-36 rubbish").await?;
    attacked.provider.be_honest();
    let mut alice = scene.user_agent();
    alice.follow(&attacked.url).await?.1.expect(200)?;
    Ok(())
}

pub(crate) async fn n_21_tokens_of_another_type_open_no_session(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for kind in [json!("mac"), json!("DPoP"), json!(["Bearer"])] {
        let what = format!("token_type {kind}");
        attacked.provider.order_tokens(json!({"token_type": kind}));
        let page = attacked.fails_to_sign_in(scene, &what).await?;
        assert_eq!(page.status, 502, "{what}: {page:?}");
    }
    attacked
        .provider
        .order_tokens(json!({"token_type": "bearer"}));
    let mut alice = scene.user_agent();
    alice.follow(&attacked.url).await?.1.expect(200)?;
    Ok(())
}

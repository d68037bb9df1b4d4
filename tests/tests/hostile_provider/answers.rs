//! Answers of the provider that are wrong, endless or cut off, and addresses in them that are never called.

use anyhow::{Result, ensure};
use http::header::SET_COOKIE;
use jetway_tests::{
    ALICE, APP, Asked, Canary, Ending, HostileProvider, Route, Scene, SignedBy, Upstream, ending,
    json_answer, redirect_to, text_answer,
};
use serde_json::json;

use crate::attacked::Attacked;

pub(crate) async fn j_14_j_18_f_19_f_22_nothing_but_the_provider_is_called(
    scene: &mut Scene,
) -> Result<()> {
    let canary = Canary::start().await?;
    let mut attacked = Attacked::start(scene).await?;
    for name in ["kid", "jku", "x5u"] {
        let mut header = json!({"alg": "RS256", "kid": "other"});
        header[name] = json!(format!("{}/keys", canary.address()));
        attacked.provider.forge(move |keys, claims| {
            keys.token(SignedBy::Rsa, &header.to_string(), &claims.to_string())
        });
        attacked.fails_to_sign_in(scene, name).await?;
    }
    attacked.provider.be_honest();
    let address = canary.address();
    attacked.provider.is(ALICE, json!({"_claim_names": {"groups": "a"}, "_claim_sources": {"a": {"endpoint": format!("{address}/claims")}}}));
    scene
        .user_agent()
        .follow(&attacked.url)
        .await?
        .1
        .expect(200)?;
    attacked.upstream.take();
    attacked.provider.be_honest();
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}/token", canary.address());
        attacked.provider.order("/token", move |_| {
            let mut answer = redirect_to(&to);
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
            Some(answer)
        });
        attacked
            .fails_to_sign_in(scene, "a redirect of the token endpoint")
            .await?;
    }
    attacked.provider.be_honest();
    canary.ensure_untouched()?;

    // A provider whose document names addresses elsewhere is not used at all, and no user can sign in.
    let other = HostileProvider::start(ALICE).await?;
    let to = canary.address();
    let issuer = other.registration().issuer;
    other.order("/.well-known/openid-configuration", move |_| {
        Some(json_answer(
            200,
            &json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{to}/token"), "jwks_uri": format!("{to}/jwks"),
            }),
        ))
    });
    drop(attacked);
    scene.registration = Some(other.registration());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    scene
        .user_agent()
        .navigate(&scene.url(APP, "/")?)
        .await?
        .expect(503)?;
    assert!(upstream.take().is_empty());
    canary.ensure_untouched()
}

pub(crate) async fn j_50_bad_key_sets_leave_the_last_good_one(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    // A token with an unknown key makes the proxy fetch the keys again, which are invalid now.
    attacked
        .provider
        .order("/jwks", |_| Some(text_answer(200, "<html>")));
    attacked.provider.forge(|keys, claims| {
        keys.token(
            SignedBy::Rsa,
            r#"{"alg":"RS256","kid":"new"}"#,
            &claims.to_string(),
        )
    });
    attacked.fails_to_sign_in(scene, "an unknown key").await?;
    attacked.provider.be_honest();
    attacked.provider.order("/jwks", |_| None);
    scene
        .user_agent()
        .follow(&attacked.url)
        .await?
        .1
        .expect(200)?;
    Ok(())
}

/// In Envoy, a call that ends after the head of its response has no headers to read: the module must not read them.
pub(crate) async fn n_21_answers_that_break_off_or_never_end_are_no_answers(
    scene: &mut Scene,
) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for end in [Ending::BreaksOff, Ending::Never] {
        attacked.provider.order("/token", move |_| {
            Some(ending(text_answer(200, r#"{"id_token":"#), end))
        });
        let page = attacked
            .fails_to_sign_in(scene, &format!("{end:?}"))
            .await?;
        assert_eq!(page.status, 502, "{end:?}: {page:?}");
    }
    Ok(())
}

pub(crate) async fn j_34_endless_answers_of_the_provider_end(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    attacked
        .provider
        .order("/token", |_| Some(text_answer(200, &"x".repeat(20 << 20))));
    attacked
        .fails_to_sign_in(scene, "20 MiB of a token answer")
        .await?;
    attacked.provider.order("/token", |_| None);
    attacked
        .fails_to_sign_in(scene, "a connection that breaks")
        .await?;
    attacked.provider.order("/token", |asked: &Asked| {
        Some(json_answer(
            200,
            &json!({"id_token": asked.nonce, "access_token": 1}),
        ))
    });
    attacked.fails_to_sign_in(scene, "a nonce as token").await?;
    attacked.provider.be_honest();
    attacked.provider.forge(|keys, mut claims| {
        claims["x"] = json!("x".repeat(2 << 20));
        keys.honest(&claims)
    });
    attacked
        .fails_to_sign_in(scene, "2 MiB of an ID token")
        .await
        .map(drop)
}

pub(crate) async fn f_15_errors_of_the_provider_are_shown_as_text(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for query in [
        "error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "error=a%0d%0aSet-Cookie:%20evil=1&error_uri=javascript:alert(1)",
        "error=%ff%fe%00&error_description=%c3%28",
        "code=a&code=b&state=x",
        "code=%00&state=%00",
    ] {
        let url = scene.url(APP, &format!("/.pomerium/callback?{query}"))?;
        let page = scene.user_agent().navigate(&url).await?;
        ensure!(page.status.is_client_error(), "{query}: {}", page.status);
        let text = page.text();
        for forbidden in ["<script", "<img", "javascript:", "\u{0}"] {
            ensure!(!text.contains(forbidden), "{query}: {text}");
        }
        ensure!(
            page.headers
                .get_all(SET_COOKIE)
                .iter()
                .all(|line| !line.as_bytes().starts_with(b"evil")),
            "{query}"
        );
        attacked.still_serves(query).await?;
    }
    Ok(())
}

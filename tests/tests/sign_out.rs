//! Signing out: in every copy of a session, at the provider, and by the provider.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use jetway_tests::{
    ALICE, APP, BOB, CONNECTIONS, Glewlwyd, OTHER, Response, Route, Scene, Told, Upstream,
    UserAgent, on_both_proxies,
};
use serde_json::{Value, json};
use url::Url;

on_both_proxies!(
    signing_out_ends_every_copy_and_the_session_at_the_provider,
    another_site_cannot_sign_a_user_out,
    the_provider_ends_sessions_by_session_and_by_user,
    logout_tokens_that_do_not_hold_end_nothing,
    a_frame_of_the_provider_ends_a_session_without_its_cookie,
    glewlwyd_ends_a_session,
    signing_out_works_without_the_provider,
);

async fn signing_out_ends_every_copy_and_the_session_at_the_provider(
    scene: &mut Scene,
) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let mut copy = alice.clone();
    let mut phone = scene.user_agent();
    phone.sign_in(&url, ALICE).await?.1.expect(200)?;
    everywhere(&mut copy, &url, 200).await?;

    let answer = post_sign_out(&mut alice, scene, APP).await?.expect(303)?;
    everywhere(&mut copy, &url, 401).await?;
    everywhere(&mut phone, &url, 200).await?;
    let leave = Url::parse(answer.header("location").context("to the provider")?)?;
    assert!(leave.as_str().starts_with(&scene.provider.issuer()));
    assert_eq!(
        scene.provider.count("POST", "/token/revocation").await?,
        1,
        "the refresh token is given back"
    );

    let back = alice.confirm_sign_out(&leave).await?;
    let back = leave.join(back.header("location").context("back from the provider")?)?;
    assert!(
        back.as_str()
            .starts_with(scene.url(APP, "/.pomerium/signed_out?")?.as_str())
    );
    let page = alice.navigate(&back).await?.expect(200)?;
    assert!(
        page.text().contains("You are signed out"),
        "{}",
        page.text()
    );
    assert!(
        alice.cookies(&url).is_none(),
        "nothing of ours is left in the browser"
    );
    let (form, _) = alice.follow(&url).await?;
    assert!(
        form.path().starts_with("/interaction/"),
        "the provider asks who it is: {form}"
    );
    Ok(())
}

async fn another_site_cannot_sign_a_user_out(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let sign_out = scene.url(APP, "/.pomerium/sign_out")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    for (method, origin, site, expected) in [
        (Method::POST, Some("https://evil.localhost"), None, 403),
        (Method::POST, Some("null"), Some("cross-site"), 403),
        (Method::POST, None, Some("same-site"), 403),
        (Method::POST, None, None, 403),
        (Method::GET, None, Some("cross-site"), 200),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert("origin", HeaderValue::from_static(origin));
        }
        if let Some(site) = site {
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
        }
        let answer = alice.send(method, &sign_out, headers, Bytes::new());
        answer.await?.expect(expected)?;
        everywhere(&mut alice, &url, 200).await?;
    }
    Ok(())
}

async fn the_provider_ends_sessions_by_session_and_by_user(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut bob = scene.user_agent();
    bob.sign_in(&url, BOB).await?.1.expect(200)?;
    for told in [Told::BySession, Told::ByPerson] {
        let mut alice = scene.user_agent();
        alice.sign_in(&url, ALICE).await?.1.expect(200)?;
        let mut copy = alice.clone();
        everywhere(&mut copy, &url, 200).await?;
        assert_eq!(scene.provider.end_sessions(ALICE, told).await?, 1);
        everywhere(&mut copy, &url, 401).await?;
        let (form, _) = alice.follow(&url).await?;
        assert!(
            form.path().starts_with("/interaction/"),
            "alice has to sign in again: {form}"
        );
    }
    let events = scene.provider.events().await?;
    assert!(
        events.iter().all(|event| event["event"] != "not told"),
        "{events:?}"
    );
    everywhere(&mut bob, &url, 200).await
}

async fn logout_tokens_that_do_not_hold_end_nothing(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let logout = scene.url(APP, "/.pomerium/backchannel_logout")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let claims = json!({
        "iss": scene.provider.issuer(), "aud": "jetway", "sub": ALICE, "jti": "1", "iat": 1,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    let unsigned = format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
    for body in [
        String::new(),
        "logout_token=".to_owned(),
        format!("logout_token={unsigned}"),
        format!("logout_token={}", "x".repeat(60_000)),
    ] {
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert("content-type", form);
        let length = body.len();
        let answer = alice
            .send(Method::POST, &logout, headers, Bytes::from(body))
            .await?;
        ensure!(
            answer.status == 400,
            "{length} bytes are answered by {answer:?}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("set-cookie").is_none());
        alice.navigate(&url).await?.expect(200)?;
    }
    assert_eq!(scene.provider.end_sessions(ALICE, Told::ByPerson).await?, 1);
    everywhere(&mut alice, &url, 401).await
}

async fn a_frame_of_the_provider_ends_a_session_without_its_cookie(
    scene: &mut Scene,
) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let routes = [APP, OTHER].map(|host| Route::new(host, &upstream.address()));
    let _proxy = scene.serve(&routes).await?;
    let mut alice = scene.user_agent();
    for host in [APP, OTHER] {
        let url = scene.url(host, "/")?;
        let (form, page) = alice.follow(&url).await?;
        if form.path().starts_with("/interaction/") {
            alice.sign_in_at(&form, &page, ALICE).await?.1.expect(200)?;
        }
    }
    let other = scene.url(OTHER, "/")?;
    everywhere(&mut alice, &other, 200).await?;
    let answer = post_sign_out(&mut alice, scene, APP).await?.expect(303)?;
    everywhere(&mut alice, &other, 200).await?;
    let leave = Url::parse(answer.header("location").context("to the provider")?)?;
    let mut frame = scene.url(OTHER, "/.pomerium/frontchannel_logout")?;
    frame
        .query_pairs_mut()
        .append_pair("iss", &scene.provider.issuer())
        .append_pair("sid", &provider_session(&leave)?);
    let page = scene.user_agent().navigate(&frame).await?.expect(200)?;
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.contains(&format!("frame-ancestors {}", scene.provider.issuer())),
        "{policy}"
    );
    assert!(page.header("x-frame-options").is_none());
    everywhere(&mut alice, &other, 401).await
}

async fn glewlwyd_ends_a_session(scene: &mut Scene) -> Result<()> {
    let glewlwyd = Glewlwyd::start(scene, APP, ALICE).await?;
    scene.registration = Some(glewlwyd.registration());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    glewlwyd
        .sign_in(&mut alice, &url, ALICE)
        .await?
        .1
        .expect(200)?;
    everywhere(&mut alice, &url, 200).await?;
    glewlwyd.end_session(&mut alice).await?;
    jetway_tests::eventually(
        "Glewlwyd has told the proxy",
        std::time::Duration::from_secs(10),
        async || alice.fetch(&url).await?.expect(401).map(drop),
    )
    .await?;
    everywhere(&mut alice, &url, 401).await
}

async fn signing_out_works_without_the_provider(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let mut copy = alice.clone();
    scene.provider.stop();
    let answer = post_sign_out(&mut alice, scene, APP).await?;
    // A worker that knows the provider's metadata redirects the browser there, another one shows a page.
    ensure!(
        answer.status == 303 || answer.status == 200,
        "a sign-out without the provider: {answer:?}"
    );
    everywhere(&mut copy, &url, 401).await
}

/// Sends the form of the page that asks the user to confirm the sign-out.
async fn post_sign_out(client: &mut UserAgent, scene: &Scene, host: &str) -> Result<Response> {
    let url = scene.url(host, "/.pomerium/sign_out")?;
    let page = client.navigate(&url).await?.expect(200)?;
    let form = page.form(&url)?;
    client.post_form(&form.action, &form.borrowed()).await
}

/// Sends the request over many connections, so that every worker answers.
async fn everywhere(client: &mut UserAgent, url: &Url, status: u16) -> Result<()> {
    for _ in 0..CONNECTIONS {
        client.fetch(url).await?.expect(status)?;
    }
    Ok(())
}

/// Returns the `sid` of the ID token with which a user signs out at the provider.
fn provider_session(leave: &Url) -> Result<String> {
    let hint = leave
        .query_pairs()
        .find(|(name, _)| name == "id_token_hint");
    let (_, token) = hint.context("the sign-out names the session")?;
    let payload = token.split('.').nth(1).context("a signed token")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    claims["sid"]
        .as_str()
        .map(str::to_owned)
        .context("the ID token names the provider's session")
}

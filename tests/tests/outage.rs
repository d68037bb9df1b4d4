//! A provider that is down, slow or broken.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http::header::RETRY_AFTER;
use jetway_tests::{ALICE, APP, Route, Scene, Upstream, eventually, on_both_proxies};
use serde_json::json;

on_both_proxies!(
    a_provider_that_is_down_at_the_start_may_come_later,
    a_request_waits_for_a_slow_provider,
    a_session_outlives_the_provider,
    a_failing_token_endpoint_makes_no_session,
);

/// The proxy may pause between two attempts to reach the provider.
const RECOVERY: Duration = Duration::from_secs(60);

async fn a_provider_that_is_down_at_the_start_may_come_later(scene: &mut Scene) -> Result<()> {
    scene.provider.stop();
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;

    let began = Instant::now();
    let answer = scene.user_agent().navigate(&url).await?.expect(503)?;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "the wait has an end: {:?}",
        began.elapsed()
    );
    let retry = answer.header(RETRY_AFTER.as_str()).map(str::parse::<u32>);
    assert!(
        matches!(retry, Some(Ok(1..))),
        "Retry-After is a number of seconds: {answer:?}"
    );
    let script = scene.user_agent().fetch(&url).await?;
    assert!(matches!(script.status.as_u16(), 401 | 503), "{script:?}");

    scene.provider.start(&scene.installed).await?;
    let (_, response) = eventually("alice can sign in", RECOVERY, async || {
        scene.user_agent().sign_in(&url, ALICE).await
    })
    .await?;
    response.expect(200)?;
    assert_eq!(
        upstream.take().len(),
        1,
        "only the signed-in request reaches the upstream"
    );
    Ok(())
}

async fn a_request_waits_for_a_slow_provider(scene: &mut Scene) -> Result<()> {
    let slow = json!([{"path": "/.well-known/openid-configuration", "delay_ms": 1500}, {"path": "/jwks", "delay_ms": 500}]);
    scene.provider.fail(&slow).await?;
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let (mut first, mut second) = (scene.user_agent(), scene.user_agent());
    let (first, second) = tokio::join!(first.navigate(&url), second.navigate(&url));
    for answer in [first?, second?] {
        ensure!(
            answer.status.is_redirection(),
            "the request waits, and is then redirected: {answer:?}"
        );
    }
    assert!(upstream.take().is_empty());
    Ok(())
}

async fn a_session_outlives_the_provider(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    scene.provider.stop();
    alice.navigate(&url).await?.expect(200)?;
    Ok(())
}

async fn a_failing_token_endpoint_makes_no_session(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    for fault in [
        json!([{"path": "/token", "status": 500}]),
        json!([{"path": "/token", "status": 200, "body": "not JSON"}]),
        json!([{"path": "/token", "status": 200, "body": "{\"id_token\":\"a.b.c\",\"token_type\":\"Bearer\"}"}]),
        json!([{"path": "/token", "reset": true}]),
    ] {
        scene.provider.fail(&fault).await?;
        let mut alice = scene.user_agent();
        let (form, page) = alice.follow(&url).await?;
        let callback = alice.submit_sign_in(&form, &page, ALICE).await?;
        let answer = alice.navigate(&callback).await?;
        assert!(
            answer.status.is_client_error() || answer.status.is_server_error(),
            "{fault}: {answer:?}"
        );
        assert!(!answer.text().contains("a.b.c"), "a page shows no token");
        assert!(
            !alice.navigate(&url).await?.status.is_success(),
            "{fault}: there is no session"
        );
    }
    scene.provider.fail(&json!([])).await?;
    assert!(upstream.take().is_empty());
    scene
        .user_agent()
        .sign_in(&url, ALICE)
        .await?
        .1
        .expect(200)?;
    Ok(())
}

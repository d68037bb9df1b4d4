//! Sessions whose provider gives refresh tokens: refreshed once, ahead of time, and ended when the provider ends them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use jetway_tests::{
    ALICE, APP, MALLORY, Route, Scene, Told, Upstream, UserAgent, eventually, on_both_proxies,
};
use serde_json::json;
use url::Url;

on_both_proxies!(
    twenty_requests_at_expiry_make_one_token_call,
    a_refused_refresh_ends_the_session,
    a_provider_outage_does_not_end_sessions,
    what_the_provider_says_now_is_judged_at_once,
);

/// Lifetime of access tokens in these scenarios: the shortest time that is not rounded up.
const LIFE: u64 = 10;

/// A proxy in front of an upstream, and alice, whose access token is valid for a few seconds only.
async fn signed_in(
    scene: &mut Scene,
    upstream: &Upstream,
) -> Result<(jetway_tests::Proxy, UserAgent, Url, Instant)> {
    scene.provider.set(&json!({"access_token": LIFE})).await?;
    let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    Ok((proxy, alice, url, Instant::now()))
}

/// Waits until an access token that was issued at `given` has expired.
async fn expiry(given: Instant) -> Result<()> {
    let life = Duration::from_secs(LIFE);
    eventually("the access token is over", life * 2, async || {
        ensure!(given.elapsed() >= life);
        Ok(())
    })
    .await
}

/// Sends twenty requests at once, as a page's scripts do; returns the browsers with their responses.
async fn twenty(client: &UserAgent, url: &Url) -> Result<Vec<UserAgent>> {
    let requests = (0..20).map(|_| async {
        let mut copy = client.clone();
        copy.fetch(url).await?.expect(200)?;
        anyhow::Ok(copy)
    });
    join_all(requests).await.into_iter().collect()
}

async fn refreshes(scene: &Scene, count: usize) -> Result<()> {
    eventually(
        "the session is renewed",
        Duration::from_secs(10),
        async || {
            let counted = scene.provider.count_grants("refresh_token").await?;
            ensure!(counted == count, "{counted} renewals");
            Ok(())
        },
    )
    .await
}

async fn twenty_requests_at_expiry_make_one_token_call(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url, mut given) = signed_in(scene, &upstream).await?;
    for round in 1..=2 {
        expiry(given).await?;
        twenty(&alice, &url).await?;
        given = Instant::now();
        refreshes(scene, round).await?;
        // The provider accepts each refresh token once, and these browsers have the old one: they get the new session
        // instead.
        let old = alice.cookies(&url);
        let renewed = twenty(&alice, &url).await?;
        for copy in &renewed {
            assert_ne!(copy.cookies(&url), old, "round {round}");
        }
        refreshes(scene, round).await?;
        alice = renewed.into_iter().next().unwrap_or(alice);
    }
    let refused = |event: &serde_json::Value| event["event"] == "grant refused";
    let events = scene.provider.events().await?;
    ensure!(!events.iter().any(refused), "{events:?}");
    Ok(())
}

async fn a_refused_refresh_ends_the_session(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url, given) = signed_in(scene, &upstream).await?;
    scene.provider.end_sessions(ALICE, Told::Nothing).await?;
    expiry(given).await?;
    eventually("the session ends", Duration::from_secs(10), async || {
        alice.clone().fetch(&url).await?.expect(401).map(drop)
    })
    .await?;
    let (at, _) = alice.follow(&url).await?;
    assert!(at.path().starts_with("/interaction/"), "{at}");
    Ok(())
}

async fn a_provider_outage_does_not_end_sessions(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, alice, url, given) = signed_in(scene, &upstream).await?;
    scene.provider.stop();
    expiry(given).await?;
    twenty(&alice, &url).await?;
    twenty(&alice, &url).await?;
    Ok(())
}

async fn what_the_provider_says_now_is_judged_at_once(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url, given) = signed_in(scene, &upstream).await?;
    // The address is not alice's any more.
    scene
        .provider
        .set_user(ALICE, &json!({"email": MALLORY}))
        .await?;
    expiry(given).await?;
    eventually("alice is refused", Duration::from_secs(10), async || {
        alice.fetch(&url).await?.expect(403).map(drop)
    })
    .await?;
    refreshes(scene, 1).await?;
    Ok(())
}

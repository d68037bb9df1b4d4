//! A second real provider, with different behaviour.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use jetway_tests::{
    ALICE, APP, Glewlwyd, MALLORY, Route, Scene, Upstream, eventually, on_both_proxies,
};

on_both_proxies!(
    permitted_users_of_glewlwyd_reach_the_application,
    others_of_glewlwyd_do_not,
    glewlwyd_is_asked_once_with_each_refresh_token,
);

/// Lifetime of its access tokens, in seconds (`tests/peers/glewlwyd.json`).
const LIFE: Duration = Duration::from_secs(10);

async fn permitted_users_of_glewlwyd_reach_the_application(scene: &mut Scene) -> Result<()> {
    let glewlwyd = Glewlwyd::start(scene, APP, ALICE).await?;
    scene.registration = Some(glewlwyd.registration());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/deep?x=1")?;
    let mut alice = scene.user_agent();
    let (end, page) = glewlwyd.sign_in(&mut alice, &url, ALICE).await?;
    assert_eq!(end, url);
    assert_eq!(
        page.expect(200)?.text(),
        upstream.answer("GET", "/deep?x=1")
    );
    alice
        .navigate(&scene.url(APP, "/again")?)
        .await?
        .expect(200)?;
    Ok(())
}

async fn others_of_glewlwyd_do_not(scene: &mut Scene) -> Result<()> {
    let glewlwyd = Glewlwyd::start(scene, APP, MALLORY).await?;
    scene.registration = Some(glewlwyd.registration());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut mallory = scene.user_agent();
    let (_, page) = glewlwyd.sign_in(&mut mallory, &url, MALLORY).await?;
    assert!(page.expect(403)?.text().contains(MALLORY));
    assert!(upstream.take().is_empty(), "nothing reaches the upstream");
    Ok(())
}

/// It accepts each refresh token once and ends the whole grant at a second use: the second round would be refused.
async fn glewlwyd_is_asked_once_with_each_refresh_token(scene: &mut Scene) -> Result<()> {
    let glewlwyd = Glewlwyd::start(scene, APP, ALICE).await?;
    scene.registration = Some(glewlwyd.registration());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    let (_, page) = glewlwyd.sign_in(&mut alice, &url, ALICE).await?;
    page.expect(200)?;
    for round in 1..=3 {
        let given = Instant::now();
        eventually("the access token is over", LIFE * 2, async || {
            ensure!(given.elapsed() >= LIFE);
            Ok(())
        })
        .await?;
        let requests = (0..20).map(|_| {
            let mut copy = alice.clone();
            let url = url.clone();
            async move { copy.fetch(&url).await?.expect(200) }
        });
        for answer in join_all(requests).await {
            answer.map_err(|error| error.context(format!("round {round}")))?;
        }
        let old = alice.cookies(&url);
        eventually("the session is renewed", LIFE, async || {
            alice.fetch(&url).await?.expect(200)?;
            ensure!(alice.cookies(&url) != old);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

//! A second real provider, with other habits than the first.

use anyhow::Result;
use jetway_tests::{ALICE, APP, Glewlwyd, MALLORY, Route, Scene, Upstream, on_both_bodies};

on_both_bodies!(
    permitted_people_of_glewlwyd_reach_the_application,
    others_of_glewlwyd_do_not,
);

async fn permitted_people_of_glewlwyd_reach_the_application(scene: &mut Scene) -> Result<()> {
    let glewlwyd = Glewlwyd::start(scene, APP, ALICE).await?;
    scene.registration = Some(glewlwyd.registration());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/deep?x=1")?;
    let mut alice = scene.visitor();
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
    let mut mallory = scene.visitor();
    let (_, page) = glewlwyd.sign_in(&mut mallory, &url, MALLORY).await?;
    assert!(page.expect(403)?.text().contains(MALLORY));
    assert!(upstream.take().is_empty(), "nothing reaches the upstream");
    Ok(())
}

//! Envoy and the bundled host as one deployment: the same secrets, the same public address, nothing shared between them.

use anyhow::Result;
use jetway_tests::{ALICE, APP, Port, Route, Scene, Upstream, on_both_proxies};

on_both_proxies!(a_sign_in_may_end_in_the_other_proxy);

async fn a_sign_in_may_end_in_the_other_proxy(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let routes = [Route::new(APP, &upstream.address())];
    let elsewhere = Port::reserve()?;
    let began = scene.serve(&routes).await?;
    let ended = scene
        .serve_at(scene.kind.other(), elsewhere.number(), &routes)
        .await?;

    let url = scene.url(APP, "/page")?;
    let mut alice = scene.user_agent();
    let (form, page) = alice.follow(&url).await?;
    alice.detour(ended.listen);
    let (end, response) = alice.sign_in_at(&form, &page, ALICE).await?;
    assert_eq!(
        (&end, response.status.as_u16()),
        (&url, 200),
        "the other body finishes the sign-in"
    );
    alice.detour(began.listen);
    alice.navigate(&url).await?.expect(200)?;
    assert_eq!(upstream.take().len(), 2, "and the session is good in both");
    Ok(())
}

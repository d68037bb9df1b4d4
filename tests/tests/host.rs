//! What only the bundled host has.

use std::time::Duration;

use anyhow::Result;
use jetway_tests::{ALICE, APP, Body, Placement, Route, Scene, Upstream, run};

#[test]
fn secrets_may_stand_in_the_file_or_beside_it() -> Result<()> {
    run(
        "secrets_may_stand_in_the_file_or_beside_it",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let url = scene.url(APP, "/")?;
            for placement in [Placement::Inline, Placement::Files] {
                scene.secrets.placement = placement;
                let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
                scene.visitor().sign_in(&url, ALICE).await?.1.expect(200)?;
                let log = proxy.process.log();
                for secret in [&scene.secrets.cookie, &scene.secrets.client] {
                    assert!(
                        !log.contains(secret.as_str()),
                        "{placement:?}: a secret is in the log"
                    );
                }
            }
            Ok(())
        },
    )
}

#[test]
fn the_host_stops_when_told() -> Result<()> {
    run(
        "the_host_stops_when_told",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let mut proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
            let url = scene.url(APP, "/")?;
            scene.visitor().sign_in(&url, ALICE).await?.1.expect(200)?;
            proxy.process.terminate();
            let status = proxy.process.finish(Duration::from_secs(15)).await?;
            assert!(
                status.success(),
                "a stop that was asked for is no failure: {status}"
            );
            assert!(
                scene.visitor().navigate(&url).await.is_err(),
                "nothing listens any more"
            );
            Ok(())
        },
    )
}

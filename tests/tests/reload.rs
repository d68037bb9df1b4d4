//! Changes of the configuration while users are signed in. They are a feature of the bundled host; Envoy has its own
//! way.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use jetway_tests::{
    ALICE, APP, Channel, MALLORY, Proxy, ProxyKind, Route, Scene, Upstream, eventually, run, within,
};
use tokio_tungstenite::tungstenite::Message;

/// Longer than the two seconds in which a changed file is read.
const LIMIT: Duration = Duration::from_secs(30);

async fn echoed(channel: &mut Channel) -> Result<()> {
    channel.send(Message::text("still there")).await?;
    let echo = within("an echo", LIMIT, async {
        channel
            .next()
            .await
            .context("the websocket ended")?
            .context("no message")
    })
    .await?;
    ensure!(echo.to_text()? == "still there", "{echo:?}");
    Ok(())
}

async fn logged(proxy: &Proxy, text: &str) -> Result<()> {
    eventually(&format!("`{text}` is logged"), LIMIT, async || {
        ensure!(
            proxy.process.log().contains(text),
            "{}",
            proxy.process.log()
        );
        Ok(())
    })
    .await
}

#[test]
fn a_changed_policy_is_in_force_soon_and_what_it_does_not_touch_stays() -> Result<()> {
    run(
        "a_changed_policy_is_in_force_soon_and_what_it_does_not_touch_stays",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let socket = || {
                Route::new(APP, &upstream.address())
                    .prefix("/socket")
                    .websockets()
            };
            let rest = || Route::new(APP, &upstream.address());
            let proxy = scene.serve(&[socket(), rest()]).await?;
            let url = scene.url(APP, "/")?;
            let mut alice = scene.user_agent();
            alice.sign_in(&url, ALICE).await?.1.expect(200)?;
            let mut channel = alice
                .upgrade(&scene.url(APP, "/socket")?, None)
                .await?
                .open()?;
            echoed(&mut channel).await?;

            scene.rewrite(&proxy, &[socket(), rest().only(MALLORY)])?;
            eventually("alice is refused", LIMIT, async || {
                alice.navigate(&url).await?.expect(403).map(drop)
            })
            .await?;
            echoed(&mut channel).await?;
            // The session is still valid.
            scene.rewrite(&proxy, &[socket(), rest()])?;
            proxy.process.hang_up()?;
            eventually("alice is back", LIMIT, async || {
                alice.navigate(&url).await?.expect(200).map(drop)
            })
            .await?;
            echoed(&mut channel).await
        },
    )
}

///
#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_is_logged() -> Result<()> {
    run(
        "a_file_that_cannot_be_used_changes_nothing_and_is_logged",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let proxy = scene.serve(&routes).await?;
            let url = scene.url(APP, "/")?;
            let mut alice = scene.user_agent();
            alice.sign_in(&url, ALICE).await?.1.expect(200)?;

            let file = scene.rewrite(&proxy, &routes)?;
            let good = std::fs::read_to_string(&file)?;
            std::fs::write(&file, good.replace("email:", "emial:"))?;
            logged(&proxy, "the previous one stays active").await?;
            logged(&proxy, "emial").await?;
            alice.navigate(&url).await?.expect(200)?;
            ensure!(!proxy.process.log().contains("was reloaded"));
            // A file that is missing for a moment has the same effect.
            std::fs::remove_file(&file)?;
            logged(&proxy, "there is no configuration").await?;
            alice.navigate(&url).await?.expect(200)?;
            scene.rewrite(
                &proxy,
                &[Route::new(APP, &upstream.address()).only(MALLORY)],
            )?;
            eventually("alice is refused", LIMIT, async || {
                alice.navigate(&url).await?.expect(403).map(drop)
            })
            .await
        },
    )
}

/// X-02, with the real module: every permitted request has an identity, and no request waits without need.
#[test]
fn requests_during_reloads_are_all_decided() -> Result<()> {
    run(
        "requests_during_reloads_are_all_decided",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let route = || Route::new(APP, &upstream.address()).key("pass_identity_headers: true");
            let proxy = scene.serve(&[route()]).await?;
            let url = scene.url(APP, "/")?;
            let mut alice = scene.user_agent();
            alice.sign_in(&url, ALICE).await?.1.expect(200)?;
            upstream.take();
            let mut stranger = scene.user_agent();
            let (mut passed, mut refused) = (0, 0);
            for round in 0..20 {
                let routes = if round % 2 == 0 {
                    [route().only(MALLORY)]
                } else {
                    [route()]
                };
                scene.rewrite(&proxy, &routes)?;
                proxy.process.hang_up()?;
                for _ in 0..10 {
                    let answer = alice.navigate(&url).await?;
                    match answer.status.as_u16() {
                        200 => passed += 1,
                        403 => refused += 1,
                        other => anyhow::bail!("{other}: {}", answer.text()),
                    }
                    stranger.fetch(&url).await?.expect(401)?;
                }
            }
            ensure!(passed > 0 && refused > 0, "{passed} {refused}");
            let seen = upstream.take();
            ensure!(seen.len() == passed, "{} of {passed}", seen.len());
            for request in seen {
                request.value("x-pomerium-jwt-assertion")?;
            }
            Ok(())
        },
    )
}

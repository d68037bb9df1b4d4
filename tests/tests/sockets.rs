//! Streams that stay open, websockets above all: events that end them within five seconds, and events that do not.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use jetway_tests::{
    ALICE, APP, BOB, Channel, Manner, OTHER, Proxy, Route, Scene, Told, Upstream, UserAgent,
    eventually, on_both_proxies, within,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

on_both_proxies!(
    a_sign_out_closes_the_websockets_of_that_session,
    a_refreshed_session_keeps_its_websocket_open,
    a_refused_refresh_closes_the_websocket,
    a_logout_token_closes_the_websockets,
    a_changed_policy_closes_the_websockets_of_its_route,
    the_end_of_a_session_closes_its_open_streams,
);

/// Time within which a stream ends that may not stay open.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// Lifetime of access tokens in scenarios with refreshes: the shortest time that is not rounded up.
const LIFE: u64 = 10;

async fn signed_in(scene: &Scene, url: &Url, account: &str) -> Result<UserAgent> {
    let mut client = scene.user_agent();
    client.sign_in(url, account).await?.1.expect(200)?;
    Ok(client)
}

async fn serve(scene: &Scene, upstream: &Upstream) -> Result<(Proxy, Url)> {
    let route = Route::new(APP, &upstream.address()).websockets();
    let proxy = scene.serve(&[route]).await?;
    Ok((proxy, scene.url(APP, "/")?))
}

async fn open(client: &UserAgent, url: &Url) -> Result<Channel> {
    let mut channel = client.upgrade(url, None).await?.open()?;
    echo(&mut channel).await?;
    Ok(channel)
}

/// Sends a message and receives it back.
async fn echo(channel: &mut Channel) -> Result<()> {
    within("the echo", Duration::from_secs(10), async {
        channel.send(Message::text("still here")).await?;
        let echo = channel.next().await.context("the websocket ended")??;
        ensure!(echo.is_text(), "{echo:?}");
        Ok(())
    })
    .await
}

/// Waits for the end of a websocket, in any form.
async fn closed(channel: &mut Channel, limit: Duration) -> Result<()> {
    within("the websocket is closed", limit, async {
        while let Some(Ok(message)) = channel.next().await {
            if message.is_close() {
                break;
            }
        }
        Ok(())
    })
    .await
}

async fn a_sign_out_closes_the_websockets_of_that_session(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, url) = serve(scene, &upstream).await?;
    let mut alice = signed_in(scene, &url, ALICE).await?;
    let bob = signed_in(scene, &url, BOB).await?;
    // Several connections, so that several workers have one.
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(open(&alice, &url).await?);
    }
    let mut other = open(&bob, &url).await?;
    let out = scene.url(APP, "/.pomerium/sign_out")?;
    alice.post_form(&out, &[]).await?.expect(303)?;
    for socket in &mut sockets {
        closed(socket, CLOSED_WITHIN).await?;
    }
    echo(&mut other).await
}

async fn a_refreshed_session_keeps_its_websocket_open(scene: &mut Scene) -> Result<()> {
    scene.provider.set(&json!({"access_token": LIFE})).await?;
    let upstream = Upstream::start("app").await?;
    let (_proxy, url) = serve(scene, &upstream).await?;
    let mut alice = signed_in(scene, &url, ALICE).await?;
    let mut socket = open(&alice, &url).await?;
    // Only the websocket causes these refreshes.
    eventually("two renewals", Duration::from_secs(4 * LIFE), async || {
        let count = scene.provider.count_grants("refresh_token").await?;
        ensure!(count >= 2, "{count}");
        Ok(())
    })
    .await?;
    echo(&mut socket).await?;
    alice.fetch(&url).await?.expect(200)?;
    let events = scene.provider.events().await?;
    let refused = |event: &serde_json::Value| event["event"] == "grant refused";
    ensure!(!events.iter().any(refused), "{events:?}");
    Ok(())
}

async fn a_refused_refresh_closes_the_websocket(scene: &mut Scene) -> Result<()> {
    scene.provider.set(&json!({"access_token": LIFE})).await?;
    let upstream = Upstream::start("app").await?;
    let (_proxy, url) = serve(scene, &upstream).await?;
    let alice = signed_in(scene, &url, ALICE).await?;
    let mut socket = open(&alice, &url).await?;
    scene.provider.end_sessions(ALICE, Told::Nothing).await?;
    closed(&mut socket, Duration::from_secs(LIFE) + CLOSED_WITHIN).await
}

/// Back-channel logout, of one session and of all sessions of a user.
async fn a_logout_token_closes_the_websockets(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, url) = serve(scene, &upstream).await?;
    let bob = signed_in(scene, &url, BOB).await?;
    let mut other = open(&bob, &url).await?;
    for told in [Told::BySession, Told::ByPerson] {
        let alice = signed_in(scene, &url, ALICE).await?;
        let mut socket = open(&alice, &url).await?;
        assert_eq!(scene.provider.end_sessions(ALICE, told).await?, 1);
        closed(&mut socket, CLOSED_WITHIN).await?;
    }
    echo(&mut other).await
}

/// C-33. An unchanged route keeps its open streams.
async fn a_changed_policy_closes_the_websockets_of_its_route(scene: &mut Scene) -> Result<()> {
    let (upstream, other) = (
        Upstream::start("app").await?,
        Upstream::start("other").await?,
    );
    let app = || Route::new(APP, &upstream.address()).websockets();
    let unchanged = Route::new(OTHER, &other.address()).websockets();
    let before = [app(), unchanged.clone()];
    let proxy = scene.serve_reloadable(&before).await?;
    let (url, beside) = (scene.url(APP, "/")?, scene.url(OTHER, "/")?);
    let mut alice = signed_in(scene, &url, ALICE).await?;
    let alice_beside = signed_in(scene, &beside, ALICE).await?;
    let mut socket = open(&alice, &url).await?;
    let mut kept = open(&alice_beside, &beside).await?;

    // The same file again is not a change.
    scene.reload(&proxy, &before)?;
    scene.reload(&proxy, &[app().only(BOB), unchanged])?;
    closed(&mut socket, START_AGAIN + CLOSED_WITHIN).await?;
    alice.fetch(&url).await?.expect(403)?;
    echo(&mut kept).await
}

/// Time for a proxy to use a changed file.
const START_AGAIN: Duration = Duration::from_secs(20);

/// W-04, at the shortest lifetime that a file may have. A download ends as well as a websocket.
async fn the_end_of_a_session_closes_its_open_streams(scene: &mut Scene) -> Result<()> {
    let lifetime = Duration::from_secs(60);
    scene.keys = "cookie_expire: 60s".to_owned();
    let (upstream, endless) = (
        Upstream::start("app").await?,
        Upstream::start("endless").await?,
    );
    let routes = [
        Route::new(APP, &endless.address())
            .prefix("/endless")
            .websockets(),
        Route::new(APP, &upstream.address()).websockets(),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = signed_in(scene, &url, ALICE).await?;
    let begun = Instant::now();
    let mut socket = open(&alice, &url).await?;
    endless.behave(Manner::Stalls);
    let download = async {
        // The time to wait for a response is much shorter than the session.
        eventually("half of the session is over", lifetime, async || {
            ensure!(begun.elapsed() > lifetime / 2);
            Ok(())
        })
        .await?;
        let ended = alice.fetch(&scene.url(APP, "/endless")?).await;
        ensure!(ended.is_err(), "the download looks complete");
        ensure!(begun.elapsed() > lifetime - CLOSED_WITHIN, "it ended early");
        Ok(())
    };
    let limit = lifetime + CLOSED_WITHIN;
    tokio::try_join!(
        closed(&mut socket, limit),
        within("the download is broken off", limit, download)
    )?;
    Ok(())
}

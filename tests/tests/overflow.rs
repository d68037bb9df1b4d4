//! More than an upstream gets at once.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jetway_tests::{APP, Manner, Route, Scene, Upstream, eventually, on_both_bodies};
use tokio::task::JoinSet;

on_both_bodies!(what_is_too_much_for_an_upstream_is_refused_and_others_are_served);

/// Connections to the upstreams of a route, and requests that wait for one.
const ROOM: usize = 1_024 + 1_024;
/// Requests on one connection, as many as both bodies allow.
const STREAMS: usize = 100;
/// Clients with an address of their own: the bundled host gives none of them more than 512 requests.
const CLIENTS: u8 = 6;
/// Connections of each.
const CONNECTIONS: usize = 4;

async fn what_is_too_much_for_an_upstream_is_refused_and_others_are_served(
    scene: &mut Scene,
) -> Result<()> {
    let silent = Upstream::start("silent").await?;
    silent.behave(Manner::IsSilent);
    let other = Upstream::start("other").await?;
    let busy = Route::new(APP, &silent.address())
        .prefix("/silent")
        .key("timeout: 0s")
        .key("idle_timeout: 0s")
        .public();
    let routes = [
        busy,
        Route::new(APP, &other.address()).prefix("/other").public(),
    ];
    let _proxy = scene.serve(&routes).await?;
    let (mut asked, mut connections) = (JoinSet::new(), JoinSet::new());
    for client in 0..CLIENTS {
        for _ in 0..CONNECTIONS {
            ask(scene, client, &mut asked, &mut connections).await?;
        }
    }
    // The silent upstream answers nothing, so that what is answered first was refused.
    let first = tokio::time::timeout(Duration::from_secs(40), asked.join_next()).await;
    let (status, body) = first
        .context("something is refused")?
        .context("requests were sent")???;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
    ensure!(body.contains("too many requests under way"), "{body}");
    let mut visitor = scene.visitor();
    let answer = visitor.fetch(&scene.url(APP, "/other")?).await?;
    answer
        .expect(200)
        .context("somebody who wants something else")?;
    // What ends makes room.
    drop((asked, connections));
    silent.behave(Manner::Answers);
    let url = scene.url(APP, "/silent")?;
    eventually("there is room again", Duration::from_secs(30), async || {
        visitor.fetch(&url).await?.expect(200)
    })
    .await?;
    Ok(())
}

/// Status and body of an answer.
type Answer = (StatusCode, String);

/// Sends requests over a connection of this client, as many as it carries.
async fn ask(
    scene: &Scene,
    client: u8,
    asked: &mut JoinSet<Result<Answer>>,
    connections: &mut JoinSet<()>,
) -> Result<()> {
    let url = scene.url(APP, "/silent")?;
    let dialer = scene
        .dialer
        .coming_from(Ipv4Addr::new(127, 0, 2, client + 1));
    let stream = TokioIo::new(dialer.open(&url, "h2").await?);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    connections.spawn(async move {
        let _ = connection.await;
    });
    for _ in 0..STREAMS {
        let mut sender = sender.clone();
        let request = Request::get(url.as_str()).body(Empty::<Bytes>::new())?;
        asked.spawn(async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        });
    }
    Ok(())
}

/// More is asked than there is room for.
const _: () = assert!(CLIENTS as usize * CONNECTIONS * STREAMS > ROOM);

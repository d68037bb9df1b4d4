//! More requests than the circuit breaker of a route allows.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jetway_tests::{APP, Manner, Route, Scene, Upstream, eventually, on_both_proxies};
use tokio::task::JoinSet;

on_both_proxies!(requests_beyond_the_limits_of_a_route_are_refused_and_other_routes_work);

/// Limit of active and pending requests of a route.
const LIMIT: usize = 1_024 + 1_024;
/// Concurrent requests per connection, the limit in both proxies.
const STREAMS: usize = 100;
/// Client addresses: the bundled host allows 512 requests for each.
const CLIENTS: u8 = 6;
/// Connections per client address.
const CONNECTIONS: usize = 4;

async fn requests_beyond_the_limits_of_a_route_are_refused_and_other_routes_work(
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
            send_requests(scene, client, &mut asked, &mut connections).await?;
        }
    }
    // The upstream never answers, so the first response is a refusal.
    let first = tokio::time::timeout(Duration::from_secs(40), asked.join_next()).await;
    let (status, body) = first
        .context("no request is refused")?
        .context("a request task failed")???;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
    ensure!(body.contains("too many requests right now"), "{body}");
    let mut user_agent = scene.user_agent();
    let answer = user_agent.fetch(&scene.url(APP, "/other")?).await?;
    answer
        .expect(200)
        .context("an innocent request to another route")?;
    // Requests that end free their connections.
    drop((asked, connections));
    silent.behave(Manner::Answers);
    let url = scene.url(APP, "/silent")?;
    eventually(
        "the route works again",
        Duration::from_secs(30),
        async || user_agent.fetch(&url).await?.expect(200),
    )
    .await?;
    Ok(())
}

/// Status and body of a response.
type Answer = (StatusCode, String);

/// Sends the maximum of concurrent requests over one connection of this client.
async fn send_requests(
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

/// The test sends more requests than the limits allow.
const _: () = assert!(CLIENTS as usize * CONNECTIONS * STREAMS > LIMIT);

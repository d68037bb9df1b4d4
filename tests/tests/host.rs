//! Behaviour that only the bundled host has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use jetway_tests::{
    ALICE, APP, Placement, ProxyKind, Route, Scene, ServiceManager, Upstream, UserAgent,
    eventually, run, within,
};
use tokio::task::JoinSet;
use url::Url;

/// Longer than any expected event takes.
const PATIENCE: Duration = Duration::from_secs(100);

#[test]
fn secrets_may_stand_in_the_file_or_beside_it() -> Result<()> {
    run(
        "secrets_may_stand_in_the_file_or_beside_it",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let url = scene.url(APP, "/")?;
            for placement in [Placement::Inline, Placement::Files] {
                scene.secrets.placement = placement;
                let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
                scene
                    .user_agent()
                    .sign_in(&url, ALICE)
                    .await?
                    .1
                    .expect(200)?;
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

/// 256 open files allow about 70 client connections.
#[test]
fn idle_connections_do_not_block_new_clients() -> Result<()> {
    run(
        "idle_connections_do_not_block_new_clients",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            scene.open_files = Some(256);
            let upstream = Upstream::start("app").await?;
            let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
            let url = scene.url(APP, "/")?;
            let mut idle = Vec::new();
            for client in 1..=250 {
                let dialer = scene.dialer.coming_from([127, 0, 3, client].into());
                idle.push(dialer.open(&url, "http/1.1").await?);
                if client % 125 == 0 {
                    scene
                        .user_agent()
                        .sign_in(&url, ALICE)
                        .await?
                        .1
                        .expect(200)?;
                }
            }
            let mut refused = 0;
            for _ in 0..200 {
                // Idle connections are not evicted for more connections of an address that has its share.
                match scene.dialer.open(&url, "http/1.1").await {
                    Ok(stream) => idle.push(stream),
                    Err(_) => refused += 1,
                }
            }
            assert!(refused > 0, "the share of one address is limited");
            let log = proxy.process.log();
            for told in [
                "open_files=256",
                "limit=\"idle_eviction\"",
                "limit=\"client_connection_share\"",
            ] {
                assert!(log.contains(told), "{told}: {log}");
            }
            let elsewhere = scene.dialer.coming_from([127, 0, 4, 1].into());
            let host = scene.authority(APP);
            elsewhere.get(&url, &host, "/.pomerium/").await?;
            Ok(())
        },
    )
}

#[test]
fn the_host_stops_on_a_signal() -> Result<()> {
    run(
        "the_host_stops_when_told",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let mut proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
            let url = scene.url(APP, "/")?;
            scene
                .user_agent()
                .sign_in(&url, ALICE)
                .await?
                .1
                .expect(200)?;
            proxy.process.terminate();
            let status = proxy.process.finish(Duration::from_secs(15)).await?;
            assert!(
                status.success(),
                "a stop that was asked for is no failure: {status}"
            );
            assert!(
                scene.user_agent().navigate(&url).await.is_err(),
                "nothing listens any more"
            );
            Ok(())
        },
    )
}

/// How often each client asks before the restart, and after it.
const ASKED: usize = 20;

#[test]
fn a_restart_on_a_kept_socket_loses_no_connection_and_no_request() -> Result<()> {
    run(
        "a_restart_on_a_kept_socket",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let manager = ServiceManager::listen(scene)?;
            let first = manager.start(scene, &routes).await?;
            let url = scene.url(APP, "/")?;
            let mut alice = scene.user_agent();
            alice.sign_in(&url, ALICE).await?.1.expect(200)?;

            // Clients that ask without a pause: with a new connection each time, and with one that is used again.
            let answered = Arc::new(AtomicUsize::new(0));
            let is_over = Arc::new(AtomicBool::new(false));
            let mut clients = JoinSet::new();
            for number in 0..4 {
                let mut client = Client {
                    agent: alice.clone(),
                    url: url.clone(),
                    kept: (number < 2).then_some(None),
                };
                let (answered, is_over) = (Arc::clone(&answered), Arc::clone(&is_over));
                clients.spawn(async move {
                    while !is_over.load(Ordering::Relaxed) {
                        client.ask().await?;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    anyhow::Ok(())
                });
            }
            let more = async || {
                let enough = answered.load(Ordering::Relaxed) + 4 * ASKED;
                eventually("requests are answered", PATIENCE, async || {
                    let now = answered.load(Ordering::Relaxed);
                    ensure!(now >= enough, "{now} of {enough}");
                    Ok(())
                })
                .await
            };
            more().await?;
            let stopping = manager.stop(first);
            within("the end of the first process", PATIENCE, stopping).await?;
            let second = manager.start(scene, &routes).await?;
            more().await?;
            is_over.store(true, Ordering::Relaxed);
            while let Some(client) = clients.join_next().await {
                client?.context("a client lost a connection or a request")?;
            }
            manager.wait_for("WATCHDOG=1").await?;
            second.hang_up()?;
            manager.wait_for("RELOADING=1").await?;
            let ready = manager.wait_for("READY=1").await?;
            ensure!(ready.contains("STATUS=serving configuration "), "{ready}");
            Ok(())
        },
    )
}

/// A signed-in client.
struct Client {
    agent: UserAgent,
    url: Url,
    /// The connection that is used again, if it is; the inner `None` opens one.
    kept: Option<Option<Kept>>,
}

type Kept = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

impl Client {
    /// Sends a request, and fails unless it is answered.
    async fn ask(&mut self) -> Result<()> {
        let Some(kept) = &mut self.kept else {
            return self.agent.fetch(&self.url).await?.expect(200).map(drop);
        };
        let mut sender = match kept.take() {
            Some(sender) => sender,
            None => connect(&self.agent, &self.url).await?,
        };
        let cookies = self
            .agent
            .cookies(&self.url)
            .context("alice is signed in")?;
        let request = http::Request::get("/")
            .header("host", self.url.authority())
            .header("cookie", cookies)
            .body(Full::default())?;
        let response = sender.send_request(request).await?;
        ensure!(response.status() == 200, "{response:?}");
        let is_last = response.headers().get("connection") == Some(&"close".parse()?);
        response.into_body().collect().await?;
        *kept = (!is_last).then_some(sender);
        Ok(())
    }
}

async fn connect(agent: &UserAgent, url: &Url) -> Result<Kept> {
    let stream = TokioIo::new(agent.dialer().open(url, "http/1.1").await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    sender.ready().await?;
    Ok(sender)
}

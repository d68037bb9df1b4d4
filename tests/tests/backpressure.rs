//! The memory that the proxy uses for a client that reads no responses.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use jetway_tests::{APP, Route, Scene, Upstream, eventually, on_both_proxies};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

on_both_proxies!(n_13_a_client_without_a_window_does_not_fill_the_memory);

/// Responses that are requested at once on one connection.
const STREAMS: usize = 40;
/// Bytes of each response that may be in transit: in the buffers of two kernels and of the proxy. With Envoy's own
/// defaults it is more than a mebibyte.
const EACH: u64 = 512 * 1024;
/// After this time all data that can be transferred has been.
const SETTLED: Duration = Duration::from_secs(30);

async fn n_13_a_client_without_a_window_does_not_fill_the_memory(scene: &mut Scene) -> Result<()> {
    let innocent = Upstream::start("innocent").await?;
    let endless = Endless::start().await?;
    let routes = [
        Route::new(APP, &endless.address)
            .prefix("/endless")
            .public(),
        Route::new(APP, &innocent.address()).public(),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/endless")?;
    let stream = scene.dialer.open(&url, "h2").await?;
    let (mut sender, connection) = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, Bytes>(stream)
        .await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..STREAMS {
        sender = sender.ready().await?;
        let request = http::Request::get(url.as_str()).body(())?;
        answers.push(sender.send_request(request, true)?.0);
    }
    // Heads need no window, so that all responses begin.
    let mut bodies = Vec::new();
    for answer in answers {
        let response = answer.await?;
        ensure!(response.status() == 200, "{response:?}");
        bodies.push(response.into_body());
    }
    let mut before = u64::MAX;
    let mut same = 0;
    let written = eventually("the responses have stopped", SETTLED, async || {
        let now = endless.written.load(Ordering::Relaxed);
        same = if now == before { same + 1 } else { 0 };
        before = now;
        ensure!(same > 20, "{now} bytes so far");
        Ok(now)
    })
    .await?;
    assert!(written > 0);
    assert!(
        written < EACH * STREAMS as u64,
        "{written} bytes are on their way to a client that reads nothing"
    );
    let mut user_agent = scene.user_agent();
    user_agent.fetch(&scene.url(APP, "/")?).await?.expect(200)?;
    drop(bodies);
    Ok(())
}

/// An upstream whose responses never end.
struct Endless {
    address: String,
    /// Bytes of bodies that it could write.
    written: Arc<AtomicU64>,
    _server: JoinSet<()>,
}

impl Endless {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let written = Arc::new(AtomicU64::new(0));
        let mut server = JoinSet::new();
        let counter = Arc::clone(&written);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                connections.spawn(async move {
                    // The proxy closes the connection when it ends.
                    let _ = pour(stream, &counter).await;
                });
            }
        });
        Ok(Self {
            address,
            written,
            _server: server,
        })
    }
}

async fn pour(mut stream: TcpStream, counter: &AtomicU64) -> Result<()> {
    // Bytes in this side's kernel do not count.
    SockRef::from(&stream).set_send_buffer_size(16 * 1024)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut head).await?;
        (read > 0).then_some(()).context("the proxy has gone")?;
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        .await?;
    let bytes = vec![b'x'; 16 * 1024];
    loop {
        let written = stream.write(&bytes).await?;
        counter.fetch_add(written as u64, Ordering::Relaxed);
    }
}

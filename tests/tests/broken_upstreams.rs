//! Upstreams that break off, or do not speak HTTP.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use jetway_tests::{APP, Route, Scene, Upstream, on_both_proxies};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

on_both_proxies!(
    upstreams_that_break_off_differ_from_those_that_speak_no_http,
    n_19_n_20_answers_without_one_meaning_are_no_answers,
);

async fn upstreams_that_break_off_differ_from_those_that_speak_no_http(
    scene: &mut Scene,
) -> Result<()> {
    let mut servers = JoinSet::new();
    let mut routes = Vec::new();
    let cases: [(&str, &[u8], u16); 2] = [
        ("/closes", b"", 503),
        ("/nonsense", b"220 mail.example.com ESMTP\r\n\r\n", 502),
    ];
    for (path, answer, _) in cases {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        servers.spawn(answer_and_close(listener, answer));
        routes.push(Route::new(APP, &address).prefix(path).public());
    }
    let _proxy = scene.serve(&routes).await?;
    let mut client = scene.user_agent();
    for (path, _, status) in cases {
        let answer = client.fetch(&scene.url(APP, path)?).await?;
        answer.expect(status).with_context(|| path.to_owned())?;
    }
    Ok(())
}

async fn n_19_n_20_answers_without_one_meaning_are_no_answers(scene: &mut Scene) -> Result<()> {
    let cases: [(&str, &[u8]); 9] = [
        (
            "/length-and-chunks",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "/chunks-and-length",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "/unknown-coding",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nhello",
        ),
        (
            "/two-equal-lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            "/two-lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ),
        (
            "/switches",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfree bytes",
        ),
        ("/switches-to-nothing", b"HTTP/1.1 101 Switching\r\n\r\n"),
        (
            "/status-1000",
            b"HTTP/1.1 1000 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            "/status-20",
            b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
    ];
    let innocent = Upstream::start("innocent").await?;
    let mut servers = JoinSet::new();
    let mut routes = Vec::new();
    for (path, answer) in cases {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        servers.spawn(answer_and_close(listener, answer));
        routes.push(Route::new(APP, &address).prefix(path).public());
    }
    routes.push(Route::new(APP, &innocent.address()).public());
    let _proxy = scene.serve(&routes).await?;
    let mut client = scene.user_agent();
    for (path, _) in cases {
        let answer = client.fetch(&scene.url(APP, path)?).await;
        let answer = answer.with_context(|| path.to_owned())?;
        let answer = answer.expect(502).with_context(|| path.to_owned())?;
        assert!(!answer.text().contains("hello"), "{path}");
        let other = client.fetch(&scene.url(APP, "/")?).await?;
        other.expect(200).with_context(|| format!("after {path}"))?;
    }
    Ok(())
}

/// Reads a request, which has no body, on each connection, sends these bytes and closes.
async fn answer_and_close(listener: TcpListener, answer: &'static [u8]) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n")
            && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0)
        {}
        // The proxy may have closed the connection.
        let _ = stream.write_all(answer).await;
    }
}

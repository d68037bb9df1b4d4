//! Upstreams that break off, or speak something else than HTTP.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use jetway_tests::{APP, Route, Scene, on_both_bodies};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

on_both_bodies!(upstreams_that_break_off_are_told_from_those_that_speak_no_http);

async fn upstreams_that_break_off_are_told_from_those_that_speak_no_http(
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
    let mut visitor = scene.visitor();
    for (path, _, status) in cases {
        let answer = visitor.fetch(&scene.url(APP, path)?).await?;
        answer.expect(status).with_context(|| path.to_owned())?;
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
        // A proxy that has gone needs no answer.
        let _ = stream.write_all(answer).await;
    }
}

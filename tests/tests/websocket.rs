//! Websockets: all messages arrive unchanged, in both directions at once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use jetway_tests::{ALICE, APP, Channel, MALLORY, Route, Scene, Upstream, on_both_proxies, within};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

on_both_proxies!(
    a_mebibyte_is_echoed_in_frames_of_many_sizes,
    a_closed_websocket_is_closed_on_both_sides,
    websockets_need_a_permit_and_a_route_that_allows_them,
    n_20_handshakes_without_a_key_or_with_a_body_are_refused,
);

/// Sizes around every border of the frame format (RFC 6455 section 5.2) and of common buffers.
const SIZES: [usize; 15] = [
    0, 1, 2, 124, 125, 126, 127, 1000, 4095, 4096, 16383, 16384, 65535, 65536, 65537,
];

/// Bytes that are sent each way.
const TOTAL: usize = 1 << 20;

async fn open(scene: &Scene, upstream: &Upstream) -> Result<(jetway_tests::Proxy, Channel)> {
    let proxy = scene
        .serve(&[Route::new(APP, &upstream.address()).websockets()])
        .await?;
    let url = scene.url(APP, "/socket?x=1")?;
    let mut alice = scene.user_agent();
    alice
        .sign_in(&scene.url(APP, "/")?, ALICE)
        .await?
        .1
        .expect(200)?;
    let channel = alice.upgrade(&url, None).await?.open()?;
    Ok((proxy, channel))
}

/// Messages of all sizes in turn, every fourth in three fragments, until the total is reached. Their bytes count up, so
/// that a lost, doubled or moved byte is detected.
fn messages() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut sent = 0;
    for size in SIZES.into_iter().cycle() {
        if sent >= TOTAL {
            return messages;
        }
        messages.push(
            (sent..sent + size)
                .map(|place| (place % 251) as u8)
                .collect(),
        );
        sent += size;
    }
    messages
}

fn frames(index: usize, message: &[u8]) -> Vec<Message> {
    if !index.is_multiple_of(4) {
        return vec![Message::binary(message.to_vec())];
    }
    let third = message.len() / 3;
    let pieces = [
        &message[..third],
        &message[third..2 * third],
        &message[2 * third..],
    ];
    let codes = [Data::Binary, Data::Continue, Data::Continue];
    pieces
        .into_iter()
        .zip(codes)
        .enumerate()
        .map(|(place, (piece, code))| {
            Message::Frame(Frame::message(
                piece.to_vec(),
                OpCode::Data(code),
                place == 2,
            ))
        })
        .collect()
}

async fn a_mebibyte_is_echoed_in_frames_of_many_sizes(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, channel) = open(scene, &upstream).await?;
    let messages = messages();
    let (mut sender, mut receiver) = channel.split();
    let send = async {
        for (index, message) in messages.iter().enumerate() {
            for frame in frames(index, message) {
                sender.send(frame).await?;
            }
        }
        anyhow::Ok(())
    };
    let receive = async {
        for (index, message) in messages.iter().enumerate() {
            let echo = receiver.next().await.context("the websocket ended")??;
            ensure!(
                echo.is_binary() && echo.into_data() == *message,
                "message {index} of {} bytes",
                message.len()
            );
        }
        anyhow::Ok(())
    };
    within("the echo", Duration::from_secs(60), async {
        tokio::try_join!(send, receive)
    })
    .await?;
    Ok(())
}

async fn a_closed_websocket_is_closed_on_both_sides(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut channel) = open(scene, &upstream).await?;
    channel.send(Message::text("before the end")).await?;
    let echo = channel.next().await.context("the websocket ended")??;
    assert_eq!(echo.into_text()?.as_str(), "before the end");
    channel.close(None).await?;
    let rest = within("the end", Duration::from_secs(10), async {
        Ok(channel.next().await)
    })
    .await?;
    assert!(
        matches!(rest, Some(Ok(Message::Close(_)))),
        "the upstream answers the close: {rest:?}"
    );
    let end = within("the end", Duration::from_secs(10), async {
        Ok(channel.next().await)
    })
    .await?;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    Ok(())
}

async fn websockets_need_a_permit_and_a_route_that_allows_them(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let routes = [
        Route::new(APP, &upstream.address())
            .prefix("/ws")
            .websockets(),
        Route::new(APP, &upstream.address()),
    ];
    let _proxy = scene.serve(&routes).await?;
    let mut alice = scene.user_agent();
    alice
        .sign_in(&scene.url(APP, "/")?, ALICE)
        .await?
        .1
        .expect(200)?;
    let mut mallory = scene.user_agent();
    mallory
        .sign_in(&scene.url(APP, "/")?, MALLORY)
        .await?
        .1
        .expect(403)?;
    upstream.take();

    alice.upgrade(&scene.url(APP, "/ws")?, None).await?.open()?;
    assert_eq!(upstream.take().len(), 1);
    let elsewhere = alice
        .upgrade(&scene.url(APP, "/other")?, None)
        .await?
        .refused()?;
    assert_eq!(elsewhere.status, 403, "this route has no websockets");
    let refused = mallory
        .upgrade(&scene.url(APP, "/ws")?, None)
        .await?
        .refused()?;
    assert_eq!(refused.status, 403, "the policy is the same for websockets");
    assert!(upstream.take().is_empty());
    Ok(())
}

async fn n_20_handshakes_without_a_key_or_with_a_body_are_refused(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene
        .serve(&[Route::new(APP, &upstream.address()).websockets()])
        .await?;
    let url = scene.url(APP, "/socket")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    upstream.take();
    let host = scene.authority(APP);
    let cookies = alice.cookies(&url).context("alice has a session")?;
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (what, more, body) in [
        ("no key", "", ""),
        ("two keys", &*KEY.repeat(2), ""),
        (
            "chunks",
            &format!("{KEY}Transfer-Encoding: chunked\r\n"),
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        ("a length", &format!("{KEY}Content-Length: 5\r\n"), "hello"),
    ] {
        let head = format!(
            "GET /socket HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n{more}\r\n{body}"
        );
        let answer = alice.dialer().raw(&url, head.as_bytes()).await?;
        let answer = answer.with_context(|| format!("no answer to {what}"))?;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(upstream.take().is_empty(), "{what} reached the upstream");
        let mut channel = alice.upgrade(&url, None).await?.open()?;
        channel.close(None).await?;
        upstream.take();
    }
    Ok(())
}

//! WebSocket handshakes that are incomplete or come from another site.

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{APP, Scene};

use crate::attacked::Attacked;

/// The lines of a complete handshake for a websocket.
const GET: &str = "GET /socket HTTP/1.1";

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade";

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

const VERSION: &str = "Sec-WebSocket-Version: 13";

pub(crate) async fn w_02_w_05_w_07_handshakes_that_open_nothing(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    let own = attacked
        .innocent
        .cookies(&attacked.url)
        .context("the innocent user has cookies")?;
    let (host, origin) = (
        scene.authority(APP),
        attacked.url.origin().ascii_serialization(),
    );
    let handshake = |line: &str, more: &str| {
        format!("{line}\r\nHost: {host}\r\nCookie: {own}\r\n{more}\r\n\r\n")
    };
    let complete = |more: &str| format!("{UPGRADE}\r\n{KEY}\r\n{VERSION}\r\n{more}");
    let two_origins = format!("Origin: {origin}\r\nOrigin: https://evil.example.com");
    let in_subprotocol =
        format!("Origin: {origin}\r\nSec-WebSocket-Protocol: bearer, eyJhbGciOiJub25lIn0.e30.");
    for (what, bytes) in [
        (
            "a sibling's origin",
            handshake(GET, &complete(&format!("Origin: https://{host}.evil"))),
        ),
        (
            "plain http",
            handshake(GET, &complete(&format!("Origin: http://{host}"))),
        ),
        ("two origins", handshake(GET, &complete(&two_origins))),
        (
            "HTTP/1.0",
            handshake(
                "GET /socket HTTP/1.0",
                &complete(&format!("Origin: {origin}")),
            ),
        ),
        (
            "another protocol",
            handshake(
                GET,
                &format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{KEY}\r\n{VERSION}"),
            ),
        ),
        (
            "two upgrades",
            handshake(
                GET,
                &format!("{UPGRADE}\r\nUpgrade: h2c\r\n{KEY}\r\n{VERSION}"),
            ),
        ),
        (
            "a token as subprotocol",
            format!(
                "{GET}\r\nHost: {host}\r\n{}\r\n\r\n",
                complete(&in_subprotocol)
            ),
        ),
    ] {
        let answer = scene.dialer.raw(&attacked.url, bytes.as_bytes()).await?;
        let opened = answer
            .as_ref()
            .is_some_and(|answer| answer.status.as_u16() == 101);
        ensure!(!opened, "{what}: the websocket was opened");
        // A request that is no upgrade may be an ordinary one, which this user may make.
        attacked.upstream.take();
        attacked.still_serves(what).await?;
    }
    let form = handshake(
        "POST /socket HTTP/1.1",
        &complete(&format!("Origin: {origin}\r\nContent-Length: 0")),
    );
    let answer = scene.dialer.raw(&attacked.url, form.as_bytes()).await?;
    ensure!(
        answer.is_none_or(|answer| answer.status.as_u16() != 101),
        "POST opened a websocket"
    );
    attacked.upstream.take();
    attacked.still_serves("POST").await
}

pub(crate) async fn w_05_incomplete_handshakes_are_refused(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    let own = attacked
        .innocent
        .cookies(&attacked.url)
        .context("the innocent user has cookies")?;
    let (host, origin) = (
        scene.authority(APP),
        attacked.url.origin().ascii_serialization(),
    );
    for (what, more, status) in [
        (
            "version 8",
            format!("{KEY}\r\nSec-WebSocket-Version: 8"),
            426,
        ),
        ("no version", KEY.to_owned(), 426),
        (
            "two versions",
            format!("{KEY}\r\n{VERSION}\r\n{VERSION}"),
            426,
        ),
        (
            "a short key",
            format!("Sec-WebSocket-Key: c2hvcnQ=\r\n{VERSION}"),
            400,
        ),
    ] {
        let bytes = format!(
            "{GET}\r\nHost: {host}\r\nCookie: {own}\r\n{UPGRADE}\r\n{more}\r\nOrigin: {origin}\r\n\r\n"
        );
        let answer = scene.dialer.raw(&attacked.url, bytes.as_bytes()).await?;
        let found = answer.context("an answer")?.status.as_u16();
        ensure!(found == status, "{what}: {found} instead of {status}");
        ensure!(attacked.upstream.take().is_empty(), "{what}: forwarded");
        attacked.still_serves(what).await?;
    }
    Ok(())
}

//! The opening handshake (RFC 6455 section 4), from both ends.

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// One key for all: the benchmark needs no protection against caches.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Opens a WebSocket of `host` at `/`.
pub(crate) async fn open(
    stream: &mut BufStream<TcpStream>,
    host: &str,
    cookie: &str,
) -> anyhow::Result<()> {
    let head = format!(
        "GET / HTTP/1.1\r\nhost: {host}\r\norigin: https://{host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\ncookie: {cookie}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let head = read_head(stream).await?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(
        status.contains(" 101 "),
        "the handshake was answered with `{status}`"
    );
    let accepted = field(&head, "sec-websocket-accept");
    ensure!(
        accepted == Some(&accept(KEY)),
        "the answer belongs to another handshake"
    );
    Ok(())
}

/// Answers a client's handshake.
pub(crate) async fn answer(stream: &mut BufStream<TcpStream>) -> anyhow::Result<()> {
    let head = read_head(stream).await?;
    let key = field(&head, "sec-websocket-key").context("the request has no handshake key")?;
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {}\r\n\r\n",
        accept(key)
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    Ok(())
}

async fn read_head(stream: &mut BufStream<TcpStream>) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD_BYTES {
            bail!("the head is longer than {MAX_HEAD_BYTES} bytes");
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head)?)
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn accept(key: &str) -> String {
    let algorithm = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
    STANDARD.encode(ring::digest::digest(
        algorithm,
        format!("{key}{GUID}").as_bytes(),
    ))
}

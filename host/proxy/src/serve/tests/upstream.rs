//! An upstream that does what the path of a request says.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::within;

/// The key and the response of RFC 6455, 1.3.
pub(super) const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nset-cookie: a=b\r\n\r\n";

/// An upstream that does what the path says, and otherwise responds with the head that it received.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
    ends: mpsc::UnboundedReceiver<String>,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (request, requests) = mpsc::unbounded_channel();
        let (end, ends) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, request.clone(), end.clone()));
            }
        });
        Self {
            address,
            requests,
            ends,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes the paths of the requests that have arrived.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }

    /// Waits for the next event: the path of a request, or the bytes that a WebSocket received, as hexadecimal digits.
    pub(super) async fn next(&mut self) -> String {
        within("something comes to the upstream", self.requests.recv())
            .await
            .unwrap()
    }

    /// Waits until the proxy has closed a connection with an unfinished response to this path.
    pub(super) async fn closed(&mut self, path: &str) {
        let ended = within("the upstream's connection ends", self.ends.recv()).await;
        assert_eq!(ended.unwrap(), path);
    }
}

async fn serve(
    mut stream: TcpStream,
    requests: mpsc::UnboundedSender<String>,
    ends: mpsc::UnboundedSender<String>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let _ = requests.send(path.clone());
        match path.as_str() {
            "/silent" => until_closed(&mut stream).await,
            "/closed" => {}
            "/nonsense" => {
                let _ = stream.write_all(b"nonsense\r\n\r\n").await;
            }
            "/head" => {
                let part = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
                let _ = stream.write_all(part).await;
                until_closed(&mut stream).await;
            }
            "/flood" => {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
                    .await;
                while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
            }
            "/body" => {
                let Some(body) = read_body(&mut stream, &head).await else {
                    break;
                };
                let told = [head.as_bytes(), &body].concat();
                let length = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", told.len());
                let answer = [length.as_bytes(), &told].concat();
                if stream.write_all(&answer).await.is_ok() {
                    continue;
                }
            }
            "/websocket/silent" => {
                let _ = stream.write_all(SWITCHING).await;
                let mut told = Vec::new();
                let _ = stream.read_to_end(&mut told).await;
                let _ = requests.send(hex(&told));
            }
            "/websocket" => echo(&mut stream, SWITCHING).await,
            "/websocket/cockpit" => {
                let lines = b"\r\nsec-websocket-protocol: cockpit1\r\n\r\n";
                let head = SWITCHING.strip_suffix(b"\r\n\r\n").unwrap();
                echo(&mut stream, &[head, lines].concat()).await;
            }
            _ => {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}",
                    head.len()
                );
                if stream.write_all(answer.as_bytes()).await.is_ok() {
                    continue;
                }
            }
        }
        let _ = ends.send(path);
        return;
    }
}

/// Opens a WebSocket and sends back what it receives.
async fn echo(stream: &mut TcpStream, head: &[u8]) {
    let _ = stream.write_all(head).await;
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Returns bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a body by its length, or its chunks as they are.
async fn read_body(stream: &mut TcpStream, head: &str) -> Option<Vec<u8>> {
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length {
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.ok()?;
        return Some(body);
    }
    let mut body = Vec::new();
    while !body.ends_with(b"0\r\n\r\n") {
        body.push(stream.read_u8().await.ok()?);
    }
    Some(body)
}

async fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

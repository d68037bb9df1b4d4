//! One request to a server, and its response.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use jetway_proxy::limits;
use jetway_proxy::upstream::{ConnectFault, Connector};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout, timeout_at};

/// How long each request may take, from the name look-up to the end of the response. Users do not wait longer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a server may take for its first message after it has switched protocols: Cockpit sends it immediately.
const FIRST_WORDS: Duration = Duration::from_secs(2);
/// Most bytes of that message that are read; Cockpit's fits into a hundred.
const MAX_FIRST_WORDS: usize = 512;

/// A server's response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The reason phrase, in which Cockpit reports its reasons.
    pub(super) reason: String,
    pub(super) headers: HeaderMap,
    /// The beginning of the body, or the first message after a switch of protocols.
    pub(super) body: Bytes,
}

impl Answer {
    /// Returns a header, if it is UTF-8.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body as a string, with replacement characters for invalid UTF-8.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the target of a redirect.
    pub(super) fn location(&self) -> Option<&str> {
        self.status
            .is_redirection()
            .then(|| self.header("location"))?
    }

    /// Returns status and reason, such as `401 Authentication failed`.
    pub(super) fn outcome(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.reason)
            .trim_end()
            .to_owned()
    }
}

/// The reason why there is no response; displays with its causes in one line.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    /// The connection cannot be established.
    #[error("{}", join_causes(.0))]
    Connect(#[from] ConnectFault),
    /// The connection was closed, or the response is not HTTP.
    #[error("no usable response: {}", join_causes(.0))]
    Broken(#[from] hyper::Error),
    /// This machine has no certificate authorities, or the address is invalid.
    #[error("cannot prepare a connection: check that this machine has certificate authorities")]
    Unprepared,
    /// The response took too long.
    #[error("no response within {} seconds", PATIENCE.as_secs())]
    Slow,
}

/// Renders an error and its causes in one line.
fn join_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let messages: Vec<String> = causes.map(ToString::to_string).collect();
    messages.join(": ")
}

/// Sends a request, and reads at most `limit` bytes of the response's body.
pub(super) async fn ask(
    connector: &Connector,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, ProbeError> {
    let end = Instant::now() + PATIENCE;
    timeout_at(end, ask_unhurried(connector, request, limit))
        .await
        .map_err(|_| ProbeError::Slow)?
}

async fn ask_unhurried(
    connector: &Connector,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, ProbeError> {
    let transport = connector.connect().await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(limits::RESPONSE_HEAD_BYTES)
        .handshake(TokioIo::new(transport))
        .await?;
    let connection = tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await?;
    let status = response.status();
    let reason = match response.extensions().get::<ReasonPhrase>() {
        Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    };
    let headers = response.headers().clone();
    let body = if status == StatusCode::SWITCHING_PROTOCOLS {
        read_first_message(response).await
    } else {
        read_beginning(response.into_body(), limit).await?
    };
    connection.abort();
    Ok(Answer {
        status,
        reason,
        headers,
        body,
    })
}

/// Reads the beginning of a body; the rest is not requested.
async fn read_beginning(mut body: Incoming, limit: usize) -> Result<Bytes, ProbeError> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = limit.saturating_sub(read.len());
            read.extend(data.iter().take(room));
            if data.len() >= room {
                break;
            }
        }
    }
    Ok(read.into())
}

/// Reads the first message of a server; empty if it sends none in time.
async fn read_first_message(response: http::Response<Incoming>) -> Bytes {
    let Ok(upgraded) = hyper::upgrade::on(response).await else {
        return Bytes::new();
    };
    let mut stream = TokioIo::new(upgraded);
    let mut words = vec![0; MAX_FIRST_WORDS];
    match timeout(FIRST_WORDS, stream.read(&mut words)).await {
        Ok(Ok(length)) => {
            words.truncate(length);
            words.into()
        }
        _ => Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetway_core::config::Origin;
    use jetway_proxy::tls::{Roots, Trust};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    async fn answered(bytes: &'static [u8], limit: usize) -> Result<Answer, ProbeError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Origin {
            tls: false,
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        let connector = Connector::new(&origin, &Trust::System, &Roots::default()).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let _ = stream.write_all(bytes).await;
        };
        let request = Request::get("/")
            .header("host", "a.test")
            .body(Full::default())
            .unwrap();
        tokio::join!(server, ask(&connector, request, limit)).1
    }

    #[tokio::test]
    async fn the_reason_is_kept_and_long_bodies_are_cut() {
        let answer = answered(
            b"HTTP/1.1 401 Authentication disabled\r\ncontent-length: 9\r\n\r\n123456789",
            4,
        )
        .await
        .unwrap();
        assert_eq!(answer.outcome(), "401 Authentication disabled");
        assert_eq!(answer.text(), "1234");
    }

    #[tokio::test]
    async fn a_response_that_is_not_http_is_an_error() {
        assert!(matches!(
            answered(b"220 mail.test ESMTP\r\n", 4).await,
            Err(ProbeError::Broken(_))
        ));
    }

    #[tokio::test]
    async fn the_first_message_is_read() {
        let answer = answered(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n\x81\x02hi",
            4,
        )
        .await;
        assert!(answer.unwrap().text().ends_with("hi"));
    }
}

//! Websockets through the proxy (RFC 6455).

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::{COOKIE, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use crate::{Response, Stream, UserAgent};

/// A websocket.
pub type Channel = WebSocketStream<Box<dyn Stream>>;

/// The response to a websocket handshake.
pub enum Upgrade {
    /// `101 Switching Protocols`.
    Open(Box<Channel>),
    /// Any other response.
    Refused(Response),
}

impl Upgrade {
    /// Returns the websocket.
    ///
    /// # Errors
    /// Returns an error with the response when it was refused.
    pub fn open(self) -> Result<Channel> {
        match self {
            Self::Open(channel) => Ok(*channel),
            Self::Refused(response) => {
                anyhow::bail!(
                    "the websocket was refused: {} {}",
                    response.status,
                    response.text()
                )
            }
        }
    }

    /// Returns the refusal.
    ///
    /// # Errors
    /// Returns an error when the websocket is open.
    pub fn refused(self) -> Result<Response> {
        match self {
            Self::Open(_) => anyhow::bail!("the websocket was opened"),
            Self::Refused(response) => Ok(response),
        }
    }
}

impl UserAgent {
    /// Opens a websocket as a page does with `new WebSocket(url, protocol)`; `url` has the scheme `https`.
    ///
    /// # Errors
    /// Returns an error when there is no response.
    pub async fn upgrade(&self, url: &Url, protocol: Option<&'static str>) -> Result<Upgrade> {
        let address = url.as_str().replacen("http", "ws", 1);
        let mut request = address.into_client_request()?;
        let headers = request.headers_mut();
        headers.insert(ORIGIN, url.origin().ascii_serialization().parse()?);
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        if let Some(cookies) = self.cookies(url) {
            headers.insert(COOKIE, cookies.parse()?);
        }
        let stream = self.dialer().open(url, "http/1.1").await?;
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((channel, _)) => Ok(Upgrade::Open(Box::new(channel))),
            Err(Error::Http(response)) => {
                let (head, body) = response.into_parts();
                let body = Bytes::from(body.unwrap_or_default());
                Ok(Upgrade::Refused(Response {
                    status: head.status,
                    headers: head.headers,
                    body,
                }))
            }
            Err(error) => Err(error).with_context(|| format!("websocket handshake with `{url}`")),
        }
    }
}

/// Sends one text message.
///
/// # Errors
/// Returns an error when the websocket is closed.
pub(crate) async fn send_text(channel: &mut Channel, text: String) -> Result<()> {
    channel
        .send(Message::text(text))
        .await
        .context("the websocket does not take a message")
}

/// Returns the next text or binary message.
///
/// # Errors
/// Returns an error when the websocket is closed.
pub(crate) async fn next_payload(channel: &mut Channel) -> Result<Bytes> {
    loop {
        match channel.next().await.context("the websocket ended")?? {
            Message::Text(text) => return Ok(Bytes::from(text)),
            Message::Binary(bytes) => return Ok(bytes),
            Message::Close(frame) => anyhow::bail!("the websocket was closed: {frame:?}"),
            _ => {}
        }
    }
}

//! Checks in advance whether the upstream is a Cockpit that will accept the public address.
//!
//! Cockpit compares the `Origin` of a websocket handshake with its configuration, and refuses it with 403 after the
//! login has succeeded: the user sees "Connection failed" and no cause. The handshake needs no login, so the probe gets
//! the same answer.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use jetway_proxy::tls::{Roots, Trust};
use jetway_proxy::transport::Transport;
use jetway_proxy::upstream::Connector;
use tokio::time::timeout;

use crate::route::Upstream;

/// Timeout of each request. The upstream is on this machine or near it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of the response to `/ping` that are read; Cockpit's has 24.
const MAX_PING: usize = 4096;
/// Any 16 bytes in base64 (RFC 6455 section 4.1): the probe reads nothing from the websocket.
const WEBSOCKET_KEY: &str = "amV0d2F5LWRlbW8tcGluZw==";

/// The kind of upstream that the probe has found.
#[derive(Debug)]
pub(crate) enum Finding {
    /// Cockpit accepts websockets from the public address.
    Ready,
    /// Cockpit refuses websockets from the public address.
    RefusesOrigin,
    /// The upstream is not Cockpit, or a Cockpit that refuses websockets for another reason.
    Unknown(String),
    /// There is no response.
    Silent(anyhow::Error),
}

/// Probes whether `upstream` is ready for users at `application`, such as `https://cockpit.localhost:8443`.
pub(crate) fn probe(upstream: &Upstream, application: &str) -> Finding {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return Finding::Silent(error.into()),
    };
    runtime.block_on(find(upstream, application))
}

async fn find(upstream: &Upstream, application: &str) -> Finding {
    match patiently(is_cockpit(upstream)).await {
        Ok(true) => {}
        Ok(false) => {
            return Finding::Unknown(
                "it is not Cockpit: it has no Cockpit answer at `/ping`".to_owned(),
            );
        }
        Err(error) => return Finding::Silent(error),
    }
    match patiently(handshake(upstream, application)).await {
        Ok(StatusCode::SWITCHING_PROTOCOLS) => Finding::Ready,
        Ok(StatusCode::FORBIDDEN) => Finding::RefusesOrigin,
        Ok(status) => Finding::Unknown(format!(
            "Cockpit answers a websocket handshake with {}",
            status.as_u16()
        )),
        Err(error) => Finding::Unknown(format!(
            "Cockpit does not answer a websocket handshake: {error:#}"
        )),
    }
}

async fn patiently<T>(question: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(PATIENCE, question)
        .await
        .context("no answer in time")?
}

async fn is_cockpit(upstream: &Upstream) -> anyhow::Result<bool> {
    let request = Request::get("/ping")
        .header(header::HOST, upstream.origin().authority())
        .body(Empty::new())?;
    let (status, body) = ask(upstream, request).await?;
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(status == StatusCode::OK && answer["service"] == "cockpit")
}

/// Returns the status that a browser at `application` would get through the proxy.
async fn handshake(upstream: &Upstream, application: &str) -> anyhow::Result<StatusCode> {
    let public_host = application.strip_prefix("https://").unwrap_or(application);
    let host = if upstream.sees_public_host() {
        public_host.to_owned()
    } else {
        upstream.origin().authority()
    };
    let request = Request::get("/cockpit/socket")
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, WEBSOCKET_KEY)
        .header(header::SEC_WEBSOCKET_PROTOCOL, "cockpit1")
        .header(header::ORIGIN, application)
        .header("x-forwarded-proto", "https")
        .body(Empty::new())?;
    Ok(ask(upstream, request).await?.0)
}

async fn ask(
    upstream: &Upstream,
    request: Request<Empty<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let transport = connect(upstream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(transport)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = if status == StatusCode::SWITCHING_PROTOCOLS {
        Bytes::new()
    } else {
        match Limited::new(answer.into_body(), MAX_PING).collect().await {
            Ok(body) => body.to_bytes(),
            // Cockpit's response is short.
            Err(_) => Bytes::new(),
        }
    };
    connection.abort();
    Ok((status, body))
}

async fn connect(upstream: &Upstream) -> anyhow::Result<Transport> {
    let trust = if upstream.is_trusted_blindly() {
        Trust::Anyone
    } else {
        Trust::System
    };
    let connector = Connector::new(upstream.origin(), &trust, &Roots::default())?;
    Ok(connector.connect().await?)
}

//! HTTP calls that a plugin makes through the proxy.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};

/// A call in progress. It is polled as a local task of its own and dropped with the instance that made it.
pub type CallFuture = Pin<Box<dyn Future<Output = CallReply>>>;

/// Performs a plugin's HTTP calls. The proxy implements it.
pub trait HttpCalls {
    /// Prepares a call to the upstream of that name, or returns `None` when there is no such upstream.
    ///
    /// The plugin runs during this method: it must not call the [`Plugin`](crate::Plugin) and should only build the
    /// future. The request's URI is in origin form (`/path?query`), its `host` field is the `:authority` that the
    /// plugin gave, and the implementation sets `content-length`. The implementation bounds the body of the reply,
    /// enforces the timeout and turns every failure into a reply as Envoy does: [`CallReply::unreachable`],
    /// [`CallReply::timed_out`].
    fn send(
        &self,
        upstream: &str,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Option<CallFuture>;
}

/// Refuses every call, as there are no upstreams.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCalls;

impl HttpCalls for NoCalls {
    fn send(&self, _: &str, _: Request<Bytes>, _: Duration) -> Option<CallFuture> {
        None
    }
}

/// The complete reply to a call.
#[derive(Debug)]
pub struct CallReply {
    /// Status code.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Complete body.
    pub body: Bytes,
}

impl CallReply {
    /// Returns the reply for an upstream that cannot be reached or that breaks off: 503, as in Envoy.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::synthetic(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream connect error or disconnect/reset before headers",
        )
    }

    /// Returns the reply for a call that was not answered completely in time: 504, as in Envoy.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::synthetic(StatusCode::GATEWAY_TIMEOUT, "upstream request timeout")
    }

    fn synthetic(status: StatusCode, reason: &'static str) -> Self {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("text/plain"),
        );
        Self {
            status,
            headers,
            body: Bytes::from_static(reason.as_bytes()),
        }
    }
}

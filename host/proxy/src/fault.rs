//! The reasons why the proxy itself refuses or cannot complete a request: one table of statuses and messages.

use http::StatusCode;
use jetway_core::http::upstream_failure::UpstreamFailure;

/// The reason why the proxy itself refuses or cannot complete a request. The plugin has its own refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request has a version other than HTTP/1.1 and HTTP/2.
    OldVersion,
    /// The method is never forwarded.
    Method,
    /// The request is ambiguous or invalid; the message says why.
    Malformed(&'static str),
    /// The WebSocket version is not 13.
    WebsocketVersion,
    /// The request opens a WebSocket on a route without `allow_websockets`.
    WebsocketForbidden,
    /// The request asks for another protocol than WebSocket on its connection.
    OtherUpgrade,
    /// The body is too large to be buffered for the plugin.
    TooLarge,
    /// The client stopped sending its request.
    SlowClient,
    /// The client aborted its request.
    BrokenClient,
    /// The plugin could not decide.
    Undecided,
    /// The plugin permitted the request without naming a route that exists.
    NoRoute,
    /// A limit on the route's upstream requests or connections is exceeded.
    Overloaded,
    /// The upstream cannot be reached.
    Unreachable,
    /// The upstream closed the connection before its response began.
    BrokenUpstream,
    /// The upstream sent something that is not HTTP.
    BadAnswer,
    /// The upstream accepted an upgrade that was not requested, or accepted it incorrectly.
    BadUpgrade,
    /// Connecting to the upstream took too long.
    SlowConnect,
    /// The upstream did not begin its response in time.
    SlowUpstream,
}

impl Fault {
    /// Returns the status of the response.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::OldVersion | Self::WebsocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Malformed(_) | Self::BrokenClient => StatusCode::BAD_REQUEST,
            Self::WebsocketForbidden | Self::OtherUpgrade => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowClient => StatusCode::REQUEST_TIMEOUT,
            // As in Envoy: 503 without a connection or when it broke before a response; 504 only after a connection was made.
            // The proxy cannot tell the first two apart, because under TLS 1.3 a server that refuses a client certificate
            // closes the connection after the handshake (RFC 8446, 4.4.2.4).
            Self::Undecided
            | Self::NoRoute
            | Self::Overloaded
            | Self::Unreachable
            | Self::BrokenUpstream
            | Self::SlowConnect => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadAnswer | Self::BadUpgrade => StatusCode::BAD_GATEWAY,
            Self::SlowUpstream => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Returns the failure of something other than the request, if that is the cause.
    pub(crate) const fn upstream_failure(self) -> Option<UpstreamFailure> {
        match self {
            Self::Unreachable | Self::BrokenUpstream | Self::SlowConnect => {
                Some(UpstreamFailure::Unreachable)
            }
            Self::BadAnswer | Self::BadUpgrade => Some(UpstreamFailure::BadAnswer),
            Self::Overloaded => Some(UpstreamFailure::Overloaded),
            Self::SlowUpstream => Some(UpstreamFailure::TooSlow),
            Self::Undecided | Self::NoRoute => Some(UpstreamFailure::Undecided),
            _ => None,
        }
    }

    /// Returns the message for the user; nothing in it comes from the request or the upstream.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::OldVersion => "HTTP/1.1 or HTTP/2 is required",
            Self::Method => "this method is not allowed",
            Self::Malformed(message) => message,
            Self::WebsocketVersion => "version 13 of the WebSocket protocol is required",
            Self::WebsocketForbidden => "WebSockets are not allowed on this route",
            Self::OtherUpgrade => "the protocol that the Upgrade header names is not supported",
            Self::TooLarge => "the request is too large",
            Self::SlowClient => "the request did not arrive in time",
            Self::BrokenClient => "the request is incomplete",
            Self::Undecided => "access cannot be decided, try again in a moment",
            Self::NoRoute => "the proxy has no route to the application, see its log",
            Self::Overloaded => "the application has too many requests right now",
            Self::Unreachable => "the application cannot be reached",
            Self::BrokenUpstream => "the application closed the connection before it answered",
            Self::BadAnswer | Self::BadUpgrade => "the application sent an invalid response",
            Self::SlowConnect | Self::SlowUpstream => "the application did not respond in time",
        }
    }

    /// Returns whether the connection has to be closed, because the next request on it could be read incorrectly.
    pub(crate) fn is_closing(self) -> bool {
        matches!(
            self,
            Self::OldVersion
                | Self::Malformed(_)
                | Self::TooLarge
                | Self::SlowClient
                | Self::BrokenClient
        )
    }
}

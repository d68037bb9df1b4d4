//! The proxy's own error answers: one table, one page.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jetway_core::http::page::{Page, Theme};
use jetway_core::http::upstream_failure::UpstreamFailure;

/// Why the proxy itself refuses or cannot complete a request. What the plugin refuses is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// HTTP/1.0 or older.
    OldVersion,
    /// A method that is never forwarded.
    Method,
    /// Something about the request that is ambiguous or invalid; the text says what.
    Malformed(&'static str),
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// A websocket version other than 13.
    WebsocketVersion,
    /// A websocket on a route without `allow_websockets`.
    WebsocketForbidden,
    /// The plugin wants to see the body, which is too large for that.
    TooLarge,
    /// The client stopped sending its request.
    SlowClient,
    /// The client broke off its request.
    BrokenClient,
    /// The plugin could not decide.
    Undecided,
    /// The plugin permitted the request without naming a route that exists.
    NoRoute,
    /// A limit on the route's upstream requests or connections is exceeded.
    Overloaded,
    /// There is no connection to the upstream.
    Unreachable,
    /// The upstream broke off before its answer began.
    BrokenUpstream,
    /// What the upstream sent is no HTTP.
    BadAnswer,
    /// The upstream agreed to an upgrade that nobody asked for, or wrongly.
    BadUpgrade,
    /// The connection to the upstream took too long.
    SlowConnect,
    /// The upstream did not begin its answer in time.
    SlowUpstream,
}

impl Fault {
    /// The answer's status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::OldVersion | Self::WebsocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Malformed(_) | Self::BrokenClient => StatusCode::BAD_REQUEST,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::WebsocketForbidden => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowClient => StatusCode::REQUEST_TIMEOUT,
            // As in Envoy: 503 without a connection, or with one that broke before an answer; 504 only when one was made.
            // A server that refuses our certificate under TLS 1.3 breaks the connection after our handshake (RFC 8446,
            // 4.4.2.4), so that nothing tells the one from the other.
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

    /// What failed behind the request, when it is not the request.
    const fn outage(self) -> Option<UpstreamFailure> {
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

    /// What the visitor reads; nothing in it comes from the request or the upstream.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::OldVersion => "HTTP/1.1 or HTTP/2 is needed here",
            Self::Method => "this method is not allowed here",
            Self::Malformed(text) => text,
            Self::Expectation => "this expectation cannot be met",
            Self::WebsocketVersion => "version 13 of the websocket protocol is needed here",
            Self::WebsocketForbidden => "websockets are not allowed here",
            Self::TooLarge => "the request is too large",
            Self::SlowClient => "the request did not arrive in time",
            Self::BrokenClient => "the request did not arrive completely",
            Self::Undecided => "access cannot be decided right now, try again in a moment",
            Self::NoRoute => "the proxy has no way to the application, its log says more",
            Self::Overloaded => "the application has too many requests right now",
            Self::Unreachable => "the application cannot be reached",
            Self::BrokenUpstream => "the application broke off before it answered",
            Self::BadAnswer | Self::BadUpgrade => "the application did not answer properly",
            Self::SlowConnect | Self::SlowUpstream => "the application did not answer in time",
        }
    }

    /// Whether the connection can no longer be trusted to be in step.
    fn closes(self) -> bool {
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

/// Head and body of an error answer.
pub(crate) struct FaultAnswer {
    /// Header fields.
    pub(crate) headers: HeaderMap,
    /// The page, or JSON.
    pub(crate) body: Bytes,
}

/// What of a request decides how an error is answered.
pub(crate) struct Asked {
    html: bool,
    http2: bool,
}

impl Asked {
    /// Looks at a request.
    pub(crate) fn of(request: &http::request::Parts) -> Self {
        let accepts = |value: &HeaderValue| {
            value
                .as_bytes()
                .windows(9)
                .any(|part| part.eq_ignore_ascii_case(b"text/html"))
        };
        let html = request.headers.get_all(header::ACCEPT).iter().any(accepts);
        Self {
            html,
            http2: request.version == http::Version::HTTP_2,
        }
    }
}

/// Writes the answer to a fault: a page for those who accept HTML, JSON for everyone else.
pub(crate) fn fault(
    fault: Fault,
    asked: &Asked,
    request_id: &HeaderValue,
    look: &Theme,
) -> FaultAnswer {
    let id = request_id.to_str().unwrap_or_default();
    let mut headers = headers(fault, asked);
    let body = if asked.html {
        dress(&mut headers, look);
        page(fault, id, look)
    } else {
        json(fault, id)
    };
    FaultAnswer {
        headers,
        body: body.into(),
    }
}

/// What every page of the proxy's own carries.
fn dress(headers: &mut HeaderMap, look: &Theme) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    for (name, value) in look.headers(None) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

fn headers(fault: Fault, asked: &Asked) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if fault.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    match fault {
        Fault::WebsocketVersion => {
            headers.insert(
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            );
        }
        Fault::Method => {
            headers.insert(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            );
        }
        _ => {}
    }
    // Connection fields do not exist in HTTP/2 (RFC 9113, 8.2.2).
    if fault.closes() && !asked.http2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers
}

fn page(fault: Fault, id: &str, look: &Theme) -> String {
    let reason = fault.status().canonical_reason().unwrap_or("Error");
    let text = format!("{}.", capitalised(fault.text()));
    let id = plain(id);
    let page = Page {
        title: reason,
        text: &text,
        request_id: &id,
        ..Page::default()
    };
    look.render_refusal(match fault.outage() {
        None => page,
        Some(outage) => Page {
            title: outage.title(),
            note: UpstreamFailure::ADVICE,
            link: Some(UpstreamFailure::AGAIN),
            ..page
        },
    })
}

fn json(fault: Fault, id: &str) -> String {
    let value = serde_json::json!({"status": fault.status().as_u16(), "error": fault.text(), "request_id": id});
    format!("{value}\n")
}

/// All texts are ASCII.
fn capitalised(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// A request id may come from a trusted proxy.
fn plain(id: &str) -> String {
    id.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter))
        .collect()
}

/// Methods that are never forwarded: tunnels to anywhere (`CONNECT`) and echoes of a request's secrets (`TRACE`).
pub(crate) fn is_refused_method(method: &Method) -> bool {
    *method == Method::CONNECT || *method == Method::TRACE || method.as_str() == "TRACK"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &'static str) -> Asked {
        let request = http::Request::builder()
            .header("accept", accept)
            .body(())
            .unwrap();
        Asked::of(&request.into_parts().0)
    }

    #[test]
    fn browsers_get_a_page_and_others_json() {
        let id = HeaderValue::from_static("id-1");
        let page = fault(
            Fault::Unreachable,
            &asked("text/html,*/*"),
            &id,
            &Theme::default(),
        );
        assert_eq!(
            page.headers[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(
            text.contains("The application cannot be reached.") && text.contains("Request id id-1"),
            "{text}"
        );
        let json = fault(Fault::Unreachable, &asked("*/*"), &id, &Theme::default());
        let value: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(value["status"], 503);
        assert_eq!(value["request_id"], "id-1");
    }

    #[test]
    fn no_error_is_stored_and_a_broken_request_closes() {
        let id = HeaderValue::from_static("id-1");
        let answer = fault(
            Fault::Malformed("the Host header is missing"),
            &asked("*/*"),
            &id,
            &Theme::default(),
        );
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::CONNECTION], "close");
        assert!(
            !fault(Fault::Unreachable, &asked("*/*"), &id, &Theme::default())
                .headers
                .contains_key(header::CONNECTION)
        );
    }

    #[test]
    fn an_id_cannot_become_markup() {
        let id = HeaderValue::from_static("<script>");
        let page = fault(
            Fault::Undecided,
            &asked("text/html"),
            &id,
            &Theme::default(),
        );
        assert!(
            !String::from_utf8(page.body.to_vec())
                .unwrap()
                .contains("<script>")
        );
    }
}

//! The responses by which the proxy itself reports a [`Fault`]: a page for browsers, and JSON for other clients.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use jetway_core::http::page::{Page, Theme};
use jetway_core::http::request::display_authority;
use jetway_core::http::request_line::FORWARDED_METHODS;
use jetway_core::http::upstream_failure::UpstreamFailure;

use crate::fault::Fault;

/// The header fields and the body of an error response.
pub(crate) struct ErrorResponse {
    /// The header fields.
    pub(crate) headers: HeaderMap,
    /// The page, or JSON.
    pub(crate) body: Bytes,
}

/// The properties of a request that decide how an error is reported.
pub(crate) struct ErrorFormat {
    is_html: bool,
    is_http2: bool,
    /// The authority of the request as the client sent it.
    authority: Option<Bytes>,
}

impl ErrorFormat {
    /// Reads the properties of a request.
    pub(crate) fn of(request: &Parts) -> Self {
        let accepts_html = |value: &HeaderValue| {
            let mut parts = value.as_bytes().windows(9);
            parts.any(|part| part.eq_ignore_ascii_case(b"text/html"))
        };
        let mut accepted = request.headers.get_all(header::ACCEPT).iter();
        let is_html = accepted.any(accepts_html);
        Self {
            is_html,
            is_http2: request.version == Version::HTTP_2,
            authority: is_html.then(|| read_authority(request)).flatten(),
        }
    }

    /// Returns `host[:port]` for a page; empty when it is missing or not valid.
    fn host(&self) -> String {
        let authority = self.authority.as_deref().and_then(display_authority);
        authority.unwrap_or_default()
    }
}

/// Returns the authority of a request: of its URI, or of its `Host` header.
fn read_authority(request: &Parts) -> Option<Bytes> {
    match request.uri.authority() {
        Some(authority) => Some(Bytes::copy_from_slice(authority.as_str().as_bytes())),
        None => {
            let host = request.headers.get(header::HOST)?;
            Some(Bytes::copy_from_slice(host.as_bytes()))
        }
    }
}

impl ErrorResponse {
    /// Builds the response to a fault: a page if the client accepts HTML, otherwise JSON.
    pub(crate) fn build(
        fault: Fault,
        format: &ErrorFormat,
        request_id: &HeaderValue,
        theme: &Theme,
    ) -> Self {
        let id = request_id.to_str().unwrap_or_default();
        let mut headers = build_headers(fault, format);
        let body = if format.is_html {
            add_page_headers(&mut headers, theme);
            render_page(fault, &format.host(), id, theme)
        } else {
            render_json(fault, id)
        };
        Self {
            headers,
            body: body.into(),
        }
    }
}

/// Adds the fields that every page of the proxy has.
fn add_page_headers(headers: &mut HeaderMap, theme: &Theme) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    for (name, value) in theme.headers(None) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

fn build_headers(fault: Fault, format: &ErrorFormat) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let mut insert = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    insert(header::CONTENT_TYPE, "application/json");
    insert(header::CACHE_CONTROL, "no-store");
    insert(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if fault.status() == StatusCode::SERVICE_UNAVAILABLE {
        insert(header::RETRY_AFTER, "5");
    }
    match fault {
        Fault::WebsocketVersion => insert(
            header::SEC_WEBSOCKET_VERSION,
            jetway_core::http::websocket::VERSION,
        ),
        Fault::Method => insert(header::ALLOW, FORWARDED_METHODS),
        _ => {}
    }
    // Connection fields do not exist in HTTP/2 (RFC 9113, 8.2.2).
    if fault.is_closing() && !format.is_http2 {
        insert(header::CONNECTION, "close");
    }
    headers
}

fn render_page(fault: Fault, host: &str, id: &str, theme: &Theme) -> String {
    let reason = fault.status().canonical_reason().unwrap_or("Error");
    let text = format!("{}.", capitalize(fault.message()));
    let id = remove_markup(id);
    let page = Page {
        title: reason,
        text: &text,
        host,
        request_id: &id,
        ..Page::default()
    };
    match fault.upstream_failure() {
        None => theme.render_refusal(page),
        Some(failure) => theme.render_refusal(Page {
            title: failure.title(),
            note: UpstreamFailure::ADVICE,
            facts: &UpstreamFailure::facts(host),
            link: Some(UpstreamFailure::AGAIN),
            ..page
        }),
    }
}

fn render_json(fault: Fault, id: &str) -> String {
    let value = serde_json::json!({
        "status": fault.status().as_u16(),
        "error": fault.message(),
        "request_id": id,
    });
    format!("{value}\n")
}

/// Makes the first letter of a message a capital. All messages are ASCII.
fn capitalize(message: &str) -> String {
    let mut message = message.to_owned();
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    message
}

/// Removes the characters of a request id that could be markup, because a trusted proxy may have chosen the id.
fn remove_markup(id: &str) -> String {
    id.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &'static str) -> ErrorFormat {
        let request = http::Request::builder()
            .header("accept", accept)
            .header("host", "APP.test:8443")
            .body(())
            .unwrap();
        ErrorFormat::of(&request.into_parts().0)
    }

    #[test]
    fn browsers_get_a_page_and_others_json() {
        let id = HeaderValue::from_static("id-1");
        let page = ErrorResponse::build(
            Fault::Unreachable,
            &format("text/html,*/*"),
            &id,
            &Theme::default(),
        );
        assert_eq!(
            page.headers[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(
            text.contains("The application cannot be reached.")
                && text.contains("<dd>app.test:8443</dd>")
                && text.contains("Request id id-1"),
            "{text}"
        );
        let json = ErrorResponse::build(Fault::Unreachable, &format("*/*"), &id, &Theme::default());
        let value: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(value["status"], 503);
        assert_eq!(value["request_id"], "id-1");
    }

    #[test]
    fn a_host_that_is_not_valid_is_on_no_page() {
        let request = http::Request::builder()
            .header("accept", "text/html")
            .header("host", "<b>app.test")
            .body(())
            .unwrap();
        let format = ErrorFormat::of(&request.into_parts().0);
        let id = HeaderValue::from_static("id-1");
        let page = ErrorResponse::build(Fault::Unreachable, &format, &id, &Theme::default());
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(
            !text.contains("app.test") && !text.contains("<dd>"),
            "{text}"
        );
    }

    #[test]
    fn no_error_is_stored_and_a_broken_request_closes() {
        let id = HeaderValue::from_static("id-1");
        let response = ErrorResponse::build(
            Fault::Malformed("the Host header is missing"),
            &format("*/*"),
            &id,
            &Theme::default(),
        );
        assert_eq!(response.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers[header::CONNECTION], "close");
        assert!(
            !ErrorResponse::build(Fault::Unreachable, &format("*/*"), &id, &Theme::default())
                .headers
                .contains_key(header::CONNECTION)
        );
    }

    #[test]
    fn an_id_cannot_become_markup() {
        let id = HeaderValue::from_static("<script>");
        let page = ErrorResponse::build(
            Fault::Undecided,
            &format("text/html"),
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

//! Responses that are not pages: JSON and redirects.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// Returns JSON that must not be stored.
pub(super) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    plain(status, "application/json", body.to_string())
}

/// Returns an OAuth error in JSON (RFC 6749 section 5.2).
pub(super) fn error(status: StatusCode, code: &str, description: &str) -> Response<Bytes> {
    json(
        status,
        &json!({ "error": code, "error_description": description }),
    )
}

/// Returns a redirect with status 303: the browser follows it with GET and does not send a form again.
pub(super) fn see_other(address: &str) -> Response<Bytes> {
    let mut answer = plain(StatusCode::SEE_OTHER, "text/plain", String::new());
    if let Ok(location) = HeaderValue::from_str(address) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// Returns a response with this body and the headers that every response has.
pub(super) fn plain(
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    answer
}

//! Answers that are not pages: JSON and redirects.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// JSON that nobody stores.
pub(super) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    plain(status, "application/json", body.to_string())
}

/// An OAuth error in JSON (RFC 6749 section 5.2).
pub(super) fn error(status: StatusCode, code: &str, description: &str) -> Response<Bytes> {
    json(
        status,
        &json!({ "error": code, "error_description": description }),
    )
}

/// 303 to an address: a POST turns into a GET, and no form is sent again.
pub(super) fn see_other(address: &str) -> Response<Bytes> {
    let mut answer = plain(StatusCode::SEE_OTHER, "text/plain", String::new());
    if let Ok(location) = HeaderValue::from_str(address) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// An answer with a body, with the headers that every answer has.
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

//! Builds the request to the upstream from a permitted one.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Uri};
use http_body::Body as _;

use super::forwarded;
use crate::body::RequestBody;
use crate::fault::Fault;
use crate::upstream::{Destination, Upstream};
use crate::wasm::RequestHead;

/// Builds the request that the upstream gets.
///
/// # Errors
/// The path is not valid, which the plugin cannot cause.
pub(super) fn build(
    head: RequestHead,
    body: RequestBody,
    destination: &Destination,
    upstream: &Upstream,
) -> Result<Request<RequestBody>, Fault> {
    let RequestHead {
        method,
        authority,
        path,
        mut headers,
        ..
    } = head;
    if destination.names_upstream {
        headers.insert(header::HOST, upstream.authority().clone());
        forwarded::set_host(&mut headers, authority);
    } else {
        headers.insert(header::HOST, authority);
    }
    set_framing(&method, &mut headers, &body);
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Fault::Undecided)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Sets the length of the body, or chunked coding if the length is unknown. The fields of the client or the plugin could be
/// wrong and make one request look like two.
///
/// A request without a body has a length of 0, as from Envoy, unless its method never has one: some applications answer 411
/// without it (RFC 9110, 8.6).
fn set_framing(method: &Method, headers: &mut HeaderMap, body: &RequestBody) {
    let had_length = headers.remove(header::CONTENT_LENGTH).is_some();
    headers.remove(header::TRANSFER_ENCODING);
    match body.size_hint().exact() {
        Some(0) if !had_length && is_without_body(method) => {}
        Some(length) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
    }
}

/// Returns whether requests with this method usually have no body. `DELETE` may have one and rarely does.
fn is_without_body(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::DELETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_length_is_the_real_one() {
        let framed = |stated: &[(&'static str, &'static str)], body: &'static str| {
            let mut headers = HeaderMap::new();
            for (name, value) in stated {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            set_framing(&Method::GET, &mut headers, &RequestBody::whole(body.into()));
            assert!(!headers.contains_key(header::TRANSFER_ENCODING));
            headers
                .get(header::CONTENT_LENGTH)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(framed(&[], ""), None);
        assert_eq!(framed(&[("content-length", "5")], ""), Some("0".to_owned()));
        assert_eq!(
            framed(&[("content-length", "5")], "abc"),
            Some("3".to_owned())
        );
        assert_eq!(
            framed(&[("transfer-encoding", "chunked")], "abc"),
            Some("3".to_owned())
        );
    }
    #[test]
    fn a_method_that_may_have_a_body_has_a_length() {
        for (method, length) in [
            (Method::GET, None),
            (Method::HEAD, None),
            (Method::DELETE, None),
            (Method::POST, Some("0")),
            (Method::PUT, Some("0")),
            (Method::OPTIONS, Some("0")),
            (Method::from_bytes(b"PROPFIND").unwrap(), Some("0")),
        ] {
            let mut headers = HeaderMap::new();
            set_framing(&method, &mut headers, &RequestBody::empty());
            let stated = headers.get(header::CONTENT_LENGTH);
            let stated = stated.map(|value| value.to_str().unwrap());
            assert_eq!(stated, length, "{method}");
        }
    }
}

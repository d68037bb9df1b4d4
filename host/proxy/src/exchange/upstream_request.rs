//! Builds the request to the upstream from a permitted one.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Uri};
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
    set_framing(&mut headers, &body);
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
fn set_framing(headers: &mut HeaderMap, body: &RequestBody) {
    let had_length = headers.remove(header::CONTENT_LENGTH).is_some();
    headers.remove(header::TRANSFER_ENCODING);
    match body.size_hint().exact() {
        Some(0) if !had_length => {}
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
            set_framing(&mut headers, &RequestBody::whole(body.into()));
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
}

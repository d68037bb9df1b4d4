//! A permitted request on its way to the upstream.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Uri};
use http_body::Body as _;

use super::forwarded;
use crate::answer::Fault;
use crate::body::RequestBody;
use crate::upstream::{Destination, Upstream};
use crate::wasm::RequestHead;

/// The request as the upstream gets it.
///
/// # Errors
/// A path that is none, which the plugin cannot have set.
pub(super) fn request(
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
    frame(&mut headers, &body);
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Fault::Undecided)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// States the body's length, or that it has none that is known: what the client or the plugin said about it could be wrong
/// and let one request pass for two.
fn frame(headers: &mut HeaderMap, body: &RequestBody) {
    let stated = headers.remove(header::CONTENT_LENGTH).is_some();
    headers.remove(header::TRANSFER_ENCODING);
    match body.size_hint().exact() {
        Some(0) if !stated => {}
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
            frame(&mut headers, &RequestBody::whole(body.into()));
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

//! Checks a request before the plugin sees it: it has to be unambiguous. The HTTP library accepts more than may pass here.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Version};
use jetway_core::http::request_line;
use jetway_core::refusal::{BadRequest, Refusal};

use super::header_field::{find_single, is_chunked};
use super::hop_by_hop;
use crate::fault::Fault;

/// The host and path that a request is for. Routing, policy and upstream use these and no others.
#[derive(Debug)]
pub(super) struct Target {
    /// The authority of the request, checked to be `host[:port]`.
    pub(super) authority: HeaderValue,
    /// The path with its query.
    pub(super) path: PathAndQuery,
}

/// Checks the head of a request, removes `Host` and `Expect: 100-continue`, and joins the lines of its cookies and credentials.
///
/// # Errors
/// The reason why the request is refused.
pub(super) fn admit(request: &mut Parts) -> Result<Target, Fault> {
    check_version(request.version)?;
    check_method(&request.method)?;
    check_field_names(&request.headers)?;
    check_transfer_encoding(&request.headers)?;
    check_content_length(&request.headers)?;
    hop_by_hop::check(&request.headers)?;
    take_expectation(&mut request.headers);
    let authority = take_authority(request)?;
    let path = read_path(request)?;
    join_lines(&mut request.headers);
    Ok(Target { authority, path })
}

fn check_version(version: Version) -> Result<(), Fault> {
    // As in Envoy. HTTP/1.0 has neither Host nor chunked bodies.
    if version == Version::HTTP_11 || version == Version::HTTP_2 {
        Ok(())
    } else {
        Err(Fault::OldVersion)
    }
}

fn check_method(method: &Method) -> Result<(), Fault> {
    request_line::check_method(method.as_str()).map_err(|refusal| match refusal {
        Refusal::BadRequest(reason) => Fault::Malformed(reason.words()),
        _ => Fault::Method,
    })
}

fn check_field_names(headers: &HeaderMap) -> Result<(), Fault> {
    // Many servers read `x_email` as `x-email`, so that the field would pass every check of the latter.
    if headers.keys().any(|name| name.as_str().contains('_')) {
        return Err(Fault::Malformed("a header name contains an underscore"));
    }
    Ok(())
}

fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), Fault> {
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    let coding = find_single(headers, &header::TRANSFER_ENCODING);
    if !coding.is_some_and(is_chunked) || headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Fault::Malformed("the transfer encoding is not supported"));
    }
    Ok(())
}

/// Refuses two lengths, even if they agree, and those that are no number, as Envoy does. Over HTTP/1.1 the library refuses most
/// of them.
fn check_content_length(headers: &HeaderMap) -> Result<(), Fault> {
    if !headers.contains_key(header::CONTENT_LENGTH) {
        return Ok(());
    }
    let length = find_single(headers, &header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let is_number = |length: &[u8]| !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if length.is_some_and(is_number) {
        return Ok(());
    }
    Err(Fault::Malformed("Content-Length is not one number"))
}

/// Removes `Expect: 100-continue`, as Envoy does; the plugin refuses other values. The HTTP library answers it when the body
/// is first read, which is after the request was permitted.
fn take_expectation(headers: &mut HeaderMap) {
    let expected = find_single(headers, &header::EXPECT);
    if expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        headers.remove(header::EXPECT);
    }
}

fn take_authority(request: &mut Parts) -> Result<HeaderValue, Fault> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Fault::Malformed("there is more than one Host header"));
    }
    let in_uri = request.uri.authority().map(Authority::as_str);
    let differ =
        |host: &HeaderValue, uri: &str| !host.as_bytes().eq_ignore_ascii_case(uri.as_bytes());
    let is_http2 = request.version == Version::HTTP_2;
    let used = match (host, in_uri) {
        (Some(host), Some(uri)) if is_http2 && differ(host, uri) => {
            return Err(Fault::Malformed("the Host header and the address differ"));
        }
        // In HTTP/1.1 an absolute URI replaces the header (RFC 9112, 3.2.2), which is required all the same.
        (Some(_), Some(_)) => in_uri,
        (None, Some(_)) if !is_http2 => return Err(MISSING_HOST),
        (None, None) => return Err(MISSING_HOST),
        (None, uri) => uri,
        _ => None,
    };
    let authority = match used {
        Some(uri) => HeaderValue::from_str(uri).map_err(|_| BAD_HOST)?,
        None => request
            .headers
            .get(header::HOST)
            .cloned()
            .ok_or(MISSING_HOST)?,
    };
    request.headers.remove(header::HOST);
    if !request_line::is_authority(authority.as_bytes()) {
        return Err(BAD_HOST);
    }
    Ok(authority)
}

const MISSING_HOST: Fault = Fault::Malformed("the Host header is missing");
const BAD_HOST: Fault = Fault::Malformed(BadRequest::Host.words());

fn read_path(request: &Parts) -> Result<PathAndQuery, Fault> {
    let scheme = request.uri.scheme();
    if scheme.is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Fault::Malformed("the scheme is unknown"));
    }
    match request.uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') => Ok(path.clone()),
        // `OPTIONS *` is about the server as a whole and belongs to no route.
        _ => Err(Fault::Malformed("the path is not valid")),
    }
}

/// Joins the lines of fields in which the plugin looks for one value. HTTP/2 clients may split their cookies over several
/// fields (RFC 9113, 8.2.3), HTTP/1.1 servers expect one. The others are joined in Envoy, where two credentials are none.
fn join_lines(headers: &mut HeaderMap) {
    for (name, separator) in [
        (header::COOKIE, &b"; "[..]),
        (header::AUTHORIZATION, b","),
        (header::ACCEPT, b","),
    ] {
        join_field(headers, name, separator);
    }
}

fn join_field(headers: &mut HeaderMap, name: HeaderName, separator: &[u8]) {
    let mut fields = headers.get_all(&name).iter();
    if fields.next().is_none() || fields.next().is_none() {
        return;
    }
    let lines = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    // Envoy leaves empty ones out.
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    if let Ok(mut joined) = HeaderValue::from_bytes(&lines.join(separator)) {
        joined.set_sensitive(name != header::ACCEPT);
        headers.insert(name, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn request(uri: &str, fields: &[(&str, &[u8])]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn admitted(mut parts: Parts) -> Result<(String, String), Fault> {
        let target = admit(&mut parts)?;
        assert!(!parts.headers.contains_key("host"));
        Ok((
            target.authority.to_str().unwrap().to_owned(),
            target.path.as_str().to_owned(),
        ))
    }

    fn http2(mut parts: Parts) -> Parts {
        parts.version = Version::HTTP_2;
        parts
    }

    fn is_malformed(result: Result<(String, String), Fault>) -> bool {
        matches!(result, Err(Fault::Malformed(_)))
    }

    #[test]
    fn a_plain_request_passes() {
        let target = admitted(request("/a?b=c", &[("host", b"app.test:8443")])).unwrap();
        assert_eq!(target, ("app.test:8443".to_owned(), "/a?b=c".to_owned()));
        let target = admitted(http2(request("https://app.test/a", &[]))).unwrap();
        assert_eq!(target, ("app.test".to_owned(), "/a".to_owned()));
        let target = admitted(request("http://APP.test/a", &[("host", b"app.test")])).unwrap();
        assert_eq!(target, ("APP.test".to_owned(), "/a".to_owned()));
    }

    #[test]
    fn one_host_and_one_only() {
        assert!(is_malformed(admitted(request("/", &[]))));
        assert!(is_malformed(admitted(request(
            "/",
            &[("host", b"app.test"), ("host", b"app.test")]
        ))));
        // The upstream gets the one that the policy was asked about.
        let target = admitted(request("http://other.test/", &[("host", b"app.test")])).unwrap();
        assert_eq!(target.0, "other.test");
        assert!(is_malformed(admitted(request(
            "http://u@app.test/",
            &[("host", b"app.test")]
        ))));
        assert!(is_malformed(admitted(request("http://app.test/", &[]))));
        assert!(is_malformed(admitted(http2(request(
            "https://app.test/",
            &[("host", b"evil.test")]
        )))));
    }

    #[test]
    fn a_host_is_a_name_and_a_port() {
        for good in [
            "a",
            "a.b-c.d",
            "a_b.c",
            "A.B",
            "1.2.3.4:80",
            "[::1]",
            "[::1]:443",
        ] {
            assert!(
                admitted(request("/", &[("host", good.as_bytes())])).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "", "A.B.", ":80", "u@h", "a,b", "a b", "a/b", "a:", "a:0", "a:99999", "a:+1", "a:1:2",
            "[::1", "[x]", "[::1]x", "ä",
        ] {
            assert!(
                is_malformed(admitted(request("/", &[("host", bad.as_bytes())]))),
                "{bad}"
            );
        }
    }

    #[test]
    fn methods() {
        for (method, expected) in [
            ("GET", None),
            ("PROPFIND", None),
            ("TRACE", Some(405)),
            ("TRACK", Some(405)),
            ("CONNECT", Some(405)),
            ("get", Some(400)),
            (&"A".repeat(100), Some(400)),
        ] {
            let mut parts = request("/", &[("host", b"app.test")]);
            parts.method = Method::from_bytes(method.as_bytes()).unwrap();
            let status = admitted(parts).err().map(|fault| fault.status().as_u16());
            assert_eq!(status, expected, "{method}");
        }
    }

    #[test]
    fn old_versions_are_refused() {
        let mut parts = request("/", &[("host", b"app.test")]);
        parts.version = Version::HTTP_10;
        assert_eq!(admitted(parts), Err(Fault::OldVersion));
    }

    #[test]
    fn names_with_underscores_are_refused() {
        assert!(is_malformed(admitted(request(
            "/",
            &[("host", b"app.test"), ("x_email", b"evil")]
        ))));
    }

    #[test]
    fn only_chunked_alone_is_supported() {
        let encoded = |value: &[u8]| {
            admitted(request(
                "/",
                &[("host", b"app.test"), ("transfer-encoding", value)],
            ))
        };
        assert!(encoded(b"chunKed").is_ok());
        assert!(is_malformed(encoded(b"gzip, chunked")));
        let twice = [
            ("host", b"a".as_slice()),
            ("transfer-encoding", b"chunked"),
            ("transfer-encoding", b"chunked"),
        ];
        assert!(is_malformed(admitted(request("/", &twice))));
        let both = [
            ("host", b"a".as_slice()),
            ("transfer-encoding", b"chunked"),
            ("content-length", b"3"),
        ];
        assert!(is_malformed(admitted(request("/", &both))));
    }

    #[test]
    fn the_length_is_one_number() {
        let with = |lengths: &[&'static str]| {
            let mut parts = request("/", &[("host", b"a")]);
            for length in lengths {
                let length = HeaderValue::from_static(length);
                parts.headers.append(header::CONTENT_LENGTH, length);
            }
            admitted(parts)
        };
        for good in [&[][..], &["0"], &["05"]] {
            assert!(with(good).is_ok(), "{good:?}");
        }
        for bad in [
            &["5", "5"][..],
            &[""],
            &["+5"],
            &["5, 5"],
            &["-1"],
            &["five"],
        ] {
            assert!(is_malformed(with(bad)), "{bad:?}");
        }
    }

    #[test]
    fn the_plugin_sees_unusual_expectations() {
        let left = |value: &'static [u8]| {
            let mut parts = request("/", &[("host", b"a"), ("expect", value)]);
            admit(&mut parts).unwrap();
            parts.headers.contains_key("expect")
        };
        assert!(!left(b"100-Continue"));
        assert!(left(b"bogus"));
    }

    #[test]
    fn only_paths_are_admitted() {
        let mut parts = request("*", &[("host", b"a")]);
        parts.method = Method::OPTIONS;
        assert!(is_malformed(admitted(parts)));
        assert!(is_malformed(admitted(http2(request("evil://a/", &[])))));
    }

    #[test]
    fn cookies_are_joined_with_any_bytes() {
        let mut parts = request(
            "/",
            &[("host", b"a"), ("cookie", b"a=1"), ("cookie", b"b=\xff")],
        );
        admit(&mut parts).unwrap();
        let cookies: Vec<&[u8]> = parts
            .headers
            .get_all("cookie")
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        assert_eq!(cookies, [b"a=1; b=\xff"]);
    }

    /// The module takes two lines for none.
    #[test]
    fn two_credentials_are_one_that_is_not_valid() {
        let mut parts = request(
            "/",
            &[
                ("host", b"a"),
                ("authorization", b"Bearer a"),
                ("authorization", b""),
                ("authorization", b"Bearer b"),
                ("accept", b"text/html"),
                ("accept", b"*/*"),
            ],
        );
        admit(&mut parts).unwrap();
        let lines = |name| -> Vec<&[u8]> {
            let lines = parts.headers.get_all(name).iter();
            lines.map(HeaderValue::as_bytes).collect()
        };
        assert_eq!(lines("authorization"), [b"Bearer a,Bearer b"]);
        assert_eq!(lines("accept"), [b"text/html,*/*"]);
    }
}

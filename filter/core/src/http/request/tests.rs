//! Tests of reading requests.

use super::*;
use crate::http::forwarded::read_address;

fn headers(extra: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let base: [(&str, &[u8]); 3] = [
        (":method", b"GET"),
        (":path", b"/a?b"),
        (":authority", b"App.test:8443"),
    ];
    base.iter()
        .chain(extra)
        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect()
}

fn read(headers: &[(String, Vec<u8>)]) -> Result<Parsed<'_>, Refusal> {
    Parsed::read(
        &Request::new(headers),
        &KnownNames {
            reserved: Rc::new(Reserved::new(std::iter::empty())),
            cookies: CookieNames::new("__Host-jetway"),
        },
    )
}

fn refusal(headers: &[(String, Vec<u8>)]) -> Option<Refusal> {
    read(headers).err()
}

#[test]
fn addresses_of_clients() {
    for (text, address) in [
        ("192.0.2.1:4711", Some("192.0.2.1")),
        ("192.0.2.1", Some("192.0.2.1")),
        ("[2001:db8::1]:0", Some("2001:db8::1")),
        ("2001:db8::1", Some("2001:db8::1")),
        ("[::ffff:192.0.2.1]:1", Some("::ffff:192.0.2.1")),
        ("", None),
        ("192.0.2.1:", None),
        ("192.0.2.1:99999", None),
        ("app.test:80", None),
        ("/run/socket", None),
    ] {
        let expected = address.map(|address| address.parse().unwrap());
        assert_eq!(read_address(text.as_bytes()), expected, "{text}");
    }
    assert_eq!(read_address(b"\xff"), None);
}

#[test]
fn one_pass_finds_everything() {
    let headers = headers(&[
        ("cookie", b"a=\xff"),
        ("cookie", b"b=c"),
        ("x-pomerium-claim-email", b"evil"),
    ]);
    let parsed = read(&headers).unwrap();
    assert_eq!(
        parsed.authority,
        Authority {
            host: "app.test".into(),
            port: Some(8443)
        }
    );
    assert_eq!((parsed.path(), parsed.query()), ("/a", "b"));
    assert_eq!(parsed.cookies().len(), 2);
    assert!(parsed.spoofed && !parsed.rewritten);
}

#[test]
fn hosts_without_one_meaning_are_refused() {
    for host in [
        "", "a,b", "user@a", "a:0", "a:99999", "a:+1", "a b", "a\0", "a:", "\u{e9}",
    ] {
        let mut headers = headers(&[]);
        headers[2].1 = host.as_bytes().to_vec();
        assert_eq!(
            refusal(&headers),
            Some(Refusal::BadRequest(BadRequest::Host)),
            "{host:?}"
        );
    }
    assert!(refusal(&headers(&[("host", b"evil.test")])).is_some());
    assert!(refusal(&headers(&[(":authority", b"app.test:8443")])).is_some());
    assert!(refusal(&headers(&[("host", b"app.test:8443")])).is_none());
}

#[test]
fn methods() {
    for (method, expected) in [
        ("TRACE", Some(Refusal::MethodNotAllowed)),
        ("CONNECT", Some(Refusal::MethodNotAllowed)),
        ("get", Some(Refusal::BadRequest(BadRequest::Method))),
        ("", Some(Refusal::BadRequest(BadRequest::Method))),
        ("PROPFIND", None),
    ] {
        let mut headers = headers(&[]);
        headers[0].1 = method.as_bytes().to_vec();
        assert_eq!(refusal(&headers), expected, "{method}");
    }
}

/// H-23
#[test]
fn only_the_body_can_be_expected() {
    for good in ["100-continue", "100-Continue"] {
        assert_eq!(refusal(&headers(&[("expect", good.as_bytes())])), None);
    }
    for bad in ["", "other", "y 100-continue", "100-continue, 100-continue"] {
        let bad = headers(&[("expect", bad.as_bytes())]);
        assert_eq!(refusal(&bad), Some(Refusal::Expectation), "{bad:?}");
    }
    let twice = headers(&[("expect", b"100-continue"), ("expect", b"100-continue")]);
    assert_eq!(refusal(&twice), Some(Refusal::Expectation));
}

#[test]
fn a_query_needs_a_content_type() {
    let mut headers = headers(&[]);
    headers[0].1 = b"QUERY".to_vec();
    assert_eq!(
        refusal(&headers),
        Some(Refusal::BadRequest(BadRequest::QueryType))
    );
    headers.push(("content-type".to_owned(), b"application/sql".to_vec()));
    assert_eq!(refusal(&headers), None);
}

#[test]
fn only_browsers_submit_forms() {
    let submits = |method: &str, extra: &[(&str, &[u8])]| {
        let mut headers = headers(extra);
        headers[0].1 = method.as_bytes().to_vec();
        read(&headers).unwrap().is_form_submission()
    };
    let html: (&str, &[u8]) = ("accept", b"text/html,*/*;q=0.8");
    let mode: (&str, &[u8]) = ("sec-fetch-mode", b"navigate");
    assert!(submits("POST", &[html]));
    assert!(submits("POST", &[html, mode]));
    assert!(!submits("GET", &[html, mode]));
    assert!(!submits("PUT", &[html, mode]));
    assert!(!submits("POST", &[mode]));
    assert!(!submits("POST", &[html, ("sec-fetch-mode", b"cors")]));
    assert!(!submits("POST", &[html, ("x-requested-with", b"fetch")]));
    assert!(!submits(
        "POST",
        &[html, mode, ("sec-fetch-dest", b"iframe")]
    ));
}

#[test]
fn only_browsers_navigate() {
    let navigates = |extra: &[(&str, &[u8])]| {
        let headers = headers(extra);
        read(&headers).unwrap().is_navigation()
    };
    let html: (&str, &[u8]) = ("accept", b"text/html,*/*;q=0.8");
    let mode: (&str, &[u8]) = ("sec-fetch-mode", b"navigate");
    assert!(navigates(&[html]));
    assert!(navigates(&[mode, ("sec-fetch-dest", b"document")]));
    assert!(!navigates(&[]));
    assert!(!navigates(&[("accept", b"*/*")]));
    assert!(!navigates(&[html, ("sec-fetch-mode", b"cors")]));
    assert!(!navigates(&[html, mode, ("sec-fetch-dest", b"iframe")]));
    assert!(!navigates(&[html, ("x-requested-with", b"XMLHttpRequest")]));
    assert!(!navigates(&[html, ("upgrade", b"websocket")]));
    assert!(!navigates(&[
        html,
        mode,
        ("sec-purpose", b"prefetch;prerender")
    ]));
}

//! A request, read from its headers in one pass.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use crate::contract::{CLIENT_CERTIFICATE_HEADER, TRANSFER_ENCODING_HEADER};
use crate::http::cookie::{CookieLine, CookieNames, OwnCookies};
use crate::http::forwarded::{FORWARDED_FOR, FORWARDED_PROTO};
use crate::http::header::Reserved;
use crate::http::path::{canonical, decode, split_query};
use crate::http::request_line::{check_method, split_authority};
use crate::refusal::{BadRequest, Refusal};
use crate::time::Timestamp;

/// The headers of a request as proxy-wasm provides them, with the pseudo headers `:method`, `:path` and `:authority`.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    headers: &'a [(String, Vec<u8>)],
    source: Option<IpAddr>,
    body: Option<&'a [u8]>,
    held_since: Option<Timestamp>,
}

impl<'a> Request<'a> {
    /// Creates a request. Names are in lower case; values may be any bytes.
    #[must_use]
    pub const fn new(headers: &'a [(String, Vec<u8>)]) -> Self {
        Self {
            headers,
            source: None,
            body: None,
            held_since: None,
        }
    }

    /// Adds the HTTP body, which [`crate::gate::step::Step::ReadBody`] has requested.
    #[must_use]
    pub const fn body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// Adds the client's address as the proxy determined it. Most requests do not need it, see
    /// [`crate::gate::Gate::asks_for_address`].
    #[must_use]
    pub const fn from(mut self, source: Option<IpAddr>) -> Self {
        self.source = source;
        self
    }

    /// Adds since when the request has been held ([`crate::gate::step::Step::Hold`]), when it begins again.
    #[must_use]
    pub const fn held_since(mut self, since: Option<Timestamp>) -> Self {
        self.held_since = since;
        self
    }

    /// Returns until when the request may be held, at most `seconds` in all; `None` when it was not held yet.
    pub(crate) fn hold_ends_at(&self, seconds: u64) -> Option<Timestamp> {
        self.held_since.map(|since| since.plus(seconds))
    }

    /// Returns the headers.
    #[must_use]
    pub const fn headers(&self) -> &'a [(String, Vec<u8>)] {
        self.headers
    }
}

impl<'a> Request<'a> {
    /// Returns what single headers state about the client, even of a malformed request.
    pub(crate) fn client(&self) -> Client<'a> {
        Client {
            accept: self.first("accept"),
            ..Client::default()
        }
    }

    /// Returns the request id.
    pub(crate) fn id(&self) -> Option<&'a str> {
        self.first("x-request-id").and_then(readable_id)
    }

    /// Returns the first header of this name.
    pub(crate) fn first(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_slice())
    }
}

/// The host and port of a request, from `Host` or `:authority`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// The host in lower case.
    pub(crate) host: Cow<'a, str>,
    /// The port, if there is one.
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host` or `host:port`.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (host, port) = split_authority(bytes)?;
        let upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
        let host = if upper {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        Some(Self { host, port })
    }

    /// Returns `https://host[:port]`.
    pub(crate) fn origin(&self) -> String {
        format!("https://{self}")
    }
}

impl std::fmt::Display for Authority<'_> {
    /// Writes `host[:port]`, the port only when it is not that of `https`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) if port != 443 => write!(f, "{}:{port}", self.host),
            _ => f.write_str(&self.host),
        }
    }
}

/// The names that are looked for in the headers of every request.
#[derive(Debug)]
pub(crate) struct KnownNames {
    /// The headers that no client may send.
    pub(crate) reserved: Rc<Reserved>,
    /// The proxy's own cookies.
    pub(crate) cookies: CookieNames,
}

/// Returns `host[:port]` as pages show it; `None` for a value of `Host` or `:authority` that is not valid.
#[must_use]
pub fn display_authority(value: &[u8]) -> Option<String> {
    Authority::read(value).map(|authority| authority.to_string())
}

/// A request that was read and checked.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    pub(crate) headers: &'a [(String, Vec<u8>)],
    pub(crate) method: &'a str,
    pub(crate) authority: Authority<'a>,
    /// The canonical path with its query.
    pub(crate) target: Cow<'a, str>,
    /// Whether the path that the client sent was another spelling of `target`.
    pub(crate) rewritten: bool,
    /// The kind of client.
    pub(crate) client: Client<'a>,
    pub(crate) upgrade: Option<&'a [u8]>,
    /// The `Sec-WebSocket-Version` header; empty when there are several.
    pub(crate) websocket_version: Option<&'a [u8]>,
    /// The `Sec-WebSocket-Key` header; empty when there are several.
    pub(crate) websocket_key: Option<&'a [u8]>,
    /// Whether the request has a body, or states that it has one.
    pub(crate) has_body: bool,
    pub(crate) origin: Option<&'a [u8]>,
    /// The lines of `X-Forwarded-For`, to which the proxy has appended the address of its peer.
    pub(crate) forwarded_for: Vec<&'a [u8]>,
    /// The `X-Forwarded-Proto` header; empty when there are several.
    pub(crate) forwarded_proto: Option<&'a [u8]>,
    pub(crate) request_id: Option<&'a str>,
    /// A CORS preflight (Fetch standard).
    pub(crate) preflight: bool,
    /// The client's address, if it was requested.
    pub(crate) source: Option<IpAddr>,
    /// The header with the client's certificate; empty when there are several.
    pub(crate) certificate: Option<&'a [u8]>,
    /// The `Authorization` header; empty when there are several.
    pub(crate) authorization: Option<&'a [u8]>,
    /// The `X-Pomerium-Authorization` header; empty when there are several.
    pub(crate) pomerium_authorization: Option<&'a [u8]>,
    /// The whole HTTP body, once it was requested.
    pub(crate) body: Option<&'a [u8]>,
    cookies: Vec<CookieLine<'a>>,
    /// Whether a header has to be removed because only proxies may write it.
    pub(crate) spoofed: bool,
}

/// The statements of the headers about the kind of client.
#[derive(Debug, Default)]
pub(crate) struct Client<'a> {
    accept: Option<&'a [u8]>,
    fetch_mode: Option<&'a [u8]>,
    fetch_dest: Option<&'a [u8]>,
    fetch_site: Option<&'a [u8]>,
    fetch_user: Option<&'a [u8]>,
    requested_with: bool,
    prefetch: bool,
}

impl<'a> Client<'a> {
    fn read_header(&mut self, name: &str, value: &'a [u8]) {
        match name {
            "accept" => self.accept = Some(value),
            "sec-fetch-mode" => self.fetch_mode = Some(value),
            "sec-fetch-dest" => self.fetch_dest = Some(value),
            "sec-fetch-site" => self.fetch_site = Some(value),
            "sec-fetch-user" => self.fetch_user = Some(value),
            "x-requested-with" => self.requested_with = true,
            "sec-purpose" | "purpose" | "x-moz" => self.prefetch |= contains(value, b"prefetch"),
            _ => {}
        }
    }

    /// Returns whether the client accepts an HTML page.
    pub(crate) fn wants_html(&self) -> bool {
        self.accept
            .is_some_and(|accept| contains(accept, b"text/html"))
    }

    /// Returns whether the client accepts JSON explicitly.
    pub(crate) fn wants_json(&self) -> bool {
        self.accept
            .is_some_and(|accept| contains(accept, b"application/json"))
    }

    /// Returns whether a user may have opened the address in a browser: only then a redirect to the provider helps.
    fn navigates(&self) -> bool {
        let document = self.fetch_dest.is_none_or(|dest| dest == b"document");
        let by_mode = match self.fetch_mode {
            Some(mode) => mode == b"navigate" && document,
            None => self.wants_html(),
        };
        by_mode && !self.requested_with && !self.prefetch
    }

    /// Returns whether a browser opens a page: only browsers send `Sec-Fetch-Mode` (Fetch Metadata).
    pub(crate) fn is_browser(&self) -> bool {
        self.fetch_mode == Some(b"navigate")
    }

    /// Returns whether a page of the same origin caused the request, if the browser states it.
    pub(crate) fn is_same_site(&self) -> Option<bool> {
        self.fetch_site.map(|site| site == b"same-origin")
    }
}

impl<'a> Parsed<'a> {
    /// Reads the headers in one pass.
    ///
    /// # Errors
    /// The request has no single meaning, or its method is never forwarded.
    pub(crate) fn read(request: &Request<'a>, known: &KnownNames) -> Result<Self, Refusal> {
        let scan = Scan::read(request.headers, known)?;
        let authority = scan.authority()?;
        let method = read_method(scan.method)?;
        // The content type says what the query is written in (RFC 10008). Envoy requires it, too.
        if method == "QUERY" && !scan.has_content_type {
            return Err(Refusal::BadRequest(BadRequest::QueryType));
        }
        let raw = scan.target.and_then(|raw| std::str::from_utf8(raw).ok());
        let raw = raw.ok_or(Refusal::BadRequest(BadRequest::Path))?;
        let target = canonical(raw).map_err(|_| Refusal::BadRequest(BadRequest::Path))?;
        let has_origin = scan.origin.is_some_and(|origin| !origin.is_empty());
        Ok(Self {
            headers: request.headers,
            method,
            authority,
            rewritten: *target != *raw,
            target,
            client: scan.client,
            upgrade: scan.upgrade,
            websocket_version: scan.websocket_version,
            websocket_key: scan.websocket_key,
            has_body: scan.has_body,
            forwarded_for: scan.forwarded_for,
            forwarded_proto: scan.forwarded_proto,
            origin: scan.origin,
            request_id: scan.request_id,
            preflight: method == "OPTIONS" && scan.cors_method && has_origin,
            source: request.source,
            authorization: scan.authorization,
            pomerium_authorization: scan.pomerium_authorization,
            body: request.body,
            certificate: scan.certificate,
            cookies: scan.cookies,
            spoofed: scan.spoofed,
        })
    }

    /// Returns the path without its query.
    pub(crate) fn path(&self) -> &str {
        split_query(&self.target).0
    }

    /// Returns the percent-decoded path without its query, which policies compare.
    pub(crate) fn decoded_path(&self) -> Cow<'_, str> {
        decode(self.path())
    }

    /// Returns the query.
    pub(crate) fn query(&self) -> &str {
        split_query(&self.target).1.unwrap_or_default()
    }

    /// Returns a parameter of the query, when it is there exactly once.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut found = url::form_urlencoded::parse(self.query().as_bytes())
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned());
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Reads the proxy's own cookies.
    pub(crate) fn own_cookies(&self, names: &CookieNames) -> OwnCookies<'a> {
        let mut own = OwnCookies::default();
        for line in &self.cookies {
            names.read(line, &mut own);
        }
        own
    }

    /// Returns all `Cookie` headers.
    pub(crate) fn cookies(&self) -> &[CookieLine<'a>] {
        &self.cookies
    }

    /// Returns whether a browser would follow a redirect to the provider and nothing of the request would be lost.
    pub(crate) fn is_navigation(&self) -> bool {
        self.method == "GET" && self.upgrade.is_none() && self.client.navigates()
    }

    /// Returns whether a user has opened the address, by a click or by typing it. A page whose script opens it does not count
    /// (Fetch Metadata, `Sec-Fetch-User`).
    pub(crate) fn is_opened_by_user(&self) -> bool {
        self.is_navigation() && self.client.fetch_user == Some(b"?1")
    }

    /// Returns whether a browser sends a form in place of a page, so that the user sees the reply.
    pub(crate) fn is_form_submission(&self) -> bool {
        self.method == "POST"
            && self.upgrade.is_none()
            && self.client.wants_html()
            && self.client.navigates()
    }
}

/// The findings of a pass over the headers, before they are checked.
#[derive(Default)]
struct Scan<'a> {
    method: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    client: Client<'a>,
    upgrade: Option<&'a [u8]>,
    websocket_version: Option<&'a [u8]>,
    websocket_key: Option<&'a [u8]>,
    has_body: bool,
    has_content_type: bool,
    expects: bool,
    origin: Option<&'a [u8]>,
    forwarded_for: Vec<&'a [u8]>,
    forwarded_proto: Option<&'a [u8]>,
    request_id: Option<&'a str>,
    certificate: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    pomerium_authorization: Option<&'a [u8]>,
    cookies: Vec<CookieLine<'a>>,
    cors_method: bool,
    spoofed: bool,
}

impl<'a> Scan<'a> {
    fn read(headers: &'a [(String, Vec<u8>)], known: &KnownNames) -> Result<Self, Refusal> {
        let mut scan = Self::default();
        for (name, value) in headers {
            scan.spoofed |= known.reserved.covers(name);
            if name == "cookie" {
                scan.cookies.push(known.cookies.scan(value));
            } else {
                scan.read_header(name, value)?;
            }
        }
        Ok(scan)
    }

    fn read_header(&mut self, name: &str, value: &'a [u8]) -> Result<(), Refusal> {
        match name {
            ":method" => self.method = Some(value),
            ":path" => self.target = Some(value),
            ":authority" => set_once(&mut self.authority, value, BadRequest::Host)?,
            "host" => set_once(&mut self.host, value, BadRequest::Host)?,
            "upgrade" => set_once(&mut self.upgrade, value, BadRequest::Upgrade)?,
            "sec-websocket-version" => set_only(&mut self.websocket_version, value),
            "sec-websocket-key" => set_only(&mut self.websocket_key, value),
            "transfer-encoding" | TRANSFER_ENCODING_HEADER => self.has_body = true,
            "content-length" => self.has_body |= value != b"0",
            "content-type" => self.has_content_type = true,
            "expect" => self.read_expectation(value)?,
            FORWARDED_FOR => self.forwarded_for.push(value),
            FORWARDED_PROTO => set_only(&mut self.forwarded_proto, value),
            "authorization" => set_only(&mut self.authorization, value),
            "x-pomerium-authorization" => set_only(&mut self.pomerium_authorization, value),
            "origin" => set_once(&mut self.origin, value, BadRequest::Origin)?,
            "access-control-request-method" => self.cors_method = !value.is_empty(),
            "x-request-id" => self.request_id = readable_id(value),
            CLIENT_CERTIFICATE_HEADER => set_only(&mut self.certificate, value),
            _ => self.client.read_header(name, value),
        }
        Ok(())
    }

    /// Checks `Expect`. The proxies have asked for the body and removed the header if it is `100-continue` alone.
    fn read_expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let is_second = std::mem::replace(&mut self.expects, true);
        if is_second || !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::Expectation);
        }
        Ok(())
    }

    /// Returns the host and port, which `:authority` and `Host` have to agree about.
    fn authority(&self) -> Result<Authority<'a>, Refusal> {
        let bad = Refusal::BadRequest(BadRequest::Host);
        if let (Some(authority), Some(host)) = (self.authority, self.host)
            && !authority.eq_ignore_ascii_case(host)
        {
            return Err(bad);
        }
        let stated = self.authority.or(self.host);
        stated.and_then(Authority::read).ok_or(bad)
    }
}

/// Keeps the value of a header that has to be the only one of its name; several count as an empty one.
fn set_only<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) {
    *slot = Some(if slot.is_none() { value } else { b"" });
}

fn set_once<'a>(
    slot: &mut Option<&'a [u8]>,
    value: &'a [u8],
    what: BadRequest,
) -> Result<(), Refusal> {
    if slot.replace(value).is_some() {
        Err(Refusal::BadRequest(what))
    } else {
        Ok(())
    }
}

fn read_method(method: Option<&[u8]>) -> Result<&str, Refusal> {
    let method = method
        .and_then(|method| std::str::from_utf8(method).ok())
        .unwrap_or_default();
    check_method(method)?;
    Ok(method)
}

/// Returns a request id that can be written to a page and a log.
fn readable_id(value: &[u8]) -> Option<&str> {
    let fit = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    std::str::from_utf8(value)
        .ok()
        .filter(|_| value.len() <= 64 && value.iter().all(fit))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
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
}

//! A request, read from its headers in one pass.

mod client;

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

pub(crate) use client::Client;

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
        Client::accepting(self.first("accept"))
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
        self.is_navigation() && self.client.is_user_activated()
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

#[cfg(test)]
mod tests;

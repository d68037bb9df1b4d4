//! Header fields.

use super::super::answers;
use super::super::recorder::{ANSWER, CLIENT_FRAME};
use super::super::request::{Early, Protocol, Request, latin1};
use super::super::sessions::Sessions;
use crate::Dice;

const ACCEPTED: &[&str] = &[
    "text/html,application/xhtml+xml,*/*;q=0.8",
    "*/*",
    "application/json",
    "text/html;q=0",
    "",
    "text/plain",
    "TEXT/HTML",
    "image/png",
];

pub(super) fn add_ordinary(dice: &mut Dice, request: &mut Request) {
    if !dice.once_in(4) {
        request.add("Accept", dice.pick(ACCEPTED));
    }
    match dice.below(5) {
        0 | 1 => {
            request.add("Sec-Fetch-Mode", "navigate");
            request.add("Sec-Fetch-Dest", "document");
        }
        2 => request.add("Sec-Fetch-Mode", "cors"),
        _ => {}
    }
}

/// Adds a session, or what is none, of this host or of another.
pub(super) fn add_session(dice: &mut Dice, request: &mut Request, sessions: &Sessions, host: &str) {
    if dice.once_in(8) {
        let (name, value) = &sessions.tokens[dice.below(sessions.tokens.len())];
        request.add(name, value);
    }
    if dice.once_in(3) {
        return;
    }
    let cookies = &sessions.cookies;
    let own: Vec<&str> = cookies
        .iter()
        .filter(|(of, _)| *of == host)
        .map(|(_, value)| value.as_str())
        .collect();
    let value = if own.is_empty() || dice.once_in(10) {
        cookies[dice.below(cookies.len())].1.clone()
    } else {
        dice.pick(&own).to_owned()
    };
    request.add("Cookie", value);
}

/// Fields that mean something to the proxy, to a server behind it, or to a server that is badly written.
const FIELDS: &[(&str, &str)] = &[
    ("Origin", "https://app.localhost"),
    ("Origin", "null"),
    ("Referer", "https://evil.example/"),
    ("Authorization", "Bearer abc.def.ghi"),
    ("Authorization", "Basic dTpw"),
    ("Authorization", "Pomerium abc"),
    ("Authorization", ""),
    ("Proxy-Authorization", "Basic dTpw"),
    ("X-Pomerium-Authorization", "abc"),
    ("X-Pomerium-Jwt-Assertion", "abc"),
    ("X-Pomerium-Claim-Email", "root@example.com"),
    ("X-Pomerium-Anything", "1"),
    ("X-Jetway-Route", "r0"),
    ("X-Jetway-Any", "1"),
    ("X-Email", "root@example.com"),
    ("X-Forwarded-User", "root"),
    ("Remote-User", "root"),
    ("X-Remote-User", "root"),
    ("X-Real-Ip", "1.2.3.4"),
    ("X-Forwarded-For", "1.2.3.4"),
    ("X-Forwarded-For", "1.2.3.4, 5.6.7.8"),
    ("X-Forwarded-For", "nonsense"),
    ("X-Forwarded-For", "2001:db8::1"),
    ("X-Forwarded-For", "[2001:db8::1]:80, 1.2.3.4:5"),
    ("X-Forwarded-For", ""),
    ("X-Forwarded-For", "1.2.3.4,, 5.6.7.8"),
    ("X-Forwarded-For", "5.6.7.8 , 1.2.3.4 "),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Client-Cert", "Hash=abc"),
    ("Forwarded", "for=1.2.3.4"),
    ("Via", "1.1 other"),
    ("X-Envoy-External-Address", "1.2.3.4"),
    ("X-Envoy-Original-Path", "/admin"),
    ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"),
    ("X-Envoy-Max-Retries", "3"),
    ("X-Envoy-Retry-On", "5xx"),
    ("X-Envoy-Decorator-Operation", "x"),
    ("X-Envoy-Internal", "true"),
    ("X-Envoy-Expected-Rq-Timeout-Ms", "5"),
    ("X-Envoy-Attempt-Count", "7"),
    ("X-Envoy-Force-Trace", "true"),
    ("X-Envoy-Ip-Tags", "a"),
    ("X-Client-Trace-Id", "abc"),
    ("X-Request-Id", "mine"),
    ("X-Request-Id", "<not> one word"),
    ("X-Envoy-Anything", "1"),
    ("X-Request-Id", "11111111-2222-3333-4444-555555555555"),
    (
        "Traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("X-Http-Method-Override", "DELETE"),
    ("X-Original-Url", "/admin"),
    ("X-Rewrite-Url", "/admin"),
    ("Max-Forwards", "0"),
    ("Range", "bytes=0-1"),
    ("If-None-Match", "\"a\""),
    ("Content-Type", "application/grpc"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Content-Encoding", "gzip"),
    ("Grpc-Timeout", "1S"),
    ("Accept-Encoding", "gzip, br"),
    ("User-Agent", ""),
    ("User-Agent", "curl/8"),
    ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("Server", "mine"),
    ("Proxy", "http://evil.example"),
    ("Access-Control-Request-Method", "PUT"),
    ("X-Any", ""),
    ("X-Any", "caf\u{e9}"),
    ("X-Any", "a\tb"),
    ("X-Any", "  padded  "),
    ("X-Any", "1"),
    ("X-Any", "2"),
    ("x-any", "3"),
    ("X_Any", "1"),
    ("X.Any", "1"),
    ("X~Any", "1"),
    ("Cookie", "a=b"),
    ("Cookie", "a=b; c=\"d\"; =e; f"),
    ("Cookie", "\u{e9}=\u{ff}"),
    ("Cookie", ""),
    ("Cookie", "__Host-_pomerium=x"),
    ("Cookie", "__Host-_pomerium_login_count=3"),
    ("Te", "trailers"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Mode", "websocket"),
    ("Service-Worker", "script"),
    ("X-Requested-With", "XMLHttpRequest"),
    ("Early-Data", "1"),
    ("Priority", "u=1"),
    ("Host2", "x"),
    ("Alt-Used", "evil.example"),
    ("X-Forwarded-Scheme", "http"),
    ("X-Scheme", "http"),
    ("Front-End-Https", "on"),
    ("Content-Location", "/x"),
    ("Cdn-Loop", "a"),
    ("Upgrade-Insecure-Requests", "1"),
];

/// Fields of one connection. HTTP/2 has none (RFC 9113 section 8.2.2).
const HOP_BY_HOP: &[(&str, &str)] = &[
    ("Connection", "close"),
    ("Connection", "keep-alive"),
    ("Connection", "X-Any"),
    ("Connection", "Cookie"),
    ("Connection", "close, X-Forwarded-For"),
    ("Connection", "Authorization, Host"),
    ("Connection", ""),
    ("Connection", "keep-alive, X-Any, close"),
    ("Connection", "Te"),
    ("Connection", "Content-Length"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("Te", "gzip, trailers;q=0.5"),
    ("Te", "gzip"),
    ("Te", ""),
    ("Trailer", "X-Sum"),
    ("Upgrade", "h2c"),
    ("Http2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
    ("Transfer-Encoding", "chunked"),
];

pub(super) fn change(dice: &mut Dice, request: &mut Request, protocol: Protocol) {
    match dice.below(12) {
        0 => many(dice, request, protocol),
        1 if !request.fields.is_empty() => {
            let place = dice.below(request.fields.len());
            let again = request.fields[place].clone();
            request.fields.push(again);
        }
        2 if protocol == Protocol::Http2 => strange_in_http2(dice, request),
        2..=4 if protocol == Protocol::Http1 || dice.once_in(4) => {
            let (name, value) = dice.pick(HOP_BY_HOP);
            // A body of chunks has to follow.
            if name == "Transfer-Encoding" && protocol == Protocol::Http1 {
                request.frame(&["Transfer-Encoding: chunked"], b"0\r\n\r\n");
            } else {
                request.add(name, value);
            }
        }
        _ => {
            let (name, value) = dice.pick(FIELDS);
            request.add(name, latin1(value));
        }
    }
}

/// Many or large fields.
fn many(dice: &mut Dice, request: &mut Request, protocol: Protocol) {
    match dice.below(5) {
        0 => (0..90).for_each(|number| request.add("Cookie", format!("c{number}=v"))),
        1 => (0..60).for_each(|number| request.add(&format!("X-{number}"), "v")),
        // One line of HTTP/1.1 is one field; more than a hundred are a difference of its own.
        2 if protocol == Protocol::Http2 => {
            (0..150).for_each(|number| request.add(&format!("x-{number}"), "v"));
        }
        3 => request.add("X-Large", "a".repeat(50 << 10)),
        _ => request.add("X-Large", "a".repeat(70 << 10)),
    }
}

fn strange_in_http2(dice: &mut Dice, request: &mut Request) {
    match dice.below(6) {
        0 => request.add("host", "other.localhost"),
        1 => request.add(":path", "/b"),
        2 => request.add(":unknown", "1"),
        3 => request.add("x any", "1"),
        4 => request.add("x-any", "a\r\nb"),
        _ => request.add("x-any", "a\0b"),
    }
}

/// Names one of the recorder's answers.
pub(super) fn ask_for_answer(dice: &mut Dice, request: &mut Request) {
    let names: Vec<&str> = answers::names().collect();
    request.add(ANSWER, dice.pick(&names));
}

const UPGRADES: &[&str] = &[
    "websocket",
    "websocket",
    "websocket",
    "WebSocket",
    "websocket, h2c",
    "h2c, websocket",
    "h2c",
    "TLS/1.2",
    "foo",
    "foo, bar",
    "",
    "websocket/13",
];

/// A handshake of a WebSocket, or something like it.
pub(super) fn ask_for_upgrade(dice: &mut Dice, request: &mut Request) {
    if dice.once_in(3) {
        "GET".clone_into(&mut request.method);
        request.frame(&[], b"");
    }
    request.add(
        "Connection",
        dice.pick(&[
            "Upgrade",
            "Upgrade",
            "upgrade",
            "keep-alive, Upgrade",
            "close",
        ]),
    );
    request.add("Upgrade", dice.pick(UPGRADES));
    if !dice.once_in(6) {
        request.add(
            "Sec-WebSocket-Key",
            dice.pick(&[
                "dGhlIHNhbXBsZSBub25jZQ==",
                "dGhlIHNhbXBsZSBub25jZQ==",
                "short",
                "",
            ]),
        );
    }
    if !dice.once_in(6) {
        request.add("Sec-WebSocket-Version", dice.pick(&["13", "13", "13", "8"]));
    }
    if dice.once_in(3) {
        request.add("Origin", "https://app.localhost");
    }
    request.early = dice.pick(&[Early::None, Early::None, Early::Frame, Early::Request]);
    request.tunnelled = CLIENT_FRAME.repeat(dice.below(3));
}

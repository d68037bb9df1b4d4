//! Targets: paths in every encoding, and other forms.

use super::super::request::Request;
use crate::Dice;

const SEGMENTS: &[&str] = &[
    "a",
    "b",
    "ab",
    "x.y",
    "p%20q",
    "%C3%A9",
    "new",
    "c+d@",
    "a:b",
    "42",
    "~u",
    "a=b",
    "$&'()*,!",
    "%5B%7C%5D",
    "A",
    "%41",
];

/// Segments that servers read in different ways.
const DISPUTED: &[&str] = &[
    ".",
    "..",
    "%2e",
    "%2E%2e",
    ".%2e",
    "%2e.",
    "...",
    "",
    "..;",
    ".;a",
    "a;v=1",
    ";",
    "a%3Bv",
    "a%2fb",
    "a%2Fb",
    "a%5cb",
    "a\\b",
    "..\\",
    "%252e%252e",
    "%2561",
    "a%00b",
    "%0a",
    "%0d%0a",
    "%7f",
    "%ff",
    "%c0%ae",
    "%zz",
    "%",
    "a%",
    "a%4",
    "%u002e",
    "\u{e9}",
    "a|b",
    "a^b",
    "{a}",
    "[a]",
    "a\"b",
    "a'b",
    "a<b",
    "a>b",
    "a`b",
    "%E2%80%AE",
    "a%20",
    "%20a",
    "a%09",
    "con:",
    "a//b",
    "%2E%2E%2F",
    "..%2f",
    "..%5c",
    "%2f",
    "*",
    "a,b",
    "@",
    "%40",
];

const QUERIES: &[&str] = &[
    "",
    "",
    "?",
    "?x=1",
    "?next=/../a%2fb;c",
    "?a=\"<>",
    "?a=%zz%00",
    "??",
    "?a?b",
    "?\u{e9}",
    "?a`b",
    "?a|b^c{d}",
    "?a=b&a=c",
    "?%0d%0a",
    "?[x]=1",
    "?a\\b",
    "?a=%ff",
];

/// Paths of the proxy's own.
const OWN: &[&str] = &[
    "/ping",
    "/healthz",
    "/ping/",
    "/healthz?x",
    "/.pomerium/",
    "/.pomerium",
    "/.pomerium/sign_out",
    "/.pomerium/signed_out",
    "/.pomerium/callback",
    "/.pomerium/callback?code=a&state=b",
    "/.pomerium/callback?error=access_denied&state=x",
    "/.pomerium/sign_in",
    "/.pomerium/sign_in?pomerium_redirect_uri=https://evil.example/",
    "/.pomerium/jwt",
    "/.pomerium/user",
    "/.pomerium/api/v1/login",
    "/.pomerium/api/v1/login?pomerium_redirect_uri=http://localhost:1/",
    "/.pomerium/backchannel_logout",
    "/.pomerium/frontchannel_logout?iss=a&sid=b",
    "/.pomerium/clear_cookies",
    "/.well-known/pomerium",
    "/.well-known/pomerium/jwks.json",
    "/.pomerium/admin",
    "/.pomerium/nothing",
    "/oauth2/callback",
    "/%2epomerium/",
    "/.Pomerium/",
    "/.pomerium//jwt",
    "/x/../.pomerium/jwt",
    "/robots.txt",
    "/favicon.ico",
    "/.pomerium/icon",
];

/// A path below one of the deployment's, in its plain form.
pub(super) fn path(dice: &mut Dice, known: &[String]) -> String {
    let mut path = known[dice.below(known.len())].clone();
    for _ in 0..dice.below(3) {
        if !path.ends_with('/') {
            path.push('/');
        }
        path.push_str(dice.pick(SEGMENTS));
    }
    if dice.once_in(4) {
        path.push_str("?x=1&y=%20");
    }
    path
}

pub(super) fn change(dice: &mut Dice, request: &mut Request, public: u16) {
    match dice.below(10) {
        0 | 1 => dice.pick(OWN).clone_into(&mut request.target),
        2 => strange_form(dice, request, public),
        3 => request
            .target
            .push_str(dice.pick(&["#", "#x", "#/../admin", "?x#y"])),
        4 => {
            let path = request.target.split('?').next().unwrap_or_default();
            request.target = format!("{path}{}", dice.pick(QUERIES));
        }
        5 => escape(dice, request),
        _ => insert(dice, request),
    }
}

/// Puts a disputed segment somewhere.
fn insert(dice: &mut Dice, request: &mut Request) {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (request.target.as_str(), String::new()),
    };
    let mut segments: Vec<&str> = path.split('/').collect();
    let place = 1 + dice.below(segments.len());
    segments.insert(place.min(segments.len()), dice.pick(DISPUTED));
    request.target = format!("{}{query}", segments.join("/"));
}

/// Writes one character of the path as an escape.
fn escape(dice: &mut Dice, request: &mut Request) {
    let length = request.target.split('?').next().unwrap_or_default().len();
    let place = dice.below(length.max(1));
    if !request.target.is_char_boundary(place) || !request.target.is_char_boundary(place + 1) {
        return;
    }
    let byte = request.target.as_bytes()[place];
    let escape = if dice.once_in(2) {
        format!("%{byte:02x}")
    } else {
        format!("%{byte:02X}")
    };
    request.target.replace_range(place..=place, &escape);
}

/// Targets that are not a path.
fn strange_form(dice: &mut Dice, request: &mut Request, public: u16) {
    let authority = request.authority.clone().unwrap_or_default();
    let target = request.target.clone();
    request.target = match dice.below(12) {
        0 => format!("https://{authority}{target}"),
        1 => format!("http://{authority}{target}"),
        2 => format!("https://other.localhost:{public}{target}"),
        3 => "*".to_owned(),
        4 => target.trim_start_matches('/').to_owned(),
        5 => format!("/{target}"),
        6 => format!("//evil.example{target}"),
        7 => authority,
        8 => format!("ftp://{authority}{target}"),
        9 => format!("HTTPS://{}{target}", authority.to_uppercase()),
        10 => format!("https://user:word@{authority}{target}"),
        _ => format!("https://{authority}?x=1"),
    };
}

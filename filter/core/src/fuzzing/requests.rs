//! Input of clients: paths, hosts, and whole requests.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::RouteNumber;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::http::forwarded::read_address;
use crate::http::path;
use crate::http::request::{Authority, Request};
use crate::testing::{Fixture, config};

/// Reads bytes as a path: the canonical form of a canonical path is itself, and it has no dot segments.
pub(super) fn path(bytes: &[u8]) {
    let Ok(raw) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = path::is_sendable(raw);
    let Ok(canonical) = path::canonical(raw) else {
        return;
    };
    assert_eq!(
        path::canonical(&canonical).as_deref().ok(),
        Some(&*canonical)
    );
    let (path, _) = path::split_query(&canonical);
    assert!(path.starts_with('/'));
    assert!(
        path.split('/')
            .all(|segment| segment != ".." && segment != ".")
    );
    let _ = path::decode(path);
}

/// Reads bytes as a host, and as an address that a proxy states.
pub(super) fn authority(bytes: &[u8]) {
    let _ = read_address(bytes);
    if let Some(authority) = Authority::read(bytes) {
        let written = authority.to_string();
        let again = Authority::read(written.as_bytes()).map(|again| again.to_string());
        assert_eq!(again, Some(written));
    }
}

/// Reads each line of bytes as a header of one request (`name: value`, with pseudo headers such as `:method`), and what follows an
/// empty line as its body. Without a session, the request can only reach the public route.
pub(super) fn request(bytes: &[u8]) {
    let (headers, body) = parse_request(bytes);
    let gate = Gate::new(config(&serde_json::json!({})));
    let mut fixture = Fixture::new();
    let source = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for body in [None, Some(body)] {
        let mut request = Request::new(&headers).from(source);
        if let Some(body) = body {
            request = request.body(body);
        }
        if let Step::Forward(forward) = gate.begin(&request, &mut fixture.env()) {
            assert_eq!(forward.forwarded().route, PUBLIC, "{headers:?}");
        }
    }
}

/// The number of the public route.
const PUBLIC: RouteNumber = RouteNumber(1);

fn parse_request(bytes: &[u8]) -> (Vec<(String, Vec<u8>)>, &[u8]) {
    let mut headers = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        // The name of a pseudo header begins with a colon, which ends the name of any other header.
        let skip = usize::from(line.starts_with(b":"));
        if let Some(colon) = line.iter().skip(skip).position(|byte| *byte == b':') {
            let (name, value) = line.split_at(colon + skip);
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let value = value.get(1..).unwrap_or_default();
            headers.push((name, value.trim_ascii().to_vec()));
        }
    }
    (headers, rest)
}

//! Properties: values that the plugin reads by a path, in the serialisation of Envoy's attributes.

use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

use http::{HeaderMap, Version, header};

use crate::context::{Phase, StreamContext};
use crate::maps::Head;
use crate::state::State;
use crate::{PluginConfig, RequestHead, ResponseHead, TlsFacts};

/// Most segments of a path: Envoy's attributes have up to three, metadata some more. Longer paths name no property.
const SEGMENTS_LIMIT: usize = 8;

/// Returns the value of a property, or `None` if it has none now. The segments of the path are joined by zero bytes.
pub(crate) fn find(state: &State, path: &[u8]) -> Option<Vec<u8>> {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let mut segments = [""; SEGMENTS_LIMIT];
    let mut count = 0;
    for segment in path.split(|byte| *byte == 0) {
        *segments.get_mut(count)? = std::str::from_utf8(segment).ok()?;
        count += 1;
    }
    let segments = segments.get(..count)?;
    plugin(&state.env.config, segments)
        .or_else(|| stream(state.stream()?, segments))
        .or_else(|| {
            let facts = state.stream().map(|stream| &stream.facts);
            state.env.services.properties.value(segments, facts)
        })
        .or_else(|| {
            state
                .stream()?
                .property(path)
                .filter(|_| count == 1)
                .map(<[u8]>::to_vec)
        })
}

fn plugin(config: &PluginConfig, path: &[&str]) -> Option<Vec<u8>> {
    let text = match path {
        ["plugin_name"] => &config.name,
        ["plugin_root_id"] => &config.root_id,
        ["plugin_vm_id"] => &config.vm_id,
        _ => return None,
    };
    Some(text.clone().into_bytes())
}

fn stream(stream: &StreamContext, path: &[&str]) -> Option<Vec<u8>> {
    let connection = &stream.facts.connection;
    match path {
        ["request", rest @ ..] => request(stream, rest),
        ["response", rest @ ..] => response(stream, rest),
        ["source", rest @ ..] => end(stream.facts.source, rest),
        ["destination", rest @ ..] => end(connection.destination, rest),
        ["connection_id"] | ["connection", "id"] => Some(connection.id.to_le_bytes().to_vec()),
        ["connection", rest @ ..] => tls(connection.tls.as_ref(), rest),
        _ => None,
    }
}

/// Returns facts about the client's TLS session; those about a certificate are absent if the client has shown none.
fn tls(tls: Option<&TlsFacts>, path: &[&str]) -> Option<Vec<u8>> {
    let certificate = tls.and_then(|tls| tls.certificate.as_ref());
    match path {
        ["mtls"] => Some(vec![u8::from(certificate.is_some())]),
        ["requested_server_name"] => {
            let name = tls.and_then(|tls| tls.server_name.clone());
            Some(name.unwrap_or_default().into_bytes())
        }
        ["tls_version"] => Some(tls?.version.into()),
        ["sha256_peer_certificate_digest"] => Some(certificate?.digest.clone().into_bytes()),
        ["dns_san_peer_certificate"] => certificate?.dns_name.clone().map(String::into_bytes),
        ["uri_san_peer_certificate"] => certificate?.uri.clone().map(String::into_bytes),
        _ => None,
    }
}

fn end(address: SocketAddr, path: &[&str]) -> Option<Vec<u8>> {
    match path {
        ["address"] => Some(address.to_string().into_bytes()),
        ["port"] => Some(i64::from(address.port()).to_le_bytes().to_vec()),
        _ => None,
    }
}

fn request(stream: &StreamContext, path: &[&str]) -> Option<Vec<u8>> {
    match path {
        ["time"] => {
            let since = stream.facts.received.duration_since(UNIX_EPOCH).ok()?;
            Some(i64::try_from(since.as_nanos()).ok()?.to_le_bytes().to_vec())
        }
        ["protocol"] => protocol(stream.facts.version).map(Into::into),
        _ => match &stream.phase {
            Phase::Request(head) => request_head(head, path),
            _ => None,
        },
    }
}

fn protocol(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("HTTP/1.0"),
        Version::HTTP_11 => Some("HTTP/1.1"),
        Version::HTTP_2 => Some("HTTP/2"),
        Version::HTTP_3 => Some("HTTP/3"),
        _ => None,
    }
}

fn request_head(head: &RequestHead, path: &[&str]) -> Option<Vec<u8>> {
    let headers = &head.headers;
    match path {
        ["path"] => Some(head.path.as_str().into()),
        ["url_path"] => Some(head.path.path().into()),
        ["query"] => Some(head.path.query().unwrap_or_default().into()),
        ["host"] => Some(head.authority.as_bytes().to_vec()),
        ["scheme"] => Some(head.scheme.as_str().into()),
        ["method"] => Some(head.method.as_str().into()),
        ["referer"] => joined(headers, header::REFERER.as_str()),
        ["useragent"] => joined(headers, header::USER_AGENT.as_str()),
        ["id"] => joined(headers, "x-request-id"),
        ["size"] => {
            let length = headers
                .get(header::CONTENT_LENGTH)
                .and_then(|length| length.to_str().ok());
            let length = length
                .and_then(|length| length.parse::<i64>().ok())
                .unwrap_or(0);
            Some(length.to_le_bytes().to_vec())
        }
        ["headers", name] => head.fields().value(name.as_bytes()).and_then(|first| {
            if head.is_pseudo(name.as_bytes()) {
                Some(first.to_vec())
            } else {
                joined(headers, name)
            }
        }),
        _ => None,
    }
}

fn response(stream: &StreamContext, path: &[&str]) -> Option<Vec<u8>> {
    match (path, &stream.phase) {
        (["code"], Phase::Response(ResponseHead { status, .. })) => Some(code(status.as_u16())),
        (["code"], _) => stream.status.map(|status| code(status.as_u16())),
        (["code_details"], _) => stream.details.clone().map(String::into_bytes),
        (["headers", name], Phase::Response(head)) => joined(&head.headers, name),
        _ => None,
    }
}

fn code(status: u16) -> Vec<u8> {
    i64::from(status).to_le_bytes().to_vec()
}

/// Returns all values of a field, joined by commas.
fn joined(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let mut values = headers.get_all(name).iter();
    let mut text = values.next()?.as_bytes().to_vec();
    for value in values {
        text.push(b',');
        text.extend_from_slice(value.as_bytes());
    }
    Some(text)
}

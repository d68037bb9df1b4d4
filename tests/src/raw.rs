//! Reading one HTTP/1.1 response from a connection that may contain any bytes.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncReadExt as _;

use crate::{Response, Stream};

/// Reads a head, and the body up to its announced length or the end of the connection.
pub(crate) async fn read_response(stream: &mut Box<dyn Stream>) -> Result<Option<Response>> {
    let mut buffer = Vec::new();
    let (mut response, start) = loop {
        if let Some(parsed) = parse_head(&buffer)? {
            break parsed;
        }
        if !receive(stream, &mut buffer).await {
            return Ok(None);
        }
    };
    let announced = response
        .header("content-length")
        .and_then(|length| length.parse::<usize>().ok());
    while announced.is_none_or(|length| buffer.len() < start + length) {
        if !receive(stream, &mut buffer).await {
            break;
        }
    }
    response.body = Bytes::copy_from_slice(&buffer[start..]);
    Ok(Some(response))
}

/// Reads available bytes. Returns false at the end, which may be a reset: earlier bytes still count.
async fn receive(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(count) if count > 0)
}

fn parse_head(buffer: &[u8]) -> Result<Option<(Response, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(buffer)? else {
        return Ok(None);
    };
    let mut map = HeaderMap::new();
    for header in head.headers.iter() {
        map.append(
            http::HeaderName::from_bytes(header.name.as_bytes())?,
            http::HeaderValue::from_bytes(header.value)?,
        );
    }
    let status = StatusCode::from_u16(head.code.context("a complete head has a status")?)?;
    Ok(Some((
        Response {
            status,
            headers: map,
            body: Bytes::new(),
        },
        start,
    )))
}

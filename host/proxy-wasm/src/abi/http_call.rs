//! `proxy_http_call`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use wasmtime::Caller;

use super::Imports;
use crate::guest::{Span, parts, put_u32};
use crate::state::{Calls, Pending, State};
use crate::status::{Status, code};
use crate::{maps, pairs, plugin};

/// Most concurrent calls of one instance, so that a plugin cannot open connections without bound.
const CALLS_LIMIT: usize = 256;
/// Most bytes of a call's body, which is held in memory until it is sent.
const BODY_LIMIT: usize = 1024 * 1024;
/// Longest duration of a call, also for a call without a timeout: a call that never ends would hold its slot forever.
const TIMEOUT_LIMIT: Duration = Duration::from_secs(60);

/// The arguments of a call.
struct Arguments {
    upstream: Span,
    headers: Span,
    body: Span,
    trailers: Span,
    timeout: u32,
    id: u32,
}

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_http_call",
        |mut caller: Caller<'_, State>,
         upstream: u32,
         upstream_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         timeout: u32,
         id: u32| {
            let arguments = Arguments {
                upstream: Span {
                    address: upstream,
                    size: upstream_size,
                },
                headers: Span {
                    address: headers,
                    size: headers_size,
                },
                body: Span {
                    address: body,
                    size: body_size,
                },
                trailers: Span {
                    address: trailers,
                    size: trailers_size,
                },
                timeout,
                id,
            };
            code(call(&mut caller, &arguments))
        },
    )
}

fn call(caller: &mut Caller<'_, State>, arguments: &Arguments) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    put_u32(memory, arguments.id, 0)?;
    let upstream =
        std::str::from_utf8(arguments.upstream.of(memory)?).map_err(|_| Status::BadArgument)?;
    let (headers, body) = (arguments.headers.of(memory)?, arguments.body.of(memory)?);
    let trailers = arguments.trailers.of(memory)?;
    let timeout = timeout(arguments.timeout)?;
    let headers = pairs::parse(headers).ok_or(Status::BadArgument)?;
    // Trailers are not supported. The call is refused, because dropping them silently would be worse.
    let trailers = pairs::parse(trailers).ok_or(Status::BadArgument)?;
    if !trailers.is_empty() || body.len() > BODY_LIMIT {
        return Err(Status::BadArgument);
    }
    if state.calls.pending.len() >= CALLS_LIMIT {
        tracing::warn!("too many HTTP calls of the plugin are in progress; a call was refused");
        return Err(Status::InternalFailure);
    }
    let request = request(&headers, body)?;
    let call = state
        .env
        .services
        .calls
        .send(upstream, request, timeout)
        .ok_or(Status::BadArgument)?;
    let id = next_id(&mut state.calls);
    let pending = Pending {
        caller: state.effective,
        _task: plugin::spawn_call(state.link.clone(), id, call),
    };
    state.calls.pending.insert(id, pending);
    if let Some(stream) = state.stream_mut() {
        stream.calls = stream.calls.saturating_add(1);
    }
    put_u32(memory, arguments.id, id)
}

/// Returns an unused number: a multiple of four, as in Envoy, where the low bits distinguish HTTP calls from gRPC
/// calls.
fn next_id(calls: &mut Calls) -> u32 {
    loop {
        calls.last = calls.last.wrapping_add(4).max(4);
        if !calls.pending.contains_key(&calls.last) {
            return calls.last;
        }
    }
}

fn timeout(milliseconds: u32) -> Result<Duration, Status> {
    match milliseconds {
        0 => Ok(TIMEOUT_LIMIT),
        // The number would be negative in the ABI.
        0x8000_0000.. => Err(Status::BadArgument),
        _ => Ok(Duration::from_millis(milliseconds.into()).min(TIMEOUT_LIMIT)),
    }
}

/// Builds the request in origin form with a `host` field. All its parts are valid HTTP.
fn request(pairs: &[(&[u8], &[u8])], body: &[u8]) -> Result<Request<Bytes>, Status> {
    let invalid = |_| Status::BadArgument;
    let mut headers = HeaderMap::with_capacity(pairs.len());
    let (mut method, mut path) = (None, None);
    for (name, value) in pairs {
        match *name {
            b":method" => {
                method = Some(Method::from_bytes(value).map_err(|_| Status::BadArgument)?)
            }
            b":path" => path = Some(maps::path(value).map_err(invalid)?),
            b":authority" => {
                let authority = HeaderValue::from_bytes(value).map_err(|_| Status::BadArgument)?;
                headers.insert(header::HOST, authority);
            }
            // The address of the upstream determines the scheme.
            b":scheme" => {}
            _ => {
                let (name, value) = maps::line(name, value).map_err(invalid)?;
                maps::append(&mut headers, name, value).map_err(invalid)?;
            }
        }
    }
    let (Some(method), Some(path), true) = (method, path, headers.contains_key(header::HOST))
    else {
        return Err(Status::BadArgument);
    };
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = headers;
    Ok(request)
}

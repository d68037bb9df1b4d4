//! Continuing, resetting and answering streams, and choosing the effective context. These functions only record an
//! action; it is applied after the callback has returned.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use wasmtime::Caller;

use super::Imports;
use crate::context::{PendingActions, Phase, ROOT};
use crate::guest::{Span, parts, put_u32};
use crate::state::{RootEnd, State};
use crate::status::{Status, code};
use crate::{LocalReply, maps, pairs};

/// Most bytes of a local reply's body: pages are far smaller, and many replies may wait for slow clients.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// Longest reason for a local reply.
const DETAILS_LIMIT: usize = 256;

/// Stream type of a request.
const REQUEST: u32 = 0;
/// Stream type of a response.
const RESPONSE: u32 = 1;
/// The last stream type of the ABI.
const LAST: u32 = 3;

/// Where the parts of a local reply are in the plugin's memory.
struct ReplySpan {
    details: Span,
    body: Span,
    headers: Span,
}

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_continue_stream",
        |mut caller: Caller<'_, State>, kind: u32| code(resume(caller.data_mut(), kind)),
    )?;
    imports.env(
        "proxy_close_stream",
        |mut caller: Caller<'_, State>, kind: u32| code(close(caller.data_mut(), kind)),
    )?;
    imports.env(
        "proxy_send_local_response",
        |mut caller: Caller<'_, State>,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         _grpc_status: u32| {
            let reply = ReplySpan {
                details: Span {
                    address: details,
                    size: details_size,
                },
                body: Span {
                    address: body,
                    size: body_size,
                },
                headers: Span {
                    address: headers,
                    size: headers_size,
                },
            };
            code(note_reply(&mut caller, status, &reply))
        },
    )?;
    imports.env(
        "proxy_set_effective_context",
        |mut caller: Caller<'_, State>, id: u32| code(choose(caller.data_mut(), id)),
    )?;
    imports.env("proxy_done", |mut caller: Caller<'_, State>| {
        finish(caller.data_mut());
        code(Ok(()))
    })?;
    imports.env(
        "proxy_get_status",
        |mut caller: Caller<'_, State>, status: u32, data: u32, size: u32| {
            code(parts(&mut caller).and_then(|(memory, _)| {
                [status, data, size]
                    .iter()
                    .try_for_each(|slot| put_u32(memory, *slot, 0))
            }))
        },
    )
}

/// Records an action for the effective stream. Without a stream there is nothing to do, which is no failure.
fn note_action(state: &mut State, note: impl FnOnce(&Phase, &mut PendingActions)) {
    let id = state.effective;
    if let Some(stream) = state.stream_mut() {
        note(&stream.phase, &mut stream.pending);
        state.contexts.touch(id);
    }
}

fn resume(state: &mut State, kind: u32) -> Result<(), Status> {
    if kind > LAST {
        return Err(Status::BadArgument);
    }
    note_action(state, |phase, pending| {
        pending.resume |= matches!(
            (kind, phase),
            (REQUEST, Phase::Request(_)) | (RESPONSE, Phase::Response(_))
        );
    });
    Ok(())
}

fn close(state: &mut State, kind: u32) -> Result<(), Status> {
    if kind > LAST {
        return Err(Status::BadArgument);
    }
    note_action(state, |_, pending| pending.close = true);
    Ok(())
}

fn note_reply(
    caller: &mut Caller<'_, State>,
    status: u32,
    reply: &ReplySpan,
) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let (details, body) = (reply.details.of(memory)?, reply.body.of(memory)?);
    let pairs = pairs::parse(reply.headers.of(memory)?).unwrap_or_default();
    note_action(state, |phase, pending| {
        if pending.reply.is_none() && !matches!(phase, Phase::Over) {
            pending.reply = Some(local_reply(status, details, body, &pairs));
        }
    });
    Ok(())
}

fn local_reply(status: u32, details: &[u8], body: &[u8], pairs: &[(&[u8], &[u8])]) -> LocalReply {
    let (status, body) = match final_status(status) {
        Some(status) if body.len() <= BODY_LIMIT => (status, body),
        _ => {
            tracing::warn!(
                "the plugin's reply has an invalid status or a body that is too long; 500 is sent instead"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, &b""[..])
        }
    };
    let bodiless = matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    let body = if bodiless {
        Bytes::new()
    } else {
        Bytes::copy_from_slice(body)
    };
    let mut headers = reply_headers(pairs);
    // As in Envoy.
    if body.is_empty() {
        headers.remove(header::CONTENT_TYPE);
    } else if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    let details = details.get(..DETAILS_LIMIT).unwrap_or(details);
    LocalReply {
        status,
        headers,
        body,
        details: String::from_utf8_lossy(details).into_owned(),
    }
}

/// Returns a status that ends a request.
fn final_status(status: u32) -> Option<StatusCode> {
    let status = u16::try_from(status)
        .ok()
        .filter(|status| (200..600).contains(status))?;
    StatusCode::from_u16(status).ok()
}

/// Returns the fields of a reply. The proxy sets the fields that frame a message.
fn reply_headers(pairs: &[(&[u8], &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(pairs.len().saturating_add(1));
    for (name, value) in pairs.iter().filter(|(name, _)| !name.starts_with(b":")) {
        let added = maps::line(name, value)
            .and_then(|(name, value)| maps::append(&mut headers, name, value));
        if added.is_err() {
            tracing::warn!(
                "the plugin's reply has a header field that is not valid HTTP; it was removed"
            );
        }
    }
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ] {
        headers.remove(name);
    }
    headers
}

fn choose(state: &mut State, id: u32) -> Result<(), Status> {
    if id != ROOT && state.contexts.find(id).is_none() {
        return Err(Status::BadArgument);
    }
    state.effective = id;
    Ok(())
}

fn finish(state: &mut State) {
    if let RootEnd::Waiting(waker) = &mut state.root_end {
        let waker = waker.take();
        state.root_end = RootEnd::Done;
        waker.into_iter().for_each(std::task::Waker::wake);
    }
}

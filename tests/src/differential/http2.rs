//! HTTP/2 frame by frame (RFC 9113), so that fields can be sent that no library would send.

use std::time::Duration;

use anyhow::{Context as _, Result};
use httlib_hpack::Decoder;
use tokio::io::AsyncWriteExt as _;

use super::client::{Answer, Received, receive};
use super::head::{Head, escaped};
use super::request::{Request, latin1};
use crate::Stream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest payload that every receiver takes.
const LARGEST: usize = 16_384;
const FRAME_HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// Sends the requests one after the other, each on a stream of its own.
pub(super) async fn converse(
    stream: Box<dyn Stream>,
    requests: &[Request],
    silence: Duration,
) -> Result<Vec<Answer>> {
    let mut connection = Connection {
        stream,
        buffer: Vec::new(),
        decoder: Decoder::default(),
        silence,
    };
    connection.send(PREFACE).await;
    connection.send(&frame(SETTINGS, 0, 0, &[])).await;
    let mut answers = Vec::new();
    for (place, request) in requests.iter().enumerate() {
        let id = u32::try_from(place * 2 + 1)?;
        connection.send(&request_frames(request, id)).await;
        let answer = connection.read_answer(id).await?;
        let lost = matches!(answer, Lost(_));
        let (Lost(answer) | Stayed(answer)) = answer;
        answers.push(answer);
        if lost {
            break;
        }
    }
    Ok(answers)
}

/// An answer, and whether the connection is there for more.
enum Read {
    Stayed(Answer),
    Lost(Answer),
}
use Read::{Lost, Stayed};

/// One stream's answer as far as it has come.
#[derive(Default)]
struct Partial {
    head: Option<Head>,
    body: Vec<u8>,
}

impl Partial {
    fn broken_off(self) -> Answer {
        self.head.map_or(Answer::End, Answer::BrokenOff)
    }

    fn finish(self) -> Answer {
        match self.head {
            Some(head) => Answer::Whole {
                head,
                body: self.body,
            },
            None => Answer::End,
        }
    }
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    decoder: Decoder<'static>,
    silence: Duration,
}

impl Connection {
    async fn send(&mut self, bytes: &[u8]) {
        // A proxy may end the connection before it has read everything.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    async fn read_answer(&mut self, id: u32) -> Result<Read> {
        let mut partial = Partial::default();
        loop {
            let frame = match self.read_frame().await {
                Ok(frame) => frame,
                Err(Received::Silence) => return Ok(Lost(Answer::Silence)),
                Err(_) => return Ok(Lost(partial.broken_off())),
            };
            match (frame.kind, frame.stream == id) {
                (SETTINGS, _) if frame.flags & ACK == 0 => {
                    self.send(&self::frame(SETTINGS, ACK, 0, &[])).await;
                }
                (PING, _) if frame.flags & ACK == 0 => {
                    self.send(&self::frame(PING, ACK, 0, &frame.payload)).await;
                }
                (GOAWAY, _) => return Ok(Lost(partial.broken_off())),
                (RST_STREAM, true) => return Ok(Stayed(partial.broken_off())),
                (HEADERS, _) => self.take_fields(&frame, &mut partial).await?,
                (DATA, true) => partial.body.extend_from_slice(unpadded(&frame)),
                _ => {}
            }
            let is_content = matches!(frame.kind, DATA | HEADERS) && frame.stream == id;
            if is_content && frame.flags & END_STREAM != 0 {
                return Ok(Stayed(partial.finish()));
            }
        }
    }

    /// Reads the fields of a head or of trailers, which end the body.
    async fn take_fields(&mut self, frame: &Frame, partial: &mut Partial) -> Result<()> {
        let mut block = unpadded(frame).to_owned();
        let mut flags = frame.flags;
        while flags & END_HEADERS == 0 {
            let Ok(next) = self.read_frame().await else {
                return Ok(());
            };
            block.extend_from_slice(&next.payload);
            flags = next.flags;
        }
        let mut fields = Vec::new();
        self.decoder
            .decode(&mut block, &mut fields)
            .ok()
            .context("HPACK of an answer")?;
        let mut fields: Vec<(String, String)> = fields
            .into_iter()
            .map(|(name, value, _)| (escaped(&name), escaped(&value)))
            .collect();
        let Some(place) = fields.iter().position(|(name, _)| name == ":status") else {
            for (name, value) in fields {
                partial
                    .body
                    .extend_from_slice(format!("{name}: {value}").as_bytes());
            }
            return Ok(());
        };
        let (_, status) = fields.remove(place);
        if !status.starts_with('1') {
            partial.head = Some(Head {
                first: format!("HTTP/2 {status}"),
                fields,
            });
        }
        Ok(())
    }

    async fn read_frame(&mut self) -> Result<Frame, Received> {
        loop {
            if let Some(frame) = self.parse_frame() {
                return Ok(frame);
            }
            match receive(&mut self.stream, &mut self.buffer, self.silence).await {
                Received::Bytes => {}
                other => return Err(other),
            }
        }
    }

    fn parse_frame(&mut self) -> Option<Frame> {
        let head = self.buffer.get(..FRAME_HEAD)?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u32::from(byte))
        };
        let end = FRAME_HEAD + usize::try_from(number(&head[..3])).ok()?;
        let payload = self.buffer.get(FRAME_HEAD..end)?.to_owned();
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]) & 0x7fff_ffff,
            payload,
        };
        self.buffer.drain(..end);
        Some(frame)
    }
}

/// The payload of HEADERS or DATA without padding and priority.
fn unpadded(frame: &Frame) -> &[u8] {
    let mut payload = frame.payload.as_slice();
    if frame.flags & PADDED != 0 {
        let padding = payload.first().copied().map_or(0, usize::from);
        let end = payload.len().saturating_sub(padding);
        payload = payload.get(1..end).unwrap_or_default();
    }
    if frame.kind == HEADERS && frame.flags & PRIORITY != 0 {
        payload = payload.get(5..).unwrap_or_default();
    }
    payload
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn request_frames(request: &Request, stream: u32) -> Vec<u8> {
    let block = field_block(request);
    let has_body = !request.body.is_empty();
    let end_stream = if has_body { 0 } else { END_STREAM };
    let mut blocks = block.chunks(LARGEST).peekable();
    let mut bytes = Vec::new();
    let mut kind = HEADERS;
    while let Some(part) = blocks.next() {
        let last = if blocks.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        let flags = if kind == HEADERS {
            last | end_stream
        } else {
            last
        };
        bytes.extend(frame(kind, flags, stream, part));
        kind = CONTINUATION;
    }
    if has_body {
        let has_trailers = !request.trailers.is_empty();
        let flags = if has_trailers { 0 } else { END_STREAM };
        bytes.extend(frame(DATA, flags, stream, &request.body));
        if has_trailers {
            let block = trailer_block(request);
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
        }
    }
    bytes
}

/// The fields, each as a literal that is not kept (RFC 7541 section 6.2.2).
fn field_block(request: &Request) -> Vec<u8> {
    let mut block = Vec::new();
    let mut put = |name: &[u8], value: &[u8]| {
        block.push(0);
        put_string(&mut block, name);
        put_string(&mut block, value);
    };
    put(b":method", &latin1(&request.method));
    if request.method != "CONNECT" {
        put(b":scheme", b"https");
        put(b":path", &latin1(&request.target));
    }
    if let Some(authority) = &request.authority {
        put(b":authority", &latin1(authority));
    }
    for (name, value) in &request.fields {
        put(name.as_bytes(), value);
    }
    block
}

fn trailer_block(request: &Request) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in request.trailers {
        block.push(0);
        put_string(&mut block, name.as_bytes());
        put_string(&mut block, value.as_bytes());
    }
    block
}

fn put_string(block: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    if length < 127 {
        block.push(u8::try_from(length).unwrap_or_default());
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).unwrap_or_default() | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).unwrap_or_default());
    }
    block.extend_from_slice(bytes);
}

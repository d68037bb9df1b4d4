//! Holds a conversation with a proxy and returns the answers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use super::head::{Framing, Head, escaped, unchunk};
use super::http2;
use super::recorder::{CLIENT_FRAME, SERVER_FRAME};
use super::request::{Conversation, Protocol, Request};
use crate::{Dialer, Stream};

/// How long a proxy may keep silent. One that waits for more bytes says nothing either; that is an answer of its own.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// The same for a conversation that is held again because something differs: a busy machine may be slow.
pub(crate) const LONG_SILENCE: Duration = Duration::from_secs(15);

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A whole answer.
    Whole {
        /// Status line and fields.
        head: Head,
        /// The body without its chunks.
        body: Vec<u8>,
    },
    /// A head whose body broke off.
    BrokenOff(Head),
    /// The end of the connection, or of the stream.
    End,
    /// Nothing.
    Silence,
}

/// Everything that came back on one connection: the answers to the requests, and more than those if the proxy has seen more
/// requests than there are.
pub(crate) async fn converse(
    dialer: &Dialer,
    port: u16,
    conversation: &Conversation,
    silence: Duration,
) -> Result<Vec<Answer>> {
    let url = Url::parse(&format!("https://{}:{port}/", conversation.server_name))?;
    let protocol = match conversation.protocol {
        Protocol::Http1 => "http/1.1",
        Protocol::Http2 => "h2",
    };
    let dialer = dialer
        .coming_from(conversation.source)
        .beginning_with(conversation.preface.clone())
        .detour(port);
    let stream = dialer.open(&url, protocol).await.context("no connection")?;
    match conversation.protocol {
        Protocol::Http1 => Ok(Http1::new(stream, silence)
            .converse(&conversation.requests)
            .await),
        Protocol::Http2 => http2::converse(stream, &conversation.requests, silence).await,
    }
}

/// A connection of HTTP/1.1.
struct Http1 {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    answers: Vec<Answer>,
    silence: Duration,
}

impl Http1 {
    fn new(stream: Box<dyn Stream>, silence: Duration) -> Self {
        Self {
            stream,
            silence,
            buffer: Vec::new(),
            answers: Vec::new(),
        }
    }

    async fn converse(mut self, requests: &[Request]) -> Vec<Answer> {
        let mut rest = requests;
        while !rest.is_empty() {
            let together = 1 + rest[1..].iter().take_while(|next| next.pipelined).count();
            let (now, later) = rest.split_at(together);
            let bytes: Vec<u8> = now.iter().flat_map(Request::bytes).collect();
            // A proxy may refuse before it has read everything.
            let _ = self.stream.write_all(&bytes).await;
            for request in now {
                if !self.read_answer(&request.method).await {
                    return self.answers;
                }
                if self.is_switched() {
                    self.use_tunnel(request).await;
                    return self.answers;
                }
            }
            rest = later;
        }
        self.read_extra().await;
        self.answers
    }

    fn is_switched(&self) -> bool {
        matches!(self.answers.last(), Some(Answer::Whole { head, .. }) if head.status() == Some(101))
    }

    /// Sends frames into the tunnel and keeps what comes back of them, and of those that went before, as a further answer.
    async fn use_tunnel(&mut self, request: &Request) {
        let _ = self.stream.write_all(&request.tunnelled).await;
        let sent = request.early_bytes().len() + request.tunnelled.len();
        let expected = sent / CLIENT_FRAME.len() * SERVER_FRAME.len();
        while self.buffer.len() < expected && matches!(self.receive().await, Received::Bytes) {}
        let head = Head {
            first: "tunnel".to_owned(),
            fields: Vec::new(),
        };
        let mut body = std::mem::take(&mut self.buffer);
        body.truncate(expected);
        self.answers.push(Answer::Whole { head, body });
    }

    /// Reads an answer that comes although every request is answered: the last request of a conversation asks for the end of the connection.
    async fn read_extra(&mut self) {
        let closes = matches!(self.answers.last(), Some(Answer::Whole { .. }));
        if closes && (!self.buffer.is_empty() || matches!(self.receive().await, Received::Bytes)) {
            self.read_answer("GET").await;
        }
    }

    /// Reads the final answer to a request. False when nothing more can follow.
    async fn read_answer(&mut self, method: &str) -> bool {
        let (answer, goes_on) = loop {
            let Some((head, start)) = Head::parse(&self.buffer) else {
                match self.receive().await {
                    Received::Bytes => continue,
                    Received::End => break (self.end(), false),
                    Received::Silence => break (Answer::Silence, false),
                }
            };
            self.buffer.drain(..start);
            let interim = matches!(head.status(), Some(100 | 102..=199));
            if !interim {
                break self.read_body(head, method).await;
            }
        };
        self.answers.push(answer);
        goes_on
    }

    /// The end of the connection, with what came before it.
    fn end(&mut self) -> Answer {
        if self.buffer.is_empty() {
            return Answer::End;
        }
        let head = Head {
            first: escaped(&std::mem::take(&mut self.buffer)),
            fields: Vec::new(),
        };
        Answer::BrokenOff(head)
    }

    async fn read_body(&mut self, head: Head, method: &str) -> (Answer, bool) {
        let framing = if head.has_body(method) {
            head.framing()
        } else {
            Framing::Length(0)
        };
        let connection = head.values("connection").collect::<String>();
        let goes_on = !connection.eq_ignore_ascii_case("close") && framing != Framing::None;
        loop {
            let whole = match framing {
                Framing::None => None,
                Framing::Length(length) => {
                    let body = self.buffer.get(..length);
                    body.map(|body| (body.to_owned(), length))
                }
                Framing::Chunked => unchunk(&self.buffer),
            };
            if let Some((body, length)) = whole {
                self.buffer.drain(..length);
                return (Answer::Whole { head, body }, goes_on);
            }
            match self.receive().await {
                Received::Bytes => {}
                Received::End if framing == Framing::None => {
                    let body = std::mem::take(&mut self.buffer);
                    return (Answer::Whole { head, body }, false);
                }
                Received::End | Received::Silence => return (Answer::BrokenOff(head), false),
            }
        }
    }

    async fn receive(&mut self) -> Received {
        receive(&mut self.stream, &mut self.buffer, self.silence).await
    }
}

/// The result of a read.
pub(super) enum Received {
    /// More bytes.
    Bytes,
    /// The end, which may be a reset.
    End,
    /// Nothing.
    Silence,
}

pub(super) async fn receive(
    stream: &mut Box<dyn Stream>,
    buffer: &mut Vec<u8>,
    silence: Duration,
) -> Received {
    match tokio::time::timeout(silence, stream.read_buf(buffer)).await {
        Ok(Ok(count)) if count > 0 => Received::Bytes,
        Ok(_) => Received::End,
        Err(_) => Received::Silence,
    }
}

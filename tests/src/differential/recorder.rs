//! An upstream that keeps every request byte by byte and gives the answer that the request's `X-Answer` names.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answers::answer_to;
use super::head::{Framing, Head, unchunk};

/// Name of the header with the number of a case and the place of the request in its conversation, such as `7.0`.
pub(crate) const CASE: &str = "x-case";

/// Name of the header that chooses the answer.
pub(crate) const ANSWER: &str = "x-answer";

/// How long the recorder is given to read to the end what a proxy has sent it.
const SETTLE: Duration = Duration::from_secs(2);

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Request line and fields.
    pub head: Head,
    /// The body without its chunks.
    pub body: Vec<u8>,
    /// The bytes that came through a tunnel behind the request.
    pub tunnelled: Vec<u8>,
}

/// A running upstream. Dropping it closes its port and its connections.
pub(crate) struct Recorder {
    kept: Arc<Mutex<Kept>>,
    port: u16,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Kept {
    seen: Vec<Recorded>,
    /// Cases of requests whose end has not arrived.
    unfinished: Vec<usize>,
}

impl Recorder {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no port.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let kept = Arc::<Mutex<Kept>>::default();
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&kept)));
        Ok(Self {
            kept,
            port,
            _server: server,
        })
    }

    /// For `to` in a route.
    #[must_use]
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Takes out the whole requests of a case since the last call. Requests whose end never came are left out: how much of them
    /// a proxy has passed on before it notices is chance.
    pub(crate) async fn take(&self, case: usize) -> Vec<Recorded> {
        let deadline = tokio::time::Instant::now() + SETTLE;
        while self.with(|kept| kept.unfinished.contains(&case))
            && tokio::time::Instant::now() < deadline
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let of_case = |one: &mut Recorded| one.head.case().is_some_and(|(own, _)| own == case);
        self.with(|kept| kept.seen.extract_if(.., of_case).collect())
    }

    fn with<T>(&self, access: impl FnOnce(&mut Kept) -> T) -> T {
        lock(&self.kept, access)
    }
}

fn lock<T>(kept: &Mutex<Kept>, access: impl FnOnce(&mut Kept) -> T) -> T {
    access(&mut kept.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn accept(listener: TcpListener, kept: Arc<Mutex<Kept>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&kept)));
    }
}

/// Counts a request as unfinished while it lives.
struct Unfinished<'a> {
    kept: &'a Mutex<Kept>,
    case: usize,
}

impl<'a> Unfinished<'a> {
    fn begin(kept: &'a Mutex<Kept>, head: &Head) -> Self {
        let case = head.case().map_or(usize::MAX, |(case, _)| case);
        lock(kept, |kept| kept.unfinished.push(case));
        Self { kept, case }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        lock(self.kept, |kept| {
            if let Some(place) = kept.unfinished.iter().position(|one| *one == self.case) {
                kept.unfinished.swap_remove(place);
            }
        });
    }
}

async fn serve(mut stream: TcpStream, kept: Arc<Mutex<Kept>>) {
    let mut buffer = Vec::new();
    loop {
        if buffer.is_empty() && !receive(&mut stream, &mut buffer).await {
            return;
        }
        let Some((head, start)) = read_head(&mut stream, &mut buffer).await else {
            return;
        };
        let unfinished = Unfinished::begin(&kept, &head);
        buffer.drain(..start);
        let Some(body) = read_body(&mut stream, &mut buffer, head.framing()).await else {
            return;
        };
        let answer = answer_to(&head);
        let one = Recorded {
            head,
            body,
            tunnelled: Vec::new(),
        };
        if answer.switches {
            // The end of the tunnel is the end of the request.
            let early = std::mem::take(&mut buffer);
            let _ = stream.write_all(&answer.bytes).await;
            let tunnelled = echo(&mut stream, early).await;
            lock(&kept, |kept| kept.seen.push(Recorded { tunnelled, ..one }));
            return;
        }
        lock(&kept, |kept| kept.seen.push(one));
        drop(unfinished);
        if stream.write_all(&answer.bytes).await.is_err() || answer.closes {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Reads a head and says where it ends; `None` when its end does not come.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(Head, usize)> {
    loop {
        match Head::parse(buffer) {
            Some(parsed) => return Some(parsed),
            None if receive(stream, buffer).await => {}
            None => return None,
        }
    }
}

/// Takes a body out of what is read; `None` when its end does not come.
async fn read_body(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    framing: Framing,
) -> Option<Vec<u8>> {
    loop {
        let whole = match framing {
            Framing::None => Some((Vec::new(), 0)),
            Framing::Length(length) => buffer.get(..length).map(|body| (body.to_owned(), length)),
            Framing::Chunked => unchunk(buffer),
        };
        match whole {
            Some((body, length)) => {
                buffer.drain(..length);
                return Some(body);
            }
            None if receive(stream, buffer).await => {}
            None => return None,
        }
    }
}

/// A text frame of a client, which is masked, and the server's frame with the same text.
pub(crate) const CLIENT_FRAME: &[u8] = b"\x81\x85\x00\x00\x00\x00hello";
pub(crate) const SERVER_FRAME: &[u8] = b"\x81\x05hello";

/// Answers each frame until the other side ends, and returns everything that came.
async fn echo(stream: &mut TcpStream, early: Vec<u8>) -> Vec<u8> {
    let mut all = early;
    let mut answered = 0;
    loop {
        while answered < all.len() / CLIENT_FRAME.len() {
            answered += 1;
            let _ = stream.write_all(SERVER_FRAME).await;
        }
        if !receive(stream, &mut all).await {
            return all;
        }
    }
}

/// Reads what is there. False at the end.
async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(count) if count > 0)
}

//! A server on loopback whose responses a test determines.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A stub's next response; `None` breaks the connection off.
pub type Answer = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;

/// Determines the responses.
pub type Answers = Arc<dyn Fn(Request<Bytes>) -> Answer + Send + Sync>;

/// A running server. Dropping it closes its port and its connections.
pub struct Stub {
    port: u16,
    _server: JoinSet<()>,
}

impl Stub {
    /// Starts a server on a port that the system assigns.
    ///
    /// # Errors
    /// Returns an error when there is no port.
    pub async fn start(answers: Answers) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, answers));
        Ok(Self {
            port,
            _server: server,
        })
    }

    /// Returns its address, without a path.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn serve(listener: TcpListener, answers: Answers) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&answers)));
    }
}

async fn connection(stream: TcpStream, answers: Answers) {
    let service = service_fn(|request| answer(request, &answers));
    // The end of a connection is not an error.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, answers: &Answers) -> Result<Response<AnswerBody>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let answer = answers(Request::from_parts(head, body)).await;
    let answer = answer.ok_or_else(|| anyhow::anyhow!("the stub breaks off"))?;
    let ending = answer.extensions().get().copied().unwrap_or_default();
    Ok(answer.map(|body| AnswerBody {
        rest: Some(body),
        ending,
    }))
}

/// How the body of a response ends; an extension of the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Completely.
    #[default]
    Whole,
    /// The connection is reset.
    BreaksOff,
    /// Never: the announced rest is not sent.
    Never,
}

/// The body of a response.
struct AnswerBody {
    rest: Option<Bytes>,
    ending: Ending,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.rest.take(), self.ending) {
            (Some(rest), _) => Poll::Ready(Some(Ok(Frame::data(rest)))),
            (None, Ending::Whole) => Poll::Ready(None),
            (None, Ending::BreaksOff) => {
                Poll::Ready(Some(Err(std::io::ErrorKind::BrokenPipe.into())))
            }
            (None, Ending::Never) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.rest, self.ending) {
            (Some(rest), Ending::Whole) => SizeHint::with_exact(rest.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

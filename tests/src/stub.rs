//! A server on loopback whose answers a test decides.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a stub is about to answer; `None` breaks the connection off.
pub type Answer = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;

/// What decides the answers.
pub type Answers = Arc<dyn Fn(Request<Bytes>) -> Answer + Send + Sync>;

/// A running server. Dropping it closes its port and its connections.
pub struct Stub {
    port: u16,
    _server: JoinSet<()>,
}

impl Stub {
    /// Starts one on a port that the system chooses.
    ///
    /// # Errors
    /// When there is no port.
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

    /// Its address, without a path.
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
    // A client that leaves is its own affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, answers: &Answers) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let answer = answers(Request::from_parts(head, body)).await;
    Ok(answer
        .ok_or_else(|| anyhow::anyhow!("the stub breaks off"))?
        .map(Full::new))
}

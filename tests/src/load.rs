//! Clients that send requests without a pause while the proxy is restarted, and count what is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use url::Url;

use crate::{UserAgent, eventually};

/// The number of clients: half of them open a connection for each request (HTTP/2), half use one again (HTTP/1.1).
const CLIENTS: usize = 4;
/// Answers of all clients together that [`Load::go_on`] waits for.
const ANSWERS: usize = 20 * CLIENTS;
/// Longer than a restart takes while this machine is busy.
const LIMIT: Duration = Duration::from_secs(100);

/// Clients of one user who has signed in.
pub struct Load {
    clients: JoinSet<Result<()>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    answered: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Starts the clients.
    #[must_use]
    pub fn start(agent: &UserAgent, url: &Url) -> Self {
        let counters = Arc::new(Counters::default());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = Client {
                agent: agent.clone(),
                url: url.clone(),
                is_frugal: number % 2 == 0,
                kept: None,
            };
            clients.spawn(client.run(Arc::clone(&counters)));
        }
        Self { clients, counters }
    }

    /// Waits until the clients have got further answers.
    ///
    /// # Errors
    /// Returns an error when they do not.
    pub async fn go_on(&self) -> Result<()> {
        let answered = || self.counters.answered.load(Ordering::Relaxed);
        let enough = answered() + ANSWERS;
        eventually("requests are answered", LIMIT, async || {
            let now = answered();
            ensure!(now >= enough, "{now} of {enough}");
            Ok(())
        })
        .await
    }

    /// Ends the clients.
    ///
    /// # Errors
    /// Returns an error when a connection was refused or broken, or a request was not answered with 200.
    pub async fn finish(mut self) -> Result<()> {
        self.counters.is_over.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client?.context("a client lost a connection or a request")?;
        }
        Ok(())
    }
}

struct Client {
    agent: UserAgent,
    url: Url,
    /// Whether it uses its connection again.
    is_frugal: bool,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    async fn run(mut self, counters: Arc<Counters>) -> Result<()> {
        while !counters.is_over.load(Ordering::Relaxed) {
            if self.is_frugal {
                self.ask_again().await?;
            } else {
                self.agent.fetch(&self.url).await?.expect(200)?;
            }
            counters.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sends a request on the connection of the one before, unless the server has announced its end.
    async fn ask_again(&mut self) -> Result<()> {
        let mut sender = match self.kept.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let cookies = self.agent.cookies(&self.url);
        let request = http::Request::get("/")
            .header("host", self.url.authority())
            .header("cookie", cookies.context("the user is signed in")?)
            .body(Full::default())?;
        let response = sender.send_request(request).await?;
        ensure!(response.status() == 200, "{response:?}");
        let end = response.headers().get("connection");
        let is_last = end.is_some_and(|end| end == "close");
        response.into_body().collect().await?;
        self.kept = (!is_last).then_some(sender);
        Ok(())
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = self.agent.dialer().open(&self.url, "http/1.1").await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

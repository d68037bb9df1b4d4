//! The clients: WebSockets with one message at a time on each.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::io::{AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::{frame, handshake};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The messages to send, and their address.
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) host: String,
    pub(crate) cookie: String,
    pub(crate) connections: usize,
    pub(crate) message_bytes: usize,
    pub(crate) seconds: u64,
}

impl Load {
    /// Returns the number of messages that came back.
    pub(crate) async fn run(self) -> anyhow::Result<u64> {
        LocalSet::new().run_until(Rc::new(self).run_clients()).await
    }

    async fn run_clients(self: Rc<Self>) -> anyhow::Result<u64> {
        let mut streams = Vec::new();
        for _ in 0..self.connections {
            streams.push(self.open().await?);
        }
        let deadline = Instant::now() + Duration::from_secs(self.seconds);
        let mut clients = JoinSet::new();
        for stream in streams {
            let load = Rc::clone(&self);
            clients.spawn_local(async move { load.exchange(stream, deadline).await });
        }
        let mut answered = 0;
        while let Some(client) = clients.join_next().await {
            answered += client??;
        }
        Ok(answered)
    }

    async fn open(&self) -> anyhow::Result<BufStream<TcpStream>> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufStream::new(stream);
        handshake::open(&mut stream, &self.host, &self.cookie).await?;
        Ok(stream)
    }

    /// Returns the number of messages that came back until the deadline.
    async fn exchange(
        &self,
        mut stream: BufStream<TcpStream>,
        deadline: Instant,
    ) -> anyhow::Result<u64> {
        let message: Vec<u8> = (0..self.message_bytes).map(|index| index as u8).collect();
        let sent = frame::encode(&message, Some(MASK));
        let (mut answer, mut answered) = (Vec::new(), 0);
        while Instant::now() < deadline {
            stream.write_all(&sent).await?;
            stream.flush().await?;
            let is_open = frame::read(&mut stream, &mut answer).await?;
            ensure!(
                is_open,
                "the WebSocket was closed after {answered} messages"
            );
            ensure!(answer == message, "a message came back changed");
            answered += 1;
        }
        Ok(answered)
    }
}

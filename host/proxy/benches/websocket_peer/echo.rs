//! The upstream: answers each message with the same bytes.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use tokio::io::{AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};

use crate::{frame, handshake};

/// Serves until the process is stopped.
pub(crate) async fn serve(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("{error:#}");
            }
        });
    }
}

async fn echo(stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    handshake::answer(&mut stream).await?;
    let mut message = Vec::new();
    while frame::read(&mut stream, &mut message).await? {
        stream.write_all(&frame::encode(&message, None)).await?;
        stream.flush().await?;
    }
    Ok(())
}

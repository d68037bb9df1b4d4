//! A plain TCP relay, with which `make bench` compares what relaying a WebSocket costs: the least that a program with tokio does.
//!
//! `tcp_relay PORT UPSTREAM_PORT`, both on loopback.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

fn main() -> anyhow::Result<()> {
    let ports: Vec<u16> = std::env::args()
        .skip(1)
        .map(|word| word.parse())
        .collect::<Result<_, _>>()?;
    let [port, upstream] = ports[..] else {
        anyhow::bail!("give the port to listen on and the port of the upstream");
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(serve(port, upstream))
}

async fn serve(port: u16, upstream: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A connection that breaks ends alone: the load notices what it lost.
            drop(relay(client, upstream).await);
        });
    }
}

async fn relay(mut client: TcpStream, upstream: u16) -> anyhow::Result<()> {
    let mut upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

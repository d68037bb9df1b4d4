//! Both ends of the WebSockets whose relaying `make bench` measures.
//!
//! `websocket_peer echo PORT` is the upstream, which answers each message with the same bytes.
//! `websocket_peer load PORT HOST COOKIE CONNECTIONS BYTES SECONDS` opens WebSockets, sends one message at a time on each, compares
//! the answers, and prints how many messages came back.

mod echo;
mod frame;
mod handshake;
mod load;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match words[..] {
        ["echo", port] => runtime.block_on(echo::serve(port.parse()?)),
        [
            "load",
            port,
            host,
            cookie,
            connections,
            message_bytes,
            seconds,
        ] => {
            let load = load::Load {
                port: port.parse()?,
                host: host.to_owned(),
                cookie: cookie.to_owned(),
                connections: connections.parse()?,
                message_bytes: message_bytes.parse()?,
                seconds: seconds.parse()?,
            };
            let answered = runtime.block_on(load.run())?;
            println!("{answered}");
            Ok(())
        }
        _ => bail!("the first argument is neither `echo` nor `load` with its arguments"),
    }
}

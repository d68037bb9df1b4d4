//! Makes TLS handshakes, which `make bench` counts against the server's CPU time.
//!
//! `tls_handshakes PORT SERVER_NAME CERTIFICATE VERSION full|resumed` connects to loopback. For each line of standard input, `count N`
//! or `seconds N`, it makes handshakes and prints how many were full and how many resumed a session. Sessions are kept from one line
//! to the next.

mod handshake;
mod order;

use std::io::{BufRead as _, Write as _, stdin, stdout};

use anyhow::{Context as _, bail};

use handshake::{Client, Resumption};
use order::Order;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, name, certificate, version, resumption] = &words[..] else {
        bail!(
            "give the port, the server's name, its certificate, the TLS version and `full` or `resumed`"
        );
    };
    let resumption = match resumption.as_str() {
        "full" => Resumption::Never,
        "resumed" => Resumption::Always,
        other => bail!("`{other}` is neither `full` nor `resumed`"),
    };
    let client = Client::new(
        port.parse().context("the port is no number")?,
        name.clone().try_into()?,
        handshake::config(certificate.as_ref(), version, resumption)?,
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for line in stdin().lock().lines() {
        let done = runtime.block_on(Order::parse(&line?)?.run(&client))?;
        println!("full {} resumed {}", done.full, done.resumed);
        stdout().flush()?;
    }
    Ok(())
}

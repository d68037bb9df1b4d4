//! The PROXY protocol, versions 1 and 2: how a proxy in front tells whose connection it passes on.
//!
//! The header is the first thing on a connection, before TLS. Exactly its bytes are read and not one more: what follows
//! belongs to TLS. It is required where it is expected, because who could leave it out could pass for the proxy itself.
//!
//! Specification: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, copy, sink};

/// What version 2 begins with (section 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, line end included (section 2.1).
const MAX_LINE: usize = 107;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// Who made it.
    pub(super) source: SocketAddr,
    /// Whom it was made to.
    pub(super) destination: SocketAddr,
}

/// Why a connection is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The connection broke or ended within the header.
    #[error("the connection ended before its PROXY protocol header was complete")]
    Broken(#[from] io::Error),
    /// What came is no header.
    #[error("there is no valid PROXY protocol header: {0}")]
    Malformed(&'static str),
}

impl Ends {
    /// Ends with plain addresses: a listener for both families sees IPv4 as `::ffff:192.0.2.1`, and so do proxies.
    pub(super) fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self {
            source: plain(source),
            destination: plain(destination),
        }
    }
}

/// Reads the header. `None` when the proxy speaks for itself (`LOCAL`) or does not know the client (`UNKNOWN`).
///
/// It takes as long as the other end does, and a constant amount of memory.
///
/// # Errors
/// A connection that ends too early, or anything that is no header.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Ends>, Refused> {
    // The shortest header has 15 bytes.
    let mut beginning = [0; SIGNATURE.len()];
    stream.read_exact(&mut beginning).await?;
    if beginning == SIGNATURE {
        read_binary(stream).await
    } else if beginning.starts_with(b"PROXY ") {
        read_line(stream, &beginning).await
    } else {
        Err(Refused::Malformed(
            "the connection begins with something else",
        ))
    }
}

/// Version 1 from its thirteenth byte on. Byte by byte: where it ends is only known then, and there are few of them.
async fn read_line(
    stream: &mut (impl AsyncRead + Unpin),
    beginning: &[u8],
) -> Result<Option<Ends>, Refused> {
    let mut line = beginning.to_vec();
    while line.last() != Some(&b'\n') {
        if line.len() >= MAX_LINE {
            return Err(Refused::Malformed("the line is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(&line).ok_or(Refused::Malformed("the line cannot be read"))
}

#[expect(
    clippy::option_option,
    reason = "no header, and a header that names nobody"
)]
fn parse_line(line: &[u8]) -> Option<Option<Ends>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return None;
    }
    let family = words.next()?;
    // Whatever follows this word is to be ignored.
    if family == "UNKNOWN" {
        return Some(None);
    }
    let mut word = || words.next();
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    if word().is_some() {
        return None;
    }
    let (source, destination): (IpAddr, IpAddr) = match family {
        "TCP4" => (
            source.parse::<Ipv4Addr>().ok()?.into(),
            destination.parse::<Ipv4Addr>().ok()?.into(),
        ),
        "TCP6" => (
            source.parse::<Ipv6Addr>().ok()?.into(),
            destination.parse::<Ipv6Addr>().ok()?.into(),
        ),
        _ => return None,
    };
    Some(Some(Ends::new(
        SocketAddr::new(source, source_port),
        SocketAddr::new(destination, destination_port),
    )))
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Version 2 after its signature.
async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Ends>, Refused> {
    let (version_and_command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = u64::from(stream.read_u16().await?);
    let mut rest = stream.take(length);
    let ends = match (version_and_command, family) {
        // LOCAL, whatever it says about addresses.
        (0x20, _) => None,
        (0x21, 0x11) => Some(read_addresses::<4>(&mut rest).await?),
        (0x21, 0x21) => Some(read_addresses::<16>(&mut rest).await?),
        (0x21, _) => {
            return Err(Refused::Malformed("it is about no TCP connection"));
        }
        _ => return Err(Refused::Malformed("the version or the command is unknown")),
    };
    // Further facts, which nobody here asks for.
    let left = rest.limit();
    if copy(&mut rest, &mut sink()).await? < left {
        return Err(Refused::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(ends)
}

/// Two addresses of `N` bytes, then two ports.
async fn read_addresses<const N: usize>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Ends, Refused>
where
    IpAddr: From<[u8; N]>,
{
    let mut addresses = [[0; N]; 2];
    for address in &mut addresses {
        stream.read_exact(address).await?;
    }
    let [source, destination] = addresses.map(IpAddr::from);
    let (source_port, destination_port) = (stream.read_u16().await?, stream.read_u16().await?);
    Ok(Ends::new(
        SocketAddr::new(source, source_port),
        SocketAddr::new(destination, destination_port),
    ))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

//! The PROXY protocol, versions 1 and 2, by which a proxy in front announces the client of a connection.
//!
//! The header is the first thing on a connection, before TLS. Exactly its bytes are read, because what follows belongs to
//! TLS. It is required where it is expected: a client that could leave it out could pass for the proxy itself.
//!
//! Specification: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, copy, sink};

/// The first bytes of version 2 (section 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, line end included (section 2.1).
const MAX_LINE: usize = 107;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionEnds {
    /// The address that opened the connection.
    pub(super) source: SocketAddr,
    /// The address that it was opened to.
    pub(super) destination: SocketAddr,
}

/// The reason why a header is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The connection broke or ended within the header.
    #[error("the connection ended before its PROXY protocol header was complete")]
    Broken(#[from] io::Error),
    /// The connection does not begin with a valid header.
    #[error("there is no valid PROXY protocol header: {0}")]
    Malformed(&'static str),
}

impl ConnectionEnds {
    /// Returns the ends with plain addresses: a listener for both families sees IPv4 as `::ffff:192.0.2.1`, and so do
    /// proxies.
    pub(super) fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self {
            source: plain(source),
            destination: plain(destination),
        }
    }
}

/// Reads the header. `None` means that the proxy speaks for itself (`LOCAL`) or does not know the client (`UNKNOWN`).
///
/// It takes as long as the peer does, and a constant amount of memory.
///
/// # Errors
/// The connection ends too early, or does not begin with a header.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<ConnectionEnds>, HeaderError> {
    // The shortest header has 15 bytes.
    let mut beginning = [0; SIGNATURE.len()];
    stream.read_exact(&mut beginning).await?;
    if beginning == SIGNATURE {
        read_binary(stream).await
    } else if beginning.starts_with(b"PROXY ") {
        read_line(stream, &beginning).await
    } else {
        Err(HeaderError::Malformed(
            "the connection begins with something else",
        ))
    }
}

/// Reads version 1 from its thirteenth byte on. It reads single bytes, because only the line end shows the length, and
/// there are few of them.
async fn read_line(
    stream: &mut (impl AsyncRead + Unpin),
    beginning: &[u8],
) -> Result<Option<ConnectionEnds>, HeaderError> {
    let mut line = beginning.to_vec();
    while line.last() != Some(&b'\n') {
        if line.len() >= MAX_LINE {
            return Err(HeaderError::Malformed("the line is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(&line).ok_or(HeaderError::Malformed("the line cannot be read"))
}

#[expect(
    clippy::option_option,
    reason = "no valid header, and a header without addresses"
)]
fn parse_line(line: &[u8]) -> Option<Option<ConnectionEnds>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return None;
    }
    let family = words.next()?;
    // The specification says to ignore the rest of the line.
    if family == "UNKNOWN" {
        return Some(None);
    }
    let mut word = || words.next();
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (parse_port(word()?)?, parse_port(word()?)?);
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
    Some(Some(ConnectionEnds::new(
        SocketAddr::new(source, source_port),
        SocketAddr::new(destination, destination_port),
    )))
}

fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Reads version 2 after its signature.
async fn read_binary(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<ConnectionEnds>, HeaderError> {
    let (version_and_command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = u64::from(stream.read_u16().await?);
    let mut rest = stream.take(length);
    let ends = match (version_and_command, family) {
        // LOCAL: its addresses are to be ignored.
        (0x20, _) => None,
        (0x21, 0x11) => Some(read_addresses::<4>(&mut rest).await?),
        (0x21, 0x21) => Some(read_addresses::<16>(&mut rest).await?),
        (0x21, _) => {
            return Err(HeaderError::Malformed(
                "it does not describe a TCP connection",
            ));
        }
        _ => {
            return Err(HeaderError::Malformed(
                "the version or the command is unknown",
            ));
        }
    };
    // Further fields of the header, which are not used.
    let left = rest.limit();
    if copy(&mut rest, &mut sink()).await? < left {
        return Err(HeaderError::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(ends)
}

/// Reads two addresses of `N` bytes, then two ports.
async fn read_addresses<const N: usize>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<ConnectionEnds, HeaderError>
where
    IpAddr: From<[u8; N]>,
{
    let mut addresses = [[0; N]; 2];
    for address in &mut addresses {
        stream.read_exact(address).await?;
    }
    let [source, destination] = addresses.map(IpAddr::from);
    let (source_port, destination_port) = (stream.read_u16().await?, stream.read_u16().await?);
    Ok(ConnectionEnds::new(
        SocketAddr::new(source, source_port),
        SocketAddr::new(destination, destination_port),
    ))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

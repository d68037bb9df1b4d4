//! Frames of one whole binary message (RFC 6455 section 5.2).

use anyhow::ensure;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest message that a peer accepts, so that a wrong length does not allocate memory without bound.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
const FINAL_BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const MASKED: u8 = 0x80;
const LENGTH_IN_TWO_BYTES: u8 = 126;
const LENGTH_IN_EIGHT_BYTES: u8 = 127;

/// Returns the frame of a message; a client gives a mask.
pub(crate) fn encode(message: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![FINAL_BINARY];
    let flag = if mask.is_some() { MASKED } else { 0 };
    match message.len() {
        short @ 0..=125 => frame.push(flag | short as u8),
        medium @ 126..=0xffff => {
            frame.push(flag | LENGTH_IN_TWO_BYTES);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(flag | LENGTH_IN_EIGHT_BYTES);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let start = frame.len();
    frame.extend_from_slice(message);
    if let Some(mask) = mask {
        apply_mask(&mut frame[start..], mask);
    }
    frame
}

/// Reads one message into `message`; `false` when the other end closed the WebSocket.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    message: &mut Vec<u8>,
) -> anyhow::Result<bool> {
    let mut head = [0; 2];
    match stream.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    if head[0] == CLOSE {
        return Ok(false);
    }
    ensure!(
        head[0] == FINAL_BINARY,
        "the frame is no whole binary message"
    );
    let length = match head[1] & !MASKED {
        LENGTH_IN_TWO_BYTES => stream.read_u16().await?.into(),
        LENGTH_IN_EIGHT_BYTES => stream.read_u64().await?,
        short => short.into(),
    };
    let length = usize::try_from(length)?;
    ensure!(
        length <= MAX_MESSAGE_BYTES,
        "the message has {length} bytes"
    );
    let mut mask = [0; 4];
    if head[1] & MASKED != 0 {
        stream.read_exact(&mut mask).await?;
    }
    message.resize(length, 0);
    stream.read_exact(message).await?;
    apply_mask(message, mask);
    Ok(true)
}

fn apply_mask(message: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in message.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

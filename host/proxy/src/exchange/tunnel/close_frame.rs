//! The close frames that both sides of a WebSocket get when the proxy closes it (RFC 6455, 5.5.1).

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::frames::{Frames, MASKED};
use super::last_message::LastMessage;

/// The first byte of a close frame.
const FINAL_CLOSE: u8 = 0x88;
/// Status codes (RFC 6455, 7.4.1).
const GOING_AWAY: u16 = 1001;
const POLICY_VIOLATION: u16 = 1008;

/// The close frame for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseFrame {
    /// The user may not use the WebSocket any more.
    SessionEnded,
    /// The client can open the WebSocket again, at this proxy or at the next one.
    GoingAway,
}

impl CloseFrame {
    fn encode_for_client(self) -> Vec<u8> {
        let (code, reason) = match self {
            Self::SessionEnded => (POLICY_VIOLATION, "session ended"),
            Self::GoingAway => (GOING_AWAY, "the proxy is restarting"),
        };
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        // Both reasons are far shorter than the 125 bytes that a length of one byte can state.
        let length = u8::try_from(payload.len()).unwrap_or_default();
        [&[FINAL_CLOSE, length], payload.as_slice()].concat()
    }

    /// Sends the frame to the client, after a last message if there is one, and waits until the client has closed its side.
    pub(super) async fn send_to_client(
        self,
        client: impl AsyncRead + AsyncWrite,
        written: Frames,
        message: Option<LastMessage>,
    ) {
        let message = message.and_then(|message| message.encode_after(written));
        let frames = [message.unwrap_or_default(), self.encode_for_client()].concat();
        send(client, &frames, written).await;
    }

    /// Sends a close frame to the upstream, and waits until the upstream has closed its side.
    pub(super) async fn send_to_upstream(upstream: impl AsyncRead + AsyncWrite, written: Frames) {
        send(upstream, &encode_for_upstream(), written).await;
    }
}

/// Returns the close frame for an upstream. It says that the client goes away, whatever the reason.
fn encode_for_upstream() -> Vec<u8> {
    let mut mask = [0; 4];
    // A mask protects caches between the two from bytes that a client chose. The proxy chose these, so that any mask will do.
    let _ = getrandom::fill(&mut mask);
    let code = GOING_AWAY.to_be_bytes();
    let masked = code.iter().zip(mask).map(|(byte, mask)| byte ^ mask);
    [FINAL_CLOSE, MASKED | 2]
        .into_iter()
        .chain(mask)
        .chain(masked)
        .collect()
}

/// Sends frames that end with a close frame, unless they would be within another frame or after a close frame. Then reads until the peer ends,
/// because a connection that is closed with unread data is reset, and the frame could be lost.
async fn send(connection: impl AsyncRead + AsyncWrite, frames: &[u8], written: Frames) {
    let (mut read, mut write) = tokio::io::split(connection);
    let sending = async {
        if written.is_between() && !written.is_closed() {
            write.write_all(frames).await?;
        }
        write.flush().await?;
        write.shutdown().await
    };
    if sending.await.is_ok() {
        let mut unread = [0; 1024];
        while read.read(&mut unread).await.is_ok_and(|count| count > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_are_those_of_the_protocol() {
        assert_eq!(
            CloseFrame::SessionEnded.encode_for_client(),
            b"\x88\x0f\x03\xf0session ended"
        );
        let close = encode_for_upstream();
        assert_eq!((close.len(), &close[..2]), (8, &[0x88, 0x82][..]));
        let code = [close[2] ^ close[6], close[3] ^ close[7]];
        assert_eq!(u16::from_be_bytes(code), 1001);
        for frame in [close, CloseFrame::GoingAway.encode_for_client()] {
            let mut frames = Frames::default();
            assert_eq!(frames.pass_frame(&frame), frame.len());
            assert!(frames.is_between() && frames.is_closed());
        }
    }
}

//! The last words to both sides of a websocket that is ended from here (RFC 6455, 5.5.1).

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::frames::Frames;

/// A websocket that is closed: the first byte of such a frame.
const FINAL_CLOSE: u8 = 0x88;
/// In its second byte, that it is masked, as everything is that a client sends.
const MASKED: u8 = 0x80;
/// Status codes (RFC 6455, 7.4.1).
const GOING_AWAY: u16 = 1001;
const POLICY_VIOLATION: u16 = 1008;

/// Why a websocket is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// The visitor may not use it any more.
    SessionEnded,
    /// It can be opened again, at this proxy or at the next one.
    GoingAway,
}

impl Farewell {
    /// What a browser is told.
    fn to_client(self) -> Vec<u8> {
        let (code, reason) = match self {
            Self::SessionEnded => (POLICY_VIOLATION, "session ended"),
            Self::GoingAway => (GOING_AWAY, "the proxy is restarting"),
        };
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        // Both reasons are far shorter than the 125 bytes that a length of one byte can tell.
        let length = u8::try_from(payload.len()).unwrap_or_default();
        [&[FINAL_CLOSE, length], payload.as_slice()].concat()
    }

    /// What an application is told, which is not what its visitor did.
    fn to_upstream() -> Vec<u8> {
        let mut mask = [0; 4];
        // A mask protects caches in between from chosen bytes. These bytes are ours, so that none would do, too.
        let _ = getrandom::fill(&mut mask);
        let code = GOING_AWAY.to_be_bytes();
        let masked = code.iter().zip(mask).map(|(byte, mask)| byte ^ mask);
        [FINAL_CLOSE, MASKED | 2]
            .into_iter()
            .chain(mask)
            .chain(masked)
            .collect()
    }

    /// Tells the client, and waits until it has closed its side.
    pub(super) async fn say_to_client(self, client: impl AsyncRead + AsyncWrite, said: Frames) {
        say(client, &self.to_client(), said).await;
    }

    /// Tells the upstream, and waits until it has closed its side.
    pub(super) async fn say_to_upstream(self, upstream: impl AsyncRead + AsyncWrite, said: Frames) {
        say(upstream, &Self::to_upstream(), said).await;
    }
}

/// Sends a last frame, unless that would be in the middle of another or after the last one. Then reads until the other
/// side ends: a connection that is closed with something unread is reset, and the frame may be lost with it.
async fn say(connection: impl AsyncRead + AsyncWrite, frame: &[u8], said: Frames) {
    let (mut read, mut write) = tokio::io::split(connection);
    let saying = async {
        if said.is_between() && !said.is_closed() {
            write.write_all(frame).await?;
        }
        write.flush().await?;
        write.shutdown().await
    };
    if saying.await.is_ok() {
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
            Farewell::SessionEnded.to_client(),
            b"\x88\x0f\x03\xf0session ended"
        );
        let farewell = Farewell::to_upstream();
        assert_eq!((farewell.len(), &farewell[..2]), (8, &[0x88, 0x82][..]));
        let code = [farewell[2] ^ farewell[6], farewell[3] ^ farewell[7]];
        assert_eq!(u16::from_be_bytes(code), 1001);
        for frame in [farewell, Farewell::GoingAway.to_client()] {
            let mut frames = Frames::default();
            assert_eq!(frames.pass_frame(&frame), frame.len());
            assert!(frames.is_between() && frames.is_closed());
        }
    }
}

//! An open WebSocket: copies bytes both ways until one side ends it, the plugin ends it, or the proxy shuts down.

mod close_frame;
mod close_pacer;
mod frames;
mod io;
mod last_message;
mod relay;
mod speech;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::finish::Finish;
use crate::body::Progress;
use crate::limits;
use crate::metrics::WebsocketEnd;
use crate::shutdown::Shutdown;
use crate::wasm::{Ended, Stream};
use close_frame::CloseFrame;
use io::{Traffic, TunnelIo};
use last_message::LastMessage;
use speech::SpeechReporter;

/// The two connections that become a tunnel.
pub(super) struct TunnelEnds {
    /// The connection to the client.
    pub(super) client: OnUpgrade,
    /// The connection to the upstream.
    pub(super) upstream: OnUpgrade,
    /// Whether a page of Cockpit is at the other end, by the subprotocol that the upstream has chosen.
    pub(super) is_cockpit: bool,
}

/// Runs a tunnel to its end, which comes at the latest when `progress` exceeds a limit. `finish` is dropped then, which writes
/// the log line. The plugin's context of the WebSocket lives as long as the tunnel.
pub(super) async fn run(
    ends: TunnelEnds,
    mut finish: Finish,
    progress: Rc<Progress>,
    shutdown: Shutdown,
) {
    let (client, upstream) = (Traffic::default(), Traffic::default());
    let stream = finish.stream.take();
    let speech = SpeechReporter::new(stream.as_ref());
    let is_cockpit = ends.is_cockpit;
    let tunnel = async {
        let Ok((to_client, to_upstream)) = tokio::try_join!(ends.client, ends.upstream) else {
            return WebsocketEnd::Broken;
        };
        finish.entry.pass_panic_point("tunnel");
        let tunnel = Tunnel {
            client: TunnelIo {
                inner: TokioIo::new(to_client),
                traffic: &client,
                on_read: |piece: &[u8]| {
                    progress.advance();
                    speech.report(piece);
                },
            },
            upstream: TunnelIo {
                inner: TokioIo::new(to_upstream),
                traffic: &upstream,
                on_read: |_: &[u8]| progress.advance(),
            },
        };
        let close = wait_for_close(stream.as_ref(), is_cockpit, &shutdown);
        tunnel.run(close).await
    };
    let end = tokio::select! {
        end = tunnel => end,
        _ = progress.wait_for_overrun() => WebsocketEnd::Overrun,
    };
    finish.entry.count_received(client.read_bytes());
    finish.entry.count_sent(upstream.read_bytes());
    finish.entry.end_websocket(end);
}

/// The reason why the proxy closes a WebSocket.
struct CloseReason {
    /// The last message to the client, if there is one.
    message: Option<LastMessage>,
    /// The close frame for the client.
    frame: CloseFrame,
    /// The end for the log and the metrics.
    end: WebsocketEnd,
}

/// Waits until the plugin or a shutdown closes the WebSocket.
async fn wait_for_close(
    stream: Option<&Stream>,
    is_cockpit: bool,
    shutdown: &Shutdown,
) -> CloseReason {
    let plugin = async {
        match stream {
            Some(stream) => stream.closed().await,
            None => std::future::pending().await,
        }
    };
    let (frame, end) = tokio::select! {
        ended = plugin => match ended {
            Ended::Closed => (CloseFrame::SessionEnded, WebsocketEnd::SessionEnded),
            Ended::Lost => (CloseFrame::GoingAway, WebsocketEnd::PluginLost),
        },
        () = shutdown.triggered() => (CloseFrame::GoingAway, WebsocketEnd::Shutdown),
    };
    let told = stream.filter(|_| is_cockpit && frame == CloseFrame::SessionEnded);
    CloseReason {
        message: told.and_then(LastMessage::read),
        frame,
        end,
    }
}

/// Two connections that are copied to each other.
struct Tunnel<'a, C, U, F, G> {
    client: TunnelIo<'a, C, F>,
    upstream: TunnelIo<'a, U, G>,
}

impl<C, U, F, G> Tunnel<'_, C, U, F, G>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(&[u8]) + Unpin,
    G: FnMut(&[u8]) + Unpin,
{
    /// Copies both ways until one side ends or `close` completes, and returns why they ended.
    async fn run(mut self, close: impl Future<Output = CloseReason>) -> WebsocketEnd {
        let (client, upstream) = (self.client.traffic, self.upstream.traffic);
        let reason = {
            let mut copying = pin!(relay::copy(&mut self.client, &mut self.upstream));
            let reason = tokio::select! {
                result = &mut copying => return websocket_end_of(&result),
                reason = close => reason,
            };
            client.stop_after_frame();
            upstream.stop_after_frame();
            // The copying is not polled while this waits, so that no more bytes pass.
            close_pacer::wait_for_turn().await;
            // A frame that does not end in time is cut off. No close frame can follow it then.
            let ending = finish_frames(copying, client, upstream);
            let _ = timeout(limits::TUNNEL_FRAME, ending).await;
            reason
        };
        let closing = async {
            tokio::join!(
                reason.frame.send_to_client(
                    &mut self.client.inner,
                    client.written(),
                    reason.message
                ),
                CloseFrame::send_to_upstream(&mut self.upstream.inner, upstream.written()),
            )
        };
        let _ = timeout(limits::TUNNEL_CLOSE_TIME, closing).await;
        reason.end
    }
}

/// Completes when the current frames of both directions have ended, or the copying has.
async fn finish_frames(
    mut copying: Pin<&mut impl Future<Output = std::io::Result<()>>>,
    client: &Traffic,
    upstream: &Traffic,
) {
    poll_fn(|cx| {
        let has_ended = copying.as_mut().poll(cx).is_ready();
        if has_ended || (client.written().is_between() && upstream.written().is_between()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

fn websocket_end_of(result: &std::io::Result<()>) -> WebsocketEnd {
    match result {
        Ok(()) => WebsocketEnd::Closed,
        Err(_) => WebsocketEnd::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::frames::Frames;
    use super::frames::tests::{frame, some_frames};
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    /// The last message to the client in these tests.
    const LAST: &[u8] = b"\n{\"command\":\"init\"}";

    /// Runs a tunnel between two connections with buffers of this size, which closes when the sender of `talk` is used.
    async fn tunnel(
        buffer: usize,
        talk: impl AsyncFnOnce(DuplexStream, DuplexStream, oneshot::Sender<()>),
    ) -> (WebsocketEnd, u64, u64) {
        let (client, one) = duplex(buffer);
        let (other, upstream) = duplex(buffer);
        let (from_client, from_upstream) = (Traffic::default(), Traffic::default());
        let (close, closed) = oneshot::channel();
        let tunnel = Tunnel {
            client: TunnelIo {
                inner: one,
                traffic: &from_client,
                on_read: |_: &[u8]| {},
            },
            upstream: TunnelIo {
                inner: other,
                traffic: &from_upstream,
                on_read: |_: &[u8]| {},
            },
        };
        let closed = async {
            match closed.await {
                Ok(()) => CloseReason {
                    message: LastMessage::new(LAST.to_vec()),
                    frame: CloseFrame::SessionEnded,
                    end: WebsocketEnd::SessionEnded,
                },
                Err(_) => std::future::pending().await,
            }
        };
        let (reason, ()) = tokio::join!(tunnel.run(closed), talk(client, upstream, close));
        (reason, from_client.read_bytes(), from_upstream.read_bytes())
    }

    #[tokio::test]
    async fn both_directions_and_a_half_close() {
        let sent = vec![b'c'; 100_000];
        let ended = tunnel(64, async |mut client, mut upstream, _close| {
            let asking = async {
                client.write_all(&sent).await.unwrap();
                client.shutdown().await.unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).await.unwrap();
                answer
            };
            let answering = async {
                let mut question = Vec::new();
                // Ends although the other direction is still open.
                upstream.read_to_end(&mut question).await.unwrap();
                upstream.write_all(&question[..50_000]).await.unwrap();
                upstream.shutdown().await.unwrap();
                question
            };
            let (answer, question) = tokio::join!(asking, answering);
            assert_eq!((question.len(), answer.len()), (100_000, 50_000));
        });
        assert_eq!(ended.await, (WebsocketEnd::Closed, 100_000, 50_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_holds_the_writer_back() {
        tunnel(64, async |mut client, upstream, _close| {
            let mut written = 0_usize;
            // No one reads at the other end: buffers fill and writing has to stop.
            while timeout(
                std::time::Duration::from_millis(200),
                client.write_all(&[0; 64]),
            )
            .await
            .is_ok()
            {
                written += 64;
                assert!(written <= limits::TUNNEL_BUFFER * 2 + 1024);
            }
            drop(upstream);
        })
        .await;
    }

    /// Reads everything until the end.
    async fn read_rest(mut connection: DuplexStream) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest).await;
        rest
    }

    /// Returns what the client got from the upstream: all of it before the last message, which is there once, directly before
    /// the close frame.
    fn without_last_message(got: &[u8]) -> Vec<u8> {
        let message = frame(1, LAST, false);
        let close = b"\x88\x0f\x03\xf0session ended";
        let relayed = got.strip_suffix(close).unwrap();
        let relayed = relayed.strip_suffix(message.as_slice()).unwrap();
        [relayed, close].concat()
    }

    /// Returns whether a side got whole frames of what the other sent, and then a close frame.
    fn is_well_ended(got: &[u8], sent: &[u8]) -> bool {
        let (mut frames, mut at) = (Frames::default(), 0);
        while at < got.len() && !frames.is_closed() {
            let start = at;
            at += frames.pass_frame(&got[at..]);
            let is_sent = sent.get(start..at) == Some(&got[start..at]);
            if !frames.is_between() || (!frames.is_closed() && !is_sent) {
                return false;
            }
        }
        frames.is_closed() && at == got.len()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_websocket_that_is_ended_ends_with_a_frame(
            down in some_frames(false),
            up in some_frames(true),
            // How much of both has been sent when the tunnel closes, in thousandths.
            when in (0..=1000_usize, 0..=1000_usize),
            buffer in 1..5000_usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let (down, up) = (down.concat(), up.concat());
                let (early_down, late_down) = down.split_at(down.len() * when.0 / 1000);
                let (early_up, late_up) = up.split_at(up.len() * when.1 / 1000);
                let ended = tunnel(buffer, async |client, upstream, close| {
                    let (client_read, mut client_write) = tokio::io::split(client);
                    let (upstream_read, mut upstream_write) = tokio::io::split(upstream);
                    let sending = async {
                        let _ = tokio::join!(
                            upstream_write.write_all(early_down),
                            client_write.write_all(early_up)
                        );
                        close.send(()).unwrap();
                        // The tunnel accepts the rest of a frame, and then nothing more.
                        let _ = tokio::join!(
                            upstream_write.write_all(late_down),
                            client_write.write_all(late_up)
                        );
                    };
                    let all = |mut read: tokio::io::ReadHalf<DuplexStream>| async move {
                        let mut all = Vec::new();
                        let _ = read.read_to_end(&mut all).await;
                        all
                    };
                    let ((), got_down, got_up) =
                        tokio::join!(sending, all(client_read), all(upstream_read));
                    assert!(is_well_ended(&without_last_message(&got_down), &down));
                    assert!(is_well_ended(&got_up, &up));
                });
                assert_eq!(ended.await.0, WebsocketEnd::SessionEnded);
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_does_not_end_is_broken_off() {
        let began = Instant::now();
        let part = &frame(2, &[7; 1000], false)[..500];
        tunnel(10_000, async |client, mut upstream, close| {
            upstream.write_all(part).await.unwrap();
            while timeout(limits::TUNNEL_FRAME / 10, upstream.read_u8())
                .await
                .is_ok()
            {}
            close.send(()).unwrap();
            let (got, told) = tokio::join!(read_rest(client), read_rest(upstream));
            assert_eq!(got, part, "a frame in another one");
            assert!(is_well_ended(&told, b""));
        })
        .await;
        assert!(began.elapsed() < limits::TUNNEL_FRAME + limits::TUNNEL_CLOSE_TIME * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_websocket_that_was_closed_is_not_closed_again() {
        let frame = frame(8, b"\x03\xe8", false);
        tunnel(10_000, async |mut client, mut upstream, close| {
            upstream.write_all(&frame).await.unwrap();
            let mut got = vec![0; frame.len()];
            client.read_exact(&mut got).await.unwrap();
            close.send(()).unwrap();
            let (rest, _) = tokio::join!(read_rest(client), read_rest(upstream));
            assert_eq!((got, rest.len()), (frame.clone(), 0));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_does_not_close_is_given_a_moment() {
        let began = Instant::now();
        tunnel(16, async |client, upstream, close| {
            close.send(()).unwrap();
            tokio::time::sleep(limits::TUNNEL_CLOSE_TIME * 3).await;
            drop((client, upstream));
        })
        .await;
        assert_eq!(began.elapsed(), limits::TUNNEL_CLOSE_TIME * 3);
    }
}

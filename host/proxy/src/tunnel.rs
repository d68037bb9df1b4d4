//! A websocket once it is open: bytes both ways until one side ends it, the plugin does, or the proxy stops.

mod close_pacer;
mod end;
mod farewell;
mod frames;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::time::{Instant, timeout};

use crate::body::{Finish, Progress};
use crate::limits;
use crate::serve::Stop;
use crate::wasm::{Ended, Stream};
use end::{End, Watched};
use farewell::Farewell;

/// The two connections that become one.
pub(crate) struct Ends {
    /// To the client.
    pub(crate) client: OnUpgrade,
    /// To the upstream.
    pub(crate) upstream: OnUpgrade,
}

/// Runs a tunnel to its end, which comes at the latest when `progress` overruns; `finish` is dropped then, which writes
/// the log line. The plugin's context of the websocket lives as long as the tunnel.
pub(crate) async fn run(ends: Ends, mut finish: Finish, progress: Rc<Progress>, stop: Stop) {
    let (client, upstream) = (Watched::default(), Watched::default());
    let stream = finish.stream.take();
    let spoken = Spoken::to(stream.as_ref());
    let heard = |_: &[u8]| progress.advance();
    let heard_client = |piece: &[u8]| {
        progress.advance();
        spoken.note(piece);
    };
    let tunnel = async {
        let Ok((from, to)) = tokio::try_join!(ends.client, ends.upstream) else {
            return BROKEN;
        };
        finish.entry.fault_point("tunnel");
        let tunnel = Tunnel {
            client: End {
                inner: TokioIo::new(from),
                watched: &client,
                heard: heard_client,
            },
            upstream: End {
                inner: TokioIo::new(to),
                watched: &upstream,
                heard,
            },
        };
        tunnel.run(ordered(stream.as_ref(), &stop)).await
    };
    let reason = tokio::select! {
        reason = tunnel => reason,
        _ = progress.overruns() => "websocket: silent for too long",
    };
    finish.entry.count_received(client.read());
    finish.entry.count_sent(upstream.read());
    finish.entry.details(reason);
}

/// Details of the log line of a websocket that did not end in order.
const BROKEN: &str = "websocket: a connection broke";

/// An order to end the websocket: why, for its two sides and for the log.
struct Order(Farewell, &'static str);

/// Waits for an order.
async fn ordered(stream: Option<&Stream>, stop: &Stop) -> Order {
    let plugin = async {
        match stream {
            Some(stream) => stream.closed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = plugin => match ended {
            Ended::Closed => Order(Farewell::SessionEnded, "websocket: ended by the plugin"),
            Ended::Lost => Order(Farewell::GoingAway, "websocket: the plugin was restarted"),
        },
        () = stop.ordered() => Order(Farewell::GoingAway, "websocket: the proxy stopped"),
    }
}

/// Tells the plugin that the client speaks, so that it knows of a person who is there.
///
/// Envoy calls `on_request_body` for each piece, which costs as much as a small request. A shell sends a short one for each
/// key that is pressed, a file transfer thousands of long ones in a second; what the plugin does with it is to note the
/// time, in a session that lasts for minutes at least. So it is told of the first piece, and of later ones when the last
/// time that it was told is long enough ago: [`limits::TUNNEL_SPOKEN`], and for short ones [`limits::TUNNEL_TYPED`], as
/// some of them are a browser's answers to pings, behind which a person who types must not be missed.
struct Spoken<'a> {
    stream: Option<&'a Stream>,
    bytes: Cell<u64>,
    told: Cell<Option<Instant>>,
}

impl<'a> Spoken<'a> {
    fn to(stream: Option<&'a Stream>) -> Self {
        Self {
            stream,
            bytes: Cell::new(0),
            told: Cell::new(None),
        }
    }

    fn note(&self, piece: &[u8]) {
        let length = piece.len() as u64;
        self.bytes.set(self.bytes.get().saturating_add(length));
        let is_short = piece.len() <= limits::TUNNEL_SHORT;
        let pause = if is_short {
            limits::TUNNEL_TYPED
        } else {
            limits::TUNNEL_SPOKEN
        };
        let is_news = |told: Instant| told.elapsed() >= pause;
        if self.told.get().is_none_or(is_news)
            && let Some(stream) = self.stream
        {
            self.told.set(Some(Instant::now()));
            let kept_back = self.bytes.take();
            let told = if is_short { length } else { kept_back };
            let beginning = piece.get(..limits::TUNNEL_BEGINNING).unwrap_or(piece);
            stream.client_spoke(told, beginning);
        }
    }
}

/// Two connections.
struct Tunnel<'a, C, U, F, G> {
    client: End<'a, C, F>,
    upstream: End<'a, U, G>,
}

impl<C, U, F, G> Tunnel<'_, C, U, F, G>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(&[u8]) + Unpin,
    G: FnMut(&[u8]) + Unpin,
{
    /// Copies both ways until one side ends, or until the order to end and what both sides are told then.
    async fn run(mut self, ordered: impl Future<Output = Order>) -> &'static str {
        let (client, upstream) = (self.client.watched, self.upstream.watched);
        let Order(farewell, reason) = {
            let mut copying = pin!(copy(&mut self.client, &mut self.upstream));
            let order = tokio::select! {
                result = &mut copying => return end_of(&result),
                order = ordered => order,
            };
            client.end();
            upstream.end();
            // The copying is not polled meanwhile, so that no more bytes pass.
            close_pacer::wait_for_turn().await;
            // A frame that does not end in time is broken off. There is no room for a last one then.
            let _ = timeout(limits::TUNNEL_FRAME, frames_end(copying, client, upstream)).await;
            order
        };
        let farewells = async {
            tokio::join!(
                farewell.say_to_client(&mut self.client.inner, client.written()),
                farewell.say_to_upstream(&mut self.upstream.inner, upstream.written()),
            )
        };
        let _ = timeout(limits::TUNNEL_FAREWELL, farewells).await;
        reason
    }
}

/// Completes when the frames that are under way in both directions have ended, or the copying has.
async fn frames_end(
    mut copying: Pin<&mut impl Future<Output = io::Result<()>>>,
    client: &Watched,
    upstream: &Watched,
) {
    poll_fn(|cx| {
        let ended = copying.as_mut().poll(cx).is_ready();
        if ended || (client.written().is_between() && upstream.written().is_between()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

fn end_of(result: &io::Result<()>) -> &'static str {
    match result {
        Ok(()) => "websocket",
        Err(_) => BROKEN,
    }
}

/// Copies both ways. Each direction reads only as fast as the other side takes it, and ends by itself.
async fn copy(
    one: &mut (impl AsyncRead + AsyncWrite + Unpin),
    other: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    copy_bidirectional_with_sizes(one, other, limits::TUNNEL_BUFFER, limits::TUNNEL_BUFFER).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::frames::Frames;
    use super::frames::tests::{frame, some_frames};
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::oneshot;

    /// A tunnel between two connections with buffers of this size, which ends when told to.
    async fn tunnel(
        buffer: usize,
        talk: impl AsyncFnOnce(DuplexStream, DuplexStream, oneshot::Sender<()>),
    ) -> (&'static str, u64, u64) {
        let (client, one) = duplex(buffer);
        let (other, upstream) = duplex(buffer);
        let (from_client, from_upstream) = (Watched::default(), Watched::default());
        let (order, ordered) = oneshot::channel();
        let tunnel = Tunnel {
            client: End {
                inner: one,
                watched: &from_client,
                heard: |_: &[u8]| {},
            },
            upstream: End {
                inner: other,
                watched: &from_upstream,
                heard: |_: &[u8]| {},
            },
        };
        let ordered = async {
            match ordered.await {
                Ok(()) => Order(Farewell::SessionEnded, "ordered"),
                Err(_) => std::future::pending().await,
            }
        };
        let (reason, ()) = tokio::join!(tunnel.run(ordered), talk(client, upstream, order));
        (reason, from_client.read(), from_upstream.read())
    }

    #[tokio::test]
    async fn both_directions_and_a_half_close() {
        let sent = vec![b'c'; 100_000];
        let ended = tunnel(64, async |mut client, mut upstream, _order| {
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
        assert_eq!(ended.await, ("websocket", 100_000, 50_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_holds_the_writer_back() {
        tunnel(64, async |mut client, upstream, _order| {
            let mut written = 0_usize;
            // Nobody reads at the other end: buffers fill and writing has to stop.
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

    /// All that comes until the end.
    async fn rest_of(mut connection: DuplexStream) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest).await;
        rest
    }

    /// What a side got: whole frames of what the other sent, and a closing frame.
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
            // How much of both has been sent when the order comes, in parts of a thousand.
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
                let ended = tunnel(buffer, async |client, upstream, order| {
                    let (client_read, mut client_write) = tokio::io::split(client);
                    let (upstream_read, mut upstream_write) = tokio::io::split(upstream);
                    let sending = async {
                        let _ = tokio::join!(
                            upstream_write.write_all(early_down),
                            client_write.write_all(early_up)
                        );
                        order.send(()).unwrap();
                        // The tunnel takes what ends a frame, and then nothing more.
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
                    assert!(is_well_ended(&got_down, &down));
                    assert!(is_well_ended(&got_up, &up));
                });
                assert_eq!(ended.await.0, "ordered");
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_does_not_end_is_broken_off() {
        let began = Instant::now();
        let part = &frame(2, &[7; 1000], false)[..500];
        tunnel(10_000, async |client, mut upstream, order| {
            upstream.write_all(part).await.unwrap();
            while timeout(limits::TUNNEL_FRAME / 10, upstream.read_u8())
                .await
                .is_ok()
            {}
            order.send(()).unwrap();
            let (got, told) = tokio::join!(rest_of(client), rest_of(upstream));
            assert_eq!(got, part, "a frame in another one");
            assert!(is_well_ended(&told, b""));
        })
        .await;
        assert!(began.elapsed() < limits::TUNNEL_FRAME + limits::TUNNEL_FAREWELL * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_websocket_that_was_closed_is_not_closed_again() {
        let close = frame(8, b"\x03\xe8", false);
        tunnel(10_000, async |mut client, mut upstream, order| {
            upstream.write_all(&close).await.unwrap();
            let mut got = vec![0; close.len()];
            client.read_exact(&mut got).await.unwrap();
            order.send(()).unwrap();
            let (rest, _) = tokio::join!(rest_of(client), rest_of(upstream));
            assert_eq!((got, rest.len()), (close.clone(), 0));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn sides_that_do_not_answer_are_waited_for_for_a_moment() {
        let began = Instant::now();
        tunnel(16, async |client, upstream, order| {
            order.send(()).unwrap();
            tokio::time::sleep(limits::TUNNEL_FAREWELL * 3).await;
            drop((client, upstream));
        })
        .await;
        assert_eq!(began.elapsed(), limits::TUNNEL_FAREWELL * 3);
    }
}

//! Tests that a panic ends only the connection or the stream on which it happens, or the process when it cannot serve any
//! more.

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpSocket;

use super::*;
use crate::panic_point;

async fn rig() -> (Upstream, Rig) {
    let upstream = Upstream::start().await;
    let route = json!({"to": upstream.url(), "allow_websockets": true});
    let rig = Rig::start(read(&file(&[route])));
    (upstream, rig)
}

/// Checks that the worker still serves, and that nothing of the panicked work is left, for which its end would wait.
async fn check_is_well(rig: Rig) {
    assert_eq!(rig.get("/", 0, "").await.status(), 200);
    let began = std::time::Instant::now();
    tokio::task::spawn_blocking(move || rig.running.stop())
        .await
        .unwrap();
    assert!(began.elapsed() < limits::GRACE, "a connection was left");
}

#[tokio::test]
async fn a_request_that_panics_ends_its_connection() {
    let (_upstream, rig) = rig().await;
    let mut other = rig.connect().await;
    let request = rig.request("GET", "/", 0, "");
    other.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut other, "\r\n\r\n").await;

    panic_point::arm("exchange", "/panics-in-exchange");
    assert_eq!(rig.get("/panics-in-exchange", 0, "").await.0, "");
    assert_eq!(rig.get("/panics-in-exchange", 0, "").await.status(), 200);
    // A connection that was there before is served, too.
    other.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut other, "HTTP/1.1 200 OK\r\n").await;
    drop(other);
    check_is_well(rig).await;
}

#[tokio::test]
async fn a_response_that_panics_ends_its_connection() {
    let (_upstream, rig) = rig().await;
    panic_point::arm("body", "/panics-in-body");
    let answer = rig.get("/panics-in-body", 0, "").await;
    assert!(!answer.0.contains("x-identity"), "{answer:?}");
    check_is_well(rig).await;
}

#[tokio::test]
async fn a_websocket_that_panics_ends_alone() {
    let (mut upstream, rig) = rig().await;
    panic_point::arm("tunnel", "/panics-in-tunnel");
    let mut stream = rig.connect().await;
    let lines = format!("{}x-test-path: /websocket\r\n", upstream::WEBSOCKET);
    let request = rig.request("GET", "/panics-in-tunnel", 0, &lines);
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = Answer::read(&mut stream).await;
    assert!(answer.0.starts_with("HTTP/1.1 101 "), "{answer:?}");
    upstream.closed("/websocket").await;
    check_is_well(rig).await;
}

#[tokio::test]
async fn a_stream_of_http2_that_panics_ends_alone() {
    let upstream = Upstream::start().await;
    // With the default time limits: the worker prints the panic first, which can take longer than short ones.
    let rig = certificates::rig_within(OPEN_FILES, &[json!({"to": upstream.url()})]);
    let stream = rig.shake_hands(None, b"h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut ask = |path: &str| {
        let request = http::Request::get(format!("https://app.test{path}"))
            .header("x-test-route", &rig.routes[0])
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        sender.send_request(request)
    };
    panic_point::arm("exchange", "/panics-in-stream");
    let (before, panicking) = (ask("/before"), ask("/panics-in-stream"));
    assert!(within("a reset", panicking).await.is_err());
    assert_eq!(within("an answer", before).await.unwrap().status(), 200);
    let after = ask("/panics-in-stream");
    assert_eq!(within("an answer", after).await.unwrap().status(), 200);
}

/// The end of an accept loop ends the process and reports why, instead of leaving a closed port.
#[tokio::test]
async fn a_worker_that_no_longer_accepts_ends_the_process() {
    let (_upstream, mut rig) = rig().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    panic_point::arm("accept", socket.local_addr().unwrap());
    let address = rig.running.addresses[0];
    let _connection = socket.connect(address).await.unwrap();
    let failure = within("the failure is noticed", rig.running.next_failure()).await;
    let failure = failure.to_string();
    let expected = format!("worker-0: accepting connections at {address} ended: ");
    assert!(failure.starts_with(&expected), "{failure}");
    let ended = tokio::task::spawn_blocking(move || rig.running.stop_after(Err(anyhow!(failure))));
    assert!(ended.await.unwrap().is_err(), "the exit code says so");
}

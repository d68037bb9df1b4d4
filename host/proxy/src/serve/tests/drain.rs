//! Tests of the end of the proxy: no request and no connection is lost that could be served.

use std::net::SocketAddr;
use std::net::TcpListener as Socket;

use tokio::task::JoinHandle;

use super::*;

async fn rig() -> (Upstream, Rig) {
    let upstream = Upstream::start().await;
    let rig = Rig::start(config(&upstream));
    (upstream, rig)
}

fn config(upstream: &Upstream) -> Config {
    read(&file(&[
        json!({"to": upstream.url(), "allow_websockets": true}),
    ]))
}

/// Stops the proxy, and returns its address.
fn stop(rig: Rig) -> (SocketAddr, JoinHandle<()>) {
    let address = rig.running.addresses[0];
    let stopping = tokio::task::spawn_blocking(move || rig.running.stop());
    (address, stopping)
}

/// Sends requests on a connection until a response ends it.
async fn ask_until_closed(stream: &mut TcpStream, request: &str) {
    loop {
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(stream, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        if head.contains("connection: close\r\n") {
            break;
        }
        // The upstream sends back the head that it got.
        read_until(stream, "\r\n\r\n").await;
    }
    Answer::read(stream).await;
}

#[tokio::test]
async fn connections_are_accepted_while_a_response_is_unfinished() {
    let (mut upstream, rig) = rig().await;
    let mut long = rig.connect().await;
    let request = rig.request("GET", "/head", 0, "");
    long.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut long, "abc").await;
    let (mut earlier, request) = (rig.connect().await, rig.request("GET", "/", 0, ""));
    earlier.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut earlier, "\r\n\r\n").await;
    read_until(&mut earlier, "\r\n\r\n").await;

    let (address, stopping) = stop(rig);
    ask_until_closed(&mut earlier, &request).await;
    for _ in 0..3 {
        let mut new = TcpStream::connect(address).await.unwrap();
        new.write_all(request.as_bytes()).await.unwrap();
        let answer = Answer::read(&mut new).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.0.contains("connection: close\r\n"), "{answer:?}");
    }
    assert!(!stopping.is_finished());
    drop(long);
    upstream.closed("/head").await;
    within("the end", stopping).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_off_after_the_drain_time() {
    let upstream = Upstream::start().await;
    let rig = Rig::start_changed(config(&upstream), |settings| settings.drain_time = SHORT);
    let mut stream = rig.connect().await;
    let request = rig.request("GET", "/head", 0, "");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut stream, "abc").await;
    let (_, stopping) = stop(rig);
    within("the end", stopping).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.0.trim(), "");
}

#[tokio::test]
async fn a_websocket_delays_nothing_and_is_told_that_it_may_come_back() {
    let (_upstream, rig) = rig().await;
    let mut stream = rig.connect().await;
    let request = rig.request("GET", "/websocket", 0, upstream::WEBSOCKET);
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    check_echo(&mut stream).await;
    let (_, stopping) = stop(rig);
    let mut frame = [0; 4];
    within("a close frame", stream.read_exact(&mut frame))
        .await
        .unwrap();
    assert_eq!(frame[0], 0x88);
    assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), 1001);
    drop(stream);
    within("the end", stopping).await.unwrap();
}

#[tokio::test]
async fn a_connection_to_a_passed_socket_waits_for_the_next_process() {
    let upstream = Upstream::start().await;
    let held = Socket::bind("127.0.0.1:0").unwrap();
    let start = || {
        let passed = held.try_clone().unwrap();
        let passed = InheritedSocket::new(passed, "jetway.socket".to_owned()).unwrap();
        Rig::start_on(vec![passed], config(&upstream), |settings| {
            settings.addresses = vec![held.local_addr().unwrap()];
            settings.workers = NonZeroUsize::new(2).unwrap();
        })
    };
    let first = start();
    assert_eq!(first.get("/", 0, "").await.status(), 200);
    let request = first.request("GET", "/", 0, "connection: close\r\n");
    let (address, stopping) = stop(first);
    within("the end", stopping).await.unwrap();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(request.as_bytes()).await.unwrap();
    let _second = start();
    assert_eq!(Answer::read(&mut waiting).await.status(), 200);
}

//! Tests with more connections and requests than the limits allow.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpSocket;

use super::upstream::WEBSOCKET;
use super::*;
use crate::limits::Hit;

/// A limit on open files that allows few connections.
const FEW_FILES: u64 = 128;

fn rig(file: &Value) -> Rig {
    Rig::start_within(FEW_FILES, read(file), plugin())
}

fn budget() -> limits::Budget {
    limits::Budget::new(FEW_FILES, 1, 1).unwrap()
}

/// Returns how many client connections [`FEW_FILES`] allow.
fn slots() -> usize {
    budget().clients as usize
}

impl Rig {
    /// Connects from an address of its own.
    async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        let source = IpAddr::from([127, 0, 1, last]);
        socket.bind(SocketAddr::new(source, 0)).unwrap();
        socket.connect(self.running.addresses[0]).await.unwrap()
    }

    async fn get_from(&self, last: u8, path: &str) -> Answer {
        let request = self.request("GET", path, 0, "connection: close\r\n");
        let mut stream = self.connect_from(last).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer::read(&mut stream).await
    }
}

/// Returns whether the proxy has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(SHORT, stream.read_u8()).await;
    matches!(read, Ok(Err(_)))
}

#[tokio::test]
async fn idle_connections_are_evicted_and_new_requests_are_answered() {
    let upstream = Upstream::start().await;
    let rig = rig(&file(&[json!({"to": upstream.url()})]));
    let evicted = Hit::IdleEviction.count();
    let mut idle = Vec::new();
    for number in 0..slots() * 3 {
        idle.push(rig.connect_from(u8::try_from(number % 200).unwrap()).await);
        if number % 7 == 0 {
            assert_eq!(rig.get_from(250, "/").await.status(), 200, "{number}");
        }
    }
    assert!(Hit::IdleEviction.count() > evicted);
    assert!(is_closed(&mut idle[0]).await, "the oldest");
    assert!(!is_closed(idle.last_mut().unwrap()).await, "the newest");
}

#[tokio::test]
async fn requests_in_progress_and_websockets_are_not_evicted() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&file(&[
        json!({"to": upstream.url(), "allow_websockets": true}),
    ]));
    let mut tunnel = rig.connect_from(1).await;
    let handshake = rig.request("GET", "/websocket", 0, WEBSOCKET);
    tunnel.write_all(handshake.as_bytes()).await.unwrap();
    read_until(&mut tunnel, "\r\n\r\n").await;
    assert_eq!(upstream.next().await, "/websocket");
    let mut waiting = rig.connect_from(2).await;
    let request = rig.request("GET", "/silent", 0, "");
    waiting.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(upstream.next().await, "/silent");
    let mut idle = Vec::new();
    for number in 0..slots() * 2 {
        idle.push(
            rig.connect_from(u8::try_from(number % 200 + 3).unwrap())
                .await,
        );
    }
    assert_eq!(rig.get_from(250, "/").await.status(), 200);
    assert!(!is_closed(&mut waiting).await);
    tunnel.write_all(b"still here").await.unwrap();
    assert_eq!(read_until(&mut tunnel, "still here").await, "still here");
}

#[tokio::test]
async fn a_connection_is_refused_and_logged_when_all_slots_are_busy() {
    let mut upstream = Upstream::start().await;
    // One route gets half of the upstream connections.
    let route = json!({"to": upstream.url()});
    let rig = rig(&file(&[route.clone(), route.clone(), route]));
    let refused = Hit::ClientConnections.count();
    let mut busy = Vec::new();
    for number in 0..slots() {
        let mut stream = rig.connect_from(u8::try_from(number).unwrap()).await;
        let request = rig.request("GET", "/silent", number % 3, "");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(upstream.next().await, "/silent");
        busy.push(stream);
    }
    let mut one_more = rig.connect_from(250).await;
    assert!(within("the end", one_more.read_u8()).await.is_err());
    assert!(Hit::ClientConnections.count() > refused);
    busy.pop();
    upstream.closed("/silent").await;
    assert_eq!(rig.get_from(250, "/").await.status(), 200);
}

#[tokio::test]
async fn an_address_gets_its_share_and_others_are_served() {
    let upstream = Upstream::start().await;
    let rig = rig(&file(&[json!({"to": upstream.url()})]));
    let refused = Hit::ClientShare.count();
    let mut greedy = Vec::new();
    for _ in 0..slots() / 2 {
        greedy.push(rig.connect_from(1).await);
    }
    let mut one_more = rig.connect_from(1).await;
    assert!(within("the end", one_more.read_u8()).await.is_err());
    assert!(Hit::ClientShare.count() > refused);
    assert_eq!(rig.get_from(2, "/").await.status(), 200);
    assert!(!is_closed(&mut greedy[0]).await);
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client_whose_share_a_connection_uses() {
    let upstream = Upstream::start().await;
    let mut file = file(&[json!({"to": upstream.url()})]);
    file["use_proxy_protocol"] = true.into();
    let rig = rig(&file);
    let request = rig.request("GET", "/", 0, "");
    let mut greedy = Vec::new();
    let from = async |client: &str| {
        let mut stream = rig.connect_from(1).await;
        let header = format!("PROXY TCP4 {client} 192.0.2.250 1 443\r\n{request}");
        stream.write_all(header.as_bytes()).await.unwrap();
        let begins = within("an answer or the end", stream.read_u8()).await;
        (stream, begins.is_ok())
    };
    for _ in 0..slots() / 2 {
        let (stream, answered) = from("192.0.2.1").await;
        assert!(answered);
        greedy.push(stream);
    }
    assert!(!from("192.0.2.1").await.1, "the client has its share");
    assert!(from("192.0.2.2").await.1, "another client");
}

#[tokio::test]
async fn a_trusted_hop_may_use_all_connections() {
    let upstream = Upstream::start().await;
    let mut file = file(&[json!({"to": upstream.url()})]);
    file["xff_num_trusted_hops"] = 1.into();
    let rig = rig(&file);
    let mut all = Vec::new();
    for _ in 0..slots() - 2 {
        all.push(rig.connect_from(1).await);
    }
    assert_eq!(rig.get_from(1, "/").await.status(), 200);
}

/// Starts a server that accepts requests and never answers.
async fn silent() -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let (told, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                read_until(&mut stream, "\r\n\r\n").await;
                let _ = told.send(());
                let _ = stream.read_u8().await;
            });
        }
    });
    (address, requests)
}

#[tokio::test]
async fn one_client_cannot_use_up_the_requests_of_a_route() {
    let (address, mut requests) = silent().await;
    let innocent = Upstream::start().await;
    let rig = Rig::start(read(&file(&[
        json!({"to": format!("http://{address}"), "idle_timeout": "0s", "timeout": "0s"}),
        json!({"to": innocent.url()}),
    ])));
    let refused = Hit::UpstreamShare.count();
    let share = limits::client_share(jetway_core::limits::UPSTREAM_CONNECTIONS);
    let request = rig.request("GET", "/", 0, "");
    let mut open = Vec::new();
    for _ in 0..share {
        let mut stream = rig.connect_from(1).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        within("the request comes", requests.recv()).await.unwrap();
        open.push(stream);
    }
    let answer = rig.get_from(1, "/").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.0.contains("too many requests"), "{answer:?}");
    assert!(Hit::UpstreamShare.count() > refused);
    // Other clients reach this route, and this client reaches another route.
    let mut other = rig.connect_from(2).await;
    other.write_all(request.as_bytes()).await.unwrap();
    within("the request comes", requests.recv()).await.unwrap();
    assert_eq!(rig.get("/", 1, "").await.status(), 200);
    // Requests that end free their share.
    open.clear();
    let mut again = rig.connect_from(1).await;
    again.write_all(request.as_bytes()).await.unwrap();
    within("the request comes", requests.recv()).await.unwrap();
}

/// With few descriptors, the share of a client on a route follows from them, and other routes keep theirs.
#[tokio::test]
async fn one_client_cannot_use_up_the_descriptors_of_all_routes() {
    let (address, mut requests) = silent().await;
    let innocent = Upstream::start().await;
    let silent = json!({"to": format!("http://{address}"), "idle_timeout": "0s", "timeout": "0s"});
    let rig = certificates::rig_within(
        FEW_FILES,
        &[silent.clone(), silent, json!({"to": innocent.url()})],
    );
    let mut client = http2_from(&rig, 1, None).await;
    let ask = |client: &mut SendRequest<Empty<Bytes>>, route: usize| {
        let request = http::Request::get("https://app.test/")
            .header("x-test-route", &rig.routes[route])
            .body(Empty::new())
            .unwrap();
        client.send_request(request)
    };
    let (told, mut answers) = mpsc::unbounded_channel();
    for number in 0..60 {
        let (answer, told) = (ask(&mut client, number % 2), told.clone());
        tokio::spawn(async move {
            let _ = told.send(answer.await.unwrap().status());
        });
    }
    for _ in 0..60 - 2 * limits::client_share(budget().upstreams / 2) {
        let refused = within("a refusal", answers.recv()).await;
        assert_eq!(refused.map(|status| status.as_u16()), Some(503));
    }
    let mut other = http2_from(&rig, 2, None).await;
    let answer = within("an answer", ask(&mut other, 2)).await.unwrap();
    assert_eq!(answer.status(), 200);
    within("a request comes", requests.recv()).await.unwrap();
    assert!(answers.is_empty(), "the client's share is not refused");
}

/// An HTTP/2 client without a window for responses also gets those of the proxy itself. They do not keep its connection.
#[tokio::test]
async fn unread_responses_of_the_proxy_do_not_protect_connections_from_eviction() {
    let upstream = Upstream::start().await;
    let rig = certificates::rig_within(FEW_FILES, &[json!({"to": upstream.url()})]);
    let mut unread = Vec::new();
    let ask = |route: &str| {
        http::Request::get("https://app.test/")
            .header("x-test-route", route)
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    for number in 0..slots() {
        let mut client = http2_from(&rig, u8::try_from(number).unwrap(), Some(0)).await;
        let answer = within("a head", client.send_request(ask("none"))).await;
        unread.push((client, answer.unwrap()));
    }
    let mut innocent = http2_from(&rig, 250, None).await;
    let answer = innocent.send_request(ask(&rig.routes[0]));
    let answer = within("an answer", answer).await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Connects with HTTP/2 from an address of its own, with this window for each response.
async fn http2_from(rig: &Rig, last: u8, window: Option<u32>) -> SendRequest<Empty<Bytes>> {
    let stream = rig.connect_from(last).await;
    let stream = rig.shake_hands_on(stream, None, b"h2").await.unwrap();
    let (client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

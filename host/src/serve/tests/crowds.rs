//! More clients and requests than there is room for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use super::upstream::WEBSOCKET;
use super::*;
use crate::limits::Hit;

/// Leaves room for few clients.
const FEW_FILES: u64 = 128;

fn rig(file: &Value) -> Rig {
    Rig::start_within(FEW_FILES, read(file), plugin())
}

/// How many clients there is room for.
fn places() -> usize {
    let needs = limits::Needs {
        workers: 1,
        addresses: 1,
    };
    limits::Budget::of(FEW_FILES, needs).unwrap().clients as usize
}

impl Rig {
    /// A client with an address of its own.
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

/// Whether the proxy has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(SHORT, stream.read_u8()).await;
    matches!(read, Ok(Err(_)))
}

#[tokio::test]
async fn idle_connections_make_room_and_new_requests_are_answered() {
    let upstream = Upstream::start().await;
    let rig = rig(&file(&[json!({"to": upstream.url()})]));
    let evicted = Hit::IdleClients.count();
    let mut idle = Vec::new();
    for number in 0..places() * 3 {
        idle.push(rig.connect_from(u8::try_from(number % 200).unwrap()).await);
        if number % 7 == 0 {
            assert_eq!(rig.get_from(250, "/").await.status(), 200, "{number}");
        }
    }
    assert!(Hit::IdleClients.count() > evicted);
    assert!(is_closed(&mut idle[0]).await, "the oldest");
    assert!(!is_closed(idle.last_mut().unwrap()).await, "the newest");
}

#[tokio::test]
async fn requests_and_websockets_in_progress_stay() {
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
    for number in 0..places() * 2 {
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
async fn when_all_places_are_busy_a_client_is_refused_and_the_log_knows() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&file(&[json!({"to": upstream.url()})]));
    let refused = Hit::Clients.count();
    let request = rig.request("GET", "/silent", 0, "");
    let mut busy = Vec::new();
    for number in 0..places() {
        let mut stream = rig.connect_from(u8::try_from(number).unwrap()).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(upstream.next().await, "/silent");
        busy.push(stream);
    }
    let mut one_more = rig.connect_from(250).await;
    assert!(within("the end", one_more.read_u8()).await.is_err());
    assert!(Hit::Clients.count() > refused);
    busy.pop();
    upstream.closed("/silent").await;
    assert_eq!(rig.get_from(250, "/").await.status(), 200);
}

#[tokio::test]
async fn one_address_has_its_share_and_others_are_served() {
    let upstream = Upstream::start().await;
    let rig = rig(&file(&[json!({"to": upstream.url()})]));
    let refused = Hit::ClientShare.count();
    let mut greedy = Vec::new();
    for _ in 0..places() / 2 {
        greedy.push(rig.connect_from(1).await);
    }
    let mut one_more = rig.connect_from(1).await;
    assert!(within("the end", one_more.read_u8()).await.is_err());
    assert!(Hit::ClientShare.count() > refused);
    assert_eq!(rig.get_from(2, "/").await.status(), 200);
    assert!(!is_closed(&mut greedy[0]).await);
}

#[tokio::test]
async fn behind_a_proxy_the_share_is_that_of_the_client_whom_it_tells() {
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
    for _ in 0..places() / 2 {
        let (stream, answered) = from("192.0.2.1").await;
        assert!(answered);
        greedy.push(stream);
    }
    assert!(!from("192.0.2.1").await.1, "it has its share");
    assert!(from("192.0.2.2").await.1, "and its neighbour nothing");
}

#[tokio::test]
async fn behind_a_trusted_hop_one_address_may_have_all_connections() {
    let upstream = Upstream::start().await;
    let mut file = file(&[json!({"to": upstream.url()})]);
    file["xff_num_trusted_hops"] = 1.into();
    let rig = rig(&file);
    let mut all = Vec::new();
    for _ in 0..places() - 2 {
        all.push(rig.connect_from(1).await);
    }
    assert_eq!(rig.get_from(1, "/").await.status(), 200);
}

/// A server that takes connections and requests, and says nothing.
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
async fn one_client_cannot_take_all_that_an_upstream_gets() {
    let (address, mut requests) = silent().await;
    let innocent = Upstream::start().await;
    let rig = Rig::start(read(&file(&[
        json!({"to": format!("http://{address}"), "idle_timeout": "0s", "timeout": "0s"}),
        json!({"to": innocent.url()}),
    ])));
    let refused = Hit::UpstreamShare.count();
    let share = limits::share_of_one(jetway_core::capacity::UPSTREAM_CONNECTIONS);
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
    assert!(
        answer.0.contains("too many requests under way"),
        "{answer:?}"
    );
    assert!(Hit::UpstreamShare.count() > refused);
    // Others get there, and this client gets elsewhere.
    let mut other = rig.connect_from(2).await;
    other.write_all(request.as_bytes()).await.unwrap();
    within("the request comes", requests.recv()).await.unwrap();
    assert_eq!(rig.get("/", 1, "").await.status(), 200);
    // What ends makes room.
    open.clear();
    let mut again = rig.connect_from(1).await;
    again.write_all(request.as_bytes()).await.unwrap();
    within("the request comes", requests.recv()).await.unwrap();
}

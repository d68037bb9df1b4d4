//! Tests of the plugin's control over open WebSockets.

use super::*;

fn plugin_of_websockets() -> &'static [u8] {
    static PLUGIN: OnceLock<Vec<u8>> = OnceLock::new();
    PLUGIN.get_or_init(|| wat::parse_str(include_str!("websockets.wat")).unwrap())
}

async fn rig() -> (Upstream, Rig) {
    let upstream = Upstream::start().await;
    let config = read(&file(&[
        json!({"to": upstream.url(), "allow_websockets": true}),
    ]));
    let rig = Rig::start_with(config, plugin_of_websockets());
    (upstream, rig)
}

/// Opens a WebSocket and returns it with the head of the response.
async fn open(rig: &Rig, path: &str, lines: &str) -> (TcpStream, String) {
    let mut stream = rig.connect().await;
    let lines = format!("{}{lines}", upstream::WEBSOCKET);
    let request = rig.request("GET", path, 0, &lines);
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (stream, head)
}

/// Says something on a WebSocket that ends then, and returns what comes until the end. The plugin may end it before the echo.
async fn end(stream: &mut TcpStream) -> Vec<u8> {
    stream.write_all(HI).await.unwrap();
    let mut rest = Vec::new();
    within("the end", stream.read_to_end(&mut rest))
        .await
        .unwrap();
    rest.strip_prefix(HI).unwrap_or(&rest).to_vec()
}

/// Returns how often the plugin was called at the end of a stream: for log, done and delete, equally often.
async fn ended(rig: &Rig) -> u8 {
    let answer = rig.get("/", 0, "").await;
    let told = answer.seen("x-ended").unwrap().as_bytes();
    assert_eq!(told, [told[0]; 3]);
    told[0] - b'0'
}

#[tokio::test]
async fn the_plugin_edits_the_response_that_opens_a_websocket() {
    let (_upstream, rig) = rig().await;
    let (_stream, head) = open(&rig, "/websocket", "").await;
    for line in [
        "set-cookie: a=b",
        "set-cookie: session=new; Secure",
        "x-plugin: was here",
    ] {
        assert!(head.contains(&format!("{line}\r\n")), "{line}: {head}");
    }
}

#[tokio::test]
async fn a_websocket_that_the_plugin_ends_is_closed_in_order() {
    let (mut upstream, rig) = rig().await;
    let (mut stream, _) = open(&rig, "/websocket", "x-test-end: yes\r\n").await;
    let (mut other, _) = open(&rig, "/websocket", "").await;
    check_echo(&mut other).await;
    assert_eq!(end(&mut stream).await, b"\x88\x0f\x03\xf0session ended");
    drop(stream);
    upstream.closed("/websocket").await;
    // The other one stays open.
    check_echo(&mut other).await;
}

/// The last message is in the protocol of Cockpit's pages: other WebSockets end without it, as the test above shows.
#[tokio::test]
async fn a_page_of_cockpit_learns_the_reason_before_the_close_frame() {
    let (_upstream, rig) = rig().await;
    let (mut stream, head) = open(&rig, "/websocket/cockpit", "x-test-end: yes\r\n").await;
    assert!(head.contains("sec-websocket-protocol: cockpit1\r\n"));
    let rest = end(&mut stream).await;
    let message = b"\x81\x13\n{\"command\":\"init\"}";
    let close = b"\x88\x0f\x03\xf0session ended";
    assert_eq!(rest, [&message[..], close].concat());
}

#[tokio::test]
async fn the_upstream_gets_a_close_frame_when_the_session_ends() {
    let (mut upstream, rig) = rig().await;
    let (mut stream, _) = open(&rig, "/websocket/silent", "x-test-end: yes\r\n").await;
    upstream.take();
    stream.write_all(HI).await.unwrap();
    let got = upstream.next().await;
    let (said, close) = got.split_at(HI.len() * 2);
    assert_eq!(said, hex(HI));
    assert!(close.starts_with("8882") && close.len() == 16, "{close}");
}

#[tokio::test]
async fn the_plugin_is_called_once_at_the_end_of_a_websocket() {
    let (mut upstream, rig) = rig().await;
    assert_eq!(ended(&rig).await, 0);
    let (stream, _) = open(&rig, "/websocket", "").await;
    assert_eq!(ended(&rig).await, 1, "one request, and no websocket");
    drop(stream);
    upstream.closed("/websocket").await;
    // The upstream's connection is closed just before the plugin is called. Each question is a request of its own.
    let mut requests = 2;
    while ended(&rig).await == requests {
        requests += 1;
    }
    assert_eq!(ended(&rig).await, requests + 2, "a websocket more, once");
}

/// CVE-2026-73548: bytes that a client sends before its upgrade is accepted are no request.
#[tokio::test]
async fn early_bytes_after_a_refused_handshake_are_no_request() {
    let (mut upstream, rig) = rig().await;
    for path in ["/refused", "/closed"] {
        let mut stream = rig.connect().await;
        let handshake = rig.request("GET", path, 0, upstream::WEBSOCKET);
        let early = rig.request("GET", "/early", 0, "");
        let both = format!("{handshake}{early}");
        stream.write_all(both.as_bytes()).await.unwrap();
        let answers = Answer::read(&mut stream).await;
        assert_eq!(answers.0.matches("HTTP/1.1 ").count(), 1, "{answers:?}");
        assert!(answers.0.contains("connection: close\r\n"), "{answers:?}");
        assert_eq!(rig.get("/next", 0, "").await.status(), 200);
        assert_eq!(upstream.take(), [path, "/next"]);
    }
}

#[tokio::test]
async fn early_bytes_of_an_accepted_handshake_go_through_the_tunnel() {
    let (mut upstream, rig) = rig().await;
    let mut stream = rig.connect().await;
    let mut both = rig
        .request("GET", "/websocket", 0, upstream::WEBSOCKET)
        .into_bytes();
    both.extend_from_slice(HI);
    stream.write_all(&both).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut echoed = [0; HI.len()];
    within("the echo", stream.read_exact(&mut echoed))
        .await
        .unwrap();
    assert_eq!(echoed, HI);
    assert_eq!(upstream.take(), ["/websocket"]);
}

#[tokio::test]
async fn the_plugin_edits_the_page_of_a_failed_upstream() {
    let (_upstream, rig) = rig().await;
    let answer = rig.get("/closed", 0, "").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.0.contains("x-plugin: was here\r\n"), "{answer:?}");
    assert!(answer.0.contains("\"request_id\""), "{answer:?}");
}

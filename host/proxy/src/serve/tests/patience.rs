//! Tests of the limits on waiting for upstreams and clients.

use super::*;

/// Starts a proxy whose one route has these limits.
async fn rig(upstream: &Upstream, change: impl FnOnce(&mut Route)) -> Rig {
    let route = json!({"to": upstream.url(), "allow_websockets": true});
    let mut config = read(&file(&[route]));
    change(&mut config.routes[0]);
    Rig::start(config)
}

fn idle(route: &mut Route) {
    route.timeout = None;
    route.idle_timeout = Some(SHORT);
}

#[tokio::test]
async fn a_silent_upstream_times_out() {
    let mut upstream = Upstream::start().await;
    for change in [idle as fn(&mut Route), |route| route.timeout = Some(SHORT)] {
        let rig = rig(&upstream, change).await;
        assert_eq!(rig.get("/silent", 0, "").await.status(), 504);
        upstream.closed("/silent").await;
        let websocket = rig.get("/silent", 0, upstream::WEBSOCKET).await;
        assert_eq!(websocket.status(), 504);
        upstream.closed("/silent").await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_complete_its_request_times_out() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&upstream, idle).await;
    let mut stream = rig.connect().await;
    let request = rig.request("POST", "/silent", 0, "content-length: 10\r\n") + "abc";
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status(), 408);
    upstream.closed("/silent").await;
}

#[tokio::test]
async fn a_response_that_stops_is_aborted() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&upstream, idle).await;
    let mut stream = rig.connect().await;
    let request = rig.request("GET", "/head", 0, "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = Answer::read(&mut stream).await;
    assert_eq!(answer.status(), 200);
    assert!(
        answer.0.ends_with("3\r\nabc\r\n"),
        "no regular end: {answer:?}"
    );
    upstream.closed("/head").await;
}

#[tokio::test]
async fn a_response_that_has_begun_may_take_its_time() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&upstream, |route| route.timeout = Some(SHORT)).await;
    let mut stream = rig.connect().await;
    let request = rig.request("GET", "/head", 0, "");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut stream, "abc\r\n").await;
    // A later request exceeds the limit before the earlier response ends.
    assert_eq!(rig.get("/silent", 0, "").await.status(), 504);
    upstream.closed("/silent").await;
    drop(stream);
    upstream.closed("/head").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_times_out() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&upstream, idle).await;
    let mut stream = rig.connect().await;
    let request = rig.request("GET", "/flood", 0, "");
    stream.write_all(request.as_bytes()).await.unwrap();
    // The client reads nothing: buffers fill until no data moves.
    upstream.closed("/flood").await;
}

#[tokio::test]
async fn a_silent_websocket_is_closed_if_the_route_says_so() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&upstream, idle).await;
    let mut stream = rig.connect().await;
    let request = rig.request("GET", "/websocket", 0, upstream::WEBSOCKET);
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    stream.write_all(b"ping").await.unwrap();
    read_until(&mut stream, "ping").await;
    assert_eq!(Answer::read(&mut stream).await.0, "");
    upstream.closed("/websocket").await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let upstream = Upstream::start().await;
    let mut config = read(&file(&[json!({"to": upstream.url()})]));
    config.listener.idle_timeout = SHORT;
    let rig = Rig::start(config);
    let mut unused = rig.connect().await;
    assert_eq!(Answer::read(&mut unused).await.0, "");
    let mut used = rig.connect().await;
    let request = rig.request("GET", "/", 0, "");
    used.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut used).await.status(), 200);
}

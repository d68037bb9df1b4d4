//! Tests which upstream gets a request, and in which form.

use super::*;

#[tokio::test]
async fn the_plugin_sets_the_path_and_host_that_the_upstream_sees() {
    let mut upstream = Upstream::start().await;
    let preserve = json!({"to": upstream.url(), "preserve_host_header": true});
    let rig = Rig::start(read(&file(&[json!({"to": upstream.url()}), preserve])));
    let own = upstream.address.to_string();

    let answer = rig.get("/asked?a=b", 0, "").await;
    assert_eq!(answer.seen("host"), Some(own.as_str()));
    assert_eq!(answer.seen("x-forwarded-host"), Some("app.test"));
    assert_eq!(answer.seen("x-jetway-route"), None);
    let edits = "x-test-path: /written?c=d\r\nx-test-host: written.test:8443\r\n";
    let answer = rig.get("/asked", 0, edits).await;
    assert_eq!(answer.seen("host"), Some(own.as_str()));
    assert_eq!(answer.seen("x-forwarded-host"), Some("written.test:8443"));
    let answer = rig.get("/asked", 1, edits).await;
    assert_eq!(answer.seen("host"), Some("written.test:8443"));
    assert_eq!(answer.seen("x-forwarded-host"), None);
    assert_eq!(
        upstream.take(),
        ["/asked?a=b", "/written?c=d", "/written?c=d"]
    );
}

#[tokio::test]
async fn requests_are_spread_by_weight_and_websockets_with_them() {
    let (mut one, mut two) = (Upstream::start().await, Upstream::start().await);
    let to = [format!("{},3", one.url()), format!("{},1", two.url())];
    let rig = Rig::start(read(&file(&[json!({"to": to, "allow_websockets": true})])));
    for turn in 0..8 {
        if turn % 2 == 0 {
            assert_eq!(rig.get("/", 0, "").await.status(), 200);
        } else {
            let mut stream = rig.connect().await;
            let request = rig.request("GET", "/websocket", 0, upstream::WEBSOCKET);
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = read_until(&mut stream, "\r\n\r\n").await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        }
    }
    assert_eq!((one.take().len(), two.take().len()), (6, 2));
}

#[tokio::test]
async fn a_turn_of_an_upstream_that_is_down_is_lost_as_in_envoy() {
    let mut alive = Upstream::start().await;
    let down = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = [
        alive.url(),
        format!("http://{}", down.local_addr().unwrap()),
    ];
    drop(down);
    let rig = Rig::start(read(&file(&[json!({"to": to})])));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(rig.get("/", 0, "").await.status());
    }
    assert_eq!(statuses, [200, 503, 200, 503, 200, 503]);
    assert_eq!(alive.take().len(), 3);
}

#[tokio::test]
async fn a_request_without_an_upstream_is_not_forwarded() {
    let mut upstream = Upstream::start().await;
    let rig = Rig::start(read(&file(&[
        json!({"response": {"status": 200, "body": "hello"}}),
        json!({"redirect": {"host_redirect": "other.test"}}),
        json!({"to": upstream.url()}),
    ])));
    for (route, status) in [(0, 503), (1, 503), (2, 200), (3, 503)] {
        assert_eq!(rig.get("/", route, "").await.status(), status, "{route}");
    }
    assert_eq!(upstream.take().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_closes_is_distinguished_from_one_that_does_not_speak_http() {
    let upstream = Upstream::start().await;
    let route = json!({"to": upstream.url(), "allow_websockets": true});
    let rig = Rig::start(read(&file(&[route])));
    for (path, status) in [("/closed", 503), ("/nonsense", 502), ("/", 200)] {
        assert_eq!(rig.get(path, 0, "").await.status(), status, "{path}");
    }
    // The same on a connection of its own.
    for (path, status) in [("/closed", 503), ("/nonsense", 502)] {
        let mut stream = rig.connect().await;
        let request = rig.request("GET", path, 0, upstream::WEBSOCKET);
        stream.write_all(request.as_bytes()).await.unwrap();
        let line = read_until(&mut stream, "\r\n").await;
        assert!(line.contains(&format!(" {status} ")), "{path}: {line}");
    }
}

#[tokio::test]
async fn a_fragment_in_the_target_is_refused() {
    let mut upstream = Upstream::start().await;
    let rig = Rig::start(read(&file(&[json!({"to": upstream.url()})])));
    let mut stream = rig.connect().await;
    let [good, bad] = ["/a", "/b?c#d"].map(|path| rig.request("GET", path, 0, ""));
    let both = format!("{good}{bad}{good}");
    stream.write_all(both.as_bytes()).await.unwrap();
    let answers = Answer::read(&mut stream).await;
    assert_eq!(answers.0.matches("HTTP/1.1 200 ").count(), 1, "{answers:?}");
    assert_eq!(answers.0.matches("HTTP/1.1 400 ").count(), 1, "{answers:?}");
    assert_eq!(upstream.take(), ["/a"]);
}

#[tokio::test]
async fn an_upgrade_to_another_protocol_is_refused() {
    let mut upstream = Upstream::start().await;
    let rig = Rig::start(read(&file(&[json!({"to": upstream.url()})])));
    let mut stream = rig.connect().await;
    let upgrade = rig.request("GET", "/a", 0, "connection: upgrade\r\nupgrade: foo\r\n");
    let early = rig.request("GET", "/early", 0, "");
    let both = format!("{upgrade}{early}");
    stream.write_all(both.as_bytes()).await.unwrap();
    let answers = Answer::read(&mut stream).await;
    assert_eq!(answers.status(), 403);
    assert_eq!(answers.0.matches("HTTP/1.1 ").count(), 1, "{answers:?}");
    assert!(upstream.take().is_empty());
}

/// As in Envoy. The client of such a request waits for the answer, so that the connection is kept.
#[tokio::test]
async fn an_offer_of_http2_is_ignored() {
    let mut upstream = Upstream::start().await;
    let rig = Rig::start(read(&file(&[json!({"to": upstream.url()})])));
    let offer = "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    let curl = format!("connection: upgrade, http2-settings\r\n{offer}");
    let first = rig.request("GET", "/b", 0, &curl);
    let last = rig.request("GET", "/c", 0, "connection: close\r\n");
    let mut stream = rig.connect().await;
    let both = format!("{first}{last}");
    stream.write_all(both.as_bytes()).await.unwrap();
    let answers = Answer::read(&mut stream).await;
    assert_eq!(answers.0.matches("HTTP/1.1 200 ").count(), 2, "{answers:?}");
    assert_eq!(upstream.take(), ["/b", "/c"]);
}

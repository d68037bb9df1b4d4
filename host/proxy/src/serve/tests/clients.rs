//! Tests of the client address that the plugin, the upstream and the log get.

use super::*;

#[tokio::test]
async fn each_request_has_its_own_client() {
    let upstream = Upstream::start().await;
    let mut config = read(&file(&[json!({"to": upstream.url()})]));
    config.listener.trusted_hops = 1;
    let rig = Rig::start(config);
    let mut stream = rig.connect().await;
    let peer = stream.local_addr().unwrap();
    let mut told = async |lines: &str| {
        let request = rig.request("GET", "/", 0, lines);
        stream.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
        Answer(format!(
            "\r\n\r\n{}",
            read_until(&mut stream, "\r\n\r\n").await
        ))
    };
    let one = told("x-forwarded-for: 203.0.113.9\r\n").await;
    assert_eq!(one.seen("x-source"), Some("203.0.113.9:0"));
    assert_eq!(one.seen("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    let two = told("x-forwarded-for: 2001:db8::1\r\n").await;
    assert_eq!(two.seen("x-source"), Some("[2001:db8::1]:0"));
    let none = told("").await;
    assert_eq!(none.seen("x-source"), Some(peer.to_string().as_str()));
    assert_eq!(none.seen("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_client_cannot_have_its_address_removed() {
    let mut upstream = Upstream::start().await;
    let mut config = read(&file(&[json!({"to": upstream.url()})]));
    config.listener.trusted_hops = 1;
    let rig = Rig::start(config);
    let lines = "connection: x-forwarded-for\r\nx-forwarded-for: 203.0.113.9\r\n";
    assert_eq!(rig.get("/", 0, lines).await.status(), 400);
    assert!(upstream.take().is_empty());
    let lines = "connection: x-other\r\nx-forwarded-for: 203.0.113.9\r\n";
    let answer = rig.get("/", 0, lines).await;
    assert_eq!(answer.seen("x-source"), Some("203.0.113.9:0"));
}

#[tokio::test]
async fn a_proxy_in_front_announces_the_client() {
    let upstream = Upstream::start().await;
    let mut config = read(&file(&[json!({"to": upstream.url()})]));
    config.listener.proxy_protocol = true;
    let rig = Rig::start(config);
    let request = rig.request(
        "GET",
        "/",
        0,
        "connection: close\r\nx-forwarded-for: 1.2.3.4\r\n",
    );
    let ask = async |header: &str| {
        let mut stream = rig.connect().await;
        let own = stream.local_addr().unwrap();
        let bytes = format!("{header}{request}");
        stream.write_all(bytes.as_bytes()).await.unwrap();
        (Answer::read(&mut stream).await, own)
    };
    let (answer, _) = ask("PROXY TCP4 203.0.113.9 10.0.0.1 5555 443\r\n").await;
    assert_eq!(answer.seen("x-source"), Some("203.0.113.9:5555"));
    assert_eq!(answer.seen("x-forwarded-for"), Some("203.0.113.9"));
    let (answer, own) = ask("PROXY UNKNOWN\r\n").await;
    assert_eq!(answer.seen("x-source"), Some(own.to_string().as_str()));
    for refused in ["", "PROXY TCP4 203.0.113.9\r\n"] {
        assert_eq!(ask(refused).await.0.0, "", "{refused}");
    }
}

//! Tests of request bodies that the plugin reads before it decides.

use super::*;

fn plugin_that_reads_bodies() -> &'static [u8] {
    static PLUGIN: OnceLock<Vec<u8>> = OnceLock::new();
    PLUGIN.get_or_init(|| wat::parse_str(include_str!("bodies.wat")).unwrap())
}

async fn rig() -> (Upstream, Rig) {
    let upstream = Upstream::start().await;
    let config = read(&file(&[json!({"to": upstream.url()})]));
    let rig = Rig::start_with(config, plugin_that_reads_bodies());
    (upstream, rig)
}

/// Returns letters in order, so that a lost, repeated or moved one is visible.
fn text(length: usize) -> String {
    (0..length)
        .map(|place| char::from(b'a' + (place % 23) as u8))
        .collect()
}

/// Returns the text in chunks of this size, with a trailer field.
fn in_chunks(text: &str, size: usize) -> String {
    let chunk = |part: &[u8]| {
        let text = std::str::from_utf8(part).unwrap();
        format!("{:x}\r\n{text}\r\n", part.len())
    };
    let chunks: String = text.as_bytes().chunks(size).map(chunk).collect();
    chunks + "0\r\nx-email: evil\r\n\r\n"
}

const CHUNKED: &str = "transfer-encoding: chunked\r\ntrailer: x-email\r\n";

impl Rig {
    /// Sends a POST with this body on a new connection and returns the response. The rest of the body is dropped when it
    /// cannot be sent.
    async fn post(&self, lines: &str, body: &str) -> Answer {
        let head = self.request("POST", "/body", 0, &format!("connection: close\r\n{lines}"));
        let (mut read, mut write) = self.connect().await.into_split();
        let message = head + body;
        let sending = tokio::spawn(async move {
            let _ = write.write_all(message.as_bytes()).await;
            // Dropping this half would close it, as if the client had disconnected.
            std::future::pending::<()>().await;
        });
        let answer = Answer::read(&mut read).await;
        sending.abort();
        answer
    }
}

fn sized(wish: &str, body: &str) -> String {
    format!("x-test-body: {wish}\r\ncontent-length: {}\r\n", body.len())
}

fn body(answer: &Answer) -> &str {
    answer.0.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn a_body_is_shown_to_the_plugin_which_answers() {
    let (mut upstream, rig) = rig().await;
    for length in [1, 65_536, 300_000] {
        let sent = text(length);
        let answer = rig.post(&sized("r", &sent), &sent).await;
        assert_eq!(answer.status(), 200);
        assert!(body(&answer) == sent, "{length}");
        let lines = format!("x-test-body: r\r\n{CHUNKED}");
        let answer = rig.post(&lines, &in_chunks(&sent, 10_007)).await;
        assert!(body(&answer) == sent, "{length} in chunks");
    }
    assert_eq!(upstream.take(), [""; 0]);
}

#[tokio::test]
async fn a_body_that_was_seen_reaches_the_upstream_unchanged() {
    let (_upstream, rig) = rig().await;
    // The plugin continues with the end of the body, before it, or never sees the body.
    for wish in ["x-test-body: c\r\n", "x-test-body: f\r\n", ""] {
        for length in [1, 65_536, 300_000] {
            let sent = text(length);
            let lines = format!("{wish}content-length: {length}\r\n");
            let answer = rig.post(&lines, &sent).await;
            assert_eq!(answer.status(), 200, "{wish}");
            assert!(answer.0.ends_with(&sent), "{wish} {length}");
            assert_eq!(answer.seen("content-length"), Some(&*length.to_string()));

            let lines = format!("{wish}{CHUNKED}");
            let answer = rig.post(&lines, &in_chunks(&sent, 4_099)).await;
            let (_, told) = body(&answer).split_once("\r\n\r\n").unwrap();
            // H-21: the trailer field is removed, and no header announces it.
            assert!(unchunked(told) == sent, "{wish} {length}");
            assert_eq!(answer.seen("trailer"), None);
        }
    }
}

/// Returns the content of chunks, or the text itself if it has none. Trailer fields would be visible in it.
fn unchunked(text: &str) -> String {
    let Some(mut rest) = text.ends_with("0\r\n\r\n").then_some(text) else {
        return text.to_owned();
    };
    let mut content = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            assert_eq!(after, "\r\n");
            break;
        }
        content.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    content
}

#[tokio::test]
async fn the_plugin_may_write_another_body() {
    let (_upstream, rig) = rig().await;
    let sent = text(5_000);
    let answer = rig.post(&sized("s", &sent), &sent).await;
    assert_eq!(answer.seen("content-length"), Some("7"));
    assert!(answer.0.ends_with("\r\n\r\nwritten"), "{answer:?}");
}

#[tokio::test]
async fn a_refusal_arrives_although_the_client_still_sends() {
    let (mut upstream, rig) = rig().await;
    let sent = text(20_000_000);
    let answer = rig.post(&sized("e", &sent), &sent).await;
    assert_eq!(answer.status(), 403);
    let answer = rig.post(&sized("p", &sent), &sent).await;
    assert_eq!(answer.status(), 413);
    assert!(body(&answer).contains("too large"));
    assert_eq!(upstream.take(), [""; 0]);
}

#[tokio::test]
async fn the_connection_stays_open_after_a_response_to_a_body() {
    let (_upstream, rig) = rig().await;
    let mut stream = rig.connect().await;
    for wish in ["r", "e", "c"] {
        let sent = text(50_000) + "END";
        let request = rig.request("POST", "/body", 0, &sized(wish, &sent)) + &sent;
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut answer = vec![0; length.unwrap().parse().unwrap()];
        within("a body", stream.read_exact(&mut answer))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_only_when_its_body_is_read() {
    let (_upstream, rig) = rig().await;
    let mut stream = rig.connect().await;
    let lines = "x-test-body: r\r\nexpect: 100-continue\r\ncontent-length: 3\r\n";
    let request = rig.request("POST", "/body", 0, lines);
    stream.write_all(request.as_bytes()).await.unwrap();
    let asked = read_until(&mut stream, "\r\n\r\n").await;
    assert!(asked.starts_with("HTTP/1.1 100 "), "{asked}");
    stream.write_all(b"abc").await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    read_until(&mut stream, "abc").await;
}

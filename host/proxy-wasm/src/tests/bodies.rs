//! Bodies of requests that the plugin keeps paused.

use super::*;

/// Pauses every request, and reports each part of its body as `x-value`, with the sizes as `x-status`.
const TELLS: &str = r#"
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_request_body") (param $id i32) (param $size i32) (param $end i32) (result i32)
        (call $report (local.get $size))
        (call $report (call $buffer (i32.const 0) (i32.const 1) (i32.const -1) (i32.const 0) (i32.const 4)))
        (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
        (i32.eqz (local.get $end)))"#;

fn paused(verdict: &Verdict<RequestHead>) -> bool {
    matches!(verdict, Verdict::Paused)
}

#[test]
fn the_plugin_sees_all_that_it_keeps() {
    let module = plugin(&[], TELLS);
    run(async move {
        let rig = Rig::new(&module);
        let mut stream = rig.paused();
        assert!(matches!(stream.wanted().await, Wanted::Body));
        assert!(paused(&stream.request_body(b"ab", false)));
        assert!(paused(&stream.request_body(b"cd", false)));
        assert_eq!(stream.kept_body(), 4);
        let head = continued(stream.request_body(b"", true));
        assert_eq!(lines(&head.headers, "x-status"), "2 0 4 0 4 0");
        assert_eq!(lines(&head.headers, "x-value"), "b bcd bcd");
        assert_eq!(stream.take_body(), "abcd");
        assert_eq!((stream.take_body().len(), stream.kept_body()), (0, 0));
        // The request has been continued: later chunks do not pass through the plugin.
        assert!(paused(&stream.request_body(b"late", true)));
        assert_eq!(stream.kept_body(), 0);
    });
}

#[test]
fn a_plugin_without_the_callback_is_not_asked() {
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))"#,
    );
    run(async move {
        let mut stream = Rig::new(&module).paused();
        assert!(matches!(
            stream.wanted().await,
            Wanted::Nothing(Verdict::Failed)
        ));
    });
}

#[test]
fn the_body_waits_for_a_call_that_was_made_for_its_request() {
    let pairs: &[u8] = b"\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0\
        :method\0GET\0:path\0/\0:authority\0a\0";
    let module = plugin(
        &[("idp", b"https://slow"), ("pairs", pairs)],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (call $call @idp @pairs (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 5000) (i32.const 0)) (then unreachable))
            (i32.const 1))
           (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32))
           (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let began = tokio::time::Instant::now();
        let mut stream = rig.paused();
        assert!(matches!(stream.wanted().await, Wanted::Body));
        assert_eq!(began.elapsed().as_secs(), 5);
        continued(stream.request_body(b"x", true));
        assert_eq!(stream.take_body(), "x");
    });
}

#[test]
fn a_body_can_be_answered_and_reset() {
    for (wish, closed) in [
        (
            "(drop (call $reply (i32.const 413) @why @why (i32.const 0) (i32.const 0) (i32.const -1)))",
            false,
        ),
        ("(drop (call $close (i32.const 0)))", true),
    ] {
        let module = plugin(
            &[("why", b"no")],
            &format!(
                r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
                   (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) {wish} (i32.const 0))"#
            ),
        );
        run(async move {
            let rig = Rig::new(&module);
            let mut stream = rig.paused();
            let verdict = stream.request_body(b"x", false);
            if closed {
                assert!(matches!(verdict, Verdict::Closed), "{verdict:?}");
            } else {
                assert_eq!(replied(verdict).status.as_u16(), 413);
            }
        });
    }
}

#[test]
fn only_a_body_that_is_kept_can_be_changed() {
    let module = plugin(
        &[("text", b"new")],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
           (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (call $report (call $set_buffer (i32.const 0) (i32.const 1) (i32.const 2) @text))
            (call $report (call $set_buffer (i32.const 1) (i32.const 0) (i32.const 0) @text))
            (call $report (call $set_buffer (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 9)))
            (i32.const 0))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (if (i32.ne (call $set_buffer (i32.const 0) (i32.const 0) (i32.const 0) @text) (i32.const 2))
                (then unreachable))
            (i32.const 0))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let mut stream = rig.paused();
        let head = continued(stream.request_body(b"abcd", true));
        assert_eq!(lines(&head.headers, "x-status"), "0 2 6");
        assert_eq!(stream.take_body(), "anewd");
        continued(stream.response(response(&[]), true));
    });
}

#[test]
fn websocket_bytes_of_a_client_are_reported_by_size_and_beginning() {
    let module = plugin(
        &[("spoken", b"spoken")],
        r#"(func (export "proxy_on_request_body") (param $id i32) (param $size i32) (param $end i32) (result i32)
            (drop (call $metric (i32.const 0) @spoken (i32.const 0)))
            (drop (call $increment (i32.load (i32.const 0)) (i64.extend_i32_u (local.get $size))))
            (drop (call $buffer (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
            (if (i32.or (i32.ne (i32.load (i32.const 4)) (i32.const 3)) (local.get $end)) (then unreachable))
            (if (i32.eq (local.get $size) (i32.const 5)) (then (drop (call $close (i32.const 0)))))
            (i32.const 0))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let (stream, _) = rig.passed(head(&[]));
        stream.client_spoke(7, b"abc");
        stream.client_spoke(5, b"def");
        assert_eq!(rig.metric("spoken"), Some(12));
        assert_eq!(stream.closed().await, Ended::Closed);
    });
}

//! The life of a stream: pausing, resuming, answering, resetting, ending.

use super::*;

/// Pauses every request. Each tick acts on stream 2 with the given body.
fn held(on_tick: &str) -> String {
    format!(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $tick (i32.const 10))) (i32.const 1))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
           (func (export "proxy_on_tick") (param $root i32)
            (if (i32.eqz (call $choose (i32.const 2))) (then {on_tick})))"#
    )
}

#[test]
fn a_paused_request_can_be_edited_and_resumed_from_another_context() {
    let module = plugin(
        &[("name", b"x-user"), ("alice", b"alice")],
        &held(
            "(drop (call $replace (i32.const 0) @name @alice)) (drop (call $continue (i32.const 0)))",
        ),
    );
    run(async move {
        let rig = Rig::new(&module);
        let mut first = rig.paused();
        let mut second = rig.paused();
        let head = continued(first.resumed().await);
        assert_eq!(lines(&head.headers, "x-user"), "alice");
        let waiting = tokio::time::timeout(Duration::from_secs(1), second.resumed()).await;
        assert!(waiting.is_err(), "the other stream was resumed as well");
        assert!(
            matches!(first.resumed().await, Verdict::Failed),
            "a verdict is there once"
        );
    });
}

#[test]
fn a_paused_request_can_be_answered_from_another_context() {
    let module = plugin(
        &[("body", b"stop"), ("why", b"nobody")],
        &held(
            "(drop (call $reply (i32.const 403) @why @body (i32.const 0) (i32.const 0) (i32.const -1)))",
        ),
    );
    run(async move {
        let rig = Rig::new(&module);
        let reply = replied(rig.paused().resumed().await);
        assert_eq!(
            (reply.status, &*reply.body, reply.details.as_str()),
            (StatusCode::FORBIDDEN, &b"stop"[..], "nobody")
        );
    });
}

#[test]
fn a_request_that_is_never_resumed_is_refused_in_the_end() {
    run(async {
        let rig = Rig::new(&plugin(&[], &held("")));
        let start = tokio::time::Instant::now();
        assert!(matches!(rig.paused().resumed().await, Verdict::Failed));
        assert!(start.elapsed() >= Duration::from_secs(60));
        assert!(rig.plugin.is_live());
    });
}

#[test]
fn resuming_within_the_callback_counts_more_than_the_pause() {
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $continue (i32.const 0))) (i32.const 1))"#,
    );
    run(async move {
        Rig::new(&module).passed(head(&[]));
    });
}

#[test]
fn a_local_reply_stops_the_request_and_passes_the_plugin_once_more() {
    // Two cookies, a length that is ignored, a forbidden value and a pseudo header.
    let pairs = b"\x05\0\0\0\
        \x0a\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0\x0e\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\x07\0\0\0\x01\0\0\0\
        set-cookie\0a\0set-cookie\0b\0content-length\x0099\0x\0\n\0:status\x001\0";
    let module = plugin(
        &[
            ("pairs", pairs),
            ("body", b"hello"),
            ("why", b"denied"),
            ("seen", b"x-seen"),
            ("other", b"other"),
        ],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $reply (i32.const 401) @why @body @pairs (i32.const -1)))
            (drop (call $reply (i32.const 500) @other @other (i32.const 0) (i32.const 0) (i32.const -1)))
            (i32.const 0))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (drop (call $add (i32.const 2) @seen @body)) (i32.const 1))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, verdict) = rig.request(head(&[]));
        let reply = replied(verdict);
        assert_eq!(
            (reply.status, &*reply.body, reply.details.as_str()),
            (StatusCode::UNAUTHORIZED, &b"hello"[..], "denied")
        );
        assert_eq!(lines(&reply.headers, "set-cookie"), "a b");
        assert_eq!(lines(&reply.headers, "content-type"), "text/plain");
        assert_eq!(lines(&reply.headers, "x-seen"), "hello");
        assert_eq!(reply.headers.len(), 4);
    });
}

#[test]
fn a_reply_without_a_body_has_no_content_type() {
    // The serialised form of the two headers: their number, the sizes, names and values.
    let pairs = b"\x02\0\0\0\
        \x0c\0\0\0\x0a\0\0\0\x08\0\0\0\x02\0\0\0\
        content-type\0text/plain\0location\0/a\0";
    let module = plugin(
        &[("body", b""), ("pairs", pairs)],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $reply (i32.const 303) @body @body @pairs (i32.const -1)))"#,
    );
    run(async move {
        let reply = replied(Rig::new(&module).request(head(&[])).1);
        assert_eq!(lines(&reply.headers, "location"), "/a");
        assert_eq!(reply.headers.len(), 1, "as from Envoy");
    });
}

#[test]
fn replies_with_no_place_for_a_body_have_none_and_bad_statuses_become_500() {
    for (status, expected) in [
        (204, 204),
        (304, 304),
        (99, 500),
        (101, 500),
        (70000, 500),
        (-1, 500),
    ] {
        let module = plugin(
            &[("body", b"text")],
            &format!(
                r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                    (call $reply (i32.const {status}) @body @body (i32.const 0) (i32.const 0) (i32.const -1)))"#
            ),
        );
        run(async move {
            let reply = replied(Rig::new(&module).request(head(&[])).1);
            assert_eq!((reply.status.as_u16(), reply.body.len()), (expected, 0));
        });
    }
}

#[test]
fn a_response_can_be_edited_paused_and_answered() {
    let module = plugin(
        &[
            ("name", b"x-frame"),
            ("deny", b"deny"),
            ("body", b"bad gateway"),
        ],
        r#"(global $mode (mut i32) (i32.const 0))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (global.set $mode (i32.add (global.get $mode) (i32.const 1)))
            (drop (call $add (i32.const 2) @name @deny))
            (if (i32.eq (global.get $mode) (i32.const 2)) (then
                (drop (call $reply (i32.const 502) @name @body (i32.const 0) (i32.const 0) (i32.const -1)))))
            (if (i32.eq (global.get $mode) (i32.const 3)) (then
                (drop (call $tick (i32.const 5))) (return (i32.const 1))))
            (i32.const 0))
           (func (export "proxy_on_tick") (param i32)
            (drop (call $choose (i32.const 4)))
            (drop (call $add (i32.const 2) @deny @deny))
            (drop (call $continue (i32.const 1))))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let (mut edited, _) = rig.passed(head(&[]));
        let head_out = continued(edited.response(response(&[]), false));
        assert_eq!(lines(&head_out.headers, "x-frame"), "deny");
        let (mut answered, _) = rig.passed(head(&[]));
        let reply = replied(answered.response(response(&[]), false));
        assert_eq!(
            (reply.status, &*reply.body),
            (StatusCode::BAD_GATEWAY, &b"bad gateway"[..])
        );
        let (mut paused, _) = rig.passed(head(&[]));
        assert!(matches!(
            paused.response(response(&[]), false),
            Verdict::Paused
        ));
        let head_out = continued(paused.response_resumed().await);
        assert_eq!(lines(&head_out.headers, "deny"), "deny");
    });
}

#[test]
fn a_response_before_its_request_has_passed_is_refused() {
    run(async {
        let rig = Rig::new(&plugin(&[], &held("")));
        let mut stream = rig.paused();
        assert!(matches!(
            stream.response(response(&[]), true),
            Verdict::Failed
        ));
    });
}

#[test]
fn a_reset_stream_is_closed_before_and_after_it_has_passed() {
    let module = plugin(&[], &held("(drop (call $close (i32.const 0)))"));
    run(async move {
        assert!(matches!(
            Rig::new(&module).paused().resumed().await,
            Verdict::Closed
        ));
    });
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $tick (i32.const 10))) (i32.const 1))
           (func (export "proxy_on_tick") (param i32)
            (if (i32.eqz (call $choose (i32.const 2))) (then (drop (call $close (i32.const 1))))))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let (mut tunnel, _) = rig.passed(head(&[]));
        continued(tunnel.response(response(&[]), false));
        let (other, _) = rig.passed(head(&[]));
        assert_eq!(tunnel.closed().await, Ended::Closed);
        assert!(
            tokio::time::timeout(Duration::from_secs(1), other.closed())
                .await
                .is_err()
        );
    });
}

/// Sets a gauge named after each of the last three callbacks to its place in their order, and counts them.
const ENDING: &str = r#"
    (global $step (mut i64) (i64.const 0))
    (func $note (param $name i32) (param $size i32)
        (global.set $step (i64.add (global.get $step) (i64.const 1)))
        (drop (call $metric (i32.const 1) (local.get $name) (local.get $size) (i32.const 0)))
        (drop (call $record (i32.load (i32.const 0)) (global.get $step))))
    (func (export "proxy_on_log") (param i32) (call $note @log))
    (func (export "proxy_on_done") (param i32) (result i32) (call $note @done) (i32.const 0))
    (func (export "proxy_on_delete") (param i32) (call $note @delete))"#;
const ENDING_TEXTS: [(&str, &[u8]); 3] =
    [("log", b"log"), ("done", b"done"), ("delete", b"delete")];

#[test]
fn dropping_a_stream_ends_its_context_in_order_and_once() {
    let module = plugin(&ENDING_TEXTS, ENDING);
    run(async move {
        let rig = Rig::new(&module);
        let (stream, _) = rig.passed(head(&[]));
        assert_eq!(rig.metric("log"), None);
        drop(stream);
        assert_eq!(
            [rig.metric("log"), rig.metric("done"), rig.metric("delete")],
            [Some(1), Some(2), Some(3)]
        );
    });
}

#[test]
fn a_stream_dropped_while_paused_is_ended_and_unknown_afterwards() {
    let ending = format!("{ENDING} {}", held("unreachable"));
    let module = plugin(&ENDING_TEXTS, &ending);
    run(async move {
        let rig = Rig::new(&module);
        drop(rig.paused());
        assert_eq!(rig.metric("delete"), Some(3));
        // Ticks go on: the stream cannot become effective any more, or they would trap.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(rig.plugin.is_live());
    });
}

#[test]
fn a_reply_in_the_log_callback_is_ignored() {
    let module = plugin(
        &[("text", b"late")],
        r#"(func (export "proxy_on_log") (param i32)
            (drop (call $reply (i32.const 500) @text @text (i32.const 0) (i32.const 0) (i32.const -1)))
            (drop (call $continue (i32.const 0))) (drop (call $close (i32.const 0))))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        drop(rig.passed(head(&[])));
        rig.passed(head(&[]));
    });
}

#[test]
fn the_plugin_may_finish_something_before_it_ends() {
    let module = plugin(
        &[("done", b"root-done"), ("delete", b"root-delete")],
        r#"(func $count (param $name i32) (param $size i32)
            (drop (call $metric (i32.const 0) (local.get $name) (local.get $size) (i32.const 0)))
            (drop (call $increment (i32.load (i32.const 0)) (i64.const 1))))
           (func (export "proxy_on_done") (param i32) (result i32)
            (call $count @done) (drop (call $tick (i32.const 700))) (i32.const 0))
           (func (export "proxy_on_tick") (param i32) (drop (call $proxy_done)))
           (func (export "proxy_on_delete") (param i32) (call $count @delete))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let start = tokio::time::Instant::now();
        rig.plugin.shutdown().await;
        assert_eq!(
            [rig.metric("root-done"), rig.metric("root-delete")],
            [Some(1), Some(1)]
        );
        assert_eq!(start.elapsed().as_millis(), 700);
        assert!(matches!(rig.request(head(&[])).1, Verdict::Failed));
        rig.plugin.shutdown().await;
        assert_eq!(rig.metric("root-done"), Some(1));
    });
}

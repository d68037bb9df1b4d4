//! HTTP calls that a plugin makes.

use super::*;

/// Serialised header map of a whole request: method, path, authority and one field.
const REQUEST: &[u8] = b"\x04\0\0\0\
    \x07\0\0\0\x04\0\0\0\x05\0\0\0\x04\0\0\0\x0a\0\0\0\x03\0\0\0\x06\0\0\0\x03\0\0\0\
    :method\0POST\0:path\0/k?a\0:authority\0idp\0accept\0*/*\0";
/// The same without an authority.
const INCOMPLETE: &[u8] = b"\x02\0\0\0\
    \x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0";
/// The same with a control character in a value.
const INVALID: &[u8] = b"\x04\0\0\0\
    \x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\
    :method\0GET\0:path\0/\0:authority\0a\0x\0\n\0";

const TEXTS: [(&str, &[u8]); 11] = [
    ("idp", b"https://idp"),
    ("slow", b"https://slow"),
    ("defect", b"https://defect"),
    ("late", b"https://late-defect"),
    ("unknown", b"https://elsewhere"),
    ("request", REQUEST),
    ("incomplete", INCOMPLETE),
    ("invalid", INVALID),
    ("body", b"grant"),
    ("status", b":status"),
    ("field", b"x-idp"),
];

/// Calls an upstream for each request and waits; the reply's status, field and body become lines of the request.
fn caller(upstream: &str) -> Module {
    let body = format!(
        r#"(global $stream (mut i32) (i32.const 0))
           (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
            (global.set $stream (local.get $id))
            (call $report (call $call @{upstream} @request @body (i32.const 0) (i32.const 0) (i32.const 1500) (i32.const 16)))
            (i32.const 1))
           (func (export "proxy_on_http_call_response")
            (param $root i32) (param $id i32) (param $fields i32) (param $size i32) (param $trailers i32)
            (if (i32.ne (local.get $id) (i32.load (i32.const 16))) (then unreachable))
            (if (call $choose (global.get $stream)) (then (return)))
            (call $report (local.get $fields))
            (drop (call $value (i32.const 6) @status (i32.const 0) (i32.const 4)))
            (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
            (if (i32.eqz (call $value (i32.const 6) @field (i32.const 0) (i32.const 4))) (then
                (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))))
            (drop (call $buffer (i32.const 4) (i32.const 1) (i32.const -1) (i32.const 0) (i32.const 4)))
            (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
            (drop (call $continue (i32.const 0))))"#
    );
    plugin(&TEXTS, &body)
}

#[test]
fn a_call_goes_out_as_given_and_its_reply_can_be_read_whole() {
    let module = caller("idp");
    run(async move {
        let rig = Rig::new(&module);
        let head = continued(rig.paused().resumed().await);
        assert_eq!(lines(&head.headers, "x-value"), "201 yes eys");
        assert_eq!(lines(&head.headers, "x-status"), "0 2");
        let (request, timeout) = rig.upstreams.requests.borrow_mut().pop().unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::POST, "/k?a".to_owned())
        );
        assert_eq!(
            (&request.headers()["host"], &request.headers()["accept"]),
            (&"idp".parse().unwrap(), &"*/*".parse().unwrap())
        );
        assert_eq!(
            (request.headers().len(), &**request.body()),
            (2, &b"grant"[..])
        );
        assert_eq!(timeout, Duration::from_millis(1500));
    });
}

#[test]
fn a_call_that_times_out_is_a_reply_as_well() {
    let module = caller("slow");
    run(async move {
        let rig = Rig::new(&module);
        let start = tokio::time::Instant::now();
        let head = continued(rig.paused().resumed().await);
        assert_eq!(start.elapsed().as_millis(), 1500);
        assert_eq!(
            lines(&head.headers, "x-value"),
            "504 pstream request timeout"
        );
    });
}

#[test]
fn a_call_that_panics_is_a_reply_as_well() {
    let module = caller("late");
    run(async move {
        let rig = Rig::new(&module);
        let head = continued(rig.paused().resumed().await);
        let told = lines(&head.headers, "x-value");
        assert!(told.starts_with("503 "), "{told}");
    });
}

/// The plugin was interrupted, so its state cannot be trusted; another instance replaces it.
#[test]
fn a_host_function_that_panics_ends_the_instance_and_not_the_worker() {
    let module = caller("defect");
    run(async move {
        let rig = Rig::new(&module);
        for _ in 0..2 {
            rig.live().await;
            let (_, verdict) = rig.request(head(&[]));
            assert!(matches!(verdict, Verdict::Failed), "{verdict:?}");
            assert!(!rig.plugin.is_live());
        }
    });
}

#[test]
fn calls_that_make_no_sense_are_refused_at_once() {
    let mut body = String::new();
    for call in [
        "@unknown @request @body (i32.const 0) (i32.const 0) (i32.const 5)",
        "@idp @incomplete @body (i32.const 0) (i32.const 0) (i32.const 5)",
        "@idp @invalid @body (i32.const 0) (i32.const 0) (i32.const 5)",
        "@idp (i32.const 0) (i32.const 0) @body (i32.const 0) (i32.const 0) (i32.const 5)",
        "@idp @idp @body (i32.const 0) (i32.const 0) (i32.const 5)",
        "@idp @request @body @request (i32.const 5)",
        "@idp @request @body (i32.const 0) (i32.const 0) (i32.const -1)",
    ] {
        write!(body, "(call $report (call $call {call} (i32.const 16)))").unwrap();
    }
    let body = format!(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {body} (i32.const 0))
           (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) unreachable)"#
    );
    let module = plugin(&TEXTS, &body);
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, head) = rig.passed(head(&[]));
        assert_eq!(lines(&head.headers, "x-status"), "2 2 2 2 2 2 2");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(rig.plugin.is_live());
    });
}

#[test]
fn the_number_of_calls_under_way_is_bounded() {
    let module = plugin(
        &TEXTS,
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (local $left i32) (local $refused i32)
            (local.set $left (i32.const 258))
            (loop $again
                (if (i32.eq (i32.const 10) (call $call
                    @slow @request @body (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 16)))
                  (then (local.set $refused (i32.add (local.get $refused) (i32.const 1)))))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $report (local.get $refused))
            (i32.const 0))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, head) = rig.passed(head(&[]));
        assert_eq!(lines(&head.headers, "x-status"), "2");
    });
}

#[test]
fn a_reply_for_a_stream_that_is_gone_does_no_harm() {
    let module = caller("slow");
    run(async move {
        let rig = Rig::new(&module);
        drop(rig.paused());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(Rc::strong_count(&rig.upstreams.alive), 1);
        continued(rig.paused().resumed().await);
    });
}

#[test]
fn calls_of_a_plugin_that_died_are_dropped() {
    let module = plugin(
        &TEXTS,
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (i32.load (i32.const 16)) (then unreachable))
            (drop (call $call @slow @request @body (i32.const 0) (i32.const 0) (i32.const 9000) (i32.const 16)))
            (i32.const 1))
           (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) unreachable)"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let mut waiting = rig.paused();
        assert_eq!(Rc::strong_count(&rig.upstreams.alive), 2);
        assert!(matches!(rig.request(head(&[])).1, Verdict::Failed));
        assert!(matches!(waiting.resumed().await, Verdict::Failed));
        rig.live().await;
        assert_eq!(
            Rc::strong_count(&rig.upstreams.alive),
            1,
            "the call is still in progress"
        );
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(
            rig.plugin.is_live(),
            "the new instance got the old one's reply"
        );
    });
}

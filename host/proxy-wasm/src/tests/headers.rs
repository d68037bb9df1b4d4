//! Header maps from a plugin's side.

use super::*;

/// Returns a callback for requests with this body.
fn on_request(body: &str) -> String {
    format!(
        r#"(func (export "proxy_on_request_headers") (param $id i32) (param $count i32) (param $end i32) (result i32)
            {body} (i32.const 0))"#
    )
}

#[test]
fn a_plugin_without_callbacks_lets_the_head_through_unchanged() {
    run(async {
        let rig = Rig::new(&plugin(&[], ""));
        let (_stream, head) = rig.passed(head(&[("cookie", b"a=\xff"), ("cookie", b"b")]));
        assert_eq!(lines(&head.headers, "cookie"), "a=\u{fffd} b");
        assert_eq!((head.path.as_str(), head.method), ("/a?b=c", Method::GET));
    });
}

#[test]
fn all_pairs_can_be_read_and_written_back_byte_by_byte() {
    let module = plugin(
        &[],
        &on_request(
            r#"(call $report (call $pairs (i32.const 0) (i32.const 0) (i32.const 4)))
               (call $report (call $set_pairs (i32.const 0) (i32.load (i32.const 0)) (i32.load (i32.const 4))))
               (call $report (i32.sub (local.get $count) (i32.load (i32.load (i32.const 0)))))"#,
        ),
    );
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, head) =
            rig.passed(head(&[("cookie", b"a=\xff"), ("b", b""), ("cookie", b"2")]));
        let cookies: Vec<_> = head
            .headers
            .get_all("cookie")
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        assert_eq!(cookies, [&b"a=\xff"[..], b"2"]);
        assert_eq!(head.headers["b"], "");
        assert_eq!(
            (head.path.as_str(), head.authority),
            ("/a?b=c", HeaderValue::from_static("app.example.com"))
        );
        // The first report came after the read, so writing back removed it; the remaining ones came later.
        assert_eq!(lines(&head.headers, "x-status"), "0 0");
    });
}

#[test]
fn values_are_found_without_regard_to_case_and_absent_ones_are_not_found() {
    let module = plugin(
        &[
            ("name", b"Cookie"),
            ("host", b"HOST"),
            ("absent", b"absent"),
            ("empty", b"x-empty"),
        ],
        &on_request(
            r#"(call $report (call $value (i32.const 0) @name (i32.const 0) (i32.const 4)))
               (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
               (call $report (call $value (i32.const 0) @host (i32.const 0) (i32.const 4)))
               (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
               (call $report (call $value (i32.const 0) @absent (i32.const 0) (i32.const 4)))
               (call $report (call $value (i32.const 0) @empty (i32.const 0) (i32.const 4)))
               (call $report (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 4))))"#,
        ),
    );
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, head) = rig.passed(head(&[
            ("cookie", b"\xff1"),
            ("cookie", b"2"),
            ("x-empty", b""),
        ]));
        assert_eq!(lines(&head.headers, "x-value"), "\u{fffd}1 app.example.com");
        assert_eq!(lines(&head.headers, "x-status"), "0 0 1 0 0");
    });
}

#[test]
fn edits_show_in_the_head_that_goes_on() {
    let module = plugin(
        &[
            ("user", b"X-User"),
            ("alice", b"alice"),
            ("path", b":path"),
            ("new", b"/new"),
            ("gone", b"X-Gone"),
        ],
        &on_request(
            r#"(call $report (call $replace (i32.const 0) @user @alice))
               (call $report (call $replace (i32.const 0) @path @new))
               (call $report (call $remove (i32.const 0) @gone))"#,
        ),
    );
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, head) = rig.passed(head(&[
            ("x-user", b"m"),
            ("x-user", b"n"),
            ("x-gone", b"1"),
        ]));
        assert_eq!(lines(&head.headers, "x-user"), "alice");
        assert_eq!(
            (head.path.as_str(), head.headers.contains_key("x-gone")),
            ("/new", false)
        );
        assert_eq!(lines(&head.headers, "x-status"), "0 0 0");
    });
}

#[test]
fn a_request_that_the_plugin_made_invalid_is_refused_and_the_plugin_lives_on() {
    let texts: &[(&str, &[u8])] = &[
        ("user", b"x-user"),
        ("bad", b"a\r\nx-admin: 1"),
        ("garbage", b"\x05\0\0\0\xff\xff"),
        ("path", b":path"),
        ("blank", b"/a b"),
    ];
    for edit in [
        "(call $replace (i32.const 0) @user @bad)",
        "(call $add (i32.const 0) @user @bad)",
        "(call $add (i32.const 0) @bad @user)",
        "(call $set_pairs (i32.const 0) @garbage)",
        "(call $set_pairs (i32.const 0) (i32.const 0) (i32.const 0))",
        "(call $replace (i32.const 0) @path @blank)",
        "(call $remove (i32.const 0) @path)",
    ] {
        let module = plugin(
            texts,
            &on_request(&format!("(if {edit} (then unreachable))")),
        );
        run(async move {
            let rig = Rig::new(&module);
            let (_stream, verdict) = rig.request(head(&[("x-user", b"mallory")]));
            assert!(matches!(verdict, Verdict::Failed), "{edit}: {verdict:?}");
            assert!(rig.plugin.is_live(), "{edit}");
        });
    }
}

#[test]
fn an_invalid_field_of_a_response_is_left_out() {
    let module = plugin(
        &[("name", b"x-frame"), ("bad", b"a\nset-cookie: b")],
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (call $replace (i32.const 2) @name @bad))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let (mut stream, _) = rig.passed(head(&[]));
        let head =
            continued(stream.response(response(&[("x-frame", b"old"), ("x-other", b"1")]), true));
        assert_eq!(
            (head.headers.len(), lines(&head.headers, "x-other").as_str()),
            (1, "1")
        );
    });
}

#[test]
fn maps_that_are_not_there_read_as_absent_and_cannot_be_written() {
    let module = plugin(
        &[("name", b"accept")],
        &on_request(
            r#"(call $report (call $value (i32.const 2) @name (i32.const 0) (i32.const 4)))
               (call $report (call $pairs (i32.const 2) (i32.const 0) (i32.const 4)))
               (call $report (i32.load (i32.const 4)))
               (call $report (call $add (i32.const 2) @name @name))
               (call $report (call $add (i32.const 6) @name @name))
               (call $report (call $value (i32.const 8) @name (i32.const 0) (i32.const 4)))
               (call $report (call $pairs (i32.const 99) (i32.const 0) (i32.const 4)))"#,
        ),
    );
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, head) = rig.passed(head(&[]));
        assert_eq!(lines(&head.headers, "x-status"), "1 0 0 2 2 2 2");
    });
}

#[test]
fn bad_pointers_return_an_error_and_do_no_harm() {
    // Two pages of memory end at 131072; the last case wraps around.
    let beyond = "(i32.const 131070) (i32.const 8)";
    let wrapping = "(i32.const 100) (i32.const -1)";
    let mut body = String::new();
    for bad in [beyond, wrapping] {
        for call in [
            format!("(call $log (i32.const 2) {bad})"),
            format!("(call $value (i32.const 0) {bad} (i32.const 0) (i32.const 4))"),
            format!("(call $add (i32.const 0) {bad} @name)"),
            format!("(call $replace (i32.const 0) @name {bad})"),
            format!("(call $remove (i32.const 0) {bad})"),
            format!("(call $set_pairs (i32.const 0) {bad})"),
            format!("(call $property {bad} (i32.const 0) (i32.const 4))"),
            format!("(call $set_property @name {bad})"),
            format!("(call $set_shared {bad} @name (i32.const 0))"),
            format!("(call $reply (i32.const 200) {bad} @name @name (i32.const -1))"),
            format!("(call $call @idp {bad} @name @name (i32.const 5) (i32.const 0))"),
            format!("(call $metric (i32.const 0) {bad} (i32.const 0))"),
        ] {
            write!(body, "(call $report {call})").unwrap();
        }
    }
    for call in [
        "(call $value (i32.const 0) @accept (i32.const 131070) (i32.const 4))",
        "(call $value (i32.const 0) @accept (i32.const 4) (i32.const -2))",
        "(call $pairs (i32.const 0) (i32.const -1) (i32.const 4))",
        "(call $pairs (i32.const 0) (i32.const 4) (i32.const 131069))",
        "(call $buffer (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 131070) (i32.const 4))",
        "(call $call @idp @name @name @name (i32.const 5) (i32.const 131070))",
    ] {
        write!(body, "(call $report {call})").unwrap();
    }
    let module = plugin(
        &[
            ("name", b"x"),
            ("accept", b"accept"),
            ("idp", b"https://idp"),
        ],
        &on_request(&body),
    );
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, head) = rig.passed(head(&[("accept", b"1")]));
        assert_eq!(lines(&head.headers, "x-status"), ["6"; 30].join(" "));
        assert!(rig.upstreams.requests.borrow().is_empty());
    });
}

#[test]
fn an_allocator_with_bad_results_is_an_error_and_one_that_traps_ends_the_plugin() {
    let module = |allocator: &str| {
        let text = format!(
            r#"(module {} (data (i32.const 600) "accept")
                (func (export "malloc") (param i32) (result i32) {allocator}) {})"#,
            PRELUDE,
            on_request(
                r#"(call $report (call $value (i32.const 0) (i32.const 600) (i32.const 6) (i32.const 0) (i32.const 4)))
                   (call $report (call $pairs (i32.const 0) (i32.const 0) (i32.const 4)))"#
            )
        );
        Module::compile(&Engine::new().unwrap(), &wat::parse_str(text).unwrap()).unwrap()
    };
    for allocator in ["(i32.const 0)", "(i32.const 131071)", "(i32.const -8)"] {
        let module = module(allocator);
        run(async move {
            let rig = Rig::new(&module);
            let (_stream, head) = rig.passed(head(&[("accept", b"*/*")]));
            assert_eq!(lines(&head.headers, "x-status"), "6 6", "{allocator}");
        });
    }
    let module = module("unreachable");
    run(async move {
        let rig = Rig::new(&module);
        let (_stream, verdict) = rig.request(head(&[("accept", b"*/*")]));
        assert!(matches!(verdict, Verdict::Failed), "{verdict:?}");
    });
}

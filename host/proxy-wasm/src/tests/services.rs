//! The services of a plugin: configuration, environment, properties, shared data, time, log.

use super::*;

fn on_request(body: &str) -> String {
    format!(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {body} (i32.const 0))"#
    )
}

#[test]
fn configuration_and_environment_arrive_as_given() {
    let module = plugin(
        &[],
        &on_request(
            r#"(call $report (call $buffer (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
               (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
               (call $report (call $buffer (i32.const 7) (i32.const 5) (i32.const 1) (i32.const 0) (i32.const 4)))
               (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
               (call $report (call $buffer (i32.const 7) (i32.const 99) (i32.const 9) (i32.const 0) (i32.const 4)))
               (call $report (i32.load (i32.const 4)))
               (call $report (call $buffer (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 4)))
               (call $report (call $buffer (i32.const 4) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 4)))
               (call $report (call $environ_sizes (i32.const 0) (i32.const 4)))
               (call $report (i32.load (i32.const 0)))
               (call $report (call $environ (i32.const 100) (i32.const 200)))
               (call $tell (i32.load (i32.const 100)) (i32.sub (i32.load (i32.const 4)) (i32.const 1)))
               (call $report (i32.load8_u (i32.add (i32.const 199) (i32.load (i32.const 4)))))"#,
        ),
    );
    run(async move {
        let (_stream, head) = Rig::new(&module).passed(head(&[]));
        assert_eq!(lines(&head.headers, "x-value"), "{\"a\":1} 1 KEY=s3cret");
        assert_eq!(lines(&head.headers, "x-status"), "0 0 0 0 0 1 0 1 0 0");
    });
}

/// Reports the properties of these paths as lines `x-value`.
fn properties(facts: StreamFacts, paths: &[&'static [u8]]) -> RequestHead {
    let names: Vec<String> = (0..paths.len())
        .map(|index| format!("path{index:02}"))
        .collect();
    let texts: Vec<(&str, &[u8])> = names
        .iter()
        .map(String::as_str)
        .zip(paths.iter().copied())
        .collect();
    let body = names.iter().fold(String::new(), |mut body, name| {
        write!(
            body,
            r#"(if (call $property @{name} (i32.const 0) (i32.const 4))
                (then (call $tell (i32.const 528) (i32.const 0)))
                (else (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))))"#
        )
        .unwrap();
        body
    });
    let module = plugin(&texts, &on_request(&body));
    let mut out = None;
    run(async {
        let request = head(&[("accept", b"1"), ("accept", b"2"), ("user-agent", b"curl")]);
        let (_stream, verdict) = Rig::new(&module).plugin.request(request, true, facts);
        out = Some(continued(verdict));
    });
    out.unwrap()
}

#[test]
fn properties_are_found_by_their_paths() {
    let paths: [&[u8]; 12] = [
        b"plugin_name",
        b"plugin_root_id",
        b"request\0path",
        b"request\0url_path",
        b"request\0query",
        b"request\0host",
        b"request\0method",
        b"request\0protocol",
        b"request\0headers\0accept",
        b"request\0useragent\0",
        b"source\0address",
        b"destination\0address",
    ];
    let head = properties(facts(), &paths);
    assert_eq!(
        lines(&head.headers, "x-value"),
        "gate root /a?b=c /a b=c app.example.com GET HTTP/2 1,2 curl 127.0.0.1:51072 127.0.0.1:8443"
    );
}

#[test]
fn properties_that_are_not_there_are_not_found() {
    let paths: [&[u8]; 12] = [
        b"",
        b"request",
        b"request\0referer",
        b"request\0headers\0absent",
        b"request\0\xff",
        b"response\0code",
        b"connection\0tls_version",
        b"connection\0sha256_peer_certificate_digest",
        b"connection\0dns_san_peer_certificate",
        b"connection\0uri_san_peer_certificate",
        b"a\0b\0c\0d",
        b"route_name",
    ];
    let head = properties(facts(), &paths);
    assert_eq!(lines(&head.headers, "x-value"), " ".repeat(paths.len() - 1));
}

#[test]
fn properties_describe_the_client_and_its_certificate() {
    let paths: [&[u8]; 7] = [
        b"source\0address",
        b"destination\0address",
        b"connection\0tls_version",
        b"connection\0requested_server_name",
        b"connection\0sha256_peer_certificate_digest",
        b"connection\0dns_san_peer_certificate",
        b"connection\0uri_san_peer_certificate",
    ];
    let head = properties(facts_with_certificate(), &paths);
    assert_eq!(
        lines(&head.headers, "x-value"),
        "203.0.113.9:0 127.0.0.1:8443 TLSv1.3 app.example.com c0ffee laptop.example.com "
    );
}

#[test]
fn whether_there_is_a_certificate_is_one_byte() {
    let module = plugin(
        &[("mtls", b"connection\0mtls")],
        &on_request(
            r#"(call $report (call $property @mtls (i32.const 0) (i32.const 4)))
               (call $report (i32.load (i32.const 4)))
               (call $report (i32.load8_u (i32.load (i32.const 0))))"#,
        ),
    );
    for (facts, told) in [(facts(), "0 1 0"), (facts_with_certificate(), "0 1 1")] {
        let module = &module;
        run(async move {
            let (_stream, verdict) = Rig::new(module).plugin.request(head(&[]), true, facts);
            assert_eq!(lines(&continued(verdict).headers, "x-status"), told);
        });
    }
}

#[test]
fn numbers_are_eight_bytes_and_the_status_is_known_in_the_log() {
    let module = plugin(
        &[
            ("port", b"source\0port"),
            ("time", b"request\0time"),
            ("code", b"response\0code"),
        ],
        r#"(func $gauge (param $name i32) (param $size i32)
            (drop (call $metric (i32.const 1) (local.get $name) (local.get $size) (i32.const 16)))
            (if (call $property (local.get $name) (local.get $size) (i32.const 0) (i32.const 4)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 4)) (i32.const 8)) (then unreachable))
            (drop (call $record (i32.load (i32.const 16)) (i64.load (i32.load (i32.const 0))))))
           (func (export "proxy_on_log") (param i32) (call $gauge @port) (call $gauge @time) (call $gauge @code))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        let (mut stream, _) = rig.passed(head(&[]));
        continued(stream.response(response(&[]), true));
        drop(stream);
        let values =
            ["source\0port", "request\0time", "response\0code"].map(|name| rig.metric(name));
        assert_eq!(values, [Some(51072), Some(7), Some(200)]);
    });
}

#[test]
fn a_plugin_keeps_its_own_properties_per_stream_and_they_hide_nothing() {
    let module = plugin(
        &[
            ("mine", b"mine"),
            ("deep", b"a\0b"),
            ("path", b"request\0path"),
            ("text", b"kept"),
            ("big", &[b'x'; 40_000]),
        ],
        &on_request(
            r#"(call $report (call $property @mine (i32.const 0) (i32.const 4)))
               (call $report (call $set_property @mine @text))
               (call $report (call $property @mine (i32.const 0) (i32.const 4)))
               (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
               (call $report (call $set_property @deep @text))
               (call $report (call $property @deep (i32.const 0) (i32.const 4)))
               (call $report (call $set_property @path @text))
               (call $report (call $property @path (i32.const 0) (i32.const 4)))
               (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
               (call $report (call $set_property @big @big))
               (call $report (call $property @big (i32.const 0) (i32.const 4)))"#,
        ),
    );
    run(async move {
        let rig = Rig::new(&module);
        for _ in 0..2 {
            let (_stream, head) = rig.passed(head(&[]));
            assert_eq!(lines(&head.headers, "x-status"), "1 0 0 0 1 0 0 0 1");
            assert_eq!(lines(&head.headers, "x-value"), "kept /a?b=c");
        }
    });
}

#[test]
fn workers_share_data_and_only_the_first_of_two_writers_wins() {
    // Each request reads the value with its number, or starts with none; the second plugin uses the number it read
    // before the first plugin wrote.
    let module = plugin(
        &[("key", b"key"), ("value", b"v")],
        &on_request(
            r#"(call $report (call $shared @key (i32.const 0) (i32.const 4) (i32.const 8)))
               (call $report (call $set_shared @key @value (i32.load (i32.const 8))))
               (call $report (call $set_shared @key @value (i32.load (i32.const 8))))"#,
        ),
    );
    run(async move {
        let first = Rig::new(&module);
        let second = Rig::beside(&module, &first.shared);
        let (_a, head_a) = first.passed(head(&[]));
        // The number 0 overwrites any value.
        assert_eq!(lines(&head_a.headers, "x-status"), "1 0 0");
        let (_b, head_b) = second.passed(head(&[]));
        assert_eq!(lines(&head_b.headers, "x-status"), "0 0 8");
    });
}

#[test]
fn random_bytes_come_and_output_is_taken() {
    let module = plugin(
        &[("iov", b"\x00\x02\0\0\x08\0\0\0")],
        &on_request(
            r#"(local $address i32) (local $size i32)
               (call $report (call $random (i32.const 100) (i32.const 16)))
               (call $report (i64.eq (i64.load (i32.const 100)) (i64.load (i32.const 108))))
               (call $report (i32.sub (call $random (i32.const 100) (i32.const 65537)) (i32.const 28)))
               (call $report (i32.sub (call $random (i32.const 131070) (i32.const 16)) (i32.const 21)))
               (call $report (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 16)))
               (call $report (i32.load (i32.const 16)))
               (call $report (call $fd_write (i32.const 3) (i32.const 1024) (i32.const 1) (i32.const 16)))"#,
        ),
    );
    run(async move {
        let (_stream, head) = Rig::new(&module).passed(head(&[]));
        assert_eq!(lines(&head.headers, "x-status"), "0 0 0 0 0 8 8");
    });
}

#[test]
fn another_context_can_be_chosen_only_if_it_exists() {
    let module = plugin(
        &[("name", b"x-note"), ("text", b"hi")],
        &on_request(
            r#"(call $report (call $choose (i32.const 77)))
               (drop (call $choose (i32.const 1)))
               (call $report (call $add (i32.const 0) @name @text))
               (drop (call $choose (i32.const 2)))
               (call $report (call $add (i32.const 0) @name @text))"#,
        ),
    );
    run(async move {
        let (_stream, head) = Rig::new(&module).passed(head(&[]));
        // Reports that were made while the root context was effective went nowhere.
        assert_eq!(lines(&head.headers, "x-status"), "2 0");
        assert_eq!(lines(&head.headers, "x-note"), "hi");
    });
}

#[test]
fn the_configuration_of_the_machine_is_there_when_it_starts() {
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32)
            (if (call $buffer (i32.const 6) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 4)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 4)) (local.get 1)) (then unreachable))
            (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x6d)))"#,
    );
    run(async move {
        Rig::new(&module);
    });
}

/// A proxy with its own clock, log and properties.
#[derive(Default)]
struct Own {
    lines: RefCell<Vec<String>>,
}

impl Clock for Own {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(0x41)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

impl Log for Own {
    fn finest(&self) -> Level {
        Level::Error
    }

    fn write(&self, level: Level, line: &dyn std::fmt::Display) {
        self.lines.borrow_mut().push(format!("{level:?} {line}"));
    }
}

impl Properties for Own {
    fn value(&self, path: &[&str], stream: Option<&StreamFacts>) -> Option<Vec<u8>> {
        let source = stream?.source;
        (path == ["xds", "cluster_name"]).then(|| format!("to {source}").into_bytes())
    }
}

#[test]
fn a_proxy_brings_its_own_clock_log_and_properties() {
    let module = plugin(
        &[("cluster", b"xds\0cluster_name"), ("line", b"a\nb")],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $report (call $property @cluster (i32.const 0) (i32.const 4)))
            (call $tell (i32.load (i32.const 0)) (i32.load (i32.const 4)))
            (call $report (call $level (i32.const 0)))
            (call $report (i32.load (i32.const 0)))
            (drop (call $now (i32.const 8)))
            (call $tell (i32.const 8) (i32.const 1))
            (drop (call $log (i32.const 3) @line))
            (i32.const 0))"#,
    );
    run(async move {
        let own = Rc::new(Own::default());
        let services = Services {
            clock: Rc::<Own>::clone(&own),
            properties: Rc::<Own>::clone(&own),
            log: Rc::<Own>::clone(&own),
            ..Services::default()
        };
        let plugin = Plugin::start(&module, Rc::new(config()), services).unwrap();
        let (_stream, verdict) = plugin.request(head(&[]), true, facts());
        let head = continued(verdict);
        assert_eq!(lines(&head.headers, "x-status"), "0 0 4");
        assert_eq!(lines(&head.headers, "x-value"), "to 127.0.0.1:51072 A");
        assert_eq!(*own.lines.borrow(), ["Warn a\\nb"]);
    });
}

//! Plugins that trap, hang, eat memory or refuse to start.

use super::*;

/// Traps on requests whose path begins with `/t`, pauses those that begin with `/p`; counts how often it is configured.
fn fragile() -> Module {
    plugin(
        &[("path", b":path"), ("starts", b"starts")],
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $metric (i32.const 0) @starts (i32.const 0)))
            (drop (call $increment (i32.load (i32.const 0)) (i64.const 1)))
            (i32.const 1))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (local $letter i32)
            (drop (call $value (i32.const 0) @path (i32.const 0) (i32.const 4)))
            (local.set $letter (i32.load8_u (i32.add (i32.const 1) (i32.load (i32.const 0)))))
            (if (i32.eq (local.get $letter) (i32.const 0x74)) (then unreachable))
            (i32.eq (local.get $letter) (i32.const 0x70)))"#,
    )
}

fn to(path: &'static str) -> RequestHead {
    RequestHead {
        path: PathAndQuery::from_static(path),
        ..head(&[])
    }
}

fn refused<Head>(verdict: &Verdict<Head>) -> bool {
    matches!(verdict, Verdict::Failed)
}

#[test]
fn a_trap_refuses_every_stream_of_the_instance_at_once() {
    let module = fragile();
    run(async move {
        let rig = Rig::new(&module);
        let (mut paused, verdict) = rig.request(to("/p"));
        assert!(matches!(verdict, Verdict::Paused));
        let (mut passed, _) = rig.passed(to("/a"));
        let (mut tunnel, _) = rig.passed(to("/a"));
        continued(tunnel.response(response(&[]), false));
        let waiting = tokio::task::spawn_local(async move { paused.resumed().await });
        let watching = tokio::task::spawn_local(async move { tunnel.closed().await });
        tokio::task::yield_now().await;
        let start = tokio::time::Instant::now();
        assert!(refused(&rig.request(to("/t")).1));
        assert!(!rig.plugin.is_live());
        assert!(
            refused(&rig.request(to("/a")).1),
            "a request passed without an instance"
        );
        assert!(refused(&waiting.await.unwrap()));
        assert_eq!(watching.await.unwrap(), Ended::Lost);
        assert!(refused(&passed.response(response(&[]), true)));
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

#[test]
fn a_dead_instance_is_rebuilt_and_configured_again_with_growing_waits() {
    let module = fragile();
    run(async move {
        let rig = Rig::new(&module);
        for expected in [0, 100, 200, 400] {
            let start = tokio::time::Instant::now();
            assert!(refused(&rig.request(to("/t")).1));
            assert!(refused(&rig.request(to("/a")).1));
            rig.live().await;
            let waited = start.elapsed().as_millis();
            assert!(
                (expected..=expected + 2).contains(&waited),
                "waited {waited} ms, not {expected}"
            );
            rig.passed(to("/a"));
        }
        assert_eq!(rig.metric("starts"), Some(5));
        // After a healthy instance the first rebuild is immediate again.
        tokio::time::sleep(backoff::HEALTHY_AGE).await;
        assert!(refused(&rig.request(to("/t")).1));
        let start = tokio::time::Instant::now();
        rig.live().await;
        assert!(start.elapsed().as_millis() <= 2);
    });
}

/// Shared data outlives an instance.
#[test]
fn shared_data_outlives_an_instance_that_died() {
    let module = plugin(
        &[("path", b":path"), ("key", b"key"), ("value", b"v")],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $report (call $shared @key (i32.const 0) (i32.const 4) (i32.const 8)))
            (drop (call $set_shared @key @value (i32.const 0)))
            (drop (call $value (i32.const 0) @path (i32.const 0) (i32.const 4)))
            (if (i32.eq (i32.load8_u (i32.add (i32.const 1) (i32.load (i32.const 0)))) (i32.const 0x74))
                (then unreachable))
            (i32.const 0))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        assert!(refused(&rig.request(to("/t")).1));
        rig.live().await;
        let (_stream, head) = rig.passed(to("/a"));
        assert_eq!(lines(&head.headers, "x-status"), "0", "the value is found");
    });
}

#[test]
fn a_stream_of_a_dead_instance_does_not_touch_the_new_one() {
    let module = fragile();
    run(async move {
        let rig = Rig::new(&module);
        let (mut old, _) = rig.request(to("/p"));
        assert!(refused(&rig.request(to("/t")).1));
        rig.live().await;
        // The new instance counts its contexts from the start, so the numbers are the same.
        let (mut new, verdict) = rig.request(to("/p"));
        assert!(matches!(verdict, Verdict::Paused));
        assert!(refused(&old.resumed().await));
        drop(old);
        let waiting = tokio::time::timeout(Duration::from_secs(1), new.resumed()).await;
        assert!(
            waiting.is_err(),
            "the new stream was ended with the old one"
        );
    });
}

#[test]
fn a_trap_while_a_stream_ends_is_survived() {
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_log") (param i32) unreachable)"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        drop(rig.passed(head(&[])));
        assert!(!rig.plugin.is_live());
        rig.live().await;
    });
}

#[test]
fn a_trap_in_a_tick_is_survived() {
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $tick (i32.const 1000))) (i32.const 1))
           (func (export "proxy_on_tick") (param i32) unreachable)"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        tokio::time::sleep(Duration::from_millis(1001)).await;
        rig.live().await;
        rig.passed(head(&[]));
    });
}

#[test]
fn an_endless_loop_is_stopped() {
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (loop $l (br $l)) (i32.const 0))"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        assert!(refused(&rig.request(head(&[])).1));
        assert!(!rig.plugin.is_live());
    });
}

#[test]
fn endless_recursion_is_stopped() {
    let module = plugin(
        &[],
        r#"(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $deeper (i32.const 0)))"#,
    );
    run(async move {
        assert!(refused(&Rig::new(&module).request(head(&[])).1));
    });
}

#[test]
fn memory_grows_up_to_the_limit_and_not_beyond() {
    // 8192 pages are 512 MiB; the plugin starts with two.
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $report (i32.eq (memory.grow (i32.const 8191)) (i32.const -1)))
            (call $report (i32.eq (memory.grow (i32.const 8190)) (i32.const 2)))
            (call $report (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
            (i32.const 0))"#,
    );
    run(async move {
        let (_stream, head) = Rig::new(&module).passed(head(&[]));
        assert_eq!(lines(&head.headers, "x-status"), "1 1 1");
    });
}

#[test]
fn a_plugin_that_exits_is_ended() {
    let module = plugin(
        &[],
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $exit (i32.const 3)) (i32.const 0))"#,
    );
    run(async move {
        assert!(refused(&Rig::new(&module).request(head(&[])).1));
    });
}

#[test]
fn a_plugin_that_does_not_start_reports_why() {
    let says = [("why", &b"no key\nhere"[..])];
    for (callback, ending, expected) in [
        (
            "configure",
            "(i32.const 0)",
            "no key\\nhere: the plugin refused its configuration",
        ),
        (
            "vm_start",
            "(i32.const 0)",
            "no key\\nhere: the plugin refused to start",
        ),
        (
            "configure",
            "unreachable",
            "no key\\nhere: the plugin failed to read its configuration: wasm trap",
        ),
    ] {
        let module = plugin(
            &says,
            &format!(
                r#"(func (export "proxy_on_{callback}") (param i32 i32) (result i32)
                    (drop (call $log (i32.const 4) @why)) {ending})"#
            ),
        );
        run(async move {
            let error = Rig::start(&module, &Shared::default())
                .map(|_| ())
                .unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with(expected), "{message}");
            assert!(!message.contains('\n'), "{message}");
        });
    }
}

#[test]
fn a_callback_of_another_type_is_refused() {
    let module = plugin(&[], r#"(func (export "proxy_on_tick") (param i64))"#);
    run(async move {
        let error = Rig::start(&module, &Shared::default())
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("`proxy_on_tick`"), "{error}");
    });
}

#[test]
fn a_plugin_that_cannot_start_again_keeps_everything_out_until_it_can() {
    // The plugin accepts its configuration only when the shared data has no entry or at the third attempt.
    let module = plugin(
        &[("tries", b"tries")],
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (local $try i32)
            (if (i32.eqz (call $shared @tries (i32.const 0) (i32.const 4) (i32.const 8)))
                (then (local.set $try (i32.load8_u (i32.load (i32.const 0))))))
            (i32.store8 (i32.const 32) (i32.add (local.get $try) (i32.const 1)))
            (drop (call $set_shared @tries (i32.const 32) (i32.const 1) (i32.const 0)))
            (i32.or (i32.eqz (local.get $try)) (i32.ge_u (local.get $try) (i32.const 3))))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable)"#,
    );
    run(async move {
        let rig = Rig::new(&module);
        assert!(refused(&rig.request(head(&[])).1));
        let start = tokio::time::Instant::now();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!rig.plugin.is_live() && refused(&rig.request(head(&[])).1));
        rig.live().await;
        assert!(
            (300..=303).contains(&start.elapsed().as_millis()),
            "{:?}",
            start.elapsed()
        );
    });
}

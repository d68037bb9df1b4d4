//! The client's address as policies and upstreams see it.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use jetway_tests::{APP, Dialer, Response, Route, Scene, Upstream, on_both_proxies};

on_both_proxies!(
    trusted_proxies_name_the_client,
    the_proxy_protocol_names_the_client,
    n_18_only_trusted_proxies_name_the_client_to_upstreams,
);

/// An address of this machine that no other client uses.
const NEAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);

/// Headers that only a trusted proxy may set.
const FORGED: [&str; 5] = [
    "X-Forwarded-For: 203.0.113.77",
    "X-Forwarded-For: 198.51.100.9, 2001:db8::9",
    "X-Real-IP: 203.0.113.77",
    "X-Envoy-External-Address: 203.0.113.77",
    "Forwarded: for=203.0.113.77",
];

/// Routes that are open to one network each.
fn routes(upstream: &Upstream) -> Vec<Route> {
    [
        ("/near", "127.0.0.7"),
        ("/far", "203.0.113.0/24"),
        ("/second", "[198.51.100.9, '192.0.2.0/30']"),
        ("/six", "'2001:db8::/32'"),
    ]
    .map(|(prefix, networks)| {
        Route::new(APP, &upstream.address())
            .prefix(prefix)
            .policy(&format!("- allow: {{and: [source_ip: {networks}]}}"))
    })
    .to_vec()
}

/// Sends a request with these lines about the client.
async fn ask(scene: &Scene, dialer: &Dialer, path: &str, lines: &[&str]) -> Result<Response> {
    let more: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let host = scene.authority(APP);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
    let answer = dialer.raw(&scene.url(APP, "/")?, head.as_bytes()).await?;
    answer.with_context(|| format!("no answer to {path} with {lines:?}"))
}

async fn trusted_proxies_name_the_client(scene: &mut Scene) -> Result<()> {
    const FAR: &str = "X-Forwarded-For: 203.0.113.5";
    const SECOND: &str = "X-Forwarded-For: 198.51.100.9";
    const FAR_SECOND: &str = "X-Forwarded-For: 203.0.113.5, 198.51.100.9";
    const SECOND_FAR: &str = "X-Forwarded-For: 198.51.100.9,203.0.113.5";
    const SIX: &str = "X-Forwarded-For: 2001:db8::7";
    let upstream = Upstream::start("app").await?;
    let routes = routes(&upstream);
    let near = scene.dialer.coming_from(NEAR);

    // The number of trusted proxies, the lines, and the only route that is open then.
    let cases: [(u32, &[&str], &str); 12] = [
        (1, &[], "/near"),
        (1, &[FAR], "/far"),
        (1, &[FAR_SECOND], "/second"),
        (1, &[SECOND_FAR], "/far"),
        (1, &[FAR, SECOND], "/second"),
        (1, &[SIX], "/six"),
        (1, &["X-Forwarded-For: 203.0.113.5, nonsense"], "/near"),
        (1, &["X-Forwarded-For:"], "/near"),
        (2, &[FAR_SECOND], "/far"),
        (2, &[FAR], "/near"),
        (
            2,
            &["X-Forwarded-For: 203.0.113.5, 198.51.100.9, 192.0.2.200"],
            "/second",
        ),
        (2, &["X-Forwarded-For: nonsense, 198.51.100.9"], "/near"),
    ];
    for hops in 1..=2 {
        scene.keys = format!("xff_num_trusted_hops: {hops}");
        let _proxy = scene.serve(&routes).await?;
        for (_, lines, open) in cases.iter().filter(|(trusted, _, _)| *trusted == hops) {
            for path in ["/near", "/far", "/second", "/six"] {
                let answer = ask(scene, &near, path, lines).await?;
                let expected = if path == *open { 200 } else { 403 };
                assert_eq!(
                    answer.status, expected,
                    "{path} with {lines:?} behind {hops} proxies"
                );
            }
        }
        // The address of the connection is added to the trusted proxy's list.
        upstream.take();
        if hops == 1 {
            ask(scene, &near, "/far", &[FAR]).await?.expect(200)?;
            let seen = upstream.take_one()?;
            let chain: Vec<&str> = seen
                .value("x-forwarded-for")?
                .split(',')
                .map(str::trim)
                .collect();
            assert_eq!(chain.len(), 2, "{chain:?}");
            assert_eq!(chain.first(), Some(&"203.0.113.5"));
        }
        // Another client is not admitted by the same lines.
        let answer = ask(scene, &scene.dialer, "/near", &[]).await?;
        assert_eq!(answer.status, 403);
    }
    Ok(())
}

async fn n_18_only_trusted_proxies_name_the_client_to_upstreams(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let routes = [Route::new(APP, &upstream.address()).public()];
    let near = scene.dialer.coming_from(NEAR);
    // The lines about addresses, and the upstream's view behind one proxy and behind two.
    let cases: [(&[&str], [&str; 2]); 6] = [
        (&[], ["127.0.0.7", "127.0.0.7"]),
        (
            &["X-Forwarded-For: evil, 203.0.113.5"],
            ["203.0.113.5, 127.0.0.7"; 2],
        ),
        (&["X-Forwarded-For: evil"], ["127.0.0.7"; 2]),
        (
            &["X-Forwarded-For: 192.0.2.9,198.51.100.9, 203.0.113.5"],
            [
                "203.0.113.5, 127.0.0.7",
                "198.51.100.9, 203.0.113.5, 127.0.0.7",
            ],
        ),
        (
            &[
                "X-Forwarded-For: 198.51.100.9",
                "X-Forwarded-For: 2001:DB8:0::9",
            ],
            [
                "2001:db8::9, 127.0.0.7",
                "198.51.100.9, 2001:db8::9, 127.0.0.7",
            ],
        ),
        (
            &["X-Forwarded-For: <script>,203.0.113.5:80"],
            ["203.0.113.5, 127.0.0.7"; 2],
        ),
    ];
    for hops in [1, 2] {
        scene.keys = format!("xff_num_trusted_hops: {hops}");
        let _proxy = scene.serve(&routes).await?;
        for (lines, chains) in &cases {
            for proto in ["evil", "http", "https, http"] {
                let proto = format!("X-Forwarded-Proto: {proto}");
                let lines = [*lines, &[proto.as_str()]].concat();
                ask(scene, &near, "/", &lines).await?.expect(200)?;
                let seen = upstream.take_one()?;
                assert_eq!(
                    seen.value("x-forwarded-for")?,
                    chains[hops - 1],
                    "{lines:?}"
                );
                assert_eq!(seen.value("x-forwarded-proto")?, "https", "{lines:?}");
            }
        }
    }
    Ok(())
}

/// With the PROXY protocol and without trusted proxies, headers about addresses are ignored.
async fn the_proxy_protocol_names_the_client(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    scene.keys = "use_proxy_protocol: true".to_owned();
    let plain = scene.dialer.coming_from(NEAR);
    scene.dialer = plain.beginning_with(v1("TCP4 203.0.113.5 192.0.2.1 5000 443"));
    let _proxy = scene.serve(&routes(&upstream)).await?;

    let cases: [(Vec<u8>, &str); 7] = [
        (v1("TCP4 203.0.113.5 192.0.2.1 5000 443"), "/far"),
        (v1("TCP6 2001:db8::7 2001:db8::1 5000 443"), "/six"),
        (v1("UNKNOWN"), "/near"),
        (
            v2(
                1,
                0x11,
                &[203, 0, 113, 9, 192, 0, 2, 1, 0x13, 0x88, 1, 0xbb],
            ),
            "/far",
        ),
        (v2(1, 0x21, &ipv6_pair()), "/six"),
        // With an extension that load balancers add: the type of no operation (section 2.2.4).
        (
            v2(
                1,
                0x11,
                &[
                    203, 0, 113, 9, 192, 0, 2, 1, 0x13, 0x88, 1, 0xbb, 4, 0, 1, 0,
                ],
            ),
            "/far",
        ),
        // A health check of the load balancer itself.
        (v2(0, 0, &[]), "/near"),
    ];
    for (preface, open) in cases {
        let dialer = plain.beginning_with(preface.clone());
        for path in ["/near", "/far", "/second", "/six"] {
            let answer = ask(scene, &dialer, path, &FORGED).await?;
            let expected = if path == open { 200 } else { 403 };
            assert_eq!(
                answer.status,
                expected,
                "{path} after {:?}",
                String::from_utf8_lossy(&preface)
            );
        }
    }
    upstream.take();
    ask(scene, &scene.dialer, "/far", &[]).await?.expect(200)?;
    assert_eq!(
        upstream.take_one()?.value("x-forwarded-for")?,
        "203.0.113.5"
    );

    // A connection whose header is missing or invalid gets no response.
    for preface in [
        Vec::new(),
        v1("TCP4 203.0.113.5"),
        v1("TCP4 203.0.113.555 192.0.2.1 5000 443"),
        v1(&"x".repeat(200)),
        v2(1, 0x11, &[203, 0]),
    ] {
        let dialer = plain.beginning_with(preface.clone());
        let answer = ask(scene, &dialer, "/far", &[]).await;
        assert!(
            answer.is_err(),
            "{:?}: {answer:?}",
            String::from_utf8_lossy(&preface)
        );
    }
    assert!(upstream.take().is_empty());
    Ok(())
}

/// The first version's line (PROXY protocol, section 2.1).
fn v1(rest: &str) -> Vec<u8> {
    format!("PROXY {rest}\r\n").into_bytes()
}

/// The second version's bytes (section 2.2): 1 means a client's connection, 0 the proxy's own.
fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([0x20 | command, family, 0, addresses.len() as u8]);
    bytes.extend(addresses);
    bytes
}

/// 2001:db8::7 to 2001:db8::1 with two ports.
fn ipv6_pair() -> Vec<u8> {
    let mut bytes = Vec::new();
    for last in [7, 1] {
        bytes.extend([0x20, 0x01, 0x0d, 0xb8]);
        bytes.extend([0; 11]);
        bytes.push(last);
    }
    bytes.extend([0x13, 0x88, 1, 0xbb]);
    bytes
}

//! Requests that servers understand in different ways: the proxy gives them one meaning, or answers without the
//! upstream.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, COOKIE, HeaderMap, ORIGIN, SET_COOKIE};
use http::{Method, Version};
use jetway_tests::{
    ALICE, APP, BOB, Proxy, ProxyKind, Route, Scene, Upstream, UserAgent, eventually,
    on_both_proxies,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

on_both_proxies!(
    policy_and_upstream_see_one_path,
    ordinary_paths_pass_unchanged,
    strange_requests_are_answered_here,
    requests_that_once_differed_have_one_answer,
    own_endpoints_answer_for_every_name,
    early_bytes_are_no_request,
    two_framings_smuggle_nothing,
    n_19_two_lengths_are_refused_and_logged,
    n_19_two_lengths_behind_a_disguised_end_are_refused,
    n_12_many_cookies_do_not_lock_the_user_out,
);

/// Paths that some server might read as below `/admin`.
const DISGUISES: [&str; 19] = [
    "/admin",
    "/admin/users",
    "//admin",
    "/./admin",
    "/x/../admin",
    "/x/%2e%2e/admin",
    "/x/..%2fadmin",
    "/%61dmin",
    "/%2561dmin/../admin",
    "/x\\..\\admin",
    "/x/..;/admin",
    "/admin%00",
    "/admin%2fusers",
    "/.//admin",
    "/..//admin",
    "/x/.%2e/admin?y=1",
    "/x/%5c../admin",
    "/admin#x",
    "/x/#/../admin",
];

async fn policy_and_upstream_see_one_path(scene: &mut Scene) -> Result<()> {
    let (admin, rest) = (
        Upstream::start("admin").await?,
        Upstream::start("rest").await?,
    );
    let routes = [
        Route::new(APP, &admin.address()).prefix("/admin").only(BOB),
        Route::new(APP, &rest.address()),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    rest.take();
    for path in DISGUISES {
        let answer = alice
            .dialer()
            .raw(&url, &request(&alice, &url, &format!("GET {path}"), "")?)
            .await?
            .context("an answer")?;
        assert!(!answer.status.is_server_error(), "`{path}`: {answer:?}");
        assert!(
            admin.take().is_empty(),
            "`{path}` reached the other route's upstream"
        );
        for seen in rest.take() {
            let plain = plainest(&seen.target);
            assert!(
                !plain.starts_with("/admin"),
                "`{path}` reached the upstream as `{}`",
                seen.target
            );
        }
        alice.navigate(&url).await?.expect(200)?;
        rest.take();
    }
    Ok(())
}

/// Returns a path as the most lenient server reads it: decoded until it no longer changes, backslashes and dots
/// resolved, parameters of segments removed.
fn plainest(target: &str) -> String {
    let mut path = target
        .split('?')
        .next()
        .unwrap_or_default()
        .replace('\\', "/");
    loop {
        let next = ["%2e", "%2E"]
            .iter()
            .fold(path.clone(), |text, escape| text.replace(escape, "."));
        let next = ["%2f", "%2F", "%5c", "%5C"]
            .iter()
            .fold(next, |text, escape| text.replace(escape, "/"));
        let next = next.replace("%61", "a").replace("%25", "%");
        if next == path {
            break;
        }
        path = next;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

async fn ordinary_paths_pass_unchanged(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let targets = [
        "/",
        "/a/b/c",
        "/a/b/c/",
        "/with%20space/%C3%A4",
        "/a;b=c/d,e",
        "/file.tar.gz",
        "/~user/!$&'()*+,=:@",
        "/q?",
        "/q?a=b&c=%2F..%2F..%00%zz&d=//e/../f",
        "/cockpit/@localhost/shell/index.html?x#".trim_end_matches('#'),
    ];
    for target in targets {
        let answer = alice
            .dialer()
            .raw(&url, &request(&alice, &url, &format!("GET {target}"), "")?)
            .await?
            .context("an answer")?;
        assert_eq!(answer.status, 200, "`{target}`: {answer:?}");
        let seen = upstream
            .take()
            .pop()
            .context("the upstream saw the request")?;
        assert_eq!(seen.target, target);
    }
    alice.navigate(&url).await?.expect(200)?;
    Ok(())
}

async fn strange_requests_are_answered_here(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    for (what, bytes) in strange_requests(&alice, &url)? {
        // Closing the connection without a response is allowed, too.
        let answer = alice.dialer().raw(&url, &bytes).await;
        if let Some(answer) = answer.with_context(|| what.to_owned())? {
            let code = answer.status.as_u16();
            assert!(matches!(code, 400..=499 | 501 | 505), "{what}: {answer:?}");
        }
        assert!(upstream.take().is_empty(), "{what} reached the upstream");
        alice
            .navigate(&url)
            .await?
            .expect(200)
            .with_context(|| format!("after {what}"))?;
        upstream.take();
    }
    Ok(())
}

/// Requests that a proxy refuses or answers itself, by what is strange about them.
fn strange_requests(alice: &UserAgent, url: &Url) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let host = authority(url).to_owned();
    let cookie = alice.cookies(url).context("alice has a session")?;
    let bare = |head: String| {
        format!("{head}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n").into_bytes()
    };
    Ok(vec![
        ("TRACE", request(alice, url, "TRACE /", "")?),
        (
            "CONNECT",
            bare(format!("CONNECT {host} HTTP/1.1\r\nHost: {host}")),
        ),
        ("no host", bare("GET / HTTP/1.1".to_owned())),
        (
            "two hosts",
            request(alice, url, "GET /", "Host: evil.example\r\n")?,
        ),
        (
            "a user in the host",
            bare(format!("GET / HTTP/1.1\r\nHost: user@{host}")),
        ),
        (
            "another host",
            bare("GET / HTTP/1.1\r\nHost: unknown.localhost".to_owned()),
        ),
        (
            "another host in the target",
            request(alice, url, "GET https://unknown.localhost/", "")?,
        ),
        (
            "a path without a slash",
            request(alice, url, "GET admin", "")?,
        ),
        ("a space in the path", request(alice, url, "GET /a b", "")?),
        ("half an escape", request(alice, url, "GET /a%2", "")?),
        (
            "an old version",
            bare(format!("GET / HTTP/1.0\r\nHost: {host}")),
        ),
        (
            "two lengths",
            request(
                alice,
                url,
                "POST /",
                "Content-Length: 1\r\nContent-Length: 2\r\n",
            )?,
        ),
        (
            "an unknown coding",
            request(alice, url, "POST /", "Transfer-Encoding: xchunked\r\n")?,
        ),
        (
            "a space before the colon",
            request(alice, url, "GET /", "X-Any : 1\r\n")?,
        ),
        (
            "a null byte",
            request(alice, url, "GET /", "X-Any: a\0b\r\n")?,
        ),
        (
            "70 KiB in one header",
            request(
                alice,
                url,
                "GET /",
                &format!("X-Any: {}\r\n", "a".repeat(70 << 10)),
            )?,
        ),
        (
            "150 headers",
            request(alice, url, "GET /", &"X-Any: 1\r\n".repeat(150))?,
        ),
        ("not HTTP", b"\x16\x03\x01 hello\r\n\r\n".to_vec()),
    ])
}

/// Requests that the host once answered in another way than Envoy.
async fn requests_that_once_differed_have_one_answer(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, alice, url) = signed_in(scene, &upstream).await?;
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let upgrade = "Upgrade: websocket, h2c\r\n";
    let old = format!("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", authority(&url));
    let query = "Content-Type: application/sql\r\nContent-Length: 0\r\n";
    for (what, bytes, status) in [
        ("a fragment", request(&alice, &url, "GET /a#b", "")?, 400),
        (
            "a fragment behind a query",
            request(&alice, &url, "GET /a?x#b", "")?,
            400,
        ),
        ("two framings", request(&alice, &url, "POST /", both)?, 400),
        (
            "another upgrade",
            upgrading(&alice, &url, "GET /", upgrade)?,
            403,
        ),
        ("HTTP/1.0", old.into_bytes(), 426),
        (
            "HAProxy's default health check",
            b"OPTIONS / HTTP/1.0\r\n\r\n".to_vec(),
            426,
        ),
        (
            "an expectation",
            request(&alice, &url, "GET /", "Expect: y 100-continue\r\n")?,
            417,
        ),
        (
            "a query without a type",
            request(&alice, &url, "QUERY /", "")?,
            400,
        ),
        ("a query", request(&alice, &url, "QUERY /", query)?, 200),
    ] {
        let answer = alice.dialer().raw(&url, &bytes).await?;
        let answer = answer.with_context(|| format!("{what}: no answer"))?;
        assert_eq!(answer.status.as_u16(), status, "{what}: {answer:?}");
        let seen = upstream.take();
        assert_eq!(seen.len(), usize::from(status == 200), "{what}: {seen:?}");
    }
    Ok(())
}

/// The paths that health checks ask for by an address or by any name.
async fn own_endpoints_answer_for_every_name(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, alice, url) = signed_in(scene, &upstream).await?;
    for host in ["unknown.localhost", "127.0.0.1", "127.0.0.1:8443", "[::1]"] {
        for path in ["/ping", "/healthz"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = alice.dialer().raw(&url, head.as_bytes()).await?;
            let answer = answer.with_context(|| format!("{host}{path}: no answer"))?;
            assert_eq!(answer.status, 200, "{host}{path}");
        }
    }
    assert!(upstream.take().is_empty());
    Ok(())
}

/// CVE-2026-73548: what a client sends behind a handshake that is refused.
async fn early_bytes_are_no_request(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, alice, url) = signed_in(scene, &upstream).await?;
    let early = request(&alice, &url, "GET /early", "")?;
    let handshake = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for more in [handshake, "Upgrade: foo\r\n"] {
        let mut bytes = upgrading(&alice, &url, "GET /", more)?;
        bytes.extend_from_slice(&early);
        let answer = alice.dialer().raw(&url, &bytes).await?;
        let answer = answer.with_context(|| format!("{more}: no answer"))?;
        assert_eq!(answer.status, 403, "{more}");
        assert!(
            upstream.take().is_empty(),
            "{more}: the early request got through"
        );
    }
    Ok(())
}

/// A length and chunks in one request are refused, or the chunks count alone (RFC 9112 section 6.3).
async fn two_framings_smuggle_nothing(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let (host, cookie) = (
        authority(&url),
        alice.cookies(&url).context("alice has a session")?,
    );
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let chunked = format!("0\r\n\r\n{smuggled}");
    let framings = [
        (
            format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked",
                chunked.len()
            ),
            &chunked,
        ),
        (
            format!(
                "Transfer-Encoding: chunked\r\nContent-Length: {}",
                chunked.len()
            ),
            &chunked,
        ),
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked".to_owned(),
            &chunked,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
            &chunked,
        ),
        (
            format!("Content-Length: 0\r\nContent-Length: {}", smuggled.len()),
            &smuggled,
        ),
    ];
    for (framing, body) in framings {
        let head =
            format!("POST / HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n");
        let bytes = format!("{head}{framing}\r\n\r\n{body}");
        let answer = alice.dialer().raw(&url, bytes.as_bytes()).await?;
        for seen in upstream.take() {
            assert_eq!(seen.target, "/", "{framing}");
            assert!(
                seen.body().is_none_or(Bytes::is_empty),
                "{framing}: {seen:?}"
            );
            let framed =
                seen.values("content-length").len() + seen.values("transfer-encoding").len();
            assert!(
                framed <= 1,
                "{framing}: two framings are passed on: {seen:?}"
            );
        }
        assert!(
            answer.is_none_or(|answer| !answer.status.is_server_error() || answer.status == 501),
            "{framing}"
        );
        alice.navigate(&url).await?.expect(200)?;
        upstream.take();
    }
    Ok(())
}

/// Requests that the host's HTTP library would accept, or refuse without a response.
async fn n_19_two_lengths_are_refused_and_logged(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let cases = [
        ("Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "hello"),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 15\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        ("Content-Length: 5, 5\r\n\r\n", "hello"),
        ("Content-Length: +5\r\n\r\n", "hello"),
        ("X-Any : 1\r\n\r\n", ""),
    ];
    for (lines, body) in cases {
        // Behind an ordinary request on one connection, too.
        let ordinary = request(&alice, &url, "POST /first", "Content-Length: 5\r\n")?;
        let ordinary = String::from_utf8(ordinary)?.replace("Connection: close\r\n", "");
        let strange = request(&alice, &url, "POST /second", "")?;
        let strange = strange.strip_suffix(b"\r\n").context("a head")?;
        let strange = [strange, lines.as_bytes(), body.as_bytes()].concat();
        let answer = alice.dialer().raw(&url, &strange).await?;
        let answer = answer.with_context(|| format!("no answer to {lines:?}"))?;
        assert_eq!(answer.status, 400, "{lines:?}: {answer:?}");
        assert!(upstream.take().is_empty(), "{lines:?} reached the upstream");
        let both = [ordinary.as_bytes(), b"first", &strange].concat();
        let answer = alice.dialer().raw(&url, &both).await?;
        answer.context("an answer to the first")?.expect(200)?;
        alice.navigate(&url).await?.expect(200)?;
        let seen: Vec<String> = upstream.take().into_iter().map(|one| one.target).collect();
        assert!(!seen.contains(&"/second".to_owned()), "{lines:?}: {seen:?}");
    }
    if scene.kind == ProxyKind::Host {
        let log = scene.logs().join("host.log");
        eventually("the log tells of them", LOGGED, async || {
            let log = std::fs::read_to_string(&log)?;
            ensure!(
                log.contains("the body of the request has two lengths"),
                "{log}"
            );
            ensure!(log.contains("cannot read the request"), "{log}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// A second request with two lengths is refused also behind a request whose length or end a reader of the bytes could miss.
async fn n_19_two_lengths_behind_a_disguised_end_are_refused(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let hiding = [
        (
            format!("Content-Length:{}3\r\n", " ".repeat(300)),
            "abc".to_owned(),
        ),
        (
            CHUNKED.to_owned(),
            format!("3;x={}\r\nabc\r\n0\r\n\r\n", "y".repeat(300)),
        ),
        (CHUNKED.to_owned(), "0\r\n\nX: y\r\n\r\n".to_owned()),
    ];
    for (lines, body) in &hiding {
        let first = request(&alice, &url, "POST /first", lines)?;
        let first = String::from_utf8(first)?.replace("Connection: close\r\n", "");
        for (strange, of_strange) in [
            ("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
            (
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
        ] {
            let strange = request(&alice, &url, "POST /second", strange)?;
            let both = [
                first.as_bytes(),
                body.as_bytes(),
                &strange,
                of_strange.as_bytes(),
            ]
            .concat();
            let mut stream = alice.dialer().open(&url, "http/1.1").await?;
            stream.write_all(&both).await?;
            // Read to the end of the connection: the second request has been refused or served by then.
            let mut answers = Vec::new();
            let _ = tokio::time::timeout(LOGGED, stream.read_to_end(&mut answers))
                .await
                .with_context(|| format!("no end after {lines:?} {body:?}"))?;
            let answers = String::from_utf8_lossy(&answers).into_owned();
            assert!(
                scene.kind != ProxyKind::Host || answers.contains("HTTP/1.1 400 "),
                "{lines:?}: {answers}"
            );
            let seen: Vec<String> = upstream.take().into_iter().map(|one| one.target).collect();
            assert!(!seen.contains(&"/second".to_owned()), "{lines:?}: {seen:?}");
            alice.navigate(&url).await?.expect(200)?;
            upstream.take();
        }
    }
    Ok(())
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Time for a line to appear in the log.
const LOGGED: Duration = Duration::from_secs(10);

/// Cookies that a sibling site has set for the domain, each in a field of its own (RFC 9113 section 8.2.3).
async fn n_12_many_cookies_do_not_lock_the_user_out(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, alice, url) = signed_in(scene, &upstream).await?;
    let session = alice.cookies(&url).context("alice has a session")?;
    let crumbs = |count: usize, size: usize| -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "text/html".parse()?);
        headers.append(ORIGIN, url.origin().ascii_serialization().parse()?);
        headers.append(COOKIE, session.parse()?);
        for number in 0..count {
            let crumb = format!("sibling{number}={}", "a".repeat(size));
            headers.append(COOKIE, crumb.parse()?);
        }
        Ok(headers)
    };
    let clear = scene.url(APP, "/.pomerium/clear_cookies")?;
    for version in [Version::HTTP_2, Version::HTTP_11] {
        let mut browser = scene.user_agent();
        browser.version = version;
        // HTTP/1.1 has one line for all cookies.
        let most = if version == Version::HTTP_2 { 300 } else { 50 };
        for count in [50, most] {
            let answer = browser.send(Method::GET, &url, crumbs(count, 8)?, Bytes::new());
            answer.await?.expect(200)?;
            let seen = upstream.take_one()?;
            let cookies = seen.values("cookie").concat();
            let cookies = String::from_utf8(cookies)?;
            assert_eq!(cookies.matches("sibling").count(), count, "{version:?}");
        }
        for size in [1500, 4000] {
            let answer = browser.send(Method::GET, &url, crumbs(50, size)?, Bytes::new());
            let answer = answer.await?.expect(431)?;
            assert!(answer.text().contains(clear.path()), "{}", answer.text());
            assert!(upstream.take().is_empty());
            let answer = browser.send(Method::POST, &clear, crumbs(50, size)?, Bytes::new());
            let answer = answer.await?.expect(200)?;
            assert_eq!(answer.header("clear-site-data"), Some("\"cookies\""));
            let name = session.split('=').next().unwrap_or_default();
            let cleared = answer.headers.get_all(SET_COOKIE).iter();
            assert!(
                cleared
                    .filter_map(|line| line.to_str().ok())
                    .any(
                        |line| line.starts_with(&format!("{name}=;")) && line.contains("Max-Age=0")
                    ),
                "{:?}",
                answer.headers
            );
        }
        let mut other = alice.clone();
        other.version = version;
        other.navigate(&url).await?.expect(200)?;
        upstream.take();
    }
    Ok(())
}

async fn signed_in(scene: &Scene, upstream: &Upstream) -> Result<(Proxy, UserAgent, Url)> {
    let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    upstream.take();
    Ok((proxy, alice, url))
}

/// Returns the bytes of a signed-in user's request; `more` is further header lines.
fn request(client: &UserAgent, url: &Url, line: &str, more: &str) -> Result<Vec<u8>> {
    let (host, cookie) = (
        authority(url),
        client.cookies(url).context("the user has a session")?,
    );
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n{more}\r\n"
    );
    Ok(head.into_bytes())
}

/// The same for a request that asks for another protocol.
fn upgrading(client: &UserAgent, url: &Url, line: &str, more: &str) -> Result<Vec<u8>> {
    let request = String::from_utf8(request(client, url, line, more)?)?;
    Ok(request
        .replacen("Connection: close", "Connection: Upgrade", 1)
        .into_bytes())
}

fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

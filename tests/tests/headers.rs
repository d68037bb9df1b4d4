//! The client's headers that an upstream receives.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jetway_tests::{
    ALICE, APP, BOB, ProxyKind, Route, Scene, Upstream, UserAgent, on_both_proxies,
};
use url::Url;

on_both_proxies!(
    claims_of_the_client_do_not_reach_the_upstream,
    aliases_of_claims_do_not_reach_the_upstream,
    what_only_proxies_state_does_not_reach_the_upstream,
    credentials_for_the_proxy_do_not_reach_the_upstream,
    other_cookies_reach_the_upstream_unchanged,
    the_upstream_learns_the_public_address,
    bytes_that_are_not_utf_8_do_no_harm,
    a_route_cannot_be_chosen_by_the_client,
);

/// Serves one application and signs alice in.
async fn signed_in(
    scene: &Scene,
    upstream: &Upstream,
) -> Result<(jetway_tests::Proxy, UserAgent, Url)> {
    let proxy = scene
        .serve(&[Route::new(APP, &upstream.address()).preserve_host()])
        .await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    upstream.take();
    Ok((proxy, alice, url))
}

fn header_map(names: &[&str]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for name in names {
        headers.append(
            HeaderName::from_bytes(name.as_bytes())?,
            HeaderValue::from_static("forged"),
        );
    }
    Ok(headers)
}

async fn claims_of_the_client_do_not_reach_the_upstream(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let headers = header_map(&[
        "x-pomerium-jwt-assertion",
        "x-pomerium-claim-email",
        "x-pomerium-anything",
        "x-jetway-route",
        "x-forwarded-email",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "forwarded",
    ])?;
    alice
        .send(Method::GET, &url, headers, Bytes::new())
        .await?
        .expect(200)?;
    let seen = upstream
        .take()
        .pop()
        .context("the upstream saw the request")?;
    for (name, value) in &seen.headers {
        assert_ne!(value.as_bytes(), b"forged", "`{name}` passed");
        assert!(!name.as_str().starts_with("x-pomerium"), "`{name}` passed");
    }
    assert!(
        seen.values("x-jetway-route").is_empty(),
        "the chosen route stays between module and body"
    );
    Ok(())
}

/// N-16: headers by which proxies describe users, addresses and methods have no effect when a client sends them.
async fn what_only_proxies_state_does_not_reach_the_upstream(scene: &mut Scene) -> Result<()> {
    const STATED: [&str; 17] = [
        "x-auth-request-groups",
        "x-auth-request-preferred-username",
        "x-remote-user",
        "x-remote-groups",
        "x-remote-email",
        "x.remote.user",
        "x-http-method",
        "true-client-ip",
        "cf-connecting-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "fastly-client-ip",
        "x-webauth-user",
        "client-cert",
        "proxy",
        "x-tenant",
        "x-company-role",
    ];
    scene.keys = "reserved_request_headers: [X-Tenant, X-Company-*]".to_owned();
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let mut headers = header_map(&STATED)?;
    headers.insert("x-innocent", HeaderValue::from_static("kept"));
    alice
        .send(Method::GET, &url, headers, Bytes::new())
        .await?
        .expect(200)?;
    let seen = upstream.take_one()?;
    for (name, value) in &seen.headers {
        assert_ne!(value.as_bytes(), b"forged", "`{name}` passed");
    }
    assert_eq!(seen.value("x-innocent")?, "kept");
    Ok(())
}

/// N-16: a session in an `Authorization` line does not reach the upstream, among other lines too.
async fn credentials_for_the_proxy_do_not_reach_the_upstream(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let route = Route::new(APP, &upstream.address()).public();
    let copy = "set_request_headers: {X-Copy: '<${pomerium.request.headers[\"Authorization\"]}>'}";
    let _proxy = scene.serve(&[route.key(copy)]).await?;
    let url = scene.url(APP, "/")?;
    let own = "Bearer Pomerium-c2VjcmV0";
    let mut user_agent = scene.user_agent();
    for lines in [
        &[own, own][..],
        &["Basic eDp5", own],
        &[own, "Basic eDp5"],
        &["Basic eDp5, bearer  Pomerium-c2VjcmV0"],
        &["pomerium c2VjcmV0", own],
    ] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("authorization", line.parse()?);
        }
        let answer = user_agent
            .send(Method::GET, &url, headers, Bytes::new())
            .await?;
        // Envoy joins the lines; the resulting single credential is refused.
        assert!(matches!(answer.status.as_u16(), 200 | 401), "{answer:?}");
        for seen in upstream.take() {
            for (name, value) in &seen.headers {
                let value = String::from_utf8_lossy(value.as_bytes());
                assert!(!value.contains("c2VjcmV0"), "{lines:?}: `{name}` has it");
            }
        }
    }
    let headers = HeaderMap::from_iter([("authorization".parse()?, "Basic eDp5".parse()?)]);
    user_agent
        .send(Method::GET, &url, headers, Bytes::new())
        .await?
        .expect(200)?;
    let seen = upstream.take_one()?;
    assert_eq!(seen.value("authorization")?, "Basic eDp5");
    assert_eq!(seen.value("x-copy")?, "<Basic eDp5>");
    Ok(())
}

/// Servers that read `_` or `.` as `-` must not be deceived; refusing such a request is as good as removing the header.
async fn aliases_of_claims_do_not_reach_the_upstream(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    for alias in [
        "x_pomerium_claim_email",
        "x.pomerium.claim.email",
        "x-pomerium_jwt-assertion",
        "x_jetway_route",
    ] {
        let answer = alice
            .send(Method::GET, &url, header_map(&[alias])?, Bytes::new())
            .await?;
        assert!(matches!(answer.status.as_u16(), 200 | 400), "{answer:?}");
        for seen in upstream.take() {
            assert!(seen.values(alias).is_empty(), "`{alias}` passed");
        }
    }
    Ok(())
}

async fn other_cookies_reach_the_upstream_unchanged(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, alice, url) = signed_in(scene, &upstream).await?;
    let session = alice.cookies(&url).context("alice has a session")?;
    let name = session.split('=').next().unwrap_or_default();
    let attempt = format!("{name}_attempt_old=x");
    let others = [
        "first=1",
        r#"odd="quoted, with=signs""#,
        "percent=%00%ff",
        "empty=",
        "nameless",
    ];
    for place in 0..=others.len() {
        let mut pairs = others.to_vec();
        pairs.insert(place, &session);
        pairs.insert(others.len() - place, &attempt);
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, pairs.join("; ").parse()?);
        let mut browser = scene.user_agent();
        browser
            .send(Method::GET, &url, headers, Bytes::new())
            .await?
            .expect(200)?;
        let seen = upstream
            .take()
            .pop()
            .context("the upstream saw the request")?;
        assert_eq!(seen.values("cookie"), [others.join("; ").as_bytes()]);
    }

    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, session.parse()?);
    scene
        .user_agent()
        .send(Method::GET, &url, headers, Bytes::new())
        .await?
        .expect(200)?;
    let seen = upstream
        .take()
        .pop()
        .context("the upstream saw the request")?;
    assert!(
        seen.values("cookie").is_empty(),
        "without other cookies there is no header"
    );
    Ok(())
}

async fn the_upstream_learns_the_public_address(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.insert("x-forwarded-host", HeaderValue::from_static("evil.example"));
    alice
        .send(Method::GET, &url, headers, Bytes::new())
        .await?
        .expect(200)?;
    let seen = upstream
        .take()
        .pop()
        .context("the upstream saw the request")?;
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    assert_eq!(
        seen.values("host"),
        [authority.as_bytes()],
        "the route keeps the public host"
    );
    // For a client on loopback, Envoy gives its own machine's address instead.
    let client = seen.values("x-forwarded-for");
    let [client] = client.as_slice() else {
        bail!("one address: {client:?}")
    };
    let client: IpAddr = std::str::from_utf8(client)?.parse()?;
    assert_ne!(
        client,
        IpAddr::from([203, 0, 113, 9]),
        "a client's word is not taken"
    );
    assert!(
        scene.kind == ProxyKind::Envoy || client.is_loopback(),
        "{client}"
    );
    assert_eq!(seen.values("x-forwarded-proto"), [b"https"]);
    assert!(
        !seen
            .values("x-forwarded-host")
            .contains(&b"evil.example".as_slice())
    );
    Ok(())
}

async fn bytes_that_are_not_utf_8_do_no_harm(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let session = alice.cookies(&url).context("alice has a session")?;
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let attacks: [(&str, Vec<u8>); 5] = [
        (
            "cookie",
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: a=").into_bytes(),
        ),
        (
            "cookie and session",
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {session}; a=").into_bytes(),
        ),
        (
            "name of our cookie",
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {session}").into_bytes(),
        ),
        (
            "accept",
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html").into_bytes(),
        ),
        (
            "path",
            format!(
                "GET /.pomerium/callback?state=%ff&code=%ff HTTP/1.1\r\nHost: {host}\r\nX-Any: "
            )
            .into_bytes(),
        ),
    ];
    for (what, mut attack) in attacks {
        attack.extend_from_slice(b"\xff\xfe\r\nConnection: close\r\n\r\n");
        let answer = alice
            .dialer()
            .raw(&url, &attack)
            .await
            .with_context(|| format!("bytes in the {what}"))?
            .with_context(|| format!("no answer to bytes in the {what}"))?;
        assert!(
            !answer.status.is_server_error(),
            "bytes in the {what}: {answer:?}"
        );
        upstream.take();
        alice
            .navigate(&url)
            .await?
            .expect(200)
            .with_context(|| format!("after bytes in the {what}"))?;
        assert_eq!(upstream.take().len(), 1);
    }

    let request =
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {session}; a=");
    alice
        .dialer()
        .raw(&url, &[request.as_bytes(), b"\xff\r\n\r\n"].concat())
        .await?
        .context("an answer")?
        .expect(200)?;
    let seen = upstream
        .take()
        .pop()
        .context("the upstream saw the request")?;
    assert_eq!(
        seen.values("cookie"),
        [b"a=\xff"],
        "what is not ours passes byte for byte"
    );
    Ok(())
}

/// The header by which the module selects a cluster has no effect when a client sends it.
async fn a_route_cannot_be_chosen_by_the_client(scene: &mut Scene) -> Result<()> {
    let (open, closed) = (
        Upstream::start("open").await?,
        Upstream::start("closed").await?,
    );
    let routes = [
        Route::new(APP, &closed.address())
            .prefix("/closed")
            .only(BOB),
        Route::new(APP, &open.address()).only(ALICE),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let ids = route_ids(&scene.jetway("envoy-config", &routes)?);
    assert_eq!(ids.len(), 2, "both routes have an id");
    for id in &ids {
        for path in ["/", "/closed"] {
            let mut headers = HeaderMap::new();
            headers.append("x-jetway-route", id.parse()?);
            alice
                .send(Method::GET, &scene.url(APP, path)?, headers, Bytes::new())
                .await?;
        }
    }
    assert!(closed.take().is_empty(), "alice never reaches bob's route");
    assert_eq!(open.take().len(), 1 + ids.len(), "and always her own");
    Ok(())
}

/// The route ids in a generated Envoy configuration: sixteen hexadecimal digits on their own.
fn route_ids(config: &str) -> std::collections::BTreeSet<String> {
    config
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| {
            word.len() == 16
                && word
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
        .map(ToOwned::to_owned)
        .collect()
}

//! Headers that a route's keys set, remove and rewrite, in requests and in responses.

use anyhow::Result;
use bytes::Bytes;
use http::header::{LOCATION, REFERER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jetway_tests::{
    ALICE, APP, Assertion, Manner, OTHER, Parties, Response, Route, Scene, Upstream,
    on_both_proxies,
};

on_both_proxies!(
    request_headers_are_set_and_removed,
    response_headers_are_set_and_rewritten,
    response_headers_of_the_file_replace_the_defaults,
    answers_with_a_cookie_of_ours_are_private,
);

const REQUEST_KEYS: &str = r#"
set_request_headers:
  X-Static: fixed
  X-Copy: 'from ${pomerium.request.headers["X-From"]}'
  X-Jwt: '${pomerium.jwt}'
  X-Dollar: '$$5'
  X-Unknown: 'a${pomerium.nothing}b'
  X-Both: kept
  Accept: text/plain
remove_request_headers: [X-Gone, x-both, Referer]
"#;

async fn request_headers_are_set_and_removed(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let routes = [Route::new(APP, &upstream.address()).key(REQUEST_KEYS)];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    upstream.take();

    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-static", "forged"),
        ("x-static", "forged again"),
        ("x-copy", "forged"),
        ("x-jwt", "forged"),
        ("x-from", "blue"),
        ("x-gone", "one"),
        ("x-gone", "two"),
        ("x-both", "forged"),
        ("accept", "text/html"),
        ("x-other", "stays"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers.insert(
        REFERER,
        HeaderValue::from_static("https://elsewhere.example"),
    );
    alice
        .send(Method::GET, &url, headers, Bytes::new())
        .await?
        .expect(200)?;
    let seen = upstream.take_one()?;
    for (name, value) in [
        ("x-static", "fixed"),
        ("x-copy", "from blue"),
        ("x-dollar", "$5"),
        ("x-unknown", "ab"),
        ("x-both", "kept"),
        ("accept", "text/plain"),
        ("x-from", "blue"),
        ("x-other", "stays"),
    ] {
        assert_eq!(seen.value(name)?, value, "{name}");
    }
    for name in ["x-gone", "referer", "x-pomerium-jwt-assertion"] {
        assert!(seen.values(name).is_empty(), "`{name}` passed: {seen:?}");
    }
    let keys = alice
        .navigate(&scene.url(APP, "/.well-known/pomerium/jwks.json")?)
        .await?
        .expect(200)?
        .json()?;
    let assertion = Assertion::verify(scene, seen.value("x-jwt")?, &keys, Parties::of_host(APP))?;
    assert_eq!(assertion.claims["email"], ALICE);

    // Without the header that a template refers to, and with bytes that are not UTF-8.
    alice.navigate(&url).await?.expect(200)?;
    assert_eq!(upstream.take_one()?.value("x-copy")?.trim_end(), "from");
    let mut headers = HeaderMap::new();
    headers.insert("x-from", HeaderValue::from_bytes(b"\xff\xfe")?);
    let answer = alice.send(Method::GET, &url, headers, Bytes::new()).await?;
    assert!(!answer.status.is_server_error(), "{answer:?}");
    upstream.take();
    alice.navigate(&url).await?.expect(200)?;
    Ok(())
}

/// Returns all values of a header of a response.
fn values<'a>(answer: &'a Response, name: &str) -> Vec<&'a [u8]> {
    let values = answer.headers.get_all(name);
    values.iter().map(HeaderValue::as_bytes).collect()
}

/// Headers that every response gets unless the file says otherwise.
const DEFAULTS: [(&str, &[u8]); 2] = [
    ("x-frame-options", b"SAMEORIGIN"),
    (
        "strict-transport-security",
        b"max-age=31536000; includeSubDomains; preload",
    ),
];

fn routes_with_response_headers(to: &str) -> [Route; 4] {
    [
        Route::new(APP, to)
            .prefix("/disabled")
            .public()
            .key("set_response_headers: {disable: true}"),
        Route::new(APP, to)
            .prefix("/rewritten")
            .public()
            .key(&format!(
                "rewrite_response_headers:\n- {{header: Location, prefix: '{to}/', value: 'https://app.example/'}}"
            )),
        Route::new(APP, to)
            .public()
            .key("set_response_headers: {X-Route: own, X-Shared: route}"),
        Route::new(OTHER, to).public(),
    ]
}

async fn response_headers_are_set_and_rewritten(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let to = upstream.address();
    let routes = routes_with_response_headers(&to);
    let mut client = scene.user_agent();
    let _proxy = scene.serve(&routes).await?;

    let plain = client.fetch(&scene.url(OTHER, "/")?).await?.expect(200)?;
    let own = client.fetch(&scene.url(APP, "/")?).await?.expect(200)?;
    let disabled = client
        .fetch(&scene.url(APP, "/disabled")?)
        .await?
        .expect(200)?;
    for (name, value) in DEFAULTS {
        assert_eq!(values(&plain, name), [value], "{name}");
        assert_eq!(values(&own, name), [value], "{name}");
        assert!(values(&disabled, name).is_empty(), "{name}");
    }
    assert_eq!(values(&own, "x-route"), [b"own"]);

    let mut headers = HeaderMap::new();
    headers.insert("x-shared", HeaderValue::from_static("upstream"));
    headers.append("x-shared", HeaderValue::from_static("upstream again"));
    headers.insert(LOCATION, format!("{to}/next?{to}/").parse()?);
    upstream.behave(Manner::AnswersWith(StatusCode::FOUND, headers));
    let own = client.fetch(&scene.url(APP, "/")?).await?.expect(302)?;
    assert_eq!(values(&own, "x-shared"), [b"route"], "set means replaced");
    assert_eq!(
        values(&own, "location"),
        [format!("{to}/next?{to}/").as_bytes()]
    );
    let rewritten = client.fetch(&scene.url(APP, "/rewritten")?).await?;
    assert_eq!(
        rewritten.expect(302)?.header("location"),
        Some(format!("https://app.example/next?{to}/").as_str())
    );
    let elsewhere = HeaderValue::from_static("http://elsewhere.example/x");
    let headers = HeaderMap::from_iter([(LOCATION, elsewhere.clone())]);
    upstream.behave(Manner::AnswersWith(StatusCode::FOUND, headers));
    let untouched = client.fetch(&scene.url(APP, "/rewritten")?).await?;
    assert_eq!(untouched.headers.get(LOCATION), Some(&elsewhere));
    Ok(())
}

/// The file's own headers replace the defaults; those of a route are added to them.
async fn response_headers_of_the_file_replace_the_defaults(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let routes = routes_with_response_headers(&upstream.address());
    scene.keys = "set_response_headers: {X-Global: everywhere, X-Shared: global}".to_owned();
    let _proxy = scene.serve(&routes).await?;
    let mut client = scene.user_agent();
    let plain = client.fetch(&scene.url(OTHER, "/")?).await?.expect(200)?;
    let own = client.fetch(&scene.url(APP, "/")?).await?.expect(200)?;
    let disabled = client
        .fetch(&scene.url(APP, "/disabled")?)
        .await?
        .expect(200)?;
    for (name, _) in DEFAULTS {
        assert!(values(&plain, name).is_empty(), "{name}: {plain:?}");
    }
    assert_eq!(values(&plain, "x-global"), [b"everywhere"]);
    assert_eq!(values(&plain, "x-shared"), [b"global"]);
    assert_eq!(values(&own, "x-global"), [b"everywhere"]);
    assert_eq!(values(&own, "x-shared"), [b"route"]);
    assert_eq!(values(&own, "x-route"), [b"own"]);
    assert!(values(&disabled, "x-global").is_empty());
    Ok(())
}

/// N-17: a response that gets a cookie of the proxy's is not for shared caches, independent of the upstream's headers.
async fn answers_with_a_cookie_of_ours_are_private(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene
        .serve(&[Route::new(APP, &upstream.address()).public()])
        .await?;
    let url = scene.url(APP, "/")?;
    let mut told = HeaderMap::new();
    told.insert(
        "cache-control",
        HeaderValue::from_static("public, max-age=600, s-maxage=900"),
    );
    told.insert("cdn-cache-control", HeaderValue::from_static("max-age=600"));
    upstream.behave(Manner::AnswersWith(StatusCode::OK, told));
    // A session that cannot be opened is cleared: the simplest response with a cookie.
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_static("__Host-_pomerium=old"));
    let mut client = scene.user_agent();
    let answer = client
        .send(Method::GET, &url, headers, Bytes::new())
        .await?
        .expect(200)?;
    assert_eq!(values(&answer, "set-cookie").len(), 1, "{answer:?}");
    assert_eq!(
        values(&answer, "cache-control"),
        [b"private, max-age=600".as_slice()]
    );
    assert!(values(&answer, "cdn-cache-control").is_empty());

    let innocent = scene.user_agent().fetch(&url).await?.expect(200)?;
    assert_eq!(
        values(&innocent, "cache-control"),
        [b"public, max-age=600, s-maxage=900".as_slice()]
    );
    assert_eq!(
        values(&innocent, "cdn-cache-control"),
        [b"max-age=600".as_slice()]
    );
    Ok(())
}

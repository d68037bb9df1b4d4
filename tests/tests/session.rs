//! Session cookies that were changed or moved.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, Method};
use jetway_tests::{ALICE, APP, OTHER, Response, Route, Scene, Upstream, on_both_proxies};
use url::Url;

on_both_proxies!(
    a_changed_cookie_is_no_session,
    a_cookie_of_another_host_is_no_session
);

/// The alphabet of the sealed value (base64url).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

async fn a_changed_cookie_is_no_session(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let (name, value) = session_cookie(scene, &url).await?;
    with_cookie(scene, &url, &format!("{name}={value}"))
        .await?
        .expect(200)?;
    upstream.take();

    let mut forgeries: Vec<String> = [
        0,
        1,
        value.len() / 4,
        value.len() / 2,
        value.len() - 2,
        value.len() - 1,
    ]
    .into_iter()
    .map(|place| changed(&value, place))
    .collect::<Result<_>>()?;
    forgeries.extend([
        String::new(),
        value[1..].to_owned(),
        value[..value.len() - 1].to_owned(),
    ]);
    forgeries.extend([
        format!("{value}A"),
        format!("{value}="),
        value.repeat(2),
        "%00".to_owned(),
        "\"\"".to_owned(),
    ]);
    for forgery in forgeries {
        let answer = with_cookie(scene, &url, &format!("{name}={forgery}")).await?;
        assert_eq!(answer.status, 401, "`{forgery}` counts as a session");
    }
    let respelled = format!("{}={value}", name.to_ascii_lowercase());
    let answer = with_cookie(scene, &url, &respelled).await?;
    assert_eq!(answer.status, 401, "`{respelled}` is another cookie");
    assert!(upstream.take().is_empty(), "nothing reaches the upstream");
    with_cookie(scene, &url, &format!("{name}={value}"))
        .await?
        .expect(200)?;
    Ok(())
}

async fn a_cookie_of_another_host_is_no_session(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let other = Upstream::start("other").await?;
    let routes = [
        Route::new(APP, &upstream.address()),
        Route::new(OTHER, &other.address()),
    ];
    let _proxy = scene.serve(&routes).await?;
    let (name, value) = session_cookie(scene, &scene.url(APP, "/")?).await?;
    let cookie = format!("{name}={value}");
    with_cookie(scene, &scene.url(APP, "/")?, &cookie)
        .await?
        .expect(200)?;
    with_cookie(scene, &scene.url(OTHER, "/")?, &cookie)
        .await?
        .expect(401)?;
    assert!(
        other.take().is_empty(),
        "nothing reaches the other upstream"
    );
    Ok(())
}

/// Signs alice in and takes the session out of her browser.
async fn session_cookie(scene: &Scene, url: &Url) -> Result<(String, String)> {
    let mut alice = scene.user_agent();
    alice.sign_in(url, ALICE).await?.1.expect(200)?;
    let mut cookies = alice.cookie_pairs(url);
    // The other cookie counts sign-ins for a minute.
    cookies.retain(|(name, _)| !name.ends_with("_login_count"));
    ensure!(
        cookies.len() == 1,
        "one cookie is left after signing in: {cookies:?}"
    );
    cookies
        .into_iter()
        .next()
        .context("there is a session cookie")
}

/// Returns the response to a script with this `Cookie` header and no other cookie.
async fn with_cookie(scene: &Scene, url: &Url, cookie: &str) -> Result<Response> {
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, cookie.parse()?);
    scene
        .user_agent()
        .send(Method::GET, url, headers, Bytes::new())
        .await
}

/// Returns the value with one character replaced by its neighbour in the alphabet: one bit of the sealed bytes, or, at
/// the end, possibly a bit that encodes nothing.
fn changed(value: &str, place: usize) -> Result<String> {
    let mut bytes = value.as_bytes().to_vec();
    let index = ALPHABET
        .iter()
        .position(|letter| *letter == bytes[place])
        .context("the value is base64url")?;
    bytes[place] = ALPHABET[index ^ 1];
    Ok(String::from_utf8(bytes)?)
}

//! Signing in: the users who are admitted, the pages of the others, and the limits of a callback.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Version};
use jetway_tests::{
    ALICE, APP, BOB, MALLORY, Response, Route, Scene, Upstream, UserAgent, on_both_proxies,
};
use url::Url;

on_both_proxies!(
    permitted_users_reach_the_application,
    a_refused_user_learns_why_and_can_sign_out,
    anonymous_requests_get_a_sign_in_or_a_plain_refusal,
    a_callback_works_once,
    a_callback_works_only_in_the_browser_that_began,
    two_tabs_can_sign_in_at_once,
    the_session_cookie_is_bound_and_guarded,
    signing_in_works_over_http2,
);

async fn permitted_users_reach_the_application(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let path = "/deep/link?a=1&b=%20c";
    let url = scene.url(APP, path)?;
    for account in [ALICE, BOB] {
        let mut client = scene.user_agent();
        let (end, response) = client.sign_in(&url, account).await?;
        assert_eq!(end, url, "{account} ends where they wanted to go");
        assert_eq!(response.expect(200)?.text(), upstream.answer("GET", path));

        let body = Bytes::from_static(b"a body that arrives whole");
        client
            .send(Method::PUT, &url, HeaderMap::new(), body.clone())
            .await?
            .expect(200)?;
        let seen = upstream
            .take()
            .pop()
            .context("the upstream saw the request")?;
        assert_eq!(seen.body(), Some(&body));
        assert_eq!((seen.method, seen.target.as_str()), (Method::PUT, path));
    }
    Ok(())
}

async fn a_refused_user_learns_why_and_can_sign_out(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut mallory = scene.user_agent();
    let (end, page) = mallory.sign_in(&url, MALLORY).await?;
    let page = page.expect(403)?;
    let text = page.text();
    assert!(text.contains(MALLORY), "the page names the account: {text}");
    let form = text
        .split("<form")
        .nth(1)
        .and_then(|rest| rest.split("</form>").next());
    let form = form.context("the page has a form")?;
    assert!(
        form.to_ascii_lowercase().contains("method=\"post\""),
        "signing out is a POST: {form}"
    );
    assert!(upstream.take().is_empty(), "nothing reaches the upstream");

    let action = attribute(form, "action").context("the form has an action")?;
    let fields: Vec<(&str, &str)> = form
        .split("<input")
        .skip(1)
        .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)))
        .collect();
    let answer = mallory.post_form(&end.join(action)?, &fields).await?;
    ensure!(
        answer.status.is_success() || answer.status.is_redirection(),
        "signing out: {answer:?}"
    );
    let again = mallory.navigate(&url).await?;
    assert!(
        again.status.is_redirection(),
        "signed out, mallory is asked to sign in: {again:?}"
    );
    Ok(())
}

async fn anonymous_requests_get_a_sign_in_or_a_plain_refusal(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene
        .serve(&[Route::new(APP, &upstream.address()).websockets()])
        .await?;
    let url = scene.url(APP, "/page?x=1")?;
    let mut anonymous = scene.user_agent();

    let provider = anonymous.way_to(&scene.provider.issuer(), &url).await?;
    assert_is_provider(scene, &provider)?;
    let mut plain = HeaderMap::new();
    plain.insert(ACCEPT, HeaderValue::from_static("text/html"));
    let old_browser = anonymous
        .send(Method::GET, &url, plain, Bytes::new())
        .await?;
    assert_leads_to_provider(scene, &old_browser)?;

    assert_plain_refusal(&anonymous.fetch(&url).await?)?;
    let form = anonymous.post_form(&url, &[("a", "b")]).await?;
    assert_page_without_redirect(&form)?;
    let upgrade = anonymous.upgrade(&url, None).await?.refused()?;
    assert_eq!(
        upgrade.status, 401,
        "a websocket is not redirected: {upgrade:?}"
    );
    assert!(upgrade.header(LOCATION.as_str()).is_none());
    assert!(upstream.take().is_empty(), "nothing reaches the upstream");
    Ok(())
}

fn assert_leads_to_provider(scene: &Scene, response: &Response) -> Result<()> {
    ensure!(
        matches!(response.status.as_u16(), 302 | 303),
        "a navigation is redirected: {response:?}"
    );
    let location = Url::parse(
        response
            .header(LOCATION.as_str())
            .context("a redirect has a location")?,
    )?;
    let caching = response.header(CACHE_CONTROL.as_str());
    assert!(caching.is_some_and(|value| value.contains("no-store")));
    assert_is_provider(scene, &location)
}

/// Returns the address of an authorization request.
fn assert_is_provider(scene: &Scene, location: &Url) -> Result<()> {
    ensure!(
        location.as_str().starts_with(&scene.provider.issuer()),
        "`{location}` is not the provider"
    );
    let parameter = |name: &str| {
        location
            .query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    assert_eq!(parameter("response_type").as_deref(), Some("code"));
    assert_eq!(parameter("code_challenge_method").as_deref(), Some("S256"));
    for name in ["client_id", "code_challenge", "nonce", "state"] {
        ensure!(
            parameter(name).is_some_and(|value| !value.is_empty()),
            "`{name}` is missing in {location}"
        );
    }
    let callback = scene.url(APP, "/.pomerium/callback")?;
    assert_eq!(
        parameter("redirect_uri").as_deref(),
        Some(callback.as_str())
    );
    Ok(())
}

/// A form cannot be sent again after a sign-in, so that a page says so instead of a redirect.
fn assert_page_without_redirect(response: &Response) -> Result<()> {
    ensure!(response.status == 401, "401 and no redirect: {response:?}");
    assert!(response.header(LOCATION.as_str()).is_none());
    let kind = response.header("content-type").unwrap_or_default();
    ensure!(kind.starts_with("text/html"), "a page: {response:?}");
    Ok(())
}

fn assert_plain_refusal(response: &Response) -> Result<()> {
    ensure!(response.status == 401, "401 and no redirect: {response:?}");
    assert!(response.header(LOCATION.as_str()).is_none());
    assert!(
        response
            .header("content-type")
            .is_some_and(|value| value.starts_with("application/json"))
    );
    ensure!(
        response.json()?.is_object(),
        "the body is a JSON object: {}",
        response.text()
    );
    Ok(())
}

/// A user who has filled in the provider's form and whom the provider has redirected to this address.
async fn at_callback(scene: &Scene, account: &str) -> Result<(UserAgent, Url)> {
    let mut client = scene.user_agent();
    let (form, page) = client.follow(&scene.url(APP, "/")?).await?;
    let callback = client.submit_sign_in(&form, &page, account).await?;
    Ok((client, callback))
}

fn sets_a_session(response: &Response) -> bool {
    response.headers.get_all(SET_COOKIE).iter().any(|value| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        !value.contains("_attempt_") && !value.contains("Max-Age=0")
    })
}

async fn a_callback_works_once(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let (mut alice, callback) = at_callback(scene, ALICE).await?;
    let before = alice.clone();

    let first = alice.navigate(&callback).await?;
    assert!(
        first.status.is_redirection() && sets_a_session(&first),
        "the first use signs in: {first:?}"
    );
    assert_eq!(scene.provider.count("POST", "/token").await?, 1);

    let replay = alice.navigate(&callback).await?;
    assert!(
        !replay.status.is_server_error(),
        "a replay is a normal event: {replay:?}"
    );
    assert!(
        !sets_a_session(&replay),
        "a replay makes no session: {replay:?}"
    );
    assert_eq!(
        scene.provider.count("POST", "/token").await?,
        1,
        "the code is redeemed once"
    );

    // An attacker with the user's cookies fails because the code was used.
    let copied = before.clone().navigate(&callback).await?;
    assert!(
        !sets_a_session(&copied),
        "a code makes one session: {copied:?}"
    );
    assert!(
        !copied.status.is_server_error(),
        "a replay is a normal event: {copied:?}"
    );
    Ok(())
}

async fn a_callback_works_only_in_the_browser_that_began(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let (_mallory, callback) = at_callback(scene, MALLORY).await?;

    let mut stranger = scene.user_agent();
    let mut victim = scene.user_agent();
    victim.follow(&scene.url(APP, "/")?).await?;
    for client in [&mut stranger, &mut victim] {
        let answer = client.navigate(&callback).await?;
        assert!(
            !sets_a_session(&answer),
            "another user's callback signs the browser in: {answer:?}"
        );
        assert!(!answer.status.is_server_error(), "{answer:?}");
    }
    assert_eq!(
        scene.provider.count("POST", "/token").await?,
        0,
        "the code is not redeemed"
    );
    Ok(())
}

async fn two_tabs_can_sign_in_at_once(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let mut alice = scene.user_agent();
    let (first, second) = (scene.url(APP, "/first")?, scene.url(APP, "/second")?);
    let (first_form, first_page) = alice.follow(&first).await?;
    let (second_form, second_page) = alice.follow(&second).await?;
    let (end, response) = alice.sign_in_at(&first_form, &first_page, ALICE).await?;
    assert_eq!((end, response.status.as_u16()), (first, 200));
    let (end, response) = alice.sign_in_at(&second_form, &second_page, ALICE).await?;
    assert_eq!((end, response.status.as_u16()), (second, 200));
    Ok(())
}

async fn the_session_cookie_is_bound_and_guarded(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let (mut alice, callback) = at_callback(scene, ALICE).await?;
    let answer = alice.navigate(&callback).await?;
    let cookies: Vec<_> = answer
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .map(HeaderValue::to_str)
        .collect::<Result<_, _>>()?;
    assert!(
        cookies.len() >= 2,
        "the session is set and the attempt is cleared: {cookies:?}"
    );
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        let attributes: Vec<&str> = cookie.split(';').skip(1).map(str::trim).collect();
        for wanted in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(
                attributes.contains(&wanted),
                "`{wanted}` is missing in {cookie}"
            );
        }
        assert!(
            !attributes
                .iter()
                .any(|attribute| attribute.starts_with("Domain")),
            "{cookie}"
        );
    }
    Ok(())
}

async fn signing_in_works_over_http2(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/over/http2")?;
    let mut alice = scene.user_agent();
    alice.version = Version::HTTP_2;
    let (_, response) = alice.sign_in(&url, ALICE).await?;
    assert_eq!(
        response.expect(200)?.text(),
        upstream.answer("GET", "/over/http2")
    );
    Ok(())
}

/// Returns the value of a quoted attribute in HTML.
fn attribute<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    html.split(&format!("{name}=\"")).nth(1)?.split('"').next()
}

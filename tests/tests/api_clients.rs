//! API clients with a session that a user has given them, or with the provider's tokens; and forged tokens in very
//! large numbers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Method};
use jetway_tests::{
    ALICE, APP, BOB, CONNECTIONS, HostileProvider, Response, Route, Scene, Told, Upstream,
    UserAgent, eventually, on_both_proxies, part, seconds,
};
use serde_json::{Value, json};
use url::Url;

on_both_proxies!(
    n_03_api_clients_need_consent_and_end_with_the_browsers_session,
    n_03_a_refused_refresh_ends_the_api_clients_session,
    n_02_a_logout_covers_tokens_in_every_worker,
    n_10_forged_logout_tokens_keep_no_good_one_out,
    n_11_forged_tokens_are_limited_for_each_address,
);

/// The API client's address; no program listens there in these scenarios.
const API_CLIENT: &str = "http://localhost:8899/done";
/// Lifetime of access tokens: the shortest time that is not rounded up.
const LIFE: u64 = 10;

async fn n_03_api_clients_need_consent_and_end_with_the_browsers_session(
    scene: &mut Scene,
) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    // A link of another site leads to a question and gives no session.
    let question = question(scene, &mut alice).await?;
    let (address, page) = &question;
    assert!(page.text().contains("localhost:8899"), "{}", page.text());
    let form = page.form(address)?;
    for (origin, site) in [
        (Some("https://evil.localhost"), Some("cross-site")),
        (Some("null"), Some("cross-site")),
        (None, None),
    ] {
        let fields = form.borrowed();
        let answer = answer(&mut alice, &form.action, &fields, (origin, site)).await?;
        let answer = answer.expect(403)?;
        assert!(answer.header("location").is_none());
    }
    let mut bob = scene.user_agent();
    bob.sign_in(&url, BOB).await?.1.expect(200)?;
    let stolen = bob.post_form(&form.action, &form.borrowed()).await?;
    assert!(stolen.expect(400)?.header("location").is_none());
    let session = session_in(&alice.post_form(&form.action, &form.borrowed()).await?)?;
    let again = alice.post_form(&form.action, &form.borrowed()).await?;
    assert!(again.expect(400)?.header("location").is_none());
    everywhere(scene, &url, &pomerium(&session)?, 200).await?;

    let sign_out = scene.url(APP, "/.pomerium/sign_out")?;
    let page = alice.navigate(&sign_out).await?.expect(200)?;
    let form = page.form(&sign_out)?;
    let answer = alice.post_form(&form.action, &form.borrowed()).await?;
    answer.expect(303)?;
    everywhere(scene, &url, &pomerium(&session)?, 401).await?;
    let handed = hand_over(scene, &mut bob).await?;
    everywhere(scene, &url, &pomerium(&handed)?, 200).await
}

async fn n_03_a_refused_refresh_ends_the_api_clients_session(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    scene.provider.set(&json!({"access_token": LIFE})).await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    let headers = pomerium(&hand_over(scene, &mut alice).await?)?;
    // The browser is closed: the provider is asked for the API client's requests.
    let given = Instant::now();
    let life = Duration::from_secs(LIFE);
    eventually("the access token is over", life * 2, async || {
        ensure!(given.elapsed() >= life);
        Ok(())
    })
    .await?;
    everywhere(scene, &url, &headers, 200).await?;
    ensure!(scene.provider.count_grants("refresh_token").await? >= 1);
    scene.provider.end_sessions(ALICE, Told::Nothing).await?;
    eventually("the API client is refused", life * 3, async || {
        send(scene, &url, &headers).await?.expect(401).map(drop)
    })
    .await?;
    everywhere(scene, &url, &headers, 401).await?;
    alice.fetch(&url).await?.expect(401)?;
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    Ok(())
}

/// A proxy at a provider whose tokens can be made here, with an innocent user who is signed in.
struct Tokens {
    provider: HostileProvider,
    _upstream: Upstream,
    _proxy: jetway_tests::Proxy,
    innocent: UserAgent,
    url: Url,
}

impl Tokens {
    async fn start(scene: &mut Scene) -> Result<Self> {
        let provider = HostileProvider::start(BOB).await?;
        scene.registration = Some(provider.registration());
        scene.keys = "bearer_token_format: idp_identity_token\n".to_owned();
        let upstream = Upstream::start("app").await?;
        let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
        let url = scene.url(APP, "/")?;
        let mut innocent = scene.user_agent();
        innocent.follow(&url).await?.1.expect(200)?;
        Ok(Self {
            provider,
            _upstream: upstream,
            _proxy: proxy,
            innocent,
            url,
        })
    }

    /// Returns the claims of alice's token, with others added.
    fn claims(&self, more: &Value) -> Result<Value> {
        let issuer = self.provider.registration().issuer;
        let now = seconds();
        let mut claims = json!({
            "iss": issuer, "aud": "rp", "sub": ALICE, "iat": now, "exp": now + 300,
            "email": ALICE, "email_verified": true,
        });
        for (name, value) in more.as_object().context("an object")? {
            claims[name] = value.clone();
        }
        Ok(claims)
    }

    fn logout_token(&self, id: &str) -> Result<String> {
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        let claims = self.claims(&json!({"jti": id, "events": event}))?;
        Ok(self.provider.keys().honest(&claims))
    }

    async fn still_serves(&mut self) -> Result<()> {
        self.innocent.navigate(&self.url).await?.expect(200)?;
        Ok(())
    }
}

async fn n_02_a_logout_covers_tokens_in_every_worker(scene: &mut Scene) -> Result<()> {
    let mut tokens = Tokens::start(scene).await?;
    let url = tokens.url.clone();
    let claims = tokens.claims(&json!({}))?;
    let used = tokens.provider.keys().honest(&claims);
    let unused = tokens.claims(&json!({"jti": "unused"}))?;
    let unused = tokens.provider.keys().honest(&unused);
    everywhere(scene, &url, &bearer(&used)?, 200).await?;
    post_logout(scene, &tokens.logout_token("first")?)
        .await?
        .expect(200)?;
    let ended = seconds();
    everywhere(scene, &url, &bearer(&used)?, 401).await?;
    everywhere(scene, &url, &bearer(&unused)?, 401).await?;
    eventually("the next second", Duration::from_secs(5), async || {
        ensure!(seconds() > ended);
        Ok(())
    })
    .await?;
    let later = tokens.claims(&json!({}))?;
    let later = tokens.provider.keys().honest(&later);
    everywhere(scene, &url, &bearer(&later)?, 200).await?;
    everywhere(scene, &url, &bearer(&used)?, 401).await?;
    tokens.still_serves().await
}

async fn n_10_forged_logout_tokens_keep_no_good_one_out(scene: &mut Scene) -> Result<()> {
    let mut tokens = Tokens::start(scene).await?;
    let url = tokens.url.clone();
    tokens.provider.is(ALICE, json!({}));
    let mut alice = scene.user_agent();
    alice.follow(&url).await?.1.expect(200)?;
    for round in 0..20 {
        let forged: Vec<String> = (0..20)
            .map(|number| {
                let token = tokens.logout_token(&format!("forged {round} {number}"))?;
                with_other_signature(&token)
            })
            .collect::<Result<_>>()?;
        let answers = join_all(forged.iter().map(|token| post_logout(scene, token))).await;
        for answer in answers {
            answer?.expect(400)?;
        }
    }
    alice.fetch(&url).await?.expect(200)?;
    for number in 0..CONNECTIONS {
        let forged = with_other_signature(&tokens.logout_token(&format!("beside {number}"))?)?;
        let good = tokens.logout_token(&format!("good {number}"))?;
        let (forged, good) =
            futures_util::future::join(post_logout(scene, &forged), post_logout(scene, &good))
                .await;
        forged?.expect(400)?;
        good?.expect(200)?;
    }
    for _ in 0..CONNECTIONS {
        alice.fetch(&url).await?.expect(401)?;
    }
    tokens.still_serves().await
}

async fn n_11_forged_tokens_are_limited_for_each_address(scene: &mut Scene) -> Result<()> {
    let mut tokens = Tokens::start(scene).await?;
    let url = tokens.url.clone();
    let claims = tokens.claims(&json!({}))?;
    let good = bearer(&tokens.provider.keys().honest(&claims))?;
    everywhere(scene, &url, &good, 200).await?;
    let mut codes = Vec::new();
    for number in 0..40 {
        let claims = tokens.claims(&json!({"jti": number.to_string()}))?;
        let forged = with_other_signature(&tokens.provider.keys().honest(&claims))?;
        let answer = send(scene, &url, &bearer(&forged)?).await?;
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").context("a time")?.parse()?;
            ensure!((1..=60).contains(&wait), "{wait}");
        }
        codes.push(answer.status.as_u16());
    }
    // A new minute may begin in between.
    ensure!(
        codes.starts_with(&[401; 30]) && codes.contains(&429),
        "{codes:?}"
    );
    everywhere(scene, &url, &good, 200).await?;
    tokens.still_serves().await
}

/// Returns the page that asks alice about an API client, and its address.
async fn question(scene: &Scene, client: &mut UserAgent) -> Result<(Url, Response)> {
    let mut login = scene.url(APP, "/.pomerium/api/v1/login")?;
    login
        .query_pairs_mut()
        .append_pair("pomerium_redirect_uri", API_CLIENT);
    let told = scene.user_agent().fetch(&login).await?.expect(200)?;
    let address = Url::parse(&told.text())?;
    let page = client.navigate(&address).await?.expect(200)?;
    Ok((address, page))
}

/// Returns the session that an API client gets from a user's browser.
async fn hand_over(scene: &Scene, client: &mut UserAgent) -> Result<String> {
    let (address, page) = question(scene, client).await?;
    let form = page.form(&address)?;
    session_in(&client.post_form(&form.action, &form.borrowed()).await?)
}

fn session_in(answer: &Response) -> Result<String> {
    ensure!(answer.status == 303, "{answer:?}");
    let to = Url::parse(
        answer
            .header("location")
            .context("no redirect to the API client")?,
    )?;
    ensure!(to.as_str().starts_with(API_CLIENT), "{to}");
    let session = to
        .query_pairs()
        .find(|(name, _)| name == "pomerium_session");
    Ok(session
        .context("no session for the API client")?
        .1
        .into_owned())
}

/// Posts a form with these `Origin` and `Sec-Fetch-Site` headers, as a page of another site does.
async fn answer(
    client: &mut UserAgent,
    action: &Url,
    fields: &[(&str, &str)],
    (origin, site): (Option<&'static str>, Option<&'static str>),
) -> Result<Response> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let mut headers = form_headers();
    if let Some(origin) = origin {
        headers.insert("origin", HeaderValue::from_static(origin));
    }
    if let Some(site) = site {
        headers.insert("sec-fetch-site", HeaderValue::from_static(site));
    }
    client
        .send(Method::POST, action, headers, Bytes::from(body))
        .await
}

fn form_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert("content-type", form);
    headers
}

/// Sends a logout token as the provider does.
async fn post_logout(scene: &Scene, token: &str) -> Result<Response> {
    let url = scene.url(APP, "/.pomerium/backchannel_logout")?;
    let body = Bytes::from(format!("logout_token={token}"));
    scene
        .user_agent()
        .send(Method::POST, &url, form_headers(), body)
        .await
}

fn pomerium(session: &str) -> Result<HeaderMap> {
    authorization(&format!("Pomerium {session}"))
}

fn bearer(token: &str) -> Result<HeaderMap> {
    authorization(&format!("Bearer {token}"))
}

fn authorization(value: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(value)?);
    Ok(headers)
}

/// Sends an API client's request, without any cookie.
async fn send(scene: &Scene, url: &Url, headers: &HeaderMap) -> Result<Response> {
    scene
        .user_agent()
        .send(Method::GET, url, headers.clone(), Bytes::new())
        .await
}

/// Sends the request over many connections, so that every worker answers.
async fn everywhere(scene: &Scene, url: &Url, headers: &HeaderMap, status: u16) -> Result<()> {
    for _ in 0..CONNECTIONS {
        send(scene, url, headers).await?.expect(status)?;
    }
    Ok(())
}

/// Returns the token with a signature that no key has made.
fn with_other_signature(token: &str) -> Result<String> {
    let (signed, signature) = token.rsplit_once('.').context("a signed token")?;
    let other = part(&[0x5a; 256]);
    ensure!(other.len() == signature.len(), "an RSA signature");
    Ok(format!("{signed}.{other}"))
}

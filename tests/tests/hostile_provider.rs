//! Attacks on sign-in and sessions over the network: a provider and clients that lie. The rows are those of
//! `tests/files/attacks.tsv`; tests of the core cover most of them without a network.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method};
use jetway_tests::{
    ALICE, APP, Asked, BOB, Canary, Ending, HostileProvider, MALLORY, OTHER, Proxy, Response,
    Route, Scene, SignedBy, Upstream, UserAgent, ending, json_answer, on_both_proxies, part,
    redirect_to, text_answer,
};
use serde_json::{Value, json};
use url::Url;

on_both_proxies!(
    users_of_this_provider_sign_in,
    users_of_github_sign_in_by_their_verified_primary_address,
    j_01_and_others_forged_tokens_open_no_session,
    j_14_j_18_f_19_f_22_nothing_but_the_provider_is_called,
    j_50_bad_key_sets_leave_the_last_good_one,
    j_34_endless_answers_of_the_provider_end,
    n_21_answers_that_break_off_or_never_end_are_no_answers,
    n_21_tokens_of_another_type_open_no_session,
    f_06_a_callback_in_twenty_connections_counts_once,
    f_15_errors_of_the_provider_are_shown_as_text,
    r_09_no_address_leads_elsewhere,
    c_19_c_20_odd_cookies_break_nothing,
    c_26_the_application_sees_its_own_cookies,
    i_01_logs_hold_no_secrets,
    i_08_no_server_and_no_via,
    w_02_w_05_w_07_handshakes_that_open_nothing,
    w_05_incomplete_handshakes_are_refused,
);

/// A proxy at this provider, with an innocent user who is signed in all the time.
struct Attacked {
    provider: HostileProvider,
    upstream: Upstream,
    url: Url,
    innocent: UserAgent,
    proxy: Proxy,
}

impl Attacked {
    async fn start(scene: &mut Scene) -> Result<Self> {
        let provider = HostileProvider::start(BOB).await?;
        scene.registration = Some(provider.registration());
        let upstream = Upstream::start("app").await?;
        let routes = [
            Route::new(APP, &upstream.address()).websockets(),
            Route::new(OTHER, &upstream.address()),
        ];
        let proxy = scene.serve(&routes).await?;
        let url = scene.url(APP, "/wanted?x=1")?;
        let mut innocent = scene.user_agent();
        innocent.follow(&url).await?.1.expect(200)?;
        provider.is(ALICE, json!({}));
        provider.asked();
        upstream.take();
        Ok(Self {
            provider,
            upstream,
            url,
            innocent,
            proxy,
        })
    }

    /// Checks after every attack that the innocent user is still served, and that the upstream got no other request.
    async fn still_serves(&mut self, what: &str) -> Result<()> {
        let seen = self.upstream.take();
        ensure!(seen.is_empty(), "{what}: the upstream saw {seen:?}");
        let answer = self.innocent.navigate(&self.url).await?;
        answer
            .expect(200)
            .with_context(|| format!("the innocent user after: {what}"))?;
        self.upstream.take();
        Ok(())
    }

    /// A new user tries a sign-in that must fail.
    async fn fails_to_sign_in(&mut self, scene: &Scene, what: &str) -> Result<Response> {
        let mut user_agent = scene.user_agent();
        let (end, page) = user_agent.follow(&self.url).await?;
        ensure!(
            page.status.is_client_error() || page.status.as_u16() == 502,
            "{what}: status {} at `{end}`",
            page.status
        );
        let cookies = user_agent.cookie_pairs(&self.url);
        let kept: Vec<_> = cookies
            .iter()
            .filter(|(name, _)| name.starts_with("__Host-") && !name.contains("login_count"))
            .collect();
        ensure!(kept.is_empty(), "{what}: the browser keeps {kept:?}");
        ensure!(
            page.header("cache-control") == Some("no-store"),
            "{what}: the page may be stored"
        );
        self.still_serves(what).await?;
        Ok(page)
    }
}

/// Returns the provider's address to which the proxy's response redirects.
async fn to_provider(user_agent: &mut UserAgent, from: &Url, answer: Response) -> Result<Url> {
    let (mut at, mut answer) = (from.clone(), answer);
    for _ in 0..5 {
        at = answer.leads_to(&at)?.context("a way on")?;
        if at.scheme() == "http" {
            return Ok(at);
        }
        answer = user_agent.navigate(&at).await?;
    }
    anyhow::bail!("the way from `{from}` does not lead to the provider")
}

async fn users_of_this_provider_sign_in(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for (by, alg, kid) in [
        (SignedBy::Rsa, "RS256", "k1"),
        (SignedBy::Ec, "ES256", "e1"),
        (SignedBy::Ed25519, "EdDSA", "d1"),
    ] {
        attacked.provider.forge(move |keys, claims| {
            keys.token(
                by,
                &json!({"alg": alg, "kid": kid}).to_string(),
                &claims.to_string(),
            )
        });
        let mut alice = scene.user_agent();
        let (end, page) = alice.follow(&attacked.url).await?;
        assert_eq!(end, attacked.url, "{alg}");
        page.expect(200)?;
        attacked.upstream.take();
    }
    attacked.provider.is(MALLORY, json!({}));
    let mut mallory = scene.user_agent();
    mallory.follow(&attacked.url).await?.1.expect(403)?;
    attacked.still_serves("mallory").await
}

async fn users_of_github_sign_in_by_their_verified_primary_address(
    scene: &mut Scene,
) -> Result<()> {
    let github = HostileProvider::start(ALICE).await?;
    scene.registration = Some(github.as_github());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/wanted?x=1")?;
    let mut alice = scene.user_agent();
    let (end, page) = alice.follow(&url).await?;
    page.expect(200)?;
    assert_eq!(end, url);
    let asked: Vec<String> = github.asked().into_iter().map(|asked| asked.path).collect();
    for path in [
        "/login/oauth/authorize",
        "/login/oauth/access_token",
        "/api/v3/user",
        "/api/v3/user/emails",
    ] {
        assert!(asked.iter().any(|known| known == path), "{path}: {asked:?}");
    }
    upstream.take();

    let others = [
        json!([{"email": ALICE, "verified": false, "primary": true}]),
        json!([{"email": ALICE, "verified": true, "primary": false}, {"email": MALLORY, "verified": true, "primary": true}]),
        json!([]),
        json!({"email": ALICE, "verified": true, "primary": true}),
    ];
    for emails in others {
        let answer = emails.clone();
        github.order("/api/v3/user/emails", move |_| {
            Some(json_answer(200, &answer))
        });
        let page = scene.user_agent().follow(&url).await?.1;
        ensure!(
            page.status.is_client_error() || page.status.as_u16() == 502,
            "{emails}: {}",
            page.status
        );
        ensure!(upstream.take().is_empty(), "{emails}");
    }
    github.be_honest();
    // GitHub reports an invalid code with status 200.
    github.order("/login/oauth/access_token", |_| {
        Some(json_answer(200, &json!({"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."})))
    });
    let page = scene.user_agent().follow(&url).await?.1;
    ensure!(page.status.is_client_error(), "{}", page.status);
    github.be_honest();
    scene.user_agent().follow(&url).await?.1.expect(200)?;
    alice.navigate(&url).await?.expect(200)?;
    Ok(())
}

/// One token of each kind of forgery: every other one is tried on the core (`gate::tests::attacks`).
async fn j_01_and_others_forged_tokens_open_no_session(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("J-23 aud", |claims| claims["aud"] = json!("other")),
        ("J-26 nonce", |claims| claims["nonce"] = json!("other")),
        ("J-27 exp", |claims| claims["exp"] = json!(1)),
        ("J-27 exp", |claims| claims["exp"] = json!(1e300)),
        ("J-30 iat", |claims| claims["iat"] = json!("x")),
        ("iss", |claims| {
            claims["iss"] = json!("https://evil.example.com")
        }),
        ("sub", |claims| claims["sub"] = Value::Null),
    ];
    for (what, change) in changes {
        attacked.provider.forge(move |keys, mut claims| {
            change(&mut claims);
            keys.honest(&claims)
        });
        attacked.fails_to_sign_in(scene, what).await?;
    }
    let headers = [
        ("J-01 none", json!({"alg": "none"})),
        ("J-03 no alg", json!({"kid": "k1"})),
        (
            "J-15 kid",
            json!({"alg": "RS256", "kid": "k1\u{0}\r\n\u{1b}[31m"}),
        ),
        (
            "J-20 crit",
            json!({"alg": "RS256", "kid": "k1", "crit": ["exp"]}),
        ),
        (
            "J-21 typ",
            json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}),
        ),
    ];
    for (what, header) in headers {
        attacked.provider.forge(move |keys, claims| {
            keys.token(SignedBy::Rsa, &header.to_string(), &claims.to_string())
        });
        attacked.fails_to_sign_in(scene, what).await?;
    }
    attacked.provider.forge(|_, claims| {
        let header = json!({"alg": "ES256", "kid": "e1"}).to_string();
        format!(
            "{}.{}.{}",
            part(header.as_bytes()),
            part(claims.to_string().as_bytes()),
            part(&[0; 64])
        )
    });
    attacked.fails_to_sign_in(scene, "J-37 zeros").await?;
    attacked.provider.forge(|keys, claims| {
        let twice = claims
            .to_string()
            .replacen('{', &format!("{{\"email\":\"{MALLORY}\","), 1);
        keys.token(SignedBy::Rsa, r#"{"alg":"RS256","kid":"k1"}"#, &twice)
    });
    attacked.fails_to_sign_in(scene, "J-32 twins").await?;
    attacked
        .provider
        .forge(|_, _| "\u{fffd}\u{0}".repeat(20_000));
    attacked.fails_to_sign_in(scene, "J-36 rubbish").await?;
    attacked.provider.be_honest();
    let mut alice = scene.user_agent();
    alice.follow(&attacked.url).await?.1.expect(200)?;
    Ok(())
}

async fn j_14_j_18_f_19_f_22_nothing_but_the_provider_is_called(scene: &mut Scene) -> Result<()> {
    let canary = Canary::start().await?;
    let mut attacked = Attacked::start(scene).await?;
    for name in ["kid", "jku", "x5u"] {
        let mut header = json!({"alg": "RS256", "kid": "other"});
        header[name] = json!(format!("{}/keys", canary.address()));
        attacked.provider.forge(move |keys, claims| {
            keys.token(SignedBy::Rsa, &header.to_string(), &claims.to_string())
        });
        attacked.fails_to_sign_in(scene, name).await?;
    }
    attacked.provider.be_honest();
    let address = canary.address();
    attacked.provider.is(ALICE, json!({"_claim_names": {"groups": "a"}, "_claim_sources": {"a": {"endpoint": format!("{address}/claims")}}}));
    scene
        .user_agent()
        .follow(&attacked.url)
        .await?
        .1
        .expect(200)?;
    attacked.upstream.take();
    attacked.provider.be_honest();
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}/token", canary.address());
        attacked.provider.order("/token", move |_| {
            let mut answer = redirect_to(&to);
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
            Some(answer)
        });
        attacked
            .fails_to_sign_in(scene, "a redirect of the token endpoint")
            .await?;
    }
    attacked.provider.be_honest();
    canary.ensure_untouched()?;

    // A provider whose document names addresses elsewhere is not used at all, and no user can sign in.
    let other = HostileProvider::start(ALICE).await?;
    let to = canary.address();
    let issuer = other.registration().issuer;
    other.order("/.well-known/openid-configuration", move |_| {
        Some(json_answer(
            200,
            &json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{to}/token"), "jwks_uri": format!("{to}/jwks"),
            }),
        ))
    });
    drop(attacked);
    scene.registration = Some(other.registration());
    let upstream = Upstream::start("app").await?;
    let _proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    scene
        .user_agent()
        .navigate(&scene.url(APP, "/")?)
        .await?
        .expect(503)?;
    assert!(upstream.take().is_empty());
    canary.ensure_untouched()
}

async fn j_50_bad_key_sets_leave_the_last_good_one(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    // A token with an unknown key makes the proxy fetch the keys again, which are invalid now.
    attacked
        .provider
        .order("/jwks", |_| Some(text_answer(200, "<html>")));
    attacked.provider.forge(|keys, claims| {
        keys.token(
            SignedBy::Rsa,
            r#"{"alg":"RS256","kid":"new"}"#,
            &claims.to_string(),
        )
    });
    attacked.fails_to_sign_in(scene, "an unknown key").await?;
    attacked.provider.be_honest();
    attacked.provider.order("/jwks", |_| None);
    scene
        .user_agent()
        .follow(&attacked.url)
        .await?
        .1
        .expect(200)?;
    Ok(())
}

/// In Envoy, a call that ends after the head of its response has no headers to read: the module must not read them.
async fn n_21_answers_that_break_off_or_never_end_are_no_answers(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for end in [Ending::BreaksOff, Ending::Never] {
        attacked.provider.order("/token", move |_| {
            Some(ending(text_answer(200, r#"{"id_token":"#), end))
        });
        let page = attacked
            .fails_to_sign_in(scene, &format!("{end:?}"))
            .await?;
        assert_eq!(page.status, 502, "{end:?}: {page:?}");
    }
    Ok(())
}

async fn n_21_tokens_of_another_type_open_no_session(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for kind in [json!("mac"), json!("DPoP"), json!(["Bearer"])] {
        let what = format!("token_type {kind}");
        attacked.provider.order_tokens(json!({"token_type": kind}));
        let page = attacked.fails_to_sign_in(scene, &what).await?;
        assert_eq!(page.status, 502, "{what}: {page:?}");
    }
    attacked
        .provider
        .order_tokens(json!({"token_type": "bearer"}));
    let mut alice = scene.user_agent();
    alice.follow(&attacked.url).await?.1.expect(200)?;
    Ok(())
}

async fn j_34_endless_answers_of_the_provider_end(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    attacked
        .provider
        .order("/token", |_| Some(text_answer(200, &"x".repeat(20 << 20))));
    attacked
        .fails_to_sign_in(scene, "20 MiB of a token answer")
        .await?;
    attacked.provider.order("/token", |_| None);
    attacked
        .fails_to_sign_in(scene, "a connection that breaks")
        .await?;
    attacked.provider.order("/token", |asked: &Asked| {
        Some(json_answer(
            200,
            &json!({"id_token": asked.nonce, "access_token": 1}),
        ))
    });
    attacked.fails_to_sign_in(scene, "a nonce as token").await?;
    attacked.provider.be_honest();
    attacked.provider.forge(|keys, mut claims| {
        claims["x"] = json!("x".repeat(2 << 20));
        keys.honest(&claims)
    });
    attacked
        .fails_to_sign_in(scene, "2 MiB of an ID token")
        .await
        .map(drop)
}

async fn f_06_a_callback_in_twenty_connections_counts_once(scene: &mut Scene) -> Result<()> {
    let attacked = Attacked::start(scene).await?;
    let mut alice = scene.user_agent();
    let begun = alice.navigate(&attacked.url).await?;
    let authorize = to_provider(&mut alice, &attacked.url, begun).await?;
    let back = alice.navigate(&authorize).await?;
    let callback = Url::parse(back.header("location").context("a redirect back")?)?;
    let mut browsers: Vec<UserAgent> = std::iter::repeat_with(|| alice.clone()).take(20).collect();
    let answers = browsers
        .iter_mut()
        .map(|browser| browser.navigate(&callback));
    let answers = futures_util::future::join_all(answers).await;
    let mut signed_in = 0;
    for answer in answers {
        let answer = answer?;
        let sets = answer
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let session = sets.filter(|line| {
            !line.contains("Max-Age=0")
                && !line.contains("_attempt_")
                && !line.contains("_login_count")
        });
        signed_in += session.count().min(1);
        ensure!(answer.status.as_u16() < 500, "status {}", answer.status);
    }
    assert_eq!(signed_in, 1);
    let redeemed = attacked
        .provider
        .asked()
        .into_iter()
        .filter(|asked| asked.path == "/token")
        .count();
    assert_eq!(redeemed, 1, "the code is redeemed once over all workers");
    Ok(())
}

async fn f_15_errors_of_the_provider_are_shown_as_text(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for query in [
        "error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "error=a%0d%0aSet-Cookie:%20evil=1&error_uri=javascript:alert(1)",
        "error=%ff%fe%00&error_description=%c3%28",
        "code=a&code=b&state=x",
        "code=%00&state=%00",
    ] {
        let url = scene.url(APP, &format!("/.pomerium/callback?{query}"))?;
        let page = scene.user_agent().navigate(&url).await?;
        ensure!(page.status.is_client_error(), "{query}: {}", page.status);
        let text = page.text();
        for forbidden in ["<script", "<img", "javascript:", "\u{0}"] {
            ensure!(!text.contains(forbidden), "{query}: {text}");
        }
        ensure!(
            page.headers
                .get_all(SET_COOKIE)
                .iter()
                .all(|line| !line.as_bytes().starts_with(b"evil")),
            "{query}"
        );
        attacked.still_serves(query).await?;
    }
    Ok(())
}

async fn r_09_no_address_leads_elsewhere(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for target in [
        "//evil.example.com",
        "///evil.example.com",
        "/\\evil.example.com",
        "/%5cevil.example.com",
        "/.//evil.example.com",
        "/%09/evil.example.com",
        "//app.localhost@evil.example.com",
        "/x/..//evil.example.com/%2e%2e",
        "/?https://evil.example.com",
        "/x%0d%0aLocation:%20https://evil.example.com",
        "/.pomerium/sign_in?rd=https://evil.example.com&pomerium_redirect_uri=https://evil.example.com",
    ] {
        let bytes = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\nConnection: close\r\n\r\n",
            scene.authority(APP)
        );
        let Some(begun) = scene.dialer.raw(&attacked.url, bytes.as_bytes()).await? else {
            attacked.still_serves(target).await?;
            continue;
        };
        if begun.leads_to(&attacked.url)?.is_none() {
            ensure!(begun.status.is_client_error(), "{target}: {}", begun.status);
            attacked.still_serves(target).await?;
            continue;
        }
        let mut user_agent = scene.user_agent();
        user_agent.keep_cookies(&attacked.url, &begun);
        let authorize = to_provider(&mut user_agent, &attacked.url, begun).await?;
        ensure!(
            authorize
                .as_str()
                .starts_with(&attacked.provider.registration().issuer),
            "{target}: `{authorize}`"
        );
        let back = user_agent.navigate(&authorize).await?;
        let callback = Url::parse(back.header("location").context("a location back")?)?;
        let end = user_agent.navigate(&callback).await?;
        let location = end
            .header("location")
            .context("the sign-in ends with a redirect")?;
        let joined = callback.join(location)?;
        ensure!(
            joined.origin() == attacked.url.origin() && !location.starts_with("//"),
            "{target}: `{location}`"
        );
        attacked.still_serves(target).await?;
    }
    Ok(())
}

async fn c_19_c_20_odd_cookies_break_nothing(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    let own = attacked
        .innocent
        .cookies(&attacked.url)
        .context("the innocent user has cookies")?;
    let name = own.split('=').next().unwrap_or_default();
    let odd: Vec<Vec<u8>> = vec![
        b"a=\xff".to_vec(),
        b"\x80=a".to_vec(),
        "a=\u{e9}".as_bytes().to_vec(),
        format!("{name}=\u{e9}").into_bytes(),
        format!("{name}_attempt_\u{e9}=x").into_bytes(),
        format!("{name}_1=x; {name}_1=y").into_bytes(),
        format!("{name}=2.x; {name}_1=99999999999.y").into_bytes(),
        b"=;;;".to_vec(),
        b"$Version=1; a=\"x;y\"".to_vec(),
        "c=x; ".repeat(300).into_bytes(),
    ];
    for cookie in odd {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(&cookie)?);
        let answer = scene
            .user_agent()
            .send(Method::GET, &attacked.url, headers.clone(), Bytes::new())
            .await?;
        ensure!(
            matches!(answer.status.as_u16(), 400 | 401 | 431),
            "{cookie:?}: {}",
            answer.status
        );
        attacked.still_serves("an odd cookie").await?;
        // Beside a session, as a second header.
        if !cookie.starts_with(name.as_bytes()) {
            let answer = attacked
                .innocent
                .send(Method::GET, &attacked.url, headers, Bytes::new())
                .await?;
            ensure!(
                matches!(answer.status.as_u16(), 200 | 400),
                "{cookie:?}: {}",
                answer.status
            );
            attacked.upstream.take();
        }
    }
    Ok(())
}

async fn c_26_the_application_sees_its_own_cookies(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        attacked.innocent.version = version;
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("b=2; a=1"));
        headers.append(COOKIE, HeaderValue::from_static("c=\"3\""));
        attacked
            .innocent
            .send(Method::GET, &attacked.url, headers, Bytes::new())
            .await?
            .expect(200)?;
        let seen = attacked.upstream.take_one()?;
        let cookies: Vec<String> = seen
            .values("cookie")
            .into_iter()
            .flat_map(|line| {
                String::from_utf8_lossy(line)
                    .split(';')
                    .map(|pair| pair.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(cookies, ["b=2", "a=1", "c=\"3\""], "{version:?}");
    }
    attacked.innocent.version = http::Version::HTTP_11;
    attacked.still_serves("cookies of the application").await
}

async fn i_01_logs_hold_no_secrets(scene: &mut Scene) -> Result<()> {
    let mut secrets = BTreeSet::from([
        scene.secrets.client.clone(),
        scene.secrets.cookie.clone(),
        "the-access-token".to_owned(),
    ]);
    let attacked = Attacked::start(scene).await?;
    let mut alice = scene.user_agent();
    let begun = alice.navigate(&attacked.url).await?;
    let authorize = to_provider(&mut alice, &attacked.url, begun).await?;
    secrets.extend(
        authorize
            .query_pairs()
            .filter(|(name, _)| matches!(&**name, "state" | "nonce"))
            .map(|(_, value)| value.into_owned()),
    );
    secrets.extend(
        alice
            .cookie_pairs(&attacked.url)
            .into_iter()
            .map(|(_, value)| value),
    );
    let back = alice.navigate(&authorize).await?;
    let callback = Url::parse(back.header("location").context("a redirect back")?)?;
    secrets.extend(
        callback
            .query_pairs()
            .filter(|(name, _)| name == "state")
            .map(|(_, value)| value.into_owned()),
    );
    alice.follow(&callback).await?.1.expect(200)?;
    secrets.extend(
        alice
            .cookie_pairs(&attacked.url)
            .into_iter()
            .map(|(_, value)| value)
            .filter(|value| value.len() > 16),
    );
    for asked in attacked.provider.asked() {
        secrets.extend(
            asked
                .parameters
                .into_iter()
                .filter(|(name, _)| name == "code_verifier")
                .map(|(_, value)| value),
        );
    }
    assert!(secrets.len() >= 8, "{} secrets were seen", secrets.len());
    drop(attacked);
    for entry in std::fs::read_dir(scene.logs())? {
        let path = entry?.path();
        let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        for secret in &secrets {
            ensure!(
                !log.contains(secret.as_str()),
                "`{}` holds the secret `{secret}`",
                path.display()
            );
        }
    }
    Ok(())
}

async fn i_08_no_server_and_no_via(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for path in ["/wanted", "/.pomerium/", "/.pomerium/nothing", "/%00"] {
        let url = scene.url(APP, path)?;
        let signed_in = attacked.innocent.navigate(&url).await?;
        for answer in [scene.user_agent().navigate(&url).await?, signed_in] {
            for name in [
                "server",
                "via",
                "x-powered-by",
                "x-envoy-upstream-service-time",
            ] {
                let value = answer.header(name).unwrap_or_default();
                let tells = value.contains(|character: char| character.is_ascii_digit());
                ensure!(
                    !tells,
                    "{path}: `{name}: {value}` tells a version or a time"
                );
            }
        }
    }
    let _ = &attacked.proxy;
    Ok(())
}

async fn w_02_w_05_w_07_handshakes_that_open_nothing(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    let own = attacked
        .innocent
        .cookies(&attacked.url)
        .context("the innocent user has cookies")?;
    let (host, origin) = (
        scene.authority(APP),
        attacked.url.origin().ascii_serialization(),
    );
    let handshake = |line: &str, more: &str| {
        format!("{line}\r\nHost: {host}\r\nCookie: {own}\r\n{more}\r\n\r\n")
    };
    let complete = |more: &str| format!("{UPGRADE}\r\n{KEY}\r\n{VERSION}\r\n{more}");
    let two_origins = format!("Origin: {origin}\r\nOrigin: https://evil.example.com");
    let in_subprotocol =
        format!("Origin: {origin}\r\nSec-WebSocket-Protocol: bearer, eyJhbGciOiJub25lIn0.e30.");
    for (what, bytes) in [
        (
            "a sibling's origin",
            handshake(GET, &complete(&format!("Origin: https://{host}.evil"))),
        ),
        (
            "plain http",
            handshake(GET, &complete(&format!("Origin: http://{host}"))),
        ),
        ("two origins", handshake(GET, &complete(&two_origins))),
        (
            "HTTP/1.0",
            handshake(
                "GET /socket HTTP/1.0",
                &complete(&format!("Origin: {origin}")),
            ),
        ),
        (
            "another protocol",
            handshake(
                GET,
                &format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{KEY}\r\n{VERSION}"),
            ),
        ),
        (
            "two upgrades",
            handshake(
                GET,
                &format!("{UPGRADE}\r\nUpgrade: h2c\r\n{KEY}\r\n{VERSION}"),
            ),
        ),
        (
            "a token as subprotocol",
            format!(
                "{GET}\r\nHost: {host}\r\n{}\r\n\r\n",
                complete(&in_subprotocol)
            ),
        ),
    ] {
        let answer = scene.dialer.raw(&attacked.url, bytes.as_bytes()).await?;
        let opened = answer
            .as_ref()
            .is_some_and(|answer| answer.status.as_u16() == 101);
        ensure!(!opened, "{what}: the websocket was opened");
        // A request that is no upgrade may be an ordinary one, which this user may make.
        attacked.upstream.take();
        attacked.still_serves(what).await?;
    }
    let form = handshake(
        "POST /socket HTTP/1.1",
        &complete(&format!("Origin: {origin}\r\nContent-Length: 0")),
    );
    let answer = scene.dialer.raw(&attacked.url, form.as_bytes()).await?;
    ensure!(
        answer.is_none_or(|answer| answer.status.as_u16() != 101),
        "POST opened a websocket"
    );
    attacked.upstream.take();
    attacked.still_serves("POST").await
}

/// The lines of a complete handshake for a websocket.
const GET: &str = "GET /socket HTTP/1.1";
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";

async fn w_05_incomplete_handshakes_are_refused(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    let own = attacked
        .innocent
        .cookies(&attacked.url)
        .context("the innocent user has cookies")?;
    let (host, origin) = (
        scene.authority(APP),
        attacked.url.origin().ascii_serialization(),
    );
    for (what, more, status) in [
        (
            "version 8",
            format!("{KEY}\r\nSec-WebSocket-Version: 8"),
            426,
        ),
        ("no version", KEY.to_owned(), 426),
        (
            "two versions",
            format!("{KEY}\r\n{VERSION}\r\n{VERSION}"),
            426,
        ),
        (
            "a short key",
            format!("Sec-WebSocket-Key: c2hvcnQ=\r\n{VERSION}"),
            400,
        ),
    ] {
        let bytes = format!(
            "{GET}\r\nHost: {host}\r\nCookie: {own}\r\n{UPGRADE}\r\n{more}\r\nOrigin: {origin}\r\n\r\n"
        );
        let answer = scene.dialer.raw(&attacked.url, bytes.as_bytes()).await?;
        let found = answer.context("an answer")?.status.as_u16();
        ensure!(found == status, "{what}: {found} instead of {status}");
        ensure!(attacked.upstream.take().is_empty(), "{what}: forwarded");
        attacked.still_serves(what).await?;
    }
    Ok(())
}

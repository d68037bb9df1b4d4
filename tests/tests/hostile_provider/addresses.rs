//! Callbacks that are repeated, and addresses that lead elsewhere.

use anyhow::{Context as _, Result, ensure};
use http::header::SET_COOKIE;
use jetway_tests::{APP, Scene, UserAgent};
use url::Url;

use crate::attacked::{Attacked, to_provider};

pub(crate) async fn f_06_a_callback_in_twenty_connections_counts_once(
    scene: &mut Scene,
) -> Result<()> {
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

pub(crate) async fn r_09_no_address_leads_elsewhere(scene: &mut Scene) -> Result<()> {
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

//! A proxy under attack, beside which an innocent user stays signed in.

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    ALICE, APP, BOB, HostileProvider, OTHER, Proxy, Response, Route, Scene, Upstream, UserAgent,
};
use serde_json::json;
use url::Url;

/// A proxy at this provider, with an innocent user who is signed in all the time.
pub(crate) struct Attacked {
    pub(crate) provider: HostileProvider,
    pub(crate) upstream: Upstream,
    pub(crate) url: Url,
    pub(crate) innocent: UserAgent,
    pub(crate) proxy: Proxy,
}

impl Attacked {
    pub(crate) async fn start(scene: &mut Scene) -> Result<Self> {
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
    pub(crate) async fn still_serves(&mut self, what: &str) -> Result<()> {
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
    pub(crate) async fn fails_to_sign_in(&mut self, scene: &Scene, what: &str) -> Result<Response> {
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
pub(crate) async fn to_provider(
    user_agent: &mut UserAgent,
    from: &Url,
    answer: Response,
) -> Result<Url> {
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

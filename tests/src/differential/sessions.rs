//! Sessions of users and API clients, and values that are none.

use anyhow::{Context as _, Result, ensure};
use url::Url;

use super::deployment::SESSIONS;
use crate::{ALICE, APP, Proxy, Scene, UserAgent};

/// An API client's address, at which no program listens.
const PROGRAM: &str = "http://localhost:1/done";

/// The cookies and tokens of sessions that requests can bring.
pub(crate) struct Sessions {
    /// Values of `Cookie` by host: sessions that hold, and some that do not.
    pub(crate) cookies: Vec<(&'static str, String)>,
    /// Names and values of fields that bring the session of an API client, or what is none.
    pub(crate) tokens: Vec<(&'static str, String)>,
}

impl Sessions {
    /// Signs users in at both proxies, so that both know the provider's metadata.
    pub(super) async fn begin(scene: &Scene, envoy: &Proxy) -> Result<Self> {
        let mut cookies = Vec::new();
        let mut tokens = Vec::new();
        for (number, (host, account)) in SESSIONS.iter().enumerate() {
            let url = scene.url(host, "/")?;
            let mut browser = scene.user_agent();
            if number % 2 == 1 {
                browser.detour(envoy.listen);
            }
            browser.sign_in(&url, account).await?;
            let cookie = browser.cookies(&url).context("a session is a cookie")?;
            if (*host, *account) == (APP, ALICE) {
                let session = hand_over(scene, &mut browser).await?;
                tokens = tokens_of(&session);
            }
            let mut damaged = cookie.clone();
            damaged.pop();
            let twice = format!("{cookie}; {cookie}");
            let beside = format!("theme=dark; {cookie}; a=b");
            cookies.extend([cookie, damaged, twice, beside].map(|cookie| (*host, cookie)));
        }
        Ok(Self { cookies, tokens })
    }
}

fn tokens_of(session: &str) -> Vec<(&'static str, String)> {
    let mut damaged = session.to_owned();
    damaged.pop();
    vec![
        ("Authorization", format!("Pomerium {session}")),
        ("Authorization", format!("Bearer Pomerium-{session}")),
        ("Authorization", format!("bearer {session}")),
        ("Authorization", format!("Pomerium {damaged}")),
        ("X-Pomerium-Authorization", session.to_owned()),
        ("X-Pomerium-Authorization", damaged),
    ]
}

/// Returns the session that an API client gets from a user's browser.
async fn hand_over(scene: &Scene, browser: &mut UserAgent) -> Result<String> {
    let mut login = scene.url(APP, "/.pomerium/api/v1/login")?;
    login
        .query_pairs_mut()
        .append_pair("pomerium_redirect_uri", PROGRAM);
    let told = scene.user_agent().fetch(&login).await?.expect(200)?;
    let address = Url::parse(&told.text())?;
    let page = browser.navigate(&address).await?.expect(200)?;
    let form = page.form(&address)?;
    let answer = browser.post_form(&form.action, &form.borrowed()).await?;
    let to = Url::parse(answer.header("location").context("a way to the program")?)?;
    ensure!(to.as_str().starts_with(PROGRAM), "{to}");
    let mut pairs = to.query_pairs();
    let session = pairs.find(|(name, _)| name == "pomerium_session");
    Ok(session.context("the program's session")?.1.into_owned())
}

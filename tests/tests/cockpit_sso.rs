//! Single sign-on into a real Cockpit: provider, proxy, `jetway-cockpit-session`, and the pages in real browsers.

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    ALICE, BOB, Browser, BrowserRun, COCKPIT, Cockpit, CockpitSession, DUMMY, MALLORY, Person,
    Port, Proxy, ProxyKind, Response, Route, Scene, Task, UnixUser, UserAgent, on_both_proxies,
};
use url::Url;

on_both_proxies!(
    users_become_their_unix_users,
    a_live_cookie_serves_only_its_own_user,
    users_without_a_unix_user_get_a_page_that_says_so,
    an_administrator_signs_on_once_in_chromium,
    a_user_with_limited_access_signs_on_once_in_firefox,
    logging_in_again_asks_first_in_chromium,
    logging_in_again_asks_first_in_firefox,
    a_signed_out_cockpit_says_so_in_chromium,
    an_expired_cockpit_says_so_in_firefox,
);

/// Cockpit behind the proxy, where alice and bob have Unix users and mallory has none; alice is an administrator.
struct Desk {
    base: Url,
    alice: UnixUser,
    bob: UnixUser,
    session: CockpitSession,
    _running: (Cockpit, Proxy),
}

impl Desk {
    async fn open(scene: &Scene) -> Result<Self> {
        let (alice, bob) = (UnixUser::create()?, UnixUser::create()?);
        for user in [&alice, &bob] {
            user.let_cockpit_be_root()?;
            // No user needs a password.
            user.change(&["--lock"])?;
        }
        let program = scene.installed.cockpit_session()?;
        let session = CockpitSession::start(&program, "", "", scene.logs())?;
        let port = Port::reserve()?;
        let to = format!("http://127.0.0.1:{}", port.number());
        let cockpit = Cockpit::start(port, &conf(&session), scene.logs(), &scene.dialer).await?;
        let proxy = scene
            .serve(&[Route::to_cockpit(&to, &alice.name, &bob.name)])
            .await?;
        let base = scene.url(COCKPIT, "/")?;
        let keys = base.join("/.well-known/pomerium/jwks.json")?;
        let keys = scene.user_agent().fetch(&keys).await?.expect(200)?;
        session.trust(&keys.text())?;
        Ok(Self {
            base,
            alice,
            bob,
            session,
            _running: (cockpit, proxy),
        })
    }

    async fn enter(&self, client: &mut UserAgent, account: &str) -> Result<Response> {
        client
            .sign_on_to_cockpit(&self.base, account)
            .await
            .with_context(|| self.session.log())
    }

    async fn who(&self, client: &mut UserAgent) -> Result<String> {
        client.user_in_cockpit(&self.base).await
    }
}

/// Returns the output of `jetway cockpit setup`, with the socket of this test.
fn conf(session: &CockpitSession) -> String {
    format!(
        "[WebService]\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Forwarded-For\nLoginTo = false\n\
         [OAuth]\nURL = /.pomerium/cockpit/token\n{}",
        session.cockpit_conf()
    )
}

async fn users_become_their_unix_users(scene: &mut Scene) -> Result<()> {
    let desk = Desk::open(scene).await?;
    let mut anonymous = scene.user_agent();
    let refused = anonymous
        .try_to_log_in_to_cockpit(&desk.base, DUMMY)
        .await?;
    refused.expect(401)?;

    let mut alice = scene.user_agent();
    let login = desk.enter(&mut alice, ALICE).await?;
    let cookie = login
        .header("set-cookie")
        .context("Cockpit sets a cookie")?;
    ensure!(
        cookie.starts_with("cockpit=")
            && cookie.contains("; Secure")
            && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    assert_eq!(desk.who(&mut alice).await?, desk.alice.name);
    let mut bob = scene.user_agent();
    desk.enter(&mut bob, BOB).await?;
    assert_eq!(desk.who(&mut bob).await?, desk.bob.name);

    let log = desk.session.log();
    ensure!(
        log.contains(ALICE) && !log.contains("eyJ"),
        "the journal says who, and no assertion: {log}"
    );
    // A sign-out at the proxy also ends the Cockpit session.
    let sign_out = desk.base.join("/.pomerium/sign_out")?;
    alice.post_form(&sign_out, &[]).await?;
    ensure!(desk.who(&mut alice).await.is_err(), "signed out");
    assert_eq!(desk.who(&mut bob).await?, desk.bob.name);
    Ok(())
}

async fn a_live_cookie_serves_only_its_own_user(scene: &mut Scene) -> Result<()> {
    let desk = Desk::open(scene).await?;
    let mut alice = scene.user_agent();
    let alices = desk.enter(&mut alice, ALICE).await?;
    // Alice's session is not affected.
    assert_eq!(desk.who(&mut alice).await?, desk.alice.name);

    let mut bob = scene.user_agent();
    bob.sign_in(&desk.base, BOB).await?;
    bob.keep_cookies(&desk.base, &alices);
    ensure!(
        desk.who(&mut bob).await.is_err(),
        "alice's cookie is no session for bob"
    );
    let login = bob.try_to_log_in_to_cockpit(&desk.base, DUMMY).await?;
    login.expect(200)?;
    assert_eq!(desk.who(&mut bob).await?, desk.bob.name);
    bob.keep_cookies(&desk.base, &alices);
    ensure!(desk.who(&mut bob).await.is_err(), "nor afterwards");
    assert_eq!(desk.who(&mut alice).await?, desk.alice.name);
    Ok(())
}

async fn users_without_a_unix_user_get_a_page_that_says_so(scene: &mut Scene) -> Result<()> {
    let desk = Desk::open(scene).await?;
    let report = Browser::Chromium
        .perform(
            scene,
            BrowserRun {
                url: &desk.base,
                account: Some(MALLORY),
                task: Task::Refusal,
                name: "unmapped",
            },
        )
        .await?;
    let text = report["text"].as_str().context("the page's text")?;
    ensure!(
        text.contains(MALLORY) && text.contains("no Unix user"),
        "{text}"
    );
    assert_eq!(report["status"], 403);

    let mut mallory = scene.user_agent();
    mallory.sign_in(&desk.base, MALLORY).await?.1.expect(403)?;
    let login = mallory.try_to_log_in_to_cockpit(&desk.base, DUMMY).await?;
    ensure!(
        login.expect(403)?.text().contains("no-unix-user"),
        "as JSON"
    );
    let mut alice = scene.user_agent();
    desk.enter(&mut alice, ALICE).await?;
    for path in ["/=10.0.0.1/", "/cockpit+=10.0.0.1/login"] {
        let page = alice.navigate(&desk.base.join(path)?).await?.expect(403)?;
        ensure!(page.text().contains("other hosts is not allowed"), "{path}");
    }
    Ok(())
}

async fn an_administrator_signs_on_once_in_chromium(scene: &mut Scene) -> Result<()> {
    signs_on_once(scene, Browser::Chromium, ALICE, "Administrative access").await
}

async fn a_user_with_limited_access_signs_on_once_in_firefox(scene: &mut Scene) -> Result<()> {
    signs_on_once(scene, Browser::Firefox, BOB, "Limited access").await
}

async fn logging_in_again_asks_first_in_chromium(scene: &mut Scene) -> Result<()> {
    logs_in_again(scene, Browser::Chromium).await
}

async fn logging_in_again_asks_first_in_firefox(scene: &mut Scene) -> Result<()> {
    logs_in_again(scene, Browser::Firefox).await
}

async fn logs_in_again(scene: &Scene, browser: Browser) -> Result<()> {
    let desk = Desk::open(scene).await?;
    let name = format!("log-in-again-{}", scene.kind.name());
    Person {
        account: ALICE,
        user: &desk.alice.name,
        access: "Administrative access",
    }
    .logs_in_again(scene, &desk.base, browser, &name)
    .await
    .with_context(|| desk.session.log())
}

async fn a_signed_out_cockpit_says_so_in_chromium(scene: &mut Scene) -> Result<()> {
    let sign_out = Task::Disconnection { sign_out: true };
    is_told(
        scene,
        (Browser::Chromium, sign_out),
        "Your session has been terminated.",
    )
    .await
}

async fn an_expired_cockpit_says_so_in_firefox(scene: &mut Scene) -> Result<()> {
    // The shortest session that is possible.
    scene.keys = "cookie_expire: 1m".to_owned();
    let wait = Task::Disconnection { sign_out: false };
    is_told(
        scene,
        (Browser::Firefox, wait),
        "Your session has expired. Please log in again.",
    )
    .await
}

/// Checks what Cockpit's page says when its WebSocket is cut. In Envoy the module cannot write into the WebSocket, so that
/// the page only sees the end of the connection.
async fn is_told(scene: &Scene, run: (Browser, Task<'_>), words: &str) -> Result<()> {
    let desk = Desk::open(scene).await?;
    let words = match scene.kind {
        ProxyKind::Host => words,
        ProxyKind::Envoy => "Server has closed the connection.",
    };
    let (browser, task) = run;
    let name = format!("disconnected-{}", scene.kind.name());
    let run = BrowserRun {
        url: &desk.base.join("/system/terminal")?,
        account: Some(ALICE),
        task,
        name: &name,
    };
    let report = browser.perform(scene, run).await?;
    let text = report["text"].as_str().context("the page's text")?;
    ensure!(text.contains(words), "{text}");
    Ok(())
}

async fn signs_on_once(scene: &Scene, browser: Browser, account: &str, access: &str) -> Result<()> {
    let desk = Desk::open(scene).await?;
    let user = if account == ALICE {
        &desk.alice.name
    } else {
        &desk.bob.name
    };
    let name = format!("single-sign-on-{}", scene.kind.name());
    Person {
        account,
        user,
        access,
    }
    .signs_on_once(scene, &desk.base, browser, &name)
    .await
    .with_context(|| desk.session.log())
}

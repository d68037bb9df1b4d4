//! `jetway-cockpit-session` behind a real Cockpit: the web service's view of sessions and refusals. A key and a client
//! with that key replace the proxy.

use std::time::Duration;

use anyhow::{Result, ensure};
use jetway_tests::{
    Cockpit, CockpitSession, Port, ProxyKind, Scene, SessionKey, UnixUser, UserAgent, eventually,
    run, within,
};
use url::Url;

/// Longer than Cockpit keeps a session without a websocket, and than any other event takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A Cockpit that accepts assertions of `key`.
struct Server {
    key: SessionKey,
    base: Url,
    session: CockpitSession,
    _cockpit: Cockpit,
}

impl Server {
    async fn start(scene: &Scene) -> Result<Self> {
        let key = SessionKey::draw()?;
        let program = scene.installed.cockpit_session()?;
        let session = CockpitSession::start(&program, &key.public_pem()?, "", scene.logs())?;
        let port = Port::reserve()?;
        let base = Url::parse(&format!("http://127.0.0.1:{}/", port.number()))?;
        let conf = format!("[WebService]\nLoginTo = false\n{}", session.cockpit_conf());
        let cockpit = Cockpit::start(port, &conf, scene.logs(), &scene.dialer).await?;
        Ok(Self {
            key,
            base,
            session,
            _cockpit: cockpit,
        })
    }

    async fn log_in(&self, client: &mut UserAgent, assertion: &str) -> Result<u16> {
        let bearer = format!("Bearer {assertion}");
        let answer = client.try_to_log_in_to_cockpit(&self.base, &bearer).await?;
        Ok(answer.status.as_u16())
    }

    async fn expect(&self, client: &mut UserAgent, assertion: &str, status: u16) -> Result<()> {
        let answer = self.log_in(client, assertion).await?;
        ensure!(
            answer == status,
            "{answer} instead of {status}; the log says:\n{}",
            self.session.log()
        );
        Ok(())
    }
}

#[test]
fn an_assertion_opens_a_session_without_a_password() -> Result<()> {
    run(
        "an_assertion_opens_a_session_without_a_password",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let server = Server::start(scene).await?;
            let user = UnixUser::create()?;
            user.change(&["--lock"])?;
            let assertion = server.key.assertion(&user.name)?;
            let mut alice = scene.user_agent();
            server.expect(&mut alice, &assertion, 200).await?;
            let output = alice
                .run_in_cockpit(&server.base, "id -un; echo $HOME; umask")
                .await?;
            let name = &user.name;
            assert_eq!(output, format!("{name}\n/home/{name}\n0022\n"));
            // The same session can be used again, but not the assertion.
            assert_eq!(
                alice.run_in_cockpit(&server.base, "id -un").await?,
                format!("{name}\n")
            );
            let mut thief = scene.user_agent();
            server.expect(&mut thief, &assertion, 401).await?;
            assert!(
                server.session.log().contains("used before"),
                "{}",
                server.session.log()
            );
            // Some seconds after the last tab was closed.
            eventually("the session is closed", LIMIT, async || {
                let log = server.session.log();
                ensure!(log.contains(&format!("session closed for {name}")), "{log}");
                Ok(())
            })
            .await
        },
    )
}

#[test]
fn cockpit_distinguishes_refusals() -> Result<()> {
    run(
        "cockpit_tells_refusals_apart",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let server = Server::start(scene).await?;
            let user = UnixUser::create()?;
            let without_shell = UnixUser::create_with(&["--shell", "/usr/sbin/nologin"])?;
            let expired = UnixUser::create()?;
            expired.change(&["--expiredate", "1"])?;
            let mut client = scene.user_agent();
            for name in ["root", "jetway-nobody", &without_shell.name, &expired.name] {
                let assertion = server.key.assertion(name)?;
                server.expect(&mut client, &assertion, 403).await?;
            }
            for assertion in [
                "x.y.z".to_owned(),
                SessionKey::draw()?.assertion(&user.name)?,
                server
                    .key
                    .assertion_with(&user.name, |header, _| header["typ"] = "JWT".into())?,
                server.key.assertion_with(&user.name, |_, claims| {
                    claims["aud"] = "other.localhost".into()
                })?,
                server.key.assertion_with(&user.name, |_, claims| {
                    for claim in ["iat", "nbf", "exp"] {
                        claims[claim] = (claims[claim].as_u64().unwrap_or_default() - 600).into();
                    }
                })?,
            ] {
                server.expect(&mut client, &assertion, 401).await?;
            }
            assert!(
                client.run_in_cockpit(&server.base, "id").await.is_err(),
                "no refusal leaves a session behind"
            );
            std::fs::remove_file(server.session.path("keys"))?;
            let assertion = server.key.assertion(&user.name)?;
            server.expect(&mut client, &assertion, 500).await
        },
    )
}

#[test]
fn cockpit_ends_with_the_session_at_the_proxy() -> Result<()> {
    run(
        "cockpit_ends_with_the_session_at_the_proxy",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let server = Server::start(scene).await?;
            let user = UnixUser::create()?;
            let assertion = server.key.assertion_with(&user.name, |_, claims| {
                claims["session_exp"] = (claims["iat"].as_u64().unwrap_or_default() + 12).into();
            })?;
            let mut alice = scene.user_agent();
            server.expect(&mut alice, &assertion, 200).await?;
            let command = alice.run_in_cockpit(&server.base, "exec sleep 600");
            let ended = within("the websocket ends", LIMIT, async { Ok(command.await) }).await?;
            assert!(ended.is_err(), "{ended:?}");
            assert!(
                alice.run_in_cockpit(&server.base, "id").await.is_err(),
                "the cookie is of no more use"
            );
            Ok(())
        },
    )
}

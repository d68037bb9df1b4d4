//! The peers and the harness alone, without a proxy: a failure here is not Jetway's.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use jetway_tests::{
    Authority, Browser, BrowserRun, COCKPIT, Cockpit, Dialer, Port, Process, ProxyKind, Scene,
    Task, UnixUser, Upstream, eventually, run,
};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

#[test]
fn the_provider_counts_and_fails_as_configured() -> Result<()> {
    run(
        "the_provider_counts_and_fails_as_told",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let jwks = Url::parse(&format!("{}/jwks", scene.provider.issuer()))?;
            let mut user_agent = scene.user_agent();
            user_agent.navigate(&jwks).await?.expect(200)?;
            scene
                .provider
                .fail(&serde_json::json!([{"path": "/jwks", "status": 500, "count": 1}]))
                .await?;
            user_agent.navigate(&jwks).await?.expect(500)?;
            user_agent.navigate(&jwks).await?.expect(200)?;
            assert_eq!(scene.provider.count("GET", "/jwks").await?, 3);
            scene.provider.stop();
            assert!(
                user_agent.navigate(&jwks).await.is_err(),
                "a stopped provider refuses connections"
            );
            scene.provider.start(&scene.installed).await?;
            user_agent.navigate(&jwks).await?.expect(200)?;
            Ok(())
        },
    )
}

#[test]
fn the_upstream_records_and_echoes() -> Result<()> {
    run(
        "the_upstream_records_and_echoes",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let url = Url::parse(&upstream.address())?.join("/a?b")?;
            let mut user_agent = scene.user_agent();
            assert_eq!(
                user_agent.navigate(&url).await?.expect(200)?.text(),
                upstream.answer("GET", "/a?b")
            );
            assert_eq!(upstream.take().len(), 1);
            let mut channel = user_agent.upgrade(&url, None).await?.open()?;
            channel.send(Message::text("hello")).await?;
            assert_eq!(
                channel.next().await.context("the websocket ended")??,
                Message::text("hello")
            );
            Ok(())
        },
    )
}

#[test]
fn an_upstream_with_tls_asks_for_certificates() -> Result<()> {
    run(
        "an_upstream_with_tls_asks_for_certificates",
        ProxyKind::Host,
        async |_: &mut Scene| {
            let (ours, others) = (Authority::create("ours")?, Authority::create("others")?);
            let identity = ours.issue(&["localhost"])?;
            let upstream = Upstream::start_tls("app", &identity, Some(&ours)).await?;
            let url = Url::parse(&upstream.address_as("localhost"))?;
            let stranger = Dialer::new(ours.certificate());
            let known = ours.issue(&["client.example.com"])?;
            let answer = stranger.showing(&known).get(&url, "any", "/x").await?;
            assert_eq!(answer.expect(200)?.text(), upstream.answer("GET", "/x"));
            let tls = upstream.take_one()?.tls.context("it came over TLS")?;
            assert_eq!(tls.server_name.as_deref(), Some("localhost"));
            assert_eq!(tls.client, Some(known.certificate));

            let unknown = stranger.showing(&others.issue(&["client.example.com"])?);
            let mistrusting = Dialer::new(others.certificate()).showing(&ours.issue(&["x"])?);
            for dialer in [stranger, unknown, mistrusting] {
                assert!(dialer.get(&url, "any", "/x").await.is_err());
            }
            assert!(upstream.take().is_empty());
            Ok(())
        },
    )
}

#[test]
fn cockpit_runs_a_command() -> Result<()> {
    run(
        "cockpit_runs_a_command",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let user = UnixUser::create()?;
            let port = Port::reserve()?;
            let base = Url::parse(&format!("http://127.0.0.1:{}/", port.number()))?;
            let _cockpit = Cockpit::start(port, "", scene.logs(), &scene.dialer).await?;
            let mut user_agent = scene.user_agent();
            user_agent.log_in_to_cockpit(&base, &user).await?;
            assert_eq!(
                user_agent.run_in_cockpit(&base, "id -un").await?,
                format!("{}\n", user.name)
            );
            let name = user.name.clone();
            drop(user);
            let passwd = std::fs::read_to_string("/etc/passwd")?;
            assert!(!passwd.contains(&name), "the account is removed");
            Ok(())
        },
    )
}

#[test]
fn the_browsers_use_cockpits_terminal() -> Result<()> {
    run(
        "the_browsers_use_cockpits_terminal",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let user = UnixUser::create()?;
            let port = Port::reserve()?;
            let url = Url::parse(&format!(
                "http://{COCKPIT}:{}/system/terminal",
                port.number()
            ))?;
            let _cockpit = Cockpit::start(port, "", scene.logs(), &scene.dialer).await?;
            for browser in Browser::ALL {
                let task = Task::Terminal(&user);
                let report = browser
                    .perform(
                        scene,
                        BrowserRun {
                            url: &url,
                            account: None,
                            task,
                            name: "terminal-alone",
                        },
                    )
                    .await?;
                let row = report["row"]
                    .as_str()
                    .context("the report has the terminal's row")?;
                assert!(
                    row.starts_with(&format!("OK:{}:", user.name)),
                    "the terminal says `{row}`"
                );
            }
            Ok(())
        },
    )
}

#[test]
fn a_process_ends_with_its_owner() -> Result<()> {
    run(
        "a_process_ends_with_its_owner",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let mark = scene.folder().join("mark");
            let mut command = Command::new("sh");
            command
                .args(["-c", "sleep 300 & echo $! > \"$0\"; wait"])
                .arg(&mark);
            let process = Process::start("sleeper", &command, scene.logs())?;
            let child = eventually(
                "the grandchild starts",
                Duration::from_secs(10),
                async || Ok(std::fs::read_to_string(&mark)?.trim().parse::<u32>()?),
            )
            .await?;
            drop(process);
            eventually("the grandchild ends", Duration::from_secs(10), async || {
                let status =
                    std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
                anyhow::ensure!(status.is_empty() || status.contains(") Z"), "still there");
                Ok(())
            })
            .await
        },
    )
}

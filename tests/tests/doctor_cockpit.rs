//! `jetway doctor` and Cockpit: a matrix of wrong configurations, each of which is named, and good ones, which pass.

use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    COCKPIT, Cockpit, CockpitSetup, Diagnosis, Port, ProxyKind, Reached, Route, Scene,
    ensure_mentions, run,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One line of the matrix: Cockpit's file, the route, and the expected finding.
struct Row {
    conf: String,
    reached: Reached,
    keeps_host: bool,
    /// Further keys of the route.
    key: Option<&'static str>,
    /// `None` when the configuration works.
    told: Option<Vec<String>>,
}

impl Row {
    fn new(conf: &str, keeps_host: bool) -> Self {
        Self {
            conf: conf.to_owned(),
            reached: Reached::Plain,
            keeps_host,
            key: None,
            told: None,
        }
    }

    fn reached(self, reached: Reached) -> Self {
        Self { reached, ..self }
    }

    fn key(self, key: &'static str) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    fn fails(self, told: &[&str]) -> Self {
        let told = told.iter().map(|word| (*word).to_owned()).collect();
        Self {
            told: Some(told),
            ..self
        }
    }

    async fn examine(&self, scene: &Scene, check: &str) -> Result<()> {
        let port = Port::reserve()?;
        let scheme = if matches!(self.reached, Reached::Tls(_)) {
            "https"
        } else {
            "http"
        };
        let mut route =
            Route::new(COCKPIT, &format!("{scheme}://127.0.0.1:{}", port.number())).websockets();
        if self.keeps_host {
            route = route.preserve_host();
        }
        if scheme == "https" {
            route = route.key("tls_skip_verify: true");
        }
        if let Some(key) = self.key {
            route = route.key(key);
        }
        let setup = CockpitSetup {
            reached: &self.reached,
            port,
            conf: &self.conf,
        };
        let cockpit = Cockpit::start_as(setup, scene.logs(), &scene.dialer).await?;
        let conf = cockpit.conf().display().to_string();
        let answer =
            Diagnosis::make(scene, &[route], vec!["--cockpit-conf".to_owned(), conf]).await?;
        match &self.told {
            None => answer.expect_good(check),
            Some(told) => {
                let told: Vec<&str> = told.iter().map(String::as_str).collect();
                ensure_mentions(answer.expect_failure(check)?, &told)
            }
        }
    }
}

async fn examine_all(scene: &Scene, check: &str, rows: Vec<Row>) -> Result<()> {
    for row in rows {
        row.examine(scene, check).await.with_context(|| {
            format!(
                "{:?}, host kept: {}, {:?}\n{}",
                row.reached, row.keeps_host, row.key, row.conf
            )
        })?;
    }
    Ok(())
}

/// Good configurations of Cockpit cause no finding.
#[test]
fn what_works_with_cockpit_is_left_in_peace() -> Result<()> {
    run(
        "what_works_with_cockpit_is_left_in_peace",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let public = scene.url(COCKPIT, "")?.origin().ascii_serialization();
            let socket = public.replace("https:", "wss:");
            let header = "[WebService]\nProtocolHeader = X-Forwarded-Proto\n";
            let origins = format!("[WebService]\nOrigins = {public}\n");
            let both = format!("{origins}ProtocolHeader = X-Forwarded-Proto\n");
            let guide = format!("[WebService]\nOrigins = {public} {socket}\n");
            let commas = format!("[WebService]\nOrigins = https://a.example, {public}\n");
            let printed = scene.jetway(
                "cockpit conf",
                &[Route::new(COCKPIT, "http://127.0.0.1:9090").websockets()],
            )?;
            let rows = vec![
                Row::new(header, true),
                Row::new(&origins, true),
                Row::new(&origins, false),
                Row::new(&both, true),
                Row::new(&both, false),
                Row::new(&guide, true),
                Row::new(&guide, false),
                Row::new(&commas, true),
                Row::new(&printed, false),
                Row::new("", true).reached(Reached::ForTlsProxy),
                Row::new("", true).reached(Reached::Tls("127.0.0.1".parse()?)),
            ];
            examine_all(scene, "cockpit-origin", rows).await
        },
    )
}

/// The matrix of origins: Cockpit's own origin differs from the page's.
#[test]
fn a_wrong_origin_is_named() -> Result<()> {
    run(
        "a_wrong_origin_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let public = scene.url(COCKPIT, "")?.origin().ascii_serialization();
            let authority = scene.authority(COCKPIT);
            let header = "[WebService]\nProtocolHeader = X-Forwarded-Proto\n";
            let right = format!("Origins = {public}");
            let missing = "`ProtocolHeader` is missing";
            let write_header = "ProtocolHeader = X-Forwarded-Proto";
            let keep = "preserve_host_header: true";
            let failed = "Connection failed";
            let rows = vec![
            Row::new("", true).fails(&[missing, write_header, failed, "cockpit.conf"]),
            Row::new("", false).fails(&[missing, "another host", write_header, keep]),
            Row::new(header, false).fails(&["it gets another host\"", keep, "jetway.yaml\",\"line\":"]),
            Row::new("[WebService]\nProtocolHeader = X-Forwarded-For-Proto\n", true)
                .fails(&[missing, "\"line\":2", write_header]),
            Row::new("[WebService]\nProtocolHeader = X-Forwarded-Proto # behind a value\n", true)
                .fails(&[missing, "\"line\":2"]),
            Row::new(&format!("[WebService]\nOrigins = wss://{authority}\n"), true)
                .fails(&["wss://", "never `wss://`", &right, "\"line\":2"]),
            Row::new(&format!("[WebService]\nOrigins = wss://{authority}\nProtocolHeader = X-Forwarded-Proto\n"), false)
                .fails(&["never `wss://`", &right]),
            Row::new(&format!("[WebService]\nOrigins = {public}/\n"), true)
                .fails(&["no slash at its end", &right]),
            Row::new(&format!("[WebService]\nOrigins = {public}/\n"), false).fails(&["no slash", &right]),
            Row::new(&format!("[WebService]\nOrigins = https://{COCKPIT}\n{write_header}\n"), true)
                .fails(&["the port must be the browser's", &right]),
            Row::new(&format!("[WebService]\nOrigins = http://{authority}\n"), true)
                .fails(&["over https", &right]),
            Row::new("[WebService]\nOrigins = https://other.example\n", true)
                .fails(&["`Origins` lacks it", "https://other.example", &format!("{right} https://other.example")]),
            Row::new("", false).reached(Reached::ForTlsProxy).fails(&["it gets another host\"", keep]),
            Row::new("", false)
                .reached(Reached::Tls("127.0.0.1".parse()?))
                .fails(&["it gets another host\"", keep]),
        ];
            examine_all(scene, "cockpit-origin", rows).await
        },
    )
}

#[test]
fn a_route_without_websockets_is_named() -> Result<()> {
    run(
        "a_route_without_websockets_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let conf = "[WebService]\nProtocolHeader = X-Forwarded-Proto\n";
            let port = Port::reserve()?;
            let route =
                Route::new(COCKPIT, &format!("http://127.0.0.1:{}", port.number())).preserve_host();
            let _cockpit = Cockpit::start(port, conf, scene.logs(), &scene.dialer).await?;
            let answer = Diagnosis::make(scene, &[route], Vec::new()).await?;
            ensure_mentions(
                answer.expect_failure("cockpit-websockets")?,
                &["allow_websockets: true", "Connection failed"],
            )
        },
    )
}

/// Cockpit's file is correct, but the route or the listener sends other headers.
#[test]
fn wrong_headers_of_jetway_itself_are_named() -> Result<()> {
    run(
        "what_jetway_itself_tells_wrongly_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let header = "[WebService]\nProtocolHeader = X-Forwarded-Proto\n";
            Row::new(header, true)
                .key("set_request_headers: {Origin: 'https://cockpit.internal'}")
                .fails(&[
                    "the route changes `origin`",
                    "set_request_headers",
                    "Connection failed",
                ])
                .examine(scene, "cockpit-origin")
                .await?;
            scene.keys = "insecure_server: true\n".to_owned();
            Row::new(header, true)
                .fails(&[
                    "`X-Forwarded-Proto: http`",
                    "xff_num_trusted_hops: 1",
                    "Connection failed",
                ])
                .examine(scene, "cockpit-origin")
                .await?;
            scene.keys = "insecure_server: true\nxff_num_trusted_hops: 1\n".to_owned();
            Row::new(header, true)
                .examine(scene, "cockpit-origin")
                .await
        },
    )
}

/// A proxy in between that does not support websockets.
#[test]
fn lost_upgrade_headers_are_named() -> Result<()> {
    run(
        "lost_upgrade_headers_are_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let port = Port::reserve()?;
            let conf = "[WebService]\nProtocolHeader = X-Forwarded-Proto\n";
            let cockpit_port = port.number();
            let _cockpit = Cockpit::start(port, conf, scene.logs(), &scene.dialer).await?;
            let between = TcpListener::bind("127.0.0.1:0").await?;
            let address = format!("http://{}", between.local_addr()?);
            let mut relay = JoinSet::new();
            relay.spawn(async move {
                while let Ok((stream, _)) = between.accept().await {
                    tokio::spawn(without_upgrades(stream, cockpit_port));
                }
            });
            let route = Route::new(COCKPIT, &address).websockets().preserve_host();
            let answer = Diagnosis::make(scene, &[route], Vec::new()).await?;
            ensure_mentions(
                answer.expect_failure("cockpit-upgrade")?,
                &[
                    "400",
                    "`Upgrade`",
                    "proxy_set_header Upgrade",
                    "Connection failed",
                ],
            )
        },
    )
}

/// Forwards one request without the headers of the connection, and the whole response.
async fn without_upgrades(mut client: TcpStream, port: u16) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let kept = head.split_inclusive("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("upgrade:") && !line.starts_with("connection:")
    });
    let mut upstream = TcpStream::connect(("127.0.0.1", port)).await?;
    upstream
        .write_all(kept.collect::<String>().as_bytes())
        .await?;
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// Cockpit with TLS redirects plain HTTP unless it comes from its own machine's loopback.
#[test]
fn a_cockpit_that_wants_https_is_named() -> Result<()> {
    run(
        "a_cockpit_that_wants_https_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let address = own_address()?;
            for keeps_host in [true, false] {
                let port = Port::reserve()?;
                let to = format!("http://{address}:{}", port.number());
                let mut route = Route::new(COCKPIT, &to).websockets();
                if keeps_host {
                    route = route.preserve_host();
                }
                let setup = CockpitSetup {
                    reached: &Reached::Tls(address),
                    port,
                    conf: "",
                };
                let _cockpit = Cockpit::start_as(setup, scene.logs(), &scene.dialer).await?;
                let answer = Diagnosis::make(scene, &[route], Vec::new()).await?;
                let seen = if keeps_host {
                    "ERR_TOO_MANY_REDIRECTS"
                } else {
                    "leaves this proxy"
                };
                ensure_mentions(
                    answer.expect_failure("cockpit-https")?,
                    &[
                        seen,
                        "to: https://",
                        "tls_custom_ca_file: /etc/jetway/upstream.pem",
                        "openssl s_client -connect",
                        "AllowUnencrypted = true",
                    ],
                )?;
            }
            Ok(())
        },
    )
}

/// Returns an address of this machine that is not loopback. It sends nothing.
fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket
        .connect("203.0.113.1:9")
        .context("this machine has no address but loopback, which Cockpit treats differently")?;
    Ok(socket.local_addr()?.ip())
}

#[test]
fn logins_to_other_machines_and_unmapped_users_are_warned_of() -> Result<()> {
    run(
        "logins_to_other_machines_and_unknown_visitors_are_warned_of",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let good = "[WebService]\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Forwarded-For\nLoginTo = false\n";
            let bad = "[WebService]\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Real-IP\n";
            // As in the unprivileged container cockpit/ws.
            let bastion = "[WebService]\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Forwarded-For\nRequireHost = true\n";
            for (conf, expected) in [
                (good, vec![]),
                (bastion, vec![]),
                (bad, vec!["cockpit-login-to", "cockpit-client-address"]),
            ] {
                let port = Port::reserve()?;
                let route = Route::new(COCKPIT, &format!("http://127.0.0.1:{}", port.number()))
                    .websockets()
                    .preserve_host();
                let cockpit = Cockpit::start(port, conf, scene.logs(), &scene.dialer).await?;
                let file = cockpit.conf().display().to_string();
                let answer =
                    Diagnosis::make(scene, &[route], vec!["--cockpit-conf".to_owned(), file])
                        .await?;
                answer.expect_good("cockpit-origin")?;
                if conf == bastion {
                    answer.expect_good("cockpit-container")?;
                }
                let cockpits = answer
                    .of("warning")
                    .filter_map(|finding| finding["check"].as_str());
                let warned: Vec<&str> = cockpits
                    .filter(|check| check.starts_with("cockpit"))
                    .collect();
                assert_eq!(warned, expected, "{:#?}", answer.findings());
            }
            Ok(())
        },
    )
}

#[test]
fn missing_single_sign_on_is_named() -> Result<()> {
    run(
        "missing_single_sign_on_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let header = "[WebService]\nProtocolHeader = X-Forwarded-Proto\n";
            let oauth = "[OAuth]\nURL = /.pomerium/cockpit/token\n";
            for (conf, told) in [
                (
                    header.to_owned(),
                    vec![
                        "[OAuth]",
                        "Authentication disabled",
                        "UnixPath = /run/jetway/session",
                    ],
                ),
                (
                    format!("{header}[OAuth]\nURL = https://idp.example\n"),
                    vec!["leads to https://idp.example"],
                ),
                (
                    format!("{header}{oauth}[bearer]\nUnixPath = /run/jetway-test/none\n"),
                    vec!["Internal error in login process"],
                ),
            ] {
                let port = Port::reserve()?;
                let route = Route::new(COCKPIT, &format!("http://127.0.0.1:{}", port.number()))
                    .websockets()
                    .preserve_host()
                    .key("cockpit: {users: {alice@example.com: alice}}");
                let _cockpit = Cockpit::start(port, &conf, scene.logs(), &scene.dialer).await?;
                let answer = Diagnosis::make(scene, &[route], Vec::new()).await?;
                let failures: Vec<&Value> = answer
                    .of("failure")
                    .filter(|finding| finding["check"] == "cockpit-single-sign-on")
                    .collect();
                let text = serde_json::to_string(&failures)?;
                for word in told {
                    ensure!(text.contains(word), "`{word}` is not told: {failures:#?}");
                }
            }
            Ok(())
        },
    )
}

/// The program behind the socket refuses assertions, as the helper does with an invalid one.
#[test]
fn working_single_sign_on_is_left_in_peace() -> Result<()> {
    run(
        "working_single_sign_on_is_left_in_peace",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("session");
            let listener = tokio::net::UnixListener::bind(&path)?;
            for (path, mode) in [(folder.path(), 0o755), (path.as_path(), 0o666)] {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
            }
            let mut helper = JoinSet::new();
            helper.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    drop(stream);
                }
            });
            let conf = format!(
                "[WebService]\nProtocolHeader = X-Forwarded-Proto\n[bearer]\nUnixPath = {}\n\
                 [OAuth]\nURL = /.pomerium/cockpit/token\n",
                path.display()
            );
            let port = Port::reserve()?;
            let route = Route::new(COCKPIT, &format!("http://127.0.0.1:{}", port.number()))
                .websockets()
                .key("cockpit: {users: {alice@example.com: alice}}");
            let _cockpit = Cockpit::start(port, &conf, scene.logs(), &scene.dialer).await?;
            let answer = Diagnosis::make(scene, &[route], Vec::new()).await?;
            let of = |outcome| {
                let found = answer.of(outcome);
                found
                    .filter(|finding| finding["check"] == "cockpit-single-sign-on")
                    .count()
            };
            assert_eq!(
                (of("ok"), of("failure")),
                (2, 0),
                "{:#?}",
                answer.findings()
            );
            Ok(())
        },
    )
}

//! `jetway doctor` with real peers: each wrong configuration is named, and good ones are left in peace.

use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use http::header::{DATE, HeaderValue};
use jetway_tests::{
    ALICE, APP, Body, COCKPIT, Cockpit, HostileProvider, Port, Reached, Route, Scene, Upstream,
    json_answer, run,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// What `jetway doctor` answered.
struct Answer {
    status: Option<i32>,
    findings: Vec<Value>,
}

impl Answer {
    fn of<'a>(&'a self, outcome: &'a str) -> impl Iterator<Item = &'a Value> {
        self.findings
            .iter()
            .filter(move |finding| finding["outcome"] == outcome)
    }

    /// Nothing fails, and this check was made.
    fn expect_good(&self, check: &str) -> Result<()> {
        ensure!(
            self.status == Some(0),
            "{:?}",
            self.of("failure").collect::<Vec<_>>()
        );
        ensure!(
            self.of("ok").any(|finding| finding["check"] == check),
            "{check} is not among {:?}",
            self.findings
        );
        Ok(())
    }

    /// This check alone fails; returns its finding.
    fn expect_failure(&self, check: &str) -> Result<&Value> {
        ensure!(self.status == Some(1), "{:?}", self.findings);
        let failures: Vec<&Value> = self.of("failure").collect();
        match failures.as_slice() {
            [failure] if failure["check"] == check => Ok(failure),
            others => anyhow::bail!("not {check} alone: {others:#?}"),
        }
    }
}

/// A failure says what a person sees, and these words somewhere.
fn ensure_told(finding: &Value, words: &[&str]) -> Result<()> {
    ensure!(
        finding["seen"].is_string(),
        "what a person sees is not told: {finding:#}"
    );
    let text = finding.to_string();
    for word in words {
        ensure!(text.contains(word), "`{word}` is not told: {finding:#}");
    }
    Ok(())
}

async fn doctor(scene: &Scene, routes: &[Route], arguments: Vec<String>) -> Result<Answer> {
    let (file, variables) = scene.file(routes)?;
    doctor_of(scene, file, variables, arguments).await
}

async fn doctor_of(
    scene: &Scene,
    file: PathBuf,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
) -> Result<Answer> {
    let mut command = Command::new(scene.installed.jetway()?);
    command
        .args(["doctor", "--format", "json", "-c"])
        .arg(file)
        .args(arguments)
        .envs(variables);
    // Upstreams of the test answer on this thread meanwhile.
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let findings = report["findings"].as_array().context("findings")?.clone();
    Ok(Answer {
        status: output.status.code(),
        findings,
    })
}

/// One line of the matrix: Cockpit's file, the route, and what the doctor has to say.
struct Row {
    conf: String,
    reached: Reached,
    keeps_host: bool,
    /// Further keys of the route.
    key: Option<&'static str>,
    /// `None` when it works.
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
        let cockpit =
            Cockpit::start_as(&self.reached, port, &self.conf, scene.logs(), &scene.dialer).await?;
        let conf = cockpit.conf().display().to_string();
        let answer = doctor(scene, &[route], vec!["--cockpit-conf".to_owned(), conf]).await?;
        match &self.told {
            None => answer.expect_good(check),
            Some(told) => {
                let told: Vec<&str> = told.iter().map(String::as_str).collect();
                ensure_told(answer.expect_failure(check)?, &told)
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

/// Good configurations of Cockpit: no false alarm.
#[test]
fn what_works_with_cockpit_is_left_in_peace() -> Result<()> {
    run(
        "what_works_with_cockpit_is_left_in_peace",
        Body::Host,
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

/// The matrix: the origin that Cockpit takes for its own is not the page's.
#[test]
fn a_wrong_origin_is_named() -> Result<()> {
    run(
        "a_wrong_origin_is_named",
        Body::Host,
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
            Row::new(header, false).fails(&["it sees another host\"", keep, "jetway.yaml\",\"line\":"]),
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
                .fails(&["the port has to be the browser's", &right]),
            Row::new(&format!("[WebService]\nOrigins = http://{authority}\n"), true)
                .fails(&["over https", &right]),
            Row::new("[WebService]\nOrigins = https://other.example\n", true)
                .fails(&["`Origins` lacks it", "https://other.example", &format!("{right} https://other.example")]),
            Row::new("", false).reached(Reached::ForTlsProxy).fails(&["it sees another host\"", keep]),
            Row::new("", false)
                .reached(Reached::Tls("127.0.0.1".parse()?))
                .fails(&["it sees another host\"", keep]),
        ];
            examine_all(scene, "cockpit-origin", rows).await
        },
    )
}

#[test]
fn a_route_without_websockets_is_named() -> Result<()> {
    run(
        "a_route_without_websockets_is_named",
        Body::Host,
        async |scene: &mut Scene| {
            let conf = "[WebService]\nProtocolHeader = X-Forwarded-Proto\n";
            let port = Port::reserve()?;
            let route =
                Route::new(COCKPIT, &format!("http://127.0.0.1:{}", port.number())).preserve_host();
            let _cockpit = Cockpit::start(port, conf, scene.logs(), &scene.dialer).await?;
            let answer = doctor(scene, &[route], Vec::new()).await?;
            ensure_told(
                answer.expect_failure("cockpit-websockets")?,
                &["allow_websockets: true", "Connection failed"],
            )
        },
    )
}

/// Cockpit's file is right, and the route or the listener tells Cockpit something else.
#[test]
fn what_jetway_itself_tells_wrongly_is_named() -> Result<()> {
    run(
        "what_jetway_itself_tells_wrongly_is_named",
        Body::Host,
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

/// A proxy between, that knows nothing of websockets.
#[test]
fn lost_upgrade_headers_are_named() -> Result<()> {
    run(
        "lost_upgrade_headers_are_named",
        Body::Host,
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
            let answer = doctor(scene, &[route], Vec::new()).await?;
            ensure_told(
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

/// Passes one request on without the headers of the connection, and everything back.
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

/// Cockpit with TLS redirects plain http that does not come from its own machine's loopback.
#[test]
fn a_cockpit_that_wants_https_is_named() -> Result<()> {
    run(
        "a_cockpit_that_wants_https_is_named",
        Body::Host,
        async |scene: &mut Scene| {
            let address = own_address()?;
            for keeps_host in [true, false] {
                let port = Port::reserve()?;
                let to = format!("http://{address}:{}", port.number());
                let mut route = Route::new(COCKPIT, &to).websockets();
                if keeps_host {
                    route = route.preserve_host();
                }
                let _cockpit = Cockpit::start_as(
                    &Reached::Tls(address),
                    port,
                    "",
                    scene.logs(),
                    &scene.dialer,
                )
                .await?;
                let answer = doctor(scene, &[route], Vec::new()).await?;
                let seen = if keeps_host {
                    "ERR_TOO_MANY_REDIRECTS"
                } else {
                    "leaves this proxy"
                };
                ensure_told(
                    answer.expect_failure("cockpit-https")?,
                    &[
                        seen,
                        "to: https://",
                        "tls_skip_verify: true",
                        "AllowUnencrypted = true",
                    ],
                )?;
            }
            Ok(())
        },
    )
}

/// An address of this machine that is not loopback. Nothing is sent.
fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket
        .connect("203.0.113.1:9")
        .context("this machine has no address but loopback, which Cockpit treats differently")?;
    Ok(socket.local_addr()?.ip())
}

#[test]
fn logins_to_other_machines_and_unknown_visitors_are_warned_of() -> Result<()> {
    run(
        "logins_to_other_machines_and_unknown_visitors_are_warned_of",
        Body::Host,
        async |scene: &mut Scene| {
            let good = "[WebService]\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Forwarded-For\nLoginTo = false\n";
            let bad = "[WebService]\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Real-IP\n";
            for (conf, expected) in [
                (good, vec![]),
                (bad, vec!["cockpit-login-to", "cockpit-client-address"]),
            ] {
                let port = Port::reserve()?;
                let route = Route::new(COCKPIT, &format!("http://127.0.0.1:{}", port.number()))
                    .websockets()
                    .preserve_host();
                let cockpit = Cockpit::start(port, conf, scene.logs(), &scene.dialer).await?;
                let file = cockpit.conf().display().to_string();
                let answer =
                    doctor(scene, &[route], vec!["--cockpit-conf".to_owned(), file]).await?;
                answer.expect_good("cockpit-origin")?;
                let cockpits = answer
                    .of("warning")
                    .filter_map(|finding| finding["check"].as_str());
                let warned: Vec<&str> = cockpits
                    .filter(|check| check.starts_with("cockpit"))
                    .collect();
                assert_eq!(warned, expected, "{:#?}", answer.findings);
            }
            Ok(())
        },
    )
}

#[test]
fn missing_single_sign_on_is_named() -> Result<()> {
    run(
        "missing_single_sign_on_is_named",
        Body::Host,
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
                let answer = doctor(scene, &[route], Vec::new()).await?;
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

/// Something refuses assertions behind the socket, as the helper does with a false one.
#[test]
fn working_single_sign_on_is_left_in_peace() -> Result<()> {
    run(
        "working_single_sign_on_is_left_in_peace",
        Body::Host,
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
            let answer = doctor(scene, &[route], Vec::new()).await?;
            let of = |outcome| {
                let found = answer.of(outcome);
                found
                    .filter(|finding| finding["check"] == "cockpit-single-sign-on")
                    .count()
            };
            assert_eq!((of("ok"), of("failure")), (2, 0), "{:#?}", answer.findings);
            Ok(())
        },
    )
}

#[test]
fn a_running_jetway_is_recognised() -> Result<()> {
    run(
        "a_running_jetway_is_recognised",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let _proxy = scene.serve(&routes).await?;
            let answer = doctor(scene, &routes, Vec::new()).await?;
            answer.expect_good("listener")?;
            ensure!(
                answer
                    .of("ok")
                    .any(|finding| finding["message"] == "Jetway answers there"),
                "{:#?}",
                answer.findings
            );
            for check in [
                "provider-discovery",
                "provider-keys",
                "clock",
                "redirect-uri",
                "client-secret",
                "upstream",
            ] {
                answer.expect_good(check)?;
            }
            Ok(())
        },
    )
}

/// The provider does not know the address, and the certificate does not know the host.
#[test]
fn an_unregistered_host_is_named() -> Result<()> {
    run(
        "an_unregistered_host_is_named",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new("unregistered.localhost", &upstream.address())];
            let answer = doctor(scene, &routes, Vec::new()).await?;
            let failures: Vec<&Value> = answer.of("failure").collect();
            let [certificate, redirect] = failures.as_slice() else {
                anyhow::bail!("{failures:#?}");
            };
            ensure_told(
                certificate,
                &[
                    "unregistered.localhost",
                    "NET::ERR_CERT_COMMON_NAME_INVALID",
                ],
            )?;
            let address = format!(
                "https://unregistered.localhost:{}/.pomerium/callback",
                scene.port()
            );
            ensure_told(
                redirect,
                &["redirect-uri", &address, "register this redirect URI"],
            )
        },
    )
}

#[test]
fn a_wrong_secret_is_named_and_not_told() -> Result<()> {
    run(
        "a_wrong_secret_is_named_and_not_told",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            scene.secrets.client = "not-the-secret-of-this-client".to_owned();
            let answer = doctor(scene, &[Route::new(APP, &upstream.address())], Vec::new()).await?;
            let failure = answer.expect_failure("client-secret")?;
            ensure_told(failure, &["invalid_client", "idp_client_secret"])?;
            let text = serde_json::to_string(&answer.findings)?;
            ensure!(!text.contains("not-the-secret"), "{text}");
            Ok(())
        },
    )
}

#[test]
fn a_silent_provider_and_upstream_are_named() -> Result<()> {
    run(
        "a_silent_provider_and_upstream_are_named",
        Body::Host,
        async |scene: &mut Scene| {
            scene.provider.stop();
            let nobody = Port::reserve()?;
            let routes = [Route::new(
                APP,
                &format!("http://127.0.0.1:{}", nobody.number()),
            )];
            let answer = doctor(scene, &routes, Vec::new()).await?;
            let failures: Vec<&Value> = answer.of("failure").collect();
            let [provider, upstream] = failures.as_slice() else {
                anyhow::bail!("{failures:#?}");
            };
            ensure_told(
                provider,
                &["provider-discovery", "idp_provider_url", "\"line\":"],
            )?;
            ensure_told(upstream, &["\"check\":\"upstream\"", "503", "\"line\":"])
        },
    )
}

#[test]
fn another_issuer_is_named() -> Result<()> {
    run(
        "another_issuer_is_named",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let (file, variables) = scene.file(&[Route::new(APP, &upstream.address())])?;
            let issuer = scene.provider.issuer();
            let other = issuer.replace("127.0.0.1", "localhost");
            let text = std::fs::read_to_string(&file)?.replace(&issuer, &other);
            std::fs::write(&file, text)?;
            let answer = doctor_of(scene, file, variables, Vec::new()).await?;
            ensure_told(
                answer.expect_failure("provider-discovery")?,
                &["another issuer", &format!("idp_provider_url: {issuer}")],
            )
        },
    )
}

#[test]
fn a_clock_that_is_wrong_is_named() -> Result<()> {
    run(
        "a_clock_that_is_wrong_is_named",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let provider = HostileProvider::start(ALICE).await?;
            let issuer = provider.registration().issuer;
            scene.registration = Some(provider.registration());
            let discovery = "/.well-known/openid-configuration";
            let address = Url::parse(&format!("{issuer}{discovery}"))?;
            let document = scene.visitor().fetch(&address).await?.expect(200)?.json()?;
            provider.order(discovery, move |_| {
                let mut answer = json_answer(200, &document);
                let long_ago = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
                answer.headers_mut().insert(DATE, long_ago);
                Some(answer)
            });
            let routes = [Route::new(APP, &upstream.address())];
            let answer = doctor(scene, &routes, Vec::new()).await?;
            ensure_told(
                answer.expect_failure("clock")?,
                &[
                    "seconds ahead of the provider's",
                    "timedatectl set-ntp true",
                ],
            )
        },
    )
}

#[test]
fn a_certificate_without_a_known_authority_is_warned_of() -> Result<()> {
    run(
        "a_certificate_without_a_known_authority_is_warned_of",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let answer = doctor(scene, &routes, Vec::new()).await?;
            let warning = answer
                .of("warning")
                .find(|finding| finding["check"] == "certificate")
                .context("a warning")?;
            ensure_told(warning, &["neither in the file nor known", "fullchain.pem"])?;
            // Where the machine knows it, everything is well.
            let authority = scene.authority_file().display().to_string();
            let (file, mut variables) = scene.file(&routes)?;
            variables.push(("SSL_CERT_FILE".to_owned(), authority));
            let answer = doctor_of(scene, file, variables, Vec::new()).await?;
            let of_certificate = |finding: &&Value| finding["check"] == "certificate";
            ensure!(
                answer.of("warning").find(of_certificate).is_none(),
                "{:?}",
                answer.findings
            );
            ensure!(
                answer
                    .of("ok")
                    .filter(of_certificate)
                    .any(|finding| finding["message"]
                        .as_str()
                        .is_some_and(|said| said.contains("stands behind it"))),
                "{:?}",
                answer.findings
            );
            Ok(())
        },
    )
}

#[test]
fn another_program_on_the_port_is_named() -> Result<()> {
    run(
        "another_program_on_the_port_is_named",
        Body::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let (file, variables) = scene.file(&routes)?;
            // The upstream's own port, where it speaks plain HTTP.
            let text = std::fs::read_to_string(&file)?;
            let listening = format!("address: 127.0.0.1:{}", scene.port());
            ensure!(text.contains(&listening), "{text}");
            let text = text.replace(&listening, &format!("address: {}", upstream.authority()));
            std::fs::write(&file, text)?;
            let answer = doctor_of(scene, file, variables, Vec::new()).await?;
            ensure_told(
                answer.expect_failure("listener")?,
                &["another program", "ss -ltnp"],
            )
        },
    )
}

#[test]
fn an_upstream_with_an_unknown_certificate_is_named() -> Result<()> {
    run(
        "an_upstream_with_an_unknown_certificate_is_named",
        Body::Host,
        async |scene: &mut Scene| {
            let authority = jetway_tests::Authority::create("nobody's")?;
            let upstream =
                Upstream::start_tls("app", &authority.issue(&["127.0.0.1"])?, None).await?;
            let bad = Route::new(APP, &upstream.address());
            let answer = doctor(scene, std::slice::from_ref(&bad), Vec::new()).await?;
            ensure_told(
                answer.expect_failure("upstream")?,
                &["TLS fails", "tls_custom_ca_file", "\"line\":"],
            )?;
            let good = bad.key(&format!(
                "tls_custom_ca: {}",
                jetway_tests::inline(&authority.pem())
            ));
            doctor(scene, &[good], Vec::new())
                .await?
                .expect_good("upstream")
        },
    )
}

//! `jetway doctor`: the listener, certificates, the provider and upstreams. Each fault is named, and good
//! configurations pass.

use anyhow::{Context as _, Result, ensure};
use http::header::{DATE, HeaderValue, LOCATION};
use jetway_tests::{
    ALICE, APP, Diagnosis, HostileProvider, Port, ProxyKind, Route, Scene, Upstream,
    ensure_mentions, json_answer, run,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

#[test]
fn a_running_jetway_is_recognised() -> Result<()> {
    run(
        "a_running_jetway_is_recognised",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let _proxy = scene.serve(&routes).await?;
            let answer = Diagnosis::make(scene, &routes, Vec::new()).await?;
            answer.expect_good("listener")?;
            ensure!(
                answer
                    .of("ok")
                    .any(|finding| finding["message"] == "Jetway answers there"),
                "{:#?}",
                answer.findings()
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

/// The provider does not have the address, and the certificate does not have the host.
#[test]
fn an_unregistered_host_is_named() -> Result<()> {
    run(
        "an_unregistered_host_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new("unregistered.localhost", &upstream.address())];
            let answer = Diagnosis::make(scene, &routes, Vec::new()).await?;
            let failures: Vec<&Value> = answer.of("failure").collect();
            let [certificate, redirect] = failures.as_slice() else {
                anyhow::bail!("{failures:#?}");
            };
            ensure_mentions(
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
            ensure_mentions(
                redirect,
                &["redirect-uri", &address, "register this redirect URI"],
            )
        },
    )
}

#[test]
fn a_wrong_secret_is_named_and_not_printed() -> Result<()> {
    run(
        "a_wrong_secret_is_named_and_not_told",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            scene.secrets.client = "not-the-secret-of-this-client".to_owned();
            let answer =
                Diagnosis::make(scene, &[Route::new(APP, &upstream.address())], Vec::new()).await?;
            let failure = answer.expect_failure("client-secret")?;
            ensure_mentions(failure, &["invalid_client", "idp_client_secret"])?;
            let text = serde_json::to_string(&answer.findings())?;
            ensure!(!text.contains("not-the-secret"), "{text}");
            Ok(())
        },
    )
}

#[test]
fn a_silent_provider_and_upstream_are_named() -> Result<()> {
    run(
        "a_silent_provider_and_upstream_are_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            scene.provider.stop();
            let unused = Port::reserve()?;
            let routes = [Route::new(
                APP,
                &format!("http://127.0.0.1:{}", unused.number()),
            )];
            let answer = Diagnosis::make(scene, &routes, Vec::new()).await?;
            let failures: Vec<&Value> = answer.of("failure").collect();
            let [provider, upstream] = failures.as_slice() else {
                anyhow::bail!("{failures:#?}");
            };
            ensure_mentions(
                provider,
                &["provider-discovery", "idp_provider_url", "\"line\":"],
            )?;
            ensure_mentions(upstream, &["\"check\":\"upstream\"", "503", "\"line\":"])
        },
    )
}

#[test]
fn another_issuer_is_named() -> Result<()> {
    run(
        "another_issuer_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let (file, variables) = scene.file(&[Route::new(APP, &upstream.address())])?;
            let issuer = scene.provider.issuer();
            let other = issuer.replace("127.0.0.1", "localhost");
            let text = std::fs::read_to_string(&file)?.replace(&issuer, &other);
            std::fs::write(&file, text)?;
            let answer = Diagnosis::of_file(scene, file, variables, Vec::new()).await?;
            ensure_mentions(
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
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let provider = HostileProvider::start(ALICE).await?;
            let issuer = provider.registration().issuer;
            scene.registration = Some(provider.registration());
            let discovery = "/.well-known/openid-configuration";
            let address = Url::parse(&format!("{issuer}{discovery}"))?;
            let document = scene
                .user_agent()
                .fetch(&address)
                .await?
                .expect(200)?
                .json()?;
            provider.order(discovery, move |_| {
                let mut answer = json_answer(200, &document);
                let long_ago = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
                answer.headers_mut().insert(DATE, long_ago);
                Some(answer)
            });
            let routes = [Route::new(APP, &upstream.address())];
            let answer = Diagnosis::make(scene, &routes, Vec::new()).await?;
            ensure_mentions(
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
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let answer = Diagnosis::make(scene, &routes, Vec::new()).await?;
            let warning = answer
                .of("warning")
                .find(|finding| finding["check"] == "certificate")
                .context("a warning")?;
            ensure_mentions(
                warning,
                &["neither in the file nor trusted", "fullchain.pem"],
            )?;
            // Where the machine trusts the authority, all checks pass.
            let authority = scene.authority_file().display().to_string();
            let (file, mut variables) = scene.file(&routes)?;
            variables.push(("SSL_CERT_FILE".to_owned(), authority));
            let answer = Diagnosis::of_file(scene, file, variables, Vec::new()).await?;
            let of_certificate = |finding: &&Value| finding["check"] == "certificate";
            ensure!(
                answer.of("warning").find(of_certificate).is_none(),
                "{:?}",
                answer.findings()
            );
            ensure!(
                answer.of("ok").filter(of_certificate).any(|finding| {
                    finding["message"]
                        .as_str()
                        .is_some_and(|said| said.contains("an authority that this machine trusts"))
                }),
                "{:?}",
                answer.findings()
            );
            Ok(())
        },
    )
}

#[test]
fn another_program_on_the_port_is_named() -> Result<()> {
    run(
        "another_program_on_the_port_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let (file, variables) = scene.file(&routes)?;
            // The upstream's own port speaks plain HTTP.
            let text = std::fs::read_to_string(&file)?;
            let listening = format!("address: 127.0.0.1:{}", scene.port());
            ensure!(text.contains(&listening), "{text}");
            let text = text.replace(&listening, &format!("address: {}", upstream.authority()));
            std::fs::write(&file, text)?;
            let answer = Diagnosis::of_file(scene, file, variables, Vec::new()).await?;
            ensure_mentions(
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
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let authority = jetway_tests::Authority::create("unknown authority")?;
            let upstream =
                Upstream::start_tls("app", &authority.issue(&["127.0.0.1"])?, None).await?;
            let bad = Route::new(APP, &upstream.address());
            let answer = Diagnosis::make(scene, std::slice::from_ref(&bad), Vec::new()).await?;
            ensure_mentions(
                answer.expect_failure("upstream")?,
                &["TLS fails", "tls_custom_ca_file", "\"line\":"],
            )?;
            let good = bad.key(&format!(
                "tls_custom_ca: {}",
                jetway_tests::inline(&authority.pem())
            ));
            Diagnosis::make(scene, &[good], Vec::new())
                .await?
                .expect_good("upstream")
        },
    )
}

/// A pinned certificate is refused for another reason than its issuer, which is named with what it says.
#[test]
fn the_reason_why_a_pinned_certificate_is_refused_is_named() -> Result<()> {
    run(
        "the_reason_why_a_pinned_certificate_is_refused_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let authority = jetway_tests::Authority::create("pinned authority")?;
            let issued = authority.issue(&["vm.test"])?;
            let upstream = Upstream::start_tls("app", &issued, None).await?;
            let pinned = format!("tls_custom_ca: {}", jetway_tests::inline(&authority.pem()));
            let bad = Route::new(APP, &upstream.address()).key(&pinned);
            let answer = Diagnosis::make(scene, std::slice::from_ref(&bad), Vec::new()).await?;
            ensure_mentions(
                answer.expect_failure("upstream")?,
                &["is for `vm.test`", "tls_server_name: vm.test", "\"line\":"],
            )?;
            let good = bad.key("tls_server_name: vm.test");
            Diagnosis::make(scene, &[good], Vec::new())
                .await?
                .expect_good("upstream")
        },
    )
}

/// Every second connection ends without an answer, as with two servers of which one is dead.
#[test]
fn a_second_server_on_the_address_is_named() -> Result<()> {
    run(
        "a_second_server_on_the_address_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = format!("http://{}", listener.local_addr()?);
            let mut servers = JoinSet::new();
            servers.spawn(async move {
                let mut count = 0_usize;
                while let Ok((stream, _)) = listener.accept().await {
                    count += 1;
                    if count.is_multiple_of(2) {
                        drop(stream);
                    } else {
                        tokio::spawn(answer_once(stream));
                    }
                }
            });
            let routes = [Route::new(APP, &address)];
            let answer = Diagnosis::make(scene, &routes, Vec::new()).await?;
            let found = answer
                .of("failure")
                .find(|finding| finding["check"] == "upstream-connections");
            ensure_mentions(
                found.with_context(|| format!("{:#?}", answer.findings()))?,
                &["2 of 4 new connections fail", "more than one server"],
            )
        },
    )
}

/// Reads the head of a request, and answers with an empty page.
async fn answer_once(mut stream: TcpStream) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let page = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    Ok(stream.write_all(page).await?)
}

/// The application redirects to its own address, and the route can replace it.
#[test]
fn a_redirect_that_no_browser_can_follow_is_named() -> Result<()> {
    run(
        "a_redirect_that_no_browser_can_follow_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let provider = HostileProvider::start(ALICE).await?;
            let inner = provider.registration().issuer;
            let target = format!("{inner}/login");
            provider.order("/", move |_| {
                let mut answer = json_answer(302, &json!({}));
                let location = HeaderValue::from_str(&target).ok()?;
                answer.headers_mut().insert(LOCATION, location);
                Some(answer)
            });
            provider.order("/login", |_| Some(json_answer(200, &json!({}))));
            provider.order("/ping", |_| Some(json_answer(404, &json!({}))));
            let bad = Route::new(APP, &inner);
            let answer = Diagnosis::make(scene, std::slice::from_ref(&bad), Vec::new()).await?;
            ensure_mentions(
                answer.expect_failure("upstream-redirect")?,
                &[
                    "where no browser gets to",
                    "its own address instead of the public one",
                    "preserve_host_header: true",
                ],
            )?;
            let public = scene.url(APP, "")?.origin().ascii_serialization();
            let good = bad.key(&format!(
                "rewrite_response_headers: [{{header: Location, prefix: '{inner}', value: '{public}'}}]"
            ));
            Diagnosis::make(scene, &[good], Vec::new())
                .await?
                .expect_good("upstream")
        },
    )
}

/// A provider that signs by a shared secret only.
#[test]
fn a_provider_with_refused_algorithms_is_named() -> Result<()> {
    run(
        "a_provider_with_refused_algorithms_is_named",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let provider = HostileProvider::start(ALICE).await?;
            let issuer = provider.registration().issuer;
            scene.registration = Some(provider.registration());
            let discovery = "/.well-known/openid-configuration";
            let address = Url::parse(&format!("{issuer}{discovery}"))?;
            let mut document = scene
                .user_agent()
                .fetch(&address)
                .await?
                .expect(200)?
                .json()?;
            let routes = [Route::new(APP, &upstream.address())];
            document["id_token_signing_alg_values_supported"] = json!(["HS256", "none"]);
            provider.order(discovery, move |_| Some(json_answer(200, &document)));
            let answer = Diagnosis::make(scene, &routes, Vec::new()).await?;
            ensure_mentions(
                answer.expect_failure("provider-discovery")?,
                &["HS256, none", "RS256 or ES256"],
            )?;
            Ok(())
        },
    )
}

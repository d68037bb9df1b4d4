//! `jetway doctor`: the listener, certificates, the provider and upstreams. Each fault is named, and good
//! configurations pass.

use anyhow::{Context as _, Result, ensure};
use http::header::{DATE, HeaderValue};
use jetway_tests::{
    ALICE, APP, Diagnosis, HostileProvider, Port, ProxyKind, Route, Scene, Upstream,
    ensure_mentions, json_answer, run,
};
use serde_json::Value;
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

//! TLS between the proxy and its upstreams.

use anyhow::{Context as _, Result};
use jetway_tests::{
    APP, Authority, Issued, ProxyKind, Route, Scene, Upstream, inline, on_both_proxies,
};

on_both_proxies!(upstreams_are_verified_by_their_certificates);

/// The differences between the scenario's routes.
struct Case<'a> {
    path: &'a str,
    to: String,
    keys: String,
    /// Whether the proxy may connect to this upstream.
    passes: bool,
}

/// Upstreams that speak TLS.
struct TlsUpstreams {
    good: Upstream,
    /// An upstream whose certificate has another name than its address.
    named: Upstream,
    /// An upstream whose certificate is from another authority.
    foreign: Upstream,
    /// An upstream that asks for a client certificate.
    strict: Upstream,
}

impl TlsUpstreams {
    /// Returns routes to the upstreams, with all combinations of trust, names and client certificates.
    fn cases(
        &self,
        scene: &Scene,
        [ours, others]: [&Authority; 2],
        [inline_pair, file_pair]: [String; 2],
    ) -> Result<Vec<Case<'static>>> {
        let trust = format!("tls_custom_ca: {}", inline(&ours.pem()));
        let (our_file, other_file) = (
            scene.folder().join("ours.pem"),
            scene.folder().join("others.pem"),
        );
        std::fs::write(&our_file, ours.pem())?;
        std::fs::write(&other_file, others.pem())?;
        let case = |path, to: String, passes, keys: &[&str]| Case {
            path,
            to,
            keys: keys.join("\n"),
            passes,
        };
        let file = format!("tls_custom_ca_file: {}", our_file.display());
        let wrong_file = format!("tls_custom_ca_file: {}", other_file.display());
        let inner = "tls_server_name: inner.example.com";
        Ok(vec![
            case("/inline", self.good.address(), true, &[&trust]),
            case("/file", self.good.address(), true, &[&file]),
            case("/name", self.good.address_as("localhost"), true, &[&trust]),
            case("/unknown", self.good.address(), false, &[]),
            case("/wrong", self.good.address(), false, &[&wrong_file]),
            case("/foreign", self.foreign.address(), false, &[&trust]),
            case(
                "/skip",
                self.foreign.address(),
                true,
                &["tls_skip_verify: true"],
            ),
            case(
                "/skip-name",
                self.named.address(),
                true,
                &["tls_skip_verify: true"],
            ),
            case("/misnamed", self.named.address(), false, &[&trust]),
            case("/called", self.named.address(), true, &[&trust, inner]),
            case(
                "/recalled",
                self.named.address(),
                true,
                &[
                    &trust,
                    "tls_server_name: other.example.com\ntls_upstream_server_name: inner.example.com",
                ],
            ),
            case(
                "/miscalled",
                self.good.address(),
                false,
                &[&trust, "tls_server_name: other.example.com"],
            ),
            case(
                "/without-certificate",
                self.strict.address(),
                false,
                &[&trust],
            ),
            case(
                "/client",
                self.strict.address(),
                true,
                &[&trust, &inline_pair],
            ),
            case(
                "/client-file",
                self.strict.address(),
                true,
                &[&trust, &file_pair],
            ),
        ])
    }

    /// Checks the server names and certificates that the upstreams have seen.
    fn judge_handshakes(&self, client: &Issued) -> Result<()> {
        for seen in self.named.take() {
            let tls = seen.tls.clone().context("it came over TLS")?;
            if seen.target != "/skip-name" {
                let name = tls.server_name.as_deref();
                assert_eq!(name, Some("inner.example.com"), "{}", seen.target);
            }
        }
        for seen in self.strict.take() {
            let tls = seen.tls.clone().context("it came over TLS")?;
            assert_eq!(
                tls.client.as_ref(),
                Some(&client.certificate),
                "{}",
                seen.target
            );
            assert_eq!(seen.value("host")?, self.strict.authority());
        }
        for seen in self.good.take() {
            let expected = (seen.target == "/name").then(|| "localhost".to_owned());
            let name = seen.tls.context("it came over TLS")?.server_name;
            assert_eq!(
                name, expected,
                "an address is no server name: {}",
                seen.target
            );
        }
        Ok(())
    }
}

async fn upstreams_are_verified_by_their_certificates(scene: &mut Scene) -> Result<()> {
    let (ours, others) = (
        Authority::create("upstreams' authority")?,
        Authority::create("another authority")?,
    );
    let client = ours.issue(&["jetway.example.com"])?;
    let here = ["127.0.0.1", "localhost"];
    let upstreams = TlsUpstreams {
        good: Upstream::start_tls("good", &ours.issue(&here)?, None).await?,
        named: Upstream::start_tls("named", &ours.issue(&["inner.example.com"])?, None).await?,
        foreign: Upstream::start_tls("foreign", &others.issue(&here)?, None).await?,
        strict: Upstream::start_tls("strict", &ours.issue(&here)?, Some(&ours)).await?,
    };
    let pairs = shown_certificates(scene, &client, &upstreams.strict)?;
    let cases = upstreams.cases(scene, [&ours, &others], pairs)?;
    let routes: Vec<Route> = cases
        .iter()
        .map(|case| {
            Route::new(APP, &case.to)
                .key(&format!("path: {}", case.path))
                .public()
                .key(&case.keys)
        })
        .collect();
    let _proxy = scene.serve(&routes).await?;

    let mut user_agent = scene.user_agent();
    for case in &cases {
        let answer = user_agent.fetch(&scene.url(APP, case.path)?).await?;
        if case.passes {
            answer.expect(200).with_context(|| case.path.to_owned())?;
        } else {
            answer.expect(503).with_context(|| case.path.to_owned())?;
        }
    }
    upstreams.judge_handshakes(&client)
}

/// Returns the keys by which a route shows a certificate to its upstream: with the certificate and key inline, and in files
/// of their own. Envoy has them in files in both cases.
fn shown_certificates(scene: &Scene, client: &Issued, strict: &Upstream) -> Result<[String; 2]> {
    let (chain, key) = client.write(scene.folder(), "upstream-client")?;
    let [inline_pair, file_pair] = [
        format!(
            "tls_client_cert: {}\ntls_client_key: {}",
            inline(&client.chain),
            inline(&client.key)
        ),
        format!(
            "tls_client_cert_file: {}\ntls_client_key_file: {}",
            chain.display(),
            key.display()
        ),
    ];

    // An inline key would be written into Envoy's file, so `envoy-config` refuses it.
    let inline_pair = match scene.kind {
        ProxyKind::Host => inline_pair,
        ProxyKind::Envoy => {
            let route = Route::new(APP, &strict.address()).key(&inline_pair);
            let refusal = scene.jetway("envoy-config", &[route]);
            let refusal = refusal.err().context("a private key is written down")?;
            let words = refusal.root_cause().to_string();
            assert!(words.contains("tls_client_key_file"), "{words}");
            file_pair.clone()
        }
    };
    Ok([inline_pair, file_pair])
}

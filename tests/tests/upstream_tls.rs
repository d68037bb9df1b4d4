//! TLS between the proxy and its upstreams.

use anyhow::{Context as _, Result};
use jetway_tests::{
    APP, Authority, Issued, ProxyKind, Route, Scene, Upstream, inline, on_both_proxies,
};

on_both_proxies!(upstreams_are_believed_by_their_certificates);

/// What the scenario's routes differ in.
struct Case<'a> {
    path: &'a str,
    to: String,
    keys: String,
    /// Whether the proxy may talk to this upstream.
    passes: bool,
}

async fn upstreams_are_believed_by_their_certificates(scene: &mut Scene) -> Result<()> {
    let (ours, others) = (
        Authority::create("upstreams' authority")?,
        Authority::create("another authority")?,
    );
    let client = ours.issue(&["jetway.example.com"])?;
    let here = ["127.0.0.1", "localhost"];
    let good = Upstream::start_tls("good", &ours.issue(&here)?, None).await?;
    let named = Upstream::start_tls("named", &ours.issue(&["inner.example.com"])?, None).await?;
    let foreign = Upstream::start_tls("foreign", &others.issue(&here)?, None).await?;
    let strict = Upstream::start_tls("strict", &ours.issue(&here)?, Some(&ours)).await?;

    let trust = format!("tls_custom_ca: {}", inline(&ours.pem()));
    let (our_file, other_file) = (
        scene.folder().join("ours.pem"),
        scene.folder().join("others.pem"),
    );
    std::fs::write(&our_file, ours.pem())?;
    std::fs::write(&other_file, others.pem())?;
    let [inline_pair, file_pair] = shown_certificates(scene, &client)?;
    // A key within the file would stand in Envoy's file, too.
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
    let case = |path, to: String, passes, keys: &[&str]| Case {
        path,
        to,
        keys: keys.join("\n"),
        passes,
    };
    let file = format!("tls_custom_ca_file: {}", our_file.display());
    let wrong_file = format!("tls_custom_ca_file: {}", other_file.display());
    let inner = "tls_server_name: inner.example.com";
    let cases = [
        case("/inline", good.address(), true, &[&trust]),
        case("/file", good.address(), true, &[&file]),
        case("/name", good.address_as("localhost"), true, &[&trust]),
        case("/unknown", good.address(), false, &[]),
        case("/wrong", good.address(), false, &[&wrong_file]),
        case("/foreign", foreign.address(), false, &[&trust]),
        case("/skip", foreign.address(), true, &["tls_skip_verify: true"]),
        case(
            "/skip-name",
            named.address(),
            true,
            &["tls_skip_verify: true"],
        ),
        case("/misnamed", named.address(), false, &[&trust]),
        case("/called", named.address(), true, &[&trust, inner]),
        case(
            "/recalled",
            named.address(),
            true,
            &[
                &trust,
                "tls_server_name: other.example.com\ntls_upstream_server_name: inner.example.com",
            ],
        ),
        case(
            "/miscalled",
            good.address(),
            false,
            &[&trust, "tls_server_name: other.example.com"],
        ),
        case("/nobody", strict.address(), false, &[&trust]),
        case("/client", strict.address(), true, &[&trust, &inline_pair]),
        case(
            "/client-file",
            strict.address(),
            true,
            &[&trust, &file_pair],
        ),
    ];
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

    let mut visitor = scene.visitor();
    for case in &cases {
        let answer = visitor.fetch(&scene.url(APP, case.path)?).await?;
        if case.passes {
            answer.expect(200).with_context(|| case.path.to_owned())?;
        } else {
            answer.expect(503).with_context(|| case.path.to_owned())?;
        }
    }
    for seen in named.take() {
        let tls = seen.tls.clone().context("it came over TLS")?;
        if seen.target != "/skip-name" {
            let name = tls.server_name.as_deref();
            assert_eq!(name, Some("inner.example.com"), "{}", seen.target);
        }
    }
    for seen in strict.take() {
        let tls = seen.tls.clone().context("it came over TLS")?;
        assert_eq!(
            tls.client.as_ref(),
            Some(&client.certificate),
            "{}",
            seen.target
        );
        assert_eq!(seen.value("host")?, strict.authority());
    }
    for seen in good.take() {
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

/// The keys by which a route shows a certificate to its upstream: in the file, and in files of their own.
fn shown_certificates(scene: &Scene, client: &Issued) -> Result<[String; 2]> {
    let (chain, key) = client.write(scene.folder(), "upstream-client")?;
    Ok([
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
    ])
}

//! Certificates that visitors show.

use anyhow::Result;
use http::HeaderMap;
use http::Method;
use jetway_tests::{
    ALICE, APP, Authority, Dialer, Issued, Route, Scene, Upstream, inline, on_both_proxies,
};

on_both_proxies!(visitors_show_certificates);

/// The status of an anonymous answer, or nothing when the connection ends without one.
async fn status(scene: &Scene, dialer: &Dialer, path: &str) -> Result<Option<u16>> {
    let mut visitor = scene.visitor();
    visitor.connect_through(dialer.clone());
    let answer = visitor.fetch(&scene.url(APP, path)?).await;
    Ok(answer.ok().map(|answer| answer.status.as_u16()))
}

async fn visitors_show_certificates(scene: &mut Scene) -> Result<()> {
    let (ours, others) = (
        Authority::create("visitors' authority")?,
        Authority::create("visitors' authority")?,
    );
    let alice = ours.issue(&[ALICE, "alice.example.com"])?;
    let bob = ours.issue(&["bob.example.com"])?;
    let stranger = others.issue(&[ALICE])?;
    let upstream = Upstream::start("app").await?;
    let routes = routes(&upstream, &alice);
    let nobody = scene.dialer.clone();
    let [as_alice, as_bob, as_stranger] =
        [&alice, &bob, &stranger].map(|identity| nobody.showing(identity));

    let file = scene.folder().join("visitors.pem");
    std::fs::write(&file, ours.pem())?;
    scene.keys = format!("downstream_mtls: {{ca_file: {}}}", file.display());
    let proxy = scene.serve(&routes).await?;
    for (dialer, path, expected) in [
        (&nobody, "/any", 495),
        (&nobody, "/own", 495),
        (&nobody, "/named", 495),
        (&as_alice, "/any", 200),
        (&as_alice, "/own", 200),
        (&as_alice, "/named", 200),
        (&as_bob, "/any", 200),
        (&as_bob, "/own", 403),
        (&as_bob, "/named", 403),
    ] {
        assert_eq!(status(scene, dialer, path).await?, Some(expected), "{path}");
    }
    for path in ["/any", "/own", "/named"] {
        let status = status(scene, &as_stranger, path).await?;
        assert_eq!(status, None, "a certificate of another authority on {path}");
    }
    upstream.take();
    status(scene, &as_alice, "/any").await?;
    let seen = upstream.take_one()?;
    assert!(
        seen.values("x-forwarded-client-cert").is_empty(),
        "{seen:?}"
    );
    assert_eq!(seen.value("x-fingerprint")?, alice.fingerprint());
    assert_eq!(seen.value("x-names")?, "alice.example.com");
    assert_eq!(seen.value("x-emails")?, ALICE);

    // A certificate is shown in the handshake and nowhere else.
    let mut headers = HeaderMap::new();
    let encoded: String = url::form_urlencoded::byte_serialize(alice.chain.as_bytes()).collect();
    let forged = format!("Hash={};Cert=\"{encoded}\"", alice.fingerprint());
    headers.insert("x-forwarded-client-cert", forged.parse()?);
    for dialer in [&nobody, &as_bob] {
        let mut visitor = scene.visitor();
        visitor.connect_through(dialer.clone());
        let url = scene.url(APP, "/own")?;
        let answer = visitor
            .send(Method::GET, &url, headers.clone(), bytes::Bytes::new())
            .await?;
        assert!(matches!(answer.status.as_u16(), 403 | 495), "{answer:?}");
    }
    assert!(upstream.take().is_empty());
    drop(proxy);

    // Only the routes' own policies ask for a certificate, and one was revoked.
    let lost = ours.issue(&[ALICE])?;
    let as_lost = nobody.showing(&lost);
    scene.keys = format!(
        "downstream_mtls: {{ca: {}, crl: {}, enforcement: policy}}",
        inline(&ours.pem()),
        inline(&ours.revoke(&[&lost])?)
    );
    let proxy = scene.serve(&routes).await?;
    for (dialer, path, expected) in [
        (&nobody, "/any", Some(200)),
        (&nobody, "/own", Some(403)),
        (&as_alice, "/own", Some(200)),
        (&as_bob, "/own", Some(403)),
        (&as_stranger, "/any", None),
        (&as_lost, "/any", None),
        (&as_lost, "/named", None),
    ] {
        assert_eq!(status(scene, dialer, path).await?, expected, "{path}");
    }
    drop(proxy);

    // No connection without one.
    scene.keys = format!(
        "downstream_mtls: {{ca_file: {}, enforcement: reject_connection}}",
        file.display()
    );
    scene.dialer = as_alice.clone();
    let _proxy = scene.serve(&routes).await?;
    assert_eq!(status(scene, &nobody, "/any").await?, None);
    assert_eq!(status(scene, &as_stranger, "/any").await?, None);
    assert_eq!(status(scene, &as_alice, "/own").await?, Some(200));
    Ok(())
}

fn routes(upstream: &Upstream, alice: &Issued) -> [Route; 3] {
    let route = |prefix: &str| Route::new(APP, &upstream.address()).prefix(prefix);
    [
        route("/any").public().key(
            "set_request_headers:\n  X-Fingerprint: '${pomerium.client_cert_fingerprint}'\n  \
             X-Names: '${pomerium.client_cert_san_dns}'\n  X-Emails: '${pomerium.client_cert_san_email}'",
        ),
        route("/own").policy(&format!(
            "- allow: {{and: [client_certificate: {{fingerprint: {}}}]}}",
            alice.fingerprint()
        )),
        route("/named").policy(&format!(
            "- allow: {{and: [client_certificate: {{san_email: {{is: {ALICE}}}}}]}}"
        )),
    ]
}

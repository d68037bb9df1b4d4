//! Client certificates.

use std::path::PathBuf;

use anyhow::Result;
use http::HeaderMap;
use http::Method;
use jetway_tests::{
    ALICE, APP, Authority, Dialer, Issued, Route, Scene, Upstream, inline, on_both_proxies,
};

on_both_proxies!(
    routes_ask_for_certificates,
    policies_ask_for_certificates_and_revoked_ones_are_refused,
    connections_without_a_certificate_are_rejected,
);

/// Returns the status of an anonymous response, or `None` when the connection ends without one.
async fn status(scene: &Scene, dialer: &Dialer, path: &str) -> Result<Option<u16>> {
    let mut user_agent = scene.user_agent();
    user_agent.connect_through(dialer.clone());
    let answer = user_agent.fetch(&scene.url(APP, path)?).await;
    Ok(answer.ok().map(|answer| answer.status.as_u16()))
}

/// The clients of the scenarios: with Alice's, Bob's and a foreign authority's certificate, and with none.
struct Clients {
    authority: Authority,
    /// File with the authority of Alice's and Bob's certificates.
    file: PathBuf,
    alice: Issued,
    none: Dialer,
    as_alice: Dialer,
    as_bob: Dialer,
    as_stranger: Dialer,
}

impl Clients {
    fn create(scene: &Scene) -> Result<Self> {
        let authority = Authority::create("clients' authority")?;
        let foreign = Authority::create("clients' authority")?;
        let alice = authority.issue(&[ALICE, "alice.example.com"])?;
        let bob = authority.issue(&["bob.example.com"])?;
        let stranger = foreign.issue(&[ALICE])?;
        let none = scene.dialer.clone();
        let [as_alice, as_bob, as_stranger] =
            [&alice, &bob, &stranger].map(|identity| none.showing(identity));
        let file = scene.folder().join("clients.pem");
        std::fs::write(&file, authority.pem())?;
        Ok(Self {
            authority,
            file,
            alice,
            none,
            as_alice,
            as_bob,
            as_stranger,
        })
    }
}

async fn routes_ask_for_certificates(scene: &mut Scene) -> Result<()> {
    let clients = Clients::create(scene)?;
    let upstream = Upstream::start("app").await?;
    let routes = routes(&upstream, &clients.alice);
    scene.keys = format!("downstream_mtls: {{ca_file: {}}}", clients.file.display());
    let _proxy = scene.serve(&routes).await?;
    for (dialer, path, expected) in [
        (&clients.none, "/any", 495),
        (&clients.none, "/own", 495),
        (&clients.none, "/named", 495),
        (&clients.as_alice, "/any", 200),
        (&clients.as_alice, "/own", 200),
        (&clients.as_alice, "/named", 200),
        (&clients.as_bob, "/any", 200),
        (&clients.as_bob, "/own", 403),
        (&clients.as_bob, "/named", 403),
    ] {
        assert_eq!(status(scene, dialer, path).await?, Some(expected), "{path}");
    }
    for path in ["/any", "/own", "/named"] {
        let status = status(scene, &clients.as_stranger, path).await?;
        assert_eq!(status, None, "a certificate of another authority on {path}");
    }
    upstream.take();
    upstream_sees_only_chosen_headers(scene, &clients, &upstream).await?;
    a_forwarded_certificate_header_proves_nothing(scene, &clients, &upstream).await
}

async fn upstream_sees_only_chosen_headers(
    scene: &Scene,
    clients: &Clients,
    upstream: &Upstream,
) -> Result<()> {
    status(scene, &clients.as_alice, "/any").await?;
    let seen = upstream.take_one()?;
    assert!(
        seen.values("x-forwarded-client-cert").is_empty(),
        "{seen:?}"
    );
    assert_eq!(seen.value("x-fingerprint")?, clients.alice.fingerprint());
    assert_eq!(seen.value("x-names")?, "alice.example.com");
    assert_eq!(seen.value("x-emails")?, ALICE);
    Ok(())
}

/// A certificate counts only when the client has shown it in the handshake.
async fn a_forwarded_certificate_header_proves_nothing(
    scene: &Scene,
    clients: &Clients,
    upstream: &Upstream,
) -> Result<()> {
    let alice = &clients.alice;
    let mut headers = HeaderMap::new();
    let encoded: String = url::form_urlencoded::byte_serialize(alice.chain.as_bytes()).collect();
    let forged = format!("Hash={};Cert=\"{encoded}\"", alice.fingerprint());
    headers.insert("x-forwarded-client-cert", forged.parse()?);
    for dialer in [&clients.none, &clients.as_bob] {
        let mut user_agent = scene.user_agent();
        user_agent.connect_through(dialer.clone());
        let url = scene.url(APP, "/own")?;
        let answer = user_agent
            .send(Method::GET, &url, headers.clone(), bytes::Bytes::new())
            .await?;
        assert!(matches!(answer.status.as_u16(), 403 | 495), "{answer:?}");
    }
    assert!(upstream.take().is_empty());
    Ok(())
}

async fn policies_ask_for_certificates_and_revoked_ones_are_refused(
    scene: &mut Scene,
) -> Result<()> {
    let clients = Clients::create(scene)?;
    let upstream = Upstream::start("app").await?;
    let lost = clients.authority.issue(&[ALICE])?;
    let as_lost = clients.none.showing(&lost);
    scene.keys = format!(
        "downstream_mtls: {{ca: {}, crl: {}, enforcement: policy}}",
        inline(&clients.authority.pem()),
        inline(&clients.authority.revoke(&[&lost])?)
    );
    let _proxy = scene.serve(&routes(&upstream, &clients.alice)).await?;
    for (dialer, path, expected) in [
        (&clients.none, "/any", Some(200)),
        (&clients.none, "/own", Some(403)),
        (&clients.as_alice, "/own", Some(200)),
        (&clients.as_bob, "/own", Some(403)),
        (&clients.as_stranger, "/any", None),
        (&as_lost, "/any", None),
        (&as_lost, "/named", None),
    ] {
        assert_eq!(status(scene, dialer, path).await?, expected, "{path}");
    }
    Ok(())
}

async fn connections_without_a_certificate_are_rejected(scene: &mut Scene) -> Result<()> {
    let clients = Clients::create(scene)?;
    let upstream = Upstream::start("app").await?;
    scene.keys = format!(
        "downstream_mtls: {{ca_file: {}, enforcement: reject_connection}}",
        clients.file.display()
    );
    scene.dialer = clients.as_alice.clone();
    let _proxy = scene.serve(&routes(&upstream, &clients.alice)).await?;
    assert_eq!(status(scene, &clients.none, "/any").await?, None);
    assert_eq!(status(scene, &clients.as_stranger, "/any").await?, None);
    assert_eq!(status(scene, &clients.as_alice, "/own").await?, Some(200));
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

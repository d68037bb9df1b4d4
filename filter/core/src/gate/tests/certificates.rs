//! Client certificates, as policies and upstreams see them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::world::{HTML, Headers, World, request, status};
use crate::contract::CLIENT_CERTIFICATE_HEADER;
use crate::testing::{CLIENT_CERTIFICATE, CLIENT_FINGERPRINT, certificate_header};

/// Returns a configuration with one route that asks clients for certificates.
fn asking(policy: &Value, enforcement: &str) -> Value {
    let authority = STANDARD.encode(CLIENT_CERTIFICATE);
    json!({
        "downstream_mtls": {"ca": authority, "enforcement": enforcement},
        "routes": [{"from": "https://app.test", "to": "http://up", "policy": policy,
            "set_request_headers": {
                "X-Fingerprint": "$pomerium.client_cert_fingerprint",
                "X-Names": "${pomerium.client_cert_san_dns}",
                "X-Mails": "${pomerium.client_cert_san_email}",
            }}],
    })
}

fn with_certificate(header: Option<&[u8]>) -> Headers {
    let mut headers = request("GET", "app.test", "/", &[HTML]);
    let shown = header.map(|value| (CLIENT_CERTIFICATE_HEADER.to_owned(), value.to_vec()));
    headers.extend(shown);
    headers
}

fn everybody() -> Value {
    json!({"allow": {"or": [{"accept": true}]}})
}

#[test]
fn policies_judge_the_certificate() {
    let laptop =
        json!({"allow": {"or": [{"client_certificate": {"fingerprint": CLIENT_FINGERPRINT}}]}});
    let other =
        json!({"allow": {"or": [{"client_certificate": {"fingerprint": "00".repeat(32)}}]}});
    let good = certificate_header(CLIENT_CERTIFICATE);
    for (policy, enforcement, header, expected) in [
        (&laptop, "policy", Some(good.as_slice()), 200),
        (&other, "policy", Some(&good), 403),
        (&laptop, "policy", None, 403),
        (&everybody(), "policy", None, 200),
        (&everybody(), "policy_with_default_deny", Some(&good), 200),
        (&everybody(), "policy_with_default_deny", None, 495),
        (
            &everybody(),
            "policy_with_default_deny",
            Some(b"Cert=x"),
            495,
        ),
    ] {
        let mut world = World::with(&asking(policy, enforcement));
        let step = world.begin(&with_certificate(header));
        assert_eq!(status(&step), expected, "{policy} {enforcement} {header:?}");
    }
}

#[test]
fn two_certificates_are_none() {
    let mut world = World::with(&asking(&everybody(), "policy_with_default_deny"));
    let good = certificate_header(CLIENT_CERTIFICATE);
    let mut headers = with_certificate(Some(&good));
    headers.push((CLIENT_CERTIFICATE_HEADER.to_owned(), good.clone()));
    assert_eq!(status(&world.begin(&headers)), 495);
    let joined = [good.as_slice(), b",", &good].concat();
    assert_eq!(status(&world.begin(&with_certificate(Some(&joined)))), 495);
}

#[test]
fn upstreams_are_told_what_the_file_says_and_nothing_else() {
    let mut world = World::with(&asking(&everybody(), "policy"));
    let good = certificate_header(CLIENT_CERTIFICATE);
    let seen = world.upstream(&with_certificate(Some(&good)));
    assert_eq!(
        seen.get("x-fingerprint").as_deref(),
        Some(CLIENT_FINGERPRINT)
    );
    assert_eq!(
        seen.get("x-names").as_deref(),
        Some("laptop.corp.test,*.corp.test")
    );
    assert_eq!(seen.get("x-mails").as_deref(), Some("alice@corp.test"));
    assert!(!seen.has_like(CLIENT_CERTIFICATE_HEADER));
    let seen = world.upstream(&with_certificate(None));
    assert_eq!(seen.get("x-fingerprint").as_deref(), Some(""));
}

#[test]
fn without_an_authority_the_header_is_only_removed() {
    let mut file = asking(&everybody(), "policy");
    file.as_object_mut().unwrap().remove("downstream_mtls");
    let mut world = World::with(&file);
    let mut headers = with_certificate(Some(&certificate_header(CLIENT_CERTIFICATE)));
    headers.push(("x_forwarded_client_cert".to_owned(), b"Cert=y".to_vec()));
    let seen = world.upstream(&headers);
    assert!(!seen.has_like(CLIENT_CERTIFICATE_HEADER), "{seen:?}");
    assert_eq!(seen.get("x-fingerprint").as_deref(), Some(""));
}

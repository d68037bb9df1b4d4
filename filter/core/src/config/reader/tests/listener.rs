//! Listening, certificates and client certificates.

use serde_json::{Value, json};

use super::{guide, merged, read, with};
use crate::config::{Listener, Pem};
use crate::policy::Policy;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
const LIST: &str = "-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n";

fn coded(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

/// The guide's file with further keys at its top.
fn topped(keys: &Value) -> Value {
    let mut file = guide();
    let object = file.as_object_mut().unwrap();
    object.extend(keys.as_object().unwrap().clone());
    file
}

fn listener(keys: Value) -> Listener {
    read(&topped(&keys)).unwrap().config.listener
}

#[test]
fn certificates_by_file_and_inline() {
    let listener = listener(json!({
        "certificate": coded(CERTIFICATE),
        "certificate_key": coded(KEY),
        "Certificates": [{"Cert": "c.pem", "key": "k.pem"}, {"cert": coded(CERTIFICATE), "KEY": KEY}],
    }));
    let forms: Vec<bool> = listener
        .certificates
        .iter()
        .map(|pair| matches!((&pair.certificate, &pair.key), (Pem::Text(_), Pem::Text(_))))
        .collect();
    assert_eq!(forms, [true, false, true]);
    assert_eq!(listener.certificates[1].key, Pem::File("k.pem".to_owned()));
    assert!(!format!("{listener:?}").contains("AA=="));
}

#[test]
fn what_a_listener_can_be() {
    let listener = listener(json!({
        "address": "127.0.0.1:8443", "insecure_server": "true", "use_proxy_protocol": true,
        "xff_num_trusted_hops": "2", "timeout_idle": "1m",
    }));
    assert!(listener.insecure && listener.proxy_protocol);
    assert_eq!(
        (listener.trusted_hops, listener.idle_timeout.as_secs()),
        (2, 60)
    );
    for (keys, message) in [
        (
            json!({"certificate": CERTIFICATE}),
            "a certificate without its key",
        ),
        (
            json!({"certificate_key_file": "k.pem"}),
            "a key without its certificate",
        ),
        (
            json!({"certificate": KEY, "certificate_key": KEY}),
            "not a certificate",
        ),
        (
            json!({"certificate": CERTIFICATE, "certificate_file": "c", "certificate_key_file": "k"}),
            "both",
        ),
        (json!({"certificates": {"cert": "c"}}), "must be a list"),
        (
            json!({"certificates": [{"cert": "c"}]}),
            "needs `cert` and `key`",
        ),
        (
            json!({"certificates": [{"cert": KEY, "key": KEY}]}),
            "not a certificate",
        ),
        (json!({"address": "443"}), "not a listening address"),
        (json!({"timeout_idle": 300}), "a duration with a unit"),
        (
            json!({"downstream_mtls": {"ca_file": "a"}, "insecure_server": true}),
            "need TLS",
        ),
        (
            json!({"downstream_mtls": {"crl_file": "a"}}),
            "needs the authorities",
        ),
        (
            json!({"downstream_mtls": {"ca": "eA=="}}),
            "not a certificate",
        ),
        (
            json!({"downstream_mtls": {"ca_file": "a", "crl": CERTIFICATE}}),
            "not a revocation list",
        ),
        (
            json!({"downstream_mtls": {"ca_file": "a", "max_verify_depth": 2}}),
            "can only be 1",
        ),
        (
            json!({"downstream_mtls": {"ca_file": "a", "enforcement": "none"}}),
            "not a value of `enforcement`",
        ),
        (
            json!({"downstream_mtls": {"ca_file": "a", "match_subject_alt_names": [{"dns": "x"}]}}),
            "is not supported",
        ),
    ] {
        let error = read(&topped(&keys)).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{keys}: {error}");
        assert!(
            error.problems[0].message.contains(message),
            "{keys}: {error}"
        );
        assert!(error.problems[0].help.is_some(), "{error}");
        assert!(!error.to_string().contains("AA=="), "{error}");
    }
}

#[test]
fn client_certificates() {
    let mtls = |keys: Value| {
        let config = read(&topped(&json!({"downstream_mtls": keys})))
            .unwrap()
            .config;
        let policy: &Policy = &config.routes[0].policy;
        let denies = policy.asks_for_certificate();
        (config.listener.client_authority.unwrap(), denies)
    };
    let (authority, denies) =
        mtls(json!({"CA_file": "ca.pem", "crl": coded(LIST), "max_verify_depth": 1}));
    assert_eq!(authority.authorities, Pem::File("ca.pem".to_owned()));
    assert!(authority.revoked.is_some() && !authority.required && denies);
    let (authority, denies) = mtls(json!({"ca": coded(CERTIFICATE), "enforcement": "POLICY"}));
    assert!(!authority.required && !denies);
    let (authority, denies) = mtls(json!({"ca": CERTIFICATE, "enforcement": "reject_connection"}));
    assert!(authority.required && denies);
    assert!(
        read(&guide())
            .unwrap()
            .config
            .listener
            .client_authority
            .is_none()
    );
}

#[test]
fn a_policy_about_certificates_that_nobody_asks_for() {
    for criterion in [
        json!({"invalid_client_certificate": true}),
        json!({"client_certificate": {"san_dns": "x"}}),
    ] {
        let policy = json!([{"deny": {"or": [criterion]}}, {"allow": {"or": [{"accept": true}]}}]);
        let file = merged(json!({"policy": policy}));
        let warnings = read(&file).unwrap().warnings;
        assert!(
            warnings[0].message.contains("none are requested"),
            "{warnings:?}"
        );
        let mut asked = file;
        asked["downstream_mtls"] = json!({"ca_file": "x"});
        assert_eq!(read(&asked).unwrap().warnings, []);
    }
}

#[test]
fn keys_are_found_in_any_case() {
    let listener = read(&with(
        "/DownStream_MTLS",
        json!({"Ca_File": "x", "Enforcement": "policy"}),
    ));
    assert!(listener.unwrap().config.listener.client_authority.is_some());
}

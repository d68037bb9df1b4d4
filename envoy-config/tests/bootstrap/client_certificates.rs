//! Certificates that clients show.

use super::*;

fn mtls(settings: Value) -> Value {
    written(&with("downstream_mtls", settings))
}

fn socket(envoy: &Value) -> &Value {
    &listener(envoy)["filter_chains"][0]["transport_socket"]["typed_config"]
}

#[test]
fn nobody_is_asked_unless_the_file_says_so_and_nobody_can_claim_one() {
    let envoy = written(&file());
    assert_eq!(
        socket(&envoy)["common_tls_context"]["validation_context"],
        Value::Null
    );
    assert_eq!(socket(&envoy)["require_client_certificate"], Value::Null);
    assert_eq!(http(&envoy)["forward_client_cert_details"], "SANITIZE");
    assert_eq!(http(&envoy)["set_current_client_cert_details"], Value::Null);
    assert!(removed(&envoy).contains(&json!("x-forwarded-client-cert")));
}

fn removed(envoy: &Value) -> &Vec<Value> {
    host(envoy)["request_headers_to_remove"].as_array().unwrap()
}

#[test]
fn the_module_sees_a_certificate_that_was_shown_and_upstreams_do_not() {
    let envoy = mtls(json!({ "ca_file": "/tls/clients.pem" }));
    assert_eq!(
        socket(&envoy)["common_tls_context"]["validation_context"],
        json!({ "trusted_ca": { "filename": "/tls/clients.pem" }, "max_verify_depth": 1 })
    );
    assert_eq!(http(&envoy)["forward_client_cert_details"], "SANITIZE_SET");
    assert_eq!(
        http(&envoy)["set_current_client_cert_details"],
        json!({ "cert": true })
    );
    assert!(removed(&envoy).contains(&json!("x-forwarded-client-cert")));
}

#[test]
fn only_rejecting_connections_requires_one() {
    for (enforcement, required) in [
        ("policy", false),
        ("policy_with_default_deny", false),
        ("reject_connection", true),
    ] {
        let envoy = mtls(json!({ "ca_file": "/tls/clients.pem", "enforcement": enforcement }));
        assert_eq!(
            socket(&envoy)["require_client_certificate"],
            required,
            "{enforcement}"
        );
    }
}

#[test]
fn authorities_and_revocation_lists_may_stand_in_the_file() {
    let envoy = mtls(json!({ "ca": format!("{KEY}\n{CERTIFICATE}"), "crl": LIST }));
    assert_eq!(
        socket(&envoy)["common_tls_context"]["validation_context"],
        json!({
            "trusted_ca": { "inline_string": CERTIFICATE },
            "max_verify_depth": 1,
            "crl": { "inline_string": LIST },
            "only_verify_leaf_cert_crl": true,
        })
    );
    let envoy = mtls(json!({ "ca": CERTIFICATE, "crl_file": "/tls/revoked.pem" }));
    assert_eq!(
        socket(&envoy)["common_tls_context"]["validation_context"]["crl"],
        json!({ "filename": "/tls/revoked.pem" })
    );
}

//! The identity that upstreams get, and its secrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};

use super::{SECRET, guide, merged, read, with, without};
use crate::config::Config;

fn claim_headers(value: Value) -> Result<Vec<(String, String)>, String> {
    match read(&with("/jwt_claims_headers", value)) {
        Ok(loaded) => Ok(loaded.config.identity.claim_headers),
        Err(error) => Err(error.problems[0].to_string()),
    }
}

/// N-16.
#[test]
fn n_16_headers_can_be_reserved() {
    let reserve = |value: Value| match read(&with("/reserved_request_headers", value)) {
        Ok(loaded) => Ok(loaded.config.identity.reserved_headers),
        Err(error) => Err(error.problems[0].to_string()),
    };
    let named = vec!["x-tenant".to_owned(), "x-company-*".to_owned()];
    for value in [
        json!(["X-Tenant", "X-Company-*"]),
        json!("x-tenant, X-COMPANY-*"),
    ] {
        assert_eq!(reserve(value), Ok(named.clone()));
    }
    for (value, message) in [
        (json!(["a b"]), "not a header name"),
        (json!(["Cookie"]), "remove_request_headers"),
        (json!(["*"]), "remove_request_headers"),
        (json!(["X-Forwarded-For"]), "set by the proxy"),
        (json!(["Host"]), "cannot be changed as a header"),
        (json!(["Connection"]), "belongs to the connection"),
        (json!(vec!["x"; 100]), "more than 64"),
    ] {
        let refused = reserve(value.clone()).unwrap_err();
        assert!(refused.contains(message), "{value}: {refused}");
    }
}

#[test]
fn headers_that_carry_claims() {
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = list
            .iter()
            .map(|(name, claim)| ((*name).to_owned(), (*claim).to_owned()));
        owned.collect()
    };
    let usual = pairs(&[
        ("x-pomerium-claim-email", "email"),
        ("x-pomerium-claim-family-name", "family_name"),
    ]);
    let own = pairs(&[("x-email", "email"), ("x-roles", "https://ns/Roles")]);
    for (value, expected) in [
        (json!(["email", "family_name"]), &usual),
        (json!("email, family_name"), &usual),
        (
            json!({"X-Email": "email", "X-Roles": "https://ns/Roles"}),
            &own,
        ),
        (
            json!("{\"X-Email\": \"email\", \"X-Roles\": \"https://ns/Roles\"}"),
            &own,
        ),
        (json!([]), &Vec::new()),
    ] {
        assert_eq!(
            claim_headers(value.clone()).as_ref(),
            Ok(expected),
            "{value}"
        );
    }
    for (value, message) in [
        (json!(["https://ns/roles"]), "not a header name"),
        (json!(["a_b", "a-b"]), "two claims for the header"),
        (json!({"a b": "email"}), "not a header name"),
        (json!({"X-A": ""}), "carries no claim"),
        (json!({"Host": "email"}), "cannot be changed as a header"),
        (json!("{\"X-A\": "), "must be a map"),
        (json!(7), "a list of strings"),
        (json!(vec!["x"; 100]), "more than 64"),
    ] {
        let refused = claim_headers(value.clone()).unwrap_err();
        assert!(refused.contains(message), "{value}: {refused}");
    }
}

#[test]
fn a_key_signs_when_it_is_needed() {
    assert!(
        read(&guide())
            .unwrap()
            .config
            .identity
            .signing_key
            .is_some(),
        "derived"
    );
    let public = json!({"allow": {"or": [{"accept": true}]}});
    for keys in [
        json!({"policy": public, "pass_identity_headers": true}),
        json!({"policy": public, "set_request_headers": {"a": "b ${pomerium.jwt}"}}),
    ] {
        let mut file = merged(keys);
        file.as_object_mut()
            .unwrap()
            .retain(|key, _| key == "routes");
        let error = read(&file).unwrap_err();
        assert_eq!(error.problems[0].path, "signing_key", "{error}");
    }
    let mut file = merged(json!({"policy": public}));
    file.as_object_mut()
        .unwrap()
        .retain(|key, _| key == "routes");
    assert!(read(&file).unwrap().config.identity.signing_key.is_none());
}

#[test]
fn a_key_of_the_file_signs() {
    let key = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let coded = STANDARD.encode(pem.as_bytes());
    let identity = |file: &Value| read(file).unwrap().config.identity;
    let derived = identity(&guide()).signing_key.unwrap();
    for text in [pem.as_str(), coded.as_str()] {
        let identity = identity(&with("/signing_key", json!(text)));
        assert_ne!(identity.signing_key.unwrap().id(), derived.id());
        assert_eq!(identity.signing_key_text.unwrap().expose(), text.as_bytes());
    }
}

#[test]
fn a_key_that_cannot_sign() {
    for (value, message) in [
        ("hush-hush", "not a private key"),
        ("-----BEGIN PRIVATE KEY-----\nhush-hush\n", "cannot sign"),
    ] {
        let error = read(&with("/signing_key", json!(value))).unwrap_err();
        assert_eq!(error.problems[0].path, "signing_key");
        assert!(error.problems[0].message.contains(message), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[test]
fn secret_files_are_not_for_the_module() {
    for key in [
        "cookie_secret_file",
        "idp_client_secret_file",
        "Signing_Key_File",
    ] {
        let error = read(&with(&format!("/{key}"), json!("/run/secret"))).unwrap_err();
        assert_eq!(error.problems[0].path, key);
        assert!(
            error.problems[0].message.contains("cannot read files"),
            "{error}"
        );
        let variable = key
            .trim_end_matches("_file")
            .trim_end_matches("_File")
            .to_ascii_uppercase();
        assert!(
            error.problems[0].help.as_ref().unwrap().contains(&variable),
            "{error}"
        );
    }
    assert!(read(&with("/shared_secret_file", json!("x"))).is_ok());
}

#[test]
fn variables_override_and_are_told() {
    let variable = |name: &str| match name {
        "COOKIE_SECRET" => Some(SECRET.to_owned()),
        "ADDRESS" => Some(":8443".to_owned()),
        "JWT_CLAIMS_HEADERS" => Some("{\"X-Email\":\"email\"}".to_owned()),
        "DOWNSTREAM_MTLS_CA_FILE" => Some("ca.pem".to_owned()),
        "HEADERS" => Some("{\"X-A\":\"b\"}".to_owned()),
        "XFF_NUM_TRUSTED_HOPS" => Some("1".to_owned()),
        "POLICY" => Some("e30=".to_owned()),
        _ => None,
    };
    let loaded = Config::read(&without("cookie_secret"), &variable).unwrap();
    let config = loaded.config;
    assert_eq!(
        (
            config.listener.address.as_str(),
            config.listener.trusted_hops
        ),
        (":8443", 1)
    );
    assert!(config.listener.client_authority.is_some());
    assert_eq!(config.identity.claim_headers.len(), 1);
    assert_eq!(config.routes[0].response_headers.set.len(), 1);
    let warned: Vec<&str> = loaded
        .warnings
        .iter()
        .map(|warning| warning.path.as_str())
        .collect();
    assert_eq!(
        warned,
        [
            "address",
            "downstream_mtls.ca_file",
            "jwt_claims_headers",
            "set_response_headers",
            "xff_num_trusted_hops"
        ]
    );
}

#[test]
fn other_kinds_of_providers_are_told_what_to_write() {
    for (kind, help) in [
        ("gogle", "did you mean `google`?"),
        ("hosted", "Pomerium's hosted service"),
        ("odic", "did you mean `oidc`?"),
        ("acme", "write `oidc`"),
    ] {
        let error = read(&with("/idp_provider", json!(kind))).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        assert!(
            error.problems[0].help.as_ref().unwrap().contains(help),
            "{error}"
        );
    }
    assert!(read(&with("/idp_provider", json!("OIDC"))).is_ok());
}

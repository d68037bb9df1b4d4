//! The listeners for metrics, probes and operators.

use serde_json::{Value, json};

use super::{guide, read};
use crate::config::{AdminAddress, Monitoring, Pem};

fn monitoring(keys: Value) -> Result<(Monitoring, Vec<String>), String> {
    let mut file = guide();
    let Value::Object(keys) = keys else {
        panic!("{keys}")
    };
    file.as_object_mut().unwrap().extend(keys);
    match read(&file) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| warning.to_string());
            Ok((loaded.config.monitoring, warnings.collect()))
        }
        Err(error) => Err(error.problems[0].to_string()),
    }
}

#[test]
fn there_is_no_listener_by_default() {
    let (found, _) = monitoring(json!({})).unwrap();
    assert!(found.metrics.is_none() && found.health.is_none() && found.admin.is_none());
}

#[test]
fn a_metrics_listener_has_credentials_and_certificates() {
    let keys = json!({
        "metrics_address": ":9902",
        "metrics_basic_auth": "cHJvbTpzM2NyZXQ=",
        "metrics_certificate_file": "m.pem",
        "metrics_certificate_key_file": "m.key",
        "metrics_client_ca_file": "ca.pem",
    });
    let metrics = monitoring(keys).unwrap().0.metrics.unwrap();
    assert_eq!(metrics.address, ":9902");
    assert_eq!(metrics.credentials.unwrap().expose(), b"prom:s3cret");
    let certificate = metrics.certificate.unwrap();
    assert_eq!(certificate.certificate, Pem::File("m.pem".to_owned()));
    assert_eq!(certificate.key, Pem::File("m.key".to_owned()));
    let authorities = metrics.client_authorities;
    assert_eq!(authorities, Some(Pem::File("ca.pem".to_owned())));
}

#[test]
fn mistakes_about_the_metrics_listener_are_problems() {
    for (keys, told) in [
        (
            json!({"metrics_address": "9902"}),
            "not a listening address",
        ),
        (
            json!({"metrics_address": ":1", "metrics_basic_auth": "prom:s3cret"}),
            "not `USER:PASSWORD` in base64",
        ),
        (
            json!({"metrics_address": ":1", "metrics_basic_auth": "cHJvbQ=="}),
            "not `USER:PASSWORD` in base64",
        ),
        (
            json!({"metrics_address": ":1", "metrics_certificate_file": "m.pem"}),
            "a certificate without its key",
        ),
        (
            json!({"metrics_address": ":1", "metrics_client_ca_file": "ca.pem"}),
            "client certificates need TLS",
        ),
        (json!({"health_check_addr": "x"}), "not a listening address"),
    ] {
        let problem = monitoring(keys.clone()).unwrap_err();
        assert!(problem.contains(told), "{keys}: {problem}");
        assert!(!problem.contains("s3cret"), "{problem}");
    }
}

#[test]
fn settings_without_a_metrics_listener_are_warned_about() {
    let (found, warnings) = monitoring(json!({"metrics_basic_auth": "YTpi"})).unwrap();
    assert!(found.metrics.is_none());
    let told = warnings
        .iter()
        .any(|warning| warning.contains("metrics_basic_auth"));
    assert!(told, "{warnings:?}");
}

#[test]
fn operators_connect_from_the_machine_itself() {
    let admin = |address: &str| monitoring(json!({"admin_address": address}));
    for address in ["127.0.0.1:9901", "[::1]:9901"] {
        let expected = AdminAddress::Loopback(address.parse().unwrap());
        assert_eq!(admin(address).unwrap().0.admin, Some(expected));
    }
    let socket = admin("unix:/run/jetway/admin.sock").unwrap().0.admin;
    assert_eq!(
        socket,
        Some(AdminAddress::Unix("/run/jetway/admin.sock".to_owned()))
    );
    let long = format!("unix:/{}", "x".repeat(107));
    for address in [
        ":9901",
        "0.0.0.0:9901",
        "192.0.2.1:9901",
        "localhost:9901",
        "unix:admin.sock",
        &long,
    ] {
        assert!(admin(address).is_err(), "{address}");
    }
}

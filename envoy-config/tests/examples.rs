//! The examples are what the library writes today.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use jetway_core::config::Config;
use jetway_envoy_config::{Options, generate_bootstrap};
use serde_json::Value;

/// Rewrites the examples instead of comparing them.
const WRITE: &str = "JETWAY_WRITE_EXAMPLES";

/// A key that signs nothing else (RFC 9500 section 2.3, the P-256 key for tests).
const SIGNING_KEY: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIObLW92AqkWunJXowVR2Z5/+yVPBaFHnEedDk5WJxk/BoAoGCCqGSM49
AwEHoUQDQgAEQiVI+I+3gv+17KN0RFLHKh5Vj71vc75eSOkyMsxFxbFsTNEMTLjV
uKFxOelIgsiZJXKZNCX0FBmrfpCkKklCcg==
-----END EC PRIVATE KEY-----";

/// The files are written with these secrets in the environment; none of them must get into a file.
const SECRETS: [(&str, &str); 3] = [
    (
        "cookie_secret",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    ),
    ("idp_client_secret", "not-in-the-file"),
    ("signing_key", SIGNING_KEY),
];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// Compares an example with what is written from it and its first so many secrets.
fn check(name: &str, secrets: usize) {
    let text = std::fs::read_to_string(example(&format!("{name}.yaml"))).unwrap();
    let mut file: Value = serde_saphyr::from_str(&text).unwrap();
    for (key, secret) in SECRETS.iter().take(secrets) {
        file[*key] = Value::from(*secret);
    }
    let loaded = Config::read(&file, &|_| None).unwrap();
    assert_eq!(loaded.warnings, [], "{name}");
    let written = generate_bootstrap(&loaded.config, &file, &Options::default()).unwrap();
    for (key, secret) in SECRETS {
        for line in secret.lines() {
            assert!(!written.contains(line), "{key} is in {name}");
        }
    }
    let path = example(&format!("{name}.envoy.yaml"));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == written,
        "{} is not what the library writes; set {WRITE}=1 to write it again\n{written}",
        path.display()
    );
}

#[test]
fn cockpit() {
    check("cockpit", 2);
}

#[test]
fn fleet() {
    check("fleet", 3);
}

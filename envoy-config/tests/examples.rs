//! The examples are what the library writes today.

use std::path::{Path, PathBuf};

use jetway_core::config::Config;
use jetway_envoy_config::{Options, bootstrap};

/// Rewrites the examples instead of comparing them.
const WRITE: &str = "JETWAY_WRITE_EXAMPLES";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// A stand-in for the environment of whoever writes the file; the values must not get into it.
fn variable(name: &str) -> Option<String> {
    match name {
        "COOKIE_SECRET" => Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
        "IDP_CLIENT_SECRET" => Some("not-in-the-file".to_owned()),
        _ => None,
    }
}

#[test]
fn cockpit() {
    let text = std::fs::read_to_string(example("cockpit.yaml")).unwrap();
    let file: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let loaded = Config::read(&file, &variable).unwrap();
    assert_eq!(loaded.warnings, []);
    let written = bootstrap(&loaded.config, &file, &Options::default()).unwrap();
    let path = example("cockpit.envoy.yaml");
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

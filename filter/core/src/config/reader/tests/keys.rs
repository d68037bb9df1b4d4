//! Keys that are not honoured, each with its reason.

use serde_json::{Value, json};

use super::{merged, read, with};
use crate::config::key::{Key, Support};
use crate::config::keys::{GLOBAL, ISSUER_FORMATS, MTLS_ENFORCEMENTS, ROUTE};

/// A file with a value under a key of a table.
fn file_with(table: &[Key], name: &str, value: Value) -> Value {
    if std::ptr::eq(table, ROUTE) {
        merged(json!({name: value}))
    } else {
        with(&format!("/{name}"), value)
    }
}

#[test]
fn every_refused_key_is_an_error_with_its_reason() {
    for table in [GLOBAL, ROUTE] {
        for key in table {
            let Support::Refused(why) = key.support else {
                continue;
            };
            let name = key.name.replace('*', "x").to_ascii_uppercase();
            let error = read(&file_with(table, &name, json!("something"))).unwrap_err();
            assert_eq!(error.problems.len(), 1, "{name}: {error}");
            assert_eq!(error.problems[0].help.as_deref(), Some(why), "{name}");
            for off in [
                json!(null),
                json!(false),
                json!(""),
                json!([]),
                json!({}),
                json!("false"),
            ] {
                let loaded = read(&file_with(table, &name, off.clone()));
                assert!(
                    loaded.is_ok_and(|loaded| loaded.warnings.is_empty()),
                    "{name}: {off}"
                );
            }
        }
    }
}

#[test]
fn every_ignored_key_is_a_warning_with_its_reason() {
    for table in [GLOBAL, ROUTE] {
        for key in table {
            let Support::Ignored(why) = key.support else {
                continue;
            };
            let name = key.name.replace('*', "x");
            let loaded = read(&file_with(table, &name, json!({"x": 1}))).unwrap();
            assert_eq!(loaded.warnings.len(), 1, "{name}");
            assert_eq!(loaded.warnings[0].help.as_deref(), Some(why), "{name}");
        }
    }
}

/// A value of no fitting type, so that a key that is honoured but never read is found.
#[test]
fn every_honoured_key_is_read() {
    let elsewhere = ["policy", "routes", "allowed_idp_claims"];
    for table in [GLOBAL, ROUTE] {
        for key in table {
            let read_here = matches!(key.support, Support::Supported(_) | Support::Translated(..));
            if !read_here || elsewhere.contains(&key.name) {
                continue;
            }
            let odd = file_with(table, key.name, json!([[7]]));
            let fails = read(&odd).is_err();
            let lonely = key.name.ends_with("_substitution");
            assert!(fails || lonely, "{}", key.name);
        }
    }
}

#[test]
fn the_words_of_the_tables_are_read() {
    for word in ISSUER_FORMATS {
        let loaded = read(&with("/jwt_issuer_format", json!(word)));
        assert!(loaded.is_ok(), "{word}");
    }
    for word in MTLS_ENFORCEMENTS {
        let mtls = json!({"ca_file": "ca.pem", "enforcement": word});
        assert!(read(&with("/downstream_mtls", mtls)).is_ok(), "{word}");
    }
}

#[test]
fn keys_in_two_spellings_are_an_error() {
    let mut file = with("/ADDRESS", json!(":1"));
    file["Address"] = json!(":2");
    let error = read(&file).unwrap_err();
    assert!(
        error.problems[0].message.contains("duplicate key"),
        "{error}"
    );
}

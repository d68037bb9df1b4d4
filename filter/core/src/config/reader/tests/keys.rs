//! Keys that are not honoured, each with its reason.

use serde_json::{Value, json};

use super::{merged, read, with};
use crate::config::key::{Key, Support};
use crate::config::keys::{GLOBAL, ISSUER_FORMATS, MTLS_ENFORCEMENTS, ROUTE, visit};

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

/// A key may state what Jetway always does. A value that asks for another behaviour is an error, not ignored.
#[test]
fn an_ignored_key_that_asks_for_another_behaviour_is_an_error() {
    for (name, same, other) in [
        ("cookie_same_site", json!("lax"), json!("none")),
        ("cookie_same_site", json!("Lax"), json!("Strict")),
        (
            "path_with_escaped_slashes_action",
            json!("REJECT_REQUEST"),
            json!("UNESCAPE_AND_FORWARD"),
        ),
        (
            "headers_with_underscores_action",
            json!("reject_request"),
            json!("ALLOW"),
        ),
        ("merge_slashes", json!(true), json!(false)),
        ("normalize_path", json!("true"), json!("false")),
    ] {
        let loaded = read(&file_with(GLOBAL, name, same.clone())).unwrap();
        assert_eq!(loaded.warnings.len(), 1, "{name}: {same}");
        let error = read(&file_with(GLOBAL, name, other)).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        let message = format!("this value of `{name}` is not supported");
        assert_eq!(error.problems[0].message, message);
        assert!(error.problems[0].help.is_some());
        assert_eq!(error.warnings, []);
    }
}

/// A key that is switched off is not refused, and not listed as refused.
#[test]
fn the_support_of_a_key_follows_its_value() {
    let support = |name: &str, value: Value| {
        let mut found = None;
        visit(&json!({name: value}), &mut |written| {
            found = written.support();
        });
        found
    };
    let is_ignored = |name, value| matches!(support(name, value), Some(Support::Ignored(_)));
    let is_refused = |name, value| matches!(support(name, value), Some(Support::Refused(_)));
    assert!(is_ignored("skip_xff_append", json!(false)));
    assert!(is_refused("skip_xff_append", json!(true)));
    assert!(is_ignored("cookie_same_site", json!("lax")));
    assert!(is_refused("cookie_same_site", json!("none")));
    assert_eq!(support("nothing", json!(false)), None);
}

#[test]
fn placeholders_are_errors_wherever_they_are() {
    for (file, path, placeholder) in [
        (
            merged(json!({"from": "https://app.${DOMAIN}"})),
            "routes[0].from",
            "`${DOMAIN}`",
        ),
        (
            merged(json!({"to": ["http://${HOST}:8080"]})),
            "routes[0].to[0]",
            "`${HOST}`",
        ),
        (
            merged(json!({"policy": [{"allow": {"or": [{"email": {"is": "${MAIL}"}}]}}]})),
            "routes[0].policy[0].allow.or[0].email.is",
            "`${MAIL}`",
        ),
        (
            merged(json!({"set_request_headers": {"X-Key": "Bearer ${API_KEY:-s3cret}"}})),
            "routes[0].set_request_headers.X-Key",
            "`${API_KEY}`",
        ),
    ] {
        let error = read(&file).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        let problem = &error.problems[0];
        assert_eq!(problem.path, path);
        assert!(problem.message.starts_with(placeholder), "{problem}");
        let help = problem.help.as_deref().unwrap();
        assert!(
            help.contains("`envsubst`") && help.contains("`_file`"),
            "{help}"
        );
    }
}

/// A name without braces may be meant as it is written.
#[test]
fn bare_names_are_warnings() {
    let loaded = read(&merged(json!({"prefix": "/$RECYCLE.BIN/"}))).unwrap();
    let found = &loaded.warnings[0];
    assert_eq!(found.path, "routes[0].prefix");
    assert!(found.message.starts_with("`$RECYCLE`"), "{found}");
    for name in ["A$AP Team", "$2b$12$ABCDEFGHIJ"] {
        let loaded = read(&merged(json!({"name": name}))).unwrap();
        assert_eq!(loaded.warnings, []);
    }
}

/// A secret may contain a dollar sign; one that is nothing but a placeholder is not repeated.
#[test]
fn a_secret_is_a_placeholder_only_as_a_whole() {
    let error = read(&with("/idp_client_secret", json!("${CLIENT_SECRET}"))).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert_eq!(error.problems[0].path, "idp_client_secret");
    assert!(!error.to_string().contains("CLIENT_SECRET"), "{error}");
    assert!(read(&with("/idp_client_secret", json!("x$ECRET"))).is_ok());
}

#[test]
fn references_and_scripts_are_no_placeholders() {
    for keys in [
        json!({"set_request_headers": {"X-A": "${pomerium.jwt} $$HOME"}}),
        json!({"regex": "^/(a|b)$"}),
        json!({"to": null, "response": {"status": 200, "body": "`${name}`"}}),
    ] {
        let loaded = read(&merged(keys.clone()));
        assert!(
            loaded.is_ok_and(|loaded| loaded.warnings.is_empty()),
            "{keys}"
        );
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

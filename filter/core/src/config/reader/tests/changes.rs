//! Headers, upgrades, timeouts and what else a route changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{all_fail, guide, merged, read, route, with};
use crate::config::{HeaderRewrite, IssuerFormat};
use crate::http::template::Template;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn request_headers() {
    let headers = route(json!({
        "set_request_headers": {"X-Pomerium-Token": "${pomerium.jwt}", "X-Number": 7},
        "Remove_Request_Headers": "Cookie,X-Forwarded-For",
    }))
    .unwrap()
    .request_headers;
    assert_eq!(
        headers.set,
        [
            ("x-number".to_owned(), Template::parse("7")),
            (
                "x-pomerium-token".to_owned(),
                Template::parse("${pomerium.jwt}")
            ),
        ]
    );
    assert_eq!(headers.remove, ["cookie", "x-forwarded-for"]);
    let odd = read(&merged(
        json!({"set_request_headers": {"a": "${pomerium.nothing}"}}),
    ))
    .unwrap();
    assert!(
        odd.warnings[0].message.contains("pomerium.nothing"),
        "{:?}",
        odd.warnings
    );
}

#[test]
fn header_changes_that_are_problems() {
    all_fail(&[
        (
            "set_request_headers",
            json!({"Host": "a"}),
            "cannot be changed as a header",
        ),
        (
            "set_request_headers",
            json!({"a": ["b"]}),
            "must be a string",
        ),
        ("set_request_headers", json!({"a": "b\nc"}), "line breaks"),
        (
            "set_request_headers",
            json!({"X-A": "b", "x-a": "c"}),
            "duplicate key",
        ),
        (
            "set_request_headers",
            json!({"a": "${pomerium.id_token}"}),
            "keep no tokens",
        ),
        ("set_request_headers", json!(["a"]), "must be a map"),
        (
            "remove_request_headers",
            json!(["connection"]),
            "belongs to the connection",
        ),
        (
            "remove_request_headers",
            json!(["a", 1]),
            "a list of strings",
        ),
        (
            "rewrite_response_headers",
            json!([{"prefix": "a"}]),
            "needs `header`",
        ),
        (
            "rewrite_response_headers",
            json!({"header": "a"}),
            "a list of maps",
        ),
        (
            "rewrite_response_headers",
            json!(["location"]),
            "must be a map",
        ),
        (
            "set_response_headers",
            json!({"disable": "no"}),
            "must be `true`",
        ),
        (
            "set_response_headers",
            json!({"Set-Cookie": "a=b"}),
            "replace the cookies",
        ),
    ]);
}

#[test]
fn response_headers_are_merged() {
    let headers = |global: Value, own: Value| {
        let mut file = merged(json!({"set_response_headers": own}));
        file["Set_Response_Headers"] = global;
        let route = read(&file).unwrap().config.routes.remove(0);
        (route.response_headers.set, route.response_headers.defaults)
    };
    let defaults = pairs(&[
        ("x-frame-options", "SAMEORIGIN"),
        (
            "strict-transport-security",
            "max-age=31536000; includeSubDomains; preload",
        ),
    ]);
    let null = Value::Null;
    assert_eq!(
        headers(null.clone(), null.clone()),
        (vec![], defaults.clone())
    );
    assert_eq!(
        headers(null.clone(), json!({"X-Frame-Options": "DENY"})),
        (
            pairs(&[("x-frame-options", "DENY")]),
            defaults[1..].to_vec()
        )
    );
    assert_eq!(
        headers(json!({"X-A": "1", "X-B": "1"}), json!({"x-b": "2"})),
        (pairs(&[("x-a", "1"), ("x-b", "2")]), vec![])
    );
    assert_eq!(
        headers(json!({"X-A": "1"}), json!({"disable": true})),
        (vec![], vec![])
    );
    assert_eq!(
        headers(json!({"disable": "true"}), null.clone()),
        (vec![], vec![])
    );
    assert_eq!(headers(null, json!({"disable": true})), (vec![], vec![]));
}

#[test]
fn browsers_insist_on_https_where_it_is_spoken() {
    let names = |file: &Value| {
        let route = read(file).unwrap().config.routes.remove(0);
        let names = route
            .response_headers
            .defaults
            .into_iter()
            .map(|(name, _)| name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        names(&guide()),
        ["x-frame-options", "strict-transport-security"]
    );
    let insecure = with("/insecure_server", json!(true));
    assert_eq!(names(&insecure), ["x-frame-options"]);
}

#[test]
fn response_headers_are_rewritten() {
    let rewrite = json!([{"Header": "Location", "PREFIX": "http://a/", "value": "https://b/"}, {"header": "x"}]);
    let rewrite = route(json!({"rewrite_response_headers": rewrite}))
        .unwrap()
        .response_headers
        .rewrite;
    let entry = |header: &str, prefix: &str, value: &str| HeaderRewrite {
        header: header.to_owned(),
        prefix: prefix.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(
        rewrite,
        [
            entry("location", "http://a/", "https://b/"),
            entry("x", "", "")
        ]
    );
}

#[test]
fn timeouts() {
    const NONE: Option<u64> = None;
    let seconds = |file: &Value| {
        let route = read(file).unwrap().config.routes.remove(0);
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs());
        (seconds(route.timeout), seconds(route.idle_timeout))
    };
    for (keys, global, expected) in [
        (
            json!({"allow_websockets": false}),
            json!(null),
            (Some(30), Some(300)),
        ),
        (
            json!({"allow_websockets": false}),
            json!("10s"),
            (Some(10), Some(300)),
        ),
        (
            json!({"allow_websockets": false}),
            json!(0),
            (NONE, Some(300)),
        ),
        (
            json!({"allow_websockets": false, "timeout": "1m", "idle_timeout": "0s"}),
            json!("10s"),
            (Some(60), NONE),
        ),
        (json!({}), json!("10s"), (NONE, NONE)),
        (
            json!({"timeout": "5s", "idle_timeout": "1h"}),
            json!(null),
            (Some(5), Some(3600)),
        ),
        (json!({"timeout": 0}), json!(null), (NONE, NONE)),
    ] {
        let mut file = merged(keys.clone());
        file["default_upstream_timeout"] = global.clone();
        assert_eq!(seconds(&file), expected, "{keys} {global}");
    }
    all_fail(&[
        ("timeout", json!(30), "a duration with a unit"),
        ("idle_timeout", json!("30"), "a duration with a unit"),
    ]);
}

#[test]
fn websockets_as_an_upgrade() {
    let allowed = |keys: Value| route(keys).unwrap().allow_websockets;
    assert!(allowed(
        json!({"allow_websockets": "false", "allow_upgrades": ["WebSocket"]})
    ));
    assert!(allowed(
        json!({"allow_websockets": false, "allow_upgrades": "websocket"})
    ));
    assert!(!allowed(
        json!({"allow_websockets": "0", "allow_upgrades": []})
    ));
    let everywhere = |own: Value| {
        let mut file = merged(json!({"allow_websockets": own}));
        file["allow_upgrades"] = json!("websocket");
        let route = read(&file).unwrap().config.routes.remove(0);
        route.allow_websockets
    };
    assert!(everywhere(Value::Null) && !everywhere(json!(false)));
    let error = read(&merged(
        json!({"allow_upgrades": ["websocket", "spdy/3.1"]}),
    ))
    .unwrap_err();
    assert_eq!(error.problems[0].path, "routes[0].allow_upgrades[1]");
}

#[test]
fn identity_by_file_and_by_route() {
    let told = |file: &Value| {
        let route = read(file).unwrap().config.routes.remove(0);
        (route.pass_identity_headers, route.issuer_format)
    };
    assert_eq!(told(&guide()), (false, IssuerFormat::HostOnly));
    let mut file = with("/pass_identity_headers", json!(true));
    file["jwt_issuer_format"] = json!("ISSUERURI");
    assert_eq!(told(&file), (true, IssuerFormat::Uri));
    file["routes"][0]["pass_identity_headers"] = json!(false);
    file["routes"][0]["jwt_issuer_format"] = json!("hostOnly");
    assert_eq!(told(&file), (false, IssuerFormat::HostOnly));
    for (written, expected) in [
        ("IssuerHostOnly", IssuerFormat::HostOnly),
        ("uri", IssuerFormat::Uri),
        ("issuerUri", IssuerFormat::Uri),
    ] {
        assert_eq!(
            told(&with("/jwt_issuer_format", json!(written))).1,
            expected
        );
    }
    let error = read(&with("/jwt_issuer_format", json!("issuerhostonyl"))).unwrap_err();
    assert_eq!(
        error.problems[0].help.as_deref(),
        Some("did you mean `IssuerHostOnly`?")
    );
    assert!(
        route(json!({"show_error_details": "TRUE"}))
            .unwrap()
            .show_error_details
    );
}

#[test]
fn slashes_that_do_not_fit_are_told() {
    let told = |keys: Value| {
        let loaded = read(&merged(keys)).unwrap();
        loaded
            .warnings
            .first()
            .map(|warning| warning.message.clone())
    };
    for (keys, message) in [
        (json!({"to": "http://a/b"}), "`/x` becomes `/bx`"),
        (
            json!({"prefix": "/a", "prefix_rewrite": "/b/"}),
            "`/a/x` becomes `/b//x`",
        ),
    ] {
        assert!(told(keys.clone()).unwrap().contains(message), "{keys}");
    }
    for keys in [
        json!({"to": "http://a/b/"}),
        json!({"prefix": "/a/", "prefix_rewrite": "/"}),
        json!({"prefix": "/a", "prefix_rewrite": "/"}),
        json!({"prefix": "/a", "prefix_rewrite": "/b"}),
        json!({"path": "/a", "prefix_rewrite": "/"}),
    ] {
        assert_eq!(told(keys.clone()), None, "{keys}");
    }
}

#[test]
fn what_has_no_effect_is_told() {
    for (keys, path, message) in [
        (
            json!({"tls_skip_verify": true}),
            "tls_skip_verify",
            "without TLS",
        ),
        (
            json!({"regex_rewrite_substitution": "x"}),
            "regex_rewrite_substitution",
            "no effect without",
        ),
        (
            json!({"path": "/a", "prefix": "/b"}),
            "prefix",
            "no effect next to `path`",
        ),
        (
            json!({"to": "http://a/b/", "prefix_rewrite": "/c/"}),
            "to",
            "no effect next to",
        ),
        (
            json!({"to": ["http://a/b/", "http://a/c/"]}),
            "to[1]",
            "applies to all",
        ),
        (
            json!({"redirect": {"https_redirect": true}, "to": null}),
            "redirect",
            "leads back",
        ),
        (
            json!({"set_response_headers": {"disable": true, "a": "b"}}),
            "set_response_headers.disable",
            "next to it",
        ),
        (
            json!({"load_balancing_policy": "RANDOM"}),
            "load_balancing_policy",
            "no effect",
        ),
        (
            json!({"redirect": {"host_redirct": "b", "host_redirect": "b"}, "to": null}),
            "redirect.host_redirct",
            "unknown key",
        ),
    ] {
        let loaded = read(&merged(keys.clone())).unwrap_or_else(|error| panic!("{keys}: {error}"));
        let warning = loaded.warnings.first().unwrap_or_else(|| panic!("{keys}"));
        assert_eq!(warning.path, format!("routes[0].{path}"));
        assert!(warning.message.contains(message), "{warning}");
        assert!(warning.help.is_some(), "{warning}");
    }
}

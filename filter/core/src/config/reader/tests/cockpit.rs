//! Single sign-on into Cockpit.

use serde_json::{Value, json};

use super::{merged, read, route};
use crate::config::HostHeader;

fn cockpit(settings: Value) -> Value {
    json!({"cockpit": settings, "allow_websockets": null})
}

#[test]
fn a_route_to_cockpit_has_what_cockpit_needs() {
    let loaded = read(&merged(cockpit(json!({
        "users": {"Alice@EXAMPLE.com": "alice", "00u1": "bob"},
        "user_claim": "unix_name",
        "local_part_of": "Example.com, example.org",
        "administrators": [{"allow": {"or": [{"email": "alice@example.com"}]}}],
    }))))
    .unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let route = &loaded.config.routes[0];
    assert!(route.allow_websockets && route.timeout.is_none() && route.idle_timeout.is_none());
    assert!(matches!(route.host, HostHeader::Preserve));
    assert!(loaded.config.identity.signing_key.is_some());
    let cockpit = route.cockpit.as_ref().unwrap();
    let users: Vec<(&str, &str)> = cockpit
        .users
        .iter()
        .map(|(person, user)| (person.as_str(), user.as_str()))
        .collect();
    assert_eq!(users, [("00u1", "bob"), ("Alice@example.com", "alice")]);
    assert_eq!(cockpit.local_part_of, ["example.com", "example.org"]);
    assert_eq!(
        (cockpit.url_root.as_str(), cockpit.allow_other_hosts),
        ("", false)
    );

    let mut keys = cockpit_keys();
    keys["prefix"] = json!("/admin/");
    keys["host_rewrite"] = json!("cockpit.internal");
    let route = self::route(keys).unwrap();
    assert_eq!(route.cockpit.unwrap().url_root, "/admin");
    assert!(matches!(route.host, HostHeader::Literal(_)));
}

fn cockpit_keys() -> Value {
    cockpit(json!({"users": {"alice@example.com": "alice"}}))
}

#[test]
fn a_host_has_one_cockpit() {
    let with_second = |to: &str| {
        let mut file = merged(cockpit_keys());
        let mut second = file["routes"][0].clone();
        second["to"] = json!(to);
        file["routes"][0]["prefix"] = json!("/admin/");
        file["routes"].as_array_mut().unwrap().push(second);
        file
    };
    let first = merged(cockpit_keys())["routes"][0]["to"].clone();
    let first = first.as_str().unwrap();
    assert!(first.contains("//localhost:"), "{first}");
    for same in [first.to_owned(), first.replace("localhost", "127.0.0.1")] {
        read(&with_second(&same)).unwrap();
    }
    let problems = format!(
        "{:?}",
        read(&with_second("https://elsewhere.internal")).err()
    );
    assert!(
        problems.contains("the same host and another Cockpit"),
        "{problems}"
    );
}

#[test]
fn a_policy_for_everybody_still_needs_a_provider() {
    let mut file = merged(cockpit_keys());
    file["routes"][0]["policy"] = json!([{"allow": {"or": [{"accept": true}]}}]);
    for key in [
        "idp_provider",
        "idp_provider_url",
        "idp_client_id",
        "idp_client_secret",
        "cookie_secret",
    ] {
        file.as_object_mut().unwrap().remove(key);
    }
    let error = read(&file).unwrap_err().to_string();
    assert!(
        error.contains("idp_provider_url") && error.contains("cookie_secret"),
        "{error}"
    );
}

/// Checks that each route has one problem, at this path below the route, with this message and help.
fn check_problems(cases: &[(Value, &str, &str, &str)]) {
    for (keys, key_path, message, help) in cases {
        let error = read(&merged(keys.clone())).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{keys}: {error}");
        let problem = &error.problems[0];
        let path = if key_path.is_empty() {
            "routes[0]".to_owned()
        } else {
            format!("routes[0].{key_path}")
        };
        assert_eq!(problem.path, path, "{error}");
        assert!(problem.message.contains(message), "{error}");
        assert!(problem.help.as_deref().unwrap().contains(help), "{error}");
    }
}

#[test]
fn invalid_settings_are_problems() {
    let own = |settings: Value| cockpit(settings);
    check_problems(&[
        (
            own(json!({})),
            "cockpit",
            "no user has a Unix user",
            "users",
        ),
        (own(json!("alice")), "cockpit", "must be a map", "users"),
        (
            own(json!({"users": {"a@b.c": "0"}})),
            "cockpit.users.a@b.c",
            "not a valid Unix user name",
            "`alice`",
        ),
        (
            own(json!({"users": {"a@b.c": "al ice"}})),
            "cockpit.users.a@b.c",
            "not a valid Unix user name",
            "`alice`",
        ),
        (
            own(json!({"users": {"a@b.c": "root"}})),
            "cockpit.users.a@b.c",
            "requires `allow_root: true`",
            "allow_root: true",
        ),
        (
            own(json!({"users": {"a@B.c": "x", "a@b.c": "y"}})),
            "cockpit.users.a@b.c",
            "duplicate key",
            "keep one",
        ),
        (
            own(json!({"local_part_of": ["@example.com"]})),
            "cockpit.local_part_of[0]",
            "not a domain",
            "example.com",
        ),
        (
            own(json!({"user_claim": "x", "administrators": {"allow": {"or": [{"emial": "x"}]}}})),
            "cockpit.administrators.allow.or[0].emial",
            "emial",
            "email",
        ),
    ]);
    let root = own(json!({"users": {"a@b.c": "root"}, "allow_root": true}));
    assert!(route(root).is_ok());
}

#[test]
fn keys_that_cockpit_does_not_work_with_are_problems() {
    let beside = |key: &str, value: Value| {
        let mut keys = cockpit_keys();
        keys[key] = value;
        keys
    };
    check_problems(&[
        (
            beside("allow_websockets", json!(false)),
            "allow_websockets",
            "needs WebSockets",
            "remove it",
        ),
        (
            beside("prefix_rewrite", json!("/x")),
            "",
            "cannot rewrite paths",
            "UrlRoot",
        ),
        (
            beside("to", json!("http://localhost:9090/x/")),
            "",
            "cannot rewrite paths",
            "UrlRoot",
        ),
        (
            beside("path", json!("/x")),
            "",
            "must serve all paths",
            "prefix",
        ),
        (
            beside("regex", json!("/x.*")),
            "",
            "must serve all paths",
            "prefix",
        ),
        (
            beside("set_request_headers", json!({"Authorization": "x"})),
            "set_request_headers.authorization",
            "only the proxy",
            "remove it",
        ),
        (
            beside("set_request_headers", json!({"X-Superuser": "any"})),
            "set_request_headers.x-superuser",
            "only the proxy",
            "remove it",
        ),
    ]);
    let mut keys = cockpit_keys();
    keys["to"] = json!(null);
    keys["response"] = json!({"body": "x"});
    let error = route(keys).unwrap_err().to_string();
    assert!(error.contains("needs an upstream"), "{error}");
}

#[test]
fn another_host_is_warned_of() {
    let mut keys = cockpit_keys();
    keys["preserve_host_header"] = json!(false);
    let loaded = read(&merged(keys)).unwrap();
    assert!(matches!(loaded.config.routes[0].host, HostHeader::Upstream));
    assert_eq!(loaded.warnings.len(), 1);
    assert!(
        loaded.warnings[0]
            .help
            .as_deref()
            .unwrap()
            .contains("cockpit conf")
    );
}

//! The requests that a route matches, and its target.

use serde_json::{Value, json};

use super::{all_fail, guide, merged, read, route};
use crate::config::{
    FixedResponse, HostHeader, PathMatch, PathRewrite, Redirect, RedirectPath, Target,
};

fn endpoints(to: Value) -> Vec<(String, u32)> {
    let route = route(json!({"to": to})).unwrap();
    let upstreams = route.target.upstreams().unwrap();
    upstreams
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.origin.to_string(), endpoint.weight))
        .collect()
}

#[test]
fn upstreams_with_weights() {
    let pair = |a: u32, b: u32| vec![("http://a".to_owned(), a), ("http://b:81".to_owned(), b)];
    for (to, expected) in [
        (json!(["http://a", "http://b:81"]), pair(1, 1)),
        (json!(["http://a,1", "http://b:81,20"]), pair(1, 20)),
        (json!([["http://a"], [["http://b:81/"]]]), pair(1, 1)),
        (json!(["http://a, 3", ["http://b:81 ,4"]]), pair(3, 4)),
        (json!("http://a,http://b:81"), pair(1, 1)),
        (json!("http://a,2,http://b:81,5"), pair(2, 5)),
        (json!("HTTP://A:80,7"), vec![("http://a".to_owned(), 7)]),
    ] {
        assert_eq!(endpoints(to.clone()), expected, "{to}");
    }
}

#[test]
fn targets_that_are_none() {
    all_fail(&[
        ("to", json!(null), "`to` is missing"),
        ("to", json!([]), "has no upstream"),
        ("to", json!(""), "has no upstream"),
        (
            "to",
            json!({"url": "http://a"}),
            "an upstream must be a string",
        ),
        ("to", json!("a:9090"), "not the URL of an upstream"),
        ("to", json!("http:a"), "not the URL of an upstream"),
        ("to", json!("http://*.a"), "not the URL of an upstream"),
        ("to", json!("ftp://a"), "not the URL of an upstream"),
        ("to", json!("h2c://a"), "HTTP/2"),
        ("to", json!("unix:///run/a.sock"), "socket"),
        (
            "to",
            json!("tcp://a:22"),
            "other protocols are not supported",
        ),
        ("to", json!("http://a?b"), "query"),
        ("to", json!("http://a,0"), "weight 0"),
        ("to", json!("http://a,99999999"), "weights are at most"),
        (
            "to",
            json!(["http://a,1", "http://b"]),
            "some upstreams have a weight",
        ),
        (
            "to",
            json!(["http://a", "https://b"]),
            "all `http` or all `https`",
        ),
        ("to", json!(vec!["http://a"; 300]), "more than 256"),
        ("to", json!("http://a/b//c"), "normalized path"),
        (
            "from",
            json!("tcp+https://a:22"),
            "tunnels for other protocols",
        ),
        ("from", json!("ssh://a"), "SSH is not supported"),
        ("from", json!("http://a"), "session cookies"),
    ]);
}

#[test]
fn one_target_only() {
    for file in [
        merged(json!({"redirect": {"host_redirect": "b"}})),
        merged(json!({"response": {"status": 204}})),
    ] {
        let error = read(&file).unwrap_err();
        assert!(
            error.problems[0]
                .message
                .contains("a route with `to` must not have"),
            "{error}"
        );
    }
}

#[test]
fn a_path_in_to_is_a_rewrite() {
    let rewrite = |keys: Value| match route(keys).unwrap().rewrite {
        Some(PathRewrite::Prefix(path)) => path,
        Some(PathRewrite::Regex(substitution)) => substitution.replacement,
        None => String::new(),
    };
    assert_eq!(rewrite(json!({"to": "http://a/b/"})), "/b/");
    assert_eq!(rewrite(json!({"to": "http://a/"})), "");
    assert_eq!(
        rewrite(json!({"to": "http://a", "prefix_rewrite": "/c/"})),
        "/c/"
    );
    assert_eq!(
        rewrite(json!({"to": "http://a/b", "prefix_rewrite": "/c/"})),
        "/c/"
    );
    assert_eq!(
        rewrite(json!({"regex_rewrite_pattern": "^/(a)", "regex_rewrite_substitution": r"/\1$"})),
        "/${1}$$"
    );
    assert_eq!(
        rewrite(json!({"to": ["http://a/b/", "http://c/d/"]})),
        "/b/"
    );
}

#[test]
fn rewrites_that_are_none() {
    all_fail(&[
        ("prefix_rewrite", json!("b"), "normalized path"),
        ("prefix_rewrite", json!("/b?c"), "normalized path"),
        (
            "regex_rewrite_pattern",
            json!("("),
            "not a regular expression",
        ),
        (
            "host_path_regex_rewrite_pattern",
            json!("a{9999999}"),
            "not a regular expression",
        ),
        ("regex", json!("(?=a)"), "not a regular expression"),
        ("host_rewrite", json!("https://a"), "not a host"),
        ("host_rewrite_header", json!("a b"), "not a header name"),
    ]);
    let both = json!({"prefix_rewrite": "/", "regex_rewrite_pattern": "a"});
    let error = read(&merged(both)).unwrap_err();
    assert!(
        error.problems[0].message.contains("rewritten twice"),
        "{error}"
    );
    let group = json!({"regex_rewrite_pattern": "a", "regex_rewrite_substitution": r"\1"});
    let error = read(&merged(group)).unwrap_err();
    assert_eq!(
        error.problems[0].path,
        "routes[0].regex_rewrite_substitution"
    );
}

#[test]
fn the_host_that_upstreams_see() {
    let every = json!({
        "host_rewrite": "a.internal:81",
        "host_rewrite_header": "X-Host",
        "host_path_regex_rewrite_pattern": "^/([^/]+)/.*",
        "host_path_regex_rewrite_substitution": r"\1.internal",
        "preserve_host_header": true,
    });
    let without = |keys: &[&str]| {
        let mut keys_left = every.clone();
        keys_left
            .as_object_mut()
            .unwrap()
            .retain(|key, _| !keys.iter().any(|k| key.starts_with(k)));
        route(keys_left).unwrap().host
    };
    assert!(matches!(without(&[]), HostHeader::Literal(host) if host == "a.internal:81"));
    let header = without(&["host_rewrite"]);
    assert!(matches!(header, HostHeader::PathRegex(_)), "{header:?}");
    let mut only_header = every.clone();
    only_header.as_object_mut().unwrap().remove("host_rewrite");
    assert!(
        matches!(route(only_header).unwrap().host, HostHeader::Header(name) if name == "x-host")
    );
    match without(&["host_rewrite"]) {
        HostHeader::PathRegex(substitution) => assert_eq!(
            substitution
                .pattern
                .replace_all("/app/x", &substitution.replacement),
            "app.internal"
        ),
        other => panic!("{other:?}"),
    }
    assert!(matches!(without(&["host_"]), HostHeader::Preserve));
    assert!(matches!(
        without(&["host_", "preserve"]),
        HostHeader::Upstream
    ));
}

#[test]
fn paths_by_regular_expression() {
    let path = |keys| route(keys).unwrap().path;
    let regex = path(json!({"regex": "/a/[0-9]+", "path": "/b", "prefix": "/c"}));
    for (text, expected) in [
        ("/a/17", true),
        ("/a/17/", false),
        ("/b", false),
        ("/x/a/1", false),
    ] {
        assert_eq!(regex.serves(text), expected, "{text}");
    }
    assert_eq!(
        path(json!({"path": "/b", "prefix": "/c"})),
        PathMatch::Exact("/b".to_owned())
    );
    assert_eq!(
        path(json!({"prefix": "/c"})),
        PathMatch::Prefix("/c".to_owned())
    );
    assert_eq!(
        path(json!({"prefix": "/", "path": "", "regex": ""})),
        PathMatch::Any
    );
}

/// N-08: a route is written in the form that requests' paths are brought into, and `check` says which that is.
#[test]
fn n_08_paths_are_written_in_their_plain_form() {
    for key in ["path", "prefix"] {
        for (text, help) in [
            ("/v1/users%3Adelete", "write `/v1/users:delete`"),
            ("/a|b", "write `/a%7Cb`"),
            ("/a//b", "write `/a/b`"),
            ("/a%2Fb", "needless escapes"),
            ("/a;v=1", "end it before the `;`"),
        ] {
            let error = read(&merged(json!({key: text}))).unwrap_err();
            let told = error.problems[0].help.as_ref().unwrap();
            assert!(told.contains(help), "{key} {text}: {error}");
        }
    }
    for (regex, warned) in [
        ("/v1/users%3Adelete", Some("`%3A`")),
        ("/a(%20|%c3%A9)", Some("`%c3`")),
        ("/a%2Fb", Some("`%2F`")),
        ("/a%20(b|%C3%A9)%25[0-9A-F]{2}%7C", None),
    ] {
        let loaded = read(&merged(json!({"regex": regex}))).unwrap();
        let told = loaded.warnings.first().map(|warning| &warning.message);
        let fits = match warned {
            Some(escape) => told.is_some_and(|message| message.contains(escape)),
            None => told.is_none(),
        };
        assert!(fits, "{regex}: {told:?}");
    }
}

#[test]
fn wildcards_and_ports() {
    let from = route(json!({"from": "https://*.Example.com:8443"}))
        .unwrap()
        .from;
    assert!(from.is_wildcard() && from.fits("a.b.example.com") && from.port == Some(8443));
    assert!(!from.fits("example.com"));
    assert_eq!(from.authority(), "*.example.com:8443");
}

#[test]
fn redirects() {
    let redirect = |object: Value| match targeted(json!({"redirect": object})) {
        Target::Redirect(redirect) => redirect,
        other => panic!("{other:?}"),
    };
    let every = redirect(json!({
        "HTTPS_redirect": true, "scheme_redirect": "http", "host_redirect": "B.test", "port_redirect": 8443,
        "path_redirect": "/x?y=1", "prefix_rewrite": "/z", "response_code": "308", "strip_query": "true",
    }));
    assert_eq!(
        every,
        Redirect {
            scheme: Some("https".to_owned()),
            host: Some("b.test".to_owned()),
            port: Some(8443),
            path: RedirectPath::Replace("/x?y=1".to_owned()),
            status: 308,
            strip_query: true,
        }
    );
    let little = redirect(json!({"prefix_rewrite": "/z", "port_redirect": 0}));
    assert_eq!(little.path, RedirectPath::Prefix("/z".to_owned()));
    assert_eq!((little.status, little.port), (301, None));
    for (object, message) in [
        (
            json!({"response_code": 200}),
            "not the status of a redirect",
        ),
        (json!({"host_redirect": "a:81"}), "not a host"),
        (json!({"host_redirect": "https://a"}), "not a host"),
        (json!({"port_redirect": 70000}), "an integer from"),
        (json!({"path_redirect": "x"}), "normalized path"),
        (json!({"path_redirect": "/x?a b"}), "not a query"),
        (json!({"scheme_redirect": "1:"}), "not a scheme"),
        (json!("https://b"), "must be a map"),
    ] {
        let error = read(&retargeted(json!({"redirect": object.clone()}))).unwrap_err();
        assert!(
            error.problems[0].message.contains(message),
            "{object}: {error}"
        );
        assert!(
            error.problems[0].path.starts_with("routes[0].redirect"),
            "{error}"
        );
    }
}

#[test]
fn fixed_answers() {
    for (object, status, body) in [
        (json!({"Status": 404, "BODY": "gone"}), 404, "gone"),
        (json!({"status": "204"}), 204, ""),
        (json!({}), 200, ""),
    ] {
        let expected = FixedResponse {
            status,
            body: body.to_owned(),
        };
        assert_eq!(
            targeted(json!({"response": object})),
            Target::Response(expected)
        );
    }
    for (object, message) in [
        (json!({"status": 101}), "from 200 to 599"),
        (json!({"body": ["x"]}), "must be a string"),
        (json!({"body": "x".repeat(100_000)}), "longer than"),
    ] {
        let error = read(&retargeted(json!({"response": object}))).unwrap_err();
        assert!(error.problems[0].message.contains(message), "{error}");
    }
}

/// The guide's file with another target.
fn retargeted(target: Value) -> Value {
    let mut file = merged(target);
    file["routes"][0].as_object_mut().unwrap().remove("to");
    file
}

fn targeted(target: Value) -> Target {
    let loaded = read(&retargeted(target)).unwrap();
    loaded.config.routes.into_iter().next().unwrap().target
}

#[test]
fn tls_to_upstreams() {
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAA==\n-----END {label}-----\n");
    let tls = route(json!({
        "to": "https://a",
        "tls_server_name": "loses.test",
        "tls_upstream_server_name": "Wins.test",
        "tls_custom_ca": pem("CERTIFICATE"),
        "tls_client_cert_file": "cert.pem",
        "tls_client_key": pem("EC PRIVATE KEY"),
        "tls_skip_verify": "true",
    }))
    .unwrap()
    .target
    .upstreams()
    .unwrap()
    .tls
    .clone();
    assert_eq!(tls.server_name.as_deref(), Some("wins.test"));
    assert!(tls.skip_verify && tls.authorities.is_some() && tls.client.is_some());
    assert!(!format!("{tls:?}").contains("AA=="));
    all_fail(&[
        (
            "tls_client_cert_file",
            json!("c.pem"),
            "needs its private key",
        ),
        (
            "tls_client_key",
            json!(pem("PRIVATE KEY")),
            "needs its private key",
        ),
        (
            "tls_custom_ca",
            json!("bm90IHBlbQ=="),
            "not a certificate as PEM",
        ),
        (
            "tls_custom_ca",
            json!(pem("PRIVATE KEY")),
            "not a certificate as PEM",
        ),
        ("tls_server_name", json!("a:443"), "not a server name"),
    ]);
    let both = json!({"tls_custom_ca": pem("CERTIFICATE"), "tls_custom_ca_file": "x"});
    let error = read(&merged(both)).unwrap_err();
    assert_eq!(error.problems[0].path, "routes[0].tls_custom_ca_file");
}

#[test]
fn ids_follow_what_is_matched_and_where_it_leads() {
    let id = |keys: Value| route(keys).unwrap().id;
    let same = id(json!({}));
    for keys in [
        json!({"allowed_users": ["x@y"]}),
        json!({"name": "other", "timeout": "5s"}),
        json!({"set_request_headers": {"a": "b"}}),
        json!({"prefix": "/"}),
    ] {
        assert_eq!(id(keys.clone()), same, "{keys}");
    }
    for keys in [
        json!({"from": "https://other.test"}),
        json!({"from": "https://cockpit.localhost"}),
        json!({"prefix": "/a"}),
        json!({"path": "/a"}),
        json!({"regex": "/a"}),
        json!({"to": "https://localhost:9090"}),
        json!({"to": "http://localhost:9090,2"}),
        json!({"to": "http://localhost:9090/a/"}),
        json!({"to": ["http://localhost:9090", "http://localhost:9091"]}),
    ] {
        assert_ne!(id(keys.clone()), same, "{keys}");
    }
}

/// In Pomerium the login is the `sub`; a login that Jetway would never find is an error, above all in a `deny` rule.
#[test]
fn logins_of_github_are_errors() {
    let read_github = |keys: Value| {
        let mut file = merged(keys);
        file["idp_provider"] = json!("GitHub");
        file.as_object_mut().unwrap().remove("idp_provider_url");
        read(&file)
    };
    let denied = json!([{"deny": {"or": [{"user": {"starts_with": "octo-"}}]}}]);
    for (keys, path, login) in [
        (
            json!({"allowed_users": ["a@x.test", "octo-alice"]}),
            "routes[0].allowed_users[1]",
            "octo-alice",
        ),
        (json!({"policy": denied}), "routes[0].policy", "octo-"),
        (
            json!({"cockpit": {"users": {"octo-bob": "bob"}}}),
            "routes[0].cockpit.users.octo-bob",
            "octo-bob",
        ),
    ] {
        let error = read_github(keys).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        let problem = &error.problems[0];
        assert_eq!(problem.path, path);
        let help = problem.help.as_deref().unwrap();
        let criterion = format!("`claim/preferred_username: {login}`");
        assert!(help.contains(&criterion), "{help}");
    }
    let stable = ["U_kgDOABCdef", "MDQ6VXNlcjU4MzIzMQ==", "a@x.test"];
    let login = json!([{"allow": {"or": [{"claim/preferred_username": "octo-alice"}]}}]);
    let loaded = read_github(json!({"allowed_users": stable, "policy": login})).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[test]
fn lists_of_users_have_no_wildcards() {
    for (keys, path, help) in [
        (
            json!({"allowed_users": ["a@x.test", "*@x.test"]}),
            "routes[0].allowed_users[1]",
            "`allowed_domains: [x.test]`",
        ),
        (
            json!({"allowed_users": ["@x.test"]}),
            "routes[0].allowed_users[0]",
            "`allowed_domains: [x.test]`",
        ),
        (
            json!({"allowed_domains": ["@x.test"]}),
            "routes[0].allowed_domains[0]",
            "`x.test`",
        ),
    ] {
        let loaded = read(&merged(keys)).unwrap();
        assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
        let warning = &loaded.warnings[0];
        assert_eq!(warning.path, path);
        assert!(warning.help.as_deref().unwrap().contains(help), "{warning}");
    }
    let fine = json!({"allowed_users": ["a@x.test", "8f14e45f"], "allowed_domains": ["x.test"]});
    assert_eq!(read(&merged(fine)).unwrap().warnings, []);
}

#[test]
fn routes_that_are_never_used() {
    let second = |keys: Value| {
        let mut file = guide();
        let mut route = file["routes"][0].clone();
        route
            .as_object_mut()
            .unwrap()
            .extend(keys.as_object().unwrap().clone());
        file["routes"].as_array_mut().unwrap().push(route);
        read(&file)
    };
    let error = second(json!({"allowed_users": ["x@y"]})).unwrap_err();
    assert_eq!(error.problems[0].path, "routes[1]");
    assert!(
        error.problems[0].message.contains("duplicate route"),
        "{error}"
    );
    for keys in [json!({"to": "http://other"}), json!({"path": "/x"})] {
        let loaded = second(keys.clone()).unwrap();
        assert!(loaded.warnings[0].message.contains("never used"), "{keys}");
        assert_eq!(loaded.warnings[0].path, "routes[1]");
    }
    for keys in [
        json!({"from": "https://other.test"}),
        json!({"from": "https://cockpit.localhost"}),
        json!({"from": "https://*"}),
    ] {
        assert_eq!(second(keys.clone()).unwrap().warnings, [], "{keys}");
    }
}

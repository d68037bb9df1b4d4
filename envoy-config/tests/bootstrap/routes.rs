//! From the module's word to an upstream.

use super::*;

#[test]
fn every_upstream_needs_the_name_that_the_module_gives() {
    let envoy = written(&file());
    let ids = Config::read(&file(), &|_| None)
        .unwrap()
        .config
        .routes
        .into_iter()
        .map(|route| route.id)
        .collect::<Vec<_>>();
    let routes = routes(&envoy);
    assert_eq!(routes.len(), ids.len() + 1);
    for (route, id) in routes.iter().zip(&ids) {
        assert_eq!(route["match"]["prefix"], "/");
        assert_eq!(
            route["match"]["headers"][0],
            json!({ "name": "x-jetway-route", "string_match": { "exact": id } })
        );
    }
    let last = &routes[ids.len()];
    assert_eq!(
        last,
        &json!({ "match": { "prefix": "/" }, "direct_response": { "status": 503 } })
    );
    assert!(
        host(&envoy)["request_headers_to_remove"]
            .as_array()
            .unwrap()
            .contains(&json!("x-jetway-route"))
    );
}

#[test]
fn what_the_module_answers_itself_leads_nowhere() {
    let mut file = file();
    for target in [
        json!({ "redirect": { "host_redirect": "new.example.com" } }),
        json!({ "response": { "status": 200, "body": "ok" } }),
    ] {
        let mut route = target;
        route["from"] = json!("https://own.answer.example.com");
        route["path"] = json!(format!("/{}", route.as_object().unwrap().len()));
        route["policy"] = json!([policy()]);
        file["routes"][0] = route;
        let envoy = written(&file);
        assert_eq!(
            routes(&envoy).len(),
            3 + 1,
            "three upstreams and the refusal"
        );
        let clusters = envoy["static_resources"]["clusters"].as_array().unwrap();
        let led = clusters
            .iter()
            .filter(|cluster| cluster["name"].as_str().unwrap().starts_with("route-"));
        assert_eq!(led.count(), 3);
    }
}

#[test]
fn websockets_pass_where_the_route_allows_them() {
    let envoy = written(&file());
    let [open, closed, ..] = routes(&envoy).as_slice() else {
        panic!("two routes")
    };
    assert_eq!(open["match"]["headers"].as_array().unwrap().len(), 1);
    assert_eq!(
        open["route"]["upgrade_configs"],
        json!([{ "upgrade_type": "websocket", "enabled": true }])
    );
    assert_eq!(
        closed["match"]["headers"][1],
        json!({ "name": "upgrade", "present_match": false })
    );
    assert_eq!(closed["route"]["upgrade_configs"], Value::Null);
    assert_eq!(
        http(&envoy)["upgrade_configs"],
        json!([{ "upgrade_type": "websocket", "enabled": true }])
    );
}

/// The upstream may take this long to begin its answer, and never is anything sent twice.
fn beginning(limit: &str) -> Value {
    json!({ "num_retries": 0, "per_try_timeout": limit })
}

#[test]
fn upstreams_are_waited_for_as_long_as_the_file_says() {
    for (route, first, silence) in [
        (json!({}), beginning("30s"), "300s"),
        (
            json!({ "timeout": "5s", "idle_timeout": "1m" }),
            beginning("5s"),
            "60s",
        ),
        (
            json!({ "timeout": "0s", "idle_timeout": "0s" }),
            Value::Null,
            "0s",
        ),
        (json!({ "allow_websockets": true }), Value::Null, "0s"),
        (
            json!({ "allow_websockets": true, "timeout": "5s", "idle_timeout": "1h" }),
            beginning("5s"),
            "3600s",
        ),
    ] {
        let mut only_route = route.clone();
        only_route["to"] = json!("http://localhost:9090");
        let envoy = written(&only(only_route));
        let action = &routes(&envoy)[0]["route"];
        assert_eq!(action["timeout"], "0s", "long answers pass: {route}");
        assert_eq!(action["retry_policy"], first, "{route}");
        assert_eq!(action["idle_timeout"], silence, "{route}");
    }
}

#[test]
fn the_upstream_sees_its_own_name_unless_the_module_chose_another() {
    let added = json!([{
        "header": { "key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%" }, "append_action": "ADD_IF_ABSENT",
    }]);
    let envoy = written(&file());
    for (place, name) in [
        (0, json!("localhost:9090")),
        (2, json!("192.0.2.1:8443")),
        (3, json!("any.internal.example.com:9443")),
    ] {
        let route = &routes(&envoy)[place];
        assert_eq!(route["route"]["host_rewrite_literal"], name);
        assert_eq!(route["request_headers_to_add"], added);
    }
    for keys in [
        json!({ "preserve_host_header": true }),
        json!({ "host_rewrite": "inner.example.com" }),
        json!({ "host_rewrite_header": "x-inner" }),
        json!({ "host_path_regex_rewrite_pattern": "^/(.+)/", "host_path_regex_rewrite_substitution": "\\1.example.com" }),
    ] {
        for to in [
            json!("http://localhost:9090"),
            json!(["http://a.example.com", "http://b.example.com"]),
        ] {
            let mut route = keys.clone();
            route["to"] = to;
            let envoy = written(&only(route));
            let route = &routes(&envoy)[0];
            for key in ["host_rewrite_literal", "auto_host_rewrite"] {
                assert_eq!(route["route"][key], Value::Null, "{keys}");
            }
            assert_eq!(route["request_headers_to_add"], Value::Null, "{keys}");
        }
    }
}

#[test]
fn one_of_several_upstreams_sees_its_own_name() {
    let envoy = written(&only(
        json!({ "to": ["http://a.example.com", "http://192.0.2.1:8080"], "allow_websockets": true }),
    ));
    let route = &routes(&envoy)[0];
    assert_eq!(route["route"]["auto_host_rewrite"], true);
    assert_eq!(route["route"]["host_rewrite_literal"], Value::Null);
    assert_eq!(
        route["request_headers_to_add"][0]["header"]["value"],
        "%REQ(:AUTHORITY)%"
    );
    assert_eq!(
        route["route"]["upgrade_configs"],
        json!([{ "upgrade_type": "websocket", "enabled": true }])
    );
}

//! Limits, options and the log.

use std::time::Duration;

use jetway_core::limits::{UPSTREAM_CONNECTIONS, UPSTREAM_PENDING, UPSTREAM_REQUESTS};

use super::*;

#[test]
fn everything_has_a_limit() {
    let envoy = written(&file());
    let http = http(&envoy);
    for limit in [
        "request_headers_timeout",
        "stream_idle_timeout",
        "max_request_headers_kb",
    ] {
        assert!(!http[limit].is_null(), "{limit}");
    }
    assert_eq!(
        http["http2_protocol_options"]["max_concurrent_streams"],
        100
    );
    assert_eq!(listener(&envoy)["per_connection_buffer_limit_bytes"], 32768);
    // N-13
    for cluster in envoy["static_resources"]["clusters"].as_array().unwrap() {
        assert_eq!(
            cluster["per_connection_buffer_limit_bytes"], 32768,
            "{cluster}"
        );
    }
    // N-12: the module refuses less, with a page, and the proxy is not to forestall it.
    let kib = http["max_request_headers_kb"].as_u64().unwrap();
    assert_eq!(kib * 1024, jetway_core::http::head_size::READ_BYTES as u64);
    let common = &http["common_http_protocol_options"];
    assert_eq!(
        common["max_headers_count"],
        jetway_core::http::head_size::READ_FIELDS
    );
    assert_eq!(http["common_http_protocol_options"]["idle_timeout"], "300s");
    let monitor = &envoy["overload_manager"]["resource_monitors"][0]["typed_config"];
    assert_eq!(monitor["max_active_downstream_connections"], 50_000);
}

#[test]
fn idle_connections_are_kept_as_long_as_the_file_says() {
    let envoy = written(&with("timeout_idle", json!("90s")));
    let options = &http(&envoy)["common_http_protocol_options"];
    assert_eq!(options["idle_timeout"], "90s");
}

/// The numbers do not depend on Envoy's defaults.
#[test]
fn every_cluster_has_the_limits_of_the_bundled_host() {
    let envoy = written(&file());
    let expected = json!({ "thresholds": [{
        "max_connections": UPSTREAM_CONNECTIONS,
        "max_pending_requests": UPSTREAM_PENDING,
        "max_requests": UPSTREAM_REQUESTS,
    }] });
    for cluster in [
        upstream(&envoy, 0),
        cluster(&envoy, "https://idp.example.com"),
    ] {
        assert_eq!(cluster["circuit_breakers"], expected);
    }
}

#[test]
fn the_log_has_no_query_and_no_header_that_holds_a_credential() {
    let envoy = written(&file());
    let log =
        http(&envoy)["access_log"][0]["typed_config"]["log_format"]["json_format"].to_string();
    let kept = http(&envoy)["http_filters"][0]["typed_config"].to_string();
    for text in [log, kept] {
        for word in [
            "REQ(:PATH)",
            "WQ:",
            "ORIG",
            "COOKIE",
            "AUTHORIZATION",
            "REFERER",
        ] {
            assert!(!text.to_uppercase().contains(word), "{word} in {text}");
        }
    }
}

#[test]
fn the_log_shows_what_the_client_asked_for() {
    let envoy = written(&file());
    let kept = &http(&envoy)["http_filters"][0]["typed_config"]["on_request_headers"];
    for (place, name, format) in [
        (0, "jetway.path", "%PATH(NQ:PATH)%"),
        (1, "jetway.authority", "%REQ(:AUTHORITY)%"),
    ] {
        assert_eq!(kept[place]["object_key"], name);
        let source = &kept[place]["format_string"]["text_format_source"];
        assert_eq!(source["inline_string"], format);
    }
    let log = &http(&envoy)["access_log"][0]["typed_config"]["log_format"]["json_format"];
    for (field, name) in [("path", "jetway.path"), ("authority", "jetway.authority")] {
        let format = log[field].as_str().unwrap();
        assert!(format.contains(&format!("{name}:PLAIN")), "{format}");
    }
}

#[test]
fn the_log_shows_the_decision() {
    let envoy = written(&file());
    let log = &http(&envoy)["access_log"][0]["typed_config"]["log_format"]["json_format"];
    for (field, property) in [("account", "jetway.account"), ("reasons", "jetway.reasons")] {
        assert_eq!(log[field], format!("%FILTER_STATE(wasm.{property}:PLAIN)%"));
    }
    let decision = log["decision"].as_str().unwrap();
    for part in ["wasm.jetway.decision:PLAIN", "ROUTE:jetway:decision"] {
        assert!(decision.contains(part), "{decision}");
    }
    let (refusal, permitted) = routes(&envoy).split_last().unwrap();
    assert!(refusal.get("metadata").is_none(), "{refusal}");
    for route in permitted {
        let metadata = &route["metadata"]["filter_metadata"]["jetway"];
        assert_eq!(metadata, &json!({"decision": "allow"}));
    }
}

#[test]
fn options_are_used() {
    let options = Options {
        module_path: "/opt/module.wasm".to_owned(),
        trusted_ca_path: "/opt/ca.pem".to_owned(),
        admin: Some(([127, 0, 0, 1], 9901).into()),
        connect_timeout: Duration::from_secs(3),
        max_connections: 7,
    };
    let envoy: Value = serde_saphyr::from_str(&text(&file(), &options).unwrap()).unwrap();
    assert_eq!(
        http(&envoy)["http_filters"][1]["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"],
        "/opt/module.wasm"
    );
    assert_eq!(
        envoy["admin"]["address"]["socket_address"],
        json!({ "address": "127.0.0.1", "port_value": 9901 })
    );
    let monitor = &envoy["overload_manager"]["resource_monitors"][0]["typed_config"];
    assert_eq!(monitor["max_active_downstream_connections"], 7);
    let provider = cluster(&envoy, "https://idp.example.com");
    assert_eq!(provider["connect_timeout"], "3s");
    let context =
        &provider["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"];
    assert_eq!(context["trusted_ca"]["filename"], "/opt/ca.pem");
}

#[test]
fn there_is_no_admin_port_unless_asked_for_and_never_in_public() {
    assert_eq!(written(&file())["admin"], Value::Null);
    let address = ([192, 0, 2, 1], 9901).into();
    let options = Options {
        admin: Some(address),
        ..Options::default()
    };
    assert_eq!(text(&file(), &options), Err(Error::AdminAddress(address)));
}

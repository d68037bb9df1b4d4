//! Where upstreams and the provider are found, and their shares.

use super::*;

#[test]
fn addresses_are_written_down_and_names_resolved() {
    for (to, kind, host, port) in [
        ("http://localhost:9090", "STATIC", "127.0.0.1", 9090),
        ("https://192.0.2.1", "STATIC", "192.0.2.1", 443),
        ("http://[2001:db8::1]:8080", "STATIC", "2001:db8::1", 8080),
        (
            "http://app.example.com",
            "STRICT_DNS",
            "app.example.com",
            80,
        ),
    ] {
        let envoy = written(&only(json!({ "to": to })));
        let cluster = upstream(&envoy, 0);
        assert_eq!(cluster["type"], kind);
        assert_eq!(
            address(&cluster),
            &json!({ "address": host, "port_value": port })
        );
        assert_eq!(cluster["connect_timeout"], "10s");
        let endpoint = &endpoints(&cluster)[0]["lb_endpoints"][0];
        assert_eq!(endpoint["load_balancing_weight"], Value::Null);
        assert_eq!(endpoint["endpoint"]["hostname"], Value::Null);
    }
}

#[test]
fn localhost_is_both_of_its_addresses() {
    let envoy = written(&only(json!({ "to": "http://localhost:9090" })));
    let cluster = upstream(&envoy, 0);
    let endpoint = &endpoints(&cluster)[0]["lb_endpoints"][0]["endpoint"];
    assert_eq!(
        endpoint["additional_addresses"],
        json!([{ "address": { "socket_address": { "address": "::1", "port_value": 9090 } } }])
    );
}

#[test]
fn addresses_get_requests_by_their_weights() {
    let to = [
        "http://192.0.2.1:8080,3",
        "http://192.0.2.2,1",
        "http://[2001:db8::1],2",
    ];
    let envoy = written(&only(json!({ "to": to })));
    let cluster = upstream(&envoy, 0);
    assert_eq!(cluster["type"], "STATIC");
    assert_eq!(cluster["lb_policy"], Value::Null, "round robin");
    assert_eq!(cluster["common_lb_config"], Value::Null);
    assert_eq!(endpoints(&cluster).as_array().unwrap().len(), 1);
    let found = endpoints(&cluster)[0]["lb_endpoints"].as_array().unwrap();
    let found = found.iter().map(|one| {
        let endpoint = &one["endpoint"];
        (
            endpoint["address"]["socket_address"]["address"]
                .as_str()
                .unwrap(),
            endpoint["hostname"].as_str().unwrap(),
            one["load_balancing_weight"].as_u64().unwrap(),
        )
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("192.0.2.1", "192.0.2.1:8080", 3),
            ("192.0.2.2", "192.0.2.2", 1),
            ("2001:db8::1", "[2001:db8::1]", 2),
        ]
    );
}

/// A name may have any number of addresses, of which each would otherwise count as much as the name should.
#[test]
fn names_get_requests_by_their_weights_however_many_addresses_they_have() {
    let to = ["http://many.example.com:8080,9", "http://192.0.2.1,1"];
    let envoy = written(&only(json!({ "to": to })));
    let cluster = upstream(&envoy, 0);
    assert_eq!(cluster["type"], "STRICT_DNS");
    assert_eq!(
        cluster["common_lb_config"],
        json!({ "locality_weighted_lb_config": {} })
    );
    let groups = endpoints(&cluster).as_array().unwrap();
    let found = groups.iter().map(|group| {
        let [one] = group["lb_endpoints"].as_array().unwrap().as_slice() else {
            panic!("one endpoint: {group}")
        };
        assert_eq!(one["load_balancing_weight"], Value::Null);
        (
            group["locality"]["sub_zone"].as_str().unwrap(),
            one["endpoint"]["hostname"].as_str().unwrap(),
            group["load_balancing_weight"].as_u64().unwrap(),
        )
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        [("1", "many.example.com:8080", 9), ("2", "192.0.2.1", 1)]
    );
}

#[test]
fn weights_are_equal_unless_they_are_written() {
    let envoy = written(&only(
        json!({ "to": ["http://192.0.2.1", "http://192.0.2.2"] }),
    ));
    let cluster = upstream(&envoy, 0);
    let found = endpoints(&cluster)[0]["lb_endpoints"].as_array().unwrap();
    for one in found {
        assert_eq!(one["load_balancing_weight"], 1);
    }
}

#[test]
fn no_upstream_is_ever_left_out() {
    let envoy = written(&only(
        json!({ "to": ["http://192.0.2.1", "http://a.example.com"] }),
    ));
    let cluster = upstream(&envoy, 0);
    for key in ["outlier_detection", "health_checks"] {
        assert_eq!(cluster[key], Value::Null, "{key}");
    }
}

#[test]
fn the_provider_has_a_cluster_per_origin_under_the_name_the_module_calls() {
    let envoy = written(&file());
    for (name, host, port) in [
        ("https://idp.example.com", "idp.example.com", 443),
        ("https://keys.example.com:8443", "keys.example.com", 8443),
    ] {
        let cluster = cluster(&envoy, name);
        assert_eq!(
            address(&cluster),
            &json!({ "address": host, "port_value": port })
        );
        let tls = &cluster["transport_socket"]["typed_config"];
        assert_eq!(tls["sni"], host);
        assert_eq!(
            tls["common_tls_context"]["validation_context"],
            upstream_tls::checked("DNS", host, "/etc/ssl/certs/ca-certificates.crt")
        );
    }
}

//! Where clients connect, and what is believed about them.

use super::*;

#[test]
fn the_listener_speaks_tls_with_the_files() {
    let envoy = written(&with("address", json!("127.0.0.1:8443")));
    assert_eq!(
        listener(&envoy)["address"]["socket_address"],
        json!({ "address": "127.0.0.1", "port_value": 8443 })
    );
    let tls = &listener(&envoy)["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"];
    let certificate = json!({ "certificate_chain": { "filename": "/tls/chain.pem" }, "private_key": { "filename": "/tls/key.pem" } });
    assert_eq!(tls["tls_certificates"], json!([certificate]));
    assert_eq!(tls["alpn_protocols"], json!(["h2", "http/1.1"]));
    assert_eq!(tls["tls_params"]["tls_minimum_protocol_version"], "TLSv1_2");
}

#[test]
fn a_chain_may_stand_in_the_file_and_its_key_may_not() {
    let mut file = file();
    let keys = file.as_object_mut().unwrap();
    keys.remove("certificate_file");
    keys.insert("certificate".to_owned(), json!(CERTIFICATE));
    keys.remove("certificate_key_file");
    keys.insert("certificate_key".to_owned(), json!(KEY));
    assert_eq!(
        text(&file, &Options::default()),
        Err(Error::InlineServerKey)
    );

    file["certificates"] = json!([{ "cert": CERTIFICATE, "key": "/tls/other.key" }]);
    let keys = file.as_object_mut().unwrap();
    keys.remove("certificate");
    keys.remove("certificate_key");
    let envoy = written(&file);
    let tls = &listener(&envoy)["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"];
    assert_eq!(
        tls["tls_certificates"],
        json!([{ "certificate_chain": { "inline_string": CERTIFICATE }, "private_key": { "filename": "/tls/other.key" } }])
    );
}

/// Nothing of it is used then, so that nothing of it may be there either.
#[test]
fn an_insecure_listener_keeps_an_unused_key_to_itself() {
    let mut file = with("insecure_server", json!(true));
    for key in ["certificate_file", "certificate_key_file"] {
        file.as_object_mut().unwrap().remove(key);
    }
    file["certificate"] = json!(CERTIFICATE);
    file["certificate_key"] = json!(KEY);
    let text = text(&file, &Options::default()).unwrap();
    assert!(!text.contains("U0VDUkVU"), "{text}");
}

#[test]
fn an_insecure_listener_speaks_plain_http() {
    let mut file = with("insecure_server", json!(true));
    for key in ["certificate_file", "certificate_key_file"] {
        file.as_object_mut().unwrap().remove(key);
    }
    let envoy = written(&file);
    assert_eq!(
        listener(&envoy)["filter_chains"][0]["transport_socket"],
        Value::Null
    );
}

#[test]
fn tls_without_a_certificate_is_refused() {
    let mut file = file();
    for key in ["certificate_file", "certificate_key_file"] {
        file.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(text(&file, &Options::default()), Err(Error::NoCertificate));
}

#[test]
fn proxies_in_front_may_have_to_say_whom_they_forward_for() {
    assert_eq!(listener(&written(&file()))["listener_filters"], Value::Null);
    let envoy = written(&with("use_proxy_protocol", json!(true)));
    let filters = listener(&envoy)["listener_filters"].as_array().unwrap();
    let [filter] = filters.as_slice() else {
        panic!("one filter: {filters:?}")
    };
    let kind =
        "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol";
    assert_eq!(
        filter["typed_config"],
        json!({ "@type": kind }),
        "without the header there is no connection"
    );
    assert_eq!(listener(&envoy)["listener_filters_timeout"], "15s");
    assert_eq!(http(&envoy)["use_remote_address"], true);
}

#[test]
fn forwarding_headers_of_a_client_count_behind_trusted_proxies_only() {
    let direct = written(&file());
    assert_eq!(http(&direct)["use_remote_address"], true);
    assert_eq!(http(&direct)["xff_num_trusted_hops"], 0);
    assert_eq!(
        http(&direct)["preserve_external_request_id"],
        Value::Null,
        "the ids of clients are replaced"
    );
    assert_eq!(
        early_removals(&direct),
        [
            "x-jetway-route",
            "x-jetway-transfer-encoding",
            "x-forwarded-host",
            "proxy-authorization",
            "x-forwarded-for",
            "x-forwarded-proto"
        ]
    );

    let mut file = with("xff_num_trusted_hops", json!(2));
    let behind = written(&file);
    assert_eq!(http(&behind)["use_remote_address"], true);
    assert_eq!(http(&behind)["xff_num_trusted_hops"], 2);
    assert_eq!(http(&behind)["preserve_external_request_id"], true);
    let ids = &http(&behind)["request_id_extension"]["typed_config"];
    assert_eq!(ids["pack_trace_reason"], false);
    assert_eq!(
        early_removals(&behind),
        [
            "x-jetway-route",
            "x-jetway-transfer-encoding",
            "x-forwarded-host",
            "proxy-authorization",
            "x-forwarded-proto"
        ],
        "a client that connects by TLS uses https"
    );
    file["insecure_server"] = json!(true);
    assert_eq!(
        early_removals(&written(&file)),
        [
            "x-jetway-route",
            "x-jetway-transfer-encoding",
            "x-forwarded-host",
            "proxy-authorization"
        ]
    );
}

#[test]
fn no_client_talks_to_envoy_as_another_envoy() {
    let envoy = written(&file());
    let mutations =
        &http(&envoy)["early_header_mutation_extensions"][0]["typed_config"]["mutations"];
    let removal = json!({
        "remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": true}}
    });
    assert!(mutations.as_array().unwrap().contains(&removal));
}

#[test]
fn a_client_cannot_name_a_route() {
    assert_eq!(early_removals(&written(&file()))[0], "x-jetway-route");
}

fn early_removals(envoy: &Value) -> Vec<Value> {
    let mutations =
        &http(envoy)["early_header_mutation_extensions"][0]["typed_config"]["mutations"];
    mutations
        .as_array()
        .unwrap()
        .iter()
        .map(|mutation| mutation["remove"].clone())
        .filter(|name| !name.is_null())
        .collect()
}

/// N-20: Envoy takes the header itself away before the module runs.
#[test]
fn the_module_is_told_of_the_transfer_encoding() {
    let envoy = written(&file());
    let mutations =
        &http(&envoy)["early_header_mutation_extensions"][0]["typed_config"]["mutations"];
    let told = mutations.as_array().unwrap().last().unwrap();
    assert_eq!(
        told["append"],
        json!({
            "header": { "key": "x-jetway-transfer-encoding", "value": "%REQ(TRANSFER-ENCODING)%" },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        })
    );
}

#[test]
fn paths_and_headers_have_one_spelling() {
    let envoy = written(&file());
    let http = http(&envoy);
    // The module does these, the same in every body.
    assert_eq!(http["normalize_path"], false);
    assert_eq!(http["merge_slashes"], false);
    assert_eq!(http["path_with_escaped_slashes_action"], "REJECT_REQUEST");
    assert_eq!(
        http["common_http_protocol_options"]["headers_with_underscores_action"],
        "REJECT_REQUEST"
    );
}

//! TLS towards upstreams.

use super::*;

/// Returns the checks of a certificate, with the authorities in a file.
pub(crate) fn checked(kind: &str, name: &str, authorities: &str) -> Value {
    json!({
        "trusted_ca": { "filename": authorities },
        "match_typed_subject_alt_names": [{ "san_type": kind, "matcher": { "exact": name } }],
    })
}

fn context(socket: &Value) -> &Value {
    &socket["typed_config"]
}

fn validation(socket: &Value) -> &Value {
    &context(socket)["common_tls_context"]["validation_context"]
}

#[test]
fn upstreams_are_checked_as_the_route_says() {
    let envoy = written(&file());
    assert_eq!(upstream(&envoy, 0)["transport_socket"], Value::Null);

    let named = upstream(&envoy, 1)["transport_socket"].clone();
    assert_eq!(context(&named)["sni"], "own.internal.example.com");
    assert_eq!(
        validation(&named),
        &checked(
            "DNS",
            "own.internal.example.com",
            "/etc/ssl/certs/ca-certificates.crt"
        )
    );

    let numbered = upstream(&envoy, 2)["transport_socket"].clone();
    assert_eq!(context(&numbered)["sni"], Value::Null);
    assert_eq!(
        validation(&numbered),
        &checked("IP_ADDRESS", "192.0.2.1", "/tls/ca.pem")
    );

    let unchecked = upstream(&envoy, 3)["transport_socket"].clone();
    assert_eq!(context(&unchecked)["sni"], "any.internal.example.com");
    assert_eq!(validation(&unchecked), &Value::Null);
}

#[test]
fn the_name_of_the_file_is_asked_for_and_expected() {
    for (to, name) in [
        (json!("https://192.0.2.1"), "inner.example.com"),
        (
            json!(["https://a.example.com", "https://192.0.2.1"]),
            "inner.example.com",
        ),
    ] {
        let envoy = written(&only(json!({ "to": to, "tls_server_name": name })));
        let cluster = upstream(&envoy, 0);
        assert_eq!(context(&cluster["transport_socket"])["sni"], name);
        assert_eq!(
            validation(&cluster["transport_socket"]),
            &checked("DNS", name, "/etc/ssl/certs/ca-certificates.crt")
        );
        assert_eq!(cluster["transport_socket_matches"], Value::Null);
    }
}

#[test]
fn each_of_several_upstreams_is_asked_for_its_own_name() {
    let to = [
        "https://a.example.com",
        "https://b.example.com:8443",
        "https://192.0.2.1",
        "https://a.example.com:444",
    ];
    let envoy = written(&only(
        json!({ "to": to, "tls_custom_ca_file": "/tls/ca.pem" }),
    ));
    let cluster = upstream(&envoy, 0);
    assert_eq!(
        context(&cluster["transport_socket"])["sni"],
        "a.example.com"
    );
    let others = cluster["transport_socket_matches"].as_array().unwrap();
    let others = others.iter().map(|other| {
        assert_eq!(other["match"], json!({ "name": other["name"] }));
        let socket = &other["transport_socket"];
        (
            other["name"].as_str().unwrap(),
            context(socket)["sni"].as_str(),
            validation(socket).clone(),
        )
    });
    assert_eq!(
        others.collect::<Vec<_>>(),
        [
            (
                "b.example.com",
                Some("b.example.com"),
                checked("DNS", "b.example.com", "/tls/ca.pem")
            ),
            (
                "192.0.2.1",
                None,
                checked("IP_ADDRESS", "192.0.2.1", "/tls/ca.pem")
            ),
        ]
    );
    let chosen = endpoints(&cluster).as_array().unwrap().iter().map(|group| {
        group["lb_endpoints"][0]["metadata"]["filter_metadata"]["envoy.transport_socket_match"]
                ["name"]
                .clone()
    });
    assert_eq!(
        chosen.collect::<Vec<_>>(),
        [
            Value::Null,
            json!("b.example.com"),
            json!("192.0.2.1"),
            Value::Null
        ]
    );
}

#[test]
fn authorities_may_stand_in_the_file() {
    let ca = format!("a comment\n{CERTIFICATE}\n{KEY}\n{CERTIFICATE}\n");
    let file = only(json!({ "to": "https://a.example.com", "tls_custom_ca": ca }));
    let envoy = written(&file);
    let socket = upstream(&envoy, 0)["transport_socket"].clone();
    assert_eq!(
        validation(&socket)["trusted_ca"],
        json!({ "inline_string": format!("{CERTIFICATE}\n{CERTIFICATE}") })
    );
}

#[test]
fn a_certificate_is_shown_and_its_key_stays_in_its_file() {
    let shown = |cert: (&str, &str), key: (&str, &str)| {
        only(json!({ "to": "https://a.example.com", (cert.0): cert.1, (key.0): key.1 }))
    };
    let key_file = ("tls_client_key_file", "/tls/client.key");
    for (cert, source) in [
        (
            ("tls_client_cert_file", "/tls/client.pem"),
            json!({ "filename": "/tls/client.pem" }),
        ),
        (
            ("tls_client_cert", CERTIFICATE),
            json!({ "inline_string": CERTIFICATE }),
        ),
    ] {
        let envoy = written(&shown(cert, key_file));
        let socket = upstream(&envoy, 0)["transport_socket"].clone();
        assert_eq!(
            context(&socket)["common_tls_context"]["tls_certificates"],
            json!([{ "certificate_chain": source, "private_key": { "filename": "/tls/client.key" } }])
        );
    }
    let mut inline = shown(("tls_client_cert", CERTIFICATE), ("tls_client_key", KEY));
    inline["routes"][0]["name"] = json!("app");
    let refused = text(&inline, &Options::default()).unwrap_err();
    assert_eq!(refused, Error::InlineClientKey("app".to_owned()));
    assert!(refused.to_string().contains("tls_client_key_file"));
}

/// Without TLS there is no use for a key, and so it is not there.
#[test]
fn a_key_for_no_connection_is_left_out() {
    let file = only(
        json!({ "to": "http://a.example.com", "tls_client_cert": CERTIFICATE, "tls_client_key": KEY }),
    );
    let text = text(&file, &Options::default()).unwrap();
    assert!(!text.contains("U0VDUkVU"), "{text}");
    assert!(!text.contains("tls_client_key"), "{text}");
}

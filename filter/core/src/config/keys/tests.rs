use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::config::key::{Key, Kind, Support};

/// The tables by the section of the list that they are compared with.
const TABLES: [(&str, &[Key]); 8] = [
    ("global", GLOBAL),
    ("route", ROUTE),
    ("cockpit", COCKPIT),
    ("redirect", REDIRECT),
    ("response", RESPONSE),
    ("rewrite_response_headers", HEADER_REWRITE),
    ("certificates", CERTIFICATE),
    ("downstream_mtls", DOWNSTREAM_MTLS),
];

/// Keys that are not in the list: our own, a key that Pomerium had once, and those that its list of colours only hints at.
const BESIDE: &[&str] = &[
    "cockpit administrators",
    "cockpit allow_other_hosts",
    "cockpit allow_root",
    "cockpit local_part_of",
    "cockpit user_claim",
    "cockpit users",
    "global admin_address",
    "global authenticate_callback_path",
    "global cookie_idle_expire",
    "global cookie_secret_previous",
    "global cookie_secret_previous_file",
    "global darkmode_primary_color",
    "global darkmode_secondary_color",
    "global favicon_file",
    "global favicon_url",
    "global idp_allowed_tenants",
    "global idp_client_private_key",
    "global idp_client_private_key_file",
    "global idp_client_private_key_id",
    "global idp_extra_origins",
    "global idp_groups_claim",
    "global logo_file",
    "global logo_url",
    "global page_contact",
    "global page_name",
    "global idp_response_mode",
    "global idp_token_endpoint_auth_method",
    "global require_email_verified",
    "global reserved_request_headers",
    "global secondary_color",
    "route cockpit",
];

#[test]
fn the_tables_are_pomeriums_keys_and_our_own() {
    let listed: BTreeSet<String> = include_str!("tests/pomerium.txt")
        .lines()
        .chain(BESIDE.iter().copied())
        .map(str::to_owned)
        .collect();
    let tabled: BTreeSet<String> = TABLES
        .into_iter()
        .flat_map(|(section, table)| {
            table
                .iter()
                .map(move |key| format!("{section} {}", key.name))
        })
        .collect();
    let missing: Vec<&String> = listed.difference(&tabled).collect();
    let unlisted: Vec<&String> = tabled.difference(&listed).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "missing {missing:?}, not listed {unlisted:?}"
    );
}

#[test]
fn no_key_stands_twice() {
    for (section, table) in TABLES {
        let names: BTreeSet<&str> = table.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), table.len(), "{section}");
        for name in names {
            assert_eq!(name, name.to_ascii_lowercase());
        }
    }
}

/// The sentences are printed as the reference.
#[test]
fn every_key_says_what_becomes_of_it() {
    for (section, table) in TABLES {
        for key in table {
            let sentence = match key.support {
                Support::Supported(_) => key.about,
                Support::Translated(_, to) => {
                    assert!(!to.is_empty());
                    key.about
                }
                Support::Ignored(why) | Support::Refused(why) => {
                    assert!(key.about.is_empty(), "{}", key.name);
                    why
                }
            };
            assert!(sentence.len() > 10, "{section} {}", key.name);
            assert!(
                !sentence.ends_with('.') && !sentence.contains('\n'),
                "{section} {}",
                key.name
            );
            let excused = ["not supported", "this version"];
            assert!(
                excused.iter().all(|excuse| !sentence.contains(excuse)),
                "{section} {}",
                key.name
            );
        }
    }
}

#[test]
fn keys_that_are_read_say_what_they_take() {
    for (section, table) in TABLES {
        for key in table {
            let read = matches!(key.support, Support::Supported(_) | Support::Translated(..));
            let any = matches!(key.kind, Kind::Any) && key.name != "allowed_idp_claims";
            assert_eq!(any, !read, "{section} {}", key.name);
        }
    }
}

#[test]
fn exact_names_win_over_beginnings() {
    let name = |name| Key::find(GLOBAL, name).map(|key| key.name);
    assert_eq!(name("authorize_log_fields"), Some("authorize_log_fields"));
    assert_eq!(name("authorize_service_url"), Some("authorize_*"));
    assert_eq!(name("otel_exporter_otlp_endpoint"), Some("otel_*"));
    assert_eq!(name("otel"), None);
    assert_eq!(name("*"), None);
}

#[test]
fn the_keys_of_a_file_are_shown() {
    let file = json!({
        "Address": ":1",
        "downstream_mtls": {"CA": "x", "odd": 1},
        "runtime_flags": {"mcp": true},
        "routes": [{"from": "x", "redirect": {"host_redirect": "y"}, "zebra": {"a": 1}}, 7],
    });
    let mut seen = Vec::new();
    visit(&file, &mut |written| {
        seen.push((
            written.path.to_owned(),
            written.name.to_owned(),
            written.key.map(|key| key.name),
        ));
    });
    let shown: Vec<(&str, &str, Option<&str>)> = seen
        .iter()
        .map(|(path, name, key)| (path.as_str(), name.as_str(), *key))
        .collect();
    assert_eq!(
        shown,
        [
            ("Address", "Address", Some("address")),
            (
                "downstream_mtls",
                "downstream_mtls",
                Some("downstream_mtls")
            ),
            ("downstream_mtls.CA", "CA", Some("ca")),
            ("downstream_mtls.odd", "odd", None),
            ("routes", "routes", Some("routes")),
            ("routes[0].from", "from", Some("from")),
            ("routes[0].redirect", "redirect", Some("redirect")),
            (
                "routes[0].redirect.host_redirect",
                "host_redirect",
                Some("host_redirect")
            ),
            ("routes[0].zebra", "zebra", None),
            ("runtime_flags", "runtime_flags", Some("runtime_flags")),
        ]
    );
}

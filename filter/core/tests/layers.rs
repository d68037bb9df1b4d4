//! Checks that the modules of the core form layers, each of which uses only those below it.

use std::path::Path;

/// The layers from the bottom up. `http` and `session` are folders whose modules belong to different layers; a module of
/// theirs that is not listed belongs to the layer of the folder itself.
const LAYERS: &[&[&str]] = &[
    &[
        "contract",
        "diagnostics",
        "hex",
        "http",
        "json",
        "limits",
        "secret",
        "time",
    ],
    &[
        "digest",
        "http::path",
        "http::cookie",
        "http::edit",
        "refusal",
        "session::unix_user",
        "store::slot_cache",
    ],
    &[
        "http::caching",
        "http::client_certificate",
        "http::header",
        "http::request_line",
        "http::websocket",
        "session::signing_key",
        "store",
    ],
    &["env", "http::request", "http::template"],
    &[
        "explain",
        "session::activity",
        "session::replay",
        "session::seal",
    ],
    &["session"],
    &["policy", "session::revocation"],
    &["config", "session::claim_filter"],
    &["http::page", "oidc", "session::assertion"],
    &["http::reply", "session::refresh", "session::refresh_state"],
    &["gate"],
];

#[test]
fn modules_use_only_lower_layers() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let violations =
        jetway_layers::check_layers(&source, LAYERS).expect("the sources are readable");
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

//! The layers of this crate: each module uses only modules of lower layers.

use std::path::Path;

use jetway_layers::check_layers;

/// The modules of each layer, from the bottom up.
const LAYERS: &[&[&str]] = &[
    &[
        "catch_panic",
        "fault",
        "limits",
        "panic_point",
        "request_id",
        "shutdown",
        "wasm",
    ],
    &["error_response", "slots", "tls", "transport"],
    &["body"],
    &["upstream"],
    &["access", "callouts"],
    &["proxy"],
    &["client"],
    &["exchange"],
    &["connection"],
    &["serve"],
];

#[test]
fn each_module_imports_only_from_lower_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let violations = check_layers(&src, LAYERS).unwrap();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

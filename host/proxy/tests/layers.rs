//! The modules of the proxy form layers, each of which uses only those below it, as docs/architecture.md draws them.

use std::path::Path;

use jetway_layers::{check_layers, read_layers};

const ARCHITECTURE: &str = include_str!("../../../docs/architecture.md");

#[test]
fn modules_use_only_lower_layers() {
    let layers =
        read_layers(ARCHITECTURE, "## Layers of the proxy").expect("the document draws the layers");
    let layers: Vec<&[&str]> = layers.iter().map(Vec::as_slice).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let violations = check_layers(&source, &layers).expect("the sources are readable");
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

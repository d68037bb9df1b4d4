//! The fuzz target of the serialised maps that the plugin passes to the host.

use super::{COUNT_LIMIT, parse};

#[test]
fn wasm_pairs() {
    jetway_fuzz_driver::run("wasm_pairs", |bytes| {
        if let Some(pairs) = parse(bytes) {
            assert!(pairs.len() <= COUNT_LIMIT);
            let texts: usize = pairs
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            assert!(texts <= bytes.len());
        }
    });
}

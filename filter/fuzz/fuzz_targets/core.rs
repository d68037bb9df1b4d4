//! A target of the core, the one that `JETWAY_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<String> = LazyLock::new(|| {
    let name = std::env::var("JETWAY_FUZZ_TARGET");
    name.unwrap_or_else(|_| "config".to_owned())
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jetway_core::fuzzing::run(&TARGET, bytes));

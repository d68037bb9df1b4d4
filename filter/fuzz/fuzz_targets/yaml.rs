//! Bytes as a configuration in YAML, read by the host's parser.
#![no_main]

use jetway_config_file::fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = fuzzing::yaml(bytes) {
        jetway_core::fuzzing::run("config", value.to_string().as_bytes());
    }
});

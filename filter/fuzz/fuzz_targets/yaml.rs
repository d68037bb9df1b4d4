//! Bytes as a configuration in YAML, read by the host's parser.
#![no_main]

#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../../../host/src/config/document.rs"]
mod document;
#[path = "../src/yaml.rs"]
mod yaml;

use document::Document;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = yaml::yaml(bytes) {
        jetway_fuzz::config_value(&value);
    }
});

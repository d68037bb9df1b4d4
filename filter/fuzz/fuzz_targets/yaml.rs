//! Bytes as a configuration in YAML, read by the host's parser.
#![no_main]

#[allow(dead_code, unused_imports, reason = "the host uses more of it")]
#[path = "../../../host/src/config"]
mod config {
    pub(crate) mod document;
}
#[path = "../src/yaml.rs"]
mod yaml;

use config::document::Document;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = yaml::yaml(bytes) {
        jetway_core::fuzzing::run("config", value.to_string().as_bytes());
    }
});

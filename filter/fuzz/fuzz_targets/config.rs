//! Bytes as a configuration in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jetway_fuzz::config(bytes));

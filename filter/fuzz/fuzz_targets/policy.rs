//! Bytes as a policy in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jetway_fuzz::policy(bytes));

//! The fuzz target of the requests to the demo provider.

use super::{MAX_LENGTH, Parameters, decode};

#[test]
fn parameters() {
    jetway_fuzz_driver::run("parameters", |bytes| {
        if let Ok(found) = Parameters::parse(bytes) {
            assert!(bytes.len() <= MAX_LENGTH);
            assert!(
                found
                    .value("request")
                    .is_none_or(|value| found.is("request", value) && !value.is_empty())
            );
        }
        let _ = decode(&String::from_utf8_lossy(bytes));
    });
}

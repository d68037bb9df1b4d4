//! The fuzz target of what is written after `jetway explain`, and in the cases of `jetway test`.

use super::address::{Address, read_header, read_method};
use super::timestamp::read_timestamp;
use super::user::{read_claim, read_email};

#[test]
fn questions() {
    jetway_fuzz_driver::run("questions", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(address) = Address::read(&text) {
            let written = address.to_string();
            assert_eq!(
                Address::read(&written).map(|again| again.to_string()),
                Ok(written)
            );
        }
        let _ = (
            read_method(&text),
            read_header(&text),
            read_timestamp(&text),
        );
        let _ = (read_claim(&text), read_email(&text));
    });
}

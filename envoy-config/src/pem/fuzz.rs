//! The fuzz target of PEM strings that are copied into Envoy's file.

use super::{Public, extract_blocks};

/// Only blocks of the requested kind are copied, each from beginning to end.
#[test]
fn pem_blocks() {
    jetway_fuzz_driver::run("pem_blocks", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for kind in [Public::Certificates, Public::RevocationLists] {
            let taken = extract_blocks(&text, kind.label());
            let (begin, end) = (
                format!("-----BEGIN {}-----", kind.label()),
                format!("-----END {}-----", kind.label()),
            );
            let marks: Vec<&str> = taken
                .lines()
                .filter(|line| line.starts_with("-----"))
                .collect();
            assert!(
                marks
                    .iter()
                    .enumerate()
                    .all(|(place, mark)| *mark == if place % 2 == 0 { &begin } else { &end })
            );
            assert_eq!(marks.len() % 2, 0);
        }
    });
}

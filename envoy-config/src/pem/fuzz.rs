//! The fuzz target of PEM texts that are taken over into Envoy's file.

use super::{Public, blocks};

/// Nothing but blocks of the wanted kind is taken over, each from beginning to end.
#[test]
fn pem_blocks() {
    jetway_fuzz_driver::run("pem_blocks", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for kind in [Public::Certificates, Public::RevocationLists] {
            let taken = blocks(&text, kind.label());
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

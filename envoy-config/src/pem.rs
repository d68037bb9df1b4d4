//! Builds Envoy's data sources for certificates and keys: the path of a file, or an inline string that is not secret.

use jetway_core::config::Pem;

use crate::Error;
use crate::yaml::{Map, Yaml};

/// The kinds of PEM blocks that may be in Envoy's file (RFC 7468, sections 5 and 6).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Public {
    /// Certificates.
    Certificates,
    /// Revocation lists.
    RevocationLists,
}

impl Public {
    const fn label(self) -> &'static str {
        match self {
            Self::Certificates => "CERTIFICATE",
            Self::RevocationLists => "X509 CRL",
        }
    }
}

/// Builds a data source of certificates or revocation lists. `place` names the key in errors.
///
/// Only the blocks of that kind are copied from a string, so that a private key beside them is left out.
pub(crate) fn build_public(pem: &Pem, kind: Public, place: &str) -> Result<Map, Error> {
    match pem {
        Pem::File(path) => Ok(build_file(path)),
        Pem::Text(text) => {
            let text = String::from_utf8_lossy(text.expose());
            let blocks = extract_blocks(&text, kind.label());
            if blocks.is_empty() {
                return Err(Error::EmptyPem {
                    place: place.to_owned(),
                    label: kind.label(),
                });
            }
            Ok(Map::new().set("inline_string", Yaml::Block(blocks)))
        }
    }
}

/// Builds a data source of a private key, which is always a file.
pub(crate) fn build_key(pem: &Pem, refusal: impl FnOnce() -> Error) -> Result<Map, Error> {
    match pem {
        Pem::File(path) => Ok(build_file(path)),
        Pem::Text(_) => Err(refusal()),
    }
}

/// Builds a data source that Envoy reads from a file when it starts.
pub(crate) fn build_file(path: &str) -> Map {
    Map::new().set("filename", path)
}

/// Returns the lines of the blocks with this label.
fn extract_blocks(text: &str, label: &str) -> String {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut whole: Vec<&str> = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in text.lines().map(str::trim) {
        if line == begin {
            open = Some(vec![line]);
        } else if let Some(lines) = &mut open {
            lines.push(line);
            if line == end {
                whole.append(lines);
                open = None;
            } else if line.starts_with("-----") {
                // Another label: the block has no end.
                open = None;
            }
        }
    }
    whole.join("\n")
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;
    use jetway_core::secret::Secret;

    fn text(pem: &str) -> Pem {
        Pem::Text(Secret::new(pem.as_bytes().to_vec()))
    }

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nS3CRET\n-----END PRIVATE KEY-----";
    const CRL: &str = "-----BEGIN X509 CRL-----\nMIIC\n-----END X509 CRL-----";

    fn taken(pem: &str, kind: Public) -> Result<Map, Error> {
        build_public(&text(pem), kind, "`ca`")
    }

    fn inline(text: &str) -> Map {
        Map::new().set("inline_string", Yaml::Block(text.to_owned()))
    }

    #[test]
    fn only_public_blocks_of_a_string_are_copied() {
        let mixed = format!("a comment\r\n{KEY}\n{CERTIFICATE}\n{CRL}\n  {CERTIFICATE}\n\n{KEY}\n");
        assert_eq!(
            taken(&mixed, Public::Certificates),
            Ok(inline(&format!("{CERTIFICATE}\n{CERTIFICATE}")))
        );
        assert_eq!(taken(&mixed, Public::RevocationLists), Ok(inline(CRL)));
    }

    #[test]
    fn a_block_without_an_end_is_left_out() {
        let open = format!("-----BEGIN CERTIFICATE-----\nMIIB\n{KEY}\n{CERTIFICATE}");
        assert_eq!(taken(&open, Public::Certificates), Ok(inline(CERTIFICATE)));
        for nothing in ["", KEY, CRL, "-----BEGIN CERTIFICATE-----\nMIIB\n", "MIIB"] {
            let wrong = Error::EmptyPem {
                place: "`ca`".to_owned(),
                label: "CERTIFICATE",
            };
            assert_eq!(
                taken(nothing, Public::Certificates),
                Err(wrong),
                "{nothing}"
            );
        }
    }

    #[test]
    fn files_are_named_and_keys_are_always_files() {
        let path = Pem::File("/tls/x.pem".to_owned());
        assert_eq!(
            build_public(&path, Public::Certificates, ""),
            Ok(build_file("/tls/x.pem"))
        );
        assert_eq!(
            build_key(&path, || Error::InlineServerKey),
            Ok(build_file("/tls/x.pem"))
        );
        assert_eq!(
            build_key(&text(KEY), || Error::InlineServerKey),
            Err(Error::InlineServerKey)
        );
    }
}

//! Reads certificates and private keys.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::config::file_map::FileMap;
use crate::diagnostics::Findings;
use crate::secret::Secret;

/// PEM (RFC 7468), or the file that contains it.
#[derive(Clone, Debug)]
pub enum Pem {
    /// The path of a file.
    File(String),
    /// The PEM itself, which may be a private key.
    Text(Secret),
}

impl PartialEq for Pem {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(left), Self::File(right)) => left == right,
            (Self::Text(left), Self::Text(right)) => left.expose() == right.expose(),
            _ => false,
        }
    }
}

/// The content of a PEM block (RFC 7468).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Certificates,
    PrivateKey,
    RevocationLists,
}

impl Content {
    /// Returns the end of such a block's label.
    const fn label(self) -> &'static str {
        match self {
            Self::Certificates => "CERTIFICATE-----",
            Self::PrivateKey => "PRIVATE KEY-----",
            Self::RevocationLists => "X509 CRL-----",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Certificates => "a certificate",
            Self::PrivateKey => "a private key",
            Self::RevocationLists => "a revocation list",
        }
    }
}

impl Pem {
    /// Reads a key such as `tls_custom_ca`, or the path of a file from the same key with `_file`.
    pub(super) fn read(
        map: &FileMap<'_>,
        key: &str,
        content: Content,
        findings: &mut Findings,
    ) -> Option<Self> {
        let file_key = format!("{key}_file");
        let inline = map.non_empty_string(key, findings);
        let file = map.non_empty_string(&file_key, findings);
        if inline.is_some() && file.is_some() {
            findings
                .problem(
                    &map.path_of(&file_key),
                    format!("both `{key}` and `{file_key}` are set"),
                )
                .help("keep one of them");
            return None;
        }
        match (inline, file) {
            (Some(inline), _) => {
                let text = pem_text(&inline).filter(|text| holds(text, content));
                if text.is_none() {
                    not_pem(map, key, content, findings);
                }
                text.map(|text| Self::Text(Secret::new(text)))
            }
            (None, file) => file.map(Self::File),
        }
    }

    /// Reads a key that takes the path of a file or PEM, such as `cert` of `certificates`.
    pub(super) fn read_either(
        map: &FileMap<'_>,
        key: &str,
        content: Content,
        findings: &mut Findings,
    ) -> Option<Self> {
        let written = map.non_empty_string(key, findings)?;
        match pem_text(&written) {
            None => Some(Self::File(written)),
            Some(text) if holds(&text, content) => Some(Self::Text(Secret::new(text))),
            Some(_) => {
                not_pem(map, key, content, findings);
                None
            }
        }
    }
}

/// Returns PEM from PEM or from its base64; `None` for anything else.
pub(super) fn pem_text(written: &str) -> Option<Vec<u8>> {
    const BEGINNING: &str = "-----BEGIN ";
    if written.contains(BEGINNING) {
        return Some(written.as_bytes().to_vec());
    }
    let compact: String = written.split_ascii_whitespace().collect();
    let text = STANDARD.decode(compact).ok()?;
    std::str::from_utf8(&text)
        .is_ok_and(|text| text.contains(BEGINNING))
        .then_some(text)
}

fn holds(text: &[u8], content: Content) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.contains(content.label()))
}

fn not_pem(map: &FileMap<'_>, key: &str, content: Content, findings: &mut Findings) {
    findings
        .problem(
            &map.path_of(key),
            format!("`{key}` is not {} as PEM in base64", content.noun()),
        )
        .help("write what `base64 -w0 FILE.pem` prints, or the path of the file");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_is_found_in_base64_and_as_it_is() {
        let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let mut coded = STANDARD.encode(pem);
        coded.insert(10, '\n');
        assert_eq!(pem_text(pem).unwrap(), pem.as_bytes());
        assert_eq!(pem_text(&coded).unwrap(), pem.as_bytes());
        for other in ["", "/etc/tls.pem", "c2hvcnQ="] {
            assert_eq!(pem_text(other), None, "{other}");
        }
    }
}

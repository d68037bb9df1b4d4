//! The form in which the plugin receives a client's certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use jetway_core::hex::encode_hex;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

use crate::wasm::PeerCertificate;

/// Characters in a line of PEM (RFC 7468, 2).
const PEM_LINE: usize = 64;

/// Reads a certificate for the plugin; `None` if the bytes are not a certificate.
pub(crate) fn read_peer_certificate(der: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let parsed = EndEntityCert::try_from(der).ok()?;
    let digest = compute_digest(der);
    Some(PeerCertificate {
        dns_name: parsed.valid_dns_names().next().map(str::to_owned),
        uri: parsed.valid_uri_names().next().map(str::to_owned),
        forwarded: encode_forwarded(&digest, der)?,
        digest,
    })
}

fn compute_digest(der: &[u8]) -> String {
    encode_hex(&Sha256::digest(der))
}

/// Returns the value that Envoy 1.40 writes into `x-forwarded-client-cert` with `SANITIZE_SET` and `cert`, byte for byte.
fn encode_forwarded(digest: &str, der: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(format!(
        "Hash={digest};Cert=\"{}\"",
        percent_encode(&encode_pem(der))
    ))
    .ok()
}

fn encode_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so that every index is a character boundary.
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Percent-encodes the characters of PEM that are not plain in a URL, and no others.
fn percent_encode(pem: &str) -> String {
    let mut text = String::with_capacity(pem.len() + pem.len() / 8);
    for letter in pem.chars() {
        match letter {
            '\n' => text.push_str("%0A"),
            ' ' => text.push_str("%20"),
            '+' => text.push_str("%2B"),
            '/' => text.push_str("%2F"),
            '=' => text.push_str("%3D"),
            plain => text.push(plain),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::pem::PemObject as _;

    /// A client's certificate, and the header that Envoy 1.40 wrote for it.
    const CERTIFICATE: &str = include_str!("peer_certificate/client.pem");
    const FORWARDED: &str = include_str!("peer_certificate/forwarded.txt");

    #[test]
    fn the_header_is_envoys() {
        let der = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let read = read_peer_certificate(&der).unwrap();
        assert_eq!(read.forwarded, FORWARDED.trim_end());
        assert!(FORWARDED.starts_with(&format!("Hash={};", read.digest)));
        assert_eq!(read.dns_name.unwrap(), "localhost");
        assert_eq!(read.uri.unwrap(), "spiffe://lab/client");
    }

    #[test]
    fn every_length_of_the_last_line_reads_back() {
        for length in 0..200 {
            let der = vec![0xfb; length];
            let text = encode_pem(&der);
            assert!(
                text.lines()
                    .all(|line| (1..=PEM_LINE).contains(&line.len()))
            );
            assert_eq!(
                CertificateDer::from_pem_slice(text.as_bytes()).unwrap(),
                der.into()
            );
        }
    }

    #[test]
    fn other_bytes_are_no_certificate() {
        assert!(read_peer_certificate(&CertificateDer::from(vec![1, 2, 3])).is_none());
    }
}

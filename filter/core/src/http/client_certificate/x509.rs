//! Reads the parts of a certificate that policies and upstreams use (RFC 5280). The proxy has validated it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::Ia5String;
use x509_cert::der::{Decode as _, Encode as _, pem};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::digest;
use crate::hex::encode_hex;
use crate::http::client_certificate::Certificate;

/// Reads one certificate in PEM; `None` for none, several or a malformed one.
pub(super) fn read(pem_text: &str) -> Option<Certificate> {
    let (label, der) = pem::decode_vec(pem_text.trim().as_bytes()).ok()?;
    if label != "CERTIFICATE" {
        return None;
    }
    let certificate = CertificateInner::<Raw>::from_der(&der).ok()?;
    let signed = certificate.tbs_certificate();
    let public_key = signed.subject_public_key_info().to_der().ok()?;
    let names = match signed.get_extension::<SubjectAltName>().ok()? {
        Some((_, SubjectAltName(names))) => names,
        None => Vec::new(),
    };
    let strings = |kind: fn(&GeneralName) -> Option<&Ia5String>| {
        let of_kind = names.iter().filter_map(kind);
        of_kind.map(|name| name.as_str().to_owned()).collect()
    };
    Some(Certificate {
        fingerprint: encode_hex(&digest::hash::<32>(&der)),
        spki_hash: STANDARD.encode(digest::hash::<32>(&public_key)),
        san_dns: strings(|name| match name {
            GeneralName::DnsName(name) => Some(name),
            _ => None,
        }),
        san_email: strings(|name| match name {
            GeneralName::Rfc822Name(name) => Some(name),
            _ => None,
        }),
        san_uri: strings(|name| match name {
            GeneralName::UniformResourceIdentifier(name) => Some(name),
            _ => None,
        }),
    })
}

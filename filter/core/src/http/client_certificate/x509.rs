//! The parts of a certificate that policies and upstreams ask for (RFC 5280). Bodies have validated it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::Ia5String;
use x509_cert::der::{Decode as _, Encode as _, pem};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::digest;
use crate::hex::encode_hex;
use crate::http::client_certificate::Certificate;

/// Reads one certificate in PEM; `None` when it is not exactly one, or not in form.
pub(super) fn read(text: &str) -> Option<Certificate> {
    let (label, der) = pem::decode_vec(text.trim().as_bytes()).ok()?;
    if label != "CERTIFICATE" {
        return None;
    }
    let certificate = CertificateInner::<Raw>::from_der(&der).ok()?;
    let body = certificate.tbs_certificate();
    let public_key = body.subject_public_key_info().to_der().ok()?;
    let names = match body.get_extension::<SubjectAltName>().ok()? {
        Some((_, SubjectAltName(names))) => names,
        None => Vec::new(),
    };
    let texts = |kind: fn(&GeneralName) -> Option<&Ia5String>| {
        let of_kind = names.iter().filter_map(kind);
        of_kind.map(|name| name.as_str().to_owned()).collect()
    };
    Some(Certificate {
        fingerprint: encode_hex(&digest::hash::<32>(&der)),
        spki_hash: STANDARD.encode(digest::hash::<32>(&public_key)),
        san_dns: texts(|name| match name {
            GeneralName::DnsName(name) => Some(name),
            _ => None,
        }),
        san_email: texts(|name| match name {
            GeneralName::Rfc822Name(name) => Some(name),
            _ => None,
        }),
        san_uri: texts(|name| match name {
            GeneralName::UniformResourceIdentifier(name) => Some(name),
            _ => None,
        }),
    })
}

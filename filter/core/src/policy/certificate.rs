//! `client_certificate`: which certificate a client has shown.

use super::StringMatcher;

/// What the proxy knows of the client's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate<'a> {
    /// No authority is configured, so none is asked for.
    #[default]
    NotAsked,
    /// Asked for, and none was shown.
    Missing,
    /// Shown, and not signed by the configured authority, or otherwise invalid.
    Invalid,
    /// Shown and valid.
    Valid(&'a Certificate),
}

/// A client's certificate, as far as policies ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER form, 64 lower-case hexadecimal digits.
    pub fingerprint: String,
    /// SHA-256 of the public key (SubjectPublicKeyInfo), in base64.
    pub spki_hash: String,
    /// DNS names among the subject alternative names.
    pub san_dns: Vec<String>,
    /// Addresses among the subject alternative names.
    pub san_email: Vec<String>,
    /// URIs among the subject alternative names.
    pub san_uri: Vec<String>,
}

/// Conditions on a certificate; all of them must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CertificateMatcher {
    pub(super) conditions: Vec<CertificateCondition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum CertificateCondition {
    Fingerprint(Vec<String>),
    SpkiHash(Vec<String>),
    San(SanKind, StringMatcher),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SanKind {
    Dns,
    Email,
    Uri,
}

impl CertificateMatcher {
    /// Whether the certificate fits. Each condition on a name may be met by another name.
    pub(super) fn fits(&self, certificate: &Certificate) -> bool {
        self.conditions.iter().all(|condition| match condition {
            CertificateCondition::Fingerprint(known) => known.contains(&certificate.fingerprint),
            CertificateCondition::SpkiHash(known) => known.contains(&certificate.spki_hash),
            CertificateCondition::San(kind, matcher) => {
                matcher.fits_across(certificate.names(*kind))
            }
        })
    }
}

impl Certificate {
    fn names(&self, kind: SanKind) -> &[String] {
        match kind {
            SanKind::Dns => &self.san_dns,
            SanKind::Email => &self.san_email,
            SanKind::Uri => &self.san_uri,
        }
    }
}

/// A fingerprint as 64 lower-case digits, or as 32 upper-case pairs with colons; nothing else is a fingerprint.
pub(super) fn read_fingerprint(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let pair = |pair: &str| {
        pair.len() == 2
            && pair
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
    };
    if text.len() == 64 && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    let colons = text.len() == 95 && text.split(':').all(pair);
    colons.then(|| text.replace(':', "").to_ascii_lowercase())
}

//! `client_certificate`: which certificate a client has shown.

use crate::http::client_certificate::Certificate;
use crate::policy::StringMatcher;

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
                matcher.fits_across(kind.names(certificate))
            }
        })
    }
}

impl SanKind {
    /// Returns the certificate's names of this kind.
    fn names(self, certificate: &Certificate) -> &[String] {
        match self {
            Self::Dns => &certificate.san_dns,
            Self::Email => &certificate.san_email,
            Self::Uri => &certificate.san_uri,
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

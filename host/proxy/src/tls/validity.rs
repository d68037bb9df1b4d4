//! How long the listener's certificates are valid.

use std::time::{Duration, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::metrics::CertificateReading;

/// Reads the first name and the end of the validity; `None` if the bytes are not a certificate.
pub(super) fn read_validity(certificate: &CertificateDer<'_>) -> Option<CertificateReading> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let parsed = parsed.tbs_certificate();
    let names = EndEntityCert::try_from(certificate).ok();
    let name = names.and_then(|names| names.valid_dns_names().next().map(str::to_owned));
    let expires = parsed.validity().not_after.to_unix_duration();
    Some(CertificateReading {
        name: name.unwrap_or_else(|| parsed.subject().to_string()),
        expires: UNIX_EPOCH
            .checked_add(Duration::from_secs(expires.as_secs()))
            .unwrap_or(UNIX_EPOCH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_its_first_name_and_its_end() {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["one.test".to_owned(), "two.test".to_owned()];
        let mut request = rcgen::CertificateParams::new(names).unwrap();
        request.not_after = rcgen::date_time_ymd(2030, 1, 2);
        let certificate = request.self_signed(&key).unwrap();
        let expected = CertificateReading {
            name: "one.test".to_owned(),
            expires: UNIX_EPOCH + Duration::from_secs(1_893_542_400),
        };
        assert_eq!(read_validity(certificate.der()), Some(expected));
        assert_eq!(read_validity(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}

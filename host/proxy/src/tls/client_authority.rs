//! The verifier of clients' certificates (`downstream_mtls`).

use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::{ClientAuthority, Pem};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::pem;

/// Builds a verifier that asks for certificates which the authorities signed. A certificate that is not valid ends the
/// handshake with an alert; a missing one does so only when one is required.
///
/// # Errors
/// The authorities or revocation lists cannot be used.
pub(super) fn build_verifier(
    authority: &ClientAuthority,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    build_from_parts(
        &authority.authorities,
        authority.revoked.as_ref(),
        authority.required,
    )
}

fn build_from_parts(
    authorities: &Pem,
    revoked: Option<&Pem>,
    required: bool,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let roots = pem::read("certificate authority", authorities)
        .and_then(|text| pem::parse_authorities(&text))
        .with_context(|| describe_unusable("ca", authorities))?;
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), super::crypto_provider());
    // As in Envoy: with revocation lists, one of each authority is needed, and certificates are refused when their list has
    // expired.
    let builder = match revoked {
        None => builder,
        Some(revoked) => {
            let lists = pem::read("revocation list", revoked)
                .and_then(|text| pem::parse_revocation_lists(&text))
                .with_context(|| describe_unusable("crl", revoked))?;
            builder
                .with_crls(lists)
                .enforce_revocation_expiration()
                .only_check_end_entity_revocation()
        }
    };
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let verifier = builder
        .build()
        .context("cannot use the authorities and revocation lists of `downstream_mtls`")?;
    Ok(Arc::new(DirectIssuerVerifier(verifier)))
}

fn describe_unusable(key: &str, named: &Pem) -> String {
    format!(
        "cannot use {} of `downstream_mtls`",
        pem::name_key(key, named)
    )
}

/// Accepts certificates that the authorities themselves have signed, and none of intermediate authorities: Pomerium's
/// default (`max_verify_depth: 1`). Certificates that the client sends beside its own are ignored.
#[derive(Debug)]
struct DirectIssuerVerifier(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for DirectIssuerVerifier {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.verify_client_cert(end_entity, &[], now)
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Authority, Issued, pem_text};
    use rustls_pki_types::pem::PemObject as _;

    /// Returns whether the verifier accepts the certificate, shown with those of further authorities.
    fn accepts(verifier: &dyn ClientCertVerifier, shown: &Issued, further: &[&Authority]) -> bool {
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let further: Vec<_> = further
            .iter()
            .map(|authority| der(&authority.pem))
            .collect();
        verifier
            .verify_client_cert(&der(&shown.certificate), &further, UnixTime::now())
            .is_ok()
    }

    #[test]
    fn certificates_of_the_authorities_are_accepted() {
        let (ours, second, other) = (
            Authority::new("ours"),
            Authority::new("second"),
            Authority::new("ours"),
        );
        let both = format!("{}{}", ours.pem, second.pem);
        let verifier = build_from_parts(&pem_text(&both), None, false).unwrap();
        assert!(accepts(&*verifier, &ours.issue(&["alice"], 1), &[]));
        assert!(accepts(&*verifier, &second.issue(&["alice"], 1), &[]));
        assert!(!accepts(&*verifier, &other.issue(&["alice"], 1), &[]));
        assert!(!accepts(&*verifier, &other.issue(&["alice"], 1), &[&other]));
    }

    #[test]
    fn certificates_of_intermediate_authorities_are_refused() {
        let ours = Authority::new("ours");
        let below = ours.below("below");
        let alice = below.issue(&["alice"], 1);
        let verifier = build_from_parts(&pem_text(&ours.pem), None, false).unwrap();
        assert!(!accepts(&*verifier, &alice, &[&below]));
        let verifier = build_from_parts(&pem_text(&below.pem), None, false).unwrap();
        assert!(accepts(&*verifier, &alice, &[]));
    }

    #[test]
    fn revoked_certificates_are_refused_and_expired_lists_refuse_all() {
        let (ours, second) = (Authority::new("ours"), Authority::new("second"));
        let (alice, lost) = (ours.issue(&["alice"], 1), ours.issue(&["lost"], 2));
        let both = pem_text(&format!("{}{}", ours.pem, second.pem));
        let with = |list: &str| build_from_parts(&both, Some(&pem_text(list)), false).unwrap();

        let verifier = with(&ours.revoke(&[&lost], 4000));
        assert!(accepts(&*verifier, &alice, &[]));
        assert!(!accepts(&*verifier, &lost, &[]));
        let unlisted = second.issue(&["bob"], 3);
        assert!(
            !accepts(&*verifier, &unlisted, &[]),
            "no list of its authority"
        );
        let lists = ours.revoke(&[&lost], 4000) + &second.revoke(&[], 4000);
        assert!(accepts(&*with(&lists), &unlisted, &[]));
        let old = with(&ours.revoke(&[&lost], 2021));
        assert!(!accepts(&*old, &alice, &[]), "a list that is past its time");
    }

    #[test]
    fn a_certificate_is_required_or_not() {
        let ours = pem_text(&Authority::new("ours").pem);
        for required in [false, true] {
            let verifier = build_from_parts(&ours, None, required).unwrap();
            assert!(verifier.offer_client_auth());
            assert_eq!(verifier.client_auth_mandatory(), required);
        }
    }

    #[test]
    fn errors_name_the_key_that_cannot_be_used() {
        let authority = Authority::new("ours");
        let missing = Pem::File("/no/such.pem".to_owned());
        let cases = [
            (missing.clone(), None, "`ca_file` of `downstream_mtls`"),
            (pem_text("nothing"), None, "`ca` of `downstream_mtls`"),
            (
                pem_text(&authority.pem),
                Some(missing),
                "`crl_file` of `downstream_mtls`",
            ),
            (
                pem_text(&authority.pem),
                Some(pem_text("")),
                "`crl` of `downstream_mtls`",
            ),
        ];
        for (authorities, lists, named) in cases {
            let refused = build_from_parts(&authorities, lists.as_ref(), false).unwrap_err();
            assert!(format!("{refused:#}").contains(named), "{refused:#}");
        }
    }
}

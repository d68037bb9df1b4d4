//! Which certificates of clients are accepted (`downstream_mtls`).

use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::{ClientAuthority, Pem};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::pem;

/// Asks for certificates that the authorities signed. One that is not valid ends the handshake with an alert; none at
/// all does so only when one is required.
///
/// # Errors
/// Authorities or revocation lists that cannot be used.
pub(super) fn verifier(authority: &ClientAuthority) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    from_parts(
        &authority.authorities,
        authority.revoked.as_ref(),
        authority.required,
    )
}

fn from_parts(
    authorities: &Pem,
    revoked: Option<&Pem>,
    required: bool,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let roots = pem::read("certificate authority", authorities)
        .and_then(|text| pem::authorities(&text))
        .with_context(|| cannot_use("ca", authorities))?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), super::provider());
    // As in Envoy: with revocation lists, one of each authority is needed, and one past its time vouches for nothing.
    let builder = match revoked {
        None => builder,
        Some(revoked) => {
            let lists = pem::read("revocation list", revoked)
                .and_then(|text| pem::revocation_lists(&text))
                .with_context(|| cannot_use("crl", revoked))?;
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
    Ok(Arc::new(Directly(verifier)))
}

fn cannot_use(key: &str, named: &Pem) -> String {
    format!("cannot use {} of `downstream_mtls`", pem::key(key, named))
}

/// Accepts what the authorities themselves have signed, and nothing that others have signed for them: Pomerium's default
/// (`max_verify_depth: 1`). Certificates that the client sends beside its own are not looked at.
#[derive(Debug)]
struct Directly(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Directly {
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
    use crate::tls::testing::{Authority, Issued, text};
    use rustls_pki_types::pem::PemObject as _;

    /// Whether the certificate is accepted, shown with those of further authorities.
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
    fn what_the_authorities_signed_is_accepted() {
        let (ours, second, other) = (
            Authority::new("ours"),
            Authority::new("second"),
            Authority::new("ours"),
        );
        let both = format!("{}{}", ours.pem, second.pem);
        let verifier = from_parts(&text(&both), None, false).unwrap();
        assert!(accepts(&*verifier, &ours.issue(&["alice"], 1), &[]));
        assert!(accepts(&*verifier, &second.issue(&["alice"], 1), &[]));
        assert!(!accepts(&*verifier, &other.issue(&["alice"], 1), &[]));
        assert!(!accepts(&*verifier, &other.issue(&["alice"], 1), &[&other]));
    }

    #[test]
    fn what_others_signed_for_them_is_not() {
        let ours = Authority::new("ours");
        let below = ours.below("below");
        let alice = below.issue(&["alice"], 1);
        let verifier = from_parts(&text(&ours.pem), None, false).unwrap();
        assert!(!accepts(&*verifier, &alice, &[&below]));
        let verifier = from_parts(&text(&below.pem), None, false).unwrap();
        assert!(accepts(&*verifier, &alice, &[]));
    }

    #[test]
    fn revoked_certificates_are_refused_and_old_lists_vouch_for_nothing() {
        let (ours, second) = (Authority::new("ours"), Authority::new("second"));
        let (alice, lost) = (ours.issue(&["alice"], 1), ours.issue(&["lost"], 2));
        let both = text(&format!("{}{}", ours.pem, second.pem));
        let with = |list: &str| from_parts(&both, Some(&text(list)), false).unwrap();

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
        let ours = text(&Authority::new("ours").pem);
        for required in [false, true] {
            let verifier = from_parts(&ours, None, required).unwrap();
            assert!(verifier.offer_client_auth());
            assert_eq!(verifier.client_auth_mandatory(), required);
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let authority = Authority::new("ours");
        let missing = Pem::File("/no/such.pem".to_owned());
        let cases = [
            (missing.clone(), None, "`ca_file` of `downstream_mtls`"),
            (text("nothing"), None, "`ca` of `downstream_mtls`"),
            (
                text(&authority.pem),
                Some(missing),
                "`crl_file` of `downstream_mtls`",
            ),
            (
                text(&authority.pem),
                Some(text("")),
                "`crl` of `downstream_mtls`",
            ),
        ];
        for (authorities, lists, named) in cases {
            let refused = from_parts(&authorities, lists.as_ref(), false).unwrap_err();
            assert!(format!("{refused:#}").contains(named), "{refused:#}");
        }
    }
}

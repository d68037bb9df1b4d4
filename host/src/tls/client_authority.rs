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

//! The verifier of servers' certificates: those of upstreams and of the provider.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::pem;

/// The purpose of a server's certificate (RFC 5280, 4.2.1.12).
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// The certificates that a connection trusts: each as an authority, and as the certificate of the server itself.
#[derive(Clone, Debug)]
pub(super) struct TrustedCertificates {
    pub(super) roots: Arc<RootCertStore>,
    certificates: Arc<[CertificateDer<'static>]>,
}

impl TrustedCertificates {
    /// Combines authorities with the certificates from which they were read.
    pub(super) fn new(roots: RootCertStore, certificates: Vec<CertificateDer<'static>>) -> Self {
        Self {
            roots: Arc::new(roots),
            certificates: certificates.into(),
        }
    }

    /// Parses PEM data.
    ///
    /// # Errors
    /// The data is not PEM, contains no certificate, or contains one that cannot be an authority.
    pub(super) fn from_pem(data: &[u8]) -> anyhow::Result<Self> {
        Ok(Self::new(
            pem::parse_authorities(data)?,
            pem::parse_chain(data)?,
        ))
    }

    /// Builds the verifier that accepts servers with a certificate of a trusted authority, or with a trusted certificate.
    ///
    /// # Errors
    /// There are no authorities.
    pub(super) fn verifier(&self) -> anyhow::Result<ServerVerifier> {
        let provider = super::crypto_provider();
        let algorithms = provider.signature_verification_algorithms;
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider).build();
        Ok(ServerVerifier {
            accepted: AcceptedServers::Trusted {
                chains: chains.context("cannot use the certificate authorities")?,
                pinned: Arc::clone(&self.certificates),
            },
            algorithms,
        })
    }
}

/// Verifies the certificates of servers, and the signatures of their handshakes.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    accepted: AcceptedServers,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum AcceptedServers {
    /// Servers whose chain ends at a trusted authority, and servers whose certificate is itself a trusted one.
    ///
    /// The second is for self-signed certificates. Many of them, such as the one that Cockpit makes for itself on Debian 12,
    /// say that they are authorities, and the verification of chains accepts no authority as a server's certificate. curl and
    /// Envoy accept them. Dates, purpose and name are checked in both cases.
    Trusted {
        chains: Arc<WebPkiServerVerifier>,
        pinned: Arc<[CertificateDer<'static>]>,
    },
    /// Servers with any certificate, because the operator set `tls_skip_verify`.
    Any,
}

impl ServerVerifier {
    /// Returns the verifier that accepts every certificate. It still checks the signature of the handshake.
    pub(super) fn accepting_any() -> Self {
        Self {
            accepted: AcceptedServers::Any,
            algorithms: super::crypto_provider().signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let AcceptedServers::Trusted { chains, pinned } = &self.accepted else {
            return Ok(ServerCertVerified::assertion());
        };
        let chain =
            chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if chain.is_err() && pinned.iter().any(|pinned| pinned == end_entity) {
            verify_pinned(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        chain
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks what a server's certificate says, apart from its issuer.
fn verify_pinned(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let parsed = CertificateInner::<Raw>::from_der(certificate)
        .map_err(|_| CertificateError::BadEncoding)?;
    let signed = parsed.tbs_certificate();
    let since_epoch = UnixTime::since_unix_epoch;
    let not_before = since_epoch(signed.validity().not_before.to_unix_duration());
    let not_after = since_epoch(signed.validity().not_after.to_unix_duration());
    if now < not_before {
        let time = now;
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if now > not_after {
        let time = now;
        return Err(CertificateError::ExpiredContext { time, not_after }.into());
    }
    let purposes = signed
        .get_extension::<ExtendedKeyUsage>()
        .map_err(|_| CertificateError::BadEncoding)?;
    // Without the extension a certificate is for every purpose.
    if purposes.is_some_and(|(_, purposes)| !purposes.0.contains(&SERVER_AUTH)) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose, date_time_ymd,
    };
    use rustls_pki_types::pem::PemObject as _;

    use super::*;
    use crate::tls::testing::Authority;

    /// 2021-01-01, 2026-01-01 and 2031-01-01.
    const EARLY: u64 = 1_609_459_200;
    const NOW: u64 = 1_767_225_600;
    const LATE: u64 = 1_924_992_000;

    /// Returns the parameters of a certificate as Cockpit makes for itself on Debian 12, valid from 2022 to 2030.
    fn cockpits() -> CertificateParams {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2022, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
    }

    fn self_signed(params: &CertificateParams) -> String {
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    /// Verifies a shown certificate for a name at a time by these trusted certificates.
    fn verify(trusted: &str, shown: &str, (name, time): (&str, u64)) -> Result<(), rustls::Error> {
        let trusted = TrustedCertificates::from_pem(trusted.as_bytes()).unwrap();
        let shown = CertificateDer::from_pem_slice(shown.as_bytes()).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(time));
        let verifier = trusted.verifier().unwrap();
        verifier
            .verify_server_cert(&shown, &[], &name, &[], now)
            .map(drop)
    }

    #[test]
    fn a_pinned_certificate_is_accepted_whether_or_not_it_is_an_authority() {
        let mut plain = cockpits();
        plain.is_ca = IsCa::NoCa;
        let (authority, plain) = (self_signed(&cockpits()), self_signed(&plain));
        let issued = Authority::new("unknown").issue(&["localhost"], 1);
        for shown in [&authority, &plain, &issued.certificate] {
            assert_eq!(verify(shown, shown, ("localhost", NOW)), Ok(()));
        }
        assert_eq!(verify(&authority, &authority, ("127.0.0.1", NOW)), Ok(()));
        // Cockpit 358 has several certificates and shows one of them.
        let both = format!("{plain}{authority}");
        assert_eq!(verify(&both, &authority, ("localhost", NOW)), Ok(()));
        assert_eq!(verify(&both, &plain, ("localhost", NOW)), Ok(()));
    }

    #[test]
    fn another_certificate_is_refused_that_says_the_same() {
        let (pinned, other) = (self_signed(&cockpits()), self_signed(&cockpits()));
        let refused = verify(&pinned, &other, ("localhost", NOW));
        assert!(
            matches!(refused, Err(rustls::Error::InvalidCertificate(_))),
            "{refused:?}"
        );
    }

    #[test]
    fn name_dates_and_purpose_of_a_pinned_certificate_are_checked() {
        let pinned = self_signed(&cockpits());
        let refused = |pem: &str, name: &str, time: u64| match verify(pem, pem, (name, time)) {
            Err(rustls::Error::InvalidCertificate(error)) => error,
            other => panic!("{name} at {time}: {other:?}"),
        };
        assert!(matches!(
            refused(&pinned, "example.com", NOW),
            CertificateError::NotValidForNameContext { .. }
        ));
        assert!(matches!(
            refused(&pinned, "localhost", EARLY),
            CertificateError::NotValidYetContext { .. }
        ));
        assert!(matches!(
            refused(&pinned, "localhost", LATE),
            CertificateError::ExpiredContext { .. }
        ));
        let mut for_clients = cockpits();
        for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let for_clients = self_signed(&for_clients);
        assert_eq!(
            refused(&for_clients, "localhost", NOW),
            CertificateError::InvalidPurpose
        );
        let mut for_all = cockpits();
        for_all.extended_key_usages.clear();
        let for_all = self_signed(&for_all);
        assert_eq!(verify(&for_all, &for_all, ("localhost", NOW)), Ok(()));
    }

    #[test]
    fn certificates_of_an_authority_are_verified_by_their_chain() {
        let ours = Authority::new("ours");
        let issued = ours.issue(&["localhost"], 1).certificate;
        assert_eq!(verify(&ours.pem, &issued, ("localhost", NOW)), Ok(()));
        assert!(verify(&ours.pem, &issued, ("example.com", NOW)).is_err());
        let theirs = Authority::new("theirs");
        assert!(verify(&theirs.pem, &issued, ("localhost", NOW)).is_err());
    }
}

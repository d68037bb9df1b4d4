//! A certificate for one run of the demo, from an authority whose key is discarded at once.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use sha2::{Digest as _, Sha256};

/// Lifetime of the certificate: longer than any demo runs.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How far in the past its validity begins, for a laptop whose clock is slow.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// A certificate that was just created and that no trusted authority vouches for.
pub(crate) struct ThrowAway {
    /// The certificate, PEM.
    pub(crate) certificate: String,
    /// Its private key, PEM.
    pub(crate) key: String,
    /// The authority that signed it, PEM. The proxy trusts it when it calls the demo provider.
    pub(crate) authority: String,
    /// SHA-256 of the certificate in the notation of browsers.
    pub(crate) fingerprint: String,
}

impl ThrowAway {
    /// Creates a certificate for host names and IP addresses.
    ///
    /// # Errors
    /// Returns an error for a name that cannot be in a certificate.
    pub(crate) fn make(names: Vec<String>) -> anyhow::Result<Self> {
        let (authority, issuer) = authority().context("cannot make the authority of the demo")?;
        let key = KeyPair::generate().context("cannot make a key")?;
        let mut params =
            CertificateParams::new(names).context("cannot make a certificate for these names")?;
        name(&mut params, "Jetway demo (throw-away)");
        limit(&mut params)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key, &issuer)
            .context("cannot sign the certificate")?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            authority,
            fingerprint: fingerprint(certificate.der()),
        })
    }
}

/// Returns the authority's certificate in PEM, and its issuer, which signs.
fn authority() -> anyhow::Result<(String, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    name(&mut params, "Jetway demo authority (throw-away)");
    limit(&mut params)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), Issuer::new(params, key)))
}

fn name(params: &mut CertificateParams, common_name: &str) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
}

fn limit(params: &mut CertificateParams) -> anyhow::Result<()> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .context("the clock of this machine is before 1970")?;
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + LIFETIME;
    Ok(())
}

fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

    use super::ThrowAway;

    fn accepts(roots: &ThrowAway, shown: &ThrowAway, name: &str) -> bool {
        let mut store = rustls::RootCertStore::empty();
        store
            .add(CertificateDer::from_pem_slice(roots.authority.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
            .build()
            .unwrap();
        let shown = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
        let name = ServerName::try_from(name).unwrap();
        verifier
            .verify_server_cert(&shown, &[], &name, &[], UnixTime::now())
            .is_ok()
    }

    #[test]
    fn it_is_valid_for_its_names_and_under_its_own_authority_only() {
        let made = ThrowAway::make(vec!["cockpit.localhost".into(), "192.0.2.5".into()]).unwrap();
        assert!(accepts(&made, &made, "cockpit.localhost"));
        assert!(accepts(&made, &made, "192.0.2.5"));
        assert!(!accepts(&made, &made, "other.localhost"));
        let other = ThrowAway::make(vec!["cockpit.localhost".into()]).unwrap();
        assert!(!accepts(&made, &other, "cockpit.localhost"));
    }

    #[test]
    fn the_fingerprint_has_the_notation_of_browsers() {
        let made = ThrowAway::make(vec!["cockpit.localhost".into()]).unwrap();
        assert_eq!(made.fingerprint.len(), 32 * 3 - 1);
    }
}

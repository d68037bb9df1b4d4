//! Temporary certificate authorities and the certificates that they sign: for the proxy, upstreams and clients.

use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};

use crate::write_private;

/// PEM files for the proxy, and the authority for its clients.
#[derive(Debug)]
pub struct Certificate {
    /// File with the chain.
    pub chain: PathBuf,
    /// File with the private key.
    pub key: PathBuf,
    /// The authority's own certificate.
    pub authority: CertificateDer<'static>,
    /// File with the authority's certificate.
    pub authority_file: PathBuf,
}

impl Certificate {
    /// Creates a certificate for these host names and writes it to `folder`.
    ///
    /// # Errors
    /// Returns an error when a file cannot be written.
    pub fn create(folder: &Path, hosts: &[&str]) -> Result<Self> {
        let authority = Authority::create("Jetway test authority")?;
        let (chain, key) = authority.issue(hosts)?.write(folder, "certificate")?;
        let authority_file = folder.join("authority.pem");
        std::fs::write(&authority_file, authority.pem())?;
        Ok(Self {
            chain,
            key,
            authority: authority.certificate(),
            authority_file,
        })
    }
}

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Creates an authority with this name.
    ///
    /// # Errors
    /// Returns an error when the system has no random bytes to give.
    pub fn create(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
        })
    }

    /// Signs a new certificate for these names: hosts and addresses; a name with an `@` is an email address.
    ///
    /// # Errors
    /// Returns an error for a name that cannot be in a certificate.
    pub fn issue(&self, names: &[&str]) -> Result<Issued> {
        let (emails, hosts): (Vec<&str>, Vec<&str>) =
            names.iter().partition(|name| name.contains('@'));
        let hosts: Vec<String> = hosts.into_iter().map(ToOwned::to_owned).collect();
        let mut params = CertificateParams::new(hosts)?;
        for email in emails {
            params
                .subject_alt_names
                .push(SanType::Rfc822Name(email.try_into()?));
        }
        params.distinguished_name.push(
            DnType::CommonName,
            names.first().copied().unwrap_or("unnamed"),
        );
        let mut serial = [0; 16];
        getrandom::fill(&mut serial[1..])?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            chain: leaf.pem(),
            key: key.serialize_pem(),
            certificate: leaf.der().clone(),
            private: key.serialize_der(),
            serial,
        })
    }

    /// Returns a revocation list with these certificates, as PEM.
    ///
    /// # Errors
    /// Returns an error when it cannot be signed.
    pub fn revoke(&self, revoked: &[&Issued]) -> Result<String> {
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&issued.serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    /// Returns the authority's own certificate.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Returns the authority's own certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct Issued {
    /// The chain as PEM.
    pub chain: String,
    /// The key as PEM.
    pub key: String,
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    private: Vec<u8>,
    /// The serial number: positive and not longer than 20 octets (RFC 5280 section 4.1.2.2).
    serial: [u8; 16],
}

impl Issued {
    /// Writes `NAME.pem` and `NAME-key.pem`.
    ///
    /// # Errors
    /// Returns an error when a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        let (chain, key) = (
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}-key.pem")),
        );
        std::fs::write(&chain, &self.chain)?;
        write_private(&key, &self.key)?;
        Ok((chain, key))
    }

    /// Returns the SHA-256 of the certificate in lower-case hexadecimal digits, as policies spell it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.certificate);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns chain and key for a TLS library.
    pub(crate) fn pair(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.private.clone());
        (vec![self.certificate.clone()], key.into())
    }
}

/// Encodes PEM in base64, as keys without `_file` take it.
#[must_use]
pub fn inline(pem: &str) -> String {
    BASE64_STANDARD.encode(pem)
}

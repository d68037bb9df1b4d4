//! A throw-away certificate authority and one certificate for the public hosts of the scenarios.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;

/// PEM files for the proxy, and the authority for its visitors.
#[derive(Debug)]
pub struct Certificate {
    /// File with the chain.
    pub chain: PathBuf,
    /// File with the private key.
    pub key: PathBuf,
    /// The authority's own certificate.
    pub authority: CertificateDer<'static>,
}

impl Certificate {
    /// Makes a certificate for these host names and writes it to `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn create(folder: &Path, hosts: &[&str]) -> Result<Self> {
        let authority = authority()?;
        let key = KeyPair::generate()?;
        let names: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let leaf = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        let certificate = Self {
            chain: folder.join("certificate.pem"),
            key: folder.join("certificate-key.pem"),
            authority: authority.as_ref().der().clone(),
        };
        std::fs::write(&certificate.chain, leaf.pem())?;
        std::fs::write(&certificate.key, key.serialize_pem())?;
        Ok(certificate)
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "Jetway test authority");
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

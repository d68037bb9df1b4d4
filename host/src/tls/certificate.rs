//! The listener's certificates and the choice among them.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use jetway_core::config::{CertificateFiles, Listener};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::file;
use crate::limits;

/// What the listener identifies itself with.
pub(crate) enum Certificates {
    /// Nothing: plain HTTP.
    Plain,
    /// TLS with these chains; the first is for names that fit none. Never empty.
    Tls(Vec<Chain>),
}

impl Certificates {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// A file that cannot be read or used, or no certificate at all on a TLS listener.
    pub(crate) fn read(listener: &Listener) -> anyhow::Result<Self> {
        if listener.insecure {
            return Ok(Self::Plain);
        }
        if listener.certificates.is_empty() {
            bail!(
                "no certificate for the listener: set `certificate_file` and `certificate_key_file`, or `insecure_server: true` behind a proxy that terminates TLS"
            );
        }
        let chains = listener
            .certificates
            .iter()
            .map(Chain::read)
            .collect::<anyhow::Result<_>>()?;
        Ok(Self::Tls(chains))
    }

    /// Whether clients speak TLS to the listener.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The TLS configuration, or `None` for plain HTTP.
    ///
    /// # Errors
    /// A key that does not fit its certificate, or of a kind that is not supported.
    pub(crate) fn server_config(&self) -> anyhow::Result<Option<Arc<ServerConfig>>> {
        let chains = match self {
            Self::Plain => return Ok(None),
            Self::Tls(chains) => chains,
        };
        let keys = chains
            .iter()
            .map(Chain::certified)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut config = ServerConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .context("the TLS library offers no usable version")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ByName { keys }));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Returning browsers skip the costly half of the handshake; keys for this live in memory only and rotate.
        config.ticketer =
            rustls::crypto::ring::Ticketer::new().context("cannot make session ticket keys")?;
        Ok(Some(Arc::new(config)))
    }
}

/// One certificate chain and its private key. Has no `Debug`, so that the key cannot be printed.
pub(crate) struct Chain {
    /// Where it comes from, for messages.
    source: String,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Chain {
    /// Reads two PEM files.
    fn read(files: &CertificateFiles) -> anyhow::Result<Self> {
        let certificate = file::read("certificate", files.certificate.as_ref(), limits::PEM_FILE)?;
        let key = file::read("private key", files.key.as_ref(), limits::PEM_FILE)?;
        Self::from_pem(&files.certificate, &certificate, &key).with_context(|| {
            format!(
                "cannot use the certificate `{}` with the key `{}`",
                files.certificate, files.key
            )
        })
    }

    /// Takes PEM text; `source` names it in messages.
    ///
    /// # Errors
    /// Text that is not PEM or holds no certificate or no key.
    pub(crate) fn from_pem(source: &str, certificates: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let certificates = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .context("the certificate is not in PEM format")?;
        if certificates.is_empty() {
            bail!("there is no `BEGIN CERTIFICATE` in the certificate file");
        }
        let key = PrivateKeyDer::from_pem_slice(key).context(
            "there is no usable private key in PEM format; encrypted keys are not supported",
        )?;
        Ok(Self {
            source: source.to_owned(),
            certificates,
            key,
        })
    }

    fn certified(&self) -> anyhow::Result<Arc<CertifiedKey>> {
        let key = CertifiedKey::from_der(
            self.certificates.clone(),
            self.key.clone_key(),
            &super::provider(),
        )
        .with_context(|| format!("cannot use the certificate `{}` with its key", self.source))?;
        Ok(Arc::new(key))
    }
}

/// Chooses the first certificate that is valid for the name the client asks for.
#[derive(Debug)]
struct ByName {
    keys: Vec<Arc<CertifiedKey>>,
}

impl ByName {
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let fits = name.and_then(|name| {
            let name = ServerName::try_from(name).ok()?;
            self.keys.iter().find(|key| covers(key, &name))
        });
        fits.or_else(|| self.keys.first()).map(Arc::clone)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

fn covers(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = key.end_entity_cert() else {
        return false;
    };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(names: &[&str]) -> Chain {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Chain::from_pem(
            "test",
            made.cert.pem().as_bytes(),
            made.signing_key.serialize_pem().as_bytes(),
        )
        .unwrap()
    }

    fn chosen(chains: &[Chain], name: Option<&str>) -> usize {
        let keys: Vec<_> = chains
            .iter()
            .map(|chain| chain.certified().unwrap())
            .collect();
        let resolver = ByName { keys: keys.clone() };
        let key = resolver.choose(name).unwrap();
        keys.iter()
            .position(|other| Arc::ptr_eq(other, &key))
            .unwrap()
    }

    #[test]
    fn the_certificate_follows_the_name() {
        let chains = [chain(&["one.test"]), chain(&["two.test", "*.wild.test"])];
        assert_eq!(chosen(&chains, Some("one.test")), 0);
        assert_eq!(chosen(&chains, Some("two.test")), 1);
        assert_eq!(chosen(&chains, Some("a.wild.test")), 1);
        assert_eq!(chosen(&chains, Some("other.test")), 0);
        assert_eq!(chosen(&chains, None), 0);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let mut one = chain(&["one.test"]);
        one.key = chain(&["two.test"]).key;
        assert!(Certificates::Tls(vec![one]).server_config().is_err());
    }

    #[test]
    fn text_without_a_certificate_is_refused() {
        let made = rcgen::generate_simple_self_signed(vec!["one.test".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        let refused = Chain::from_pem("test", key.as_bytes(), key.as_bytes())
            .err()
            .unwrap();
        assert!(
            refused.to_string().contains("BEGIN CERTIFICATE"),
            "{refused}"
        );
    }
}

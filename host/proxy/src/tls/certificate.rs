//! The listener's certificates, and the choice among them.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use jetway_core::config::{Listener, ServerCertificate};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ProducesTickets, ResolvesServerCert,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::validity::read_validity;
use super::{client_authority, pem};
use crate::metrics::CertificateReading;

/// The certificates of the listener.
pub enum Certificates {
    /// Nothing: plain HTTP.
    Plain,
    /// TLS with these chains; the first is for names that match none. Never empty.
    Tls(Vec<Chain>),
    /// TLS as above, and clients are asked for a certificate, which this verifier checks.
    MutualTls(Vec<Chain>, Arc<dyn ClientCertVerifier>),
}

impl Certificates {
    /// Reads the certificates that the configuration names.
    ///
    /// # Errors
    /// A file cannot be read or used, or a TLS listener has no certificate.
    pub fn read(listener: &Listener) -> anyhow::Result<Self> {
        Self::read_own(listener)?.with_client_authority(listener)
    }

    /// Reads the certificates that the listener shows, without the authorities of clients' certificates.
    ///
    /// # Errors
    /// A file cannot be read or used, or a TLS listener has no certificate.
    pub fn read_own(listener: &Listener) -> anyhow::Result<Self> {
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

    /// The same certificates; a TLS listener asks for those of clients, too, if the configuration says so.
    ///
    /// # Errors
    /// The authorities of clients' certificates cannot be read or used.
    pub fn with_client_authority(self, listener: &Listener) -> anyhow::Result<Self> {
        match (self, &listener.client_authority) {
            (Self::Tls(chains), Some(authority)) => Ok(Self::MutualTls(
                chains,
                client_authority::build_verifier(authority)?,
            )),
            (own, _) => Ok(own),
        }
    }

    /// Describes how long each certificate is valid.
    pub(crate) fn validities(&self) -> Vec<CertificateReading> {
        let chains = match self {
            Self::Plain => return Vec::new(),
            Self::Tls(chains) | Self::MutualTls(chains, _) => chains,
        };
        let leaves = chains.iter().filter_map(|chain| chain.certificates.first());
        leaves.filter_map(read_validity).collect()
    }

    /// Returns whether clients speak TLS to the listener.
    pub(crate) fn is_secure(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Builds the TLS configuration; `None` for plain HTTP. Clients resume sessions by tickets of these keys.
    ///
    /// # Errors
    /// A key does not belong to its certificate, or is of a kind that is not supported.
    pub fn server_config(&self, tickets: &TicketKeys) -> anyhow::Result<Option<Arc<ServerConfig>>> {
        let (chains, client_verifier) = match self {
            Self::Plain => return Ok(None),
            Self::Tls(chains) => (chains, None),
            Self::MutualTls(chains, verifier) => (chains, Some(verifier)),
        };
        let keys = chains
            .iter()
            .map(Chain::certified_key)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut config = ServerConfig::builder_with_provider(super::crypto_provider())
            .with_safe_default_protocol_versions()
            .context("the TLS library offers no usable version")?
            .with_client_cert_verifier(
                client_verifier.map_or_else(WebPkiClientVerifier::no_client_auth, Arc::clone),
            )
            .with_cert_resolver(Arc::new(CertificatesByName { keys }));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if client_verifier.is_some() {
            // A resumed session would keep its certificate past the end of its validity, so that each connection shows it
            // again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else {
            config.ticketer = Arc::clone(&tickets.0);
        }
        Ok(Some(Arc::new(config)))
    }
}

/// The keys of session tickets (RFC 8446 section 4.6.1), with which returning browsers skip the costly half of the handshake. They
/// live in memory only, and rotate. All workers and all configurations of a process use the same, so that a reload does not cost
/// every browser a whole handshake.
#[derive(Clone)]
pub struct TicketKeys(Arc<dyn ProducesTickets>);

impl TicketKeys {
    /// Makes the keys of a process.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> anyhow::Result<Self> {
        let ticketer = rustls::crypto::ring::Ticketer::new();
        ticketer
            .map(Self)
            .context("cannot make session ticket keys")
    }
}

/// One certificate chain and its private key. It has no `Debug`, so that the key cannot be printed.
pub struct Chain {
    /// The origin of the certificate, for error messages.
    source: String,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Chain {
    /// Reads the certificate chain and the key.
    pub(super) fn read(server: &ServerCertificate) -> anyhow::Result<Self> {
        let certificate = pem::read("certificate", &server.certificate)?;
        let key = pem::read("private key", &server.key)?;
        let (certificate_source, key_source) = (
            pem::describe_source(&server.certificate),
            pem::describe_source(&server.key),
        );
        Self::from_pem(&certificate_source, &certificate, &key).with_context(|| {
            format!("cannot use the certificate {certificate_source} with the key {key_source}")
        })
    }

    /// Parses PEM data; `source` names it in error messages.
    ///
    /// # Errors
    /// The data is not PEM, or contains no certificate or no key.
    pub fn from_pem(source: &str, certificates: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let certificates = pem::parse_chain(certificates)?;
        let key = pem::parse_private_key(key)?;
        Ok(Self {
            source: source.to_owned(),
            certificates,
            key,
        })
    }

    fn certified_key(&self) -> anyhow::Result<Arc<CertifiedKey>> {
        let key = CertifiedKey::from_der(
            self.certificates.clone(),
            self.key.clone_key(),
            &super::crypto_provider(),
        )
        .with_context(|| format!("cannot use the certificate {} with its key", self.source))?;
        Ok(Arc::new(key))
    }
}

/// Chooses the first certificate that is valid for the name that the client asks for.
#[derive(Debug)]
struct CertificatesByName {
    keys: Vec<Arc<CertifiedKey>>,
}

impl CertificatesByName {
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let fits = name.and_then(|name| {
            let name = ServerName::try_from(name).ok()?;
            self.keys.iter().find(|key| is_valid_for(key, &name))
        });
        fits.or_else(|| self.keys.first()).map(Arc::clone)
    }
}

impl ResolvesServerCert for CertificatesByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

fn is_valid_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
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
            .map(|chain| chain.certified_key().unwrap())
            .collect();
        let resolver = CertificatesByName { keys: keys.clone() };
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
        let tickets = TicketKeys::generate().unwrap();
        assert!(
            Certificates::Tls(vec![one])
                .server_config(&tickets)
                .is_err()
        );
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

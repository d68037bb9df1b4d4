//! Checks that a certificate's chain ends at an authority that browsers trust. This machine's authorities stand for those of
//! the browsers.

use std::time::Duration;

use jetway_proxy::tls::{self, Roots};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::{CHECK, ServedCertificate};
use crate::doctor::finding::{Change, Finding};

/// Most characters of a name that are shown.
const MAX_NAME: usize = 100;
const SEEN: &str =
    "a warning page: \"Your connection is not private\" (NET::ERR_CERT_AUTHORITY_INVALID)";

/// The end of a certificate's chain.
#[derive(Debug, PartialEq, Eq)]
enum Backing {
    /// An authority that this machine trusts.
    Known,
    /// The certificate itself.
    Itself,
    /// An authority that is also in the file, and that this machine does not trust.
    OwnAuthority(String),
    /// An issuer whose certificate is neither in the file nor trusted.
    Missing(String),
    /// Another problem of the chain.
    Faulty(String),
}

/// Checks the whole chain of a certificate that is valid now.
pub(super) fn examine(shown: &ServedCertificate, now: u64, roots: &Roots) -> Finding {
    let about = format!("certificate {}", shown.name);
    let Ok(known) = roots.system() else {
        let message =
            "this machine has no certificate authorities, so that its chain cannot be checked";
        return Finding::ok(CHECK, &about, message);
    };
    let warning = |message: String| Finding::warning(CHECK, &about, message).seen(SEEN);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    match Backing::of(&shown.chain, &known, now) {
        Backing::Known => {
            let message = "its chain ends at an authority that this machine trusts";
            Finding::ok(CHECK, &about, message)
        }
        Backing::Itself => warning("it is self-signed".to_owned())
            .why("a browser accepts a certificate whose chain ends at an authority that it trusts")
            .change(Change::act(
                "get a certificate from an authority, or add this one to each browser",
            )),
        Backing::OwnAuthority(name) => {
            warning(format!("this machine does not trust its authority `{name}`"))
                .why("each browser has to trust a private authority")
                .change(Change::act(
                    "add it to each browser, or get a certificate from a public authority",
                ))
        }
        Backing::Missing(name) => warning(format!(
            "its chain ends at `{name}`, whose certificate is neither in the file nor trusted by this machine"
        ))
        .why(
            "the server has to send every certificate between its own and that of a trusted authority (some browsers fetch a \
             missing one, phones and programs do not), and each browser has to trust a private authority",
        )
        .change(
            Change::act(format!(
                "use the file with the whole chain, which is often called `fullchain.pem`, instead of {}",
                shown.name
            )),
        )
        .change(Change::act("if the authority is private, add it to each browser")),
        Backing::Faulty(told) => {
            Finding::warning(CHECK, &about, format!("its chain cannot be used: {told}"))
                .seen("a warning page instead of the application")
                .why("browsers check every certificate up to that of the authority")
                .change(Change::act(
                    "get the certificate and its chain from the authority again",
                ))
        }
    }
}

impl Backing {
    fn of(chain: &[CertificateDer<'_>], known: &RootCertStore, now: UnixTime) -> Self {
        use rustls::{CertificateError, Error};
        let signs_itself =
            read_names(chain.first()).is_some_and(|(subject, issuer)| subject == issuer);
        match tls::verify_chain(chain, known, now) {
            Ok(()) => Self::Known,
            // A self-signed certificate that may sign others is refused for that alone.
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            )) if signs_itself => Self::Itself,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Self::unknown(chain),
            Err(error) => Self::Faulty(error.to_string()),
        }
    }

    /// Follows the issuers from the server's certificate, as far as they are in the file.
    fn unknown(chain: &[CertificateDer<'_>]) -> Self {
        let all: Vec<_> = chain
            .iter()
            .filter_map(|one| read_names(Some(one)))
            .collect();
        let Some(mut current) = all.first() else {
            return Self::Faulty("its certificate cannot be read".to_owned());
        };
        // The number of steps is limited, so that a circular chain ends too.
        for _ in &all {
            match all.iter().find(|(subject, _)| *subject == current.1) {
                Some(next) if next != current => current = next,
                _ => break,
            }
        }
        let (subject, issuer) = current;
        let name = issuer.chars().take(MAX_NAME).collect();
        if subject == issuer {
            Self::OwnAuthority(name)
        } else {
            Self::Missing(name)
        }
    }
}

/// Returns subject and issuer.
fn read_names(certificate: Option<&CertificateDer<'_>>) -> Option<(String, String)> {
    let parsed = Certificate::from_der(certificate?).ok()?;
    let tbs = parsed.tbs_certificate();
    Some((tbs.subject().to_string(), tbs.issuer().to_string()))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// Returns a certificate, its intermediate and its root.
    fn chain() -> [CertificateDer<'static>; 3] {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let [root_key, between_key, own_key] = [(); 3].map(|()| KeyPair::generate().unwrap());
        let root = authority("Root").self_signed(&root_key).unwrap();
        let issuer = Issuer::new(authority("Root"), &root_key);
        let between = authority("Between")
            .signed_by(&between_key, &issuer)
            .unwrap();
        let issuer = Issuer::new(authority("Between"), &between_key);
        let mut own = CertificateParams::new(["one.test".to_owned()]).unwrap();
        own.distinguished_name.push(DnType::CommonName, "Own");
        let own = own.signed_by(&own_key, &issuer).unwrap();
        [&own, &between, &root].map(|certificate| certificate.der().clone())
    }

    #[test]
    fn missing_parts_of_a_chain_are_reported() {
        let [own, between, root] = chain();
        let nobody = RootCertStore::empty();
        let mut known = RootCertStore::empty();
        known.add(root.clone()).unwrap();
        let of = |chain: &[&CertificateDer<'static>], known: &RootCertStore| {
            let chain: Vec<_> = chain.iter().map(|&one| one.clone()).collect();
            let now = UnixTime::since_unix_epoch(Duration::from_secs(1_795_000_000));
            Backing::of(&chain, known, now)
        };
        let alone = rcgen::generate_simple_self_signed(["one.test".to_owned()]).unwrap();
        let named = |name: &str| format!("CN={name}");
        for (chain, known, expected) in [
            (&[&own, &between][..], &known, Backing::Known),
            (&[&own, &between, &root], &known, Backing::Known),
            (&[&own], &known, Backing::Missing(named("Between"))),
            (&[&own, &root], &known, Backing::Missing(named("Between"))),
            (&[&own, &between], &nobody, Backing::Missing(named("Root"))),
            (
                &[&own, &between, &root],
                &nobody,
                Backing::OwnAuthority(named("Root")),
            ),
            (&[alone.cert.der()], &known, Backing::Itself),
        ] {
            assert_eq!(of(chain, known), expected);
        }
        let garbage = CertificateDer::from(vec![1]);
        assert!(matches!(of(&[&garbage], &known), Backing::Faulty(_)));
    }
}

//! Whether an authority that visitors' browsers know stands behind a certificate. This machine's authorities stand in for theirs.

use std::time::Duration;

use jetway_proxy::tls::{self, Roots};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::{CHECK, Shown};
use crate::doctor::finding::{Change, Finding};

/// Characters of a name that are shown.
const MAX_NAME: usize = 100;
const SEEN: &str =
    "a warning page: \"Your connection is not private\" (NET::ERR_CERT_AUTHORITY_INVALID)";

/// What stands behind the certificate.
#[derive(Debug, PartialEq, Eq)]
enum Backing {
    /// A known authority.
    Known,
    /// Itself.
    Itself,
    /// An authority that is in the file, too, and that nobody else knows.
    OwnAuthority(String),
    /// Somebody whose certificate is neither in the file nor known.
    Missing(String),
    /// Another fault of the chain, in words.
    Faulty(String),
}

/// Looks at the whole chain of a certificate that is valid now.
pub(super) fn examine(shown: &Shown, now: u64, roots: &Roots) -> Finding {
    let about = format!("certificate {}", shown.name);
    let Ok(known) = roots.system() else {
        let message = "this machine knows no authorities: whether browsers accept it is not known";
        return Finding::ok(CHECK, &about, message);
    };
    let warning = |message: String| Finding::warning(CHECK, &about, message).seen(SEEN);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    match Backing::of(&shown.chain, &known, now) {
        Backing::Known => {
            let message = "an authority that this machine knows stands behind it";
            Finding::ok(CHECK, &about, message)
        }
        Backing::Itself => warning("it is signed by itself".to_owned())
            .why("a browser accepts a certificate when an authority that it knows stands behind it")
            .change(Change::act(
                "take a certificate of an authority, or let each browser know this one",
            )),
        Backing::OwnAuthority(name) => {
            warning(format!("its authority `{name}` is not known to this machine"))
                .why("an authority of your own has to be known to each browser")
                .change(Change::act(
                    "let each browser know it, or take a certificate of a public authority",
                ))
        }
        Backing::Missing(name) => warning(format!(
            "it ends at `{name}`, whose certificate is neither in the file nor known to this machine"
        ))
        .why(
            "every certificate between the server's own and that of a known authority has to be shown (some browsers fetch a \
             missing one, telephones and programs do not), and an authority of your own has to be known to each browser",
        )
        .change(
            Change::act(format!(
                "name the file with the whole chain, which is often called `fullchain.pem`, instead of {}, and start Jetway again",
                shown.name
            )),
        )
        .change(Change::act("if the authority is your own, let each browser know it")),
        Backing::Faulty(told) => {
            Finding::warning(CHECK, &about, format!("its chain cannot be used: {told}"))
                .seen("a warning page instead of the application")
                .why("browsers look at every certificate up to that of the authority")
                .change(Change::act(
                    "get certificate and chain anew from the authority, and start Jetway again",
                ))
        }
    }
}

impl Backing {
    fn of(chain: &[CertificateDer<'_>], known: &RootCertStore, now: UnixTime) -> Self {
        use rustls::{CertificateError, Error};
        let signs_itself = names(chain.first()).is_some_and(|(subject, issuer)| subject == issuer);
        match tls::verify_chain(chain, known, now) {
            Ok(()) => Self::Known,
            // One that may sign others, as those that sign themselves often may, is refused for that alone.
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            )) if signs_itself => Self::Itself,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Self::unknown(chain),
            Err(error) => Self::Faulty(error.to_string()),
        }
    }

    /// Goes from the owner's certificate to that of whoever has signed it, as far as they are in the file.
    fn unknown(chain: &[CertificateDer<'_>]) -> Self {
        let all: Vec<_> = chain.iter().filter_map(|one| names(Some(one))).collect();
        let Some(mut current) = all.first() else {
            return Self::Faulty("its certificate cannot be read".to_owned());
        };
        // A chain that goes in circles ends too.
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

/// Subject and issuer.
fn names(certificate: Option<&CertificateDer<'_>>) -> Option<(String, String)> {
    let parsed = Certificate::from_der(certificate?).ok()?;
    let tbs = parsed.tbs_certificate();
    Some((tbs.subject().to_string(), tbs.issuer().to_string()))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// A certificate, that of the intermediate that has signed it, and that of its root.
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
    fn what_is_missing_in_a_chain_is_told() {
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

//! A request that somebody asks about, with everything that a decision may look at.

use std::net::IpAddr;

use jetway_core::explain::Question;
use jetway_core::http::client_certificate::{Certificate, ClientCertificate};
use jetway_core::time::Timestamp;
use serde_json::{Map, Value};

use super::address::Address;

/// What a browser's navigation accepts. Without such a header the question would be that of a script, which is never
/// sent to the provider.
const ACCEPT: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
/// Headers that say what kind of client asks.
const KINDS: [&str; 2] = ["accept", "sec-fetch-mode"];

/// One request and its visitor.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Pseudo headers first, then the others, in lower-case names.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The visitor's claims; `None` when nobody is signed in.
    pub(crate) claims: Option<Map<String, Value>>,
    /// The client's address.
    pub(crate) source: Option<IpAddr>,
    /// When.
    pub(crate) now: Timestamp,
    /// The client's certificate; `None` when nothing is said about it.
    pub(crate) certificate: Option<ClientCertificateInput>,
}

/// What is said about the client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificateInput {
    /// No authority is configured.
    NotAsked,
    /// None is shown.
    Missing,
    /// One that the authorities did not sign.
    Invalid,
    /// A good one.
    Valid(Box<Certificate>),
}

impl Scenario {
    /// A request by a browser with these headers beside its own, at a time, by nobody from nowhere.
    pub(crate) fn new(
        method: &str,
        address: &Address,
        headers: &[(String, Vec<u8>)],
        now: Timestamp,
    ) -> Self {
        let own = [
            (":method", method),
            (":scheme", "https"),
            (":authority", &address.authority),
            (":path", &address.path),
        ];
        let told = |(name, _): &(String, Vec<u8>)| KINDS.contains(&name.as_str());
        let browser = (!headers.iter().any(told)).then_some(ACCEPT);
        let header = |(name, value): (&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
        let own = own.into_iter().chain(browser).map(header);
        Self {
            headers: own.chain(headers.iter().cloned()).collect(),
            claims: None,
            source: None,
            now,
            certificate: None,
        }
    }

    /// The question for the core. `asks` tells whether clients are scenario for a certificate: whoever does not say which
    /// one is shown then shows none.
    pub(crate) fn question(&self, asks: bool) -> Question<'_> {
        let certificate = match &self.certificate {
            None if asks => ClientCertificate::Missing,
            None | Some(ClientCertificateInput::NotAsked) => ClientCertificate::NotAsked,
            Some(ClientCertificateInput::Missing) => ClientCertificate::Missing,
            Some(ClientCertificateInput::Invalid) => ClientCertificate::Invalid,
            Some(ClientCertificateInput::Valid(certificate)) => {
                ClientCertificate::Valid(certificate)
            }
        };
        Question {
            headers: &self.headers,
            claims: self.claims.as_ref(),
            source: self.source,
            now: self.now,
            certificate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(headers: &[(&str, &str)]) -> Scenario {
        let address = Address::read("app.test/a").unwrap();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Scenario::new("GET", &address, &headers, Timestamp(0))
    }

    fn values(scenario: &Scenario, name: &str) -> Vec<String> {
        let fits = scenario.headers.iter().filter(|(known, _)| known == name);
        fits.map(|(_, value)| String::from_utf8(value.clone()).unwrap())
            .collect()
    }

    #[test]
    fn a_browser_asks_unless_the_headers_tell_otherwise() {
        assert!(values(&scenario(&[]), "accept")[0].contains("text/html"));
        assert_eq!(values(&scenario(&[("accept", "*/*")]), "accept"), ["*/*"]);
        assert!(values(&scenario(&[("sec-fetch-mode", "cors")]), "accept").is_empty());
        let scenario = scenario(&[("upgrade", "websocket")]);
        assert_eq!(values(&scenario, ":path"), ["/a"]);
        assert_eq!(values(&scenario, "upgrade"), ["websocket"]);
    }

    #[test]
    fn no_certificate_is_a_missing_one_where_clients_are_asked() {
        let mut scenario = scenario(&[]);
        assert_eq!(
            scenario.question(false).certificate,
            ClientCertificate::NotAsked
        );
        assert_eq!(
            scenario.question(true).certificate,
            ClientCertificate::Missing
        );
        scenario.certificate = Some(ClientCertificateInput::Invalid);
        assert_eq!(
            scenario.question(true).certificate,
            ClientCertificate::Invalid
        );
    }
}

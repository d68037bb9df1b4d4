//! A hypothetical request, with everything on which a decision may depend.

use std::net::IpAddr;

use jetway_core::explain::Question;
use jetway_core::http::client_certificate::{Certificate, ClientCertificate};
use jetway_core::time::Timestamp;
use serde_json::{Map, Value};

use super::address::Address;

/// The `Accept` header of a browser that opens a page. Without it the request would be that of a script, which is never
/// redirected to the provider.
const ACCEPT: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
/// Headers that tell browsers and scripts apart.
const KINDS: [&str; 2] = ["accept", "sec-fetch-mode"];

/// One request and its user.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Pseudo headers first, then the others, in lower-case names.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The user's claims; `None` for an anonymous request.
    pub(crate) claims: Option<Map<String, Value>>,
    /// The client's address.
    pub(crate) source: Option<IpAddr>,
    /// The time of the request.
    pub(crate) now: Timestamp,
    /// The client's certificate; `None` when it is not specified.
    pub(crate) certificate: Option<ClientCertificateInput>,
}

/// The client's certificate in a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificateInput {
    /// No authority is configured.
    NotAsked,
    /// The client presents none.
    Missing,
    /// The client presents one that the authorities did not sign.
    Invalid,
    /// The client presents a valid one.
    Valid(Box<Certificate>),
}

impl Scenario {
    /// Creates a browser's request with these additional headers, at a time, anonymous and without an address.
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
        let is_kind = |(name, _): &(String, Vec<u8>)| KINDS.contains(&name.as_str());
        let browser = (!headers.iter().any(is_kind)).then_some(ACCEPT);
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

    /// Builds the question for the core. `asks` says whether clients are asked for a certificate: then one that is not
    /// specified is missing.
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
    fn the_client_is_a_browser_unless_the_headers_say_otherwise() {
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

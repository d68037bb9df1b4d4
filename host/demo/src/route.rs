//! The demo's configuration: one provider, one route.

use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use jetway_core::config::Origin;
use serde_json::{Value, json};

use crate::place::Place;
use crate::provider::Client;
use crate::unix_accounts::UnixUsers;

/// The address of Cockpit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream(Origin);

impl Upstream {
    /// Returns scheme, host and port.
    pub(crate) fn origin(&self) -> &Origin {
        &self.0
    }

    /// Returns whether the upstream gets the public host name. A Cockpit that serves TLS itself compares the browser's
    /// `Origin` with the host name that it gets, so it works without a change of its configuration.
    pub(crate) fn sees_public_host(&self) -> bool {
        self.0.tls
    }

    /// Returns whether the certificate is not verified: Cockpit creates its own on each machine, and a connection
    /// within this machine cannot be intercepted.
    pub(crate) fn is_trusted_blindly(&self) -> bool {
        let host = self.0.host.trim_start_matches('[').trim_end_matches(']');
        self.0.tls
            && (host == "localhost" || IpAddr::from_str(host).is_ok_and(|ip| ip.is_loopback()))
    }
}

impl FromStr for Upstream {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let help = "write scheme, host and port, such as `http://localhost:9090`";
        let url =
            url::Url::parse(text).with_context(|| format!("`{text}` is not a URL: {help}"))?;
        let Some(origin) = Origin::of(&url) else {
            bail!("`{text}` is not a valid upstream: {help}");
        };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            bail!("`{text}` has a path, query or fragment: {help}");
        }
        Ok(Self(origin))
    }
}

/// The parts of the demo's configuration.
pub(crate) struct DemoConfig<'a> {
    /// The demo's addresses.
    pub(crate) place: &'a Place,
    /// Jetway's registration with the demo provider.
    pub(crate) client: &'a Client,
    /// Cockpit.
    pub(crate) upstream: &'a Upstream,
    /// The secret that seals sessions.
    pub(crate) cookie_secret: &'a str,
    /// The Unix users that alice and bob become in Cockpit. Without them, Cockpit asks for a password.
    pub(crate) unix_users: Option<UnixUsers<'a>>,
}

impl DemoConfig<'_> {
    /// Returns the configuration as an operator would write it. It contains the secrets.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "address": self.place.listen().to_string(),
            "idp_provider": "oidc",
            "idp_provider_url": self.place.issuer().to_string(),
            "idp_client_id": self.client.id(),
            "idp_client_secret": self.client.secret(),
            "cookie_secret": self.cookie_secret,
            // Pomerium's default without Strict-Transport-Security: the certificate ends with the demo, and a browser would
            // refuse every other program at this name for a year.
            "set_response_headers": { "X-Frame-Options": "SAMEORIGIN" },
            "routes": [self.route()],
        })
    }

    fn route(&self) -> Value {
        let mut route = json!({
            "from": self.place.application(),
            "to": self.upstream.origin().to_string(),
            "allow_websockets": true,
            "policy": [{
                "allow": {
                    "or": [
                        { "email": { "is": "alice@example.com" } },
                        { "email": { "is": "bob@example.com" } },
                    ],
                },
            }],
        });
        if let Some(users) = self.unix_users {
            route["cockpit"] = json!({
                "users": { "alice@example.com": users.alice, "bob@example.com": users.bob },
                "administrators": [{ "allow": { "or": [{ "groups": { "has": "admins" } }] } }],
            });
        } else if self.upstream.sees_public_host() {
            route["preserve_host_header"] = json!(true);
        }
        if self.upstream.is_trusted_blindly() {
            route["tls_skip_verify"] = json!(true);
        }
        route
    }
}

#[cfg(test)]
mod tests {
    use jetway_core::config::{Config, HostHeader, Route, Upstreams};

    use super::{DemoConfig, Upstream};
    use crate::place::Place;
    use crate::provider::{ACCOUNTS, Account, Client};
    use crate::unix_accounts::UnixUsers;

    const COOKIE_SECRET: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn read(upstream: &str) -> Config {
        read_with(upstream, None)
    }

    fn read_with(upstream: &str, unix_users: Option<UnixUsers<'_>>) -> Config {
        let place = Place::new("cockpit.localhost", "127.0.0.1:8443".parse().unwrap(), 8444);
        let client = Client::register(&place.application()).unwrap();
        let upstream = upstream.parse().unwrap();
        let value = DemoConfig {
            place: &place,
            client: &client,
            upstream: &upstream,
            cookie_secret: COOKIE_SECRET,
            unix_users,
        }
        .to_json();
        let loaded = Config::read(&value, &|_| None).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        loaded.config
    }

    fn upstreams(route: &Route) -> &Upstreams {
        route.target.upstreams().unwrap()
    }

    fn preserves_host(route: &Route) -> bool {
        matches!(route.host, HostHeader::Preserve)
    }

    #[test]
    fn the_route_is_the_one_of_the_guide() {
        let config = read("http://localhost:9090");
        let [route] = config.routes.as_slice() else {
            panic!("one route")
        };
        assert_eq!(route.from.authority(), "cockpit.localhost:8443");
        let [endpoint] = upstreams(route).endpoints.as_slice() else {
            panic!("one upstream")
        };
        assert_eq!(endpoint.origin.to_string(), "http://localhost:9090");
        assert!(route.allow_websockets);
        assert!(!preserves_host(route));
        assert!(!upstreams(route).tls.skip_verify);
        assert_eq!(
            config.provider.unwrap().issuer,
            "https://idp.localhost:8444"
        );
    }

    #[test]
    fn a_cockpit_with_tls_on_this_machine_needs_no_configuration() {
        let config = read("https://localhost:9090");
        let [route] = config.routes.as_slice() else {
            panic!("one route")
        };
        assert!(preserves_host(route));
        assert!(upstreams(route).tls.skip_verify);
    }

    #[test]
    fn unix_users_replace_the_password_and_the_policy_for_administrators_names_the_group_of_alice()
    {
        let users = UnixUsers {
            alice: "a",
            bob: "b",
        };
        let config = read_with("http://localhost:9090", Some(users));
        let [route] = config.routes.as_slice() else {
            panic!("one route")
        };
        let cockpit = route.cockpit.as_ref().unwrap();
        let users: Vec<_> = cockpit
            .users
            .iter()
            .map(|(account, user)| (account.as_str(), user.as_str()))
            .collect();
        assert_eq!(
            users,
            [("alice@example.com", "a"), ("bob@example.com", "b")]
        );
        assert!(preserves_host(route));
        let is_admin = |account: &Account| account.groups.contains(&"admins");
        let admins: Vec<_> = ACCOUNTS
            .iter()
            .filter(|account| is_admin(account))
            .collect();
        assert!(admins.len() == 1 && admins[0].email == "alice@example.com");
    }

    #[test]
    fn a_certificate_of_another_machine_is_checked() {
        let config = read("https://server.example:9090");
        let [route] = config.routes.as_slice() else {
            panic!("one route")
        };
        assert!(!upstreams(route).tls.skip_verify);
    }

    #[test]
    fn an_upstream_is_an_origin() {
        for wrong in [
            "localhost:9090",
            "ftp://localhost",
            "http://localhost:9090/cockpit",
            "http://a@localhost",
            "http://",
        ] {
            assert!(wrong.parse::<Upstream>().is_err(), "{wrong}");
        }
        assert_eq!(
            "http://localhost:9090/"
                .parse::<Upstream>()
                .unwrap()
                .origin()
                .port,
            9090
        );
    }
}

//! The operator's file of a scenario.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use crate::{ALICE, BOB, Registration, write_private};

/// One entry of `routes`.
#[derive(Clone, Debug)]
pub struct Route {
    host: String,
    /// The port in `from`; the scene's public one by default.
    port: FromPort,
    keys: Vec<String>,
    /// The complete `policy` key.
    policy: Option<String>,
}

/// The port in a route's `from`.
#[derive(Clone, Copy, Debug)]
enum FromPort {
    Public,
    Other(u16),
    Any,
}

impl Route {
    /// Returns a route from a host to an upstream that permits alice and bob.
    #[must_use]
    pub fn new(host: &str, to: &str) -> Self {
        Self::without_upstream(host).key(&format!("to: {to}"))
    }

    /// Returns a route that permits alice and bob and leads nowhere yet: one of `to`, `redirect` and `response` has to
    /// follow.
    #[must_use]
    pub fn without_upstream(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            port: FromPort::Public,
            keys: Vec::new(),
            policy: None,
        }
        .emails(&[ALICE, BOB])
    }

    /// Matches only paths that begin with this.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        self.key(&format!("prefix: {prefix}"))
    }

    /// Allows websockets.
    #[must_use]
    pub fn websockets(self) -> Self {
        self.key("allow_websockets: true")
    }

    /// Preserves the public host.
    #[must_use]
    pub fn preserve_host(self) -> Self {
        self.key("preserve_host_header: true")
    }

    /// Permits only this account.
    #[must_use]
    pub fn only(self, email: &str) -> Self {
        self.emails(&[email])
    }

    /// Permits all requests, signed in or not.
    #[must_use]
    pub fn public(self) -> Self {
        self.policy("- allow: {or: [accept: true]}")
    }

    /// Sets this policy, in YAML.
    #[must_use]
    pub fn policy(self, policy: &str) -> Self {
        Self {
            policy: Some(policy.to_owned()),
            ..self
        }
    }

    /// Removes the `policy` key.
    #[must_use]
    pub fn no_policy(self) -> Self {
        Self {
            policy: None,
            ..self
        }
    }

    /// Puts this port into `from` instead of the scene's public port.
    #[must_use]
    pub fn at_port(self, port: u16) -> Self {
        Self {
            port: FromPort::Other(port),
            ..self
        }
    }

    /// Removes the port from `from`.
    #[must_use]
    pub fn at_any_port(self) -> Self {
        Self {
            port: FromPort::Any,
            ..self
        }
    }

    /// Adds these keys: one or more lines of YAML.
    #[must_use]
    pub fn key(mut self, yaml: &str) -> Self {
        self.keys.push(yaml.to_owned());
        self
    }

    fn emails(self, emails: &[&str]) -> Self {
        let criteria: String = emails
            .iter()
            .map(|email| format!("      - email:\n          is: {email}\n"))
            .collect();
        self.policy(&format!("- allow:\n    or:\n{criteria}"))
    }

    fn write(&self, public: u16, yaml: &mut String) -> Result<()> {
        let port = match self.port {
            FromPort::Public => format!(":{public}"),
            FromPort::Other(port) => format!(":{port}"),
            FromPort::Any => String::new(),
        };
        writeln!(yaml, "  - from: 'https://{}{port}'", self.host)?;
        for key in &self.keys {
            indent(key, 4, yaml)?;
        }
        if let Some(policy) = &self.policy {
            writeln!(yaml, "    policy:")?;
            indent(policy, 6, yaml)?;
        }
        Ok(())
    }
}

/// Indents lines.
fn indent(lines: &str, columns: usize, yaml: &mut String) -> Result<()> {
    for line in lines.lines() {
        writeln!(yaml, "{:columns$}{line}", "")?;
    }
    Ok(())
}

/// The contents of the file, except the secrets.
#[derive(Debug)]
pub struct Settings<'a> {
    /// Port on which the proxy listens.
    pub listen: u16,
    /// Port in the public addresses.
    pub public: u16,
    /// Files of the proxy's certificate.
    pub certificate: &'a crate::Certificate,
    /// The registration with the provider.
    pub registration: &'a Registration,
    /// Further keys beside `routes`, in YAML.
    pub keys: &'a str,
    /// The routes, in order.
    pub routes: &'a [Route],
}

impl Settings<'_> {
    /// Returns the contents of the file.
    ///
    /// # Errors
    /// A string can always be written to memory.
    pub fn yaml(&self) -> Result<String> {
        let mut yaml = format!(
            "address: 127.0.0.1:{}\n\
             certificate_file: {}\n\
             certificate_key_file: {}\n\
             idp_provider: {}\n\
             idp_provider_url: {}\n\
             idp_client_id: {}\n\
             {}\n\
             routes:\n",
            self.listen,
            self.certificate.chain.display(),
            self.certificate.key.display(),
            self.registration.kind,
            self.registration.issuer,
            self.registration.client_id,
            self.keys.trim_end(),
        );
        for route in self.routes {
            route.write(self.public, &mut yaml)?;
        }
        Ok(yaml)
    }
}

/// Where the proxy finds its secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// In environment variables, which both proxies read.
    #[default]
    Environment,
    /// In the operator's file.
    Inline,
    /// In files whose paths the operator's file has.
    Files,
}

/// Secrets of one scenario.
#[derive(Clone)]
pub struct Secrets {
    /// `COOKIE_SECRET`: 32 bytes in base64.
    pub cookie: String,
    /// `IDP_CLIENT_SECRET`.
    pub client: String,
    /// Where the proxy reads them.
    pub placement: Placement,
}

impl Secrets {
    /// Generates new secrets.
    ///
    /// # Errors
    /// Returns an error when the system has no random bytes to give.
    pub fn draw() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let cookie = BASE64_STANDARD.encode(bytes);
        getrandom::fill(&mut bytes)?;
        Ok(Self {
            cookie,
            client: BASE64_URL_SAFE_NO_PAD.encode(bytes),
            placement: Placement::default(),
        })
    }

    /// Returns names and values of the environment variables.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, &str)> {
        match self.placement {
            Placement::Environment => vec![
                ("COOKIE_SECRET", &self.cookie),
                ("IDP_CLIENT_SECRET", &self.client),
            ],
            Placement::Inline | Placement::Files => Vec::new(),
        }
    }

    /// Returns the lines of the operator's file. The files that they name are written to `folder`, with a line end as
    /// editors leave it.
    ///
    /// # Errors
    /// Returns an error when a file cannot be written.
    pub fn yaml(&self, folder: &Path) -> Result<String> {
        let mut yaml = String::new();
        for (key, secret) in [
            ("cookie_secret", &self.cookie),
            ("idp_client_secret", &self.client),
        ] {
            match self.placement {
                Placement::Environment => {}
                Placement::Inline => writeln!(yaml, "{key}: {secret}")?,
                Placement::Files => {
                    let path = folder.join(key);
                    write_private(&path, &format!("{secret}\n"))?;
                    writeln!(yaml, "{key}_file: {}", path.display())?;
                }
            }
        }
        Ok(yaml)
    }
}

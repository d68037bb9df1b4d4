//! The operator's file of a scenario.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use crate::{ALICE, BOB};

/// One entry of `routes`.
#[derive(Clone, Debug)]
pub struct Route {
    host: String,
    to: String,
    prefix: Option<String>,
    websockets: bool,
    preserve_host: bool,
    emails: Vec<String>,
}

impl Route {
    /// A route from a host to an upstream that permits alice and bob.
    #[must_use]
    pub fn new(host: &str, to: &str) -> Self {
        Self {
            host: host.to_owned(),
            to: to.to_owned(),
            prefix: None,
            websockets: false,
            preserve_host: false,
            emails: vec![ALICE.to_owned(), BOB.to_owned()],
        }
    }

    /// Only paths that begin with this.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        Self {
            prefix: Some(prefix.to_owned()),
            ..self
        }
    }

    /// Lets websockets pass.
    #[must_use]
    pub fn websockets(self) -> Self {
        Self {
            websockets: true,
            ..self
        }
    }

    /// Shows the upstream the public host.
    #[must_use]
    pub fn preserve_host(self) -> Self {
        Self {
            preserve_host: true,
            ..self
        }
    }

    /// Permits only this account.
    #[must_use]
    pub fn only(self, email: &str) -> Self {
        Self {
            emails: vec![email.to_owned()],
            ..self
        }
    }

    fn write(&self, port: u16, yaml: &mut String) -> Result<()> {
        writeln!(
            yaml,
            "  - from: https://{}:{port}\n    to: {}",
            self.host, self.to
        )?;
        if let Some(prefix) = &self.prefix {
            writeln!(yaml, "    prefix: {prefix}")?;
        }
        if self.websockets {
            writeln!(yaml, "    allow_websockets: true")?;
        }
        if self.preserve_host {
            writeln!(yaml, "    preserve_host_header: true")?;
        }
        writeln!(yaml, "    policy:\n      - allow:\n          or:")?;
        for email in &self.emails {
            writeln!(yaml, "            - email:\n                is: {email}")?;
        }
        Ok(())
    }
}

/// Everything that the file says, except the secrets.
#[derive(Debug)]
pub struct Settings<'a> {
    /// Port on which the proxy listens.
    pub listen: u16,
    /// Port in the public addresses.
    pub public: u16,
    /// Files of the proxy's certificate.
    pub certificate: &'a crate::Certificate,
    /// Issuer identifier of the provider.
    pub issuer: &'a str,
    /// This proxy's name at the provider.
    pub client_id: &'a str,
    /// The routes, in order.
    pub routes: &'a [Route],
}

impl Settings<'_> {
    /// The file's text.
    ///
    /// # Errors
    /// Never; text can always be written to memory.
    pub fn yaml(&self) -> Result<String> {
        let mut yaml = format!(
            "address: 127.0.0.1:{}\n\
             certificate_file: {}\n\
             certificate_key_file: {}\n\
             idp_provider: oidc\n\
             idp_provider_url: {}\n\
             idp_client_id: {}\n\
             routes:\n",
            self.listen,
            self.certificate.chain.display(),
            self.certificate.key.display(),
            self.issuer,
            self.client_id,
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
    /// In environment variables, which both bodies understand.
    #[default]
    Environment,
    /// In the operator's file.
    Inline,
    /// In files that the operator's file names.
    Files,
}

/// Secrets of one scenario.
#[derive(Clone)]
pub struct Secrets {
    /// `COOKIE_SECRET`: 32 bytes in base64.
    pub cookie: String,
    /// `IDP_CLIENT_SECRET`.
    pub client: String,
    /// Where the proxy finds them.
    pub placement: Placement,
}

impl Secrets {
    /// Draws new ones.
    ///
    /// # Errors
    /// When the system gives no random bytes.
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

    /// Names and values of the environment variables.
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

    /// The lines of the operator's file; files that they name are written to `folder`, with a
    /// line end as editors leave it.
    ///
    /// # Errors
    /// When a file cannot be written.
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
                    std::fs::write(&path, format!("{secret}\n"))?;
                    writeln!(yaml, "{key}_file: {}", path.display())?;
                }
            }
        }
        Ok(yaml)
    }
}

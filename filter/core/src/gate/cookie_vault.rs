//! Values that only this deployment can make and read: in cookies, in addresses and in forms.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::SessionSettings;
use crate::env::Env;
use crate::http::cookie::{CookieNames, MAX_SESSION_VALUE, OwnCookies};
use crate::http::request::Parsed;
use crate::session::seal::{Purpose, Sealer};

/// The names of the proxy's cookies, and the keys by which their values are sealed.
#[derive(Debug)]
pub(super) struct CookieVault {
    pub(super) names: CookieNames,
    /// Absent only when no route needs a session.
    sealer: Option<Sealer>,
}

impl CookieVault {
    pub(super) fn new(settings: &SessionSettings) -> Self {
        let secret = settings.secret.as_ref();
        Self {
            names: CookieNames::new(&settings.cookie_name),
            sealer: secret.map(|secret| Sealer::new(secret, &settings.previous_secrets)),
        }
    }

    /// Returns the keys, which exist wherever a route needs a session.
    pub(super) fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_ref()
    }

    /// Returns the proxy's own cookies in a request.
    pub(super) fn read<'r>(&self, request: &Parsed<'r>) -> OwnCookies<'r> {
        request.own_cookies(&self.names)
    }

    /// Seals a value for one purpose and one host; `None` without keys or randomness.
    pub(super) fn seal(
        &self,
        purpose: Purpose,
        host: &str,
        value: &impl Serialize,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let plaintext = serde_json::to_vec(value).ok()?;
        // A longer value could not be opened again.
        if plaintext.len() > MAX_SESSION_VALUE {
            return None;
        }
        let sealer = self.sealer.as_ref()?;
        sealer.seal(purpose, host, &plaintext, env).ok()
    }

    /// Opens a value that this deployment has sealed for this purpose and host.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        host: &str,
        sealed: &[u8],
    ) -> Option<T> {
        let opened = self.sealer.as_ref()?.open(purpose, host, sealed)?;
        serde_json::from_slice(&opened.plaintext).ok()
    }
}

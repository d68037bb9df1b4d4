//! Sessions that were ended before their time, as the rest of the gate asks about them.

use super::Gate;
use crate::env::Env;
use crate::session::Session;
use crate::session::revocation::{NotStored, revoke_session};
use crate::time::Timestamp;

impl Gate {
    /// Whether a session was ended: by a sign-out, or by the provider.
    pub(crate) fn is_revoked(&self, session: &Session, env: &Env<'_>) -> bool {
        self.revocations.is_revoked(session, self.issuer(), env)
    }

    /// Whether the provider has ended, since `begun`, what this new session comes out of.
    pub(super) fn revoked_during_sign_in(
        &self,
        session: &Session,
        begun: Timestamp,
        env: &Env<'_>,
    ) -> bool {
        self.revocations
            .is_revoked_since(begun, session, self.issuer(), env)
    }

    /// Ends a session in all workers of the process, for every copy of its cookie.
    ///
    /// # Errors
    /// When it could not be stored.
    pub(crate) fn revoke_session(&self, session: &Session, env: &Env<'_>) -> Result<(), NotStored> {
        revoke_session(session, env)
    }

    /// The configured issuer: by it revocations of several providers are told apart.
    pub(super) fn issuer(&self) -> &str {
        let provider = self.provider.as_ref();
        provider.map_or("", |provider| provider.settings().issuer.as_str())
    }
}

//! Sessions that were ended before their time, as the rest of the gate asks about them.

use super::Gate;
use crate::env::{Env, Timestamp};
use crate::session::Session;
use crate::session::revocation::{NotStored, revoke_session};

impl Gate {
    /// Whether a session was ended: by a sign-out, or by the provider.
    pub(crate) fn is_revoked(&self, session: &Session, env: &Env<'_>) -> bool {
        self.revocations.end(session, self.issuer(), env)
    }

    /// Whether the provider has ended, since `begun`, what this new session comes out of.
    pub(super) fn is_stillborn(&self, session: &Session, begun: Timestamp, env: &Env<'_>) -> bool {
        self.revocations
            .end_from(begun, session, self.issuer(), env)
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

//! The provider as the source of claims, and which claims are needed of it.

use crate::config::ProviderKind;
use crate::oidc::claims::{self, Claims};
use crate::oidc::email::{self, TenantSource};
use crate::oidc::provider::Provider;
use crate::refusal::TokenProblem;
use crate::session::Identity;
use crate::session::claim_filter::ClaimFilter;

/// The provider as the source of claims, and which claims are needed of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimSource<'a> {
    /// The provider.
    pub(crate) provider: &'a Provider,
    /// The claims that sessions keep.
    pub(crate) needs: &'a ClaimFilter,
}

impl ClaimSource<'_> {
    /// Gives claims the names that they have at every provider: Ping has the email address in `mail`.
    pub(crate) fn normalize_claims(&self, mut claims: Claims) -> Claims {
        if self.provider.settings().kind == ProviderKind::Ping
            && !claims.contains_key("email")
            && let Some(mail) = claims.get("mail").cloned()
        {
            claims.insert("email".to_owned(), mail);
        }
        claims
    }

    /// Whether claims are missing that policies or headers need, so that asking UserInfo is worth a call.
    pub(crate) fn is_missing_claims(&self, claims: &Claims) -> bool {
        !claims.contains_key("email")
            || self.needs.is_missing_any(claims)
            || email::is_unproven(claims, &self.provider.settings().email_trust)
    }

    /// Reads the identity out of verified claims.
    ///
    /// # Errors
    /// See [`claims::read_identity`].
    pub(crate) fn read_identity(
        &self,
        claims: &Claims,
        tenant: TenantSource,
    ) -> Result<Identity, TokenProblem> {
        let trust = &self.provider.settings().email_trust;
        claims::read_known_identity(claims, trust, self.needs, tenant)
    }
}

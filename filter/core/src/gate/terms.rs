//! The terms on which sessions are made: which claims they keep, and when an address counts as verified.

use serde_json::json;

use crate::config::{CockpitSettings, Config, EmailTrust, Route};
use crate::digest::hash_configuration;
use crate::gate::header_rules;
use crate::session::Session;
use crate::session::assertion::needed_claims;
use crate::session::claim_filter::ClaimFilter;

/// The requirements of a configuration for a session.
#[derive(Debug)]
pub(super) struct SessionTerms {
    /// The claims that sessions keep.
    pub(super) kept_claims: ClaimFilter,
    /// Those among them that policies use.
    pub(super) policy_claims: ClaimFilter,
    /// The claim with a user's groups.
    pub(super) groups_claim: String,
    digest: String,
}

impl SessionTerms {
    /// Reads the terms out of a configuration.
    pub(super) fn new(config: &Config) -> Self {
        let policies = || config.routes.iter().flat_map(Route::policies);
        let cockpits = || {
            config
                .routes
                .iter()
                .filter_map(|route| route.cockpit.as_ref())
        };
        let user_claim = |cockpit: &'_ CockpitSettings| cockpit.user_claim.clone();
        let user_claims: Vec<String> = cockpits().filter_map(user_claim).collect();
        let user_claims = || user_claims.iter().map(String::as_str);
        let mut policy_claims = ClaimFilter::of(policies());
        policy_claims.keep_all(user_claims());
        let mut kept_claims = ClaimFilter::of(policies());
        kept_claims.keep_all(user_claims());
        if header_rules::forwards_identity(&config.routes) {
            kept_claims.keep_all(needed_claims(&config.identity));
        }
        let provider = config.provider.as_ref();
        let email_trust = provider.map(|provider| &provider.email_trust);
        Self {
            digest: digest(&policy_claims, email_trust),
            kept_claims,
            policy_claims,
            groups_claim: config.identity.groups_claim.clone(),
        }
    }

    /// Returns a session that is marked as made on these terms.
    pub(super) fn mark(&self, session: Session) -> Session {
        session.chosen_for(&self.digest)
    }

    /// Returns whether a session was made on these terms.
    pub(super) fn are_met_by(&self, session: &Session) -> bool {
        session.answers(&self.digest)
    }
}

/// Returns a short name of these terms.
///
/// A session keeps what was decided on its terms, so that a session of other terms does not count: its address may have
/// been verified by a rule that is gone, and its user may belong to a tenant that is no longer allowed.
fn digest(needs: &ClaimFilter, trust: Option<&EmailTrust>) -> String {
    let needs = needs.digest();
    // Without a provider there are no sign-ins.
    let Some(trust) = trust else { return needs };
    let mut tenants = trust.tenants.clone();
    tenants.sort_unstable();
    tenants.dedup();
    // In JSON no two terms are written alike.
    let terms = json!([
        needs,
        format!("{:?}", trust.kind),
        format!("{:?}", trust.verification),
        tenants,
        trust.is_multi_tenant,
    ]);
    hash_configuration(terms.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EmailVerification, ProviderKind};

    /// N-01: every rule about addresses and tenants changes the digest; the order of the tenants does not.
    #[test]
    fn n_01_every_rule_about_addresses_is_among_the_terms() {
        let mut claims = ClaimFilter::default();
        claims.keep_all(std::iter::once("groups"));
        let none = ClaimFilter::default();
        let trust = |tenants: &[&str]| EmailTrust {
            kind: ProviderKind::Azure,
            tenants: tenants.iter().map(ToString::to_string).collect(),
            ..EmailTrust::default()
        };
        let all = [
            digest(&none, None),
            digest(&claims, None),
            digest(&none, Some(&EmailTrust::default())),
            digest(&claims, Some(&EmailTrust::default())),
            digest(&none, Some(&trust(&[]))),
            digest(&none, Some(&trust(&["a"]))),
            digest(&none, Some(&trust(&["a", "b"]))),
            digest(
                &none,
                Some(&EmailTrust {
                    verification: EmailVerification::Strict,
                    ..trust(&[])
                }),
            ),
            digest(
                &none,
                Some(&EmailTrust {
                    is_multi_tenant: true,
                    ..trust(&[])
                }),
            ),
        ];
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert_eq!(
            digest(&none, Some(&trust(&["b", "a", "b"]))),
            digest(&none, Some(&trust(&["a", "b"])))
        );
    }
}

//! The terms of a file on which a session is made: which claims it keeps, and when its address counts.

use serde_json::json;

use crate::config::EmailTrust;
use crate::digest::hash_configuration;
use crate::session::claim_filter::ClaimFilter;

/// A short name of these terms. A session keeps what was decided on them, so that one of other terms says nothing: its
/// address may have counted as verified by a rule that is gone, and its user be of a tenant that is not allowed any more.
pub(super) fn digest(needs: &ClaimFilter, trust: Option<&EmailTrust>) -> String {
    let needs = needs.digest();
    // Without a provider nobody signs in.
    let Some(trust) = trust else { return needs };
    let mut tenants = trust.tenants.clone();
    tenants.sort_unstable();
    tenants.dedup();
    // A JSON text: no two terms are written alike.
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

    /// N-01: whatever an address, or a sign-in, was judged by makes a difference, and the order of tenants makes none.
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

//! Whether an email address counts as verified, and whether a tenant's users may sign in. Both depend on the kind of
//! provider.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::config::{EmailProof, EmailTrust, EmailVerification};
use crate::email_address::canonical_email;
use crate::oidc::claims::Claims;

/// Domains whose addresses Google itself issues.
const GOOGLE_DOMAINS: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Where a user's tenant is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenantSource {
    /// From the claims alone. Claims without a tenant are those of a user without one.
    Claims,
    /// From the sign-in, at which the tenant was allowed. Claims without a tenant do not contradict that, claims with
    /// another tenant do.
    SignIn,
}

/// Whether the address in these claims counts as verified.
pub(crate) fn is_verified(claims: &Claims, trust: &EmailTrust, tenant: TenantSource) -> bool {
    let is_strict = match trust.verification {
        EmailVerification::Off => return true,
        EmailVerification::Strict => true,
        EmailVerification::ByProvider => false,
    };
    let stated = claims.get("email_verified");
    // Apple and Cognito write the string.
    let is_stated = match stated {
        Some(Value::String(word)) => word == "true",
        other => other == Some(&Value::Bool(true)),
    };
    match trust.kind.email_proof() {
        EmailProof::NotDenied => is_stated || (stated.is_none() && !is_strict),
        EmailProof::Stated => is_stated,
        EmailProof::DomainOwner => is_of_domain_owner(claims, trust, tenant, is_strict),
        EmailProof::Hosted => is_stated && is_hosted(claims, trust, tenant),
    }
}

/// Whether users of the tenant in these claims may sign in.
pub(crate) fn is_allowed_tenant(claims: &Claims, trust: &EmailTrust, tenant: TenantSource) -> bool {
    trust.tenants.is_empty() || is_listed_tenant(claims, trust, tenant)
}

/// Adds to claims with a general `email_verified` the claims by which this kind of provider states the same. Claims that
/// are there stay.
pub(crate) fn add_provider_proof<'c>(claims: &'c Claims, trust: &EmailTrust) -> Cow<'c, Claims> {
    let Some(tenant_claim) = trust
        .kind
        .tenant_claim()
        .filter(|_| claims.get("email_verified") == Some(&Value::Bool(true)))
    else {
        return Cow::Borrowed(claims);
    };
    let domain = email_domain(claims).unwrap_or_default();
    let tenant = trust.tenants.first().map_or(domain, String::as_str);
    let mut proven = claims.clone();
    proven.entry(tenant_claim).or_insert_with(|| json!(tenant));
    proven.entry("xms_edov").or_insert(Value::Bool(true));
    Cow::Owned(proven)
}

/// Claims about the address that is beside them.
const ABOUT_EMAIL: [&str; 2] = ["email_verified", "xms_edov"];

/// Adds to an ID token's claims those that only UserInfo has (OpenID Connect Core 1.0 section 5.3.2). A confirmation of
/// an address is about the address beside it, and never moves to another one. A denial always counts: the address that it
/// means is not always written in the same way, or at all.
pub(crate) fn add_userinfo(claims: &mut Claims, userinfo: Claims) {
    if !claims.contains_key("email") {
        claims.retain(|name, value| !ABOUT_EMAIL.contains(&name.as_str()) || is_denial(value));
    }
    let is_same_email = claims
        .get("email")
        .is_none_or(|email| is_same_address(email, userinfo.get("email")));
    for (name, value) in userinfo {
        let is_about_email = ABOUT_EMAIL.contains(&name.as_str());
        if is_about_email && is_denial(&value) {
            claims.insert(name, value);
        } else if is_same_email || !is_about_email {
            claims.entry(name).or_insert(value);
        }
    }
}

/// Whether two claims are the same address, in whichever spelling.
fn is_same_address(one: &Value, other: Option<&Value>) -> bool {
    let canonical = |value: &Value| value.as_str().and_then(canonical_email);
    let is_same = |other: &Value| canonical(one).is_some_and(|one| canonical(other) == Some(one));
    other.is_some_and(|other| one == other || is_same(other))
}

/// Whether these claims say anything about the verification of an address, in the way of this kind of provider.
pub(crate) fn has_proof(claims: &Claims, trust: &EmailTrust) -> bool {
    let mut names = ABOUT_EMAIL.into_iter().chain(trust.kind.tenant_claim());
    names.any(|name| claims.get(name).is_some_and(|value| !value.is_null()))
}

/// Whether these claims deny that an address is the user's.
pub(crate) fn has_denial(claims: &Claims) -> bool {
    let mut stated = ABOUT_EMAIL.iter().filter_map(|name| claims.get(*name));
    stated.any(is_denial)
}

/// Whether an ID token alone has an address and says as much about its verification as the claims of the identity.
pub(crate) fn is_proven_alone(
    id_token: &Claims,
    trust: &EmailTrust,
    is_email_verified: bool,
) -> bool {
    let is_verified = is_verified(id_token, trust, TenantSource::Claims);
    id_token.contains_key("email") && is_verified == is_email_verified
}

/// Whether the value of such a claim denies that the address is the user's. `null` denies nothing.
fn is_denial(value: &Value) -> bool {
    !value.is_null() && !is_true(value)
}

/// Whether the proof of the address in these claims is missing, which UserInfo may have.
pub(crate) fn is_unproven(claims: &Claims, trust: &EmailTrust) -> bool {
    let needs_proof = matches!(
        trust.kind.email_proof(),
        EmailProof::Stated | EmailProof::Hosted
    );
    needs_proof && !claims.contains_key("email_verified")
}

/// Whether the user's tenant is one of those that the operator has listed.
fn is_listed_tenant(claims: &Claims, trust: &EmailTrust, tenant: TenantSource) -> bool {
    let claim = trust.kind.tenant_claim();
    let stated = claim
        .and_then(|claim| claims.get(claim))
        .filter(|stated| !stated.is_null());
    let Some(stated) = stated else {
        // The sign-in was allowed by one of the list.
        return tenant == TenantSource::SignIn && !trust.tenants.is_empty();
    };
    stated.as_str().is_some_and(|stated| {
        let mut listed = trust.tenants.iter();
        listed.any(|known| known.eq_ignore_ascii_case(stated))
    })
}

/// Whether the owner of the address's domain is the user's tenant, at Microsoft.
///
/// The administrator of any Microsoft tenant can write any address into a user's `mail`. It is the user's when Microsoft
/// states that the tenant owns the domain (`xms_edov`, an optional claim), or when the operator trusts the tenant: the
/// issuer's own, or one of a list. A tenant is bound to the token's issuer, see
/// [`crate::oidc::metadata::resolve_issuer`].
fn is_of_domain_owner(
    claims: &Claims,
    trust: &EmailTrust,
    tenant: TenantSource,
    is_strict: bool,
) -> bool {
    if let Some(owned) = claims.get("xms_edov") {
        return is_true(owned);
    }
    let is_denied = claims.get("email_verified") == Some(&Value::Bool(false));
    let is_trusted = !trust.is_multi_tenant || is_listed_tenant(claims, trust, tenant);
    is_trusted && !is_denied && !is_strict
}

/// Whether a claim is true: Microsoft calls `xms_edov` a boolean, and writes `true`, `1`, `"1"` or `"true"`.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_u64() == Some(1),
        Value::String(word) => word == "1" || word.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Whether Google hosts the address.
///
/// Google has verified every address once, but the owner of another domain may have given the address to another user
/// since. Google answers for its own domains, and for those of Workspace accounts, which have `hd`.
fn is_hosted(claims: &Claims, trust: &EmailTrust, tenant: TenantSource) -> bool {
    let is_google = email_domain(claims).is_some_and(|domain| {
        let mut google = GOOGLE_DOMAINS.iter();
        google.any(|google| google.eq_ignore_ascii_case(domain))
    });
    let host = claims.get("hd").and_then(Value::as_str);
    let is_workspace = host.is_some_and(|host| !host.is_empty());
    is_google || is_workspace || is_listed_tenant(claims, trust, tenant)
}

fn email_domain(claims: &Claims) -> Option<&str> {
    let email = claims.get("email").and_then(Value::as_str)?;
    email.rsplit_once('@').map(|(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProviderKind;
    use serde_json::json;

    const OWN: &str = "11111111-1111-1111-1111-111111111111";
    const FOREIGN: &str = "22222222-2222-2222-2222-222222222222";

    fn trust(kind: ProviderKind) -> EmailTrust {
        EmailTrust {
            kind,
            ..EmailTrust::default()
        }
    }

    fn verified(trust: &EmailTrust, claims: &Value) -> bool {
        let mut claims = claims.as_object().unwrap().clone();
        let address = json!("alice@corp.test");
        claims.entry("email").or_insert(address);
        is_verified(&claims, trust, TenantSource::Claims)
    }

    /// N-01: which claims verify an address of Microsoft.
    #[test]
    fn n_01_microsoft() {
        let many = EmailTrust {
            is_multi_tenant: true,
            ..trust(ProviderKind::Azure)
        };
        let listed = EmailTrust {
            tenants: vec![OWN.to_owned()],
            is_multi_tenant: true,
            ..trust(ProviderKind::Azure)
        };
        let single = trust(ProviderKind::Azure);
        for (claims, in_many, in_listed, in_single) in [
            (json!({"tid": FOREIGN}), false, false, true),
            (json!({"tid": OWN}), false, true, true),
            (json!({"tid": OWN.to_uppercase()}), false, true, true),
            (json!({}), false, false, true),
            (
                json!({"tid": FOREIGN, "email_verified": true}),
                false,
                false,
                true,
            ),
            (
                json!({"tid": OWN, "email_verified": false}),
                false,
                false,
                false,
            ),
            (json!({"tid": FOREIGN, "xms_edov": true}), true, true, true),
            (json!({"tid": FOREIGN, "xms_edov": 1}), true, true, true),
            (json!({"tid": FOREIGN, "xms_edov": "1"}), true, true, true),
            (
                json!({"tid": FOREIGN, "xms_edov": "true"}),
                true,
                true,
                true,
            ),
            (json!({"tid": OWN, "xms_edov": false}), false, false, false),
            (json!({"tid": OWN, "xms_edov": "0"}), false, false, false),
            (json!({"tid": OWN, "xms_edov": 2}), false, false, false),
            (json!({"tid": OWN, "xms_edov": null}), false, false, false),
            (json!({"tid": OWN, "xms_edov": [true]}), false, false, false),
        ] {
            assert_eq!(verified(&many, &claims), in_many, "many {claims}");
            assert_eq!(verified(&listed, &claims), in_listed, "listed {claims}");
            assert_eq!(verified(&single, &claims), in_single, "single {claims}");
        }
        let strict = EmailTrust {
            verification: EmailVerification::Strict,
            ..listed
        };
        assert!(!verified(&strict, &json!({"tid": OWN})));
        assert!(verified(&strict, &json!({"tid": OWN, "xms_edov": true})));
    }

    /// N-01: the user of a Google account with another domain's address could read mail there once.
    #[test]
    fn n_01_google() {
        let google = trust(ProviderKind::Google);
        for (claims, expected) in [
            (json!({"email_verified": true}), false),
            (json!({"email_verified": true, "hd": ""}), false),
            (json!({"email_verified": true, "hd": "corp.test"}), true),
            (json!({"hd": "corp.test"}), false),
            (json!({"email_verified": false, "hd": "corp.test"}), false),
            (
                json!({"email": "a@GMail.com", "email_verified": true}),
                true,
            ),
            (
                json!({"email": "a@gmail.com.evil.test", "email_verified": true}),
                false,
            ),
        ] {
            assert_eq!(verified(&google, &claims), expected, "{claims}");
        }
    }

    /// N-01: where users write their addresses themselves, a missing `email_verified` verifies nothing.
    #[test]
    fn n_01_other_kinds() {
        for (kind, when_silent) in [
            (ProviderKind::Apple, false),
            (ProviderKind::Auth0, false),
            (ProviderKind::Cognito, false),
            (ProviderKind::Github, false),
            (ProviderKind::Gitlab, false),
            (ProviderKind::Keycloak, true),
            (ProviderKind::Oidc, true),
            (ProviderKind::Okta, true),
            (ProviderKind::Onelogin, true),
            (ProviderKind::Ping, true),
        ] {
            let trust = trust(kind);
            assert_eq!(verified(&trust, &json!({})), when_silent, "{kind:?}");
            for (word, expected) in [
                (json!(true), true),
                (json!("true"), true),
                (json!(false), false),
                (json!("false"), false),
                (json!(1), false),
                (json!(null), false),
            ] {
                let claims = json!({"email_verified": word});
                assert_eq!(verified(&trust, &claims), expected, "{kind:?} {claims}");
            }
            let strict = EmailTrust {
                verification: EmailVerification::Strict,
                ..trust
            };
            assert!(!verified(&strict, &json!({})));
            assert!(verified(&strict, &json!({"email_verified": "true"})));
            assert!(!verified(&strict, &json!({"email_verified": "false"})));
            assert!(!verified(&strict, &json!({"email_verified": 1})));
            assert!(verified(&strict, &json!({"email_verified": true})));
        }
    }

    /// N-01: UserInfo confirms UserInfo's address only.
    #[test]
    fn n_01_userinfo_confirms_its_own_address_only() {
        for (token, userinfo, expected) in [
            (
                json!({"email": "a@b.test"}),
                json!({"email": "a@b.test", "email_verified": true}),
                json!({"email": "a@b.test", "email_verified": true}),
            ),
            (
                json!({"email": "victim@b.test"}),
                json!({"email": "a@b.test", "email_verified": true, "xms_edov": 1}),
                json!({"email": "victim@b.test"}),
            ),
            (
                json!({"email": "victim@b.test"}),
                json!({"email_verified": true}),
                json!({"email": "victim@b.test"}),
            ),
            (
                json!({"email_verified": true}),
                json!({"email": "victim@b.test", "email_verified": false}),
                json!({"email": "victim@b.test", "email_verified": false}),
            ),
            (
                json!({"email": "a@b.test", "email_verified": false}),
                json!({"email": "a@b.test", "email_verified": true, "name": "A"}),
                json!({"email": "a@b.test", "email_verified": false, "name": "A"}),
            ),
        ] {
            let mut claims = token.as_object().unwrap().clone();
            add_userinfo(&mut claims, userinfo.as_object().unwrap().clone());
            assert_eq!(Value::Object(claims), expected, "{token} {userinfo}");
        }
    }

    /// N-01: a denial always counts; only a confirmation is about one address.
    #[test]
    fn n_01_a_denial_always_counts() {
        for (token, userinfo, expected) in [
            (
                json!({"email": "a@b.test"}),
                json!({"email": "A@b.test", "email_verified": false}),
                json!({"email": "a@b.test", "email_verified": false}),
            ),
            (
                json!({"email_verified": false}),
                json!({"email": "a@b.test"}),
                json!({"email": "a@b.test", "email_verified": false}),
            ),
            (
                json!({"email_verified": false}),
                json!({"email": "a@b.test", "email_verified": true}),
                json!({"email": "a@b.test", "email_verified": false}),
            ),
            (
                json!({"email": "a@b.test", "email_verified": true}),
                json!({"email_verified": "false"}),
                json!({"email": "a@b.test", "email_verified": "false"}),
            ),
            (
                json!({"email": "a@b.test", "xms_edov": true}),
                json!({"email": "c@b.test", "xms_edov": "0"}),
                json!({"email": "a@b.test", "xms_edov": "0"}),
            ),
            // `null` is not a denial.
            (
                json!({"email": "a@b.test", "email_verified": true}),
                json!({"email": "a@b.test", "email_verified": null}),
                json!({"email": "a@b.test", "email_verified": true}),
            ),
        ] {
            let mut claims = token.as_object().unwrap().clone();
            add_userinfo(&mut claims, userinfo.as_object().unwrap().clone());
            assert_eq!(Value::Object(claims), expected, "{token} {userinfo}");
        }
    }

    #[test]
    fn a_general_proof_becomes_the_providers() {
        for kind in [
            ProviderKind::Azure,
            ProviderKind::Google,
            ProviderKind::Oidc,
        ] {
            let listed = EmailTrust {
                tenants: vec!["a".to_owned()],
                ..trust(kind)
            };
            for trust in [trust(kind), listed] {
                let claims = json!({"email": "alice@corp.test", "email_verified": true});
                let claims = add_provider_proof(claims.as_object().unwrap(), &trust).into_owned();
                let source = TenantSource::Claims;
                let is_tenant =
                    kind == ProviderKind::Oidc || is_allowed_tenant(&claims, &trust, source);
                assert!(
                    is_verified(&claims, &trust, source) && is_tenant,
                    "{trust:?}"
                );
            }
        }
        let denied = json!({"email": "a@b.test", "email_verified": true, "xms_edov": false});
        let azure = trust(ProviderKind::Azure);
        assert!(!is_verified(
            &add_provider_proof(denied.as_object().unwrap(), &azure),
            &azure,
            TenantSource::Claims
        ));
    }

    #[test]
    fn tenants() {
        let mut google = trust(ProviderKind::Google);
        let is_allowed = |trust: &EmailTrust, claims: &Value, source| {
            is_allowed_tenant(claims.as_object().unwrap(), trust, source)
        };
        assert!(is_allowed(&google, &json!({}), TenantSource::Claims));
        google.tenants = vec!["corp.test".to_owned()];
        for (claims, by_claims, after_sign_in) in [
            (json!({"hd": "Corp.test"}), true, true),
            (json!({}), false, true),
            (json!({"hd": null}), false, true),
            (json!({"hd": "evil.test"}), false, false),
            (json!({"hd": ""}), false, false),
            (json!({"hd": ["corp.test"]}), false, false),
        ] {
            for (source, expected) in [
                (TenantSource::Claims, by_claims),
                (TenantSource::SignIn, after_sign_in),
            ] {
                let allowed = is_allowed(&google, &claims, source);
                assert_eq!(allowed, expected, "{claims} {source:?}");
            }
        }
    }

    /// N-01: an address that the tenant makes the user's stays theirs when UserInfo does not name the tenant. Without a
    /// list of tenants the sign-in has proven none.
    #[test]
    fn n_01_the_tenant_of_the_sign_in_counts_for_addresses() {
        let listed = |kind, tenants: &[&str]| EmailTrust {
            tenants: tenants.iter().map(ToString::to_string).collect(),
            is_multi_tenant: true,
            ..trust(kind)
        };
        let address = json!({"email": "alice@corp.test", "email_verified": true});
        let elsewhere =
            json!({"email": "alice@corp.test", "email_verified": true, "hd": "", "tid": FOREIGN});
        for (kind, tenant) in [
            (ProviderKind::Azure, OWN),
            (ProviderKind::Google, "corp.test"),
        ] {
            for (claims, tenants, source, expected) in [
                (&address, vec![tenant], TenantSource::SignIn, true),
                (&address, vec![tenant], TenantSource::Claims, false),
                (&address, vec![], TenantSource::SignIn, false),
                (&elsewhere, vec![tenant], TenantSource::SignIn, false),
            ] {
                let trust = listed(kind, &tenants);
                let verified = is_verified(claims.as_object().unwrap(), &trust, source);
                assert_eq!(verified, expected, "{claims} {trust:?} {source:?}");
            }
        }
    }
}

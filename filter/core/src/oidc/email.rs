//! Whether the provider vouches for an address: what that takes depends on the kind of provider.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::claims::Claims;
use crate::config::{EmailProof, EmailTrust, EmailVerification};

/// Domains whose addresses Google itself gives out.
const GOOGLE_DOMAINS: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Whether the address in these claims counts as verified.
pub(crate) fn is_verified(claims: &Claims, trust: &EmailTrust) -> bool {
    let is_strict = match trust.verification {
        EmailVerification::Off => return true,
        EmailVerification::Strict => true,
        EmailVerification::ByProvider => false,
    };
    let stated = claims.get("email_verified");
    let is_stated = match stated {
        Some(Value::String(word)) => !is_strict && word == "true",
        other => other == Some(&Value::Bool(true)),
    };
    match trust.kind.email_proof() {
        EmailProof::NotDenied => is_stated || (stated.is_none() && !is_strict),
        EmailProof::Stated => is_stated,
        EmailProof::DomainOwner => is_of_domain_owner(claims, trust, is_strict),
        EmailProof::Hosted => is_stated && is_hosted(claims),
    }
}

/// Whether users of the tenant in these claims may sign in.
pub(crate) fn is_allowed_tenant(claims: &Claims, trust: &EmailTrust) -> bool {
    trust.tenants.is_empty() || is_listed_tenant(claims, trust)
}

/// Claims that say `email_verified` in general terms, with what this kind of provider says of such a user; what they say
/// themselves stays.
pub(crate) fn vouched<'c>(claims: &'c Claims, trust: &EmailTrust) -> Cow<'c, Claims> {
    let Some(tenant_claim) = trust
        .kind
        .tenant_claim()
        .filter(|_| claims.get("email_verified") == Some(&Value::Bool(true)))
    else {
        return Cow::Borrowed(claims);
    };
    let domain = domain(claims).unwrap_or_default();
    let tenant = trust.tenants.first().map_or(domain, String::as_str);
    let mut vouched = claims.clone();
    vouched.entry(tenant_claim).or_insert_with(|| json!(tenant));
    vouched.entry("xms_edov").or_insert(Value::Bool(true));
    Cow::Owned(vouched)
}

/// Claims that say something about the address beside them.
const ABOUT_EMAIL: [&str; 2] = ["email_verified", "xms_edov"];

/// Adds to an ID token's claims what only UserInfo says (OpenID Connect Core 1.0 section 5.3.2). A good word about an
/// address is said about the one beside it, and never moves to another. A denial counts wherever it stands: which address
/// it means is not always written the same way, or at all.
pub(crate) fn add_userinfo(claims: &mut Claims, userinfo: Claims) {
    if !claims.contains_key("email") {
        claims.retain(|name, value| !ABOUT_EMAIL.contains(&name.as_str()) || is_denial(value));
    }
    let is_same = claims
        .get("email")
        .is_none_or(|email| userinfo.get("email") == Some(email));
    for (name, value) in userinfo {
        let is_about_email = ABOUT_EMAIL.contains(&name.as_str());
        if is_about_email && is_denial(&value) {
            claims.insert(name, value);
        } else if is_same || !is_about_email {
            claims.entry(name).or_insert(value);
        }
    }
}

/// Whether the value of such a claim says that the address is not the user's. A value that says nothing does not.
fn is_denial(value: &Value) -> bool {
    !value.is_null() && !is_yes(value)
}

/// Whether UserInfo may know more about the address in these claims.
pub(crate) fn is_unproven(claims: &Claims, trust: &EmailTrust) -> bool {
    let needs_word = matches!(
        trust.kind.email_proof(),
        EmailProof::Stated | EmailProof::Hosted
    );
    needs_word && !claims.contains_key("email_verified")
}

fn is_listed_tenant(claims: &Claims, trust: &EmailTrust) -> bool {
    let claim = trust.kind.tenant_claim();
    let tenant = claim.and_then(|claim| claims.get(claim)?.as_str());
    tenant.is_some_and(|tenant| {
        let mut listed = trust.tenants.iter();
        listed.any(|known| known.eq_ignore_ascii_case(tenant))
    })
}

/// The administrator of any Microsoft tenant can write any address into a user's `mail`. It is the user's when Microsoft
/// says that the tenant owns the domain (`xms_edov`, an optional claim), or when the tenant is one that the operator
/// trusts: the issuer's own, or one of a list. A tenant is bound to the token's issuer, see
/// [`super::metadata::expected_issuer`].
fn is_of_domain_owner(claims: &Claims, trust: &EmailTrust, is_strict: bool) -> bool {
    if let Some(owned) = claims.get("xms_edov") {
        return is_yes(owned);
    }
    let is_denied = claims.get("email_verified") == Some(&Value::Bool(false));
    let is_trusted = !trust.is_multi_tenant || is_listed_tenant(claims, trust);
    is_trusted && !is_denied && !is_strict
}

/// Whether a claim says yes: Microsoft calls `xms_edov` a boolean, and writes `true`, `1`, `"1"` or `"true"`.
fn is_yes(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_u64() == Some(1),
        Value::String(word) => word == "1" || word.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Google has verified every address once, but somebody else's may have been taken back by its owner since: Google answers
/// for its own domains, and for those of Workspace accounts, which have `hd`.
fn is_hosted(claims: &Claims) -> bool {
    let is_own = domain(claims).is_some_and(|domain| {
        let mut own = GOOGLE_DOMAINS.iter();
        own.any(|own| own.eq_ignore_ascii_case(domain))
    });
    let host = claims.get("hd").and_then(Value::as_str);
    is_own || host.is_some_and(|host| !host.is_empty())
}

fn domain(claims: &Claims) -> Option<&str> {
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
        is_verified(&claims, trust)
    }

    /// N-01: what makes an address Microsoft's to vouch for.
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

    /// N-01: a Google account with an address elsewhere has shown once that it could read mail there.
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

    /// N-01: where users write their addresses themselves, silence is no word.
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
            assert!(!verified(&strict, &json!({"email_verified": "true"})));
            assert!(verified(&strict, &json!({"email_verified": true})));
        }
    }

    /// N-01: UserInfo's word is about UserInfo's address.
    #[test]
    fn n_01_userinfo_vouches_for_its_own_address_only() {
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

    /// N-01: a denial counts wherever it stands; only a good word is about one address.
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
            // No word is no denial.
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
    fn general_terms_are_translated() {
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
                let claims = vouched(claims.as_object().unwrap(), &trust).into_owned();
                let is_tenant = kind == ProviderKind::Oidc || is_allowed_tenant(&claims, &trust);
                assert!(is_verified(&claims, &trust) && is_tenant, "{trust:?}");
            }
        }
        let denied = json!({"email": "a@b.test", "email_verified": true, "xms_edov": false});
        let azure = trust(ProviderKind::Azure);
        assert!(!is_verified(
            &vouched(denied.as_object().unwrap(), &azure),
            &azure
        ));
    }

    #[test]
    fn tenants() {
        let claims = |value: Value| value.as_object().unwrap().clone();
        let mut google = trust(ProviderKind::Google);
        assert!(is_allowed_tenant(&claims(json!({})), &google));
        google.tenants = vec!["corp.test".to_owned()];
        assert!(is_allowed_tenant(
            &claims(json!({"hd": "Corp.test"})),
            &google
        ));
        for other in [json!({}), json!({"hd": "evil.test"}), json!({"hd": null})] {
            assert!(!is_allowed_tenant(&claims(other), &google));
        }
    }
}

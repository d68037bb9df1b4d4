//! Which addresses count, and whose users may sign in.

use serde_json::{Value, json};

use super::guide;
use crate::config::{Config, EmailVerification};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// A file with other keys at its top level.
fn overlaid(file: &Value, changes: &Value) -> Value {
    let mut file = file.clone();
    let changes = changes.as_object().unwrap().clone();
    file.as_object_mut().unwrap().extend(changes);
    file
}

/// Returns the problem of a file at Microsoft's issuer of this tenant.
fn problem(tenant: &str, changes: &Value) -> Option<String> {
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let azure = json!({"idp_provider": "azure", "idp_provider_url": issuer});
    let file = overlaid(&overlaid(&guide(), &azure), changes);
    let read = Config::read(&file, &|_| None);
    read.err().map(|error| error.problems[0].to_string())
}

/// Routes with this policy.
fn asking(criterion: Value) -> Value {
    json!({"routes": [{"from": "https://a.test", "to": "http://a",
                       "policy": {"allow": {"or": [criterion]}}}]})
}

/// N-01: where any tenant's users come, addresses need somebody who vouches for them.
#[test]
fn n_01_addresses_at_issuers_of_many_tenants() {
    let by_address = asking(json!({"email": "alice@corp.test"}));
    for tenant in [
        "common",
        "Organizations",
        "consumers",
        "9188040d-6c67-4c5b-b112-36a304b66dad",
        "",
    ] {
        let found = problem(tenant, &by_address).unwrap();
        assert!(found.contains("idp_allowed_tenants"), "{tenant}: {found}");
    }
    for routes in [
        asking(json!({"domain": "corp.test"})),
        asking(json!({"claim/email": "alice@corp.test"})),
        json!({"routes": [{"from": "https://a.test", "to": "http://a", "allowed_domains": ["corp.test"]}]}),
        json!({"routes": [{"from": "https://a.test", "to": "http://a", "allow_any_authenticated_user": true,
                           "allow_websockets": true, "cockpit": {"local_part_of": ["corp.test"]}}]}),
        json!({"routes": [{"from": "https://a.test", "to": "http://a", "allow_any_authenticated_user": true,
                           "allow_websockets": true, "cockpit": {"users": {"a@corp.test": "alice"}}}]}),
    ] {
        let found = problem("common", &routes).expect("an error");
        assert!(
            found.contains("is about email addresses"),
            "{routes}: {found}"
        );
        for sound in [
            json!({"idp_allowed_tenants": [TENANT]}),
            json!({"require_email_verified": "strict"}),
        ] {
            assert_eq!(problem("common", &overlaid(&routes, &sound)), None);
        }
        let off = json!({"require_email_verified": "off"});
        assert!(problem("common", &overlaid(&routes, &off)).is_some());
        assert_eq!(
            problem(TENANT, &routes),
            None,
            "its own tenant's users only"
        );
    }
    let by_id = asking(json!({"user": "a"}));
    assert_eq!(problem("common", &by_id), None);
}

#[test]
fn tenants_are_names_that_tokens_have() {
    let named = |provider: &str, tenants: Value| {
        let changes = json!({"idp_provider": provider, "idp_allowed_tenants": tenants,
                             "idp_provider_url": null});
        let mut file = overlaid(&guide(), &changes);
        if provider != "google" {
            file["idp_provider_url"] = json!(format!("https://op.test/{TENANT}/v2.0"));
        }
        match Config::read(&file, &|_| None) {
            Ok(loaded) => Ok(loaded.config.provider.unwrap().email_trust.tenants),
            Err(error) => Err(error.problems[0].to_string()),
        }
    };
    assert_eq!(
        named("azure", json!([TENANT.to_uppercase()])),
        Ok(vec![TENANT.to_owned()])
    );
    assert_eq!(
        named("google", json!("Corp.test, b.test")),
        Ok(vec!["corp.test".to_owned(), "b.test".to_owned()])
    );
    for (provider, tenants, message) in [
        ("azure", json!(["corp.onmicrosoft.com"]), "is not a tenant"),
        ("azure", json!([TENANT, "common"]), "is not a tenant"),
        ("azure", json!([]), "names no tenant"),
        ("google", json!(["corp"]), "is not a tenant"),
        ("google", json!(["https://corp.test"]), "is not a tenant"),
        ("oidc", json!([TENANT]), "needs `idp_provider: azure`"),
        ("okta", json!(["corp.test"]), "needs `idp_provider: azure`"),
    ] {
        let found = named(provider, tenants.clone()).unwrap_err();
        assert!(found.contains(message), "{provider} {tenants}: {found}");
    }
}

#[test]
fn an_issuer_that_is_known_has_a_kind_of_its_own() {
    for (issuer, kind) in [
        ("https://accounts.google.com", Some("google")),
        ("https://gitlab.com/", Some("gitlab")),
        ("https://login.microsoftonline.com/x/v2.0", Some("azure")),
        ("https://op.test", None),
    ] {
        let oidc = json!({"idp_provider": "oidc", "idp_provider_url": issuer});
        let loaded = Config::read(&overlaid(&guide(), &oidc), &|_| None).unwrap();
        let trust = loaded.config.provider.unwrap().email_trust;
        assert_eq!(trust.verification, EmailVerification::ByProvider);
        let told = loaded.warnings.iter().find_map(|warning| {
            let help = warning.help.as_deref().unwrap_or_default();
            help.strip_prefix("write `idp_provider: ")?
                .strip_suffix('`')
        });
        assert_eq!(told, kind, "{issuer}");
    }
}

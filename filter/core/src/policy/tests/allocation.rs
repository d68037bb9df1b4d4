//! Judging a request takes no memory: a policy is compiled when the file is read.

use serde_json::{Value, json};

use super::policy;
use crate::http::client_certificate::ClientCertificate;
use crate::oidc::claims::read_identity;
use crate::policy::{Facts, Policy};
use crate::session::Session;
use crate::session::claim_filter::ClaimFilter;
use crate::time::Timestamp;

fn allocations(policy: &Policy, claims: &Value) -> u64 {
    let needs = ClaimFilter::of(std::iter::once(policy));
    let claims = claims.as_object().unwrap();
    let trust = crate::config::EmailTrust::default();
    let identity = read_identity(claims, &trust, &needs).unwrap();
    let session = Session::new("i".to_owned(), identity, Timestamp(1_800_000_000), 3600);
    let facts = Facts {
        session: Some(&session),
        method: "GET",
        path: "/a/b",
        preflight: false,
        source: "10.1.2.3".parse().ok(),
        now: Timestamp(1_800_000_001),
        certificate: ClientCertificate::NotAsked,
    };
    allocation_counter::measure(|| {
        let _ = policy.decide(&facts);
    })
    .count_total
}

#[test]
fn judging_allocates_nothing() {
    let claims = json!({"sub": "s", "email": "a@x.test", "groups": ["g", "h"], "Level": 5});
    for criterion in [
        json!({"accept": true}),
        json!({"reject": true}),
        json!({"authenticated_user": true}),
        json!({"email": {"is": "a@x.test"}}),
        json!({"email": {"in": ["b@x.test", "a@x.test"]}}),
        json!({"email": {"not": "b@x.test", "ends_with": "@x.test"}}),
        json!({"domain": "x.test"}),
        json!({"user": "s"}),
        json!({"groups": {"has": "h"}}),
        json!({"claim/level": {"is": 5}}),
        json!({"http_method": {"in": ["GET", "HEAD"]}}),
        json!({"http_path": {"starts_with": "/a"}}),
        json!({"cors_preflight": true}),
        json!({"source_ip": ["192.0.2.0/24", "10.0.0.0/8"]}),
        json!({"invalid_client_certificate": true}),
        json!({"date": {"after": "2026-01-01", "before": "2030-01-01"}}),
        json!({"day_of_week": "mon-fri"}),
        json!({"time_of_day": {"after": "8:00", "before": "17:00", "timezone": "Europe/Berlin"}}),
    ] {
        let policy =
            policy(&json!([{"allow": {"or": [criterion]}}, {"deny": {"and": [criterion]}}]));
        assert_eq!(allocations(&policy, &claims), 0, "{criterion}");
    }
}

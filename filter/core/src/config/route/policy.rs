//! Reads the policy of a route, with Pomerium's older keys.

use serde_json::{Map, Value};

use super::Common;
use crate::config::file_map::FileMap;
use crate::diagnostics::Findings;
use crate::json::join_names;
use crate::policy::{
    Criterion, Policy, warn_of_look_alike, warn_of_other_domain, warn_of_wildcard_user,
};

/// Reads the route's own policy, with Pomerium's older keys as one more `allow` rule, in Pomerium's order.
pub(super) fn read_policy(map: &FileMap<'_>, common: &Common, findings: &mut Findings) -> Policy {
    let problems = findings.problem_count();
    let public = map.flag("allow_public_unauthenticated_access", findings);
    let anybody = map.flag("allow_any_authenticated_user", findings);
    let domains = map.strings("allowed_domains", findings).unwrap_or_default();
    let users = map.strings("allowed_users", findings).unwrap_or_default();
    let listed = !domains.is_empty() || !users.is_empty();
    if public && (anybody || listed) {
        findings
            .problem(
                &map.path_of("allow_public_unauthenticated_access"),
                "a public route must not list the users who may use it",
            )
            .help("keep one of the two");
    }
    if anybody && listed {
        findings
            .problem(
                &map.path_of("allow_any_authenticated_user"),
                "a route for every authenticated user must not list the users who may use it",
            )
            .help("keep one of the two");
    }
    for (index, domain) in domains.iter().enumerate() {
        let key_path = map.path_of("allowed_domains").item(index);
        warn_of_other_domain(domain, &key_path, findings);
        warn_of_look_alike(domain, &key_path, findings);
    }
    for (index, user) in users.iter().enumerate() {
        let key_path = map.path_of("allowed_users").item(index);
        warn_of_wildcard_user(user, &key_path, findings);
        warn_of_look_alike(user, &key_path, findings);
    }
    let mut policy = match map.value("policy") {
        Some(value) => Policy::read(value, &map.path_of("policy"), findings),
        None => Policy::default(),
    };
    let mut criteria = Vec::new();
    criteria.extend(public.then_some(Criterion::accept()));
    criteria.extend(
        map.flag("cors_allow_preflight", findings)
            .then_some(Criterion::cors_preflight()),
    );
    criteria.extend(anybody.then_some(Criterion::authenticated_user()));
    criteria.extend(domains.iter().map(|domain| Criterion::domain_is(domain)));
    criteria.extend(read_idp_claims(map, findings));
    criteria.extend(
        users
            .iter()
            .flat_map(|user| [Criterion::user_is(user), Criterion::email_is(user)]),
    );
    policy.allow_any_of(criteria);
    // A policy that could not be read is not a missing policy.
    if policy == Policy::default() && findings.problem_count() == problems {
        findings
            .warning(
                map.key_path(),
                "no policy, so that every request to this route is refused",
            )
            .help("add `policy:` with an `allow` rule");
    }
    judge_certificates(&mut policy, map, common, findings);
    policy
}

/// Adds the rule that refuses requests without a valid certificate, as in Pomerium, and warns about criteria for
/// certificates that are never requested.
fn judge_certificates(
    policy: &mut Policy,
    map: &FileMap<'_>,
    common: &Common,
    findings: &mut Findings,
) {
    if policy.asks_for_certificate() && !common.certificates_asked {
        findings
            .warning(
                &map.path_of("policy"),
                "the policy is about client certificates, but none are requested",
            )
            .help("add the top-level key `downstream_mtls` with `ca_file`");
    }
    if common.deny_uncertified {
        policy.deny_any_of(vec![Criterion::invalid_client_certificate()]);
    }
}

/// Reads `allowed_idp_claims`: a map from claim names to a value, a list of values or a nested map. One match is enough.
fn read_idp_claims(map: &FileMap<'_>, findings: &mut Findings) -> Vec<Criterion> {
    let mut criteria = Vec::new();
    match map.value("allowed_idp_claims") {
        None => {}
        Some(Value::Object(claims)) => collect_claims("", claims, &mut criteria),
        Some(_) => {
            findings
                .problem(
                    &map.path_of("allowed_idp_claims"),
                    "`allowed_idp_claims` must be a map",
                )
                .help("write `{groups: [admins, staff]}`");
        }
    }
    criteria
}

fn collect_claims(prefix: &str, claims: &Map<String, Value>, criteria: &mut Vec<Criterion>) {
    for (key, value) in claims {
        let name = join_names(prefix, key);
        match value {
            Value::Object(nested) => collect_claims(&name, nested, criteria),
            Value::Array(values) => {
                criteria.extend(
                    values
                        .iter()
                        .map(|value| Criterion::claim_has(&name, value)),
                );
            }
            single => criteria.push(Criterion::claim_has(&name, single)),
        }
    }
}

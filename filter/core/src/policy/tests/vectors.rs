//! The policy language by example: cases taken from Pomerium's tests, code and documentation.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::Route;
use crate::diagnostics::{Findings, KeyPath};
use crate::http::client_certificate::{Certificate, ClientCertificate};
use crate::http::path::{canonical, decode, split_query};
use crate::oidc::claims::read_identity;
use crate::policy::{Decision, Facts, Policy};
use crate::session::Session;
use crate::session::claim_filter::ClaimFilter;
use crate::time::Timestamp;

#[derive(Deserialize)]
struct Case {
    id: String,
    name: String,
    policy: Value,
    route: Option<Map<String, Value>>,
    request: Request,
    user: Option<User>,
    expect: String,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    source_ip: String,
    time: String,
    headers: Map<String, Value>,
    client_cert: Option<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    ca_configured: bool,
    presented: bool,
    valid: bool,
    #[serde(default)]
    fingerprint: String,
    #[serde(default)]
    spki_hash: String,
    #[serde(default)]
    san_dns: Vec<String>,
    #[serde(default)]
    san_email: Vec<String>,
    #[serde(default)]
    san_uri: Vec<String>,
}

#[derive(Deserialize)]
struct User {
    email: Option<String>,
    sub: String,
    claims: Map<String, Value>,
}

#[test]
fn all_vectors() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("ppl.json")).unwrap();
    assert!(cases.len() >= 163, "the file has shrunk");
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let outcome = judge(case);
            (outcome != case.expect).then(|| {
                format!(
                    "{} {}: {outcome} instead of {}",
                    case.id, case.name, case.expect
                )
            })
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn judge(case: &Case) -> &'static str {
    let Some(policy) = read(case) else {
        return "invalid";
    };
    let Ok(target) = canonical(&case.request.path) else {
        return "deny";
    };
    let path = decode(split_query(&target).0);
    let certificate = case
        .request
        .client_cert
        .as_ref()
        .map(Shown::certificate)
        .unwrap_or_default();
    let session = case
        .user
        .as_ref()
        .map(|user| session(user, &policy, case.request.now()));
    let header = |name: &str| {
        let found = case
            .request
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    let facts = Facts {
        session: session.as_ref(),
        method: &case.request.method,
        path: &path,
        preflight: case.request.method == "OPTIONS"
            && !header("origin").is_empty()
            && !header("access-control-request-method").is_empty(),
        source: case.request.source_ip.parse().ok(),
        now: case.request.now(),
        certificate: match &case.request.client_cert {
            None
            | Some(Shown {
                ca_configured: false,
                ..
            }) => ClientCertificate::NotAsked,
            Some(Shown {
                presented: false, ..
            }) => ClientCertificate::Missing,
            Some(Shown { valid: false, .. }) => ClientCertificate::Invalid,
            Some(_) => ClientCertificate::Valid(&certificate),
        },
    };
    match policy.decide(&facts) {
        Decision::Allow(_) => "allow",
        Decision::Deny(_) => "deny",
        Decision::SignIn(_) => "login",
    }
}

/// The case's policy as a route would have it; `None` when it is not a policy.
fn read(case: &Case) -> Option<Policy> {
    let mut route = case.route.clone().unwrap_or_default();
    let policy = match &case.policy {
        Value::String(text) => Some(
            serde_saphyr::from_str::<Value>(text)
                .ok()
                .filter(|value| !value.is_null())?,
        ),
        Value::Null => None,
        value => Some(value.clone()),
    };
    route.insert("from".to_owned(), "https://app.test".into());
    route.insert("to".to_owned(), "http://a".into());
    route.extend(policy.map(|policy| ("policy".to_owned(), policy)));
    let mut findings = Findings::default();
    let route = Route::read(&Value::Object(route), &KeyPath::root(), &mut findings);
    route
        .filter(|_| findings.problem_count() == 0)
        .map(|route| route.policy)
}

fn session(user: &User, policy: &Policy, now: Timestamp) -> Session {
    let mut claims = user.claims.clone();
    claims.insert("sub".to_owned(), user.sub.clone().into());
    if let Some(email) = &user.email {
        claims.insert("email".to_owned(), email.clone().into());
    }
    let needs = ClaimFilter::of(std::iter::once(policy));
    let trust = crate::config::EmailTrust::default();
    let identity = read_identity(&claims, &trust, &needs).unwrap();
    Session::new("i".to_owned(), identity, now, 3600)
}

impl Request {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.time.parse::<jiff::Timestamp>().unwrap().as_second()).unwrap())
    }
}

impl Shown {
    fn certificate(&self) -> Certificate {
        Certificate {
            fingerprint: self.fingerprint.clone(),
            spki_hash: self.spki_hash.clone(),
            san_dns: self.san_dns.clone(),
            san_email: self.san_email.clone(),
            san_uri: self.san_uri.clone(),
        }
    }
}

//! A case with its own policy, in the format of the policy language's test vectors.
//!
//! It has `policy` (a string or data) or `route` (keys of a route), and `request`, `user` and `expect`.

use jetway_core::config::Config;
use serde_json::{Map, Value, json};

use super::case::{Case, CasePolicy, read_expectation, read_headers, read_ip};
use super::certificate::read_flagged_certificate;
use super::fields::{Fields, Findings, Unknown};
use crate::command::explain::{
    Address, OfflineGate, Scenario, complete_claims, now, read_method, read_timestamp,
};
use jetway_config_file::YamlFile;

/// Keys of a case; `note`, `pomerium` and `source` are remarks.
const KEYS: [&str; 10] = [
    "expect", "id", "name", "note", "policy", "pomerium", "request", "route", "source", "user",
];
const REQUEST_KEYS: [&str; 7] = [
    "client_cert",
    "headers",
    "host",
    "method",
    "path",
    "source_ip",
    "time",
];
const USER_KEYS: [&str; 3] = ["claims", "email", "sub"];

/// The host of a request without one.
const HOST: &str = "app.example.com";
/// The upstream of the case's route; nothing is sent to it.
const UPSTREAM: &str = "http://127.0.0.1";
/// A secret that seals no session, because a case needs none.
const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Whether a case has its own policy.
pub(super) fn is_policy_case(value: &Value) -> bool {
    ["policy", "route"]
        .iter()
        .any(|key| value.get(key).is_some())
}

/// Reads a case; `None` with problems in `findings` when it is invalid. An invalid policy is not a problem, because the case
/// may expect it.
pub(super) fn read(value: &Value, path: &str, findings: &mut Findings) -> Option<Case<'static>> {
    let before = findings.problems.len();
    let fields = Fields::open(value, path, &KEYS, Unknown::Tolerated, findings)?;
    let route = fields.map("route", findings);
    let request = read_scenario(&fields, findings);
    let claims = read_user(&fields, findings);
    let expect = read_expectation(&fields, true, findings);
    let ((scenario, host), expect) = request.zip(expect)?;
    if findings.problems.len() > before {
        return None;
    }
    let policy = match read_policy(fields.value("policy")) {
        Ok(policy) => build_gate(route, policy, &host)
            .map_err(|why| findings.problem(&fields.path_of("request"), why, ""))
            .ok()?,
        Err(why) => CasePolicy::Invalid(why),
    };
    Some(Case {
        scenario: Scenario { claims, ..scenario },
        expect,
        policy,
    })
}

/// Reads the request without its user, and returns its host as well.
fn read_scenario(fields: &Fields<'_>, findings: &mut Findings) -> Option<(Scenario, String)> {
    let path = fields.path_of("request");
    let Some(value) = fields.value("request") else {
        findings.problem(&path, "`request` is missing", "");
        return None;
    };
    let request = Fields::open(value, &path, &REQUEST_KEYS, Unknown::Tolerated, findings)?;
    let method = match request.value("method") {
        None => Some("GET".to_owned()),
        Some(_) => request.read("method", findings, read_method),
    };
    let target = request.string("path", findings).unwrap_or("/").to_owned();
    let host = request.string("host", findings).unwrap_or(HOST).to_owned();
    let headers = read_headers(&request, findings);
    let source = request.read("source_ip", findings, read_ip);
    let at = request.read("time", findings, read_timestamp);
    let certificate = request.value("client_cert").and_then(|value| {
        read_flagged_certificate(value, &request.path_of("client_cert"), findings)
    });
    let address = Address {
        authority: host.clone(),
        path: target,
    };
    let scenario = Scenario {
        source,
        certificate,
        ..Scenario::new(&method?, &address, &headers, at.unwrap_or_else(now))
    };
    Some((scenario, host))
}

/// Reads the user's claims; `sub` and `email` take precedence.
fn read_user(fields: &Fields<'_>, findings: &mut Findings) -> Option<Map<String, Value>> {
    let path = fields.path_of("user");
    let value = fields.value("user")?;
    let user = Fields::open(value, &path, &USER_KEYS, Unknown::Tolerated, findings)?;
    let mut claims = user.map("claims", findings);
    for key in ["sub", "email"] {
        if let Some(text) = user.string(key, findings) {
            claims.insert(key.to_owned(), Value::String(text.to_owned()));
        }
    }
    if claims.is_empty() {
        let help = "write `null` for an anonymous request";
        findings.problem(&path, "a user must have `sub`", help);
        return None;
    }
    complete_claims(None, claims)
        .map_err(|message| findings.problem(&path, message, ""))
        .ok()?
}

/// Returns the policy as data. A string is YAML, of which only the first document counts; an empty one is not a policy.
fn read_policy(value: Option<&Value>) -> Result<Option<Value>, String> {
    let Some(Value::String(text)) = value else {
        return Ok(value.cloned());
    };
    let first = first_document(text).to_owned();
    let parsed = YamlFile::parse("the policy".to_owned(), first, false)
        .map_err(|fault| first_message(&fault.to_string()))?;
    if let Some(duplicate) = parsed.find_duplicates().first() {
        return Err(duplicate.to_string());
    }
    match parsed.content() {
        Value::Null => Err("the policy is empty".to_owned()),
        value => Ok(Some(value.clone())),
    }
}

/// Returns the part of a YAML stream before its second document.
///
/// A line that begins with `---` begins a document anywhere, even within a string (YAML 1.2 section 9.1.2).
fn first_document(text: &str) -> &str {
    let mut offset: usize = 0;
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        let rest = line
            .strip_prefix("---")
            .or_else(|| line.strip_prefix("..."));
        let marks =
            rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t']));
        if marks && begun {
            return text.get(..offset).unwrap_or(text);
        }
        let blank = line.trim().is_empty() || line.starts_with(['#', '%']);
        begun |= marks || !blank;
        offset = offset.saturating_add(line.len());
    }
    text
}

/// Builds a gate of one route with these keys and this policy.
///
/// # Errors
/// A host that is invalid in a route.
fn build_gate(
    mut route: Map<String, Value>,
    policy: Option<Value>,
    host: &str,
) -> Result<CasePolicy<'static>, String> {
    let defaults = [
        ("from", json!(format!("https://{host}"))),
        ("to", json!(UPSTREAM)),
        // A policy does not decide whether WebSockets pass.
        ("allow_websockets", json!(true)),
    ];
    for (key, value) in defaults {
        route.entry(key).or_insert(value);
    }
    if let Some(policy) = policy {
        route.insert("policy".to_owned(), policy);
    }
    let file = json!({
        "idp_provider": "oidc",
        "idp_provider_url": "https://idp.example.com",
        "idp_client_id": "cases",
        "idp_client_secret": "none",
        "cookie_secret": SECRET,
        "insecure_server": true,
        "routes": [route],
    });
    let refused = match Config::read(&file, &|_| None) {
        Ok(loaded) => return Ok(CasePolicy::Own(Box::new(OfflineGate::new(loaded.config)))),
        Err(refused) => refused,
    };
    let of_ours = |path: &str| path.starts_with("routes[0].from") || !path.starts_with("routes[0]");
    let mut problems = refused.problems.iter();
    match problems.clone().find(|problem| of_ours(&problem.path)) {
        Some(problem) => Err(format!(
            "the host `{host}` is invalid in a route: {}",
            problem.message
        )),
        None => {
            let first = problems.next().map(ToString::to_string);
            let first = first.unwrap_or_default();
            // The list with its one route is not part of the case.
            let first = first
                .trim_start_matches("routes[0]")
                .trim_start_matches(['.', ':', ' ']);
            Ok(CasePolicy::Invalid(first.to_owned()))
        }
    }
}

/// Returns the first line of a report, without its level.
fn first_message(report: &str) -> String {
    let line = report.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(value: &Value) -> Result<Case<'static>, Vec<String>> {
        let mut findings = Findings::default();
        let case = read(value, "[0]", &mut findings);
        case.ok_or_else(|| findings.problems.iter().map(ToString::to_string).collect())
    }

    fn case(key: &str, value: Value) -> Value {
        let mut case = json!({"id": "x", "request": {"method": "GET", "path": "/"}, "user": null,
            "expect": "allow", "source": "here"});
        case[key] = value;
        case
    }

    fn is_valid(case: &Value) -> bool {
        matches!(vector(case).unwrap().policy, CasePolicy::Own(_))
    }

    fn is_policy(text: &str) -> bool {
        is_valid(&case("policy", json!(text)))
    }

    #[test]
    fn policies_are_strings_or_data_or_keys_of_a_route() {
        assert!(is_policy("allow: {or: [accept: true]}"));
        assert!(is_policy("{\"allow\": {}}"));
        assert!(is_policy("{}"));
        let data = json!({"allow": {"or": [{"accept": 1}]}});
        assert!(is_valid(&case("policy", data)));
        let keys = json!({"allowed_users": ["a@b.test"]});
        assert!(is_valid(&case("route", keys)));
        assert!(is_valid(&case("policy", Value::Null)));
    }

    #[test]
    fn a_value_that_is_not_a_policy_is_invalid() {
        for text in [
            "",
            "null",
            "# nothing",
            "1",
            "allow: [",
            "{} {}",
            "allow: {}\nallow: {}\n",
        ] {
            assert!(!is_policy(text), "{text:?}");
        }
        let keys =
            json!({"allow_public_unauthenticated_access": true, "allowed_users": "a@b.test"});
        assert!(!is_valid(&case("route", keys)));
    }

    #[test]
    fn only_the_first_document_counts() {
        for (text, first) in [
            ("a: 1\n---\nb: 2\n", "a: 1\n"),
            ("# c\n---\na: 1\n--- b\n", "# c\n---\na: 1\n"),
            ("a: 1\n...\nb", "a: 1\n"),
            ("a: |\n  ---\n----\n", "a: |\n  ---\n----\n"),
            ("", ""),
        ] {
            assert_eq!(first_document(text), first, "{text:?}");
        }
    }

    #[test]
    fn problems_of_a_case_are_reported() {
        for (key, value, part) in [
            (
                "request",
                json!({"method": "GET", "path": "/", "host": "a b"}),
                "[0].request",
            ),
            ("request", json!({"time": "noon"}), "[0].request.time"),
            ("request", json!({"methd": "GET"}), "did you mean `method`?"),
            ("request", Value::Null, "`request` is missing"),
            ("expect", json!("maybe"), "`maybe`"),
            ("user", json!({"claims": {"a": 1}}), "`sub`"),
            ("user", json!({}), "must have `sub`"),
        ] {
            let mut case = case(key, value);
            case["policy"] = json!("{}");
            let problems = vector(&case).err().unwrap_or_default();
            assert!(
                problems.iter().any(|problem| problem.contains(part)),
                "{case}: {problems:?}"
            );
        }
    }

    #[test]
    fn remarks_are_tolerated() {
        let mut case = case("policy", json!("{}"));
        case["reviewed_by"] = json!("a colleague");
        assert!(vector(&case).is_ok());
    }
}

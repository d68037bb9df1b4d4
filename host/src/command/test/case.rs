//! One case: a request, its user, and the expected decision.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::certificate::read_certificate;
use super::expectation::Expectation;
use super::fields::{Fields, Findings, Unknown};
use crate::command::explain::{
    Address, OfflineGate, Scenario, complete_claims, make_header, now, read_method, read_timestamp,
};

/// Keys of a case that tests a configuration file.
const KEYS: [&str; 9] = [
    "as",
    "at",
    "claims",
    "client_certificate",
    "expect",
    "headers",
    "ip",
    "name",
    "request",
];
/// Keys of its request, when that is a map.
const REQUEST_KEYS: [&str; 3] = ["headers", "method", "url"];

/// One case, ready to be evaluated.
pub(super) struct Case<'a> {
    pub(super) scenario: Scenario,
    pub(super) expect: Expectation,
    pub(super) policy: CasePolicy<'a>,
}

/// The policy that a case tests.
pub(super) enum CasePolicy<'a> {
    /// The configuration file.
    File(&'a OfflineGate),
    /// A configuration of one route with the case's own policy.
    Own(Box<OfflineGate>),
    /// The case's own policy, which is invalid, and the reason.
    Invalid(String),
}

impl<'a> Case<'a> {
    /// Reads a case for a configuration file; `None` with problems in `findings` when the case is invalid.
    pub(super) fn read(
        value: &Value,
        path: &str,
        file: &'a OfflineGate,
        findings: &mut Findings,
    ) -> Option<Self> {
        let before = findings.problems.len();
        let fields = Fields::open(value, path, &KEYS, Unknown::Refused, findings)?;
        fields.string("name", findings);
        let mut headers = read_headers(&fields, findings);
        let request = read_request(&fields, &mut headers, findings);
        let at = fields.read("at", findings, read_timestamp);
        let source = fields.read("ip", findings, read_ip);
        let claims = read_claims(&fields, findings);
        let certificate = fields.value("client_certificate").and_then(|value| {
            read_certificate(value, &fields.path_of("client_certificate"), findings)
        });
        let expect = read_expectation(&fields, false, findings);
        let (method, address) = request?;
        let scenario = Scenario {
            claims,
            source,
            certificate,
            ..Scenario::new(&method, &address, &headers, at.unwrap_or_else(now))
        };
        let expect = expect?;
        (findings.problems.len() == before).then_some(Self {
            scenario,
            expect,
            policy: CasePolicy::File(file),
        })
    }
}

/// Reads `expect`; `own` says whether the case has its own policy.
pub(super) fn read_expectation(
    fields: &Fields<'_>,
    own: bool,
    findings: &mut Findings,
) -> Option<Expectation> {
    match fields.value("expect") {
        Some(value) => Expectation::read(value, &fields.path_of("expect"), own, findings),
        None => {
            findings.problem(
                &fields.path_of("expect"),
                "`expect` is missing",
                "write `expect: allow`, `deny` or `login`",
            );
            None
        }
    }
}

/// Parses an IP address.
pub(super) fn read_ip(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not an IP address"))
}

/// Reads `headers` of a map: names, each with a string or a list of strings.
pub(super) fn read_headers(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(String, Vec<u8>)> {
    let mut headers = Vec::new();
    for (name, value) in fields.map("headers", findings) {
        let path = format!("{}.{name}", fields.path_of("headers"));
        let values = match value {
            Value::Array(list) => list,
            single => vec![single],
        };
        for value in values {
            let read = match &value {
                Value::String(text) => make_header(&name, text),
                Value::Number(number) => make_header(&name, &number.to_string()),
                _ => Err(format!("`{name}` must be a string")),
            };
            match read {
                Ok(header) => headers.push(header),
                Err(message) => findings.problem(&path, message, ""),
            }
        }
    }
    headers
}

/// Reads `request`: `GET https://app.example.com/`, or a map with `method`, `url` and `headers`.
fn read_request(
    fields: &Fields<'_>,
    headers: &mut Vec<(String, Vec<u8>)>,
    findings: &mut Findings,
) -> Option<(String, Address)> {
    const HELP: &str = "write for example `request: GET https://app.example.com/`";
    let path = fields.path_of("request");
    match fields.value("request") {
        None => {
            findings.problem(&path, "`request` is missing", HELP);
            None
        }
        Some(Value::String(text)) => read_line(text)
            .map_err(|message| findings.problem(&path, message, ""))
            .ok(),
        Some(value @ Value::Object(_)) => {
            let request = Fields::open(value, &path, &REQUEST_KEYS, Unknown::Refused, findings)?;
            headers.extend(read_headers(&request, findings));
            for key in ["method", "url"] {
                if request.value(key).is_none() {
                    findings.problem(&request.path_of(key), format!("`{key}` is missing"), HELP);
                }
            }
            let method = request.read("method", findings, read_method);
            let address = request.read("url", findings, Address::read);
            method.zip(address)
        }
        Some(_) => {
            findings.problem(&path, "`request` must be a string or a map", HELP);
            None
        }
    }
}

/// Parses a method and a URL with a space between them.
fn read_line(text: &str) -> Result<(String, Address), String> {
    let (method, address) = match text.trim().split_once(' ') {
        Some(parts) => parts,
        None => (text, ""),
    };
    Ok((read_method(method)?, Address::read(address.trim())?))
}

/// Reads `as` and `claims`, the user.
fn read_claims(fields: &Fields<'_>, findings: &mut Findings) -> Option<Map<String, Value>> {
    let email = fields.string("as", findings);
    let claims = fields.map("claims", findings);
    complete_claims(email, claims)
        .map_err(|message| findings.problem(&fields.path_of("claims"), message, "add `as: EMAIL`"))
        .ok()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetway_core::config::Config;
    use serde_json::json;

    fn problems(value: &Value) -> Vec<String> {
        let mut findings = Findings::default();
        let file = json!({"routes": [{"from": "https://app.test", "to": "http://a",
            "policy": {"allow": {"or": [{"accept": true}]}}}]});
        let file = OfflineGate::new(Config::read(&file, &|_| None).unwrap().config);
        let case = Case::read(value, "cases[0]", &file, &mut findings);
        assert_eq!(case.is_some(), findings.problems.is_empty(), "{value}");
        findings.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_forms_of_a_request_are_read() {
        for request in [
            json!("GET https://app.test/a"),
            json!("GET  app.test/a"),
            json!({"method": "GET", "url": "https://app.test/a", "headers": {"X-A": ["b", 5]}}),
        ] {
            let case = json!({"request": request, "expect": "allow", "as": "a@b.test",
                "claims": {"groups": ["x"]}, "ip": "::1", "at": "2026-11-24T08:00",
                "headers": {"Accept": "*/*"}, "client_certificate": "missing", "name": "n"});
            assert_eq!(problems(&case), [""; 0]);
        }
    }

    #[test]
    fn each_mistake_has_its_place() {
        let request = json!("GET https://app.test/");
        for (case, part) in [
            (
                json!({"expect": "allow"}),
                "cases[0].request: `request` is missing",
            ),
            (
                json!({"request": request}),
                "cases[0].expect: `expect` is missing",
            ),
            (
                json!({"request": request, "expect": "alow"}),
                "cases[0].expect: `alow`",
            ),
            (
                json!({"request": request, "expect": "invalid"}),
                "its own policy",
            ),
            (
                json!({"request": request, "expect": {}}),
                "nothing is expected",
            ),
            (
                json!({"request": request, "expect": {"status": 42}}),
                "expect.status",
            ),
            (
                json!({"request": request, "expect": {"reason": []}}),
                "did you mean `reasons`?",
            ),
            (
                json!({"request": request, "expect": "deny", "ass": "x"}),
                "unknown key `ass`",
            ),
            (
                json!({"request": request, "expect": "deny", "ip": "10.0.0"}),
                "cases[0].ip",
            ),
            (
                json!({"request": request, "expect": "deny", "at": "noon"}),
                "cases[0].at",
            ),
            (
                json!({"request": request, "expect": "deny", "claims": {"a": 1}}),
                "add `as: EMAIL`",
            ),
            (
                json!({"request": request, "expect": "deny", "headers": {"a b": "c"}}),
                "headers.a b",
            ),
            (json!({"request": "GET", "expect": "deny"}), "has no host"),
            (
                json!({"request": "app.test", "expect": "deny"}),
                "`GET app.test`",
            ),
            (
                json!({"request": {"url": "app.test"}, "expect": "deny"}),
                "`method` is missing",
            ),
            (
                json!({"request": 5, "expect": "deny"}),
                "must be a string or a map",
            ),
        ] {
            let found = problems(&case);
            assert!(
                found.iter().any(|problem| problem.contains(part)),
                "{case}: {found:?}"
            );
        }
    }
}

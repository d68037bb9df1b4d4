//! `client_certificate`: the certificate that the client has presented.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Findings, KeyPath};
use crate::http::client_certificate::{Certificate, ClientCertificate};
use crate::policy::criteria::{Argument, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{ConditionDoc, CriterionDoc, Topic};
use crate::policy::read::{each_once, read_each, report_unknown_condition};
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::string_matcher::StringMatcher;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the client's certificate is valid and meets every condition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClientCertificateCriterion {
    conditions: Vec<CertificateCondition>,
}

/// One condition on a certificate.
#[derive(Clone, Debug, PartialEq)]
enum CertificateCondition {
    /// The SHA-256 fingerprint of the certificate is one of these, in lower-case digits.
    Fingerprint(Vec<String>),
    /// The SHA-256 hash of the public key is one of these, in base64.
    SpkiHash(Vec<String>),
    /// The subject alternative names of this kind match.
    San(SanKind, StringMatcher),
}

/// A kind of subject alternative name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SanKind {
    Dns,
    Email,
    Uri,
}

/// The conditions of a certificate matcher.
pub(in crate::policy) const CONDITIONS: &[ConditionDoc] = &[
    ConditionDoc {
        name: "fingerprint",
        about: "The SHA-256 fingerprint of the certificate is the value or one of a list: 64 lower-case hexadecimal \
                digits, or 32 upper-case pairs with colons",
        example: "fingerprint: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    ConditionDoc {
        name: "spki_hash",
        about: "The SHA-256 hash of the certificate's public key (SubjectPublicKeyInfo), in base64, is the value or one of \
                a list",
        example: "spki_hash: n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
    },
    ConditionDoc {
        name: "san_dns",
        about: "A DNS name of the certificate matches: a [string matcher](#string-matchers)",
        example: "san_dns: {ends_with: .devices.example.com}",
    },
    ConditionDoc {
        name: "san_email",
        about: "An email address of the certificate matches: a [string matcher](#string-matchers)",
        example: "san_email: alice@example.com",
    },
    ConditionDoc {
        name: "san_uri",
        about: "A URI of the certificate matches: a [string matcher](#string-matchers)",
        example: "san_uri: {starts_with: \"spiffe://example.com/\"}",
    },
];

impl CriterionKind for ClientCertificateCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "client_certificate",
        topic: Topic::Certificate,
        about: "The client has presented a valid certificate that matches; needs `downstream_mtls`",
        argument: "a [certificate matcher](#certificate-matchers)",
        example: "client_certificate: {san_email: alice@example.com}",
    };
    const HOLDS: Reason = Reason::ClientCertificateOk;
    const FAILS: Reason = Reason::ClientCertificateUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let Value::Object(map) = argument.value else {
            findings
                .problem(
                    argument.path,
                    "`client_certificate` must be a map of conditions",
                )
                .help("write `fingerprint`, `spki_hash`, `san_dns`, `san_email` or `san_uri` below it");
            return None;
        };
        let before = findings.problem_count();
        let mut conditions = Vec::new();
        for (name, constant) in each_once(map, argument.path, findings) {
            let path = argument.path.key(name);
            conditions.extend(read_condition(name, constant, &path, findings));
        }
        (findings.problem_count() == before).then_some(Self { conditions })
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        let is_match =
            matches!(facts.certificate, ClientCertificate::Valid(shown) if self.is_match(shown));
        verdict::<Self>(is_match)
    }

    fn to_argument(&self) -> Value {
        let conditions = self.conditions.iter().map(CertificateCondition::to_entry);
        Value::Object(conditions.collect())
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        describe_certificate(facts)
    }

    fn schema() -> Value {
        let properties = CONDITIONS.iter().map(|condition| {
            let mut schema = match condition.name {
                "fingerprint" | "spki_hash" => reference("strings"),
                _ => reference("string_matcher"),
            };
            schema["description"] = json!(condition.about);
            (condition.name.to_owned(), schema)
        });
        json!({
            "type": "object",
            "properties": properties.collect::<Map<_, _>>(),
            "additionalProperties": false,
        })
    }
}

impl ClientCertificateCriterion {
    /// Returns whether the certificate meets every condition. Different names of the certificate may meet the conditions
    /// on names.
    fn is_match(&self, certificate: &Certificate) -> bool {
        self.conditions.iter().all(|condition| match condition {
            CertificateCondition::Fingerprint(known) => known.contains(&certificate.fingerprint),
            CertificateCondition::SpkiHash(known) => known.contains(&certificate.spki_hash),
            CertificateCondition::San(kind, matcher) => {
                matcher.is_match_across(kind.names(certificate))
            }
        })
    }
}

impl CertificateCondition {
    /// Returns the condition's name and value in the policy language.
    fn to_entry(&self) -> (String, Value) {
        let (name, constant) = match self {
            Self::Fingerprint(known) => ("fingerprint", json!(known)),
            Self::SpkiHash(known) => ("spki_hash", json!(known)),
            Self::San(SanKind::Dns, matcher) => ("san_dns", matcher.to_value()),
            Self::San(SanKind::Email, matcher) => ("san_email", matcher.to_value()),
            Self::San(SanKind::Uri, matcher) => ("san_uri", matcher.to_value()),
        };
        (name.to_owned(), constant)
    }
}

impl SanKind {
    /// Returns the certificate's names of this kind.
    fn names(self, certificate: &Certificate) -> &[String] {
        match self {
            Self::Dns => &certificate.san_dns,
            Self::Email => &certificate.san_email,
            Self::Uri => &certificate.san_uri,
        }
    }
}

/// Describes what the client has presented.
pub(super) fn describe_certificate(facts: &Facts<'_>) -> String {
    match facts.certificate {
        ClientCertificate::NotAsked => "no certificate is requested".to_owned(),
        ClientCertificate::Missing => "no certificate was presented".to_owned(),
        ClientCertificate::Invalid => "an invalid certificate".to_owned(),
        ClientCertificate::Valid(shown) => format!("the certificate {}", shown.fingerprint),
    }
}

fn read_condition(
    name: &str,
    constant: &Value,
    path: &KeyPath,
    findings: &mut Findings,
) -> Option<CertificateCondition> {
    let kind = match name.to_ascii_lowercase().as_str() {
        "fingerprint" => {
            let read = read_each(constant, read_fingerprint);
            if read.is_none() {
                findings.problem(path, "not a SHA-256 fingerprint").help(
                    "write 64 lower-case hexadecimal digits, or 32 upper-case pairs with colons",
                );
            }
            return read.map(CertificateCondition::Fingerprint);
        }
        "spki_hash" => {
            let read = read_each(constant, read_hash);
            if read.is_none() {
                findings
                    .problem(path, "not a SHA-256 hash of a public key")
                    .help("write 32 bytes in base64");
            }
            return read.map(CertificateCondition::SpkiHash);
        }
        "san_dns" => SanKind::Dns,
        "san_email" => SanKind::Email,
        "san_uri" => SanKind::Uri,
        _ => {
            report_unknown_condition(name, path, CONDITIONS, findings);
            return None;
        }
    };
    let matcher = StringMatcher::read(constant, path, findings, |name| name)?;
    Some(CertificateCondition::San(kind, matcher))
}

/// Reads a SHA-256 hash in base64.
fn read_hash(string: &str) -> Option<String> {
    let hash = STANDARD.decode(string).ok()?;
    (hash.len() == 32).then(|| string.to_owned())
}

/// Reads a fingerprint: 64 lower-case digits, or 32 upper-case pairs with colons. Returns it as lower-case digits.
fn read_fingerprint(string: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_pair = |pair: &str| {
        pair.len() == 2
            && pair
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
    };
    if string.len() == 64 && string.bytes().all(is_plain) {
        return Some(string.to_owned());
    }
    let has_colons = string.len() == 95 && string.split(':').all(is_pair);
    has_colons.then(|| string.replace(':', "").to_ascii_lowercase())
}

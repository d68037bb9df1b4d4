//! What a case says about the client's certificate.

use jetway_core::http::client_certificate::Certificate;
use serde_json::Value;

use super::super::explain::Shown;
use super::fields::{Fields, Findings, Unknown};

const KEYS: [&str; 5] = [
    "fingerprint",
    "san_dns",
    "san_email",
    "san_uri",
    "spki_hash",
];
const VECTOR_KEYS: [&str; 8] = [
    "ca_configured",
    "fingerprint",
    "presented",
    "san_dns",
    "san_email",
    "san_uri",
    "spki_hash",
    "valid",
];

/// `missing`, `invalid`, or the parts of a valid certificate.
pub(super) fn read_shown(value: &Value, path: &str, findings: &mut Findings) -> Option<Shown> {
    match value.as_str() {
        Some("missing") => Some(Shown::Missing),
        Some("invalid") => Some(Shown::Invalid),
        Some(other) => {
            let help =
                "write `missing`, `invalid`, or an object such as `{san_dns: laptop.example.com}`";
            findings.problem(path, format!("`{other}` is not a certificate"), help);
            None
        }
        None => {
            let fields = Fields::open(value, path, &KEYS, Unknown::Refused, findings)?;
            Some(Shown::Valid(Box::new(certificate(&fields, findings))))
        }
    }
}

/// The certificate of a case with its own policy: `ca_configured`, `presented`, `valid` and its parts.
pub(super) fn read_vector(value: &Value, path: &str, findings: &mut Findings) -> Option<Shown> {
    let fields = Fields::open(value, path, &VECTOR_KEYS, Unknown::Tolerated, findings)?;
    let mut flag = |key: &str| fields.flag(key, findings);
    let (asked, presented, valid) = (flag("ca_configured"), flag("presented"), flag("valid"));
    let certificate = certificate(&fields, findings);
    Some(if asked == Some(false) {
        Shown::NotAsked
    } else if presented == Some(false) {
        Shown::Missing
    } else if valid == Some(false) {
        Shown::Invalid
    } else {
        Shown::Valid(Box::new(certificate))
    })
}

fn certificate(fields: &Fields<'_>, findings: &mut Findings) -> Certificate {
    let mut text = |key: &str| {
        let text = fields.text(key, findings);
        text.unwrap_or_default().to_owned()
    };
    let (fingerprint, spki_hash) = (text("fingerprint"), text("spki_hash"));
    Certificate {
        fingerprint,
        spki_hash,
        san_dns: fields.texts("san_dns", findings),
        san_email: fields.texts("san_email", findings),
        san_uri: fields.texts("san_uri", findings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: Value) -> Option<Shown> {
        let mut findings = Findings::default();
        let shown = read_shown(&value, "", &mut findings);
        shown.filter(|_| findings.problems.is_empty())
    }

    #[test]
    fn certificates_are_named_or_described() {
        assert_eq!(shown(json!("missing")), Some(Shown::Missing));
        assert_eq!(shown(json!("invalid")), Some(Shown::Invalid));
        assert_eq!(shown(json!("none")), None);
        assert_eq!(shown(json!({"san_ip": "x"})), None);
        let Some(Shown::Valid(certificate)) = shown(json!({"san_dns": "a.test"})) else {
            panic!("a certificate");
        };
        assert_eq!(certificate.san_dns, ["a.test"]);
    }

    #[test]
    fn the_vectors_flags_tell_the_state() {
        for (value, expected) in [
            (
                json!({"ca_configured": false, "presented": true, "valid": true}),
                Shown::NotAsked,
            ),
            (
                json!({"ca_configured": true, "presented": false, "valid": false}),
                Shown::Missing,
            ),
            (
                json!({"ca_configured": true, "presented": true, "valid": false}),
                Shown::Invalid,
            ),
        ] {
            let read = read_vector(&value, "", &mut Findings::default());
            assert_eq!(read, Some(expected), "{value}");
        }
    }
}

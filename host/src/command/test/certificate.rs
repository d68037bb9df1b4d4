//! Reads the client's certificate of a case.

use jetway_core::http::client_certificate::Certificate;
use serde_json::Value;

use super::fields::{Fields, Findings, Unknown};
use crate::command::explain::ClientCertificateInput;

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

/// Reads `missing`, `invalid`, or the parts of a valid certificate.
pub(super) fn read_certificate(
    value: &Value,
    path: &str,
    findings: &mut Findings,
) -> Option<ClientCertificateInput> {
    match value.as_str() {
        Some("missing") => Some(ClientCertificateInput::Missing),
        Some("invalid") => Some(ClientCertificateInput::Invalid),
        Some(other) => {
            let help =
                "write `missing`, `invalid`, or a map such as `{san_dns: laptop.example.com}`";
            findings.problem(path, format!("`{other}` is not a certificate"), help);
            None
        }
        None => {
            let fields = Fields::open(value, path, &KEYS, Unknown::Refused, findings)?;
            Some(ClientCertificateInput::Valid(Box::new(read_parts(
                &fields, findings,
            ))))
        }
    }
}

/// Reads the certificate of a case with its own policy: `ca_configured`, `presented`, `valid` and its parts.
pub(super) fn read_flagged_certificate(
    value: &Value,
    path: &str,
    findings: &mut Findings,
) -> Option<ClientCertificateInput> {
    let fields = Fields::open(value, path, &VECTOR_KEYS, Unknown::Tolerated, findings)?;
    let mut flag = |key: &str| fields.flag(key, findings);
    let (scenario, presented, valid) = (flag("ca_configured"), flag("presented"), flag("valid"));
    let certificate = read_parts(&fields, findings);
    Some(if scenario == Some(false) {
        ClientCertificateInput::NotAsked
    } else if presented == Some(false) {
        ClientCertificateInput::Missing
    } else if valid == Some(false) {
        ClientCertificateInput::Invalid
    } else {
        ClientCertificateInput::Valid(Box::new(certificate))
    })
}

fn read_parts(fields: &Fields<'_>, findings: &mut Findings) -> Certificate {
    let mut text = |key: &str| {
        let text = fields.string(key, findings);
        text.unwrap_or_default().to_owned()
    };
    let (fingerprint, spki_hash) = (text("fingerprint"), text("spki_hash"));
    Certificate {
        fingerprint,
        spki_hash,
        san_dns: fields.strings("san_dns", findings),
        san_email: fields.strings("san_email", findings),
        san_uri: fields.strings("san_uri", findings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: Value) -> Option<ClientCertificateInput> {
        let mut findings = Findings::default();
        let shown = read_certificate(&value, "", &mut findings);
        shown.filter(|_| findings.problems.is_empty())
    }

    #[test]
    fn certificates_are_named_or_described() {
        assert_eq!(
            shown(json!("missing")),
            Some(ClientCertificateInput::Missing)
        );
        assert_eq!(
            shown(json!("invalid")),
            Some(ClientCertificateInput::Invalid)
        );
        assert_eq!(shown(json!("none")), None);
        assert_eq!(shown(json!({"san_ip": "x"})), None);
        let Some(ClientCertificateInput::Valid(certificate)) = shown(json!({"san_dns": "a.test"}))
        else {
            panic!("a certificate");
        };
        assert_eq!(certificate.san_dns, ["a.test"]);
    }

    #[test]
    fn the_flags_determine_the_state() {
        for (value, expected) in [
            (
                json!({"ca_configured": false, "presented": true, "valid": true}),
                ClientCertificateInput::NotAsked,
            ),
            (
                json!({"ca_configured": true, "presented": false, "valid": false}),
                ClientCertificateInput::Missing,
            ),
            (
                json!({"ca_configured": true, "presented": true, "valid": false}),
                ClientCertificateInput::Invalid,
            ),
        ] {
            let read = read_flagged_certificate(&value, "", &mut Findings::default());
            assert_eq!(read, Some(expected), "{value}");
        }
    }
}

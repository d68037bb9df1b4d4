//! Values of `set_request_headers`, with references such as `${pomerium.jwt}`.

mod parse;

use std::fmt;

/// A value with references, parsed when the configuration is read.
///
/// `$$` means `$`; `$a.b` and `${ a.b["c"] }` are references; any other `$` is literal.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A part of a [`Template`]. No two literals follow each other.
#[derive(Clone, PartialEq, Eq)]
enum Part {
    /// A literal.
    Literal(String),
    /// A reference.
    Reference(Reference),
}

/// A value that a template may refer to (below `pomerium.`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reference {
    /// `jwt`: the signed assertion.
    Jwt,
    /// `client_cert_fingerprint`: SHA-256 of the client's certificate in lower-case hexadecimal digits.
    CertificateFingerprint,
    /// `client_cert_san_dns`: comma-separated names.
    CertificateDns,
    /// `client_cert_san_email`: comma-separated addresses.
    CertificateEmail,
    /// `request.headers["Name"]`, lower-case.
    RequestHeader(String),
    /// Any other name, which gives the empty string and a warning when the configuration is read.
    Unknown(String),
}

impl Template {
    /// Parses a value. None is invalid: what is not a reference is literal.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self {
            parts: parse::parse_parts(text),
        }
    }

    /// Returns the references, in their order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// Returns the value of a template without references.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the dotted names of the unknown references, which give the empty string.
    pub fn unknown_references(&self) -> impl Iterator<Item = &str> {
        self.references().filter_map(|reference| match reference {
            Reference::Unknown(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Renders the template: `value` appends the value of a reference.
    ///
    /// The result is always a valid header value (RFC 9110 section 5.5): control characters are removed, so that no value can
    /// end the header and begin another one.
    pub(crate) fn render(&self, mut value: impl FnMut(&Reference, &mut Vec<u8>)) -> Vec<u8> {
        let mut rendered = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => rendered.extend_from_slice(text.as_bytes()),
                Part::Reference(reference) => value(reference, &mut rendered),
            }
        }
        crate::http::header::clean(rendered)
    }
}

impl fmt::Debug for Template {
    /// Shows the references only: a literal may be a password for the upstream.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")?;
        f.debug_list().entries(self.references()).finish()
    }
}

impl Reference {
    /// Returns the reference with these names. `access_token` and `id_token` are unknown: sessions keep no tokens.
    fn of(path: &[String]) -> Self {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["pomerium", "jwt"] => Self::Jwt,
            ["pomerium", "client_cert_fingerprint"] => Self::CertificateFingerprint,
            ["pomerium", "client_cert_san_dns"] => Self::CertificateDns,
            ["pomerium", "client_cert_san_email"] => Self::CertificateEmail,
            // Pomerium ignores what follows the name of the header.
            ["pomerium", "request", "headers", name, ..] => {
                Self::RequestHeader(name.to_ascii_lowercase())
            }
            _ => Self::Unknown(names.join(".")),
        }
    }
}

#[cfg(test)]
mod tests;

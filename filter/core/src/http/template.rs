//! Values of `set_request_headers`, with references such as `${pomerium.jwt}`.

mod parse;

use std::fmt;

/// A value with references in it, parsed when the file is read.
///
/// `$$` stands for `$`; `$a.b` and `${ a.b["c"] }` are references; whatever else begins with `$` is text.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a [`Template`]. Two texts never follow each other.
#[derive(Clone, PartialEq, Eq)]
enum Part {
    /// Text as it is.
    Text(String),
    /// Something about the request.
    Reference(Reference),
}

/// What a template may refer to (below `pomerium.`).
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
    /// Anything else, which stands for the empty text: a warning when the file is read.
    Unknown(String),
}

impl Template {
    /// Reads a value. There is no wrong one: what is no reference is text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self {
            parts: parse::parts(text),
        }
    }

    /// What the template refers to, in its order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }

    /// The text, when it refers to nothing.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The references that stand for the empty text because nothing has such a name, as dotted names.
    pub fn unknown_references(&self) -> impl Iterator<Item = &str> {
        self.references().filter_map(|reference| match reference {
            Reference::Unknown(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Puts the template together: `value` appends what a reference stands for.
    ///
    /// The result is a valid header value whatever the values are (RFC 9110 section 5.5): control characters are left
    /// out, so that no value can end the header and begin another.
    pub(crate) fn render(&self, mut value: impl FnMut(&Reference, &mut Vec<u8>)) -> Vec<u8> {
        let mut rendered = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.extend_from_slice(text.as_bytes()),
                Part::Reference(reference) => value(reference, &mut rendered),
            }
        }
        crate::http::header::clean(rendered)
    }
}

impl fmt::Debug for Template {
    /// The text may be a password for the upstream: only the references are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")?;
        f.debug_list().entries(self.references()).finish()
    }
}

impl Reference {
    /// The reference of these names. `access_token` and `id_token` are unknown: sessions keep no tokens.
    fn of(path: &[String]) -> Self {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["pomerium", "jwt"] => Self::Jwt,
            ["pomerium", "client_cert_fingerprint"] => Self::CertificateFingerprint,
            ["pomerium", "client_cert_san_dns"] => Self::CertificateDns,
            ["pomerium", "client_cert_san_email"] => Self::CertificateEmail,
            // Pomerium reads over whatever follows the header's name.
            ["pomerium", "request", "headers", name, ..] => {
                Self::RequestHeader(name.to_ascii_lowercase())
            }
            _ => Self::Unknown(names.join(".")),
        }
    }
}

#[cfg(test)]
mod tests;

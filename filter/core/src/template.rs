//! Values of `set_request_headers`, with references such as `${pomerium.jwt}`.

/// A value with references in it, parsed when the file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
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

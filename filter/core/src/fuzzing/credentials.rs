//! Credentials of clients: cookies, sealed values, tokens and certificates.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::http::client_certificate::{Certificate, CertificateReader};
use crate::http::cookie::{CookieNames, OwnCookies};
use crate::oidc::compact::Compact;
use crate::secret::Secret;
use crate::session::SessionReader;
use crate::session::seal::{Purpose, Sealer};
use crate::testing::{Fixture, certificate_header as as_header};

/// Public host of the sessions.
const HOST: &str = "app.test";

/// Reads bytes as a signed token.
pub(super) fn token(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(token) = Compact::read(text)
    {
        assert!(!(token.is_untyped() && token.is_of_type(&["JWT"])));
    }
}

/// Opens bytes as a sealed value: nothing that this key has not sealed opens.
pub(super) fn sealed(bytes: &[u8]) {
    for purpose in [Purpose::Session, Purpose::Attempt] {
        assert!(sealer().open(purpose, HOST, bytes).is_none());
    }
}

/// Seals bytes, as another version of the proxy might have done, and reads them as a session.
pub(super) fn session(bytes: &[u8]) {
    let mut fixture = Fixture::new();
    let sealer = sealer();
    let Ok(sealed) = sealer.seal(Purpose::Session, HOST, bytes, &mut fixture.env()) else {
        return;
    };
    let reader = SessionReader::default();
    let open = || reader.open(&sealer, HOST, sealed.as_bytes(), fixture.now);
    if let Some(opened) = open() {
        assert!(opened.session.expires_at() > fixture.now);
        let _ = (opened.session.email(), opened.session.account());
        assert!(open().is_some(), "the remembered result is the same");
    }
}

/// Reads bytes as a `Cookie` header, of which the forwarded part has none of the proxy's own cookies.
pub(super) fn cookies(bytes: &[u8]) {
    let names = CookieNames::new("_pomerium");
    let mut own = OwnCookies::default();
    let line = names.scan(bytes);
    names.read(&line, &mut own);
    for session in own.sessions() {
        assert!(session.len() <= bytes.len());
    }
    let mut others = Vec::new();
    line.append_others(&mut others);
    assert!(!names.scan(&others).has_own());
    let _ = names.sets_own(bytes);
}

/// Reads bytes as the header that states a client certificate.
pub(super) fn certificate_header(bytes: &[u8]) {
    let reader = CertificateReader::new(true);
    let first = format!("{:?}", reader.read(Some(bytes)));
    assert_eq!(
        first,
        format!("{:?}", reader.read(Some(bytes))),
        "the remembered result is the same"
    );
}

/// Reads bytes as a certificate in PEM, and as the DER of one in the header.
pub(super) fn certificate(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Certificate::read(text);
    }
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        wrap_lines(&STANDARD.encode(bytes))
    );
    let _ = Certificate::read(&pem);
    certificate_header(&as_header(&pem));
}

/// Splits base64 into lines of the length that PEM has (RFC 7468 section 2).
fn wrap_lines(base64: &str) -> String {
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    lines.join("\n")
}

fn sealer() -> Sealer {
    Sealer::new(&Secret::new(vec![7; 32]), &[])
}

//! How sessions are sealed and how long they last.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::super::findings::{Findings, quoted};
use super::super::object::Object;
use super::super::{Secret, SessionSettings};

/// Sessions last this long when the file does not say (`cookie_expire`), as in Pomerium.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(14 * 3600);
/// Longest session: browsers keep no cookie beyond 400 days (RFC 6265bis), and nobody should be signed in that long.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Length of `cookie_secret` once decoded.
const SECRET_LENGTH: usize = 32;

pub(super) fn read_session(
    file: &Object<'_>,
    needed: bool,
    findings: &mut Findings,
) -> Option<SessionSettings> {
    let name = file
        .some_text("cookie_name", findings)
        .unwrap_or_else(|| "_pomerium".to_owned());
    let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        findings
            .problem(
                &file.place_of("cookie_name"),
                format!("{} is not fit for a cookie's name", quoted(&name)),
            )
            .help("use at most 64 letters, digits, `_` and `-`");
        return None;
    }
    let lifetime = file
        .duration("cookie_expire", findings)
        .unwrap_or(DEFAULT_LIFETIME);
    if lifetime < Duration::from_secs(60) || lifetime > MAX_LIFETIME {
        findings
            .problem(
                &file.place_of("cookie_expire"),
                "`cookie_expire` must be between a minute and 30 days",
            )
            .help("write for example `14h`");
    }
    Some(SessionSettings {
        cookie_name: format!("__Host-{name}"),
        secret: read_secret(file, needed, findings),
        lifetime,
    })
}

fn read_secret(file: &Object<'_>, needed: bool, findings: &mut Findings) -> Option<Secret> {
    let place = file.place_of("cookie_secret");
    let Some(text) = file.some_text("cookie_secret", findings) else {
        if needed {
            findings
                .problem(
                    &place,
                    "`cookie_secret` is missing, and sessions are sealed with it",
                )
                .help("`jetway keygen` prints one");
        }
        return None;
    };
    match STANDARD.decode(text.trim()) {
        Ok(bytes) if bytes.len() == SECRET_LENGTH => Some(Secret::new(bytes)),
        _ => {
            findings
                .problem(&place, "`cookie_secret` is not 32 bytes in base64")
                .help("`jetway keygen` prints one");
            None
        }
    }
}

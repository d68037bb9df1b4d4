//! Reads how sessions are sealed and how long they last.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

use crate::config::file_map::FileMap;
use crate::config::{Origin, SessionSettings, SignInHost};
use crate::diagnostics::{Findings, quoted};
use crate::limits::MAX_SESSION_LIFETIME;
use crate::secret::Secret;

/// The default of `cookie_expire`, as in Pomerium.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(14 * 3600);
/// The length of the decoded `cookie_secret`.
const SECRET_LENGTH: usize = 32;
/// The most earlier secrets: a list that only grows is no rotation.
const MAX_PREVIOUS: usize = 8;

pub(super) fn read_session(
    file: &FileMap<'_>,
    needed: bool,
    findings: &mut Findings,
) -> Option<SessionSettings> {
    let name = file
        .non_empty_string("cookie_name", findings)
        .unwrap_or_else(|| "_pomerium".to_owned());
    let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        findings
            .problem(
                &file.path_of("cookie_name"),
                format!("{} is not a valid cookie name", quoted(&name)),
            )
            .help("use at most 64 letters, digits, `_` and `-`");
        return None;
    }
    let lifetime = file
        .duration("cookie_expire", findings)
        .unwrap_or(DEFAULT_LIFETIME);
    if lifetime < Duration::from_secs(60) || lifetime > MAX_SESSION_LIFETIME {
        findings
            .problem(
                &file.path_of("cookie_expire"),
                "`cookie_expire` must be between a minute and 30 days",
            )
            .help("write for example `14h`");
    }
    Some(SessionSettings {
        cookie_name: format!("__Host-{name}"),
        secret: read_secret(file, needed, findings),
        previous_secrets: read_previous(file, findings),
        lifetime,
        api_client_hosts: super::api_client::read_hosts(file, findings),
        sign_in_host: read_sign_in_host(file, findings),
        idle: read_idle(file, lifetime, findings),
        signed_out_url: read_signed_out_url(file, findings),
    })
}

/// Pomerium's hosted service, which its files name by default.
const HOSTED: &str = "authenticate.pomerium.app";

fn read_sign_in_host(file: &FileMap<'_>, findings: &mut Findings) -> Option<SignInHost> {
    let key_path = file.path_of("authenticate_service_url");
    let text = file.non_empty_string("authenticate_service_url", findings)?;
    let url = Url::parse(&text).ok();
    let plain = |url: &Url| {
        matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none()
    };
    let origin = url.as_ref().filter(|url| plain(url)).and_then(Origin::of);
    match origin {
        Some(origin) if origin.host == HOSTED => {
            findings
                .problem(&key_path, "Pomerium's hosted sign-in service does not work with Jetway")
                .help("write a host of your own, or remove the key: users then sign in on each route's own host");
            None
        }
        Some(origin) if origin.tls => Some(SignInHost {
            origin: origin.to_string(),
            host: origin.host,
        }),
        _ => {
            findings
                .problem(
                    &key_path,
                    format!("{} is not an https origin", quoted(&text)),
                )
                .help("write for example `https://authenticate.example.com`");
            None
        }
    }
}

fn read_idle(file: &FileMap<'_>, lifetime: Duration, findings: &mut Findings) -> Option<Duration> {
    let idle = file.duration("cookie_idle_expire", findings)?;
    if idle < Duration::from_secs(60) || idle > lifetime {
        findings
            .problem(
                &file.path_of("cookie_idle_expire"),
                "`cookie_idle_expire` must be between a minute and `cookie_expire`",
            )
            .help("write for example `30m`, or leave it out");
    }
    Some(idle)
}

fn read_signed_out_url(file: &FileMap<'_>, findings: &mut Findings) -> Option<Url> {
    let text = file.non_empty_string("signout_redirect_url", findings)?;
    let url = Url::parse(&text).ok();
    let fit = url.filter(|url| Origin::of(url).is_some());
    if fit.is_none() {
        findings
            .problem(
                &file.path_of("signout_redirect_url"),
                format!("{} is not the URL of a page", quoted(&text)),
            )
            .help("write an absolute URL, for example `https://www.example.com/goodbye`");
    }
    fit
}

/// Reads the earlier secrets, separated by commas, because an environment variable cannot hold a list.
fn read_previous(file: &FileMap<'_>, findings: &mut Findings) -> Vec<Secret> {
    let Some(text) = file.non_empty_string("cookie_secret_previous", findings) else {
        return Vec::new();
    };
    let secrets: Option<Vec<Secret>> = text.split(',').map(decode).collect();
    match secrets {
        Some(secrets) if secrets.len() <= MAX_PREVIOUS => secrets,
        _ => {
            findings
                .problem(
                    &file.path_of("cookie_secret_previous"),
                    "`cookie_secret_previous` must be one to eight earlier values of `cookie_secret`",
                )
                .help("write the earlier values of `cookie_secret`, separated by commas");
            Vec::new()
        }
    }
}

/// Reads 32 bytes in base64.
fn decode(text: &str) -> Option<Secret> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    (bytes.len() == SECRET_LENGTH).then(|| Secret::new(bytes))
}

fn read_secret(file: &FileMap<'_>, needed: bool, findings: &mut Findings) -> Option<Secret> {
    let key_path = file.path_of("cookie_secret");
    let Some(text) = file.non_empty_string("cookie_secret", findings) else {
        if needed {
            findings
                .problem(
                    &key_path,
                    "`cookie_secret` is missing, and sessions are encrypted with it",
                )
                .help("`jetway keygen` prints one");
        }
        return None;
    };
    let secret = decode(&text);
    if secret.is_none() {
        findings
            .problem(&key_path, "`cookie_secret` is not 32 bytes in base64")
            .help("`jetway keygen` prints one");
    }
    secret
}

//! From parsed JSON to a [`Config`].

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use url::Url;

use super::findings::{Findings, Place};
use super::object::Object;
use super::{
    Config, ConfigError, EmailVerification, IdentitySettings, IssuerFormat, Listener, Loaded,
    Origin, Pem, ProviderSettings, Route, Secret, ServerCertificate, SessionSettings, keys,
};

/// Sessions last this long when the file does not say (`cookie_expire`), as in Pomerium.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(14 * 3600);
/// Longest session: browsers keep no cookie beyond 400 days (RFC 6265bis), and nobody should be signed in that long.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Length of `cookie_secret` once decoded.
const SECRET_LENGTH: usize = 32;
/// More proxies than this in front of one server are a typing error.
const MAX_TRUSTED_HOPS: u32 = 16;
/// Keys that an environment variable of the same name in upper case overrides.
const OVERRIDABLE: [&str; 8] = [
    "cookie_expire",
    "cookie_name",
    "cookie_secret",
    "idp_client_id",
    "idp_client_secret",
    "idp_provider",
    "idp_provider_url",
    "idp_scopes",
];

impl Config {
    /// Reads a configuration.
    ///
    /// `value` is the file as JSON. `variable` looks up an environment variable; one that is named like a key in upper
    /// case (`COOKIE_SECRET` for `cookie_secret`) overrides the file.
    ///
    /// # Errors
    /// Every problem found, at once.
    pub fn read(
        value: &Value,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigError> {
        let mut findings = Findings::default();
        let config = read_file(value, variable, &mut findings);
        match config {
            Some(config) if findings.problems.is_empty() => Ok(Loaded {
                config,
                warnings: findings.warnings,
            }),
            _ => Err(ConfigError {
                problems: findings.problems,
                warnings: findings.warnings,
            }),
        }
    }
}

fn read_file(
    value: &Value,
    variable: &dyn Fn(&str) -> Option<String>,
    findings: &mut Findings,
) -> Option<Config> {
    let Value::Object(file) = value else {
        findings
            .problem(&Place::root(), "the configuration must be an object")
            .help("begin with `routes:`");
        return None;
    };
    let file = with_variables(file, variable);
    let file = Object::open(&file, Place::root(), keys::GLOBAL, findings);
    let listener = read_listener(&file, findings);
    let routes = read_routes(&file, findings);
    let identity = routes.iter().any(|route| route.policy.asks_for_identity());
    let provider = read_provider(&file, identity, findings);
    let session = read_session(&file, identity, findings)?;
    Some(Config {
        listener,
        routes,
        provider,
        session,
        identity: IdentitySettings {
            signing_key: None,
            claim_headers: Vec::new(),
            issuer_format: IssuerFormat::default(),
        },
    })
}

fn with_variables(
    file: &Map<String, Value>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Map<String, Value> {
    let mut file = file.clone();
    for key in OVERRIDABLE {
        if let Some(text) = variable(&key.to_ascii_uppercase()) {
            file.retain(|written, _| !written.eq_ignore_ascii_case(key));
            file.insert(key.to_owned(), Value::String(text));
        }
    }
    file
}

fn read_listener(file: &Object<'_>, findings: &mut Findings) -> Listener {
    let address = file
        .text("address", findings)
        .unwrap_or_else(|| ":443".to_owned());
    let port = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        findings
            .problem(
                &file.place_of("address"),
                format!("`{address}` is not an address to listen on"),
            )
            .help("write `:8443` or `127.0.0.1:8443`");
    }
    Listener {
        address,
        insecure: file.flag("insecure_server", findings),
        certificates: read_certificates(file, findings),
        trusted_hops: file
            .number("xff_num_trusted_hops", MAX_TRUSTED_HOPS, findings)
            .unwrap_or_default(),
        proxy_protocol: false,
        idle_timeout: Duration::from_secs(300),
        client_authority: None,
    }
}

fn read_certificates(file: &Object<'_>, findings: &mut Findings) -> Vec<ServerCertificate> {
    let mut certificates = Vec::new();
    match (
        file.text("certificate_file", findings),
        file.text("certificate_key_file", findings),
    ) {
        (Some(certificate), Some(key)) => certificates.push(ServerCertificate {
            certificate: Pem::File(certificate),
            key: Pem::File(key),
        }),
        (Some(_), None) => {
            findings
                .problem(
                    &file.place_of("certificate_file"),
                    "a certificate without its key",
                )
                .help("add `certificate_key_file`");
        }
        (None, Some(_)) => {
            findings
                .problem(
                    &file.place_of("certificate_key_file"),
                    "a key without its certificate",
                )
                .help("add `certificate_file`");
        }
        (None, None) => {}
    }
    let Some(listed) = file.value("certificates") else {
        return certificates;
    };
    let place = file.place_of("certificates");
    for (index, entry) in listed.as_array().into_iter().flatten().enumerate() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        match (text("cert"), text("key")) {
            (Some(certificate), Some(key)) => certificates.push(ServerCertificate {
                certificate: Pem::File(certificate),
                key: Pem::File(key),
            }),
            _ => findings
                .problem(&place.item(index), "an entry needs `cert` and `key`")
                .help("name two PEM files"),
        }
    }
    if !listed.is_array() {
        findings
            .problem(&place, "`certificates` takes a list")
            .help("write `- {cert: chain.pem, key: key.pem}`");
    }
    certificates
}

fn read_routes(file: &Object<'_>, findings: &mut Findings) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    // The older name stands for the same list, and its entries come first.
    for key in ["policy", "routes"] {
        let Some(value) = file.value(key) else {
            continue;
        };
        let place = file.place_of(key);
        let Value::Array(list) = value else {
            findings
                .problem(&place, format!("`{key}` takes a list of routes"))
                .help("begin each route with `- from:`");
            continue;
        };
        for (index, entry) in list.iter().enumerate() {
            let place = place.item(index);
            let Some(route) = Route::read(entry, &place, findings) else {
                continue;
            };
            if routes.iter().any(|other| other.id == route.id) {
                findings
                    .problem(
                        &place,
                        format!(
                            "a second route from `{}` to the same place",
                            route.from.authority()
                        ),
                    )
                    .help("join their policies in one route");
            }
            routes.push(route);
        }
    }
    if routes.is_empty() && findings.problems.is_empty() {
        findings
            .problem(&file.place_of("routes"), "there are no routes")
            .help("add `routes:` with `from` and `to`");
    }
    routes
}

fn read_provider(
    file: &Object<'_>,
    needed: bool,
    findings: &mut Findings,
) -> Option<ProviderSettings> {
    let kind = file.text("idp_provider", findings);
    let present = kind.is_some()
        || file.value("idp_provider_url").is_some()
        || file.value("idp_client_id").is_some();
    if !present && !needed {
        return None;
    }
    if let Some(kind) = &kind
        && kind != "oidc"
    {
        findings
            .problem(
                &file.place_of("idp_provider"),
                format!("provider `{kind}` is not supported by this version"),
            )
            .help("write `oidc` and the provider's issuer address as `idp_provider_url`");
    }
    let missing = |key: &str, what: &str, findings: &mut Findings| {
        findings
            .problem(
                &file.place_of(key),
                format!("`{key}` is missing, and a policy asks who the visitor is"),
            )
            .help(what);
    };
    if kind.is_none() {
        missing("idp_provider", "add `idp_provider: oidc`", findings);
    }
    let issuer = file.text("idp_provider_url", findings);
    if issuer.is_none() {
        missing(
            "idp_provider_url",
            "add the provider's issuer, for example `https://idp.example.com`",
            findings,
        );
    }
    let client_id = file.text("idp_client_id", findings);
    if client_id.is_none() {
        missing(
            "idp_client_id",
            "add the client id that the provider gave you",
            findings,
        );
    }
    let origin = issuer
        .as_deref()
        .and_then(|issuer| read_issuer(issuer, &file.place_of("idp_provider_url"), findings));
    let client_secret = Secret::new(
        file.text("idp_client_secret", findings)
            .unwrap_or_default()
            .into_bytes(),
    );
    let scopes = file
        .texts("idp_scopes", findings)
        .unwrap_or_else(default_scopes);
    let extra_origins = read_origins(file, findings);
    let request_params = read_request_params(file, findings);
    let email_verification = read_email_verification(file, findings);
    Some(ProviderSettings {
        issuer: issuer?,
        origin: origin?,
        extra_origins,
        client_id: client_id?,
        client_secret,
        scopes,
        request_params,
        email_verification,
    })
}

fn default_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

/// An issuer is `https` without query and fragment (OpenID Connect Discovery 1.0, section 2); plain `http` only on this
/// machine, where nobody can listen in.
fn read_issuer(issuer: &str, place: &Place, findings: &mut Findings) -> Option<Origin> {
    let url = Url::parse(issuer).ok();
    let origin = url.as_ref().and_then(Origin::of);
    let plain = url.is_some_and(|url| url.query().is_none() && url.fragment().is_none());
    let Some(origin) = origin.filter(|_| plain) else {
        findings
            .problem(place, format!("`{issuer}` is not an issuer address"))
            .help("write for example `https://idp.example.com`");
        return None;
    };
    if !origin.tls && !is_loopback(&origin.host) {
        findings
            .problem(
                place,
                "a provider over plain http can be impersonated by anybody on the way",
            )
            .help("use its `https://` address");
        return None;
    }
    Some(origin)
}

fn is_loopback(host: &str) -> bool {
    let ip = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn read_origins(file: &Object<'_>, findings: &mut Findings) -> Vec<Origin> {
    let mut origins = Vec::new();
    for (index, text) in file
        .texts("idp_extra_origins", findings)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        match Url::parse(text)
            .ok()
            .filter(|url| matches!(url.path(), "" | "/"))
            .as_ref()
            .and_then(Origin::of)
        {
            Some(origin) if origin.tls || is_loopback(&origin.host) => origins.push(origin),
            _ => findings
                .problem(
                    &file.place_of("idp_extra_origins").item(index),
                    format!("`{text}` is not an https origin"),
                )
                .help("write for example `https://oauth2.example.com`"),
        }
    }
    origins
}

/// Parameters that the sign-in itself sets: an operator's value would break it or weaken it.
const OWN_PARAMETERS: [&str; 9] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

fn read_request_params(file: &Object<'_>, findings: &mut Findings) -> Vec<(String, String)> {
    let Some(value) = file.value("idp_request_params") else {
        return Vec::new();
    };
    let place = file.place_of("idp_request_params");
    let Value::Object(map) = value else {
        findings
            .problem(&place, "`idp_request_params` takes an object")
            .help("write `{prompt: select_account}`");
        return Vec::new();
    };
    let mut params = Vec::new();
    for (name, value) in map {
        let place = place.key(name);
        if OWN_PARAMETERS.contains(&name.as_str()) {
            findings
                .problem(&place, format!("`{name}` is set by the sign-in itself"))
                .help("take it out");
        } else if let Value::String(text) = value {
            params.push((name.clone(), text.clone()));
        } else {
            findings
                .problem(&place, format!("`{name}` takes a text"))
                .help("put the value in quotes");
        }
    }
    params
}

fn read_email_verification(file: &Object<'_>, findings: &mut Findings) -> EmailVerification {
    match file.value("require_email_verified") {
        None => EmailVerification::UnlessDenied,
        Some(Value::String(word)) if word == "strict" => EmailVerification::Strict,
        // YAML 1.1 readers make a boolean of `off`.
        Some(Value::String(word)) if word == "off" => EmailVerification::Off,
        Some(Value::Bool(false)) => EmailVerification::Off,
        Some(_) => {
            findings
                .problem(
                    &file.place_of("require_email_verified"),
                    "`require_email_verified` takes `strict` or `off`",
                )
                .help("leave it out to refuse only addresses that the provider calls unverified");
            EmailVerification::Strict
        }
    }
}

fn read_session(
    file: &Object<'_>,
    needed: bool,
    findings: &mut Findings,
) -> Option<SessionSettings> {
    let name = file
        .text("cookie_name", findings)
        .unwrap_or_else(|| "_pomerium".to_owned());
    let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        findings
            .problem(
                &file.place_of("cookie_name"),
                format!("`{name}` is not fit for a cookie's name"),
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
    let Some(text) = file.text("cookie_secret", findings) else {
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

#[cfg(test)]
mod tests;

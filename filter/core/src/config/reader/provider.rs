//! Reads the settings of the identity provider.

mod client_auth;
mod email_trust;

use serde_json::Value;
use url::Url;

use crate::config::file_map::FileMap;
use crate::config::provider_kind::{Preset, ProviderKind, WORDS};
use crate::config::{Origin, ProviderSettings};
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::secret::Secret;
use client_auth::read_client_auth;
pub(super) use email_trust::check_tenants;
use email_trust::read_email_trust;

pub(super) fn read_provider(
    file: &FileMap<'_>,
    needed: bool,
    findings: &mut Findings,
) -> Option<ProviderSettings> {
    let kind = file.non_empty_string("idp_provider", findings);
    let present = kind.is_some()
        || file.value("idp_provider_url").is_some()
        || file.value("idp_client_id").is_some();
    if !present && !needed {
        return None;
    }
    let preset = kind
        .as_deref()
        .map(|kind| read_kind(kind, &file.path_of("idp_provider"), findings));
    if kind.is_none() {
        let help =
            "add `idp_provider: oidc`: Jetway does not use Pomerium's hosted sign-in service";
        report_missing("idp_provider", help, file, findings);
    }
    let preset = preset.flatten();
    let written = file.non_empty_string("idp_provider_url", findings);
    let issuer = written.or_else(|| preset?.issuer.map(str::to_owned));
    if issuer.is_none() {
        let example = preset.map_or("https://idp.example.com", |preset| preset.example);
        let help = format!("add the provider's issuer, for example `{example}`");
        report_missing("idp_provider_url", &help, file, findings);
    }
    let client_id = file.non_empty_string("idp_client_id", findings);
    if client_id.is_none() {
        let help = "add the client id of the registration with the provider";
        report_missing("idp_client_id", help, file, findings);
    }
    let origin = issuer
        .as_deref()
        .and_then(|issuer| read_issuer(issuer, &file.path_of("idp_provider_url"), findings));
    let client_secret = Secret::new(
        file.non_empty_string("idp_client_secret", findings)
            .unwrap_or_default()
            .into_bytes(),
    );
    let scopes = read_scopes(file, preset, findings);
    let extra_origins = preset_origins(preset, issuer.as_deref())
        .chain(read_origins(file, findings))
        .collect();
    let mut request_params = read_request_params(file, findings);
    add_preset_params(preset, &mut request_params);
    let mode = file.word("idp_response_mode", &RESPONSE_MODES, "mode", findings);
    let is_apple = preset.is_some_and(|preset| preset.kind == ProviderKind::Apple);
    let client_auth = read_client_auth(file, &client_secret, findings);
    let kind = preset.map_or(ProviderKind::Oidc, |preset| preset.kind);
    let email_trust = read_email_trust(file, kind, issuer.as_deref(), findings);
    Some(ProviderSettings {
        kind,
        issuer: issuer?,
        origin: origin?,
        extra_origins,
        client_id: client_id?,
        client_secret,
        client_auth,
        client_private_key_text: file
            .non_empty_string("idp_client_private_key", &mut Findings::default())
            .map(|text| Secret::new(text.into_bytes())),
        scopes,
        request_params,
        form_post: mode.unwrap_or(is_apple),
        email_trust,
        access_token_audiences: crate::config::reader::api_client::read_audiences(file, findings),
    })
}

fn report_missing(key: &str, help: &str, file: &FileMap<'_>, findings: &mut Findings) {
    findings
        .problem(
            &file.path_of(key),
            format!("`{key}` is missing, and a policy is about the user"),
        )
        .help(help);
}

fn read_scopes(
    file: &FileMap<'_>,
    preset: Option<&Preset>,
    findings: &mut Findings,
) -> Vec<String> {
    file.strings("idp_scopes", findings).unwrap_or_else(|| {
        let scopes = preset.map_or(&[][..], |preset| preset.scopes);
        scopes.iter().copied().map(str::to_owned).collect()
    })
}

/// Adds the preset's parameters, unless the file has others of the same names.
fn add_preset_params(preset: Option<&Preset>, params: &mut Vec<(String, String)>) {
    for (name, value) in preset.map_or(&[][..], |preset| preset.params) {
        if !params.iter().any(|(known, _)| known == name) {
            params.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
}

/// Returns the additional origins of a preset's endpoints, if the issuer is the preset's own.
fn preset_origins(
    preset: Option<&'static Preset>,
    issuer: Option<&str>,
) -> impl Iterator<Item = Origin> {
    let common = preset.filter(|preset| {
        // A self-hosted GitHub has its API on its own origin.
        preset.kind != ProviderKind::Github || issuer == preset.issuer
    });
    let origins = common.map_or(&[][..], |preset| preset.origins);
    let parsed = origins.iter().filter_map(|text| Url::parse(text).ok());
    parsed.filter_map(|url| Origin::of(&url))
}

/// Reads an issuer: an `https` URL without query and fragment (OpenID Connect Discovery 1.0 section 2), or an `http` URL of
/// this machine, to which no network traffic goes.
fn read_issuer(issuer: &str, key_path: &KeyPath, findings: &mut Findings) -> Option<Origin> {
    let url = Url::parse(issuer).ok();
    let origin = url.as_ref().and_then(Origin::of);
    let plain = url.is_some_and(|url| url.query().is_none() && url.fragment().is_none());
    let Some(origin) = origin.filter(|_| plain) else {
        findings
            .problem(key_path, format!("{} is not an issuer URL", quoted(issuer)))
            .help("write for example `https://idp.example.com`");
        return None;
    };
    if !origin.tls && !origin.is_loopback() {
        findings
            .problem(
                key_path,
                "a provider over plain HTTP can be impersonated by anyone on the network",
            )
            .help("use its `https://` URL");
        return None;
    }
    Some(origin)
}

fn read_origins(file: &FileMap<'_>, findings: &mut Findings) -> Vec<Origin> {
    let mut origins = Vec::new();
    for (index, text) in file
        .strings("idp_extra_origins", findings)
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
            Some(origin) if origin.tls || origin.is_loopback() => origins.push(origin),
            _ => findings
                .problem(
                    &file.path_of("idp_extra_origins").item(index),
                    format!("{} is not an https origin", quoted(text)),
                )
                .help("write for example `https://oauth2.example.com`"),
        }
    }
    origins
}

/// The response modes. Apple uses a form whenever a name or an email address is requested.
const RESPONSE_MODES: [(&str, bool); 2] = [("query", false), ("form_post", true)];

/// The parameters that Jetway sets itself: another value would break or weaken the sign-in.
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

fn read_request_params(file: &FileMap<'_>, findings: &mut Findings) -> Vec<(String, String)> {
    let key_path = file.path_of("idp_request_params");
    let params = file.string_map("idp_request_params", findings);
    let mut params = params.unwrap_or_default();
    params.retain(|(name, _)| {
        let own = OWN_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
        if own {
            findings
                .problem(&key_path.key(name), format!("Jetway sets `{name}` itself"))
                .help("remove it");
        }
        !own
    });
    params
}

/// Returns whether users sign in at GitHub.
pub(super) fn is_github(file: &FileMap<'_>) -> bool {
    let word = file.value("idp_provider").and_then(Value::as_str);
    let preset = word.and_then(Preset::find);
    preset.is_some_and(|preset| preset.kind == ProviderKind::Github)
}

/// Reads the provider preset.
fn read_kind(kind: &str, key_path: &KeyPath, findings: &mut Findings) -> Option<&'static Preset> {
    let preset = Preset::find(kind);
    if preset.is_none() {
        let note = findings.problem(
            key_path,
            format!("{} is not a supported provider", quoted(kind)),
        );
        if kind.eq_ignore_ascii_case("hosted") {
            note.help(
                "Pomerium's hosted service is not available: write `oidc`, and your provider's issuer as `idp_provider_url`",
            );
        } else {
            note.help_near(
                &kind.to_ascii_lowercase(),
                WORDS.iter().copied(),
                "write `oidc`, and the provider's issuer as `idp_provider_url`",
            );
        }
    }
    preset
}

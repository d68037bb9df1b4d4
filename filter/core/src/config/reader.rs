//! Reads a [`Config`] from parsed JSON.

mod api_client;
mod client_authority;
mod identity;
mod listener;
mod monitoring;
mod provider;
mod session;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::config::file_map::FileMap;
use crate::config::keys::GLOBAL;
use crate::config::placeholder::refuse_placeholders;
use crate::config::route::{Common, Known, read_upgrades};
use crate::config::{
    BearerFormat, Branding, Config, ConfigError, IssuerFormat, Loaded, ResponseHeaders, Route,
    override_by_variables,
};
use crate::diagnostics::{Findings, KeyPath};
use client_authority::{Enforcement, read_client_authority};
use identity::read_identity;
use listener::read_listener;
use monitoring::read_monitoring;
use provider::{check_tenants, is_github, read_provider};
use session::read_session;

/// The most routes. A file with more of them is generated, and should use wildcards: each worker keeps every route.
const MAX_ROUTES: usize = 20_000;

impl Config {
    /// Reads a configuration.
    ///
    /// `value` is the file as JSON. `variable` looks up an environment variable; one with the name of a key in upper case
    /// (`COOKIE_SECRET` for `cookie_secret`) overrides the file, see [`override_by_variables`].
    ///
    /// # Errors
    /// Returns every problem of the file at once.
    pub fn read(
        value: &Value,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigError> {
        let mut file = Cow::Borrowed(value);
        let mut findings = Findings::default();
        if is_overridden(variable) {
            findings.warnings = override_by_variables(file.to_mut(), variable).warnings;
        }
        let config = read_file(&file, &mut findings);
        refuse_placeholders(&file, &mut findings);
        findings.sort();
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

/// Returns whether any variable overrides a key. Otherwise the file, which may be large, need not be copied.
fn is_overridden(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let mut empty = Value::Object(Map::new());
    override_by_variables(&mut empty, variable);
    empty.as_object().is_some_and(|keys| !keys.is_empty())
}

fn read_file(value: &Value, findings: &mut Findings) -> Option<Config> {
    let Value::Object(map) = value else {
        findings
            .problem(&KeyPath::root(), "the configuration must be a map")
            .help("begin with `routes:`");
        return None;
    };
    let file = FileMap::open(map, KeyPath::root(), GLOBAL, findings);
    refuse_secret_files(&file, findings);
    let (client_authority, enforcement) = read_client_authority(&file, findings);
    let listener = read_listener(&file, client_authority, findings);
    let common = Common {
        pass_identity_headers: file.flag("pass_identity_headers", findings),
        issuer_format: IssuerFormat::read(&file, findings).unwrap_or_default(),
        bearer: BearerFormat::read(&file, findings).unwrap_or_default(),
        response_headers: ResponseHeaders::common(&file, !listener.insecure, findings),
        certificates_asked: listener.client_authority.is_some(),
        deny_uncertified: listener.client_authority.is_some() && enforcement != Enforcement::Policy,
        is_github: is_github(&file),
        allow_websockets: read_upgrades(&file, findings),
        timeout: file
            .duration("default_upstream_timeout", findings)
            .unwrap_or_else(|| Common::default().timeout),
    };
    let branding = Branding::read(&file, findings);
    let monitoring = read_monitoring(&file, findings);
    let mut routes = read_routes(&file, &common, findings);
    let asks = routes.iter().any(Route::asks_for_identity);
    let provider = read_provider(&file, asks, findings);
    if let Some(provider) = &provider {
        check_tenants(&file, &provider.email_trust, &routes, findings);
    }
    let session = read_session(&file, asks, findings);
    let accepts_access_tokens = common.bearer == BearerFormat::AccessToken
        || routes
            .iter()
            .any(|route| route.bearer == BearerFormat::AccessToken);
    if accepts_access_tokens {
        api_client::check_audiences(&file, provider.as_ref(), findings);
    }
    let secret = session.as_ref().and_then(|session| session.secret.as_ref());
    let identity = read_identity(&file, &routes, secret, findings);
    for route in &mut routes {
        route.policy.set_groups_claim(&identity.groups_claim);
        if let Some(cockpit) = &mut route.cockpit {
            cockpit
                .administrators
                .set_groups_claim(&identity.groups_claim);
        }
    }
    Some(Config {
        listener,
        routes,
        provider,
        session: session?,
        identity,
        branding,
        monitoring,
    })
}

/// Reports keys that name files. The proxy has read the files before: the module cannot.
fn refuse_secret_files(file: &FileMap<'_>, findings: &mut Findings) {
    for (key, variable) in crate::contract::SECRET_VARIABLES {
        let file_key = format!("{key}_file");
        if file.has(&file_key) {
            findings
                .problem(
                    &file.path_of(&file_key),
                    format!("`{file_key}` names a file, and the module cannot read files"),
                )
                .help(format!(
                    "put the file's content into the environment variable `{variable}`, as `jetway envoy-config` does"
                ));
        }
    }
}

fn read_routes(file: &FileMap<'_>, common: &Common, findings: &mut Findings) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut known = Known::default();
    let mut listed = 0_usize;
    // The older name means the same list, and its entries come first.
    for key in ["policy", "routes"] {
        let Some(value) = file.value(key) else {
            continue;
        };
        let key_path = file.path_of(key);
        let Value::Array(list) = value else {
            findings
                .problem(&key_path, format!("`{key}` must be a list of routes"))
                .help("begin each route with `- from:`");
            continue;
        };
        listed = listed.saturating_add(list.len());
        if listed > MAX_ROUTES {
            findings
                .problem(&key_path, format!("more than {MAX_ROUTES} routes"))
                .help("use `*` in `from` for many hosts");
            return routes;
        }
        for (index, entry) in list.iter().enumerate() {
            let key_path = key_path.item(index);
            let Some(route) = Route::read_with(entry, &key_path, common, findings) else {
                continue;
            };
            known.add(&route, &key_path, findings);
            routes.push(route);
        }
    }
    if listed == 0 && !(file.has("routes") || file.has("policy")) {
        findings
            .problem(&file.path_of("routes"), "no routes")
            .help("add `routes:` with `from` and `to`");
    }
    routes
}

#[cfg(test)]
mod tests;

//! The hosts and keys that the Cockpit of this machine trusts: from the proxy's configuration, or from hosts and public keys
//! on a machine that must not hold the proxy's secrets.

use std::path::Path;

use anyhow::{Context as _, bail};
use jetway_config_file::file;
use jetway_core::config::{CockpitSettings, Config, Route};
use jetway_core::http::request_line::is_host_name;
use serde_json::Value;

use crate::cockpit::{self, leads_here};
use crate::config;
use jetway_config_file::ConfigFile;

/// The error without a key that can sign logins.
pub(super) const NO_KEY: &str = "no key on the curve P-256 to sign logins with: run `jetway keygen --signing-key --out signing-key.pem` \
    and set `signing_key_file: signing-key.pem`";
/// Most bytes of a JSON Web Key Set: a key has some hundred.
const MAX_KEYS: u64 = 64 * 1024;

/// The settings for the helper and Cockpit.
#[derive(Debug)]
pub(super) struct Trusted {
    /// Public hosts: the audiences of assertions.
    pub(super) hosts: Vec<String>,
    /// JSON Web Key Set (RFC 7517).
    pub(super) keys: String,
    /// The rights of users beyond a login.
    pub(super) grants: Grants,
    /// Notes for the operator, in lines.
    pub(super) notes: String,
}

/// The rights of users of a Cockpit beyond logging in as an ordinary Unix user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grants {
    /// Whether assertions may name root.
    pub(super) root: bool,
    /// Whether users may log in to other hosts through this Cockpit.
    pub(super) other_hosts: bool,
    /// Whether the policy `administrators` of a route gives users administrative access.
    pub(super) administrators: bool,
}

impl Trusted {
    /// Reads the settings from the proxy's configuration and these routes.
    ///
    /// # Errors
    /// A file that cannot be used, a route without `cockpit`, or routes of several Cockpits.
    pub(super) fn by_file(path: &Path, names: &[String]) -> anyhow::Result<Self> {
        let loaded = config::load_and_warn(path)?;
        let routes = select_routes(&loaded.config, names)?;
        let key = loaded.config.identity.signing_key.as_ref();
        require_mapping(&routes)?;
        let settings = || routes.iter().filter_map(|route| route.cockpit.as_ref());
        Ok(Self {
            hosts: audiences(&routes)?,
            keys: require_es256(key.context(NO_KEY)?.key_set()).context(NO_KEY)?,
            grants: Grants {
                root: settings().any(|cockpit| cockpit.allow_root),
                other_hosts: settings().any(|cockpit| cockpit.allow_other_hosts),
                administrators: settings().any(CockpitSettings::has_administrators),
            },
            notes: derived_key_note(&loaded),
        })
    }

    /// Builds the settings from these hosts and the keys that the proxy publishes.
    ///
    /// # Errors
    /// An invalid host, or a file without a key that the helper can use.
    pub(super) fn by_keys(hosts: &[String], keys: &Path, grants: Grants) -> anyhow::Result<Self> {
        let text = String::from_utf8(file::read("key set", keys, MAX_KEYS)?).unwrap_or_default();
        let keys = require_es256(text).with_context(|| {
            format!(
                "`{}` is not the output of `jetway cockpit keys -c FILE` on the proxy's machine",
                keys.display()
            )
        })?;
        Ok(Self {
            hosts: read_public_hosts(hosts)?,
            keys,
            grants,
            notes: String::new(),
        })
    }
}

/// Returns the hosts in the form of an assertion's audience, which the helper accepts, each once.
fn read_public_hosts(texts: &[String]) -> anyhow::Result<Vec<String>> {
    let mut hosts = Vec::new();
    for text in texts {
        let host = text.to_ascii_lowercase();
        if !is_host_name(&host) {
            bail!(
                "`{text}` is not a valid host: write for example `cockpit.example.com`, without scheme and port"
            );
        }
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Returns the routes that lead to the Cockpit of this machine: the named ones, those with `cockpit`, or those that look
/// like Cockpit's.
fn select_routes<'a>(config: &'a Config, names: &[String]) -> anyhow::Result<Vec<&'a Route>> {
    let with_key = config.routes.iter().filter(|route| route.cockpit.is_some());
    let mut routes: Vec<&Route> = with_key.collect();
    if !names.is_empty() || routes.is_empty() {
        routes = cockpit::select_routes(config, names)?;
    }
    if is_one_place(&routes) {
        return Ok(routes);
    }
    let here = routes.iter().copied().filter(|route| leads_here(route));
    let here: Vec<&Route> = here.collect();
    // Root on one of the machines could use assertions for it on all machines that accept them.
    if !names.is_empty() || here.is_empty() || !is_one_place(&here) {
        let names: Vec<String> = routes
            .iter()
            .map(|route| format!("`{}`", route.name))
            .collect();
        bail!(
            "the routes {} lead to different Cockpits: choose the one of this machine with --route",
            names.join(", ")
        );
    }
    Ok(here)
}

fn is_one_place(routes: &[&Route]) -> bool {
    let Some((first, others)) = routes.split_first() else {
        return true;
    };
    others
        .iter()
        .all(|other| first.shares_upstreams_with(other))
}

/// Returns the audiences of assertions.
fn audiences(routes: &[&Route]) -> anyhow::Result<Vec<String>> {
    let mut hosts: Vec<String> = Vec::new();
    for route in routes {
        if route.from.is_wildcard() {
            bail!(
                "`{}` matches many hosts, and each Cockpit accepts only its own: write a route for this one",
                route.from.host
            );
        }
        if !hosts.contains(&route.from.host) {
            hosts.push(route.from.host.clone());
        }
    }
    Ok(hosts)
}

/// Returns a key set if it has a key for ES256, the only algorithm that the helper verifies and with which Jetway signs
/// logins.
pub(super) fn require_es256(keys: String) -> Option<String> {
    let set: Value = serde_json::from_str(&keys).ok()?;
    let fits = |key: &Value| key["kty"] == "EC" && key["crv"] == "P-256";
    // A private key must not be in it.
    let is_public = |key: &Value| key.get("d").is_none();
    let list = set["keys"].as_array()?;
    (list.iter().any(fits) && list.iter().all(is_public)).then(|| keys.trim_end().to_owned())
}

/// Returns a note about a derived key, which changes with the secret from which it is derived.
fn derived_key_note(loaded: &ConfigFile) -> String {
    if loaded.config.identity.signing_key_text.is_some() {
        return String::new();
    }
    "\nThe pinned key is derived from `cookie_secret`: when that changes, run this again. A separate key does not change:\n\
     \x20 jetway keygen --signing-key --out signing-key.pem\n\
     \x20 signing_key_file: signing-key.pem          in the configuration file\n"
        .to_owned()
}

/// Requires that every route maps users to Unix users. The setup removes Cockpit's password form, so that without a mapping
/// no user could log in any more.
fn require_mapping(routes: &[&Route]) -> anyhow::Result<()> {
    let mut unmapped = routes.iter().filter(|route| route.cockpit.is_none());
    let Some(route) = unmapped.next() else {
        return Ok(());
    };
    bail!(
        "the route `{}` has no `cockpit` key, and the setup would remove Cockpit's password form, so that no user could log in: \
         map users to Unix users first, for example `cockpit: {{users: {{alice@example.com: alice}}}}`; nothing was changed",
        route.name
    )
}

#[cfg(test)]
mod tests;

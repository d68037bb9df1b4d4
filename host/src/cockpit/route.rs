//! Finds the routes that lead to Cockpit, and their public origins.

use anyhow::bail;
use jetway_core::config::{Config, Origin, Route};

/// Port of Cockpit's web service.
const COCKPIT_PORT: u16 = 9090;
/// Default port of the public addresses.
const HTTPS_PORT: u16 = 443;

/// Returns the routes with these names or public hosts; without names, those that look like Cockpit's.
///
/// # Errors
/// A name that no route has, or a configuration without a route that looks like Cockpit's.
pub(crate) fn select_routes<'a>(
    config: &'a Config,
    names: &[String],
) -> anyhow::Result<Vec<&'a Route>> {
    let fits = |route: &&Route, name: &String| {
        route.name == *name || route.from.host.eq_ignore_ascii_case(name)
    };
    if let Some(unknown) = names
        .iter()
        .find(|name| !config.routes.iter().any(|route| fits(&route, name)))
    {
        bail!(
            "unknown route `{unknown}`: the routes are {}",
            list_routes(config)
        );
    }
    let wanted = |route: &&Route| {
        if names.is_empty() {
            looks_like_cockpit(route)
        } else {
            names.iter().any(|name| fits(route, name))
        }
    };
    let routes: Vec<&Route> = config.routes.iter().filter(wanted).collect();
    if routes.is_empty() {
        bail!(
            "no route looks like Cockpit: choose with --route from {}",
            list_routes(config)
        );
    }
    Ok(routes)
}

/// Whether a route signs in to Cockpit, leads to its port, or has its name.
pub(crate) fn looks_like_cockpit(route: &Route) -> bool {
    let leads_to_cockpit = route.target.upstreams().is_some_and(|upstreams| {
        let mut endpoints = upstreams.endpoints.iter();
        endpoints.any(|endpoint| endpoint.origin.port == COCKPIT_PORT)
    });
    route.cockpit.is_some()
        || leads_to_cockpit
        || route.from.host.contains("cockpit")
        || route.name.to_ascii_lowercase().contains("cockpit")
}

fn list_routes(config: &Config) -> String {
    config
        .routes
        .iter()
        .map(|route| format!("`{}`", route.name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns the origin of a route's pages, which browsers send in every WebSocket handshake, including its port.
pub(crate) fn public_origin(config: &Config, route: &Route) -> Origin {
    // Without a port in `from`, users connect to the listener's port, unless a proxy in front maps another one.
    let listening = Some(config.listener.port()).filter(|_| !config.listener.insecure);
    Origin {
        tls: true,
        host: route.from.host.clone(),
        port: route.from.port.or(listening).unwrap_or(HTTPS_PORT),
    }
}

/// Whether a route leads to this machine.
pub(crate) fn leads_here(route: &Route) -> bool {
    let upstreams = route.target.upstreams();
    upstreams.is_some_and(|upstreams| {
        let mut endpoints = upstreams.endpoints.iter();
        endpoints.all(|endpoint| endpoint.origin.is_loopback())
    })
}

//! `jetway cockpit conf`: prints the configuration that Cockpit needs behind the proxy.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jetway_core::config::{Config, Route};

use crate::cockpit::{public_origin, select_routes};
use crate::config;

/// Print the section of cockpit.conf for the routes.
///
/// The routes are those that lead to port 9090 or have `cockpit` in their name or host; choose others with --route.
#[derive(Args, Debug)]
pub(crate) struct ConfArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Only this route, by its name or its public host; may be repeated.
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
}

/// Prints the section.
///
/// # Errors
/// A file that cannot be used, or no such route.
pub(crate) fn run(args: &ConfArgs) -> anyhow::Result<()> {
    let loaded = config::load_and_warn(&args.config)?;
    let routes = select_routes(&loaded.config, &args.route)?;
    crate::command::print(section(&loaded.config, &routes)?.as_bytes())
}

/// Returns the section of cockpit.conf for these routes.
///
/// # Errors
/// None in practice: the section is written to a string.
pub fn section(config: &Config, routes: &[&Route]) -> anyhow::Result<String> {
    let mut origins: Vec<String> = Vec::new();
    for route in routes {
        let origin = public_origin(config, route).to_string();
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    let mut text = String::from(
        "# For /etc/cockpit/cockpit.conf on the machine that runs Cockpit; then: systemctl restart cockpit\n\
         # Origins replaces Cockpit's own default: add the addresses at which Cockpit is still opened directly.\n",
    );
    for route in routes.iter().filter(|route| !route.allow_websockets) {
        writeln!(
            text,
            "# Note: Cockpit needs `allow_websockets: true` on the route `{}`.",
            one_line(&route.name)
        )?;
    }
    writeln!(
        text,
        "[WebService]\nOrigins = {}\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Forwarded-For",
        origins.join(" ")
    )?;
    Ok(text)
}

/// Replaces control characters: a name within a comment must not end it.
fn one_line(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cockpit::sample::config;
    use serde_json::{Value, json};

    fn route(from: &str, to: &str) -> Value {
        json!({"from": from, "to": to, "allow_websockets": true,
            "policy": [{"allow": {"or": [{"email": {"is": "alice@example.com"}}]}}]})
    }

    fn conf(config: &Config, names: &[&str]) -> anyhow::Result<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        section(config, &select_routes(config, &names)?)
    }

    #[test]
    fn the_origin_has_the_port_that_browsers_see() {
        let config = config(
            &json!([route(
                "https://cockpit.localhost:8443",
                "http://localhost:9090"
            )]),
            ":8443",
        );
        let text = conf(&config, &[]).unwrap();
        let end = "\n[WebService]\nOrigins = https://cockpit.localhost:8443\nProtocolHeader = X-Forwarded-Proto\nForwardedForHeader = X-Forwarded-For\n";
        assert!(text.ends_with(end), "{text}");
        assert!(!text.contains("wss:"), "{text}");
        assert!(text.contains("systemctl restart cockpit"), "{text}");
    }

    #[test]
    fn several_routes_make_several_origins() {
        let routes = json!([
            route("https://one.example.com", "http://10.0.0.1:9090"),
            route("https://wiki.example.com", "http://10.0.0.1:80"),
            route("https://cockpit-two.example.com", "https://10.0.0.2:443"),
        ]);
        let config = config(&routes, ":443");
        let all = conf(&config, &[]).unwrap();
        assert!(
            all.contains("Origins = https://one.example.com https://cockpit-two.example.com\n"),
            "{all}"
        );
        let chosen = conf(&config, &["wiki.example.com"]).unwrap();
        assert!(
            chosen.contains("Origins = https://wiki.example.com\n"),
            "{chosen}"
        );
        assert!(
            conf(&config, &["no.example.com"])
                .unwrap_err()
                .to_string()
                .contains("`no.example.com`")
        );
    }

    #[test]
    fn a_route_without_websockets_is_noted() {
        let mut without = route("https://cockpit.example.com", "http://localhost:9090");
        without["allow_websockets"] = json!(false);
        let text = conf(&config(&json!([without]), ":443"), &[]).unwrap();
        assert!(text.contains("allow_websockets: true"), "{text}");
    }

    #[test]
    fn no_cockpit_is_an_error() {
        let config = config(
            &json!([route("https://wiki.example.com", "http://10.0.0.1:80")]),
            ":443",
        );
        assert!(
            conf(&config, &[])
                .unwrap_err()
                .to_string()
                .contains("--route")
        );
    }
}

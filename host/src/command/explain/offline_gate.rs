//! A configuration that is scenario what it would do.

use jetway_core::config::{Config, Redirect, RedirectPath, Target};
use jetway_core::explain::Explanation;
use jetway_core::gate::Gate;

use super::scenario::Scenario;

/// A configuration that is scenario what it would do, by the same code that decides in production.
pub(crate) struct OfflineGate {
    gate: Gate,
    /// Where each route destinations, in words.
    destinations: Vec<String>,
    /// Whether clients are scenario for a certificate.
    asks_certificate: bool,
}

impl OfflineGate {
    /// Puts a configuration to the question.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            destinations: config
                .routes
                .iter()
                .map(|route| describe_target(&route.target))
                .collect(),
            asks_certificate: config.listener.client_authority.is_some(),
            gate: Gate::new(config),
        }
    }

    /// What would become of a request.
    pub(crate) fn explain(&self, scenario: &Scenario) -> Explanation {
        self.gate.explain(&scenario.question(self.asks_certificate))
    }

    /// Where the route of an explanation destinations: `http://localhost:9090`, `redirect 302 to …`, `response 200`.
    pub(crate) fn destination(&self, explanation: &Explanation) -> Option<&str> {
        let route = explanation.route.as_ref()?;
        self.destinations.get(route.index).map(String::as_str)
    }
}

fn describe_target(target: &Target) -> String {
    match target {
        Target::Upstreams(upstreams) => {
            let single = upstreams.endpoints.len() == 1;
            let one = upstreams.endpoints.iter().map(|endpoint| {
                if single {
                    endpoint.origin.to_string()
                } else {
                    format!("{} (weight {})", endpoint.origin, endpoint.weight)
                }
            });
            one.collect::<Vec<_>>().join(", ")
        }
        Target::Redirect(redirect) => {
            format!(
                "redirect {} to {}",
                redirect.status,
                describe_redirect(redirect)
            )
        }
        Target::Response(response) => format!("response {}", response.status),
    }
}

/// The new address, with `…` for what stays as it was.
fn describe_redirect(redirect: &Redirect) -> String {
    let scheme = redirect.scheme.as_deref().unwrap_or("https");
    let host = redirect.host.as_deref().unwrap_or("…");
    let port = redirect.port.map(|port| format!(":{port}"));
    let path = match &redirect.path {
        RedirectPath::Keep => "/…".to_owned(),
        RedirectPath::Replace(path) => path.clone(),
        RedirectPath::Prefix(prefix) => format!("{prefix}…"),
    };
    format!("{scheme}://{host}{}{path}", port.unwrap_or_default())
}

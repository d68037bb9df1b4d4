//! Evaluates a configuration without serving it.

use jetway_core::config::{Config, Redirect, RedirectPath, Target};
use jetway_core::explain::Explanation;
use jetway_core::gate::Gate;

use super::scenario::Scenario;

/// Evaluates hypothetical requests with the code that decides in production.
pub(crate) struct OfflineGate {
    gate: Gate,
    /// A description of each route's target.
    destinations: Vec<String>,
    /// Whether clients are asked for a certificate.
    asks_certificate: bool,
}

impl OfflineGate {
    /// Builds a gate from a configuration.
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

    /// Explains the decision about a request.
    pub(crate) fn explain(&self, scenario: &Scenario) -> Explanation {
        self.gate.explain(&scenario.question(self.asks_certificate))
    }

    /// Returns the target of an explanation's route: `http://localhost:9090`, `redirect 302 to …`, `response 200`.
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

/// Renders the new address, with `…` for the parts that do not change.
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

//! A configuration for tests.

use jetway_core::config::Config;
use serde_json::{Value, json};

/// Returns a configuration with these routes and this listening address.
pub(super) fn config(routes: &Value, address: &str) -> Config {
    let file = json!({
        "address": address,
        "idp_provider": "oidc",
        "idp_provider_url": "https://idp.example.com",
        "idp_client_id": "jetway",
        "idp_client_secret": "secret",
        "cookie_secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        "insecure_server": true,
        "routes": routes,
    });
    Config::read(&file, &|_| None).unwrap().config
}

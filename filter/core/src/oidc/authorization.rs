//! The authorization request, by which a browser is sent to the provider (OpenID Connect Core 1.0 section 3.1.2.1).

use url::Url;

use crate::config::ProviderSettings;
use crate::oidc::attempt::Attempt;
use crate::oidc::metadata::Discovered;

/// Builds the address of the authorization request of an attempt. The provider sends the browser back to `redirect_uri`,
/// which has to be registered there.
#[must_use]
pub fn authorization_url(
    settings: &ProviderSettings,
    discovered: &Discovered,
    attempt: &Attempt,
    redirect_uri: &str,
) -> Url {
    let mut address = discovered.authorization_endpoint.clone();
    let mut query = address.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &settings.client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("scope", &settings.scopes.join(" "))
        .append_pair("state", &attempt.state())
        .append_pair("nonce", &attempt.nonce())
        .append_pair("code_challenge", &attempt.challenge())
        .append_pair("code_challenge_method", "S256");
    if settings.form_post {
        query.append_pair("response_mode", "form_post");
    }
    for (name, value) in &settings.request_params {
        query.append_pair(name, value);
    }
    drop(query);
    address
}

//! The authorization request, by which a browser is sent to the provider (OpenID Connect Core 1.0 section 3.1.2.1).

use url::Url;

use crate::config::{ProviderKind, ProviderSettings};
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
    // A `prompt` of the preset or of the operator is for every sign-in. Both presets that have one ask for an account.
    let has_prompt = settings
        .request_params
        .iter()
        .any(|(name, _)| name == PROMPT);
    if attempt.is_for_other_account() && !has_prompt {
        query.append_pair(PROMPT, account_prompt(settings.kind));
    }
    drop(query);
    address
}

/// The parameter that says what the provider asks the user.
const PROMPT: &str = "prompt";

/// Returns the `prompt` by which a provider lets the user choose an account. Every OpenID provider has to support `login`
/// (OpenID Connect Core 1.0 section 15.1), and some refuse `select_account`; GitHub knows that only.
const fn account_prompt(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Github => "select_account",
        _ => "login",
    }
}

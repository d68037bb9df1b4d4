//! Checks that the provider accepts the client and its secret.

use jetway_core::oidc::token::{CodeGrant, OAuthClient};
use serde_json::Value;

use super::redirect::begin_trial;
use super::{ProviderProbe, at_provider, perform};

use crate::doctor::finding::Finding;

const CHECK: &str = "client-secret";
/// A code that no provider has issued.
const NO_CODE: &str = "jetway-doctor-asks-whether-the-client-is-known";

/// Redeems a code that does not exist: a provider checks the client first, and the code after that.
pub(super) async fn examine(redirects: &[String], probe: &ProviderProbe<'_>) -> Option<Finding> {
    let (settings, subject) = (probe.settings, probe.subject);
    let about = format!("client `{}`", settings.client_id);
    let redirect = redirects.iter().find(|address| !address.contains('*'))?;
    let call = begin_trial(subject, |attempt, env| {
        let client = OAuthClient {
            settings,
            discovered: probe.discovered,
        };
        let grant = CodeGrant {
            attempt,
            code: NO_CODE,
            redirect_uri: redirect,
        };
        client.redeem(&grant, env)
    })?;
    let answer = match perform(&call, probe.roots).await {
        Ok(answer) => answer,
        Err(error) => {
            return Some(
                Finding::failure(
                    CHECK,
                    &about,
                    format!("the token endpoint does not answer: {error}"),
                )
                .seen("after the sign-in at the provider, Jetway's page about a failed sign-in"),
            );
        }
    };
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let error = document["error"].as_str().unwrap_or_default();
    Some(match error {
        "invalid_grant" => Finding::ok(CHECK, &about, "the provider accepts the client and its secret"),
        "invalid_client" | "unauthorized_client" => {
            Finding::failure(CHECK, &about, format!("the provider refuses the client: {error}"))
                .seen("after the sign-in at the provider, Jetway's page about a failed sign-in")
                .why("the client id or its secret differs from the provider's, or the provider expects another method of client authentication")
                .change(subject.at_top("idp_client_id", "compare the client's id with the provider's"))
                .change(at_provider(
                    "create a new secret for the client, and put it into the file of `idp_client_secret_file`",
                ))
        }
        _ => Finding::ok(
            CHECK,
            &about,
            format!("the secret cannot be checked: the provider answers {}", answer.outcome()),
        ),
    })
}

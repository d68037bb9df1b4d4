//! Whether the provider knows the client and its secret.

use jetway_core::config::ProviderSettings;
use jetway_core::oidc::metadata::Discovered;
use jetway_core::oidc::token::{CodeGrant, OAuthClient};
use jetway_proxy::tls::Roots;
use serde_json::Value;

use super::super::Subject;
use super::super::finding::Finding;
use super::redirect::begin;
use super::{at_provider, perform};

const CHECK: &str = "client-secret";
/// A code that no provider has given.
const NO_CODE: &str = "jetway-doctor-asks-whether-the-client-is-known";

/// Redeems a code that does not exist: a provider looks at the client first, and at the code then.
pub(super) async fn examine(
    redirects: &[String],
    settings: &ProviderSettings,
    discovered: &Discovered,
    roots: &Roots,
    subject: &Subject<'_>,
) -> Option<Finding> {
    let about = format!("client `{}`", settings.client_id);
    let redirect = redirects.iter().find(|address| !address.contains('*'))?;
    let call = begin(subject, |attempt, env| {
        let client = OAuthClient {
            settings,
            discovered,
        };
        let grant = CodeGrant {
            attempt,
            code: NO_CODE,
            redirect_uri: redirect,
        };
        client.redeem(&grant, env)
    })?;
    let answer = match perform(&call, roots).await {
        Ok(answer) => answer,
        Err(silence) => {
            return Some(
                Finding::failure(CHECK, &about, format!("the token endpoint does not answer: {}", silence.told()))
                    .seen("after the sign-in at the provider, a page of Jetway that says that it did not work"),
            );
        }
    };
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let error = document["error"].as_str().unwrap_or_default();
    Some(match error {
        "invalid_grant" => Finding::ok(CHECK, &about, "the provider knows the client and its secret"),
        "invalid_client" | "unauthorized_client" => {
            Finding::failure(CHECK, &about, format!("the provider refuses the client: {error}"))
                .seen("after the sign-in at the provider, a page of Jetway that says that it did not work")
                .why("the client id or its secret is not the one that the provider has, or it is to be sent in another way")
                .change(subject.at_top("idp_client_id", "compare the client's id with the provider's"))
                .change(at_provider(
                    "make a new secret for the client, and put it into the file of `idp_client_secret_file`",
                ))
        }
        _ => Finding::ok(
            CHECK,
            &about,
            format!("whether the secret is right cannot be told: the provider answers {}", answer.outcome()),
        ),
    })
}

//! GitHub: OAuth 2.0 with an API of its own instead of OpenID Connect.
//!
//! There is no ID token. Instead GitHub's REST API is asked over TLS with the access token that the code was redeemed
//! for, which proves what the signature of an ID token would prove.

use serde_json::{Value, json};
use url::Url;

use crate::config::{Origin, ProviderSettings};
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::oidc::claims::{Claims, is_subject};
use crate::oidc::keys::KeySet;
use crate::oidc::metadata::{Discovered, Endpoint, Metadata};
use crate::oidc::token::{TokenEndpointProblem, Tokens, build_call, read_members};

/// The issuer of github.com, whose API is on a host of its own.
const PUBLIC: &str = "https://github.com";
/// The API's host for [`PUBLIC`].
const PUBLIC_API: &str = "api.github.com";
/// The API's path on a GitHub Enterprise Server.
const ENTERPRISE_API: &str = "/api/v3";
/// Most organisations that are kept.
const MAX_ORGANISATIONS: usize = 1000;

/// A resource of GitHub's API about a user. The API is asked for one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GithubResource {
    /// The user.
    User,
    /// The user's email addresses.
    Emails,
    /// The organisations that the user belongs to.
    Organisations,
}

impl GithubResource {
    /// Returns the next resource to ask for.
    pub(crate) const fn next(self) -> Option<Self> {
        match self {
            Self::User => Some(Self::Emails),
            Self::Emails => Some(Self::Organisations),
            Self::Organisations => None,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::User => "/user",
            Self::Emails => "/user/emails?per_page=100",
            Self::Organisations => "/user/orgs?per_page=100",
        }
    }
}

/// Builds the metadata, for which GitHub has no document.
pub(super) fn build_metadata(settings: &ProviderSettings) -> Option<Metadata> {
    let issuer = settings.issuer.trim_end_matches('/');
    let authorize = format!("{issuer}/login/oauth/authorize");
    let endpoint = |path: &str| Endpoint {
        origin: settings.origin.clone(),
        path: path.to_owned(),
    };
    Some(Metadata {
        discovered: Discovered {
            issuer: settings.issuer.clone(),
            authorization_endpoint: Url::parse(&authorize).ok()?,
            token_endpoint: endpoint("/login/oauth/access_token"),
            jwks_uri: endpoint("/"),
            userinfo_endpoint: None,
            end_session_endpoint: None,
            revocation_endpoint: None,
            accepts_basic: false,
            sends_issuer: false,
        },
        keys: KeySet::default(),
    })
}

/// Builds the call that asks for a resource.
pub(crate) fn ask(
    resource: GithubResource,
    settings: &ProviderSettings,
    access_token: &str,
) -> ProviderCall {
    let (origin, prefix) = if settings.issuer.trim_end_matches('/') == PUBLIC {
        let origin = Origin {
            tls: true,
            host: PUBLIC_API.to_owned(),
            port: 443,
        };
        (origin, "")
    } else {
        (settings.origin.clone(), ENTERPRISE_API)
    };
    let endpoint = Endpoint {
        origin,
        path: format!("{prefix}{}", resource.path()),
    };
    let headers = vec![
        ("authorization", format!("Bearer {access_token}")),
        ("accept", "application/vnd.github+json".to_owned()),
        // GitHub refuses calls without this header.
        ("user-agent", "jetway".to_owned()),
    ];
    build_call("GET", &endpoint, headers, String::new())
}

/// Adds what an answer says about the user to the claims. `None` when the answer is not what GitHub documents.
pub(crate) fn absorb(
    resource: GithubResource,
    reply: &ProviderReply<'_>,
    claims: &mut Claims,
) -> Option<()> {
    let answer = crate::json::parse(reply.success()?).ok()?;
    match resource {
        GithubResource::User => absorb_user(&answer, claims),
        GithubResource::Emails => absorb_emails(&answer, claims),
        GithubResource::Organisations => absorb_organisations(&answer, claims),
    }
}

fn absorb_user(answer: &Value, claims: &mut Claims) -> Option<()> {
    // `node_id` is stable; the login can be given to another user.
    let id = answer.get("node_id").and_then(Value::as_str)?;
    if !is_subject(id) {
        return None;
    }
    claims.insert("sub".to_owned(), json!(id));
    for (member, claim) in [
        ("login", "preferred_username"),
        ("name", "name"),
        ("id", "github_id"),
    ] {
        let value = answer
            .get(member)
            .filter(|value| value.is_string() || value.is_u64());
        if let Some(value) = value {
            claims.insert(claim.to_owned(), value.clone());
        }
    }
    Some(())
}

/// Adds the primary address if it is verified. Other addresses do not count: a user can add any address.
fn absorb_emails(answer: &Value, claims: &mut Claims) -> Option<()> {
    let is_set = |entry: &&Value, name: &str| entry.get(name) == Some(&Value::Bool(true));
    let primary = answer
        .as_array()?
        .iter()
        .find(|entry| is_set(entry, "primary") && is_set(entry, "verified"));
    let address = primary
        .and_then(|entry| entry.get("email"))
        .filter(|value| value.is_string());
    if let Some(address) = address {
        claims.insert("email".to_owned(), address.clone());
        claims.insert("email_verified".to_owned(), Value::Bool(true));
    }
    Some(())
}

fn absorb_organisations(answer: &Value, claims: &mut Claims) -> Option<()> {
    let names = answer
        .as_array()?
        .iter()
        .filter_map(|entry| entry.get("login").filter(|login| login.is_string()))
        .take(MAX_ORGANISATIONS)
        .cloned();
    claims.insert("groups".to_owned(), names.collect());
    Some(())
}

/// Reads the access token of the token endpoint's answer. GitHub reports errors with status 200.
///
/// # Errors
/// See [`TokenEndpointProblem`].
pub(crate) fn read_tokens(reply: &ProviderReply<'_>) -> Result<Tokens, TokenEndpointProblem> {
    let problem = TokenEndpointProblem::NoAnswer;
    let answer = crate::json::parse(reply.success().ok_or(problem)?).map_err(|_| problem)?;
    match answer.get("error").and_then(Value::as_str) {
        Some("bad_verification_code") => return Err(TokenEndpointProblem::Refused),
        Some(_) => return Err(problem),
        None => {}
    }
    let access_token = read_members(&answer)?.access_token.ok_or(problem)?;
    Ok(Tokens {
        access_token: Some(access_token),
        ..Tokens::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> ProviderReply<'_> {
        ProviderReply {
            status: 200,
            body: body.as_bytes(),
            date: &[],
        }
    }

    #[test]
    fn only_a_verified_primary_address_counts() {
        let email = |list: Value| {
            let mut claims = Claims::new();
            absorb(
                GithubResource::Emails,
                &reply(&list.to_string()),
                &mut claims,
            )
            .unwrap();
            claims.get("email").cloned()
        };
        let entry = |address: &str, primary: bool, verified: bool| json!({"email": address, "primary": primary, "verified": verified});
        let good = entry("alice@corp.test", true, true);
        let others = [
            entry("m@corp.test", true, false),
            entry("n@corp.test", false, true),
        ];
        assert_eq!(email(json!(others)), None);
        assert_eq!(
            email(json!([others[0], others[1], good])),
            Some(json!("alice@corp.test"))
        );
        assert_eq!(email(json!([])), None);
    }

    #[test]
    fn errors_come_with_status_200() {
        for (body, expected) in [
            (
                r#"{"access_token":"t","token_type":"bearer"}"#,
                Ok(Some("t".to_owned())),
            ),
            (
                r#"{"error":"bad_verification_code"}"#,
                Err(TokenEndpointProblem::Refused),
            ),
            (
                r#"{"error":"incorrect_client_credentials"}"#,
                Err(TokenEndpointProblem::NoAnswer),
            ),
            (
                "access_token=t&token_type=bearer",
                Err(TokenEndpointProblem::NoAnswer),
            ),
            (
                r#"{"access_token":"a b"}"#,
                Err(TokenEndpointProblem::NoAnswer),
            ),
            (
                r#"{"access_token":"t","token_type":"mac"}"#,
                Err(TokenEndpointProblem::TokenType),
            ),
            ("[]", Err(TokenEndpointProblem::NoAnswer)),
        ] {
            let read = read_tokens(&reply(body)).map(|tokens| tokens.access_token);
            assert_eq!(read, expected, "{body}");
        }
    }

    #[test]
    fn odd_answers_are_no_person() {
        for body in [
            "[]",
            "{}",
            r#"{"node_id":5}"#,
            r#"{"node_id":""}"#,
            "<html>",
        ] {
            assert!(
                absorb(GithubResource::User, &reply(body), &mut Claims::new()).is_none(),
                "{body}"
            );
        }
        assert!(
            absorb(
                GithubResource::Organisations,
                &reply("{}"),
                &mut Claims::new()
            )
            .is_none()
        );
    }
}

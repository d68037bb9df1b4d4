//! GitHub: OAuth 2.0 with an interface of its own instead of OpenID Connect.
//!
//! There is no ID token. Who somebody is, GitHub's REST interface tells over TLS to whoever holds the access token of the
//! code's exchange, which is what an ID token's signature would prove.

use serde_json::{Map, Value, json};
use url::Url;

use super::claims::Claims;
use super::keys::KeySet;
use super::metadata::{Discovered, Endpoint, Metadata};
use super::token::call;
use crate::config::{Origin, ProviderSettings};
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::refusal::SignInProblem;

/// GitHub itself; its interface is on a host of its own.
const PUBLIC: &str = "https://github.com";
/// The interface's origin for [`PUBLIC`].
const PUBLIC_API: (&str, &str) = ("api.github.com", "");
/// Where a GitHub of one's own has its interface.
const OWN_API: &str = "/api/v3";
/// Most organisations that are taken in.
const MAX_ORGANISATIONS: usize = 1000;

/// What is asked about a person, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who it is.
    User,
    /// Which addresses they have.
    Emails,
    /// To which organisations they belong.
    Organisations,
}

impl Question {
    /// The next question.
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

/// The endpoints, which no document tells.
pub(super) fn metadata(settings: &ProviderSettings) -> Option<Metadata> {
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

/// The call that asks a question.
pub(crate) fn ask(
    question: Question,
    settings: &ProviderSettings,
    access_token: &str,
) -> ProviderCall {
    let public = settings.issuer.trim_end_matches('/') == PUBLIC;
    let (origin, prefix) = if public {
        let (host, prefix) = PUBLIC_API;
        let origin = Origin {
            tls: true,
            host: host.to_owned(),
            port: 443,
        };
        (origin, prefix)
    } else {
        (settings.origin.clone(), OWN_API)
    };
    let endpoint = Endpoint {
        origin,
        path: format!("{prefix}{}", question.path()),
    };
    let headers = vec![
        ("authorization", format!("Bearer {access_token}")),
        ("accept", "application/vnd.github+json".to_owned()),
        // GitHub refuses calls without one.
        ("user-agent", "jetway".to_owned()),
    ];
    call("GET", &endpoint, headers, String::new())
}

/// Takes an answer into the claims.
///
/// # Errors
/// When it is not what GitHub's documentation says.
pub(crate) fn absorb(
    question: Question,
    reply: &ProviderReply<'_>,
    claims: &mut Claims,
) -> Result<(), SignInProblem> {
    let problem = SignInProblem::ProviderAnswer;
    let body = reply.success().ok_or(problem)?;
    let answer = crate::json::parse(body).map_err(|_| problem)?;
    match question {
        Question::User => user(&answer, claims).ok_or(problem),
        Question::Emails => emails(&answer, claims).ok_or(problem),
        Question::Organisations => organisations(&answer, claims).ok_or(problem),
    }
}

fn user(answer: &Value, claims: &mut Map<String, Value>) -> Option<()> {
    // `node_id` is stable; the login can be given to somebody else.
    let id = answer.get("node_id").and_then(Value::as_str)?;
    if !super::claims::is_subject(id) {
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

/// Only the primary address counts, and only when it is verified: anybody can add the address of somebody else.
fn emails(answer: &Value, claims: &mut Map<String, Value>) -> Option<()> {
    let holds = |entry: &&Value, name: &str| entry.get(name) == Some(&Value::Bool(true));
    let primary = answer
        .as_array()?
        .iter()
        .find(|entry| holds(entry, "primary") && holds(entry, "verified"));
    let address = primary
        .and_then(|entry| entry.get("email"))
        .filter(|value| value.is_string());
    if let Some(address) = address {
        claims.insert("email".to_owned(), address.clone());
        claims.insert("email_verified".to_owned(), Value::Bool(true));
    }
    Some(())
}

fn organisations(answer: &Value, claims: &mut Map<String, Value>) -> Option<()> {
    let names = answer
        .as_array()?
        .iter()
        .filter_map(|entry| entry.get("login").filter(|login| login.is_string()))
        .take(MAX_ORGANISATIONS)
        .cloned();
    claims.insert("groups".to_owned(), names.collect());
    Some(())
}

/// The access token out of the token endpoint's answer, which reports errors with status 200.
///
/// # Errors
/// [`SignInProblem::CodeRefused`] when GitHub says so, [`SignInProblem::TokenType`] for another token than a bearer token,
/// otherwise [`SignInProblem::ProviderAnswer`].
pub(crate) fn read_access_token(reply: &ProviderReply<'_>) -> Result<String, SignInProblem> {
    let problem = SignInProblem::ProviderAnswer;
    let answer = reply.success().ok_or(problem)?;
    let answer = crate::json::parse(answer).map_err(|_| problem)?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    match text("error") {
        Some("bad_verification_code") => return Err(SignInProblem::CodeRefused),
        Some(_) => return Err(problem),
        None => {}
    }
    if !super::token::is_bearer(&answer) {
        return Err(SignInProblem::TokenType);
    }
    super::token::access_token(&answer).ok_or(problem)
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
            let mut claims = Map::new();
            absorb(Question::Emails, &reply(&list.to_string()), &mut claims).unwrap();
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
                Ok("t".to_owned()),
            ),
            (
                r#"{"error":"bad_verification_code"}"#,
                Err(SignInProblem::CodeRefused),
            ),
            (
                r#"{"error":"incorrect_client_credentials"}"#,
                Err(SignInProblem::ProviderAnswer),
            ),
            (
                "access_token=t&token_type=bearer",
                Err(SignInProblem::ProviderAnswer),
            ),
            (
                r#"{"access_token":"a b"}"#,
                Err(SignInProblem::ProviderAnswer),
            ),
            ("[]", Err(SignInProblem::ProviderAnswer)),
        ] {
            assert_eq!(read_access_token(&reply(body)), expected, "{body}");
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
                absorb(Question::User, &reply(body), &mut Map::new()).is_err(),
                "{body}"
            );
        }
        assert!(absorb(Question::Organisations, &reply("{}"), &mut Map::new()).is_err());
    }
}

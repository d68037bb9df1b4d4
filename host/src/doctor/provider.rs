//! The provider: discovery, keys, clock, redirect addresses and the client's secret.

mod clock;
mod redirect;
mod registration;

use bytes::Bytes;
use http::Request;
use http::header::{self, HeaderName, HeaderValue};
use http_body_util::Full;
use jetway_core::config::{ProviderKind, ProviderSettings};
use jetway_core::oidc::call::ProviderCall;
use jetway_core::oidc::keys::{BadKeySet, KeySet};
use jetway_core::oidc::metadata::{BadDiscovery, Discovered, Endpoint};
use jetway_core::oidc::token;
use jetway_proxy::limits;
use jetway_proxy::tls::{Roots, Trust};
use jetway_proxy::upstream::Connector;
use serde_json::Value;

use super::Subject;
use super::answer::{Answer, Silence, ask};
use super::finding::{Change, Finding};

const DISCOVERY: &str = "provider-discovery";
const KEYS: &str = "provider-keys";
/// The page of ours that a visitor gets as long as the provider cannot be used.
const UNAVAILABLE: &str =
    "a page of Jetway that says that signing in does not work at the moment (502 or 503)";

/// Asks the provider as Jetway does; nothing when no route needs one.
pub(super) async fn examine(subject: &Subject<'_>, roots: &Roots) -> Vec<Finding> {
    let Some(settings) = &subject.config.provider else {
        return Vec::new();
    };
    let about = format!("provider {}", settings.issuer);
    let redirects = redirect::of_routes(subject);
    let mut findings = vec![redirect::to_register(&about, &redirects)];
    let without_discovery = settings.kind == ProviderKind::Github;
    let call = if without_discovery {
        token::fetch(&Endpoint {
            origin: settings.origin.clone(),
            path: "/".to_owned(),
        })
    } else {
        token::fetch(&Endpoint::discovery(settings))
    };
    let answer = match perform(&call, roots).await {
        Ok(answer) => answer,
        Err(silence) => {
            findings.push(silent(&about, silence.told(), subject));
            return findings;
        }
    };
    findings.push(clock::compare(&about, answer.header("date"), subject));
    if without_discovery {
        let message = "it answers; GitHub does not describe itself, so that nothing else is tried";
        findings.push(Finding::ok(DISCOVERY, &about, message));
        return findings;
    }
    let discovered = match discover(&about, &answer, settings, subject) {
        Ok(discovered) => discovered,
        Err(failure) => {
            findings.push(*failure);
            return findings;
        }
    };
    findings.push(Finding::ok(
        DISCOVERY,
        &about,
        "its discovery document can be used, and names this issuer",
    ));
    findings.push(keys(&about, &discovered, roots, subject).await);
    findings.extend(redirect::examine(&redirects, settings, &discovered, roots, subject).await);
    findings.extend(registration::examine(&redirects, settings, &discovered, roots, subject).await);
    findings
}

fn silent(about: &str, told: String, subject: &Subject<'_>) -> Finding {
    Finding::failure(DISCOVERY, about, format!("it cannot be asked: {told}"))
        .seen(UNAVAILABLE)
        .why("Jetway asks the provider from this machine, by the name in `idp_provider_url`")
        .change(subject.at_top(
            "idp_provider_url",
            "compare the address, and whether this machine reaches it and trusts its certificate",
        ))
}

fn discover(
    about: &str,
    answer: &Answer,
    settings: &ProviderSettings,
    subject: &Subject<'_>,
) -> Result<Discovered, Box<Finding>> {
    let failure = |message: String| Finding::failure(DISCOVERY, about, message).seen(UNAVAILABLE);
    let address = format!("{}{}", settings.origin, Endpoint::discovery(settings).path);
    if answer.status != http::StatusCode::OK {
        let message = format!("{address} answers {}", answer.outcome());
        return Err(Box::new(
            failure(message)
                .why("this is where an OpenID Connect provider describes itself")
                .change(subject.at_top(
                    "idp_provider_url",
                    "write the issuer exactly as the provider calls it, its path included",
                )),
        ));
    }
    Discovered::read(&answer.body, settings).map_err(|bad| {
        let finding = failure(bad.to_string());
        let document = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        Box::new(match bad {
            BadDiscovery::Issuer => {
                let issuer = document["issuer"].as_str().unwrap_or_default();
                finding
                    .why(format!(
                        "it calls itself `{issuer}`, and its tokens will say so"
                    ))
                    .change(
                        subject
                            .at_top("idp_provider_url", "write")
                            .line(format!("idp_provider_url: {issuer}")),
                    )
            }
            BadDiscovery::Endpoint => {
                let mut change = subject
                    .at_top(
                        "idp_extra_origins",
                        "if these are the provider's own, write",
                    )
                    .line("idp_extra_origins:");
                for origin in other_origins(&document, settings) {
                    change = change.line(format!("  - {origin}"));
                }
                finding
                    .why("Jetway calls no origin that the file does not name")
                    .change(change)
            }
            BadDiscovery::Pkce => finding
                .why("Jetway proves each sign-in by PKCE with S256; with `plain`, whoever reads the address of a sign-in could redeem its code")
                .change(at_provider("allow PKCE with S256")),
            BadDiscovery::Malformed => {
                finding.why(format!("{address} answers with something else"))
            }
        })
    })
}

/// The origins of the provider's endpoints that the file does not name.
fn other_origins(document: &Value, settings: &ProviderSettings) -> Vec<String> {
    let named = [
        "token_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
        "authorization_endpoint",
    ];
    let addresses = named.iter().filter_map(|name| document[name].as_str());
    let mut origins: Vec<String> = addresses
        .filter_map(|address| jetway_core::config::Origin::of(&url::Url::parse(address).ok()?))
        .filter(|origin| !settings.origins().contains(&origin))
        .map(|origin| origin.to_string())
        .collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

async fn keys(
    about: &str,
    discovered: &Discovered,
    roots: &Roots,
    subject: &Subject<'_>,
) -> Finding {
    let failure = |message: String| Finding::failure(KEYS, about, message).seen(UNAVAILABLE);
    match perform(&token::fetch(&discovered.jwks_uri), roots).await {
        Err(silence) => failure(format!("its keys cannot be had: {}", silence.told())),
        Ok(answer) if answer.status != http::StatusCode::OK => {
            failure(format!("its keys cannot be had: {}", answer.outcome()))
        }
        Ok(answer) => match KeySet::read(&answer.body) {
            Ok(keys) if keys.shows_secrets() => Finding::warning(
                KEYS,
                about,
                "it has keys that Jetway can verify tokens with, and shows the secret half of others, so that anybody can sign with those; Jetway does not use them",
            )
            .change(at_provider(
                "take the secret half of the keys out of what it publishes, and replace those keys",
            )),
            Ok(_) => Finding::ok(
                KEYS,
                about,
                "it has keys that Jetway can verify tokens with",
            ),
            Err(bad) => {
                let finding = failure(format!("its keys cannot be used: {bad}"));
                match bad {
                    BadKeySet::Empty => finding
                        .why("none of them is one for signatures of a kind that is known here")
                        .change(subject.at_top(
                            "idp_provider_url",
                            "let the provider sign tokens with RS256 or ES256",
                        )),
                    BadKeySet::Secret => finding
                        .why("a key that everybody knows vouches for nothing")
                        .change(at_provider(
                            "take the secret half of the keys out of what it publishes, and replace those keys",
                        )),
                    BadKeySet::Malformed | BadKeySet::RepeatedId => finding,
                }
            }
        },
    }
}

/// Calls the provider as the module does.
async fn perform(call: &ProviderCall, roots: &Roots) -> Result<Answer, Silence> {
    let Some(connector) = connector(&call.upstream, roots) else {
        return Err(Silence::Unprepared);
    };
    let mut request = Request::new(Full::from(Bytes::from(call.body.clone())));
    *request.method_mut() = call.method.parse().unwrap_or_default();
    *request.uri_mut() = call.path.parse().unwrap_or_default();
    let fields = call
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    for (name, value) in fields.chain([(header::HOST.as_str(), call.authority.as_str())]) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            request.headers_mut().insert(name, value);
        }
    }
    ask(&connector, request, limits::PROVIDER_ANSWER).await
}

/// Connections to an origin such as `https://idp.example.com`.
fn connector(origin: &str, roots: &Roots) -> Option<Connector> {
    let origin = jetway_core::config::Origin::of(&url::Url::parse(origin).ok()?)?;
    Connector::new(&origin, &Trust::System, roots).ok()
}

/// A change at the provider.
fn at_provider(what: &str) -> Change {
    Change::act(format!("at the provider, {what}"))
}

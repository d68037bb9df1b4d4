//! Checks the provider: discovery, keys, clock, redirect URIs and client secret.

mod clock;
mod redirect;
mod registration;

pub(crate) use redirect::collect_redirect_uris;

use bytes::Bytes;
use http::Request;
use http::header::{self, HeaderName, HeaderValue};
use http_body_util::Full;
use jetway_core::config::{ProviderKind, ProviderSettings, Route};
use jetway_core::oidc::call::ProviderCall;
use jetway_core::oidc::keys::{BadKeySet, KeySet};
use jetway_core::oidc::metadata::{BadDiscovery, Discovered, Endpoint, list_refused_algorithms};
use jetway_core::oidc::token;
use jetway_proxy::limits;
use jetway_proxy::tls::{Roots, Trust};
use jetway_proxy::upstream::Connector;
use serde_json::Value;

use super::Subject;
use super::answer::{Answer, ProbeError, ask};
use super::finding::{Change, Finding};
use super::names::is_own_machine;

const DISCOVERY: &str = "provider-discovery";
const KEYS: &str = "provider-keys";
/// The page that users get while the provider cannot be used.
const UNAVAILABLE: &str = "Jetway's page about an unavailable sign-in (502 or 503)";

/// A provider with a valid discovery document, and the means to call it.
struct ProviderProbe<'a> {
    settings: &'a ProviderSettings,
    discovered: &'a Discovered,
    roots: &'a Roots,
    subject: &'a Subject<'a>,
}

/// Calls the provider as Jetway does; returns nothing when no route needs one.
pub(super) async fn examine(subject: &Subject<'_>, roots: &Roots) -> Vec<Finding> {
    let Some(settings) = &subject.config.provider else {
        return Vec::new();
    };
    let about = format!("provider {}", settings.issuer);
    let redirects = collect_redirect_uris(subject.config);
    let mut findings = vec![redirect::list_uris(&about, &redirects)];
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
        Err(error) => {
            findings.push(report_unreachable(&about, &error, subject));
            return findings;
        }
    };
    findings.push(clock::compare(&about, answer.header("date"), subject));
    if without_discovery {
        let message =
            "it answers; GitHub has no discovery document, so that nothing else is checked";
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
        "its discovery document is valid, and its issuer matches",
    ));
    findings.extend(check_algorithms(&about, &answer.body));
    findings.extend(check_plain_http(&about, settings, subject));
    findings.push(check_keys(&about, &discovered, roots, subject).await);
    let probe = ProviderProbe {
        settings,
        discovered: &discovered,
        roots,
        subject,
    };
    findings.extend(redirect::examine(&redirects, &probe).await);
    findings.extend(registration::examine(&redirects, &probe).await);
    findings
}

fn report_unreachable(about: &str, error: &ProbeError, subject: &Subject<'_>) -> Finding {
    Finding::failure(DISCOVERY, about, format!("it cannot be reached: {error}"))
        .seen(UNAVAILABLE)
        .why("Jetway calls the provider from this machine, at the URL in `idp_provider_url`")
        .change(subject.at_top(
            "idp_provider_url",
            "check the URL, and that this machine reaches it and trusts its certificate",
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
                .why("this is the discovery document of an OpenID Connect provider")
                .change(subject.at_top(
                    "idp_provider_url",
                    "write the issuer exactly as the provider does, including its path",
                )),
        ));
    }
    Discovered::read(&answer.body, settings).map_err(|bad| {
        let finding = failure(bad.to_string());
        let document = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        Box::new(match bad {
            BadDiscovery::Issuer if is_same_over_http(&document, settings) => {
                explain_http_issuer(finding, settings)
            }
            BadDiscovery::Issuer => {
                let issuer = document["issuer"].as_str().unwrap_or_default();
                finding
                    .why(format!(
                        "its issuer is `{issuer}`, and its tokens contain that"
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
                        "if these belong to the provider, write",
                    )
                    .line("idp_extra_origins:");
                for origin in other_origins(&document, settings) {
                    change = change.line(format!("  - {origin}"));
                }
                finding
                    .why("Jetway calls only origins that the file names")
                    .change(change)
            }
            BadDiscovery::Pkce => finding
                .why("Jetway protects each sign-in by PKCE with S256; with `plain`, a client that reads the URL of a sign-in could redeem its code")
                .change(at_provider("allow PKCE with S256")),
            BadDiscovery::Malformed => {
                finding.why(format!("{address} answers with another document"))
            }
        })
    })
}

/// Whether a document names the issuer of the file, except for its scheme.
fn is_same_over_http(document: &Value, settings: &ProviderSettings) -> bool {
    let issuer = document["issuer"].as_str().unwrap_or_default();
    let bare = |issuer: &str| {
        issuer
            .split_once("://")
            .map(|(_, rest)| rest.trim_end_matches('/').to_owned())
    };
    issuer.starts_with("http://") && settings.origin.tls && bare(issuer) == bare(&settings.issuer)
}

fn explain_http_issuer(finding: Finding, settings: &ProviderSettings) -> Finding {
    finding
        .why("its issuer begins with `http://`: a proxy in front of it terminates TLS, and the provider does not know that")
        .change(
            at_provider("set the public address with https, or trust the `X-Forwarded-Proto` of the proxy in front; for Keycloak")
                .line(format!("KC_HOSTNAME={}", settings.origin))
                .line("KC_PROXY_HEADERS=xforwarded"),
        )
}

/// Checks that the provider signs ID tokens with an algorithm that is accepted.
fn check_algorithms(about: &str, document: &[u8]) -> Option<Finding> {
    let listed = list_refused_algorithms(document)?;
    let shown: String = listed.join(", ").chars().take(100).collect();
    Some(
        Finding::failure(
            DISCOVERY,
            about,
            format!("it signs ID tokens only with algorithms that are refused: {shown}"),
        )
        .seen("after the sign-in at the provider, Jetway's page about a failed sign-in")
        .why("with a shared secret (HS256) or without a signature, others than the provider could make tokens")
        .change(at_provider(
            "let the client's ID tokens be signed with RS256 or ES256",
        )),
    )
}

/// Warns of a provider on this machine without TLS, which browsers on other machines cannot open. Routes with a host of
/// `localhost` are for this machine only.
fn check_plain_http(
    about: &str,
    settings: &ProviderSettings,
    subject: &Subject<'_>,
) -> Option<Finding> {
    let routes = subject.config.routes.iter();
    let is_public = |route: &Route| route.asks_for_identity() && !is_own_machine(&route.from.host);
    (!settings.origin.tls && routes.into_iter().any(is_public)).then(|| {
        Finding::warning(DISCOVERY, about, "its address is http on this machine")
            .seen("\"This site can't be reached\" on other machines, when the browser is sent to the sign-in")
            .why("browsers open the same address, and on other machines it leads to those themselves; passwords are sent without encryption")
            .change(subject.at_top("idp_provider_url", "outside of tests, write the provider's public `https://` address"))
    })
}

/// Returns the origins of the provider's endpoints that the file does not name.
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

async fn check_keys(
    about: &str,
    discovered: &Discovered,
    roots: &Roots,
    subject: &Subject<'_>,
) -> Finding {
    let failure = |message: String| Finding::failure(KEYS, about, message).seen(UNAVAILABLE);
    match perform(&token::fetch(&discovered.jwks_uri), roots).await {
        Err(error) => failure(format!("cannot fetch its keys: {error}")),
        Ok(answer) if answer.status != http::StatusCode::OK => {
            failure(format!("cannot fetch its keys: {}", answer.outcome()))
        }
        Ok(answer) => match KeySet::read(&answer.body) {
            Ok(keys) if keys.shows_secrets() => Finding::warning(
                KEYS,
                about,
                "it has keys with which Jetway can verify tokens, and publishes the private half of others, so that any client can sign with those; Jetway does not use them",
            )
            .change(at_provider(
                "remove the private half of the keys from the published key set, and replace those keys",
            )),
            Ok(_) => Finding::ok(
                KEYS,
                about,
                "it has keys with which Jetway can verify tokens",
            ),
            Err(bad) => {
                let finding = failure(format!("its keys are not usable: {bad}"));
                match bad {
                    BadKeySet::Empty => finding
                        .why("none of them is a signature key of a supported type")
                        .change(subject.at_top(
                            "idp_provider_url",
                            "configure the provider to sign tokens with RS256 or ES256",
                        )),
                    BadKeySet::Secret => finding
                        .why("a published private key proves nothing")
                        .change(at_provider(
                            "remove the private half of the keys from the published key set, and replace those keys",
                        )),
                    BadKeySet::Malformed | BadKeySet::RepeatedId => finding,
                }
            }
        },
    }
}

/// Calls the provider as the module does.
async fn perform(call: &ProviderCall, roots: &Roots) -> Result<Answer, ProbeError> {
    let Some(connector) = connector_to(&call.upstream, roots) else {
        return Err(ProbeError::Unprepared);
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

/// Creates a connector to an origin such as `https://idp.example.com`.
fn connector_to(origin: &str, roots: &Roots) -> Option<Connector> {
    let origin = jetway_core::config::Origin::of(&url::Url::parse(origin).ok()?)?;
    Connector::new(&origin, &Trust::System, roots).ok()
}

/// Creates a change at the provider.
fn at_provider(what: &str) -> Change {
    Change::act(format!("at the provider, {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::testing;

    /// Calls a check with the provider of a file with this issuer and a route with this host.
    fn with_provider<T>(
        issuer: &str,
        host: &str,
        call: impl FnOnce(&ProviderSettings, &Subject<'_>) -> T,
    ) -> T {
        let file = testing::file(&format!(
            "insecure_server: true\nidp_provider: oidc\nidp_provider_url: {issuer}\nidp_client_id: jetway\nidp_client_secret: secret\n\
             cookie_secret: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\
             routes:\n  - {{from: 'https://{host}', to: http://127.0.0.1:1, allow_any_authenticated_user: true}}\n"
        ));
        let inspection = file.inspect();
        let config = inspection.config().unwrap();
        let subject = Subject {
            name: "jetway.yaml",
            inspection: &inspection,
            config,
            cockpit_conf: std::path::Path::new("cockpit.conf"),
            now: 0,
        };
        call(config.provider.as_ref().unwrap(), &subject)
    }

    #[test]
    fn a_provider_over_http_is_reported_where_others_need_it() {
        let found = |issuer: &str, host: &str| {
            with_provider(issuer, host, |settings, subject| {
                check_plain_http("", settings, subject).is_some()
            })
        };
        assert!(found("http://127.0.0.1:8080", "app.example.com"));
        assert!(!found("http://127.0.0.1:8080", "app.localhost"));
        assert!(!found("https://idp.example.com", "app.example.com"));
    }

    #[test]
    fn an_issuer_over_http_is_the_providers_mistake() {
        let is_same = |issuer: &str| {
            with_provider(
                "https://idp.example.com/realms/one",
                "a.test",
                |settings, _| is_same_over_http(&json!({"issuer": issuer}), settings),
            )
        };
        assert!(is_same("http://idp.example.com/realms/one/"));
        for other in [
            "https://idp.example.com/realms/two",
            "http://idp.example.com/",
            "",
            "idp",
        ] {
            assert!(!is_same(other), "{other}");
        }
        let finding = with_provider("https://idp.example.com", "a.test", |settings, _| {
            explain_http_issuer(Finding::failure(DISCOVERY, "", "x"), settings)
        });
        assert!(
            finding.changes[0]
                .lines
                .contains(&"KC_PROXY_HEADERS=xforwarded".to_owned())
        );
    }
}

//! The provider's metadata (OpenID Connect Discovery 1.0).

use std::borrow::Cow;

use serde_json::Value;
use url::Url;

use crate::config::{Origin, ProviderKind, ProviderSettings};
use crate::oidc::claims::Claims;
use crate::oidc::keys::{KeySet, is_accepted_algorithm};

/// The metadata of a provider that can be used: its endpoints are checked, and its keys are loaded.
#[derive(Debug)]
pub struct Metadata {
    /// The endpoints, and what the provider supports.
    pub discovered: Discovered,
    /// The keys that tokens are verified with.
    pub keys: KeySet,
}

/// The discovery document, as far as it is used.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The issuer exactly as the provider writes it, and as ID tokens have to write it.
    pub issuer: String,
    /// Where browsers are sent to sign in.
    pub authorization_endpoint: Url,
    /// Where codes are redeemed.
    pub token_endpoint: Endpoint,
    /// Where the keys are.
    pub jwks_uri: Endpoint,
    /// Where the claims are that the ID token lacks.
    pub userinfo_endpoint: Option<Endpoint>,
    /// Where browsers are sent to sign out.
    pub end_session_endpoint: Option<Url>,
    /// Where refresh tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Endpoint>,
    /// Whether the provider accepts the client secret in an `Authorization` header, which is the default.
    pub accepts_basic: bool,
    /// Whether authorization responses have `iss` (RFC 9207).
    pub sends_issuer: bool,
}

/// An address of the provider that this proxy calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The origin, which is also the upstream name of the call.
    pub origin: Origin,
    /// The path and the query.
    pub path: String,
}

/// Why a discovery document is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDiscovery {
    /// The document is not a JSON object, or a required member is missing.
    #[error("the discovery document is not a JSON object with the required members")]
    Malformed,
    /// The document is about another issuer.
    #[error("the discovery document names another issuer, see `idp_provider_url`")]
    Issuer,
    /// An endpoint is on an origin that is neither the issuer's nor in `idp_extra_origins`, or is not an https URL.
    #[error("an endpoint is on an origin that is not allowed; add it to `idp_extra_origins`")]
    Endpoint,
    /// The document lists PKCE methods, and S256 is not among them.
    #[error("the provider does not support PKCE with S256 (`code_challenge_methods_supported`)")]
    Pkce,
}

impl Endpoint {
    /// Reads an address on an allowed origin. No other origin is ever called.
    fn read(address: &str, settings: &ProviderSettings) -> Result<Self, BadDiscovery> {
        let url = Url::parse(address).map_err(|_| BadDiscovery::Endpoint)?;
        let origin = Origin::of(&url).filter(|origin| settings.origins().contains(&origin));
        let origin = origin.ok_or(BadDiscovery::Endpoint)?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self { origin, path })
    }

    /// Returns the address of the discovery document.
    #[must_use]
    pub fn discovery(settings: &ProviderSettings) -> Self {
        let path = Url::parse(&settings.issuer)
            .map_or_else(|_| String::new(), |url| url.path().to_owned());
        let path = format!(
            "{}/.well-known/openid-configuration",
            path.trim_end_matches('/')
        );
        Self {
            origin: settings.origin.clone(),
            path,
        }
    }
}

impl Discovered {
    /// Reads a discovery document.
    ///
    /// # Errors
    /// See [`BadDiscovery`].
    pub fn read(body: &[u8], settings: &ProviderSettings) -> Result<Self, BadDiscovery> {
        let document = crate::json::parse(body).map_err(|_| BadDiscovery::Malformed)?;
        let string = |key: &str| document.get(key).and_then(Value::as_str);
        let required = |key: &str| string(key).ok_or(BadDiscovery::Malformed);
        let issuer = required("issuer")?;
        // Some providers write a slash at the end that the operator leaves out, or the other way round.
        let same = issuer.trim_end_matches('/') == settings.issuer.trim_end_matches('/');
        if !same && !is_template_of(issuer, settings) {
            return Err(BadDiscovery::Issuer);
        }
        let endpoint = |address: &str| Endpoint::read(address, settings);
        let list = |key: &str| document.get(key).and_then(Value::as_array);
        let methods = list("token_endpoint_auth_methods_supported");
        // A provider that lists none may still support S256 or ignore it. One that supports only `plain` would compare
        // the challenge with the verifier itself (RFC 9700 section 2.1.1 requires S256).
        let challenges = list("code_challenge_methods_supported").filter(|list| !list.is_empty());
        if challenges.is_some_and(|list| !list.iter().any(|method| method == "S256")) {
            return Err(BadDiscovery::Pkce);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: read_browser_address(
                required("authorization_endpoint")?,
                settings,
            )?,
            token_endpoint: endpoint(required("token_endpoint")?)?,
            jwks_uri: endpoint(required("jwks_uri")?)?,
            userinfo_endpoint: string("userinfo_endpoint").map(endpoint).transpose()?,
            end_session_endpoint: string("end_session_endpoint")
                .and_then(|address| read_browser_address(address, settings).ok()),
            // Unlike the others this one is optional: an address that must not be called is ignored.
            revocation_endpoint: string("revocation_endpoint")
                .and_then(|address| endpoint(address).ok()),
            accepts_basic: methods
                .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
            sends_issuer: document.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
        })
    }
}

/// Returns the algorithms of ID tokens that a discovery document lists, when none of them is accepted. A document without the
/// list, which it should have, promises nothing.
#[must_use]
pub fn list_refused_algorithms(body: &[u8]) -> Option<Vec<String>> {
    let document = crate::json::parse(body).ok()?;
    let list = document.get("id_token_signing_alg_values_supported")?;
    let names: Vec<&str> = list.as_array()?.iter().filter_map(Value::as_str).collect();
    let refused = !names.is_empty() && !names.iter().any(|name| is_accepted_algorithm(name));
    refused.then(|| names.into_iter().map(str::to_owned).collect())
}

/// The placeholder for the tenant in the issuer of Microsoft's document for several tenants.
const TENANT: &str = "{tenantid}";
/// The names in the place of a tenant under which Microsoft serves that document.
const TENANT_GROUPS: [&str; 3] = ["common", "organizations", "consumers"];

/// Whether an issuer is Microsoft's template for several tenants, and the operator has configured such an issuer.
fn is_template_of(issuer: &str, settings: &ProviderSettings) -> bool {
    let configured = |group: &&str| issuer.replace(TENANT, group) == settings.issuer;
    settings.kind == ProviderKind::Azure
        && issuer.contains(TENANT)
        && TENANT_GROUPS.iter().any(configured)
}

/// Returns the issuer that a token with these claims has to name. Microsoft's document for several tenants has a
/// placeholder for the tenant, which the token names in `tid`. `None` when such a token names no tenant.
#[must_use]
pub fn resolve_issuer<'i>(issuer: &'i str, claims: &Claims) -> Option<Cow<'i, str>> {
    if !issuer.contains(TENANT) {
        return Some(Cow::Borrowed(issuer));
    }
    let tenant = claims.get("tid").and_then(Value::as_str)?;
    is_tenant(tenant).then(|| Cow::Owned(issuer.replace(TENANT, tenant)))
}

/// Whether a stated issuer is the one of a document, or fits the template of Microsoft's. A logout token or an
/// authorization response names no tenant beside its issuer, so that any tenant fits.
#[must_use]
pub fn is_issuer(document: &str, stated: &str) -> bool {
    match document.split_once(TENANT) {
        None => stated == document,
        Some((before, after)) => stated
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(is_tenant),
    }
}

fn is_tenant(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_fit)
}

/// Where the provider signs a browser out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOutEndpoint {
    /// The address without parameters.
    pub address: Url,
    /// The parameter with the address to return to.
    pub return_parameter: &'static str,
    /// Whether the endpoint supports the other parameters of OpenID Connect RP-Initiated Logout 1.0.
    pub is_standard: bool,
}

impl Discovered {
    /// Returns the audience of client assertions: the issuer, or the token endpoint when the issuer is a template.
    pub(crate) fn assertion_audience(&self) -> Cow<'_, str> {
        if self.issuer.contains(TENANT) {
            let Endpoint { origin, path } = &self.token_endpoint;
            Cow::Owned(format!("{origin}{path}"))
        } else {
            Cow::Borrowed(&self.issuer)
        }
    }

    /// Returns the provider's sign-out endpoint: the one of its document, or the one that Auth0 and Cognito have although
    /// their older documents do not name it.
    #[must_use]
    pub fn sign_out(&self, kind: ProviderKind) -> Option<SignOutEndpoint> {
        if let Some(address) = &self.end_session_endpoint {
            return Some(SignOutEndpoint {
                address: address.clone(),
                return_parameter: "post_logout_redirect_uri",
                is_standard: true,
            });
        }
        let (path, return_parameter) = match kind {
            ProviderKind::Auth0 => ("/v2/logout", "returnTo"),
            ProviderKind::Cognito => ("/logout", "logout_uri"),
            _ => return None,
        };
        let mut address = self.authorization_endpoint.clone();
        address.set_path(path);
        address.set_query(None);
        Some(SignOutEndpoint {
            address,
            return_parameter,
            is_standard: false,
        })
    }
}

/// Reads an address for browsers: an https URL, or one on an allowed origin, which may be plain http on this machine.
fn read_browser_address(address: &str, settings: &ProviderSettings) -> Result<Url, BadDiscovery> {
    let url = Url::parse(address).map_err(|_| BadDiscovery::Endpoint)?;
    let origin = Origin::of(&url).ok_or(BadDiscovery::Endpoint)?;
    if origin.tls || settings.origins().contains(&&origin) {
        Ok(url)
    } else {
        Err(BadDiscovery::Endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_listed_when_all_are_refused() {
        let listed = |list: &str| {
            let document = format!("{{\"id_token_signing_alg_values_supported\": {list}}}");
            list_refused_algorithms(document.as_bytes())
        };
        assert_eq!(
            listed("[\"HS256\", \"none\"]"),
            Some(vec!["HS256".to_owned(), "none".to_owned()])
        );
        for fine in ["[\"HS256\", \"RS256\"]", "[]", "[5]", "\"HS256\"", "null"] {
            assert_eq!(listed(fine), None, "{fine}");
        }
        assert_eq!(list_refused_algorithms(b"{}"), None);
        assert_eq!(list_refused_algorithms(b"<html>"), None);
    }
}

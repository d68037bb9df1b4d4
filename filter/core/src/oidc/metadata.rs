//! What discovery tells about a provider (OpenID Connect Discovery 1.0).

use std::borrow::Cow;

use serde_json::Value;
use url::Url;

use super::claims::Claims;
use super::keys::KeySet;
use crate::config::{Origin, ProviderKind, ProviderSettings};

/// A provider that can be used: endpoints checked, keys loaded.
#[derive(Debug)]
pub struct Metadata {
    /// Endpoints and abilities.
    pub discovered: Discovered,
    /// Keys that ID tokens are verified with.
    pub keys: KeySet,
}

/// The discovery document, as far as it is used.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The issuer exactly as the provider writes it: ID tokens must say the same.
    pub issuer: String,
    /// Where browsers are sent.
    pub authorization_endpoint: Url,
    /// Where codes are redeemed.
    pub token_endpoint: Endpoint,
    /// Where the keys are.
    pub jwks_uri: Endpoint,
    /// Where claims are that the ID token lacks.
    pub userinfo_endpoint: Option<Endpoint>,
    /// Where browsers are sent to sign out.
    pub end_session_endpoint: Option<Url>,
    /// Where refresh tokens are given back (RFC 7009).
    pub revocation_endpoint: Option<Endpoint>,
    /// The provider accepts the client secret in an `Authorization` header (the default when it does not say).
    pub accepts_basic: bool,
    /// Authorization responses carry `iss` (RFC 9207).
    pub sends_issuer: bool,
}

/// An address of the provider that we call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Upstream name of the call.
    pub origin: Origin,
    /// Path and query.
    pub path: String,
}

/// Why a discovery document is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDiscovery {
    /// Not a JSON object, or a needed member is missing.
    #[error("the discovery document is not usable")]
    Malformed,
    /// The document is about another issuer.
    #[error("the discovery document names another issuer")]
    Issuer,
    /// An endpoint is on an origin that is neither the issuer's nor in `idp_extra_origins`, or is not an https address.
    #[error("an endpoint is on an origin that is not allowed, see `idp_extra_origins`")]
    Endpoint,
    /// The document names methods of PKCE, and S256 is not among them.
    #[error("the provider offers no PKCE with S256 (`code_challenge_methods_supported`)")]
    Pkce,
}

impl Endpoint {
    /// An address on an allowed origin (no other is ever called, whatever the provider says).
    fn read(text: &str, settings: &ProviderSettings) -> Result<Self, BadDiscovery> {
        let url = Url::parse(text).map_err(|_| BadDiscovery::Endpoint)?;
        let origin = Origin::of(&url).filter(|origin| settings.origins().contains(&origin));
        let origin = origin.ok_or(BadDiscovery::Endpoint)?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self { origin, path })
    }

    /// The discovery document's own address.
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
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        let needed = |key: &str| text(key).ok_or(BadDiscovery::Malformed);
        let issuer = needed("issuer")?;
        // Some providers write the slash at the end and people leave it out, or the other way round.
        let same = issuer.trim_end_matches('/') == settings.issuer.trim_end_matches('/');
        if !same && !is_template_of(issuer, settings) {
            return Err(BadDiscovery::Issuer);
        }
        let endpoint = |text: &str| Endpoint::read(text, settings);
        let list = |key: &str| document.get(key).and_then(Value::as_array);
        let methods = list("token_endpoint_auth_methods_supported");
        // A provider that names none may still take S256 or ignore it; one that only takes `plain` would compare the
        // challenge with the verifier itself (RFC 9700 section 2.1.1 asks for S256).
        let challenges = list("code_challenge_methods_supported").filter(|list| !list.is_empty());
        if challenges.is_some_and(|list| !list.iter().any(|method| method == "S256")) {
            return Err(BadDiscovery::Pkce);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: browser_address(needed("authorization_endpoint")?, settings)?,
            token_endpoint: endpoint(needed("token_endpoint")?)?,
            jwks_uri: endpoint(needed("jwks_uri")?)?,
            userinfo_endpoint: text("userinfo_endpoint").map(endpoint).transpose()?,
            end_session_endpoint: text("end_session_endpoint")
                .and_then(|text| browser_address(text, settings).ok()),
            // Unlike the others it is not needed: one that may not be called is none.
            revocation_endpoint: text("revocation_endpoint").and_then(|text| endpoint(text).ok()),
            accepts_basic: methods
                .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
            sends_issuer: document.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
        })
    }
}

/// In the place of the tenant, in the issuer of Microsoft's document for several tenants.
const TENANT: &str = "{tenantid}";
/// The names under which that document is had.
const TENANT_GROUPS: [&str; 3] = ["common", "organizations", "consumers"];

/// Whether an issuer is Microsoft's for several tenants, and that is what the operator configured.
fn is_template_of(issuer: &str, settings: &ProviderSettings) -> bool {
    let configured = |group: &&str| issuer.replace(TENANT, group) == settings.issuer;
    settings.kind == ProviderKind::Azure
        && issuer.contains(TENANT)
        && TENANT_GROUPS.iter().any(configured)
}

/// The issuer that a token with these claims has to name: Microsoft's document for several tenants leaves a place for the
/// tenant, which the token names in `tid`.
#[must_use]
pub fn expected_issuer<'i>(issuer: &'i str, claims: &Claims) -> Option<Cow<'i, str>> {
    if !issuer.contains(TENANT) {
        return Some(Cow::Borrowed(issuer));
    }
    let tenant = claims.get("tid").and_then(Value::as_str)?;
    is_tenant(tenant).then(|| Cow::Owned(issuer.replace(TENANT, tenant)))
}

/// Whether an issuer is the one of a document, or one of those for which Microsoft's leaves a place: what names no tenant
/// beside its issuer (a logout, an authorization response) may come from any.
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
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.bytes().all(fit)
}

/// How a provider takes a browser that signs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOut {
    /// Where.
    pub address: Url,
    /// The parameter with the address to come back to.
    pub return_parameter: &'static str,
    /// Whether it understands the rest of OpenID Connect RP-Initiated Logout 1.0, too.
    pub is_standard: bool,
}

impl Discovered {
    /// What the provider calls itself: its issuer, or its token endpoint where the issuer has a place for the tenant.
    pub(crate) fn own_name(&self) -> Cow<'_, str> {
        if self.issuer.contains(TENANT) {
            let Endpoint { origin, path } = &self.token_endpoint;
            Cow::Owned(format!("{origin}{path}"))
        } else {
            Cow::Borrowed(&self.issuer)
        }
    }

    /// The provider's sign-out: as its document says, or where Auth0 and Cognito have theirs, which older documents of
    /// theirs do not name.
    #[must_use]
    pub fn sign_out(&self, kind: ProviderKind) -> Option<SignOut> {
        if let Some(address) = &self.end_session_endpoint {
            return Some(SignOut {
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
        Some(SignOut {
            address,
            return_parameter,
            is_standard: false,
        })
    }
}

/// An address for browsers: `https`, or on an allowed origin (which may be plain http on this machine).
fn browser_address(text: &str, settings: &ProviderSettings) -> Result<Url, BadDiscovery> {
    let url = Url::parse(text).map_err(|_| BadDiscovery::Endpoint)?;
    let origin = Origin::of(&url).ok_or(BadDiscovery::Endpoint)?;
    if origin.tls || settings.origins().contains(&&origin) {
        Ok(url)
    } else {
        Err(BadDiscovery::Endpoint)
    }
}

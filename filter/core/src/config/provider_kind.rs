//! Provider presets: each handles the quirks of one identity provider.

/// A provider preset (`idp_provider`). All providers but GitHub speak OpenID Connect, some of them with quirks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderKind {
    /// Any OpenID Connect provider.
    #[default]
    Oidc,
    /// Sign in with Apple: responds with a form (`response_mode=form_post`).
    Apple,
    /// Auth0: has a sign-out endpoint of its own.
    Auth0,
    /// Microsoft Entra ID: one discovery document for many tenants.
    Azure,
    /// Amazon Cognito: has a sign-out endpoint of its own.
    Cognito,
    /// GitHub: OAuth 2.0 with an API of its own, without ID tokens.
    Github,
    /// GitLab.
    Gitlab,
    /// Google.
    Google,
    /// Keycloak.
    Keycloak,
    /// Okta.
    Okta,
    /// OneLogin.
    Onelogin,
    /// Ping Identity: the email address is in the claim `mail`.
    Ping,
}

/// The defaults of a provider preset.
#[derive(Debug)]
pub(super) struct Preset {
    /// The word in the file.
    pub(super) word: &'static str,
    pub(super) kind: ProviderKind,
    /// The issuer, if all customers share one.
    pub(super) issuer: Option<&'static str>,
    /// An example of `idp_provider_url`.
    pub(super) example: &'static str,
    /// The origins of endpoints other than the issuer's.
    pub(super) origins: &'static [&'static str],
    pub(super) scopes: &'static [&'static str],
    /// The parameters of the authorization request, which the file may override.
    pub(super) params: &'static [(&'static str, &'static str)],
}

/// With `offline_access` a provider issues a refresh token (OpenID Connect Core 1.0 section 11); a provider that does not
/// know the scope ignores it.
const OFFLINE: &[&str] = &["openid", "profile", "email", "offline_access"];
/// The scopes for providers that refuse unknown scopes or issue refresh tokens in other ways.
const PLAIN: &[&str] = &["openid", "profile", "email"];

/// The presets in alphabetical order: those of Pomerium, and Keycloak.
pub(super) static PRESETS: [Preset; 12] = [
    Preset {
        word: "apple",
        kind: ProviderKind::Apple,
        issuer: Some("https://appleid.apple.com"),
        example: "https://appleid.apple.com",
        origins: &[],
        scopes: &["openid", "name", "email"],
        params: &[],
    },
    Preset {
        word: "auth0",
        kind: ProviderKind::Auth0,
        issuer: None,
        example: "https://TENANT.auth0.com/",
        origins: &[],
        scopes: OFFLINE,
        params: &[],
    },
    Preset {
        word: "azure",
        kind: ProviderKind::Azure,
        issuer: None,
        example: "https://login.microsoftonline.com/TENANT/v2.0",
        origins: &["https://graph.microsoft.com"],
        scopes: OFFLINE,
        params: &[("prompt", "select_account")],
    },
    Preset {
        word: "cognito",
        kind: ProviderKind::Cognito,
        issuer: None,
        example: "https://cognito-idp.REGION.amazonaws.com/POOL",
        origins: &[],
        scopes: PLAIN,
        params: &[],
    },
    Preset {
        word: "github",
        kind: ProviderKind::Github,
        issuer: Some("https://github.com"),
        example: "https://github.com",
        origins: &["https://api.github.com"],
        scopes: &["user:email", "read:org"],
        params: &[],
    },
    Preset {
        word: "gitlab",
        kind: ProviderKind::Gitlab,
        issuer: Some("https://gitlab.com"),
        example: "https://gitlab.example.com",
        origins: &[],
        scopes: PLAIN,
        params: &[],
    },
    Preset {
        word: "google",
        kind: ProviderKind::Google,
        issuer: Some("https://accounts.google.com"),
        example: "https://accounts.google.com",
        origins: &[
            "https://oauth2.googleapis.com",
            "https://www.googleapis.com",
            "https://openidconnect.googleapis.com",
        ],
        scopes: PLAIN,
        // Google issues a refresh token only for its own parameter, and only when the user is asked for consent again.
        params: &[
            ("access_type", "offline"),
            ("prompt", "select_account consent"),
        ],
    },
    Preset {
        word: "keycloak",
        kind: ProviderKind::Keycloak,
        issuer: None,
        example: "https://keycloak.example.com/realms/REALM",
        origins: &[],
        // Keycloak's offline sessions never expire; without the scope its refresh tokens live as long as the user's session
        // at Keycloak.
        scopes: PLAIN,
        params: &[],
    },
    Preset {
        word: "oidc",
        kind: ProviderKind::Oidc,
        issuer: None,
        example: "https://idp.example.com",
        origins: &[],
        scopes: OFFLINE,
        params: &[],
    },
    Preset {
        word: "okta",
        kind: ProviderKind::Okta,
        issuer: None,
        example: "https://TENANT.okta.com",
        origins: &[],
        scopes: OFFLINE,
        params: &[],
    },
    Preset {
        word: "onelogin",
        kind: ProviderKind::Onelogin,
        issuer: Some("https://openid-connect.onelogin.com/oidc/2"),
        example: "https://TENANT.onelogin.com/oidc/2",
        origins: &[],
        scopes: &["openid", "profile", "email", "groups"],
        params: &[],
    },
    Preset {
        word: "ping",
        kind: ProviderKind::Ping,
        issuer: None,
        example: "https://auth.pingone.eu/ENVIRONMENT/as",
        origins: &[],
        scopes: OFFLINE,
        params: &[],
    },
];

impl Preset {
    /// Returns the preset with this name, without regard to case.
    pub(super) fn find(word: &str) -> Option<&'static Self> {
        PRESETS
            .iter()
            .find(|preset| preset.word.eq_ignore_ascii_case(word))
    }
}

/// Returns whether the provider of this name (`idp_provider`) needs `idp_provider_url`; `None` for an unknown name.
#[must_use]
pub fn needs_provider_url(word: &str) -> Option<bool> {
    Preset::find(word).map(|preset| preset.issuer.is_none())
}

/// The names of all presets, for the table of keys.
pub(super) const WORDS: &[&str] = &[
    "apple", "auth0", "azure", "cognito", "github", "gitlab", "google", "keycloak", "oidc", "okta",
    "onelogin", "ping",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_word() {
        let words: Vec<&str> = PRESETS.iter().map(|preset| preset.word).collect();
        assert_eq!(words, WORDS);
        assert_eq!(Preset::find("OIDC").unwrap().kind, ProviderKind::Oidc);
        assert!(Preset::find("oidcc").is_none());
    }
}

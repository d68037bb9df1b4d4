//! Decides which of a provider's email addresses count as verified, and which tenants' users may sign in.

use super::ProviderKind;

/// Which email addresses policies may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmailVerification {
    /// The kind of provider decides which proof is needed, see [`ProviderKind::email_proof`].
    #[default]
    ByProvider,
    /// The provider must state in its claim about the address that it is verified (`strict`).
    Strict,
    /// Every address counts (`off`).
    Off,
}

/// The proof that a kind of provider must give before an address counts as verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailProof {
    /// The provider is one organization's own directory: an address counts unless `email_verified` denies it.
    NotDenied,
    /// Users of the provider write addresses themselves: `email_verified` must be true.
    Stated,
    /// Microsoft: `xms_edov` must be true, or the tenant one that the operator trusts; there is no `email_verified`.
    DomainOwner,
    /// Google: `email_verified` must be true, and the address Google's own or of a Workspace account (`hd`).
    Hosted,
}

impl ProviderKind {
    /// Returns the proof that this kind of provider must give for an address.
    #[must_use]
    pub const fn email_proof(self) -> EmailProof {
        match self {
            Self::Azure => EmailProof::DomainOwner,
            Self::Google => EmailProof::Hosted,
            Self::Apple | Self::Auth0 | Self::Cognito | Self::Github | Self::Gitlab => {
                EmailProof::Stated
            }
            Self::Keycloak | Self::Oidc | Self::Okta | Self::Onelogin | Self::Ping => {
                EmailProof::NotDenied
            }
        }
    }

    /// Returns the claim that names a user's tenant, where the provider has many.
    #[must_use]
    pub const fn tenant_claim(self) -> Option<&'static str> {
        match self {
            Self::Azure => Some("tid"),
            Self::Google => Some("hd"),
            _ => None,
        }
    }
}

/// The rules by which a provider's email addresses are trusted.
#[derive(Clone, Debug, Default)]
pub struct EmailTrust {
    /// Reads the provider preset.
    pub kind: ProviderKind,
    /// The operator's choice (`require_email_verified`).
    pub verification: EmailVerification,
    /// Tenants whose users may sign in, in lower case (`idp_allowed_tenants`); empty for all that the issuer has.
    pub tenants: Vec<String>,
    /// Whether users of any tenant come by this issuer: its name does not bind them to one.
    pub is_multi_tenant: bool,
}

//! The gate's knowledge about the identity provider, and its search for keys.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use crate::config::{Origin, ProviderSettings};
use crate::env::Env;
use crate::gate::address_limit::AddressLimit;
use crate::gate::forged_tokens::ForgedTokens;
use crate::oidc::call::ProviderReply;
use crate::oidc::claim_source::ClaimSource;
use crate::oidc::metadata::Metadata;
use crate::oidc::provider::{Absorbed, NewKeys, Provider, ProviderDue};
use crate::session::claim_filter::ClaimFilter;
use crate::store::ExpiringTable;
use crate::time::Timestamp;

/// How often tokens of one client address may cause a fetch of the provider's keys because they name an unknown key.
///
/// Keys are fetched at most once a minute for all clients together. Without this limit one client could take every turn,
/// and a logout token that is signed by a key of this very minute would find none.
const KEY_FETCHES: AddressLimit = AddressLimit {
    counts: ExpiringTable {
        key: "jetway key fetches",
        count: 4,
        bytes: 8 * 1024,
    },
    most: 2,
    seconds: 600,
};

/// A client has caused too many fetches of keys; it may cause another after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyFetches(pub(super) u64);

/// The identity provider of a configuration, if there is one.
#[derive(Debug)]
pub(super) struct ProviderAccess {
    provider: Option<Provider>,
    /// Tokens that none of the provider's keys has signed.
    pub(super) forged: ForgedTokens,
}

impl ProviderAccess {
    pub(super) fn new(settings: Option<ProviderSettings>) -> Self {
        Self {
            provider: settings.map(Provider::new),
            forged: ForgedTokens::default(),
        }
    }

    /// Returns whether the configuration has a provider.
    pub(super) const fn is_configured(&self) -> bool {
        self.provider.is_some()
    }

    /// Returns the provider's configuration.
    pub(super) fn settings(&self) -> Option<&ProviderSettings> {
        self.provider.as_ref().map(Provider::settings)
    }

    /// Returns the provider with its metadata, once they are known.
    pub(super) fn known(&self) -> Option<(&Provider, Rc<Metadata>)> {
        let provider = self.provider.as_ref()?;
        provider.metadata().map(|metadata| (provider, metadata))
    }

    /// Returns since when this worker has been waiting for the provider's metadata.
    pub(super) fn unknown_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.provider.as_ref()?.unknown_since(now)
    }

    /// Returns the configured issuer, by which the revocations of several providers are kept apart.
    pub(super) fn issuer(&self) -> &str {
        self.settings()
            .map_or("", |settings| settings.issuer.as_str())
    }

    /// Returns whether the provider answers a sign-in by a form that the browser posts.
    pub(super) fn answers_by_form(&self) -> bool {
        self.settings().is_some_and(|settings| settings.form_post)
    }

    /// Returns the provider as the source of these claims.
    pub(super) fn claim_source<'p>(&'p self, needs: &'p ClaimFilter) -> Option<ClaimSource<'p>> {
        let provider = self.provider.as_ref()?;
        Some(ClaimSource { provider, needs })
    }

    /// Returns what is due with the provider. The answer to a call goes to [`ProviderAccess::absorb`].
    pub(super) fn due(&self, env: &Env<'_>) -> ProviderDue {
        self.provider
            .as_ref()
            .map_or(ProviderDue::Nothing, |provider| provider.due(env))
    }

    /// Takes in the answer to a call of [`ProviderAccess::due`].
    pub(super) fn absorb(&self, reply: &ProviderReply<'_>, env: &Env<'_>) -> Absorbed {
        match &self.provider {
            Some(provider) => provider.absorb(reply, env),
            None => Absorbed::Failed("there is no provider".to_owned()),
        }
    }

    /// Returns a warning about the provider, once.
    pub(super) fn take_warning(&self) -> Option<String> {
        self.provider.as_ref().and_then(Provider::take_warning)
    }

    /// Takes in keys that were fetched because a token names an unknown one.
    pub(super) fn absorb_keys(&self, reply: &ProviderReply<'_>, env: &Env<'_>) {
        if let Some(provider) = &self.provider {
            provider.absorb_keys(reply, env);
        }
    }

    /// Makes the provider's keys due, because the request that was to fetch them is gone.
    pub(super) fn miss_keys(&self) {
        if let Some(provider) = &self.provider {
            provider.miss_keys();
        }
    }

    /// Looks for a key that a token of this client names and that is not known.
    ///
    /// # Errors
    /// When this client has caused too many fetches, and no other worker has newer keys.
    pub(super) fn look_for_keys(
        &self,
        client: Option<IpAddr>,
        env: &Env<'_>,
    ) -> Result<NewKeys, TooManyFetches> {
        let Some(provider) = &self.provider else {
            return Ok(NewKeys::None);
        };
        if provider.adopt_keys(env) {
            return Ok(NewKeys::Adopted);
        }
        if let Some(seconds) = KEY_FETCHES.wait(client, env) {
            return Err(TooManyFetches(seconds));
        }
        let keys = provider.refetch_keys(env);
        if matches!(keys, NewKeys::Call(_)) {
            KEY_FETCHES.count(client, env);
        }
        Ok(keys)
    }

    /// Returns the origins of the provider's pages.
    pub(super) fn page_origins(&self) -> BTreeSet<String> {
        let configured = self.settings().map(|settings| settings.origin.to_string());
        let mut origins: BTreeSet<String> = configured.into_iter().collect();
        if let Some((_, metadata)) = self.known() {
            let discovered = &metadata.discovered;
            let addresses = std::iter::once(&discovered.authorization_endpoint)
                .chain(&discovered.end_session_endpoint);
            let found = addresses.filter_map(Origin::of);
            origins.extend(found.map(|origin| origin.to_string()));
        }
        origins
    }
}

//! The provider's metadata and keys: they are fetched when they are needed, once for all workers of a process, refreshed
//! ahead of time, and kept when the provider is down.

mod shared;

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::{ProviderKind, ProviderSettings};
use crate::env::Env;
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::oidc::github;
use crate::oidc::keys::KeySet;
use crate::oidc::metadata::{Discovered, Endpoint, Metadata};
use crate::oidc::token::{OAuthClient, fetch};
use crate::time::Timestamp;
use shared::{Documents, SharedProvider};

/// After how many seconds metadata and keys are fetched again, while the old ones stay in use.
const REFRESH_AFTER: u64 = 45 * 60;
/// After how many seconds a fetch without an answer counts as lost. A call times out earlier.
const LOST_AFTER: u64 = 20;
/// The first and the longest pause after a failed fetch, in seconds.
const BACKOFF: (u64, u64) = (1, 30);
/// Shortest time between two fetches of the keys because of an unknown one, in seconds: any client can name unknown keys.
const KEY_REFETCH_PAUSE: u64 = 60;
/// For how many seconds metadata and keys stay in use that could not be refreshed. A key that was stolen from the
/// provider and retired there must not be accepted for ever.
const MAX_AGE: u64 = 24 * 3600;

/// The provider of one configuration.
#[derive(Debug)]
pub struct Provider {
    settings: ProviderSettings,
    shared: SharedProvider,
    state: RefCell<ProviderState>,
}

#[derive(Debug, Default)]
struct ProviderState {
    current: Option<Rc<Metadata>>,
    /// The documents that `current` was read from.
    documents: Documents,
    /// The discovery document of the fetch that is under way, while its keys are being fetched.
    discovering: Option<(Discovered, String)>,
    /// Whether a reply is awaited.
    is_fetching: bool,
    failures: u32,
    /// Whether the metadata was used since the last fetch. Metadata that is not used is not refreshed.
    is_wanted: bool,
    /// Whether keys were fetched for a request that has ended since, so that their answer was lost.
    has_missed_keys: bool,
    /// Since when requests need metadata that is not known.
    unknown_since: Option<Timestamp>,
    /// Whether the log has the warning that the provider's keys show secrets.
    has_warned: bool,
}

impl ProviderState {
    /// Uses fetched metadata from now on.
    fn complete(&mut self, metadata: Metadata, documents: Documents) {
        *self = Self {
            current: Some(Rc::new(metadata)),
            documents,
            has_warned: self.has_warned,
            ..Self::default()
        };
    }

    /// Counts a failed fetch and returns the pause after it in seconds: 1, 2, 4, …
    fn pause_after_failure(&mut self) -> u64 {
        let (first, longest) = BACKOFF;
        let pause = (first << self.failures).min(longest);
        // The shift stays far below 64.
        self.failures = (self.failures + 1).min(16);
        pause
    }
}

/// The work that is due with the provider.
#[derive(Debug)]
#[must_use]
pub enum ProviderDue {
    /// Nothing.
    Nothing,
    /// Another worker has fetched the metadata: held requests may begin again.
    Ready,
    /// A call to send now. Its reply goes to [`Provider::absorb`]. A process has at most one such call at a time.
    Call(ProviderCall),
}

/// The effect of a reply.
#[derive(Debug)]
#[must_use]
pub enum Absorbed {
    /// The next call of the same fetch.
    Next(ProviderCall),
    /// There is new metadata: held requests may begin again.
    Ready,
    /// The fetch failed for this reason, and is tried again later.
    Failed(String),
}

impl Provider {
    /// Creates a provider whose metadata is not known yet. Only GitHub's is known from the beginning.
    #[must_use]
    pub fn new(settings: ProviderSettings) -> Self {
        let is_github = settings.kind == ProviderKind::Github;
        let known = is_github
            .then(|| github::build_metadata(&settings))
            .flatten();
        let state = ProviderState {
            current: known.map(Rc::new),
            ..ProviderState::default()
        };
        Self {
            shared: SharedProvider::of(&settings),
            settings,
            state: RefCell::new(state),
        }
    }

    /// Returns the operator's settings.
    #[must_use]
    pub const fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Whether the provider is GitHub, which has no OpenID Connect.
    pub(crate) fn is_github(&self) -> bool {
        self.settings.kind == ProviderKind::Github
    }

    /// Returns this proxy as the client of the provider with this metadata.
    pub(crate) const fn client<'a>(&'a self, metadata: &'a Metadata) -> OAuthClient<'a> {
        OAuthClient {
            settings: &self.settings,
            discovered: &metadata.discovered,
        }
    }

    /// Returns the metadata if it is known. Metadata that is not known becomes due.
    #[must_use]
    pub fn metadata(&self) -> Option<Rc<Metadata>> {
        let mut state = self.state.borrow_mut();
        state.is_wanted = true;
        state.current.clone()
    }

    /// Returns since when requests need the metadata while it is not known. `None` when it is known.
    pub(crate) fn unknown_since(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.state.borrow_mut();
        if state.current.is_some() {
            return None;
        }
        Some(*state.unknown_since.get_or_insert(now))
    }

    /// Returns, once, what the operator has to know about the provider's documents.
    pub fn take_warning(&self) -> Option<String> {
        let mut state = self.state.borrow_mut();
        let shows_secrets = state.current.as_ref()?.keys.shows_secrets();
        let is_new = shows_secrets && !state.has_warned;
        state.has_warned = shows_secrets;
        is_new.then(|| {
            format!(
                "the provider `{}` publishes the secret half of keys, so that anyone can sign with them; these keys are not used",
                self.settings.issuer
            )
        })
    }

    /// Returns what is to be done now.
    pub fn due(&self, env: &Env<'_>) -> ProviderDue {
        if self.is_github() {
            return ProviderDue::Nothing;
        }
        let mut state = self.state.borrow_mut();
        if self.adopt(&mut state, env) {
            return ProviderDue::Ready;
        }
        let age = env.now.since(state.documents.fetched_at);
        if state.current.is_some() && age >= MAX_AGE {
            state.current = None;
            state.unknown_since = None;
        }
        let is_fresh = state.current.is_some() && age < REFRESH_AFTER && !state.has_missed_keys;
        if is_fresh || !state.is_wanted || !self.shared.begin_fetch(env) {
            return ProviderDue::Nothing;
        }
        state.discovering = None;
        state.is_fetching = true;
        ProviderDue::Call(fetch(&Endpoint::discovery(&self.settings)))
    }

    /// Takes over what another worker has fetched if that is newer, and returns whether it was.
    fn adopt(&self, state: &mut ProviderState, env: &Env<'_>) -> bool {
        let Some(documents) = self.shared.newer_than(&state.documents, env) else {
            return false;
        };
        let discovered = Discovered::read(documents.discovery.as_bytes(), &self.settings);
        let keys = KeySet::read(documents.keys.as_bytes());
        let (Ok(discovered), Ok(keys)) = (discovered, keys) else {
            return false;
        };
        // The worker that fetched the keys has written the warning.
        state.has_warned = keys.shows_secrets();
        state.current = Some(Rc::new(Metadata { discovered, keys }));
        state.documents = documents;
        state.has_missed_keys = false;
        true
    }

    /// Takes the reply to a call of [`Provider::due`] or [`Absorbed::Next`].
    pub fn absorb(&self, reply: &ProviderReply<'_>, env: &Env<'_>) -> Absorbed {
        let mut state = self.state.borrow_mut();
        if !std::mem::take(&mut state.is_fetching) {
            return Absorbed::Failed("unexpected reply".to_owned());
        }
        let discovering = state.discovering.take();
        match read_document(discovering, reply, &self.settings) {
            Ok(FetchedDocument::Discovery(discovered, document)) => {
                let call = fetch(&discovered.jwks_uri);
                state.discovering = Some((discovered, document));
                state.is_fetching = true;
                Absorbed::Next(call)
            }
            Ok(FetchedDocument::Keys(metadata, discovery, keys)) => {
                let documents = Documents {
                    fetched_at: env.now,
                    discovery,
                    keys,
                };
                self.shared.store(&documents, env);
                self.shared.end_fetch(env.now, env);
                state.complete(metadata, documents);
                Absorbed::Ready
            }
            Err(why) => {
                let pause = state.pause_after_failure();
                self.shared.end_fetch(env.now.plus(pause), env);
                Absorbed::Failed(why)
            }
        }
    }

    /// Takes over the keys that another worker has fetched if those are newer, and returns whether they were.
    pub(crate) fn adopt_keys(&self, env: &Env<'_>) -> bool {
        self.adopt(&mut self.state.borrow_mut(), env)
    }

    /// Looks for new keys when a token names an unknown one: in those that another worker has fetched, or by a call that
    /// fetches the keys alone, if the last fetch of any worker is long enough ago.
    pub fn refetch_keys(&self, env: &Env<'_>) -> NewKeys {
        let mut state = self.state.borrow_mut();
        if self.adopt(&mut state, env) {
            return NewKeys::Adopted;
        }
        let endpoint = state
            .current
            .as_ref()
            .map(|metadata| metadata.discovered.jwks_uri.clone());
        match endpoint {
            Some(endpoint) if self.shared.begin_key_fetch(&state.documents, env) => {
                NewKeys::Call(fetch(&endpoint))
            }
            _ => NewKeys::None,
        }
    }

    /// Makes the documents due because the reply to [`Provider::refetch_keys`] is lost with the request that waited for
    /// it. No other request may fetch the keys for a while, and the fetch of the documents belongs to no request.
    pub(crate) fn miss_keys(&self) {
        self.state.borrow_mut().has_missed_keys = true;
    }

    /// Takes the reply to [`Provider::refetch_keys`]. One that is not usable changes nothing.
    pub fn absorb_keys(&self, reply: &ProviderReply<'_>, env: &Env<'_>) {
        let Some(body) = reply.success() else { return };
        let (Ok(keys), Ok(document)) = (KeySet::read(body), std::str::from_utf8(body)) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        let Some(current) = &state.current else {
            return;
        };
        let discovered = current.discovered.clone();
        state.current = Some(Rc::new(Metadata { discovered, keys }));
        state.documents.keys = document.to_owned();
        state.documents.fetched_at = env.now;
        self.shared.store(&state.documents, env);
    }
}

/// Where new keys come from.
#[derive(Debug)]
#[must_use]
pub enum NewKeys {
    /// Another worker has fetched new keys, which are in use now.
    Adopted,
    /// This call fetches the keys.
    Call(ProviderCall),
    /// There are none: the keys were fetched a moment ago.
    None,
}

/// A document of a fetch, which takes two.
enum FetchedDocument {
    /// The discovery document. The keys come next.
    Discovery(Discovered, String),
    /// The keys, with the discovery document before them.
    Keys(Metadata, String, String),
}

/// Reads the next document of a fetch. `discovering` is the discovery document if that was read before.
///
/// # Errors
/// The reason for the log.
fn read_document(
    discovering: Option<(Discovered, String)>,
    reply: &ProviderReply<'_>,
    settings: &ProviderSettings,
) -> Result<FetchedDocument, String> {
    let what = if discovering.is_some() {
        "keys"
    } else {
        "discovery document"
    };
    let body = reply.success();
    let Some(body) = body.and_then(|body| std::str::from_utf8(body).ok()) else {
        return Err(format!(
            "{what} of `{}`: status {}, {} bytes",
            settings.issuer,
            reply.status,
            reply.body.len()
        ));
    };
    let explain =
        |error: &dyn std::fmt::Display| format!("{what} of `{}`: {error}", settings.issuer);
    match discovering {
        None => Discovered::read(body.as_bytes(), settings)
            .map(|discovered| FetchedDocument::Discovery(discovered, body.to_owned()))
            .map_err(|error| explain(&error)),
        Some((discovered, discovery)) => KeySet::read(body.as_bytes())
            .map(|keys| {
                FetchedDocument::Keys(Metadata { discovered, keys }, discovery, body.to_owned())
            })
            .map_err(|error| explain(&error)),
    }
}

#[cfg(test)]
mod tests;

//! Keeping the provider's metadata and keys: fetched when needed, once for all workers of a process, refreshed ahead of
//! time, kept when the provider is down.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use super::github;
use super::keys::KeySet;
use super::metadata::{Discovered, Endpoint, Metadata};
use super::token::fetch;
use crate::config::{ProviderKind, ProviderSettings};
use crate::env::Env;
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::time::Timestamp;
use common::{Common, Documents};

/// Metadata and keys are fetched again after this many seconds, while the old ones serve.
const REFRESH_AFTER: u64 = 45 * 60;
/// A fetch without an answer counts as lost after this many seconds; calls time out earlier by themselves.
const LOST_AFTER: u64 = 20;
/// First and longest pause after a failed fetch, in seconds.
const BACKOFF: (u64, u64) = (1, 30);
/// An unknown key makes us look for new ones at most this often, in seconds: anybody can name unknown keys.
const KEY_REFETCH_PAUSE: u64 = 60;
/// Metadata and keys that could not be refreshed serve for a day: a provider that is down longer is no word on who
/// somebody is, and whoever took a retired key from it must not be believed for ever.
const MAX_AGE: u64 = 24 * 3600;

/// The provider of one configuration.
#[derive(Debug)]
pub struct Provider {
    settings: ProviderSettings,
    common: Common,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Rc<Metadata>>,
    /// The texts that `current` was read from.
    documents: Documents,
    /// The discovery document of the fetch that is under way, once it is there and its keys are on their way.
    discovering: Option<(Discovered, String)>,
    /// Whether an answer is awaited.
    fetching: bool,
    failures: u32,
    /// Somebody asked since the last fetch: nothing is fetched for nobody.
    wanted: bool,
    /// A look for new keys was made for a request that went away, and the answer with it.
    missed_keys: bool,
    /// Since when requests ask for metadata that is not known.
    unknown_since: Option<Timestamp>,
    /// Whether the log was told that the provider's keys show secrets.
    warned: bool,
}

/// What there is to do about the provider.
#[derive(Debug)]
#[must_use]
pub enum ProviderDue {
    /// Nothing.
    Nothing,
    /// Another worker has fetched the metadata: requests that are held may begin again.
    Ready,
    /// A call to make now; its answer goes to [`Provider::absorb`]. At most one is out at a time in a process.
    Call(ProviderCall),
}

/// What an answer changed.
#[derive(Debug)]
#[must_use]
pub enum Absorbed {
    /// The next call of the same fetch.
    Next(ProviderCall),
    /// There is new metadata: requests that are held may begin again.
    Ready,
    /// The fetch failed, for this reason; it is tried again later.
    Failed(String),
}

impl Provider {
    /// A provider about which nothing is known yet, except for one whose interface is written down once and for all.
    #[must_use]
    pub fn new(settings: ProviderSettings) -> Self {
        let is_github = settings.kind == ProviderKind::Github;
        let known = is_github.then(|| github::metadata(&settings)).flatten();
        let state = State {
            current: known.map(Rc::new),
            ..State::default()
        };
        Self {
            common: Common::of(&settings),
            settings,
            state: RefCell::new(state),
        }
    }

    /// The operator's settings.
    #[must_use]
    pub const fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// The metadata, if it is there. Asking makes it due.
    #[must_use]
    pub fn metadata(&self) -> Option<Rc<Metadata>> {
        let mut state = self.state.borrow_mut();
        state.wanted = true;
        state.current.clone()
    }

    /// Since when requests that need the metadata find it unknown; `None` when it is known.
    pub(crate) fn unknown_since(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.state.borrow_mut();
        if state.current.is_some() {
            return None;
        }
        Some(*state.unknown_since.get_or_insert(now))
    }

    /// What the operator has to know about the provider's documents, once.
    pub fn take_warning(&self) -> Option<String> {
        let mut state = self.state.borrow_mut();
        let shows_secrets = state.current.as_ref()?.keys.shows_secrets();
        let is_new = shows_secrets && !state.warned;
        state.warned = shows_secrets;
        is_new.then(|| {
            format!(
                "the keys of `{}` show their secret half, so that anybody can sign with it: those are not used",
                self.settings.issuer
            )
        })
    }

    /// What to do now.
    pub fn due(&self, env: &Env<'_>) -> ProviderDue {
        if self.settings.kind == ProviderKind::Github {
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
        let fresh = state.current.is_some() && age < REFRESH_AFTER && !state.missed_keys;
        if fresh || !state.wanted || !self.common.begin_fetch(env) {
            return ProviderDue::Nothing;
        }
        state.discovering = None;
        state.fetching = true;
        ProviderDue::Call(fetch(&Endpoint::discovery(&self.settings)))
    }

    /// Takes what another worker has fetched, if that is newer. Says whether it was.
    fn adopt(&self, state: &mut State, env: &Env<'_>) -> bool {
        let Some(documents) = self.common.newer_than(&state.documents, env) else {
            return false;
        };
        let discovered = Discovered::read(documents.discovery.as_bytes(), &self.settings);
        let keys = KeySet::read(documents.keys.as_bytes());
        let (Ok(discovered), Ok(keys)) = (discovered, keys) else {
            return false;
        };
        // The worker that fetched them has warned of them.
        state.warned = keys.shows_secrets();
        state.current = Some(Rc::new(Metadata { discovered, keys }));
        state.documents = documents;
        state.missed_keys = false;
        true
    }

    /// Takes in the answer to a call of [`Provider::due`] or [`Absorbed::Next`].
    pub fn absorb(&self, reply: &ProviderReply<'_>, env: &Env<'_>) -> Absorbed {
        let mut state = self.state.borrow_mut();
        if !std::mem::take(&mut state.fetching) {
            return Absorbed::Failed("an answer that nobody waits for".to_owned());
        }
        let discovering = state.discovering.take();
        match step(discovering, reply, &self.settings) {
            Ok(Fetched::Discovered(discovered, text)) => {
                let call = fetch(&discovered.jwks_uri);
                state.discovering = Some((discovered, text));
                state.fetching = true;
                Absorbed::Next(call)
            }
            Ok(Fetched::Complete(metadata, discovery, keys)) => {
                let documents = Documents {
                    fetched_at: env.now,
                    discovery,
                    keys,
                };
                self.common.store(&documents, env);
                self.common.end_fetch(env.now, env);
                *state = State {
                    current: Some(Rc::new(metadata)),
                    documents,
                    warned: state.warned,
                    ..State::default()
                };
                Absorbed::Ready
            }
            Err(why) => {
                let (first, longest) = BACKOFF;
                // 1, 2, 4, … seconds; the shift stays far below 64.
                let pause = (first << state.failures).min(longest);
                state.failures = (state.failures + 1).min(16);
                self.common.end_fetch(env.now.plus(pause), env);
                Absorbed::Failed(why)
            }
        }
    }

    /// Takes the keys that another worker has fetched, if those are newer. Says whether there were any.
    pub(crate) fn adopt_keys(&self, env: &Env<'_>) -> bool {
        self.adopt(&mut self.state.borrow_mut(), env)
    }

    /// The call that fetches the keys alone, when a token names an unknown one and the last look of any worker is long
    /// enough ago. When another worker has looked meanwhile, its keys are taken instead.
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
            Some(endpoint) if self.common.may_refetch_keys(&state.documents, env) => {
                NewKeys::Call(fetch(&endpoint))
            }
            _ => NewKeys::None,
        }
    }

    /// The answer to [`Provider::refetch_keys`] will not come, because the request that waited for it is gone. No other
    /// request may look for a while, so that the documents are due now: their fetch belongs to no request.
    pub(crate) fn miss_keys(&self) {
        self.state.borrow_mut().missed_keys = true;
    }

    /// Takes in the answer to [`Provider::refetch_keys`]; a bad one changes nothing.
    pub fn absorb_keys(&self, reply: &ProviderReply<'_>, env: &Env<'_>) {
        let Some(body) = reply.success() else { return };
        let (Ok(keys), Ok(text)) = (KeySet::read(body), std::str::from_utf8(body)) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        let Some(current) = &state.current else {
            return;
        };
        let discovered = current.discovered.clone();
        state.current = Some(Rc::new(Metadata { discovered, keys }));
        state.documents.keys = text.to_owned();
        state.documents.fetched_at = env.now;
        self.common.store(&state.documents, env);
    }
}

/// Where a key may be that a token names and that is not known.
#[derive(Debug)]
#[must_use]
pub enum NewKeys {
    /// Among keys that another worker has fetched: look again.
    Adopted,
    /// Among those that this call fetches.
    Call(ProviderCall),
    /// Nowhere: the last look was a moment ago.
    None,
}

enum Fetched {
    Discovered(Discovered, String),
    Complete(Metadata, String, String),
}

fn step(
    discovering: Option<(Discovered, String)>,
    reply: &ProviderReply<'_>,
    settings: &ProviderSettings,
) -> Result<Fetched, String> {
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
    let told = |error: &dyn std::fmt::Display| format!("{what} of `{}`: {error}", settings.issuer);
    match discovering {
        None => Discovered::read(body.as_bytes(), settings)
            .map(|discovered| Fetched::Discovered(discovered, body.to_owned()))
            .map_err(|error| told(&error)),
        Some((discovered, discovery)) => KeySet::read(body.as_bytes())
            .map(|keys| {
                Fetched::Complete(Metadata { discovered, keys }, discovery, body.to_owned())
            })
            .map_err(|error| told(&error)),
    }
}

#[cfg(test)]
mod tests;

//! Keeping the provider's metadata and keys: fetched when needed, refreshed ahead of time, kept when it is down.

use std::cell::RefCell;
use std::rc::Rc;

use super::keys::KeySet;
use super::metadata::{Discovered, Endpoint, Metadata};
use super::token::fetch;
use crate::config::ProviderSettings;
use crate::env::Timestamp;
use crate::step::{ProviderCall, ProviderReply};

/// Metadata and keys are fetched again after this many seconds, while the old ones serve.
const REFRESH_AFTER: u64 = 45 * 60;
/// A fetch without an answer counts as lost after this many seconds; calls time out earlier by themselves.
const LOST_AFTER: u64 = 20;
/// First and longest pause after a failed fetch, in seconds.
const BACKOFF: (u64, u64) = (1, 30);
/// An unknown key makes us look for new ones at most this often, in seconds: anybody can name unknown keys.
const KEY_REFETCH_PAUSE: u64 = 60;

/// The provider of one configuration.
#[derive(Debug)]
pub struct Provider {
    settings: ProviderSettings,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Rc<Metadata>>,
    fetched_at: Timestamp,
    keys_asked_at: Option<Timestamp>,
    fetching: Option<Fetching>,
    retry_at: Timestamp,
    failures: u32,
    /// Somebody asked since the last fetch: nothing is fetched for nobody.
    wanted: bool,
}

#[derive(Debug)]
struct Fetching {
    since: Timestamp,
    /// The discovery document, once it is there and its keys are on their way.
    discovered: Option<Discovered>,
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
    /// A provider about which nothing is known yet.
    #[must_use]
    pub fn new(settings: ProviderSettings) -> Self {
        Self {
            settings,
            state: RefCell::default(),
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

    /// The call to make now, if one is due; its answer goes to [`Provider::absorb`]. At most one is out at a time.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<ProviderCall> {
        let mut state = self.state.borrow_mut();
        let busy = state
            .fetching
            .as_ref()
            .is_some_and(|fetching| now.since(fetching.since) < LOST_AFTER);
        let fresh = state.current.is_some() && now.since(state.fetched_at) < REFRESH_AFTER;
        if busy || fresh || !state.wanted || now < state.retry_at {
            return None;
        }
        state.fetching = Some(Fetching {
            since: now,
            discovered: None,
        });
        Some(fetch(&Endpoint::discovery(&self.settings)))
    }

    /// Takes in the answer to a call of [`Provider::due`] or [`Absorbed::Next`].
    pub fn absorb(&self, reply: &ProviderReply<'_>, now: Timestamp) -> Absorbed {
        let mut state = self.state.borrow_mut();
        let Some(fetching) = state.fetching.take() else {
            return Absorbed::Failed("an answer that nobody waits for".to_owned());
        };
        match step(fetching.discovered, reply, &self.settings) {
            Ok(Fetched::Discovered(discovered)) => {
                let call = fetch(&discovered.jwks_uri);
                state.fetching = Some(Fetching {
                    since: now,
                    discovered: Some(discovered),
                });
                Absorbed::Next(call)
            }
            Ok(Fetched::Complete(metadata)) => {
                *state = State {
                    current: Some(Rc::new(metadata)),
                    fetched_at: now,
                    keys_asked_at: Some(now),
                    ..State::default()
                };
                Absorbed::Ready
            }
            Err(why) => {
                let (first, longest) = BACKOFF;
                // 1, 2, 4, … seconds; the shift stays far below 64.
                let pause = (first << state.failures).min(longest);
                state.failures = (state.failures + 1).min(16);
                state.retry_at = now.plus(pause);
                Absorbed::Failed(why)
            }
        }
    }

    /// The call that fetches the keys alone, when a token names an unknown one and the last look is long enough ago.
    #[must_use]
    pub fn refetch_keys(&self, now: Timestamp) -> Option<ProviderCall> {
        let mut state = self.state.borrow_mut();
        let recent = state
            .keys_asked_at
            .is_some_and(|asked| now.since(asked) < KEY_REFETCH_PAUSE);
        let endpoint = state
            .current
            .as_ref()
            .map(|metadata| metadata.discovered.jwks_uri.clone())?;
        if recent {
            return None;
        }
        state.keys_asked_at = Some(now);
        Some(fetch(&endpoint))
    }

    /// Takes in the answer to [`Provider::refetch_keys`]; a bad one changes nothing.
    pub fn absorb_keys(&self, reply: &ProviderReply<'_>) {
        let Some(Ok(keys)) = reply.success().map(KeySet::read) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        if let Some(current) = &state.current {
            let discovered = current.discovered.clone();
            state.current = Some(Rc::new(Metadata { discovered, keys }));
        }
    }
}

enum Fetched {
    Discovered(Discovered),
    Complete(Metadata),
}

fn step(
    discovered: Option<Discovered>,
    reply: &ProviderReply<'_>,
    settings: &ProviderSettings,
) -> Result<Fetched, String> {
    let what = if discovered.is_some() {
        "keys"
    } else {
        "discovery document"
    };
    let Some(body) = reply.success() else {
        return Err(format!(
            "{what} of `{}`: status {}, {} bytes",
            settings.issuer,
            reply.status,
            reply.body.len()
        ));
    };
    let told = |error: &dyn std::fmt::Display| format!("{what} of `{}`: {error}", settings.issuer);
    match discovered {
        None => Discovered::read(body, settings)
            .map(Fetched::Discovered)
            .map_err(|error| told(&error)),
        Some(discovered) => KeySet::read(body)
            .map(|keys| Fetched::Complete(Metadata { discovered, keys }))
            .map_err(|error| told(&error)),
    }
}

#[cfg(test)]
mod tests;

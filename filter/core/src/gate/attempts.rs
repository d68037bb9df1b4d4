//! The sign-in attempts of a browser, each in a cookie of its own.

use std::rc::Rc;

use crate::env::Env;
use crate::gate::cookie_vault::CookieVault;
use crate::http::cookie::{self, OwnCookies};
use crate::http::request::Parsed;
use crate::limits::{ATTEMPT_KEPT, MAX_ATTEMPTS};
use crate::oidc::attempt::Attempt;
use crate::time::Timestamp;

/// The longest fragment that is restored after a sign-in; the cookie that keeps it is a small one.
const MAX_FRAGMENT: usize = 1024;

/// Keeps and finds sign-in attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    vault: Rc<CookieVault>,
    /// Whether the callback comes as a form of the provider's site, so that the cookie has to come along from there.
    is_cross_site: bool,
}

impl Attempts {
    pub(super) fn new(vault: Rc<CookieVault>, is_cross_site: bool) -> Self {
        Self {
            vault,
            is_cross_site,
        }
    }

    /// Returns the attempt of this id, when this browser began it. It may have expired.
    pub(super) fn find(&self, request: &Parsed<'_>, id: &str, now: Timestamp) -> Option<Attempt> {
        let sealer = self.vault.sealer()?;
        let own = self.vault.read(request);
        let (_, sealed) = own.attempts.iter().find(|(name, _)| *name == id)?;
        Attempt::open(sealer, &request.authority.host, id, sealed, now)
    }

    /// Returns the attempt that `state` names, when this browser began it. It may have expired.
    pub(super) fn find_by_state(
        &self,
        request: &Parsed<'_>,
        state: Option<&str>,
        now: Timestamp,
    ) -> Option<Attempt> {
        let state = state?;
        let (id, _) = state.split_once('.')?;
        let attempt = self.find(request, id, now)?;
        (attempt.state() == state).then_some(attempt)
    }

    /// Returns the `Set-Cookie` value that keeps an attempt; `None` without keys or randomness.
    pub(super) fn keep(&self, attempt: &Attempt, host: &str, env: &mut Env<'_>) -> Option<String> {
        let sealed = attempt.seal(self.vault.sealer()?, host, env).ok()?;
        let name = self.vault.names.attempt(attempt.id());
        let set = if self.is_cross_site {
            cookie::set_cross_site
        } else {
            cookie::set
        };
        Some(set(&name, &sealed, ATTEMPT_KEPT))
    }

    /// Returns the `Set-Cookie` value that removes an attempt.
    pub(super) fn remove(&self, id: &str) -> String {
        cookie::clear(&self.vault.names.attempt(id))
    }

    /// Returns the `Set-Cookie` values that remove an attempt and its fragment. `present` is what the browser has.
    pub(super) fn forget(&self, attempt: &Attempt, present: &OwnCookies<'_>) -> Vec<String> {
        let mut lines = vec![self.remove(attempt.id())];
        if present.fragment_of(attempt.id()).is_some() {
            lines.push(cookie::clear(&self.vault.names.fragment(attempt.id())));
        }
        lines
    }

    /// Returns the ids of the attempts that make room for one more: those that cannot be opened, and the oldest ones.
    pub(super) fn surplus(&self, request: &Parsed<'_>, now: Timestamp) -> Vec<String> {
        let Some(sealer) = self.vault.sealer() else {
            return Vec::new();
        };
        let host = &request.authority.host;
        let (mut kept, mut surplus) = (Vec::new(), Vec::new());
        for (id, sealed) in self.vault.read(request).attempts {
            match Attempt::open(sealer, host, id, sealed, now) {
                Some(attempt) => kept.push(attempt),
                None if is_attempt_id(id) => surplus.push(id.to_owned()),
                // A name that the proxy never gives is not repeated in a response.
                None => {}
            }
        }
        kept.sort_by_key(|attempt| std::cmp::Reverse(attempt.begun_at()));
        let oldest = kept.iter().skip(MAX_ATTEMPTS - 1);
        surplus.extend(oldest.map(|attempt| attempt.id().to_owned()));
        surplus
    }
}

/// Returns the fragment of the address at which an attempt began, when the browser kept one.
pub(super) fn kept_fragment<'c>(attempt: &Attempt, present: &OwnCookies<'c>) -> Option<&'c str> {
    present.fragment_of(attempt.id()).and_then(valid_fragment)
}

/// Returns the address at which an attempt ends, with the fragment that the browser kept.
pub(super) fn return_address(attempt: &Attempt, present: &OwnCookies<'_>) -> String {
    let return_to = attempt.return_to();
    match kept_fragment(attempt, present) {
        Some(fragment) => format!("{return_to}#{fragment}"),
        None => return_to.to_owned(),
    }
}

/// Returns a fragment if it is a valid one (RFC 3986 section 3.5). The cookie may have been written by the proxy's own
/// script or by anything else in the browser.
fn valid_fragment(value: &[u8]) -> Option<&str> {
    let is_valid =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    let fragment = std::str::from_utf8(value).ok()?;
    let fits = !fragment.is_empty() && fragment.len() <= MAX_FRAGMENT;
    (fits && value.iter().all(is_valid)).then_some(fragment)
}

fn is_attempt_id(id: &str) -> bool {
    id.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

//! The proxy's own replies to clients.

mod pages;

pub(crate) use pages::*;

use std::borrow::Cow;
use std::fmt;

use crate::explain::ExplainedDecision;
use crate::http::caching::{CACHE_CONTROL, is_for_shared_caches, private_directives};

/// The beginning of the event of a redirect to a sign-in.
pub(crate) const SIGN_IN_BEGUN: &str = "sign-in begun";
/// The event of the page that forwards to a sign-in.
pub(crate) const SIGN_IN_LEFT_FOR: &str = "leaving for the sign-in";
const SIGN_IN_EVENTS: [&str; 2] = [SIGN_IN_BEGUN, SIGN_IN_LEFT_FOR];

/// A reply of the proxy itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header lines, names in lower case; `set-cookie` may repeat.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Body; empty for redirects. The proxy omits it in the response to a `HEAD` request.
    pub body: String,
    /// The event for the log: one line without secrets.
    pub event: Cow<'static, str>,
    /// The decision that it carries out, for the access log.
    pub decision: ExplainedDecision,
    /// The reasons of the decision, separated by commas; empty when it needs none.
    pub reasons: Cow<'static, str>,
    /// The account of the user, if one is signed in.
    pub account: Option<String>,
}

impl fmt::Debug for Reply {
    /// Shows the status and the event only: headers and body may contain sealed values and addresses with secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

impl Reply {
    pub(crate) fn add(&mut self, name: &'static str, value: String) {
        self.headers.push((Cow::Borrowed(name), value));
    }

    /// Names the account of the user, unless it is named already.
    pub(crate) fn for_account(mut self, account: Option<&str>) -> Self {
        self.account = self.account.or_else(|| account.map(str::to_owned));
        self
    }

    /// Names the reasons of the decision.
    pub(crate) fn because(self, reasons: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reasons: reasons.into(),
            ..self
        }
    }

    /// Adds `Set-Cookie` values. A reply that has any is kept out of shared caches.
    pub(crate) fn with_cookies(mut self, cookies: Vec<String>) -> Self {
        if !cookies.is_empty() {
            self.keep_private();
        }
        for line in cookies {
            self.add("set-cookie", line);
        }
        self
    }

    /// Keeps the reply out of shared caches, even if the configuration sets other headers.
    fn keep_private(&mut self) {
        self.headers.retain(|(name, _)| !is_for_shared_caches(name));
        let of_caching = |(name, value): &(Cow<'static, str>, String)| {
            (name == CACHE_CONTROL).then(|| value.clone().into_bytes())
        };
        let lines: Vec<Vec<u8>> = self.headers.iter().filter_map(of_caching).collect();
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        if let Some(directives) = private_directives(&lines) {
            self.headers.retain(|(name, _)| name != CACHE_CONTROL);
            let directives = String::from_utf8_lossy(&directives).into_owned();
            self.add(CACHE_CONTROL, directives);
        }
    }

    /// Returns whether the log sums up many such replies to one client ([`crate::refusal::repeats`]): refusals, and redirects to
    /// a sign-in. A client without a session gets them as often as it sends requests. A completed sign-in or sign-out is always
    /// logged.
    #[must_use]
    pub fn is_summed_up(&self) -> bool {
        self.status >= 400
            || SIGN_IN_EVENTS
                .iter()
                .any(|begin| self.event.starts_with(begin))
    }

    /// Returns the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

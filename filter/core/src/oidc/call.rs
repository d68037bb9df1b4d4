//! Calls to the identity provider, and its replies.

use std::fmt;

/// A request to the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderCall {
    /// Upstream name of the proxy-wasm call: one of [`crate::config::ProviderSettings::origins`] as text.
    pub upstream: String,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Value of `:authority`.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body, form-encoded for `POST`.
    pub body: String,
    /// After this the call has failed.
    pub timeout_ms: u32,
}

impl fmt::Debug for ProviderCall {
    /// Body and headers hold codes, tokens and the client secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ProviderCall({} {}{})",
            self.method,
            self.upstream,
            self.path.split('?').next().unwrap_or_default()
        )
    }
}

/// What came back. A call that failed has a status of its own making (503, 504) or none.
#[derive(Clone, Copy)]
pub struct ProviderReply<'a> {
    /// HTTP status, 0 when there was no answer at all.
    pub status: u16,
    /// The body, cut at [`MAX_PROVIDER_BODY`] bytes plus one.
    pub body: &'a [u8],
    /// The value of its `Date` header (RFC 9110 section 6.6.1), empty when there is none: it tells whose clock is wrong.
    pub date: &'a [u8],
}

/// Longest body of a provider that is read. Key sets and token responses stay far below.
pub const MAX_PROVIDER_BODY: usize = 256 * 1024;

impl fmt::Debug for ProviderReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ProviderReply({}, {} bytes)",
            self.status,
            self.body.len()
        )
    }
}

impl<'a> ProviderReply<'a> {
    /// A call that could not be sent or was never answered.
    pub const NONE: ProviderReply<'static> = ProviderReply {
        status: 0,
        body: &[],
        date: &[],
    };

    /// The body of a 200 answer of tolerable length.
    #[must_use]
    pub fn success(&self) -> Option<&'a [u8]> {
        (self.status == 200 && self.body.len() <= MAX_PROVIDER_BODY).then_some(self.body)
    }
}

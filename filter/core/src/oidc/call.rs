//! Calls to the identity provider and their replies.

use std::fmt;

/// A request to the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderCall {
    /// The upstream name of the proxy-wasm call: one of [`crate::config::ProviderSettings::origins`] as a string.
    pub upstream: String,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The value of `:authority`.
    pub authority: String,
    /// The path and the query.
    pub path: String,
    /// The other headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, form-encoded for `POST`.
    pub body: String,
    /// After how many milliseconds the call has failed.
    pub timeout_ms: u32,
}

impl fmt::Debug for ProviderCall {
    /// Leaves out body and headers, which have codes, tokens and the client secret.
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

/// The reply to a call. A call that failed has a status that the proxy has made (503, 504) or none.
#[derive(Clone, Copy)]
pub struct ProviderReply<'a> {
    /// The HTTP status, 0 without a response.
    pub status: u16,
    /// The body, cut at [`MAX_PROVIDER_BODY`] bytes plus one.
    pub body: &'a [u8],
    /// The value of the `Date` header (RFC 9110 section 6.6.1), empty without one. It shows how far the clocks differ.
    pub date: &'a [u8],
}

/// Longest body of a reply that is read. Key sets and token responses are far shorter.
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
    /// The reply of a call that could not be sent or got no response.
    pub const NONE: ProviderReply<'static> = ProviderReply {
        status: 0,
        body: &[],
        date: &[],
    };

    /// Returns the body if the status is 200 and the body is not too long.
    #[must_use]
    pub fn success(&self) -> Option<&'a [u8]> {
        (self.status == 200 && self.body.len() <= MAX_PROVIDER_BODY).then_some(self.body)
    }
}

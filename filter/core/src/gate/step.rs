//! What to do next with a request.

use std::borrow::Cow;
use std::fmt;

use crate::env::Timestamp;
use crate::gate::open_stream::Watched;
use crate::gate::waiting::Waiting;
use crate::gate::{Binding, CACHE_CONTROL, is_for_shared_caches, private_directives};
use crate::policy::Permit;

/// The answer to [`crate::gate::Gate::begin`] and [`Waiting::resume`]. There is no error: a failure is a reply.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Let the request through with these edits.
    Forward(Forward),
    /// Answer the client; the upstream never sees the request.
    Reply(Reply),
    /// Send this to the identity provider, keep the request waiting, then call [`Waiting::resume`].
    Call(ProviderCall, Waiting),
    /// Something of the provider's is on its way, its metadata or the renewal of a session: begin again when there is news
    /// ([`crate::oidc::provider::Absorbed::Ready`], [`crate::session::refresh::Progress::Over`]), and when the time is over with
    /// [`crate::gate::Gate::begin_without`].
    Hold {
        /// End of the wait.
        until: Timestamp,
    },
    /// Our own endpoint needs the request's body: keep the request waiting, read all of it, and begin again with it
    /// ([`crate::http::request::Request::body`]).
    ReadBody {
        /// Longest body. When there is more, begin again with what has come, which is then refused.
        limit: usize,
    },
}

/// Permission to forward a request. It exists only where a policy made a [`Permit`].
#[derive(Debug)]
pub struct Forward {
    _permit: Permit,
    edits: Vec<Edit<'static>>,
    forwarded: Forwarded,
    watched: Option<Watched>,
    warning: Option<String>,
}

/// What the answer to a forwarded request is edited by, see [`crate::gate::Gate::edit_answer`].
#[derive(Clone)]
pub struct Forwarded {
    /// The route that was chosen.
    pub(crate) route: RouteNumber,
    /// `Set-Cookie` values to add to the answer, whatever it is.
    pub(crate) cookies: Vec<String>,
    /// What binds the cookies of the answer to the visitor, when the upstream is a Cockpit.
    pub(crate) binding: Option<Binding>,
    /// Whether the request asks for another protocol, see [`crate::gate::refuse_status`].
    pub switches: bool,
}

impl fmt::Debug for Forwarded {
    /// Cookies are sealed sessions: only their number is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded")
            .field("route", &self.route)
            .field("cookies", &self.cookies.len())
            .finish_non_exhaustive()
    }
}

impl Forward {
    pub(crate) const fn new(permit: Permit, route: RouteNumber, edits: Vec<Edit<'static>>) -> Self {
        Self {
            _permit: permit,
            edits,
            forwarded: Forwarded {
                route,
                cookies: Vec::new(),
                binding: None,
                switches: false,
            },
            watched: None,
            warning: None,
        }
    }

    /// The same, of a request that asks for another protocol or does not.
    pub(crate) fn switching(mut self, switches: bool) -> Self {
        self.forwarded.switches = switches;
        self
    }

    /// The same, with `Set-Cookie` values for the answer.
    pub(crate) fn with_cookies(mut self, cookies: Vec<String>) -> Self {
        self.forwarded.cookies = cookies;
        self
    }

    /// The same, with something for the log.
    pub(crate) fn warned(self, warning: Option<String>) -> Self {
        Self { warning, ..self }
    }

    /// What is to be logged as a warning: one line, without secrets.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    pub(crate) fn watched(self, watched: Watched) -> Self {
        Self {
            watched: Some(watched),
            ..self
        }
    }

    /// What has to be watched for as long as the stream is open, see [`crate::gate::Gate::recheck`].
    pub fn take_watched(&mut self) -> Option<Watched> {
        self.watched.take()
    }

    /// The same, with what binds the cookies of a Cockpit to the visitor.
    pub(crate) fn bound(mut self, binding: Option<Binding>) -> Self {
        self.forwarded.binding = binding;
        self
    }

    /// What the answer is edited by, to be kept until it comes.
    #[must_use]
    pub const fn forwarded(&self) -> &Forwarded {
        &self.forwarded
    }

    /// `Set-Cookie` values that the answer gets.
    #[must_use]
    pub fn cookies(&self) -> &[String] {
        &self.forwarded.cookies
    }

    /// Header edits, to be done in this order.
    #[must_use]
    pub fn edits(&self) -> &[Edit<'static>] {
        &self.edits
    }
}

/// A route of the gate that named it; it means nothing to another gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteNumber(pub(crate) usize);

/// One change of a request's or an answer's headers. Names are in lower case.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Remove every header of this name.
    Remove(Cow<'a, str>),
    /// Replace every header of this name by one.
    Set(Cow<'a, str>, Cow<'a, [u8]>),
    /// Add a header beside those of this name.
    Add(Cow<'a, str>, Cow<'a, [u8]>),
}

impl<'a> Edit<'a> {
    pub(crate) fn set(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Set(name.into(), value.into())
    }

    /// The header that changes.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Remove(name) | Self::Set(name, _) | Self::Add(name, _) => name,
        }
    }
}

impl fmt::Debug for Edit<'_> {
    /// Values may be cookies and tokens: only their length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove(name) => write!(f, "Remove({name})"),
            Self::Set(name, value) => write!(f, "Set({name}, {} bytes)", value.len()),
            Self::Add(name, value) => write!(f, "Add({name}, {} bytes)", value.len()),
        }
    }
}

/// How the event of a redirect to a sign-in begins.
pub(crate) const SIGN_IN_BEGUN: &str = "sign-in begun";
/// The event of the page that leads on to a sign-in.
pub(crate) const SIGN_IN_LEFT_FOR: &str = "leaving for the sign-in";
const SIGN_IN_WAYS: [&str; 2] = [SIGN_IN_BEGUN, SIGN_IN_LEFT_FOR];

/// An answer of our own.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header lines, names in lower case; `set-cookie` may repeat.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Body; empty for redirects. The body of an answer to `HEAD` is the proxy's to leave out.
    pub body: String,
    /// What happened, for the log: one line without secrets.
    pub event: Cow<'static, str>,
}

impl fmt::Debug for Reply {
    /// Headers and body may hold sealed values and addresses with secrets in them: only the outline is shown.
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

    /// The same answer with `Set-Cookie` values. One that has any is kept out of shared caches.
    pub(crate) fn with_cookies(mut self, cookies: Vec<String>) -> Self {
        if !cookies.is_empty() {
            self.keep_private();
        }
        for line in cookies {
            self.add("set-cookie", line);
        }
        self
    }

    /// Keeps the answer out of shared caches, whatever the file says of its headers.
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

    /// Whether the log sums up many of them to one client ([`crate::refusal::repeats`]): refusals, and redirects to a sign-in. A
    /// client gets both without a session, as often as it asks. A sign-in or a sign-out is never summed up.
    #[must_use]
    pub fn is_summed_up(&self) -> bool {
        self.status >= 400 || SIGN_IN_WAYS.iter().any(|way| self.event.starts_with(way))
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

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

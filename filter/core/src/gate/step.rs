//! The next step of a request, which the proxy performs.

use std::fmt;

use crate::config::RouteNumber;
use crate::gate::Binding;
use crate::gate::open_stream::OpenStream;
use crate::gate::waiting::Waiting;
use crate::http::edit::Edit;
use crate::http::reply::Reply;
use crate::oidc::call::ProviderCall;
use crate::policy::Permit;
use crate::time::Timestamp;

/// The result of [`crate::gate::Gate::begin`] and [`Waiting::resume`]. There is no error: a failure is a reply.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Forward the request with these edits.
    Forward(Forward),
    /// Reply to the client; the upstream never sees the request.
    Reply(Reply),
    /// Send this to the identity provider, keep the request waiting, then call [`Waiting::resume`].
    Call(ProviderCall, Waiting),
    /// Provider metadata or a session refresh is pending. Retry [`crate::gate::Gate::begin`] when it completes
    /// ([`crate::oidc::provider::Absorbed::Ready`], [`crate::gate::Progress::Over`]), and call
    /// [`crate::gate::Gate::begin_without`] when the time is over.
    Hold {
        /// End of the wait.
        until: Timestamp,
    },
    /// One of the proxy's own endpoints needs the request's body. Keep the request waiting, read the whole body, and begin
    /// again with it ([`crate::http::request::Request::body`]).
    ReadBody {
        /// The longest body. If there is more, begin again with what has arrived, which is then refused.
        limit: usize,
    },
}

impl Step {
    /// The same step, with `Set-Cookie` values for the response.
    pub(crate) fn with_cookies(self, cookies: Vec<String>) -> Self {
        match self {
            Self::Forward(forward) => Self::Forward(forward.with_cookies(cookies)),
            Self::Reply(reply) => Self::Reply(reply.with_cookies(cookies)),
            other => other,
        }
    }

    /// The same step, for the account of a user.
    pub(crate) fn for_account(self, account: Option<&str>) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(reply.for_account(account)),
            other => other,
        }
    }

    /// The same step, with what a forwarded stream is rechecked by.
    pub(crate) fn with_open_stream(self, stream: impl FnOnce() -> OpenStream) -> Self {
        match self {
            Self::Forward(mut forward) => {
                forward.open_stream = Some(stream());
                Self::Forward(forward)
            }
            other => other,
        }
    }
}

/// The permission to forward a request. It exists only where a policy made a [`Permit`].
#[derive(Debug)]
pub struct Forward {
    _permit: Permit,
    edits: Vec<Edit<'static>>,
    forwarded: Forwarded,
    open_stream: Option<OpenStream>,
    warning: Option<String>,
}

/// The values by which the response to a forwarded request is edited, see [`crate::gate::Gate::edit_answer`].
#[derive(Clone)]
pub struct Forwarded {
    /// The route that was chosen.
    pub(crate) route: RouteNumber,
    /// `Set-Cookie` values to add to the response.
    pub(crate) cookies: Vec<String>,
    /// The binding of the response's cookies to the user's session, when the upstream is a Cockpit.
    pub(crate) binding: Option<Binding>,
    /// Whether the request asks for another protocol, see [`crate::gate::refuse_status`].
    pub switches: bool,
}

impl fmt::Debug for Forwarded {
    /// Shows only the number of cookies, because they are sealed sessions.
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
            open_stream: None,
            warning: None,
        }
    }

    /// The same permission, for a request that asks for another protocol or does not.
    pub(crate) fn switching(mut self, switches: bool) -> Self {
        self.forwarded.switches = switches;
        self
    }

    /// The same permission, with `Set-Cookie` values for the response.
    pub(crate) fn with_cookies(mut self, cookies: Vec<String>) -> Self {
        self.forwarded.cookies = cookies;
        self
    }

    /// The same permission, with a warning for the log.
    pub(crate) fn warned(self, warning: Option<String>) -> Self {
        Self { warning, ..self }
    }

    /// Returns the warning for the log: one line, without secrets.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Takes what has to be rechecked for as long as the stream is open, see [`crate::gate::Gate::recheck`].
    pub fn take_open_stream(&mut self) -> Option<OpenStream> {
        self.open_stream.take()
    }

    /// The same permission, with what binds a Cockpit's cookies to the user's session.
    pub(crate) fn bound(mut self, binding: Option<Binding>) -> Self {
        self.forwarded.binding = binding;
        self
    }

    /// Returns what the response is edited by. The caller keeps it until the response arrives.
    #[must_use]
    pub const fn forwarded(&self) -> &Forwarded {
        &self.forwarded
    }

    /// Returns the `Set-Cookie` values that the response gets.
    #[must_use]
    pub fn cookies(&self) -> &[String] {
        &self.forwarded.cookies
    }

    /// Returns the header edits, in the order in which they apply.
    #[must_use]
    pub fn edits(&self) -> &[Edit<'static>] {
        &self.edits
    }
}

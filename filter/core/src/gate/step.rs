//! What to do next with a request.

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
    /// Something of the provider's is on its way, its metadata or the refresh of a session: begin again when there is news
    /// ([`crate::oidc::provider::Absorbed::Ready`], [`crate::gate::Progress::Over`]), and when the time is over with
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
    watched: Option<OpenStream>,
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

    pub(crate) fn watched(self, watched: OpenStream) -> Self {
        Self {
            watched: Some(watched),
            ..self
        }
    }

    /// What has to be watched for as long as the stream is open, see [`crate::gate::Gate::recheck`].
    pub fn take_open_stream(&mut self) -> Option<OpenStream> {
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

//! The continuations of requests that wait for the provider. The reply consumes its continuation, so that no reply is
//! used twice.

mod bearer_keys;
mod provider_logout;
mod sign_in;
mod sign_out;

pub(crate) use bearer_keys::BearerKeys;
pub(crate) use provider_logout::ProviderLogout;
pub(crate) use sign_in::SignIn;
pub(crate) use sign_out::SignOut;

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::http::request::Request;
use crate::oidc::call::ProviderReply;

/// The continuation of a request that waits for the provider's reply.
#[must_use]
pub struct Waiting(Box<Flow>);

/// The kinds of continuations.
pub(crate) enum Flow {
    /// A sign-in.
    SignIn(Box<SignIn>),
    /// A request whose bearer token names an unknown key.
    BearerKeys(BearerKeys),
    /// A sign-out.
    SignOut(SignOut),
    /// A logout token that names an unknown key.
    ProviderLogout(ProviderLogout),
}

impl Waiting {
    /// Creates the continuation of a flow.
    pub(crate) fn on(flow: Flow) -> Self {
        Self(Box::new(flow))
    }

    /// Whether the reply is the provider's keys.
    pub(crate) fn is_awaiting_keys(&self) -> bool {
        match &*self.0 {
            Flow::SignIn(sign_in) => sign_in.is_awaiting_keys(),
            Flow::BearerKeys(_) | Flow::ProviderLogout(_) => true,
            Flow::SignOut(_) => false,
        }
    }

    /// Goes on with the provider's reply. `request` is the request that waits, as it was at the beginning.
    pub fn resume(
        self,
        gate: &Gate,
        request: &Request<'_>,
        reply: &ProviderReply<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        match *self.0 {
            Flow::SignIn(sign_in) => sign_in.resume(gate, request, reply, env),
            Flow::BearerKeys(waiting) => waiting.resume(gate, request, reply, env),
            Flow::SignOut(sign_out) => sign_out.resume(reply),
            Flow::ProviderLogout(logout) => logout.resume(gate, reply, env),
        }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting(..)")
    }
}

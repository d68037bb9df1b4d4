//! A program's token names a key that was not known, and the keys have been fetched again.

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::http::request::Request;
use crate::oidc::call::ProviderReply;

/// A request that is decided about anew when the keys have come.
pub(crate) struct BearerKeys;

impl BearerKeys {
    /// Goes on with the provider's answer. Keys are fetched once a minute at most, so that this does not go round.
    pub(super) fn resume(
        self,
        gate: &Gate,
        request: &Request<'_>,
        reply: &ProviderReply<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        gate.absorb_keys(reply, env);
        gate.begin_without(request, env)
    }
}

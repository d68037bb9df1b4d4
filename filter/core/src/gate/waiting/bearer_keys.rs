//! A request with a bearer token whose key is not known, while the provider's keys are being fetched again.

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::http::request::Request;
use crate::oidc::call::ProviderReply;

/// A request that is decided about again when the keys have come.
pub(crate) struct BearerKeys;

impl BearerKeys {
    /// Goes on with the provider's reply. Keys are fetched once a minute at most, so that the request does not wait
    /// again.
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

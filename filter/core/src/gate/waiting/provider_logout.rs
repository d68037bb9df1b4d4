//! A logout token whose key is not known, while the provider's keys are being fetched again.

use std::net::IpAddr;

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::oidc::call::ProviderReply;

/// A logout token that is verified again when the keys have come.
pub(crate) struct ProviderLogout {
    token: String,
    client: Option<IpAddr>,
}

impl ProviderLogout {
    /// Creates a logout with its token and the address of the client that has sent it.
    pub(crate) const fn new(token: String, client: Option<IpAddr>) -> Self {
        Self { token, client }
    }

    /// Goes on with the provider's reply.
    pub(super) fn resume(self, gate: &Gate, reply: &ProviderReply<'_>, env: &mut Env<'_>) -> Step {
        gate.absorb_keys(reply, env);
        gate.end_by_new_keys(&self.token, self.client, env)
    }
}

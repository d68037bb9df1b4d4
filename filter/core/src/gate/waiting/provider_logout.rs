//! A logout token that waits for the provider's new keys.

use std::net::IpAddr;

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::oidc::call::ProviderReply;

/// A logout token whose key is not known.
pub(crate) struct ProviderLogout {
    token: String,
    client: Option<IpAddr>,
}

impl ProviderLogout {
    /// A token for which the keys are being fetched again, and who sent it.
    pub(crate) const fn new(token: String, client: Option<IpAddr>) -> Self {
        Self { token, client }
    }

    /// Goes on with the provider's answer.
    pub(super) fn resume(self, gate: &Gate, reply: &ProviderReply<'_>, env: &mut Env<'_>) -> Step {
        gate.absorb_keys(reply, env);
        gate.end_by_new_keys(&self.token, self.client, env)
    }
}

//! A sign-out that waits until the provider has revoked the refresh token.

use crate::gate::step::Step;
use crate::http::reply::Reply;
use crate::oidc::call::ProviderReply;

/// A sign-out whose session has ended here already.
pub(crate) struct SignOut {
    reply: Reply,
}

impl SignOut {
    /// Creates a sign-out with the reply that the user gets in any case.
    pub(crate) const fn new(reply: Reply) -> Self {
        Self { reply }
    }

    /// Goes on with the provider's reply.
    pub(super) fn resume(self, reply: &ProviderReply<'_>) -> Step {
        let mut answer = self.reply;
        if reply.status != 200 {
            let why = format!("; the refresh token could not be revoked: {}", reply.status);
            answer.event.to_mut().push_str(&why);
        }
        Step::Reply(answer)
    }
}

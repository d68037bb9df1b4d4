//! A sign-out that waits until the provider has taken the refresh token back.

use crate::gate::step::Step;
use crate::http::reply::Reply;
use crate::oidc::call::ProviderReply;

/// A sign-out that is done here, whatever the provider answers.
pub(crate) struct SignOut {
    reply: Reply,
}

impl SignOut {
    /// A sign-out with the answer that its visitor gets in any case.
    pub(crate) const fn new(reply: Reply) -> Self {
        Self { reply }
    }

    /// Goes on with the provider's answer.
    pub(super) fn resume(self, reply: &ProviderReply<'_>) -> Step {
        let mut answer = self.reply;
        if reply.status != 200 {
            let why = format!("; the refresh token could not be revoked: {}", reply.status);
            answer.event.to_mut().push_str(&why);
        }
        Step::Reply(answer)
    }
}

//! A sign-in attempt: what the browser keeps from the redirect to the provider until the callback.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::env::{Env, NoRandomness};
use crate::limits::{ATTEMPT_KEPT, ATTEMPT_LIFETIME};
use crate::session::seal::{Purpose, Sealer};
use crate::time::Timestamp;

/// Longest return address that is kept. A longer one leads to `/`. The limit keeps Jetway's cookies in a browser below 8
/// KB.
const MAX_RETURN: usize = 1024;

/// A sign-in attempt. `state`, `nonce` and the PKCE verifier derive from one random seed, which keeps the cookie small.
#[derive(Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// The attempt's id, which is also the first part of `state` and the end of the cookie's name.
    #[serde(skip)]
    id: String,
    #[serde(rename = "k")]
    seed: String,
    /// The path and query to return to afterwards, on the same origin.
    #[serde(rename = "r")]
    return_to: String,
    #[serde(rename = "t")]
    begun_at: u64,
    /// Whether the attempt replaces one that took too long.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    is_second: bool,
    /// Whether the provider is to ask the user for an account, although it may still have a session.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    is_for_other_account: bool,
}

impl Attempt {
    /// Begins an attempt that returns to `return_to`, a canonical path with its query.
    ///
    /// # Errors
    /// Returns [`NoRandomness`] without randomness.
    pub fn begin(return_to: &str, env: &mut Env<'_>) -> Result<Self, NoRandomness> {
        let return_to = if return_to.len() <= MAX_RETURN {
            return_to
        } else {
            "/"
        };
        Ok(Self {
            id: env.token::<9>()?,
            seed: env.token::<32>()?,
            return_to: return_to.to_owned(),
            begun_at: env.now.0,
            is_second: false,
            is_for_other_account: false,
        })
    }

    /// The same attempt for another account than that of the provider's session, if it has one.
    #[must_use]
    pub fn for_other_account(self) -> Self {
        Self {
            is_for_other_account: true,
            ..self
        }
    }

    /// Whether the provider is to ask the user for an account, although it may still have a session.
    #[must_use]
    pub const fn is_for_other_account(&self) -> bool {
        self.is_for_other_account
    }

    /// Begins an attempt that replaces this one, which took too long.
    ///
    /// # Errors
    /// Returns [`NoRandomness`] without randomness.
    pub fn again(&self, env: &mut Env<'_>) -> Result<Self, NoRandomness> {
        Ok(Self {
            is_second: true,
            is_for_other_account: self.is_for_other_account,
            ..Self::begin(&self.return_to, env)?
        })
    }

    /// Whether this attempt replaces one that took too long. Such an attempt is not replaced itself: a wrong clock must
    /// not redirect a browser for ever.
    #[must_use]
    pub const fn is_second(&self) -> bool {
        self.is_second
    }

    /// Whether the user took too long. Such an attempt begins no session, and only has the address to return to.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.begun_at()) >= ATTEMPT_LIFETIME
    }

    /// Returns the attempt's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns when the attempt began.
    #[must_use]
    pub const fn begun_at(&self) -> Timestamp {
        Timestamp(self.begun_at)
    }

    /// Returns the path and query to return to.
    #[must_use]
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    /// Returns the `state` of the authorization request: the id, by which a callback finds its cookie, and a secret that
    /// proves the callback.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}.{}", self.id, self.derive("state"))
    }

    /// Returns the `nonce` of the authorization request.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// Returns the secret that proves that this browser has asked for a ticket of the sign-in host.
    #[must_use]
    pub(crate) fn ticket_secret(&self) -> String {
        self.derive("ticket")
    }

    /// Returns the PKCE code verifier (RFC 7636 section 4.1).
    #[must_use]
    pub fn verifier(&self) -> String {
        self.derive("verifier")
    }

    /// Returns the PKCE code challenge of the method S256.
    #[must_use]
    pub fn challenge(&self) -> String {
        hash_s256(&self.verifier())
    }

    fn derive(&self, what: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{what} {}", self.seed).as_bytes()))
    }

    /// Seals the attempt as the cookie's value.
    ///
    /// # Errors
    /// Returns [`NoRandomness`] without randomness.
    pub fn seal(
        &self,
        sealer: &Sealer,
        host: &str,
        env: &mut Env<'_>,
    ) -> Result<String, NoRandomness> {
        let plaintext = serde_json::to_vec(self).map_err(|_| NoRandomness)?;
        sealer.seal(
            Purpose::Attempt,
            &seal_scope(host, &self.id),
            &plaintext,
            env,
        )
    }

    /// Opens the attempt in the cookie of `id`. `None` unless it was sealed for this host and id and is recent enough.
    /// The user may have taken too long, see [`Attempt::is_over`].
    #[must_use]
    pub fn open(
        sealer: &Sealer,
        host: &str,
        id: &str,
        sealed: &[u8],
        now: Timestamp,
    ) -> Option<Self> {
        let opened = sealer.open(Purpose::Attempt, &seal_scope(host, id), sealed)?;
        let attempt: Self = serde_json::from_slice(&opened.plaintext).ok()?;
        let is_kept = now.since(attempt.begun_at()) < ATTEMPT_KEPT
            && attempt.begun_at <= now.0 + crate::limits::LEEWAY;
        is_kept.then(|| Self {
            id: id.to_owned(),
            ..attempt
        })
    }
}

fn hash_s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Names what an attempt is sealed for. It has the id, so that an attempt cannot be moved to another one's cookie.
fn seal_scope(host: &str, id: &str) -> String {
    format!("{host} {id}")
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::testing::Fixture;

    #[test]
    fn survives_the_cookie() {
        let mut fixture = Fixture::new();
        let sealer = Sealer::new(&Secret::new(vec![3; 32]), &[]);
        let attempt = Attempt::begin("/a?b", &mut fixture.env()).unwrap();
        let sealed = attempt
            .seal(&sealer, "app.test", &mut fixture.env())
            .unwrap();
        assert!(sealed.len() < 350, "{} bytes", sealed.len());
        let open = |host, id, now| Attempt::open(&sealer, host, id, sealed.as_bytes(), now);
        let opened = open("app.test", attempt.id(), fixture.now).unwrap();
        assert_eq!(
            (opened.state(), opened.return_to()),
            (attempt.state(), "/a?b")
        );
        assert!(open("b.test", attempt.id(), fixture.now).is_none());
        assert!(open("app.test", "other", fixture.now).is_none());
        for (age, is_over) in [
            (ATTEMPT_LIFETIME - 1, Some(false)),
            (ATTEMPT_LIFETIME, Some(true)),
            (ATTEMPT_KEPT - 1, Some(true)),
            (ATTEMPT_KEPT, None),
        ] {
            let now = fixture.now.plus(age);
            let opened = open("app.test", attempt.id(), now);
            let found = opened.map(|attempt| attempt.is_over(now));
            assert_eq!(found, is_over, "{age} s");
        }
    }

    #[test]
    fn begins_again_once() {
        let mut fixture = Fixture::new();
        let first = Attempt::begin("/a?b", &mut fixture.env()).unwrap();
        let second = first.again(&mut fixture.env()).unwrap();
        assert_eq!(second.return_to(), "/a?b");
        assert_ne!(second.state(), first.state());
        let sealer = Sealer::new(&Secret::new(vec![3; 32]), &[]);
        let sealed = second
            .seal(&sealer, "app.test", &mut fixture.env())
            .unwrap();
        let kept = Attempt::open(
            &sealer,
            "app.test",
            second.id(),
            sealed.as_bytes(),
            fixture.now,
        );
        assert!(kept.unwrap().is_second() && !first.is_second());
    }

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        assert_eq!(
            hash_s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn derived_values_differ_and_long_addresses_are_dropped() {
        let attempt = Attempt::begin(
            &format!("/{}", "a".repeat(MAX_RETURN)),
            &mut Fixture::new().env(),
        )
        .unwrap();
        assert_eq!(attempt.return_to(), "/");
        assert_ne!(attempt.nonce(), attempt.verifier());
        assert_eq!(
            attempt.verifier().len(),
            43,
            "RFC 7636 requires 43 to 128 characters"
        );
        assert!(!format!("{attempt:?}").contains(&attempt.seed));
    }
}

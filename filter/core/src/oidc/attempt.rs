//! One sign-in that has begun: what the browser keeps until the callback.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::env::{Env, NoRandomness};
use crate::limits::{ATTEMPT_KEPT, ATTEMPT_LIFETIME};
use crate::session::seal::{Purpose, Sealer};
use crate::time::Timestamp;

/// Longest return address that is remembered; longer ones lead to `/`. Keeps a browser's cookies of ours below 8 KB.
const MAX_RETURN: usize = 1024;

/// A sign-in attempt. `state`, `nonce` and the PKCE verifier all derive from one random seed, which keeps the cookie small.
#[derive(Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// Name of the attempt, also the first part of `state` and the end of the cookie's name.
    #[serde(skip)]
    id: String,
    #[serde(rename = "k")]
    seed: String,
    /// Path and query to go to afterwards, on the same origin.
    #[serde(rename = "r")]
    return_to: String,
    #[serde(rename = "t")]
    begun_at: u64,
    /// Whether it stands in for one that took too long.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    is_second: bool,
}

impl Attempt {
    /// Begins an attempt that shall end at `return_to`, a canonical path with its query.
    ///
    /// # Errors
    /// Without randomness.
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
        })
    }

    /// Begins another attempt in the place of this one, which took too long.
    ///
    /// # Errors
    /// Without randomness.
    pub fn again(&self, env: &mut Env<'_>) -> Result<Self, NoRandomness> {
        Ok(Self {
            is_second: true,
            ..Self::begin(&self.return_to, env)?
        })
    }

    /// Whether this attempt stands in for one that took too long. It is not begun again itself: a clock that is wrong must
    /// not send a browser in circles.
    #[must_use]
    pub const fn is_second(&self) -> bool {
        self.is_second
    }

    /// Whether the person took too long: such an attempt opens no session, and only tells where it should have ended.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.begun_at()) >= ATTEMPT_LIFETIME
    }

    /// The attempt's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it began.
    #[must_use]
    pub const fn begun_at(&self) -> Timestamp {
        Timestamp(self.begun_at)
    }

    /// Where to go afterwards.
    #[must_use]
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    /// `state` of the authorization request: the name and a secret, so that a callback finds its cookie and proves itself.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}.{}", self.id, self.derive("state"))
    }

    /// `nonce` of the authorization request.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// What proves to the sign-in host's ticket that this browser asked for it.
    #[must_use]
    pub(crate) fn ticket_secret(&self) -> String {
        self.derive("ticket")
    }

    /// PKCE code verifier (RFC 7636 section 4.1).
    #[must_use]
    pub fn verifier(&self) -> String {
        self.derive("verifier")
    }

    /// PKCE code challenge, S256.
    #[must_use]
    pub fn challenge(&self) -> String {
        s256(&self.verifier())
    }

    fn derive(&self, what: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{what} {}", self.seed).as_bytes()))
    }

    /// The cookie's value.
    ///
    /// # Errors
    /// Without randomness.
    pub fn seal(
        &self,
        sealer: &Sealer,
        host: &str,
        env: &mut Env<'_>,
    ) -> Result<String, NoRandomness> {
        let plaintext = serde_json::to_vec(self).map_err(|_| NoRandomness)?;
        sealer.seal(Purpose::Attempt, &scope(host, &self.id), &plaintext, env)
    }

    /// The attempt in a cookie named after `id`, when it was sealed for this host and name and is still kept. It may be
    /// over, see [`Attempt::is_over`].
    #[must_use]
    pub fn open(
        sealer: &Sealer,
        host: &str,
        id: &str,
        sealed: &[u8],
        now: Timestamp,
    ) -> Option<Self> {
        let opened = sealer.open(Purpose::Attempt, &scope(host, id), sealed)?;
        let attempt: Self = serde_json::from_slice(&opened.plaintext).ok()?;
        let is_kept = now.since(attempt.begun_at()) < ATTEMPT_KEPT
            && attempt.begun_at <= now.0 + crate::limits::LEEWAY;
        is_kept.then(|| Self {
            id: id.to_owned(),
            ..attempt
        })
    }
}

fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// The name is authenticated as well: an attempt cannot be moved under another's name.
fn scope(host: &str, id: &str) -> String {
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
            let told = opened.map(|attempt| attempt.is_over(now));
            assert_eq!(told, is_over, "{age} s");
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
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
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
            "RFC 7636 wants 43 to 128 characters"
        );
        assert!(!format!("{attempt:?}").contains(&attempt.seed));
    }
}

//! The environment of a decision: the time, random bytes, and the data that the workers of a process share.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::store::SharedData;
use crate::time::Timestamp;

/// The random source failed. A request that needed it must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct NoRandomness;

/// Fills a slice with cryptographically secure random bytes.
pub type Random<'a> = dyn FnMut(&mut [u8]) -> Result<(), NoRandomness> + 'a;

/// Time, randomness and shared data of one decision.
pub struct Env<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// The random source.
    pub random: &'a mut Random<'a>,
    /// The data that the workers of this process share.
    pub shared: &'a dyn SharedData,
}

impl Env<'_> {
    /// Draws random bytes.
    ///
    /// # Errors
    /// The source fails.
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        (self.random)(&mut bytes)?;
        Ok(bytes)
    }

    /// Draws `N` random bytes and returns them as unpadded base64url, which is valid in URLs, cookie values and cookie names.
    ///
    /// # Errors
    /// The source fails.
    pub fn token<const N: usize>(&mut self) -> Result<String, NoRandomness> {
        Ok(URL_SAFE_NO_PAD.encode(self.bytes::<N>()?))
    }
}

//! Repeatable random numbers.

use anyhow::{Context as _, Result};

/// Environment variable with the seed of an earlier run.
const SEED: &str = "JETWAY_TEST_SEED";

/// A small generator of pseudo-random numbers (SplitMix64), the same for the same seed everywhere.
#[derive(Debug)]
pub struct Dice {
    /// The seed; `JETWAY_TEST_SEED` repeats it.
    pub seed: u64,
    state: u64,
}

impl Dice {
    /// Starts with `JETWAY_TEST_SEED`, or with a new seed.
    ///
    /// # Errors
    /// Returns an error when the variable is not a number, or the system has no random bytes to give.
    pub fn cast() -> Result<Self> {
        let seed = match std::env::var(SEED) {
            Ok(text) => text
                .parse()
                .with_context(|| format!("`{SEED}` is no number"))?,
            Err(_) => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes)?;
                u64::from_le_bytes(bytes)
            }
        };
        Ok(Self::from_seed(seed))
    }

    /// Begins with this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// Returns a number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// Returns one of these items, of which there must be one.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Returns true once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

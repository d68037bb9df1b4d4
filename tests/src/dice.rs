//! Chance that can be repeated.

use anyhow::{Context as _, Result};

/// Environment variable with the seed of an earlier run.
const SEED: &str = "JETWAY_TEST_SEED";

/// A small generator of pseudo-random numbers (SplitMix64), the same for the same seed everywhere.
#[derive(Debug)]
pub struct Dice {
    /// What it began with; `JETWAY_TEST_SEED` repeats it.
    pub seed: u64,
    state: u64,
}

impl Dice {
    /// Begins with `JETWAY_TEST_SEED`, or with a new seed.
    ///
    /// # Errors
    /// When the variable is no number, or the system gives no random bytes.
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

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// One of these, which are not none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

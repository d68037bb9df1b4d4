//! Truth values with reasons, and how operators combine them.

use crate::policy::reason::Reasons;

/// A truth value with the reasons for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) holds: bool,
    pub(super) reasons: Reasons,
}

impl Verdict {
    /// Returns the opposite truth value for the same reasons.
    pub(super) fn negate(self) -> Self {
        Self {
            holds: !self.holds,
            ..self
        }
    }
}

/// Returns true with the reasons of the true verdicts, or false with the reasons of all.
pub(super) fn any(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let (mut holding, mut failing, mut holds) = (Reasons::NONE, Reasons::NONE, false);
    for verdict in verdicts {
        if verdict.holds {
            holds = true;
            holding = holding.and(verdict.reasons);
        } else {
            failing = failing.and(verdict.reasons);
        }
    }
    Verdict {
        holds,
        reasons: if holds { holding } else { failing },
    }
}

/// Returns true with the reasons of all verdicts, or false with the reasons of the false ones.
pub(super) fn all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    any(verdicts.map(Verdict::negate)).negate()
}

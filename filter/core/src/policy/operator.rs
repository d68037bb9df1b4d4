//! The operators that combine criteria.

/// Combines the criteria of one term into one truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// All criteria hold.
    And,
    /// At least one criterion holds.
    Or,
    /// No criterion holds.
    Not,
    /// At least one criterion does not hold.
    Nor,
}

impl Operator {
    /// Every operator, in the order in which the documentation lists them.
    pub const ALL: &'static [Self] = &[Self::And, Self::Or, Self::Not, Self::Nor];

    /// Returns the operator with this name, which must be in lower case.
    pub(super) fn with_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|operator| operator.name() == name)
    }

    /// Returns the operator's name in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            Self::Nor => "nor",
        }
    }

    /// Describes in one sentence, without a final period, when the operator holds.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::And => "All of the criteria hold",
            Self::Or => "At least one of the criteria holds",
            Self::Not => "None of the criteria holds",
            Self::Nor => "At least one of the criteria does not hold",
        }
    }
}

//! Comparing one text with constants of the policy.

use crate::session::lower_case_domain;

/// Conditions on a text; all of them must hold. With no condition every text fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StringMatcher {
    pub(super) conditions: Vec<Condition>,
}

/// One condition of a [`StringMatcher`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// Equal to this text.
    Is(String),
    /// Different from this text.
    Not(String),
    /// Equal to something that is not a text, which no text is: `false`, or with `not`, `true`.
    Never,
    /// Begins with this text.
    StartsWith(String),
    /// Ends with this text.
    EndsWith(String),
    /// Has this text in it.
    Contains(String),
    /// An address that has this text in it, or its second, lower-case spelling in the domain.
    AddressContains(String, String),
    /// One of these; see [`sorted`].
    In(Vec<String>),
    /// None of these; see [`sorted`].
    NotIn(Vec<String>),
}

impl StringMatcher {
    /// Fits one text only.
    pub(super) fn is(text: String) -> Self {
        Self {
            conditions: vec![Condition::Is(text)],
        }
    }

    /// The same conditions on addresses, in whose domains case does not matter: sessions keep those in lower case.
    pub(super) fn about_addresses(self) -> Self {
        let conditions = self.conditions.into_iter();
        Self {
            conditions: conditions.map(Condition::about_address).collect(),
        }
    }

    /// Whether each condition is met by one of the texts, not necessarily by the same one.
    #[must_use]
    pub(super) fn fits_across(&self, texts: &[String]) -> bool {
        self.conditions
            .iter()
            .all(|condition| texts.iter().any(|text| condition.holds(text)))
    }

    /// Whether `text` fits, byte for byte.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(text))
    }
}

impl Condition {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Is(constant) => text == constant,
            Self::Not(constant) => text != constant,
            Self::Never => false,
            Self::StartsWith(constant) => text.starts_with(constant.as_str()),
            Self::EndsWith(constant) => text.ends_with(constant.as_str()),
            Self::Contains(constant) => text.contains(constant.as_str()),
            Self::AddressContains(constant, lower) => {
                let domain = text.rsplit_once('@').map_or("", |(_, domain)| domain);
                text.contains(constant.as_str()) || domain.contains(lower.as_str())
            }
            Self::In(constants) => is_among(constants, text),
            Self::NotIn(constants) => !is_among(constants, text),
        }
    }

    fn about_address(self) -> Self {
        match self {
            // An end without an `@` is an end of the domain.
            Self::EndsWith(end) if !end.contains('@') => Self::EndsWith(end.to_ascii_lowercase()),
            Self::Contains(part)
                if !part.contains('@') && part.bytes().any(|byte| byte.is_ascii_uppercase()) =>
            {
                let lower = part.to_ascii_lowercase();
                Self::AddressContains(part, lower)
            }
            other => other.map(lower_case_domain),
        }
    }

    /// Applies `fold` to each constant.
    pub(super) fn map(self, fold: impl Fn(String) -> String) -> Self {
        match self {
            Self::Is(constant) => Self::Is(fold(constant)),
            Self::Not(constant) => Self::Not(fold(constant)),
            Self::Never => Self::Never,
            Self::StartsWith(constant) => Self::StartsWith(fold(constant)),
            Self::EndsWith(constant) => Self::EndsWith(fold(constant)),
            Self::Contains(constant) => Self::Contains(fold(constant)),
            Self::AddressContains(constant, lower) => Self::AddressContains(constant, lower),
            Self::In(constants) => Self::In(sorted(constants.into_iter().map(fold))),
            Self::NotIn(constants) => Self::NotIn(sorted(constants.into_iter().map(fold))),
        }
    }
}

/// Constants in order and without repetition, so that a list of thousands costs a request nothing.
fn sorted(constants: impl Iterator<Item = String>) -> Vec<String> {
    let mut constants: Vec<String> = constants.collect();
    constants.sort_unstable();
    constants.dedup();
    constants
}

fn is_among(sorted: &[String], text: &str) -> bool {
    sorted
        .binary_search_by(|constant| constant.as_str().cmp(text))
        .is_ok()
}

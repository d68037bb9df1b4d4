//! Why a criterion held or not, in the words of Pomerium's log.

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// `accept` always holds.
    Accept,
    /// `reject` never holds.
    Reject,
    /// The domain fits.
    DomainOk,
    /// The domain does not fit.
    DomainUnauthorized,
    /// The address fits.
    EmailOk,
    /// The address does not fit.
    EmailUnauthorized,
    /// Somebody is signed in.
    UserOk,
    /// Nobody is signed in, and the criterion asks who it is.
    UserUnauthenticated,
    /// Somebody is signed in, but not somebody with a user id.
    UserUnauthorized,
}

const ALL: [Reason; 9] = [
    Reason::Accept,
    Reason::Reject,
    Reason::DomainOk,
    Reason::DomainUnauthorized,
    Reason::EmailOk,
    Reason::EmailUnauthorized,
    Reason::UserOk,
    Reason::UserUnauthenticated,
    Reason::UserUnauthorized,
];

impl Reason {
    /// The word in logs and explanations.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::DomainOk => "domain-ok",
            Self::DomainUnauthorized => "domain-unauthorized",
            Self::EmailOk => "email-ok",
            Self::EmailUnauthorized => "email-unauthorized",
            Self::UserOk => "user-ok",
            Self::UserUnauthenticated => "user-unauthenticated",
            Self::UserUnauthorized => "user-unauthorized",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u32);

impl Reasons {
    /// No reason at all.
    pub const NONE: Self = Self(0);

    /// Just this one.
    #[must_use]
    pub const fn one(reason: Reason) -> Self {
        Self(reason.bit())
    }

    /// The reasons of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a reason is among them.
    #[must_use]
    pub const fn contains(self, reason: Reason) -> bool {
        self.0 & reason.bit() != 0
    }

    /// The reasons, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        ALL.into_iter().filter(move |&reason| self.contains(reason))
    }
}

impl std::fmt::Display for Reasons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, reason) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            f.write_str(reason.word())?;
        }
        Ok(())
    }
}

//! Why a criterion holds or does not hold, in the words of Pomerium's log.

macro_rules! reasons {
    ($($(#[$about:meta])+ $reason:ident => $word:literal,)+) => {
        /// One reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$about])+ $reason,)+
        }

        impl Reason {
            /// Every reason, in the order in which a set of reasons is printed.
            const ALL: &'static [Self] = &[$(Self::$reason,)+];

            /// Returns the word for logs and explanations.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$reason => $word,)+
                }
            }
        }
    };
}

reasons! {
    /// `accept` always holds.
    Accept => "accept",
    /// `reject` never holds.
    Reject => "reject",
    /// The claim matches.
    ClaimOk => "claim-ok",
    /// The claim does not match.
    ClaimUnauthorized => "claim-unauthorized",
    /// The client's certificate matches.
    ClientCertificateOk => "client-certificate-ok",
    /// A client certificate is required, and the client sent none.
    ClientCertificateRequired => "client-certificate-required",
    /// The client's certificate does not match, or the client has no valid one.
    ClientCertificateUnauthorized => "client-certificate-unauthorized",
    /// The request is a CORS preflight.
    CorsRequest => "cors-request",
    /// The time is within the period.
    DateOk => "date-ok",
    /// The time is outside the period.
    DateUnauthorized => "date-unauthorized",
    /// Today is one of the days.
    DayOfWeekOk => "day-of-week-ok",
    /// Today is none of the days.
    DayOfWeekUnauthorized => "day-of-week-unauthorized",
    /// The email domain matches.
    DomainOk => "domain-ok",
    /// The email domain does not match.
    DomainUnauthorized => "domain-unauthorized",
    /// The email address matches.
    EmailOk => "email-ok",
    /// The email address does not match.
    EmailUnauthorized => "email-unauthorized",
    /// The groups match.
    GroupsOk => "groups-ok",
    /// The groups do not match.
    GroupsUnauthorized => "groups-unauthorized",
    /// The method matches.
    HttpMethodOk => "http-method-ok",
    /// The method does not match.
    HttpMethodUnauthorized => "http-method-unauthorized",
    /// The path matches.
    HttpPathOk => "http-path-ok",
    /// The path does not match.
    HttpPathUnauthorized => "http-path-unauthorized",
    /// The client's certificate is not valid.
    InvalidClientCertificate => "invalid-client-certificate",
    /// The request is not a CORS preflight.
    NonCorsRequest => "non-cors-request",
    /// The request is not for one of the proxy's own pages.
    NonPomeriumRoute => "non-pomerium-route",
    /// The request is for one of the proxy's own pages.
    PomeriumRoute => "pomerium-route",
    /// The client's address is in one of the networks.
    SourceIpOk => "source-ip-ok",
    /// The client's address is in none of the networks.
    SourceIpUnauthorized => "source-ip-unauthorized",
    /// The time of day is within the window.
    TimeOfDayOk => "time-of-day-ok",
    /// The time of day is outside the window.
    TimeOfDayUnauthorized => "time-of-day-unauthorized",
    /// The user is signed in and matches.
    UserOk => "user-ok",
    /// The criterion is about the user, and no user is signed in.
    UserUnauthenticated => "user-unauthenticated",
    /// The user is signed in and does not match.
    UserUnauthorized => "user-unauthorized",
    /// The client's certificate is valid, or none is required.
    ValidClientCertificate => "valid-client-certificate",
}

impl Reason {
    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u64);

impl Reasons {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Returns the set of one reason.
    #[must_use]
    pub const fn one(reason: Reason) -> Self {
        Self(reason.bit())
    }

    /// Returns the union of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether the set contains a reason.
    #[must_use]
    pub const fn contains(self, reason: Reason) -> bool {
        self.0 & reason.bit() != 0
    }

    /// Returns the reasons, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL
            .iter()
            .copied()
            .filter(move |&reason| self.contains(reason))
    }
}

impl std::fmt::Display for Reasons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, reason) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(reason.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_bit_and_word() {
        assert!(Reason::ALL.len() <= 64, "a set has 64 bits");
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "{}", reason.word());
            let same = |other: &&Reason| other.word() == reason.word();
            assert_eq!(Reason::ALL.iter().filter(same).count(), 1);
        }
    }
}

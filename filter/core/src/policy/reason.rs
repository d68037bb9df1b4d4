//! Why a criterion held or not, in the words of Pomerium's log.

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// `accept` always holds.
    Accept,
    /// `reject` never holds.
    Reject,
    /// The claim fits.
    ClaimOk,
    /// The claim does not fit.
    ClaimUnauthorized,
    /// The client's certificate fits.
    ClientCertificateOk,
    /// A certificate is asked for and none was shown.
    ClientCertificateRequired,
    /// The client's certificate does not fit, or there is no valid one.
    ClientCertificateUnauthorized,
    /// A CORS preflight.
    CorsRequest,
    /// Within the span of time.
    DateOk,
    /// Outside the span of time.
    DateUnauthorized,
    /// One of the days.
    DayOfWeekOk,
    /// Another day.
    DayOfWeekUnauthorized,
    /// The domain fits.
    DomainOk,
    /// The domain does not fit.
    DomainUnauthorized,
    /// The address fits.
    EmailOk,
    /// The address does not fit.
    EmailUnauthorized,
    /// The groups fit.
    GroupsOk,
    /// The groups do not fit.
    GroupsUnauthorized,
    /// The method fits.
    HttpMethodOk,
    /// The method does not fit.
    HttpMethodUnauthorized,
    /// The path fits.
    HttpPathOk,
    /// The path does not fit.
    HttpPathUnauthorized,
    /// The client's certificate is not valid.
    InvalidClientCertificate,
    /// Not a CORS preflight.
    NonCorsRequest,
    /// Not one of the proxy's own pages.
    NonPomeriumRoute,
    /// One of the proxy's own pages.
    PomeriumRoute,
    /// The client comes from one of the networks.
    SourceIpOk,
    /// The client comes from elsewhere.
    SourceIpUnauthorized,
    /// Within the part of the day.
    TimeOfDayOk,
    /// Outside the part of the day.
    TimeOfDayUnauthorized,
    /// Somebody is signed in, and fits.
    UserOk,
    /// Nobody is signed in, and the criterion asks who it is.
    UserUnauthenticated,
    /// Somebody is signed in, and does not fit.
    UserUnauthorized,
    /// The client's certificate is valid, or none is asked for.
    ValidClientCertificate,
}

/// Every reason, in the order of its declaration, with the word for logs and explanations.
const WORDS: [(Reason, &str); 34] = [
    (Reason::Accept, "accept"),
    (Reason::Reject, "reject"),
    (Reason::ClaimOk, "claim-ok"),
    (Reason::ClaimUnauthorized, "claim-unauthorized"),
    (Reason::ClientCertificateOk, "client-certificate-ok"),
    (
        Reason::ClientCertificateRequired,
        "client-certificate-required",
    ),
    (
        Reason::ClientCertificateUnauthorized,
        "client-certificate-unauthorized",
    ),
    (Reason::CorsRequest, "cors-request"),
    (Reason::DateOk, "date-ok"),
    (Reason::DateUnauthorized, "date-unauthorized"),
    (Reason::DayOfWeekOk, "day-of-week-ok"),
    (Reason::DayOfWeekUnauthorized, "day-of-week-unauthorized"),
    (Reason::DomainOk, "domain-ok"),
    (Reason::DomainUnauthorized, "domain-unauthorized"),
    (Reason::EmailOk, "email-ok"),
    (Reason::EmailUnauthorized, "email-unauthorized"),
    (Reason::GroupsOk, "groups-ok"),
    (Reason::GroupsUnauthorized, "groups-unauthorized"),
    (Reason::HttpMethodOk, "http-method-ok"),
    (Reason::HttpMethodUnauthorized, "http-method-unauthorized"),
    (Reason::HttpPathOk, "http-path-ok"),
    (Reason::HttpPathUnauthorized, "http-path-unauthorized"),
    (
        Reason::InvalidClientCertificate,
        "invalid-client-certificate",
    ),
    (Reason::NonCorsRequest, "non-cors-request"),
    (Reason::NonPomeriumRoute, "non-pomerium-route"),
    (Reason::PomeriumRoute, "pomerium-route"),
    (Reason::SourceIpOk, "source-ip-ok"),
    (Reason::SourceIpUnauthorized, "source-ip-unauthorized"),
    (Reason::TimeOfDayOk, "time-of-day-ok"),
    (Reason::TimeOfDayUnauthorized, "time-of-day-unauthorized"),
    (Reason::UserOk, "user-ok"),
    (Reason::UserUnauthenticated, "user-unauthenticated"),
    (Reason::UserUnauthorized, "user-unauthorized"),
    (Reason::ValidClientCertificate, "valid-client-certificate"),
];

impl Reason {
    /// The word in logs and explanations.
    #[must_use]
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(reason, _)| *reason == self)
            .map_or("", |(_, word)| word)
    }

    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u64);

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
        WORDS
            .into_iter()
            .map(|(reason, _)| reason)
            .filter(move |&reason| self.contains(reason))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place_and_word() {
        for (place, (reason, word)) in WORDS.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{word}");
            assert_eq!(reason.word(), word);
        }
    }
}

//! Pages for requests that fail although they are permitted, because the application or the module does not respond. They are
//! the same in every proxy.

use crate::http::page::ADDRESS;

/// The reason why a permitted request gets no response of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// The upstream sends an invalid response.
    BadAnswer,
    /// The upstream already has the maximum number of requests.
    Overloaded,
    /// No connection to the upstream can be made.
    Unreachable,
    /// The upstream does not respond in time.
    TooSlow,
    /// The module cannot decide, or its decision cannot be carried out.
    Undecided,
}

impl UpstreamFailure {
    /// Every failure.
    pub const ALL: [Self; 5] = [
        Self::BadAnswer,
        Self::Overloaded,
        Self::Unreachable,
        Self::TooSlow,
        Self::Undecided,
    ];

    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadAnswer => 502,
            Self::Overloaded | Self::Unreachable | Self::Undecided => 503,
            Self::TooSlow => 504,
        }
    }

    /// Returns the title of the page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadAnswer => "Invalid response from the application",
            Self::Overloaded => "The application is overloaded",
            Self::Unreachable => "The application is unavailable",
            Self::TooSlow => "The application takes too long to respond",
            Self::Undecided => "Access cannot be decided",
        }
    }

    /// Returns the explanation for the user.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::BadAnswer => "The application sent an invalid response.",
            Self::Overloaded => "The application has too many requests right now.",
            Self::Unreachable => "The application cannot be reached.",
            Self::TooSlow => "The application did not respond in time.",
            Self::Undecided => "The proxy itself is not working properly.",
        }
    }

    /// The advice for the user.
    pub const ADVICE: &str =
        "Try again in a moment. If the problem persists, tell the operator the request id.";

    /// Returns the address that does not respond; nothing without a host.
    #[must_use]
    pub fn facts(host: &str) -> Vec<(&'static str, String)> {
        let fact = (!host.is_empty()).then(|| (ADDRESS, host.to_owned()));
        fact.into_iter().collect()
    }

    /// Address and text of the link that repeats the request.
    pub const AGAIN: (&str, &str) = ("", "Try again");
}

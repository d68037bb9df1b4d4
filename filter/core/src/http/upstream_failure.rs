//! What visitors are told when the application behind the proxy does not answer, or the module in it: the same by every
//! body.

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// The upstream answers, but not properly.
    BadAnswer,
    /// The upstream has the maximum of requests.
    Overloaded,
    /// There is no connection to the upstream.
    Unreachable,
    /// The upstream does not answer in time.
    TooSlow,
    /// The module cannot decide, or what it decided cannot be done.
    Undecided,
}

impl UpstreamFailure {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BadAnswer,
        Self::Overloaded,
        Self::Unreachable,
        Self::TooSlow,
        Self::Undecided,
    ];

    /// HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadAnswer => 502,
            Self::Overloaded | Self::Unreachable | Self::Undecided => 503,
            Self::TooSlow => 504,
        }
    }

    /// Title of the page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadAnswer => "The application gave no proper answer",
            Self::Overloaded => "The application is overloaded",
            Self::Unreachable => "The application is not there right now",
            Self::TooSlow => "The application takes too long",
            Self::Undecided => "Access cannot be decided right now",
        }
    }

    /// One sentence.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::BadAnswer => "The application did not answer properly.",
            Self::Overloaded => "The application has too many requests right now.",
            Self::Unreachable => "The application cannot be reached.",
            Self::TooSlow => "The application did not answer in time.",
            Self::Undecided => "The proxy itself does not work as it should.",
        }
    }

    /// What to do about it.
    pub const ADVICE: &str =
        "Try again in a moment. If it stays so, tell the operator the request id.";

    /// Address and words of the link that tries it.
    pub const AGAIN: (&str, &str) = ("", "Try again");
}

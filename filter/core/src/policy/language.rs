//! The vocabulary of the policy language with its documentation, for the reference and for editors.

use serde_json::Value;

pub use crate::policy::criteria::{CRITERIA, UNSUPPORTED};
pub use crate::policy::operator::Operator;
pub use crate::policy::read::ACTIONS;
use crate::policy::{Reason, criteria, list_matcher, string_matcher};

/// Documents one kind of criterion.
#[derive(Clone, Copy, Debug)]
pub struct CriterionDoc {
    /// The name in a policy, in lower case.
    pub name: &'static str,
    /// The subject of the criterion.
    pub topic: Topic,
    /// When the criterion holds, in one sentence without a final period.
    pub about: &'static str,
    /// The value that the criterion takes, in Markdown.
    pub argument: &'static str,
    /// A criterion as a policy has it, in YAML on one line.
    pub example: &'static str,
}

/// The subject of a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Nothing: the criterion is constant.
    Constant,
    /// The user, so that evaluating the criterion needs a session.
    User,
    /// The HTTP request.
    Request,
    /// The client's address.
    Address,
    /// The client's certificate.
    Certificate,
    /// The time of the request.
    Time,
}

impl Topic {
    /// Every topic, in the order in which the reference lists them.
    pub const ALL: &'static [Self] = &[
        Self::User,
        Self::Request,
        Self::Address,
        Self::Certificate,
        Self::Time,
        Self::Constant,
    ];

    /// Returns the heading of the topic's criteria in the reference.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Constant => "Constants",
            Self::User => "The user",
            Self::Request => "The request",
            Self::Address => "The client's address",
            Self::Certificate => "The client's certificate",
            Self::Time => "The time",
        }
    }
}

/// One kind of criterion as the reference and the schema see it.
#[derive(Clone, Copy, Debug)]
pub struct CriterionEntry {
    /// The documentation.
    pub doc: CriterionDoc,
    /// The reason when the criterion holds, and the reason when it does not.
    pub reasons: [Reason; 2],
    /// Returns the JSON Schema of the criterion's argument. A reference to a definition is resolved by
    /// [`super::schema::definitions`].
    pub schema: fn() -> Value,
}

/// Documents one condition of a matcher.
#[derive(Clone, Copy, Debug)]
pub struct ConditionDoc {
    /// The name in a policy, in lower case.
    pub name: &'static str,
    /// When the condition is met, or what its value is, in one sentence without a final period.
    pub about: &'static str,
    /// The condition as a matcher has it, in YAML on one line.
    pub example: &'static str,
}

/// Documents a kind of matcher: a map of conditions that several criteria may take.
#[derive(Clone, Copy, Debug)]
pub struct MatcherDoc {
    /// The heading in the reference.
    pub title: &'static str,
    /// A criterion that takes the matcher.
    pub criterion: &'static str,
    /// A description of the matcher and of the rules for all its conditions, in Markdown.
    pub about: &'static str,
    /// The conditions.
    pub conditions: &'static [ConditionDoc],
}

/// Every kind of matcher.
pub const MATCHERS: &[MatcherDoc] = &[
    MatcherDoc {
        title: "String matchers",
        criterion: "email",
        about: "A string matcher compares one string. It is a map of the conditions below, all of which must be met, or a \
                bare string, which means `is`. Comparisons are case-sensitive, except in the domain of an email address.",
        conditions: string_matcher::CONDITIONS,
    },
    MatcherDoc {
        title: "List matchers",
        criterion: "groups",
        about: "A list matcher compares the list of a claim's values; a claim that is not a list counts as a list of one \
                value. It is a map of the conditions below, all of which must be met, or a bare value, which means `has`. \
                Values are compared as JSON: a string never equals a number.",
        conditions: list_matcher::CONDITIONS,
    },
    MatcherDoc {
        title: "Certificate matchers",
        criterion: "client_certificate",
        about: "A certificate matcher is a map of the conditions below, all of which must be met.",
        conditions: criteria::CERTIFICATE_CONDITIONS,
    },
    MatcherDoc {
        title: "Date windows",
        criterion: "date",
        about: "A date window is a map of the conditions below. Each of them may be left out.",
        conditions: criteria::DATE_CONDITIONS,
    },
    MatcherDoc {
        title: "Time windows",
        criterion: "time_of_day",
        about: "A time window is a map of the conditions below. `timezone` is required. A window whose `after` is later \
                than its `before` spans midnight.",
        conditions: criteria::TIME_CONDITIONS,
    },
];

//! The criteria of the policy language. Each kind is one file in `criteria/` and one row in the list below.

mod accept;
mod authenticated_user;
mod claim;
mod client_certificate;
mod cors_preflight;
mod date;
mod day_of_week;
mod domain;
mod email;
mod groups;
mod http_method;
mod http_path;
mod invalid_client_certificate;
mod look_alike;
mod pomerium_routes;
mod reject;
mod source_ip;
mod time_of_day;
mod user;
mod window;

use serde_json::Value;

use crate::diagnostics::{Findings, KeyPath};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, CriterionEntry};
use crate::policy::list_matcher::ListMatcher;
use crate::policy::read::refuse_rego;
use crate::policy::reason::{Reason, Reasons};
use crate::policy::verdict::Verdict;
use crate::session::Session;

pub(crate) use domain::warn_of_other_domain;
pub(crate) use email::warn_of_wildcard_user;
pub(crate) use look_alike::warn_of_look_alike;

pub(super) use client_certificate::CONDITIONS as CERTIFICATE_CONDITIONS;
pub(super) use date::CONDITIONS as DATE_CONDITIONS;
pub(super) use time_of_day::CONDITIONS as TIME_CONDITIONS;

/// Declares [`Criterion`] and everything that depends on the list of kinds. Each method is a match on the kind, so that a
/// kind that lacks an item of [`CriterionKind`] does not compile.
macro_rules! criteria {
    ($($variant:ident($module:ident::$kind:ident),)+) => {
        /// One condition of a policy.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Criterion {
            $($variant($module::$kind),)+
        }

        /// Every kind of criterion, in alphabetical order.
        pub const CRITERIA: &[CriterionEntry] = &[
            $(CriterionEntry {
                doc: <$module::$kind as CriterionKind>::DOC,
                reasons: [
                    <$module::$kind as CriterionKind>::HOLDS,
                    <$module::$kind as CriterionKind>::FAILS,
                ],
                schema: <$module::$kind as CriterionKind>::schema,
            },)+
        ];

        /// The names alone: the module needs no documentation.
        const NAMES: &[&str] = &[$(<$module::$kind as CriterionKind>::DOC.name,)+];

        impl Criterion {
            /// Reads the argument of the criterion with this name. Returns `None` for an unknown name and `Some(None)`
            /// for an argument that cannot be read.
            fn read_named(
                name: &str,
                argument: &Argument<'_>,
                findings: &mut Findings,
            ) -> Option<Option<Self>> {
                $(if name == <$module::$kind as CriterionKind>::DOC.name {
                    return Some($module::$kind::read(argument, findings).map(Self::$variant));
                })+
                None
            }

            /// Returns the documentation.
            pub(super) const fn doc(&self) -> &'static CriterionDoc {
                match self {
                    $(Self::$variant(_) => &<$module::$kind as CriterionKind>::DOC,)+
                }
            }

            /// Evaluates the criterion, without allocating.
            pub(super) fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
                match self {
                    $(Self::$variant(kind) => kind.evaluate(facts),)+
                }
            }

            /// Returns the key and the argument in the policy language.
            pub(super) fn to_entry(&self) -> (String, Value) {
                match self {
                    $(Self::$variant(kind) => (kind.key(), kind.to_argument()),)+
                }
            }

            /// Describes the fact that the criterion looks at; empty when it looks at none.
            pub(super) fn describe_fact(&self, facts: &Facts<'_>, shown: Option<&Session>) -> String {
                match self {
                    $(Self::$variant(kind) => kind.describe_fact(facts, shown),)+
                }
            }

            /// Returns the claim that the criterion is about, with its matcher.
            pub(super) fn claim(&self) -> Option<(&str, &ListMatcher)> {
                match self {
                    $(Self::$variant(kind) => kind.claim(),)+
                }
            }

            /// Returns whether the criterion is about the user's email address.
            pub(super) fn is_about_email(&self) -> bool {
                match self {
                    $(Self::$variant(kind) => kind.is_about_email(),)+
                }
            }
        }
    };
}

criteria! {
    Accept(accept::AcceptCriterion),
    AuthenticatedUser(authenticated_user::AuthenticatedUserCriterion),
    Claim(claim::ClaimCriterion),
    ClientCertificate(client_certificate::ClientCertificateCriterion),
    CorsPreflight(cors_preflight::CorsPreflightCriterion),
    Date(date::DateCriterion),
    DayOfWeek(day_of_week::DayOfWeekCriterion),
    Domain(domain::DomainCriterion),
    Email(email::EmailCriterion),
    Groups(groups::GroupsCriterion),
    HttpMethod(http_method::HttpMethodCriterion),
    HttpPath(http_path::HttpPathCriterion),
    InvalidClientCertificate(invalid_client_certificate::InvalidClientCertificateCriterion),
    PomeriumRoutes(pomerium_routes::PomeriumRoutesCriterion),
    Reject(reject::RejectCriterion),
    SourceIp(source_ip::SourceIpCriterion),
    TimeOfDay(time_of_day::TimeOfDayCriterion),
    User(user::UserCriterion),
}

/// Criteria of Pomerium that Jetway does not support, each with the reason. In a `deny` rule a criterion that never holds
/// would admit users whom the rule excludes, so that each of these names is an error when the file is read.
pub const UNSUPPORTED: &[(&str, &str)] = &[
    ("device", "Jetway does not enrol devices"),
    ("mcp_tool", "Jetway does not read the bodies of requests"),
    ("record", "Jetway has no external data sources"),
    ("ssh_ca", ONLY_WEB),
    ("ssh_publickey", ONLY_WEB),
    ("ssh_reverse_tunnel", ONLY_WEB),
    ("ssh_username", ONLY_WEB),
    ("ssh_username_matches_claim", ONLY_WEB),
    ("ssh_username_matches_email", ONLY_WEB),
];

const ONLY_WEB: &str = "Jetway serves web applications only";

/// One kind of criterion: everything that the policy language knows about it.
trait CriterionKind: Sized {
    /// The name and the documentation.
    const DOC: CriterionDoc;
    /// The reason when the criterion holds.
    const HOLDS: Reason;
    /// The reason when the criterion does not hold.
    const FAILS: Reason;

    /// Reads the criterion's argument. Returns `None` after it has reported a problem.
    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self>;

    /// Evaluates the criterion, without allocating.
    fn evaluate(&self, facts: &Facts<'_>) -> Verdict;

    /// Returns the argument in the policy language, from which [`Self::read`] makes an equal criterion.
    fn to_argument(&self) -> Value;

    /// Describes the fact that the criterion looks at, for an explanation; empty when it looks at none. `shown` is the
    /// session that people may see.
    fn describe_fact(&self, facts: &Facts<'_>, shown: Option<&Session>) -> String;

    /// Returns the JSON Schema of the argument.
    fn schema() -> Value;

    /// Returns the key in a policy.
    fn key(&self) -> String {
        Self::DOC.name.to_owned()
    }

    /// Returns the claim that the criterion is about, with its matcher.
    fn claim(&self) -> Option<(&str, &ListMatcher)> {
        None
    }

    /// Returns whether the criterion is about the user's email address.
    fn is_about_email(&self) -> bool {
        false
    }
}

/// The argument of a criterion in the file.
struct Argument<'v> {
    value: &'v Value,
    /// The part of the key after its first slash.
    sub_key: &'v str,
    path: &'v KeyPath,
}

impl Criterion {
    /// Reads a criterion: a map with one key. Returns `None` after it has reported a problem.
    pub(super) fn read(value: &Value, path: &KeyPath, findings: &mut Findings) -> Option<Self> {
        let single = match value {
            Value::Object(map) if map.len() == 1 => map.iter().next(),
            _ => None,
        };
        let Some((key, value)) = single else {
            findings
                .problem(path, "a criterion must be a map with exactly one key")
                .help(
                    "write one criterion per list item, for example `- domain: {is: example.com}`",
                );
            return None;
        };
        let path = path.key(key);
        // The first slash ends the name; the name of a claim may contain more of them.
        let (name, sub_key) = key.split_once('/').unwrap_or((key, ""));
        let name = name.to_ascii_lowercase();
        let argument = Argument {
            value,
            sub_key,
            path: &path,
        };
        Self::read_named(&name, &argument, findings).unwrap_or_else(|| {
            report_unknown(key, &name, &path, findings);
            None
        })
    }
}

fn report_unknown(key: &str, name: &str, path: &KeyPath, findings: &mut Findings) {
    if let Some((_, why)) = UNSUPPORTED.iter().find(|(known, _)| *known == name) {
        findings
            .problem(path, format!("criterion `{key}` is not supported"))
            .help(*why);
    } else if name == "rego" {
        refuse_rego(path, findings);
    } else {
        findings
            .problem(path, format!("unknown criterion `{key}`"))
            .help_near(
                name,
                NAMES.iter().copied(),
                "write for example `email`, `domain`, `groups`, `claim/NAME` or `source_ip`",
            );
    }
}

/// Returns the verdict of a criterion that needs no session.
const fn verdict<K: CriterionKind>(holds: bool) -> Verdict {
    Verdict {
        holds,
        reasons: Reasons::one(if holds { K::HOLDS } else { K::FAILS }),
    }
}

/// Returns the verdict of a criterion about the user. It never holds without a session, no matter what its matcher says.
fn user_verdict<K: CriterionKind>(
    facts: &Facts<'_>,
    is_match: impl FnOnce(&Session) -> bool,
) -> Verdict {
    match facts.session {
        None => Verdict {
            holds: false,
            reasons: Reasons::one(Reason::UserUnauthenticated),
        },
        Some(session) => verdict::<K>(is_match(session)),
    }
}

/// Describes a fact about the signed-in user.
fn describe_user(shown: Option<&Session>, describe: impl FnOnce(&Session) -> String) -> String {
    shown.map_or_else(|| "no user is signed in".to_owned(), describe)
}

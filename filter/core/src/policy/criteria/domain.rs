//! `domain`: the domain of the user's email address.

use serde_json::Value;

use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::email_address::{canonical_domain, fold_domain};
use crate::policy::criteria::email::{describe_email, warn_of_loose_end};
use crate::policy::criteria::look_alike::warn_of_look_alike;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, user_verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::string_matcher::StringMatcher;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the domain of the user's verified email address matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DomainCriterion(StringMatcher);

impl CriterionKind for DomainCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "domain",
        topic: Topic::User,
        about: "The domain of the user's verified email address matches; never holds for a user without one",
        argument: "a [string matcher](#string-matchers), in which case does not matter, nor the spelling in Unicode or in ASCII (`xn--`): `starts_with`, `ends_with` and `contains` are met when either spelling meets them, in `deny` as in `allow`",
        example: "domain: {is: example.com}",
    };
    const HOLDS: Reason = Reason::DomainOk;
    const FAILS: Reason = Reason::DomainUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let matcher = StringMatcher::read(argument.value, argument.path, findings, |domain| {
            domain.to_ascii_lowercase()
        });
        warn_of_loose_end(argument.value, argument.path, findings);
        let matcher = matcher?;
        for domain in matcher.compared_strings() {
            warn_of_other_domain(domain, argument.path, findings);
        }
        for name in matcher.constants() {
            warn_of_look_alike(name, argument.path, findings);
        }
        Some(Self(matcher.for_domain()))
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        user_verdict::<Self>(facts, |session| {
            session
                .email()
                .and_then(domain_of)
                .is_some_and(|domain| self.0.is_match_address(domain))
        })
    }

    fn to_argument(&self) -> Value {
        self.0.to_value()
    }

    fn describe_fact(&self, _: &Facts<'_>, shown: Option<&Session>) -> String {
        describe_email(shown)
    }

    fn schema() -> Value {
        reference("string_matcher")
    }

    fn is_about_email(&self) -> bool {
        true
    }
}

impl Criterion {
    /// Returns `domain: {is: …}`.
    pub(crate) fn domain_is(domain: &str) -> Self {
        let matcher = StringMatcher::is(domain.to_ascii_lowercase());
        Self::Domain(DomainCriterion(matcher.for_domain()))
    }
}

/// Returns whether a string is not ASCII, and has characters that no domain has.
fn is_beyond_domains(string: &str) -> bool {
    let has_label = string.chars().any(|letter| letter != '.');
    has_label && !string.is_ascii() && canonical_domain(&fold_domain(string)).is_none()
}

/// Warns about a domain such as `@example.com` or `*.example.com`, which equals that of no address.
pub(crate) fn warn_of_other_domain(domain: &str, path: &KeyPath, findings: &mut Findings) {
    let help = match domain.rsplit_once('@') {
        Some(("" | "*", domain)) => format!("write `{domain}`, without the `@`"),
        Some(_) => "write only the domain, or name the user by `email`".to_owned(),
        None if domain.contains('*') => {
            "domains have no wildcards: write a criterion such as `domain: {ends_with: .example.com}`"
                .to_owned()
        }
        None if is_beyond_domains(domain) => "write a domain that IDNA allows".to_owned(),
        None => return,
    };
    findings
        .warning(path, format!("{} equals no domain", quoted(domain)))
        .help(help);
}

/// Returns the domain of an address with exactly one `@` and at least one character on each side of it.
fn domain_of(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some(domain)
}

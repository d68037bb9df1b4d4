//! `email`: the user's email address.

use serde_json::Value;

use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::email_address::{canonical_email, normalize_email};
use crate::policy::criteria::look_alike::warn_of_look_alike;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, describe_user, user_verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::string_matcher::StringMatcher;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the user's verified email address matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EmailCriterion(StringMatcher);

impl CriterionKind for EmailCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "email",
        topic: Topic::User,
        about: "The user's verified email address matches; a user without one has the empty string. The case of the domain \
                does not matter, nor does its spelling in Unicode or in ASCII (`xn--`): `starts_with`, `ends_with` and `contains` \
                are met when either spelling meets them, in `deny` as in `allow`",
        argument: "a [string matcher](#string-matchers)",
        example: "email: {is: alice@example.com}",
    };
    const HOLDS: Reason = Reason::EmailOk;
    const FAILS: Reason = Reason::EmailUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let matcher = StringMatcher::read(argument.value, argument.path, findings, |email| email);
        warn_of_loose_end(argument.value, argument.path, findings);
        let matcher = matcher?;
        for email in matcher.compared_strings() {
            warn_of_other_email(email, argument.path, findings);
        }
        for name in matcher.constants() {
            warn_of_look_alike(name, argument.path, findings);
        }
        Some(Self(matcher.for_email()))
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        // The empty string for a missing address is Pomerium's choice.
        user_verdict::<Self>(facts, |session| {
            self.0.is_match_address(session.email().unwrap_or_default())
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
    /// Returns `email: {is: …}`.
    pub(crate) fn email_is(email: &str) -> Self {
        let matcher = StringMatcher::is(email.to_owned());
        Self::Email(EmailCriterion(matcher.for_email()))
    }
}

/// Describes the email address of the signed-in user.
pub(super) fn describe_email(shown: Option<&Session>) -> String {
    describe_user(shown, |session| {
        session
            .email()
            .map_or_else(|| "no verified email address".to_owned(), str::to_owned)
    })
}

/// Returns whether a string looks like an email address: a local part, an `@` and a domain with a dot.
pub(super) fn is_address(string: &str) -> bool {
    string.rsplit_once('@').is_some_and(|(local, domain)| {
        let domain = domain.trim_matches('.');
        !local.is_empty() && domain.contains('.')
    })
}

/// Returns whether no user's address can equal the string. The empty string is that of a user without an address.
fn is_never_an_address(string: &str) -> bool {
    let is_complete =
        |(local, domain): (&str, &str)| !matches!(local, "" | "*") && !domain.is_empty();
    !string.is_empty() && !string.rsplit_once('@').is_some_and(is_complete)
}

/// Returns whether a string is not ASCII, has the form of an address, and has characters that no user's address has.
fn is_beyond_addresses(string: &str) -> bool {
    let is_canonical = || canonical_email(&normalize_email(string.to_owned())).is_some();
    !string.is_ascii() && !is_never_an_address(string) && !is_canonical()
}

/// Warns about `email: example.com` and `email: "*@example.com"`.
fn warn_of_other_email(other: &str, path: &KeyPath, findings: &mut Findings) {
    if is_beyond_addresses(other) {
        findings
            .warning(path, format!("{} equals no email address", quoted(other)))
            .help("write letters, marks and digits that stand for themselves, and a domain that IDNA allows");
        return;
    }
    if !is_never_an_address(other) {
        return;
    }
    let domain = other.rsplit_once('@').map_or(other, |(_, domain)| domain);
    let help = if domain.contains('.') {
        format!("write `domain: {{is: {domain}}}` for every address in this domain")
    } else {
        "write a complete address, such as `alice@example.com`".to_owned()
    };
    findings
        .warning(path, format!("{} equals no email address", quoted(other)))
        .help(help);
}

/// Warns about an item of `allowed_users` such as `*@example.com`, which equals neither an address nor an identifier.
pub(crate) fn warn_of_wildcard_user(user: &str, path: &KeyPath, findings: &mut Findings) {
    let domain = user.strip_prefix('*').unwrap_or(user).strip_prefix('@');
    if let Some(domain) = domain {
        findings
            .warning(path, format!("{} equals no email address", quoted(user)))
            .help(format!(
                "write `allowed_domains: [{domain}]` for every address in this domain"
            ));
    }
}

/// Warns about `ends_with: example.com`, which also matches `evil-example.com`.
pub(super) fn warn_of_loose_end(value: &Value, path: &KeyPath, findings: &mut Findings) {
    let end = value.get("ends_with").and_then(Value::as_str);
    if let Some(end) = end
        && !end.starts_with(['@', '.'])
    {
        findings
            .warning(
                &path.key("ends_with"),
                format!("`{end}` also matches the end of longer domain names"),
            )
            .help(format!(
                "write `@{end}` for addresses, or `domain: {{is: {end}}}`"
            ));
    }
}

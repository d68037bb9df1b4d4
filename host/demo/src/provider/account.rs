//! The accounts of the demo.

use serde_json::{Map, Value, json};

/// One demo account.
#[derive(Debug)]
pub(crate) struct Account {
    /// Subject identifier, the same after a restart.
    pub(crate) subject: &'static str,
    /// Email address, which the demo's policy names.
    pub(crate) email: &'static str,
    /// Display name.
    pub(crate) name: &'static str,
    /// Groups.
    pub(crate) groups: &'static [&'static str],
    /// The outcome of a sign-in when Cockpit asks for a password, or every user becomes the same Unix user.
    shared_outcome: &'static str,
    /// The outcome of a sign-in when each user becomes a Unix user of their own.
    own_outcome: &'static str,
}

/// Whether users of the demo become Unix users of their own in Cockpit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// No: Cockpit asks for a password, or every user becomes the same Unix user.
    Shared,
    /// Yes, and alice is an administrator.
    Own,
}

const REFUSED: &str = "is refused by the policy";

/// Every account, in the order of the sign-in page.
pub(crate) const ACCOUNTS: [Account; 3] = [
    Account {
        subject: "demo-alice",
        email: "alice@example.com",
        name: "Alice",
        groups: &["admins", "developers"],
        shared_outcome: "may use Cockpit",
        own_outcome: "may use Cockpit as an administrator",
    },
    Account {
        subject: "demo-bob",
        email: "bob@example.com",
        name: "Bob",
        groups: &["developers"],
        shared_outcome: "may use Cockpit",
        own_outcome: "may use Cockpit without administrative access",
    },
    Account {
        subject: "demo-mallory",
        email: "mallory@example.com",
        name: "Mallory",
        groups: &[],
        shared_outcome: REFUSED,
        own_outcome: REFUSED,
    },
];

impl Account {
    /// Returns the account with this address.
    pub(super) fn named(email: &str) -> Option<&'static Self> {
        static ALL: [Account; 3] = ACCOUNTS;
        ALL.iter().find(|account| account.email == email)
    }

    /// Returns what to expect, shown beside the account.
    pub(crate) fn outcome(&self, rights: Rights) -> &'static str {
        match rights {
            Rights::Shared => self.shared_outcome,
            Rights::Own => self.own_outcome,
        }
    }

    /// Returns the claims that the scopes allow (OpenID Connect Core section 5.4).
    pub(super) fn claims(&self, scopes: &[String]) -> Map<String, Value> {
        let asked = |scope: &str| scopes.iter().any(|candidate| candidate == scope);
        let mut claims = Map::new();
        if asked("email") {
            claims.insert("email".into(), json!(self.email));
            claims.insert("email_verified".into(), json!(true));
        }
        if asked("profile") {
            claims.insert("name".into(), json!(self.name));
            claims.insert("groups".into(), json!(self.groups));
        }
        claims
    }
}

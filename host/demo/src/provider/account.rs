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
    /// What to expect, shown beside the account.
    pub(crate) outcome: &'static str,
}

/// Every account, in the order of the sign-in page.
pub(crate) const ACCOUNTS: [Account; 3] = [
    Account {
        subject: "demo-alice",
        email: "alice@example.com",
        name: "Alice",
        groups: &["admins", "developers"],
        outcome: "may use Cockpit",
    },
    Account {
        subject: "demo-bob",
        email: "bob@example.com",
        name: "Bob",
        groups: &["developers"],
        outcome: "may use Cockpit",
    },
    Account {
        subject: "demo-mallory",
        email: "mallory@example.com",
        name: "Mallory",
        groups: &[],
        outcome: "is refused by the policy",
    },
];

impl Account {
    /// Returns the account with this address.
    pub(super) fn named(email: &str) -> Option<&'static Self> {
        static ALL: [Account; 3] = ACCOUNTS;
        ALL.iter().find(|account| account.email == email)
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

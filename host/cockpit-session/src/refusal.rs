//! Logins that end without a session.

use serde_json::json;

use crate::assertion::AssertionError;
use crate::authorize::HandshakeError;

/// Longest message for the user, in characters: Cockpit puts it into the status line of an HTTP response.
const MAX_MESSAGE: usize = 200;

/// The reason why there is no session. `Display` is for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The web service does not follow the protocol, or is too slow.
    #[error("no answer to the challenge: {0}")]
    Handshake(#[from] HandshakeError),
    /// The assertion is invalid. The client does not learn why.
    #[error("the assertion is refused: {0}")]
    Assertion(#[from] AssertionError),
    /// The user is known, but may not use this account.
    #[error("{message}")]
    Account {
        /// For the user and the log.
        message: String,
    },
    /// A fault of this server.
    #[error("{0}")]
    Fault(String),
}

impl Refusal {
    /// Returns a refusal of an account, with a message for the user.
    pub(crate) fn account(message: impl Into<String>) -> Self {
        Self::Account {
            message: message.into(),
        }
    }

    /// Returns the `init` message for Cockpit's web service, which turns the problem into an HTTP status: 401, 403 with
    /// the message, or 500.
    pub(crate) fn init_message(&self) -> serde_json::Value {
        let (problem, message) = match self {
            Self::Handshake(_) => (
                "protocol-error",
                "Cockpit did not send the sign-in".to_owned(),
            ),
            Self::Assertion(_) => (
                "authentication-failed",
                "The sign-in is not valid for this server".to_owned(),
            ),
            Self::Account { message } => ("access-denied", printable(message)),
            Self::Fault(_) => (
                "internal-error",
                "This server could not open a session; its journal says why".to_owned(),
            ),
        };
        json!({"command": "init", "version": 1, "problem": problem, "message": message})
    }

    /// Returns the exit status: 5, as of Cockpit's own program, for a refused login, 127 for a fault.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Handshake(_) | Self::Assertion(_) | Self::Account { .. } => 5,
            Self::Fault(_) => 127,
        }
    }
}

/// Returns one line of printable ASCII.
fn printable(message: &str) -> String {
    let plain = message.chars().map(|character| match character {
        ' '..='~' => character,
        character if character.is_whitespace() => ' ',
        _ => '?',
    });
    plain.take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line() {
        let refusal = Refusal::account(format!("a\r\nHeader: ü\u{1b}[0m{}", "x".repeat(999)));
        let message = refusal.init_message()["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.starts_with("a  Header: ??[0mxxx"), "{message}");
        assert_eq!(message.len(), MAX_MESSAGE);
    }

    #[test]
    fn a_bad_assertion_is_not_explained_to_the_client() {
        let refusal = Refusal::from(AssertionError::Signature);
        let told = refusal.init_message().to_string();
        assert!(
            told.contains("authentication-failed") && !told.contains("signature"),
            "{told}"
        );
        assert_eq!(refusal.exit_status(), 5);
    }
}

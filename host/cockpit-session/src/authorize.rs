//! The first exchange with Cockpit's web service, which is asked for the `Authorization` header of the login.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::json;

use crate::frame::{FrameError, read_control, write_control};

/// The challenge that requests the header unchanged.
const CHALLENGE: &str = "*";

/// The scheme of the header, which is case-insensitive.
const SCHEME: &str = "Bearer";

/// The reason why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The challenge cannot be sent.
    #[error("the web service cannot be asked: {0}")]
    Send(#[source] io::Error),
    /// The answer is not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The answer is not JSON, or a field is missing or of another type.
    #[error("the answer is not the JSON of an `authorize` message")]
    Json,
    /// The answer belongs to another challenge.
    #[error("the answer belongs to another challenge")]
    Cookie,
    /// The header has another scheme.
    #[error("the login has no bearer token")]
    Scheme,
}

/// The web service's answer.
pub(crate) struct Answer {
    /// The token of the `Authorization` header.
    pub(crate) token: String,
    /// The client's address as Cockpit 330 and newer reports it.
    pub(crate) remote_peer: Option<IpAddr>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("remote_peer", &self.remote_peer)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Message {
    command: String,
    cookie: String,
    response: String,
    #[serde(rename = "remote-peer")]
    remote_peer: Option<String>,
}

/// Requests the header under the name `cookie` and reads the answer.
pub(crate) fn ask_for_token(
    input: &mut impl Read,
    output: &mut impl Write,
    cookie: &str,
) -> Result<Answer, HandshakeError> {
    let challenge = json!({"command": "authorize", "cookie": cookie, "challenge": CHALLENGE});
    write_control(output, &challenge).map_err(HandshakeError::Send)?;
    // Nesting is harmless: unknown fields are skipped without recursion, and known ones are strings.
    let message: Message =
        serde_json::from_slice(&read_control(input)?).map_err(|_| HandshakeError::Json)?;
    if message.command != "authorize" {
        return Err(HandshakeError::Json);
    }
    if message.cookie != cookie {
        return Err(HandshakeError::Cookie);
    }
    let token = match message.response.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token.trim(),
        _ => return Err(HandshakeError::Scheme),
    };
    Ok(Answer {
        token: token.to_owned(),
        remote_peer: message.remote_peer.and_then(|address| address.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(answer: &str) -> Result<Answer, HandshakeError> {
        let frame = format!("{}\n\n{answer}", answer.len() + 1);
        ask_for_token(&mut frame.as_bytes(), &mut io::sink(), "session7")
    }

    #[test]
    fn the_token_of_old_and_new_cockpits_is_read() {
        let old = ask(r#"{"command":"authorize","cookie":"session7","response":"Bearer a.b.c"}"#)
            .unwrap();
        assert_eq!((old.token.as_str(), old.remote_peer), ("a.b.c", None));
        let new = ask(
            "{\n  \"command\": \"authorize\",\n  \"cookie\": \"session7\",\n  \"response\": \"BEARER  a.b.c\",\n  \
             \"remote-peer\": \"2001:db8::1\", \"more\": [{}]\n}\n",
        )
        .unwrap();
        assert_eq!(new.token, "a.b.c");
        assert_eq!(new.remote_peer, "2001:db8::1".parse().ok());
        assert!(!format!("{new:?}").contains("a.b.c"));
    }

    #[test]
    fn deep_nesting_in_what_is_not_known_does_no_harm() {
        let more = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let message = format!(
            r#"{{"command":"authorize","cookie":"session7","response":"Bearer x","more":{more}}}"#
        );
        assert_eq!(ask(&message).unwrap().token, "x");
    }

    #[test]
    fn other_answers_are_refused() {
        let deep = format!(
            r#"{{"command":"authorize","cookie":"session7","response":{}{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        for (answer, expected) in [
            (
                r#"{"command":"authorize","cookie":"session8","response":"Bearer x"}"#,
                "another challenge",
            ),
            (
                r#"{"command":"authorize","cookie":"session7","response":"Basic eDp5"}"#,
                "no bearer token",
            ),
            (
                r#"{"command":"authorize","cookie":"session7","response":"Bearer"}"#,
                "no bearer token",
            ),
            (
                r#"{"command":"authorize","cookie":"session7","response":""}"#,
                "no bearer token",
            ),
            (r#"{"command":"authorize","cookie":"session7"}"#, "JSON"),
            (
                r#"{"command":"init","cookie":"session7","response":"Bearer x"}"#,
                "JSON",
            ),
            (
                r#"{"command":"authorize","cookie":"session7","response":["Bearer x"]}"#,
                "JSON",
            ),
            (
                r#"{"command":"authorize","command":"authorize","cookie":"session7","response":"Bearer x"}"#,
                "JSON",
            ),
            ("", "JSON"),
            ("\u{0}", "JSON"),
            (&deep, "JSON"),
        ] {
            let error = ask(answer).unwrap_err().to_string();
            assert!(error.contains(expected), "{answer}: {error}");
        }
    }
}

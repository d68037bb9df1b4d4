//! The settings from environment variables, and the report of a failing input.

use std::time::Duration;

/// The inputs to try.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The duration.
    pub(crate) time: Option<Duration>,
    /// The seed of the first changed input.
    pub(crate) seed: Option<u64>,
    /// Only this input.
    pub(crate) input: Option<Vec<u8>>,
}

impl Plan {
    /// Reads `JETWAY_FUZZ_SECONDS`, `JETWAY_FUZZ_SEED` and `JETWAY_FUZZ_INPUT`.
    pub(crate) fn of_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse().ok();
        Self {
            time: number("JETWAY_FUZZ_SECONDS").map(Duration::from_secs),
            seed: number("JETWAY_FUZZ_SEED"),
            input: std::env::var("JETWAY_FUZZ_INPUT")
                .ok()
                .map(|text| unescape(&text)),
        }
    }
}

/// Returns a message about an input, with the variable that tries it again.
pub(crate) fn report(name: &str, what: &str, input: &[u8]) -> String {
    format!(
        "the fuzz target `{name}` {what} with {} bytes; to try them again, run its test alone with\n\
         JETWAY_FUZZ_INPUT='{}'",
        input.len(),
        escape(input)
    )
}

/// Escapes all bytes but printable ASCII as hexadecimal numbers, and the characters that end a shell's quotes.
fn escape(input: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(input.len());
    for &byte in input {
        match byte {
            b' '..=b'~' if byte != b'\\' && byte != b'\'' => text.push(char::from(byte)),
            other => {
                let _ = write!(text, "\\x{other:02x}");
            }
        }
    }
    text
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after
            .strip_prefix(b"x")
            .filter(|_| byte == b'\\')
            .and_then(|digits| digits.split_at_checked(2))
            .and_then(|(digits, after)| Some((std::str::from_utf8(digits).ok()?, after)))
            .and_then(|(digits, after)| Some((u8::from_str_radix(digits, 16).ok()?, after)));
        let (byte, after) = code.unwrap_or((byte, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{escape, unescape};

    #[test]
    fn what_is_printed_can_be_tried_again() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&bytes)), bytes);
        assert_eq!(escape(b"a'b\\\n"), "a\\x27b\\x5c\\x0a");
    }
}

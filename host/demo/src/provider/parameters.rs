//! Parameters of a query string or of a form.

use url::form_urlencoded;

/// Longest query or form that is read, in bytes: an authorization request has about 600.
const MAX_LENGTH: usize = 8 * 1024;

/// Decoded parameters. Each name appears at most once, and no value is empty (RFC 6749 section 3.1: a parameter without
/// a value counts as omitted, a repeated one is an error).
pub(super) struct Parameters(Vec<(String, String)>);

/// The reason why the parameters cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParametersError {
    #[error("the request is longer than {MAX_LENGTH} bytes")]
    TooLong,
    #[error("a parameter is given more than once")]
    Repeated,
}

impl Parameters {
    pub(super) fn parse(encoded: &[u8]) -> Result<Self, ParametersError> {
        if encoded.len() > MAX_LENGTH {
            return Err(ParametersError::TooLong);
        }
        let mut found: Vec<(String, String)> =
            form_urlencoded::parse(encoded).into_owned().collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let repeated = found
            .windows(2)
            .any(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
        if repeated {
            return Err(ParametersError::Repeated);
        }
        found.retain(|(_, value)| !value.is_empty());
        Ok(Self(found))
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn is(&self, name: &str, expected: &str) -> bool {
        self.value(name) == Some(expected)
    }
}

/// Decodes one form-urlencoded value, as in HTTP Basic credentials of an OAuth client (RFC 6749 section 2.3.1).
pub(super) fn decode(value: &str) -> Option<String> {
    let pair = format!("v={value}");
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    let (_, decoded) = pairs.next()?;
    pairs.next().is_none().then(|| decoded.into_owned())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::{MAX_LENGTH, Parameters, ParametersError, decode};

    #[test]
    fn values_are_decoded_and_empty_ones_left_out() {
        let parameters = Parameters::parse(b"a=1+2%26&b=&c").unwrap();
        assert_eq!(parameters.value("a"), Some("1 2&"));
        assert_eq!(parameters.value("b"), None);
        assert_eq!(parameters.value("c"), None);
    }

    #[test]
    fn a_repeated_parameter_is_an_error_even_when_empty() {
        assert_eq!(
            Parameters::parse(b"a=1&b=2&a=").err(),
            Some(ParametersError::Repeated)
        );
    }

    #[test]
    fn the_length_is_bounded() {
        assert!(Parameters::parse(&vec![b'a'; MAX_LENGTH]).is_ok());
        assert_eq!(
            Parameters::parse(&vec![b'a'; MAX_LENGTH + 1]).err(),
            Some(ParametersError::TooLong)
        );
    }

    #[test]
    fn basic_credentials_are_form_urlencoded() {
        assert_eq!(decode("a%3Ab+c%25").as_deref(), Some("a:b c%"));
        assert_eq!(decode("a&b"), None);
    }
}

//! Parses the method, the URL and the headers of a request from the command line.

use jetway_core::http::header::{is_name, is_value};
use jetway_core::http::request_line::check_method;
use jetway_core::refusal::Refusal;
use url::Url;

/// The URL of a request, as its pseudo headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `:authority`: the host in its ASCII form, and the port unless it is 443.
    pub(crate) authority: String,
    /// `:path`: path and query, with dot segments and escapes as they were written.
    pub(crate) path: String,
}

impl Address {
    /// Parses a URL; without a scheme it is `https`.
    ///
    /// The path is not normalised, unlike in a browser: the proxy does that, and this command shows the result.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            // A query may contain another URL.
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => {
                strip_scheme(scheme, rest)?
            }
            _ => text,
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.is_empty() {
            return Err(format!(
                "`{text}` has no host: write for example `https://app.example.com/path`"
            ));
        }
        if let Some((_, host)) = authority.rsplit_once('@') {
            return Err(format!(
                "user information is not supported: write `{host}` without the part before the `@`"
            ));
        }
        let target = rest.split('#').next().unwrap_or_default();
        let slash = if target.starts_with(['/', '\\']) {
            ""
        } else {
            "/"
        };
        Ok(Self {
            authority: read_authority(authority)?,
            path: format!("{slash}{}", percent_encode(target)),
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}{}", self.authority, self.path)
    }
}

fn strip_scheme<'t>(scheme: &str, rest: &'t str) -> Result<&'t str, String> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok(rest),
        "http" => Err(format!(
            "`http` is not supported, because sessions need `https`: write `https://{rest}`"
        )),
        "ws" | "wss" => Err(format!(
            "`{scheme}` is not supported: write `https://{rest}` and the header `Upgrade: websocket`"
        )),
        _ => Err(format!(
            "`{scheme}` is not supported: write `https://{rest}`"
        )),
    }
}

/// Parses host and port as a browser sends them: international names in their ASCII form, letters in lower case.
fn read_authority(text: &str) -> Result<String, String> {
    let url = Url::parse(&format!("https://{text}/")).ok();
    let host = url.as_ref().and_then(Url::host_str);
    match (host, url.as_ref().and_then(Url::port)) {
        (None, _) => Err(format!("`{text}` is not a valid host")),
        (Some(host), None) => Ok(host.to_owned()),
        (Some(host), Some(port)) => Ok(format!("{host}:{port}")),
    }
}

/// Percent-encodes the bytes that a request line cannot contain, as browsers do (WHATWG URL, path percent-encode set).
fn percent_encode(target: &str) -> String {
    let mut path = String::with_capacity(target.len());
    for byte in target.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// Parses a method. One that is never forwarded is accepted, so that its refusal is explained.
pub(crate) fn read_method(text: &str) -> Result<String, String> {
    if text.contains(['/', '.', ':']) {
        return Err(format!(
            "the method comes before the address: write `GET {text}`"
        ));
    }
    let upper = text.to_ascii_uppercase();
    if matches!(check_method(&upper), Err(Refusal::BadRequest(_))) {
        return Err(format!(
            "`{text}` is not a valid method: write for example `GET` or `POST`"
        ));
    }
    if upper != text {
        return Err(format!("methods are case-sensitive: write `{upper}`"));
    }
    Ok(upper)
}

/// Parses `Name: value`, and returns the name in lower case.
pub(crate) fn read_header(text: &str) -> Result<(String, Vec<u8>), String> {
    let (name, value) = text
        .split_once(':')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| {
            format!("`{text}` is not a header: write for example `Accept: text/html`")
        })?;
    make_header(name, value)
}

/// Checks the name and the value of a header.
pub(crate) fn make_header(name: &str, value: &str) -> Result<(String, Vec<u8>), String> {
    if !is_name(name) {
        return Err(format!("`{name}` is not a valid header name"));
    }
    if !is_value(value) {
        return Err(format!(
            "the value of `{name}` contains a line break or another control character"
        ));
    }
    Ok((name.to_ascii_lowercase(), value.trim().as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String) {
        let address = Address::read(text).unwrap();
        (address.authority, address.path)
    }

    fn pair(authority: &str, path: &str) -> (String, String) {
        (authority.to_owned(), path.to_owned())
    }

    #[test]
    fn addresses_are_read_as_a_browser_sends_them() {
        let cases = [
            ("https://app.test", pair("app.test", "/")),
            ("app.test/a?b=c#d", pair("app.test", "/a?b=c")),
            ("APP.test:443?x", pair("app.test", "/?x")),
            ("https://app.test:8443/", pair("app.test:8443", "/")),
            ("https://[::1]:8443/", pair("[::1]:8443", "/")),
            ("localhost:8443", pair("localhost:8443", "/")),
            (
                "https://bücher.test/ä b",
                pair("xn--bcher-kva.test", "/%C3%A4%20b"),
            ),
            (
                "https://app.test/a/../%2e/b//c%2Fd",
                pair("app.test", "/a/../%2e/b//c%2Fd"),
            ),
            (
                "app.test/?next=https://b.test/",
                pair("app.test", "/?next=https://b.test/"),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for (text, part) in [
            ("http://app.test/x", "`https://app.test/x`"),
            ("wss://app.test/x", "Upgrade: websocket"),
            ("ftp://app.test", "`ftp`"),
            ("/x", "has no host"),
            ("https://", "has no host"),
            ("https://a@app.test/", "`app.test`"),
            ("https://a b/", "not a valid host"),
            ("https://app.test:99999/", "not a valid host"),
        ] {
            let error = Address::read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn methods_are_upper_case_and_first() {
        for method in ["PROPFIND", "TRACE"] {
            assert_eq!(read_method(method).as_deref(), Ok(method));
        }
        for (text, part) in [
            ("get", "`GET`"),
            ("https://app.test/", "`GET https://app.test/`"),
            ("app.test", "before the address"),
            ("", "not a valid method"),
            ("G T", "not a valid method"),
            ("PRI", "not a valid method"),
        ] {
            let error = read_method(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn headers_have_a_name_and_a_value() {
        let expected = ("x-a".to_owned(), b"b: c".to_vec());
        assert_eq!(read_header("X-A:  b: c "), Ok(expected));
        for text in ["Accept", ": x", ":path: /", "a b: c", "a: b\nc: d"] {
            assert!(read_header(text).is_err(), "{text}");
        }
    }
}

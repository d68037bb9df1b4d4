//! The value of `x-forwarded-client-cert`: one element of `Name=value` members, as Envoy writes it.

use crate::http::path::decode;

/// Returns the PEM in the member `Cert`. There has to be one element with one such member: more would include the statement of
/// another proxy.
pub(super) fn read_pem(header: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(header).ok()?;
    let mut found = None;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = split_value(after)?;
        if name.trim().eq_ignore_ascii_case("cert") && found.replace(value).is_some() {
            return None;
        }
        match after.strip_prefix(';') {
            Some(next) => rest = next,
            None if after.trim().is_empty() => break,
            // A comma begins another element; the format allows nothing else.
            None => return None,
        }
    }
    found.map(|encoded| decode(&encoded).into_owned())
}

/// Splits a value from what follows it. A quoted value may contain `;`, `,`, `=` and escaped characters.
fn split_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_certificate_of_one_element() {
        for (header, found) in [
            ("Cert=\"a%0Ab%2B+c\"", Some("a\nb++c")),
            ("Cert=a", Some("a")),
            ("Hash=1;Cert=\"a\"", Some("a")),
            ("cert=\"a\";Subject=\"CN=x,O=\\\"y;\\\"\"", Some("a")),
            ("Subject=\"Cert=b\";Cert=\"a\";URI=", Some("a")),
            ("Cert=\"a\",Cert=\"b\"", None),
            ("Hash=1,Cert=\"b\"", None),
            ("Cert=\"a\";Cert=\"a\"", None),
            ("Cert=\"a", None),
            ("Cert=\"a\\", None),
            ("Cert=\"a\"b", None),
            ("Hash=1", None),
            ("Cert", None),
            ("Cert=\"a\";", None),
            ("", None),
        ] {
            assert_eq!(read_pem(header.as_bytes()).as_deref(), found, "{header}");
        }
        assert_eq!(read_pem(b"Cert=\xff"), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(header in "(Cert|Hash|[=;,\"\\\\a%0 ])*") {
            let _ = read_pem(header.as_bytes());
        }
    }
}

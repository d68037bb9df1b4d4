//! The value of `x-forwarded-client-cert`: one element of `Name=value` members, as Envoy writes it.

use crate::http::path::decode;

/// The PEM text in the member `Cert`. There has to be one element, with one such member: more than one would be another
/// proxy's word beside the body's.
pub(super) fn certificate(header: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(header).ok()?;
    let mut found = None;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after)?;
        if name.trim().eq_ignore_ascii_case("cert") && found.replace(value).is_some() {
            return None;
        }
        match after.strip_prefix(';') {
            Some(next) => rest = next,
            None if after.trim().is_empty() => break,
            // A comma begins another element; anything else is none of the format.
            None => return None,
        }
    }
    found.map(|encoded| decode(&encoded).into_owned())
}

/// A value and what follows it. A quoted one may have `;`, `,`, `=` and escaped characters in it.
fn value(text: &str) -> Option<(String, &str)> {
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
            assert_eq!(certificate(header.as_bytes()).as_deref(), found, "{header}");
        }
        assert_eq!(certificate(b"Cert=\xff"), None);
    }

    proptest! {
        #[test]
        fn anything_is_survived(header in "(Cert|Hash|[=;,\"\\\\a%0 ])*") {
            let _ = certificate(header.as_bytes());
        }
    }
}

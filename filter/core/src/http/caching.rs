//! Keeps responses with a cookie of the proxy out of shared caches (RFC 9111, RFC 9213).

use crate::http::edit::Edit;

/// The header that every cache follows (RFC 9111 section 5.2).
pub(crate) const CACHE_CONTROL: &str = "cache-control";

/// Headers that override `Cache-Control` for the caches of a CDN or a reverse proxy, beside those that end in `-cache-control`
/// (such as `CDN-Cache-Control`, RFC 9213).
const FOR_SHARED_CACHES: [&str; 3] = ["surrogate-control", "edge-control", "x-accel-expires"];

/// Appends the edits that keep a response out of shared caches: `Cache-Control` gets `private` beside the upstream's other
/// directives, and the headers that would override it are removed. `headers` are those of the response; the present `edits` are
/// made before.
///
/// `Expires` stays: it does not override `private` in a shared cache, and the browser's cache may use it.
pub(crate) fn keep_private(headers: &[(String, Vec<u8>)], edits: &mut Vec<Edit<'_>>) {
    if let Some(directives) = private_directives(&lines_after(headers, edits, CACHE_CONTROL)) {
        edits.push(Edit::set(CACHE_CONTROL, directives));
    }
    let from_upstream = headers.iter().map(|(name, _)| name.as_str());
    let from_file = edits.iter().map(Edit::name);
    let mut names: Vec<String> = from_upstream
        .chain(from_file)
        .filter(|name| is_for_shared_caches(name))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    edits.extend(names.into_iter().map(|name| Edit::Remove(name.into())));
}

/// Returns the lines of a header as they are after these edits.
fn lines_after<'l>(
    headers: &'l [(String, Vec<u8>)],
    edits: &'l [Edit<'_>],
    name: &str,
) -> Vec<&'l [u8]> {
    let named = headers.iter().filter(|(known, _)| known == name);
    let mut lines: Vec<&[u8]> = named.map(|(_, value)| value.as_slice()).collect();
    for edit in edits.iter().filter(|edit| edit.name() == name) {
        match edit {
            Edit::Remove(_) => lines.clear(),
            Edit::Set(_, value) => lines = vec![value],
            Edit::Add(_, value) => lines.push(value),
        }
    }
    lines
}

/// Returns whether a header is for shared caches only, which then follow it instead of `Cache-Control`.
pub(crate) fn is_for_shared_caches(name: &str) -> bool {
    name.ends_with("-cache-control") || FOR_SHARED_CACHES.contains(&name)
}

/// Returns the value that replaces these lines of `Cache-Control`: with `private`, unless there is `no-store`, and without
/// `public` and `s-maxage`. `None` when the lines may stay.
///
/// `private` comes first, so that no directive with an unclosed quotation mark can hide it.
pub(crate) fn private_directives(lines: &[&[u8]]) -> Option<Vec<u8>> {
    // Several lines are one list (RFC 9110 section 5.3).
    let list = lines.join(&b", "[..]);
    let directives = split(&list);
    let is = |directive: &[u8], name: &str| directive.eq_ignore_ascii_case(name.as_bytes());
    let is_private = |directive: &&[u8]| is(directive, "private") || is(directive, "no-store");
    let is_shared = |directive: &&[u8]| {
        let name = directive.split(|&byte| byte == b'=').next();
        let name = name.unwrap_or_default().trim_ascii();
        is(name, "public") || is(name, "s-maxage")
    };
    let was_private = directives.iter().any(is_private);
    if was_private && !directives.iter().any(is_shared) {
        return None;
    }
    let kept = directives.into_iter().filter(|one| !is_shared(one));
    let first: &[&[u8]] = if was_private { &[] } else { &[b"private"] };
    let all: Vec<&[u8]> = first.iter().copied().chain(kept).collect();
    Some(all.join(&b", "[..]))
}

/// Splits a list into its directives, which are separated by commas and may have a quoted argument (RFC 9110 section 5.6.4).
fn split(list: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = list.split(|&byte| {
        let ends = byte == b',' && !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        ends
    });
    let parts = parts.map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn private(lines: &[&str]) -> Option<String> {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        private_directives(&lines).map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn directives_are_kept_unless_they_are_for_shared_caches() {
        for (lines, expected) in [
            (&[][..], Some("private")),
            (&[""], Some("private")),
            (&["public, max-age=600"], Some("private, max-age=600")),
            (
                &["Public", "S-MaxAge = 9 , immutable"],
                Some("private, immutable"),
            ),
            (&["no-cache"], Some("private, no-cache")),
            (&["no-store"], None),
            (&["max-age=1, PRIVATE"], None),
            (&["public, no-store"], Some("no-store")),
            // With field names, `private` and `no-store` are about these fields only, and a shared cache may keep the rest.
            (
                &["private=\"x, no-store, y\", max-age=5"],
                Some("private, private=\"x, no-store, y\", max-age=5"),
            ),
            (
                &["no-cache=\"a\\\", no-store\", public"],
                Some("private, no-cache=\"a\\\", no-store\""),
            ),
            (
                &["ext=\"no end, public, no-store"],
                Some("private, ext=\"no end, public, no-store"),
            ),
        ] {
            assert_eq!(private(lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn headers_for_shared_caches() {
        for name in [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "akamai-cache-control",
            "surrogate-control",
            "edge-control",
            "x-accel-expires",
        ] {
            assert!(is_for_shared_caches(name), "{name}");
        }
        for name in ["cache-control", "expires", "surrogate-key", "age"] {
            assert!(!is_for_shared_caches(name), "{name}");
        }
    }

    proptest! {
        /// The result needs no further change.
        #[test]
        fn once_is_enough(lines in proptest::collection::vec("[a-z,=\" \\\\]{0,12}|public|private|no-store|s-maxage=1", 0..4)) {
            let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
            let list = lines.join(&b", "[..]);
            let once = private_directives(&lines).unwrap_or(list);
            let is_private = [&b"private"[..], b"no-store"].iter().any(|one| split(&once).contains(one));
            prop_assert!(is_private, "{:?}", once);
            prop_assert_eq!(private_directives(&[&once]), None);
        }
    }
}

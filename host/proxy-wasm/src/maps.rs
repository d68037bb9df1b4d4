//! Reading and editing heads by the rules of header maps: names are case-insensitive, reading returns the first value,
//! `replace` leaves one line, pseudo headers are fields like others, and no edit can make a head invalid.

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::pairs::{Fields, is_pseudo};
use crate::{CallReply, RequestHead, ResponseHead};

/// Most fields that a plugin may add to a head: more than any server accepts. The limit bounds the memory of a head.
const FIELDS_LIMIT: usize = 1024;
/// Longest value that a plugin may set, for the same reasons.
const VALUE_LIMIT: usize = 64 * 1024;

/// An edit would have made the head invalid and was not made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// A head that the plugin may edit.
pub(crate) trait Head {
    /// Returns all fields, pseudo headers first.
    fn fields(&self) -> Fields<'_>;

    /// Returns the fields without pseudo headers.
    fn headers_mut(&mut self) -> &mut HeaderMap;

    /// Sets the pseudo header of that name, or returns `None` when this head has no such pseudo header.
    fn set_pseudo(&mut self, name: &[u8], value: &[u8]) -> Option<Result<(), Invalid>>;

    /// Adds one line.
    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Invalid> {
        if let Some(set) = self.set_pseudo(name, value) {
            return set;
        }
        let (name, value) = line(name, value)?;
        append(self.headers_mut(), name, value)
    }

    /// Sets one line and removes the others of that name. The old lines are removed even when the new one is invalid,
    /// so that a client's value never replaces the one that the plugin wanted.
    fn replace(&mut self, name: &[u8], value: &[u8]) -> Result<(), Invalid> {
        if let Some(set) = self.set_pseudo(name, value) {
            return set;
        }
        let name = HeaderName::from_bytes(name).map_err(|_| Invalid)?;
        self.headers_mut().remove(&name);
        append(self.headers_mut(), name, field_value(value)?)
    }

    /// Removes all lines of that name. A pseudo header cannot be removed.
    fn remove(&mut self, name: &[u8]) -> Result<(), Invalid> {
        if self.is_pseudo(name) {
            return Err(Invalid);
        }
        if let Ok(name) = std::str::from_utf8(name) {
            self.headers_mut().remove(name);
        }
        Ok(())
    }

    /// Returns whether this head has a pseudo header of that name.
    fn is_pseudo(&self, name: &[u8]) -> bool;

    /// Replaces every field. All pseudo headers are required; the valid edits are made in any case.
    fn replace_all(&mut self, pairs: &[(&[u8], &[u8])], required: &[&str]) -> Result<(), Invalid> {
        self.headers_mut().clear();
        let mut outcome = Ok(());
        for (name, value) in pairs {
            outcome = self.add(name, value).and(outcome);
        }
        let complete = required
            .iter()
            .all(|want| pairs.iter().any(|(name, _)| is_pseudo(want, name)));
        if complete { outcome } else { Err(Invalid) }
    }
}

impl Head for RequestHead {
    fn fields(&self) -> Fields<'_> {
        let pseudo = [
            (":authority", self.authority.as_bytes()),
            (":path", self.path.as_str().as_bytes()),
            (":method", self.method.as_str().as_bytes()),
            (":scheme", self.scheme.as_str().as_bytes()),
        ];
        Fields::four(pseudo, &self.headers)
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    fn is_pseudo(&self, name: &[u8]) -> bool {
        REQUEST_PSEUDO.iter().any(|pseudo| is_pseudo(pseudo, name)) || is_pseudo(":scheme", name)
    }

    fn set_pseudo(&mut self, name: &[u8], value: &[u8]) -> Option<Result<(), Invalid>> {
        if !self.is_pseudo(name) {
            return None;
        }
        Some(if is_pseudo(":path", name) {
            path(value).map(|path| self.path = path)
        } else if is_pseudo(":method", name) {
            Method::from_bytes(value)
                .map(|method| self.method = method)
                .map_err(|_| Invalid)
        } else if is_pseudo(":scheme", name) {
            Scheme::try_from(value)
                .map(|scheme| self.scheme = scheme)
                .map_err(|_| Invalid)
        } else {
            authority(value).map(|authority| self.authority = authority)
        })
    }
}

impl Head for ResponseHead {
    fn fields(&self) -> Fields<'_> {
        Fields::one((":status", self.status.as_str().as_bytes()), &self.headers)
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    fn is_pseudo(&self, name: &[u8]) -> bool {
        is_pseudo(":status", name)
    }

    fn set_pseudo(&mut self, name: &[u8], value: &[u8]) -> Option<Result<(), Invalid>> {
        self.is_pseudo(name).then(|| {
            let status = StatusCode::from_bytes(value);
            status
                .map(|status| self.status = status)
                .map_err(|_| Invalid)
        })
    }
}

impl CallReply {
    /// Returns all fields, `:status` first.
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields::one((":status", self.status.as_str().as_bytes()), &self.headers)
    }
}

/// Pseudo headers without which a request cannot be sent.
pub(crate) const REQUEST_PSEUDO: [&str; 3] = [":authority", ":path", ":method"];
/// Pseudo headers without which a response cannot be sent.
pub(crate) const RESPONSE_PSEUDO: [&str; 1] = [":status"];

/// Returns a line whose name and value are valid HTTP.
pub(crate) fn line(name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), Invalid> {
    Ok((
        HeaderName::from_bytes(name).map_err(|_| Invalid)?,
        field_value(value)?,
    ))
}

/// Appends a line unless the head has too many.
pub(crate) fn append(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
) -> Result<(), Invalid> {
    if headers.len() >= FIELDS_LIMIT {
        return Err(Invalid);
    }
    headers
        .try_append(name, value)
        .map(drop)
        .map_err(|_| Invalid)
}

fn field_value(value: &[u8]) -> Result<HeaderValue, Invalid> {
    if value.len() > VALUE_LIMIT {
        return Err(Invalid);
    }
    HeaderValue::from_bytes(value).map_err(|_| Invalid)
}

/// Parses a path in origin form, or `*`. A fragment is refused first, as the parser would drop it.
pub(crate) fn path(value: &[u8]) -> Result<PathAndQuery, Invalid> {
    let whole = value == b"*" || value.first() == Some(&b'/');
    if !whole || value.contains(&b'#') || value.len() > VALUE_LIMIT {
        return Err(Invalid);
    }
    PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(value)).map_err(|_| Invalid)
}

fn authority(value: &[u8]) -> Result<HeaderValue, Invalid> {
    Authority::try_from(value).map_err(|_| Invalid)?;
    field_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> RequestHead {
        let mut headers = HeaderMap::new();
        headers.append("x-user", HeaderValue::from_static("spoofed"));
        headers.append("x-user", HeaderValue::from_static("twice"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        RequestHead {
            method: Method::GET,
            scheme: Scheme::HTTPS,
            authority: HeaderValue::from_static("app.example.com"),
            path: PathAndQuery::from_static("/a?b"),
            headers,
        }
    }

    fn all(head: &RequestHead, name: &str) -> Vec<Vec<u8>> {
        head.headers
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect()
    }

    #[test]
    fn reading_ignores_case_and_takes_the_first() {
        let head = head();
        assert_eq!(head.fields().value(b"X-User"), Some(&b"spoofed"[..]));
        assert_eq!(head.fields().value(b":PATH"), Some(&b"/a?b"[..]));
        assert_eq!(head.fields().value(b"Host"), Some(&b"app.example.com"[..]));
        assert_eq!(head.fields().value(b"absent"), None);
        assert_eq!(head.fields().value(b"\xff"), None);
        assert_eq!(head.fields().count(), 7);
    }

    #[test]
    fn replace_leaves_one_line_and_add_another() {
        let mut head = head();
        head.replace(b"X-User", b"alice").unwrap();
        assert_eq!(all(&head, "x-user"), [b"alice".to_vec()]);
        head.add(b"x-user", b"bob\xff").unwrap();
        assert_eq!(
            all(&head, "x-user"),
            [b"alice".to_vec(), b"bob\xff".to_vec()]
        );
        head.remove(b"X-USER").unwrap();
        assert!(all(&head, "x-user").is_empty());
        head.remove(b"X-USER").unwrap();
    }

    #[test]
    fn pseudo_headers_can_be_set_but_not_doubled_or_removed() {
        let mut head = head();
        head.add(b":path", b"/second").unwrap();
        assert_eq!(head.path, "/second");
        head.replace(b"host", b"other.example.com:8443").unwrap();
        assert_eq!(head.authority, "other.example.com:8443");
        assert!(!head.headers.contains_key("host"));
        head.replace(b":method", b"POST").unwrap();
        assert_eq!(head.method, Method::POST);
        for name in [":path", ":method", ":authority", ":scheme", "host"] {
            assert_eq!(head.remove(name.as_bytes()), Err(Invalid), "{name}");
        }
    }

    #[test]
    fn nothing_invalid_gets_in() {
        let mut head = head();
        assert_eq!(head.add(b"x-new", b"a\r\nset-cookie: b"), Err(Invalid));
        assert_eq!(head.add(b"x new", b"a"), Err(Invalid));
        assert_eq!(head.add(b"", b"a"), Err(Invalid));
        assert_eq!(head.add(b":unknown", b"a"), Err(Invalid));
        assert_eq!(head.add(b"x-new", b"a\0"), Err(Invalid));
        assert_eq!(head.replace(b":path", b"/a b"), Err(Invalid));
        assert_eq!(head.replace(b":path", b"/a#b"), Err(Invalid));
        assert_eq!(head.replace(b":path", b"a"), Err(Invalid));
        assert_eq!(head.replace(b":path", b""), Err(Invalid));
        assert_eq!(head.replace(b":method", b"GET /"), Err(Invalid));
        assert_eq!(head.replace(b":authority", b"a b"), Err(Invalid));
        assert_eq!(head.replace(b":authority", b""), Err(Invalid));
        assert_eq!(head.headers.len(), 3);
        assert_eq!(head.path, "/a?b");
    }

    #[test]
    fn an_invalid_replacement_does_not_leave_the_old_value() {
        let mut head = head();
        assert_eq!(head.replace(b"x-user", b"ali\nce"), Err(Invalid));
        assert!(all(&head, "x-user").is_empty());
    }

    #[test]
    fn a_head_does_not_grow_without_bound() {
        let mut head = head();
        let added = (0..FIELDS_LIMIT * 2)
            .filter(|_| head.add(b"x-many", b"1").is_ok())
            .count();
        assert_eq!(added, FIELDS_LIMIT - 3);
        assert_eq!(
            head.replace(b"x-long", &vec![b'a'; VALUE_LIMIT + 1]),
            Err(Invalid)
        );
    }

    #[test]
    fn replacing_all_needs_every_pseudo_header() {
        let mut head = head();
        let pairs: [(&[u8], &[u8]); 4] = [
            (b":path", b"/x"),
            (b":method", b"PUT"),
            (b":authority", b"b"),
            (b"k", b"v"),
        ];
        head.replace_all(&pairs, &REQUEST_PSEUDO).unwrap();
        assert_eq!((head.path.as_str(), head.headers.len()), ("/x", 1));
        assert_eq!(head.replace_all(&pairs[1..], &REQUEST_PSEUDO), Err(Invalid));
        assert_eq!(head.replace_all(&[], &REQUEST_PSEUDO), Err(Invalid));
        assert!(head.headers.is_empty());
    }

    #[test]
    fn a_response_has_a_status() {
        let mut head = ResponseHead {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
        };
        assert_eq!(head.fields().value(b":status"), Some(&b"200"[..]));
        head.replace(b":status", b"404").unwrap();
        assert_eq!(head.status, StatusCode::NOT_FOUND);
        assert_eq!(head.replace(b":status", b"x"), Err(Invalid));
        assert_eq!(head.add(b":path", b"/"), Err(Invalid));
    }
}

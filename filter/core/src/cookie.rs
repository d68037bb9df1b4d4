//! Cookies: reading ours, hiding them from upstreams, setting and clearing them (RFC 6265bis).

/// Names of this deployment's cookies.
#[derive(Clone, Debug)]
pub struct CookieNames {
    session: String,
    attempt_prefix: String,
}

/// What a request's `Cookie` headers hold of ours.
#[derive(Debug, Default)]
pub struct OwnCookies<'a> {
    /// Values under the session's name. More than one is possible only in a forged header.
    pub sessions: Vec<&'a [u8]>,
    /// Sign-in attempts: id and sealed value.
    pub attempts: Vec<(&'a str, &'a [u8])>,
}

/// How many cookies of ours one request may bring; a browser brings one session and [`crate::oidc::MAX_ATTEMPTS`].
const MAX_OWN_COOKIES: usize = 16;

impl CookieNames {
    /// Names derived from the session cookie's name, which begins with `__Host-`.
    #[must_use]
    pub fn new(session: &str) -> Self {
        Self {
            session: session.to_owned(),
            attempt_prefix: format!("{session}_attempt_"),
        }
    }

    /// Name of the session cookie.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Name of the cookie that remembers one sign-in attempt.
    #[must_use]
    pub fn attempt(&self, id: &str) -> String {
        format!("{}{id}", self.attempt_prefix)
    }

    /// Reads our cookies from one `Cookie` header value.
    ///
    /// Names must fit to the letter: a browser guarantees the `__Host-` rules only for the exact name.
    pub fn read<'a>(&self, header: &'a [u8], into: &mut OwnCookies<'a>) {
        for pair in pairs(header) {
            let Some((name, value)) = split_pair(pair) else {
                continue;
            };
            if into.sessions.len() + into.attempts.len() == MAX_OWN_COOKIES {
                return;
            }
            if name == self.session.as_bytes() {
                into.sessions.push(value);
            } else if let Some(id) = name.strip_prefix(self.attempt_prefix.as_bytes())
                && let Ok(id) = std::str::from_utf8(id)
            {
                into.attempts.push((id, value));
            }
        }
    }

    /// The header without our cookies: `Keep` when it holds none, otherwise the others byte for byte and in order.
    #[must_use]
    pub fn strip(&self, header: &[u8]) -> Stripped {
        if !pairs(header).any(|pair| self.is_own(pair)) {
            return Stripped::Keep;
        }
        let mut kept = Vec::with_capacity(header.len());
        for pair in pairs(header).filter(|pair| !self.is_own(pair) && !pair.is_empty()) {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
        if kept.is_empty() {
            Stripped::Remove
        } else {
            Stripped::Replace(kept)
        }
    }

    /// Whether a `Set-Cookie` header value sets a cookie of ours, in any spelling.
    #[must_use]
    pub fn sets_own(&self, set_cookie: &[u8]) -> bool {
        let pair = set_cookie
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default();
        self.is_own(pair)
    }

    /// Generous where reading is strict: spaces around the name and its case do not hide a cookie of ours.
    fn is_own(&self, pair: &[u8]) -> bool {
        let name = pair
            .split(|&byte| byte == b'=')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let session = self.session.as_bytes();
        name.get(..session.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(session))
            && (name.len() == session.len() || name.get(session.len()) == Some(&b'_'))
    }
}

/// What becomes of a `Cookie` header on its way to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stripped {
    /// It stays as it is.
    Keep,
    /// This is what is left.
    Replace(Vec<u8>),
    /// Nothing is left.
    Remove,
}

/// `Set-Cookie` value that keeps `value` for `seconds`. The `__Host-` prefix demands `Secure`, `Path=/` and no `Domain`.
///
/// `Lax` because the provider's redirect back is a cross-site navigation, which `Strict` would strip of its cookies.
#[must_use]
pub fn set(name: &str, value: &str, seconds: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
}

/// Longest name and value together that browsers keep (RFC 6265bis section 5.7).
const MAX_COOKIE: usize = 4096;

/// Whether browsers keep a cookie of this name and value.
#[must_use]
pub fn fits(name: &str, value: &str) -> bool {
    name.len() + value.len() <= MAX_COOKIE
}

/// `Set-Cookie` value that removes a cookie; the attributes are the ones it was set with, or browsers keep it.
#[must_use]
pub fn clear(name: &str) -> String {
    set(name, "", 0)
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header
        .split(|&byte| byte == b';')
        .map(|pair| pair.strip_prefix(b" ").unwrap_or(pair))
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    let (name, value) = pair.split_at_checked(equals)?;
    Some((name, value.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> CookieNames {
        CookieNames::new("__Host-jetway")
    }

    fn own(header: &[u8]) -> OwnCookies<'_> {
        let mut found = OwnCookies::default();
        names().read(header, &mut found);
        found
    }

    #[test]
    fn reads_session_and_attempts() {
        let found = own(b"a=b; __Host-jetway=S; __Host-jetway_attempt_x1=T; c");
        assert_eq!(found.sessions, [b"S"]);
        assert_eq!(found.attempts, [("x1", b"T".as_slice())]);
    }

    #[test]
    fn near_misses_are_not_the_session() {
        for header in [
            b"=__Host-jetway=evil".as_slice(),
            b"a=b;  __Host-jetway=evil",
            b"__host-jetway=evil",
            b"__Host-jetway =evil",
            b"__Host-jetway",
            b";;;",
            b"=",
            b"\xff=\xff",
        ] {
            assert!(own(header).sessions.is_empty(), "{header:?}");
        }
    }

    #[test]
    fn a_flood_is_cut() {
        let header = b"__Host-jetway=x; ".repeat(100);
        assert_eq!(own(&header).sessions.len(), MAX_OWN_COOKIES);
    }

    #[test]
    fn strips_ours_and_keeps_others_as_they_are() {
        let strip = |header: &[u8]| names().strip(header);
        assert_eq!(strip(b"a=b; cockpit=\"x y\"; \xff"), Stripped::Keep);
        assert_eq!(
            strip(b"a=b; __Host-jetway=S; c=\xff=; d"),
            Stripped::Replace(b"a=b; c=\xff=; d".to_vec())
        );
        assert_eq!(
            strip(b"__Host-jetway=S; __Host-jetway_attempt_x=T"),
            Stripped::Remove
        );
        assert_eq!(
            strip(b"a=b;   __HOST-jetway =S"),
            Stripped::Replace(b"a=b".to_vec())
        );
        assert_eq!(strip(b"__Host-jetwayish=S"), Stripped::Keep);
    }

    #[test]
    fn upstreams_cannot_set_ours() {
        assert!(names().sets_own(b"__Host-jetway=evil; Path=/"));
        assert!(names().sets_own(b" __host-jetway_attempt_1=evil"));
        assert!(!names().sets_own(b"cockpit=1; Path=/; __Host-jetway=1"));
    }

    #[test]
    fn attributes() {
        assert_eq!(
            set("__Host-s", "v", 9),
            "__Host-s=v; Path=/; Max-Age=9; Secure; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            clear("__Host-s"),
            "__Host-s=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
        );
    }
}

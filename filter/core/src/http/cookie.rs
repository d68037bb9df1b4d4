//! The proxy's own cookies: reads them, hides them from upstreams, sets and clears them (RFC 6265bis).

mod line;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::memchr;

pub(crate) use line::CookieLine;

/// Longest value of one cookie in bytes. Browsers keep 4096 bytes of name and value together (RFC 6265bis section 5.7), and
/// some count the attributes as well.
const CHUNK: usize = 3800;
/// Over how many cookies a session may be spread. More would bring the headers of a request near the limits of servers in
/// front.
const MAX_CHUNKS: usize = 3;
/// Longest sealed value of a session.
pub const MAX_SESSION_VALUE: usize = CHUNK * MAX_CHUNKS;

/// The names of this deployment's cookies.
#[derive(Clone, Debug)]
pub struct CookieNames {
    session: String,
    attempt_prefix: String,
    login_loop: String,
    sign_out: String,
    fragment_prefix: String,
    part_prefix: String,
}

/// The proxy's own cookies in a request.
#[derive(Debug, Default)]
pub struct OwnCookies<'a> {
    /// The values of cookies with the session's name. There is more than one only in a forged header.
    sessions: Vec<&'a [u8]>,
    /// The cookies that continue a long session: their numbers, from 1, and values.
    parts: Vec<(usize, &'a [u8])>,
    /// The sign-in attempts: their ids and sealed values.
    pub attempts: Vec<(&'a str, &'a [u8])>,
    /// The fragments of requested addresses: the ids of their attempts, and what the script of the leaving page wrote.
    fragments: Vec<(&'a str, &'a [u8])>,
    /// How often this browser was recently sent to sign in, sealed.
    pub login_loop: Option<&'a [u8]>,
    /// The `state` of the sign-out that this browser began last.
    pub sign_out: Option<&'a [u8]>,
}

impl<'a> OwnCookies<'a> {
    /// Returns the fragment that belongs to an attempt.
    #[must_use]
    pub fn fragment_of(&self, attempt: &str) -> Option<&'a [u8]> {
        let found = self.fragments.iter().find(|(id, _)| *id == attempt);
        found.map(|(_, value)| *value)
    }

    /// Returns whether there is any cookie of a session, valid or not.
    #[must_use]
    pub fn has_session(&self) -> bool {
        !self.sessions.is_empty() || !self.parts.is_empty()
    }

    /// Returns the sealed sessions, joined from their cookies. A session is left out when one of its cookies is missing, or when
    /// there are more cookies than it has.
    pub fn sessions(&self) -> impl Iterator<Item = Cow<'a, [u8]>> {
        self.sessions.iter().filter_map(|first| self.join(first))
    }

    fn count(&self) -> usize {
        self.sessions.len() + self.parts.len() + self.attempts.len() + self.fragments.len()
    }

    fn join(&self, first: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        // Base64url has no dot: only the first of several cookies contains one.
        let Some(dot) = memchr(b'.', first) else {
            return self.parts.is_empty().then_some(Cow::Borrowed(first));
        };
        let (count, first) = (first.get(..dot)?, first.get(dot + 1..)?);
        let count = (2..=MAX_CHUNKS).find(|number| number.to_string().as_bytes() == count)?;
        if self.parts.len() != count - 1 {
            return None;
        }
        let mut whole = first.to_vec();
        for place in 1..count {
            let (_, part) = self.parts.iter().find(|(known, _)| *known == place)?;
            whole.extend_from_slice(part);
        }
        Some(Cow::Owned(whole))
    }
}

/// How many of the proxy's own cookies are read from one request. A browser sends a session, [`crate::limits::MAX_ATTEMPTS`]
/// attempts and one more.
const MAX_OWN_COOKIES: usize = 16;

impl CookieNames {
    /// Derives the names from that of the session cookie, which begins with `__Host-`.
    #[must_use]
    pub fn new(session: &str) -> Self {
        Self {
            session: session.to_owned(),
            attempt_prefix: format!("{session}_attempt_"),
            login_loop: format!("{session}_login_count"),
            sign_out: format!("{session}_sign_out"),
            fragment_prefix: format!("{session}_fragment_"),
            part_prefix: format!("{session}_"),
        }
    }

    /// Returns the name of the session cookie.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Returns the name of the cookie that counts how often a browser was recently sent to sign in.
    #[must_use]
    pub fn login_loop(&self) -> &str {
        &self.login_loop
    }

    /// Returns the name of the cookie that remembers the `state` of a sign-out.
    #[must_use]
    pub fn sign_out(&self) -> &str {
        &self.sign_out
    }

    /// Returns the `Set-Cookie` values that keep a sealed session for `seconds`, in as many cookies as it needs, and remove
    /// those of an earlier session. `None` when it is longer than [`MAX_SESSION_VALUE`].
    #[must_use]
    pub fn set_session(
        &self,
        sealed: &str,
        seconds: u64,
        present: &OwnCookies<'_>,
    ) -> Option<Vec<String>> {
        if sealed.len() > MAX_SESSION_VALUE {
            return None;
        }
        let count = sealed.len().div_ceil(CHUNK);
        let mut rest = sealed;
        let mut lines = Vec::with_capacity(count);
        for place in 0..count {
            let (chunk, more) = rest.split_at_checked(CHUNK).unwrap_or((rest, ""));
            rest = more;
            lines.push(match place {
                0 if count > 1 => set(&self.session, &format!("{count}.{chunk}"), seconds),
                0 => set(&self.session, chunk, seconds),
                _ => set(&self.part(place), chunk, seconds),
            });
        }
        let stale = present.parts.iter().filter(|(place, _)| *place >= count);
        lines.extend(stale.map(|(place, _)| clear(&self.part(*place))));
        Some(lines)
    }

    /// Returns the `Set-Cookie` values that remove the session and its login count.
    #[must_use]
    pub fn clear_session(&self, present: &OwnCookies<'_>) -> Vec<String> {
        let parts = present.parts.iter().map(|(place, _)| self.part(*place));
        let login_loop = present.login_loop.map(|_| self.login_loop.clone());
        std::iter::once(self.session.clone())
            .chain(parts)
            .chain(login_loop)
            .map(|name| clear(&name))
            .collect()
    }

    /// Returns the `Set-Cookie` values that remove all of the proxy's own cookies in a request.
    #[must_use]
    pub fn clear_all(&self, present: &OwnCookies<'_>) -> Vec<String> {
        // The client chose the ids: only ids that the proxy could have chosen are sent back.
        let is_id = |id: &&str| {
            id.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let attempts = present.attempts.iter().map(|(id, _)| *id).filter(is_id);
        let fragments = present.fragments.iter().map(|(id, _)| *id).filter(is_id);
        let sign_out = present.sign_out.map(|_| self.sign_out.clone());
        let others = attempts
            .map(|id| self.attempt(id))
            .chain(fragments.map(|id| self.fragment(id)))
            .chain(sign_out)
            .map(|name| clear(&name));
        let mut lines = self.clear_session(present);
        lines.extend(others);
        lines
    }

    fn part(&self, place: usize) -> String {
        format!("{}{place}", self.part_prefix)
    }

    /// Returns the name of the cookie that keeps the fragment of the address that an attempt is for.
    #[must_use]
    pub fn fragment(&self, id: &str) -> String {
        format!("{}{id}", self.fragment_prefix)
    }

    /// Returns the name of the cookie that remembers one sign-in attempt.
    #[must_use]
    pub fn attempt(&self, id: &str) -> String {
        format!("{}{id}", self.attempt_prefix)
    }

    /// Finds the proxy's own cookies in one `Cookie` header value.
    pub(crate) fn scan<'a>(&self, header: &'a [u8]) -> CookieLine<'a> {
        CookieLine::scan(header, |pair| self.is_own(pair))
    }

    /// Reads the proxy's own cookies from one `Cookie` header value.
    ///
    /// Names have to match exactly: a browser guarantees the `__Host-` rules only for the exact name.
    pub(crate) fn read<'a>(&self, line: &CookieLine<'a>, into: &mut OwnCookies<'a>) {
        for (name, value) in line.own_pairs().filter_map(split_pair) {
            if into.count() == MAX_OWN_COOKIES {
                return;
            }
            self.read_pair(name, value, into);
        }
    }

    fn read_pair<'a>(&self, name: &'a [u8], value: &'a [u8], into: &mut OwnCookies<'a>) {
        if name == self.session.as_bytes() {
            into.sessions.push(value);
        } else if name == self.login_loop.as_bytes() {
            into.login_loop = Some(value);
        } else if name == self.sign_out.as_bytes() {
            into.sign_out = Some(value);
        } else if let Some(id) = name.strip_prefix(self.fragment_prefix.as_bytes())
            && let Ok(id) = std::str::from_utf8(id)
        {
            into.fragments.push((id, value));
        } else if let Some(place) = self.read_part_number(name) {
            into.parts.push((place, value));
        } else if let Some(id) = name.strip_prefix(self.attempt_prefix.as_bytes())
            && let Ok(id) = std::str::from_utf8(id)
        {
            into.attempts.push((id, value));
        }
    }

    fn read_part_number(&self, name: &[u8]) -> Option<usize> {
        match name.strip_prefix(self.part_prefix.as_bytes())? {
            [digit @ b'1'..=b'9'] => Some(usize::from(digit - b'0')),
            _ => None,
        }
    }

    /// Returns whether a `Set-Cookie` header value sets one of the proxy's own cookies, in any spelling.
    #[must_use]
    pub fn sets_own(&self, set_cookie: &[u8]) -> bool {
        let pair = set_cookie
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default();
        self.is_own(pair)
    }

    /// Returns whether a cookie is one of the proxy's own. In contrast to [`CookieNames::read`], spaces around the name and its
    /// case do not matter, so that no spelling hides one.
    fn is_own(&self, pair: &[u8]) -> bool {
        let session = self.session.as_bytes();
        let Some((start, rest)) = pair.trim_ascii_start().split_at_checked(session.len()) else {
            return false;
        };
        if !start.eq_ignore_ascii_case(session) {
            return false;
        }
        match rest {
            [] | [b'=' | b'_', ..] => true,
            // Spaces may be between the name and the `=`.
            [first, ..] if first.is_ascii_whitespace() => {
                let behind = rest.trim_ascii_start();
                behind.is_empty() || behind.starts_with(b"=")
            }
            _ => false,
        }
    }
}

/// Returns a `Set-Cookie` value that keeps `value` for `seconds`. The `__Host-` prefix requires `Secure`, `Path=/` and no
/// `Domain`.
///
/// `SameSite` is `Lax` because the redirect from the provider is a cross-site navigation, which would lack `Strict` cookies.
#[must_use]
pub fn set(name: &str, value: &str, seconds: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
}

/// Returns the same for a cookie that has to come with a form that a page of another site posts: browsers would not send a
/// `Lax` one.
#[must_use]
pub fn set_cross_site(name: &str, value: &str, seconds: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=None")
}

/// Returns a `Set-Cookie` value that removes a cookie. The attributes are those with which it was set, or browsers would keep
/// it.
#[must_use]
pub fn clear(name: &str) -> String {
    set(name, "", 0)
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr(b'=', pair)?;
    let (name, value) = pair.split_at_checked(equals)?;
    Some((name, value.get(1..)?))
}

//! Binds Cockpit's session cookies to the users that they were made for.
//!
//! For Cockpit a live cookie outweighs everything else: a request that brings it is in that session, whatever else the
//! request says about the user. So each cookie that Cockpit sets gets a tag on its way to the browser. The tag is valid only
//! for the same session of the same user as the same Unix user with the same access on the same host, and a cookie without
//! its tag never reaches Cockpit. Cockpit sets a cookie when it logs a user in. In any other response, such as one that it
//! passes on from a program that a user runs, the cookie is withheld. Other upstreams of the same host see none of them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::CockpitIdentity;
use crate::secret::{Secret, is_equal_in_constant_time};
use crate::session::Session;

/// Bytes of a tag, which is as hard to guess as a session's id.
const TAG: usize = 16;
/// Characters of a tag in base64url.
const TAG_CHARACTERS: usize = 22;
/// Bytes of a key.
const KEY: usize = 32;
/// Separates a cookie's value from its tag. It does not occur in base64url.
const SEPARATOR: u8 = b'.';
/// The value that Cockpit sets to remove a cookie.
const DELETED: &[u8] = b"deleted";
/// Beginnings of the names of Cockpit's session cookies: `cockpit`, `cockpit+NAME`, `machine-cockpit+HOST`.
const NAMES: [&[u8]; 2] = [b"cockpit", b"machine-cockpit"];
/// Cockpit's only other cookie, a language.
const LANGUAGE: &[u8] = b"CockpitLang";
/// The part that all of Cockpit's names have in common.
const MARK: &[u8] = b"cockpit";

/// A key; never printed.
type CookieKey = Zeroizing<[u8; KEY]>;

/// The deployment's keys for tags, the newest first.
pub(in crate::gate) struct Binder {
    rings: Vec<Hkdf<Sha256>>,
}

/// The keys for the cookies of one session on one host, the newest first.
#[derive(Clone)]
pub struct Binding {
    keys: Vec<CookieKey>,
    /// Whether the request is a login, whose response may set a session cookie.
    of_login: bool,
}

/// The treatment of a `Set-Cookie` value that Cockpit sends.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gate) enum ReleasedCookie {
    /// It is passed on unchanged.
    Unchanged,
    /// It is replaced by this value.
    Changed(Vec<u8>),
    /// The browser does not get it.
    Withheld,
}

impl Binder {
    /// Derives the keys from `cookie_secret` and the earlier secrets.
    pub(in crate::gate) fn new(newest: &Secret, previous: &[Secret]) -> Self {
        let ring = |secret: &Secret| Hkdf::new(Some(b"jetway cockpit cookies"), secret.expose());
        Self {
            rings: std::iter::once(newest).chain(previous).map(ring).collect(),
        }
    }

    /// Returns the keys for the cookies of a session.
    pub(super) fn bind(
        &self,
        host: &str,
        session: &Session,
        identity: &CockpitIdentity,
    ) -> Binding {
        // Only the subject, which comes last, may contain a zero byte, so that the joint string is unambiguous.
        let access = if identity.administrator {
            "administrator"
        } else {
            "limited"
        };
        let info = [
            host,
            &session.id,
            identity.user.as_str(),
            access,
            &session.subject,
        ]
        .join("\0");
        let keys = self
            .rings
            .iter()
            .map(|ring| expand_key(ring, &[info.as_bytes()]));
        Binding {
            keys: keys.collect(),
            of_login: false,
        }
    }
}

impl Binding {
    /// The same binding, for a request that is a login or is not.
    pub(super) fn of_login(self, of_login: bool) -> Self {
        Self { of_login, ..self }
    }

    /// Returns the `Cookie` header as Cockpit may see it. Of its session cookies it has only those that were made for this
    /// session, without their tags.
    pub(in crate::gate) fn admit(&self, header: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(header.len());
        for pair in header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii) {
            let pair = if is_language(pair) || !mentions_cockpit(pair) {
                pair
            } else if let Some(pair) = self.untag(pair) {
                pair
            } else {
                continue;
            };
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
        kept
    }

    /// Returns a cookie without its tag, when the tag is valid.
    fn untag<'p>(&self, pair: &'p [u8]) -> Option<&'p [u8]> {
        let (bare, tag) = pair.split_at_checked(pair.len().checked_sub(TAG_CHARACTERS)?)?;
        let bare = bare.strip_suffix(&[SEPARATOR])?;
        let (name, value) = split_pair(bare)?;
        let tag: [u8; TAG] = URL_SAFE_NO_PAD.decode(tag).ok()?.try_into().ok()?;
        let is_valid =
            |key: &CookieKey| is_equal_in_constant_time(&compute_tag(key, name, value), &tag);
        (is_session_cookie(name) && self.keys.iter().any(is_valid)).then_some(bare)
    }

    /// Returns a `Set-Cookie` value of Cockpit's as the browser gets it: session cookies with a tag, all cookies `Secure`.
    pub(in crate::gate) fn release(&self, line: &[u8]) -> ReleasedCookie {
        let end = line.iter().position(|&byte| byte == b';');
        let (pair, attributes) = line.split_at(end.unwrap_or(line.len()));
        let Some((name, value)) = split_pair(pair.trim_ascii()) else {
            return ReleasedCookie::Unchanged;
        };
        let name = name.trim_ascii_end();
        let mut released = [name, b"=", value].concat();
        if is_session_cookie(name) && !value.is_empty() && value != DELETED {
            let Some(key) = self.keys.first().filter(|_| self.of_login) else {
                return ReleasedCookie::Withheld;
            };
            released.push(SEPARATOR);
            let tag = compute_tag(key, name, value);
            released.extend_from_slice(URL_SAFE_NO_PAD.encode(tag).as_bytes());
        }
        released.extend_from_slice(attributes);
        let secure = attributes
            .split(|&byte| byte == b';')
            .any(|attribute| attribute.trim_ascii().eq_ignore_ascii_case(b"secure"));
        if !secure {
            released.extend_from_slice(b"; Secure");
        }
        if released == line {
            ReleasedCookie::Unchanged
        } else {
            ReleasedCookie::Changed(released)
        }
    }
}

/// Returns whether a `Cookie` header has cookies that a [`Binding`] released.
pub(in crate::gate) fn has_released(header: &[u8]) -> bool {
    let mut pairs = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    pairs.any(is_released)
}

/// Returns a `Cookie` header without the cookies that a [`Binding`] released, which no other upstream has to see.
pub(in crate::gate) fn without_released(header: &[u8]) -> Vec<u8> {
    let pairs = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> = pairs.filter(|pair| !is_released(pair)).collect();
    kept.join(&b"; "[..])
}

/// Returns whether a cookie has a name of Cockpit's and a tag. The cookie of a Cockpit with a login of its own has no tag.
fn is_released(pair: &[u8]) -> bool {
    split_pair(pair).is_some_and(|(name, value)| {
        let mut parts = value.rsplitn(2, |&byte| byte == SEPARATOR);
        let tag = parts.next().unwrap_or_default();
        is_session_cookie(name) && parts.next().is_some() && tag.len() == TAG_CHARACTERS
    })
}

impl std::fmt::Debug for Binder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Binder(..)")
    }
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Binding(..)")
    }
}

fn expand_key(ring: &Hkdf<Sha256>, info: &[&[u8]]) -> CookieKey {
    let mut key = Zeroizing::new([0; KEY]);
    // HKDF refuses only outputs above 255 hash lengths.
    if ring.expand_multi_info(info, key.as_mut_slice()).is_err() {
        unreachable!("one hash length");
    }
    key
}

/// Computes the tag of a cookie. No cookie name contains `=`, so that the joint string is unambiguous.
fn compute_tag(key: &CookieKey, name: &[u8], value: &[u8]) -> [u8; TAG] {
    let mut tag = [0; TAG];
    let ring = Hkdf::<Sha256>::from_prk(key.as_slice());
    if ring.is_ok_and(|ring| {
        ring.expand_multi_info(&[name, b"=", value], &mut tag)
            .is_err()
    }) {
        unreachable!("less than one hash length");
    }
    tag
}

fn is_session_cookie(name: &[u8]) -> bool {
    NAMES
        .into_iter()
        .any(|beginning| name.starts_with(beginning))
}

/// Returns whether Cockpit might find a cookie of its own in a pair. It also ends a cookie at a comma or a space, so that
/// its name anywhere in the pair counts.
fn mentions_cockpit(pair: &[u8]) -> bool {
    pair.windows(MARK.len())
        .any(|part| part.eq_ignore_ascii_case(MARK))
}

fn is_language(pair: &[u8]) -> bool {
    split_pair(pair).is_some_and(|(name, value)| {
        let fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        name == LANGUAGE && value.iter().all(fit)
    })
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    let (name, value) = pair.split_at_checked(equals)?;
    Some((name, value.get(1..)?))
}

#[cfg(test)]
mod tests;

//! Cockpit's session cookies, each bound to the visitor that it was made for.
//!
//! To Cockpit a live cookie outweighs everything else: who brings it is in that session, whatever the request says about
//! who logs in. So each one that Cockpit sets gets a tag on its way to the browser, which only the same session of the
//! same person as the same Unix user with the same access on the same host can show again; one without its tag never
//! reaches Cockpit. Cockpit sets one when it logs somebody in; in any other answer, such as one that it passes on from a
//! program of a visitor's, it is withheld. Other upstreams of the same host see none.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::CockpitIdentity;
use crate::secret::{Secret, is_equal_in_constant_time};
use crate::session::Session;

/// Bytes of a tag: as hard to guess as a session's name.
const TAG: usize = 16;
/// Characters of a tag in base64url.
const TAG_TEXT: usize = 22;
/// Bytes of a key.
const KEY: usize = 32;
/// Between a cookie's value and its tag: base64url has none.
const SEPARATOR: u8 = b'.';
/// What Cockpit sets to remove a cookie.
const DELETED: &[u8] = b"deleted";
/// Beginnings of the names of Cockpit's session cookies: `cockpit`, `cockpit+NAME`, `machine-cockpit+HOST`.
const NAMES: [&[u8]; 2] = [b"cockpit", b"machine-cockpit"];
/// Cockpit's one other cookie, a language.
const LANGUAGE: &[u8] = b"CockpitLang";
/// What all of Cockpit's names have in them.
const MARK: &[u8] = b"cockpit";

/// A key; never printed.
type Key = Zeroizing<[u8; KEY]>;

/// The deployment's keys for tags, the newest first.
pub(in crate::gate) struct Binder {
    rings: Vec<Hkdf<Sha256>>,
}

/// The keys for the cookies of one visitor on one host, the newest first.
#[derive(Clone)]
pub struct Binding {
    keys: Vec<Key>,
    /// Whether the request is a login, whose answer may set a session cookie.
    of_login: bool,
}

/// What becomes of a `Set-Cookie` value of Cockpit's.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gate) enum Released {
    /// It stays as it is.
    Same,
    /// It becomes another.
    Changed(Vec<u8>),
    /// The browser does not get it.
    Withheld,
}

impl Binder {
    /// From `cookie_secret` and the secrets before it.
    pub(in crate::gate) fn new(newest: &Secret, previous: &[Secret]) -> Self {
        let ring = |secret: &Secret| Hkdf::new(Some(b"jetway cockpit cookies"), secret.expose());
        Self {
            rings: std::iter::once(newest).chain(previous).map(ring).collect(),
        }
    }

    /// The keys for a visitor.
    pub(super) fn bind(
        &self,
        host: &str,
        session: &Session,
        standing: &CockpitIdentity,
    ) -> Binding {
        // Only the subject, which comes last, may hold a zero byte: the joint text is unambiguous.
        let access = if standing.administrator {
            "administrator"
        } else {
            "limited"
        };
        let text = [
            host,
            &session.id,
            standing.user.as_str(),
            access,
            &session.subject,
        ]
        .join("\0");
        let keys = self
            .rings
            .iter()
            .map(|ring| expand(ring, &[text.as_bytes()]));
        Binding {
            keys: keys.collect(),
            of_login: false,
        }
    }
}

impl Binding {
    /// The same, for a request that is a login or is not.
    pub(super) fn of_login(self, of_login: bool) -> Self {
        Self { of_login, ..self }
    }

    /// The `Cookie` header as Cockpit may see it: of its session cookies only those that were made for this visitor,
    /// without their tags.
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

    /// A cookie without its tag, when that fits.
    fn untag<'p>(&self, pair: &'p [u8]) -> Option<&'p [u8]> {
        let (bare, tag) = pair.split_at_checked(pair.len().checked_sub(TAG_TEXT)?)?;
        let bare = bare.strip_suffix(&[SEPARATOR])?;
        let (name, value) = split_pair(bare)?;
        let tag: [u8; TAG] = URL_SAFE_NO_PAD.decode(tag).ok()?.try_into().ok()?;
        let fits = |key: &Key| is_equal_in_constant_time(&self::tag(key, name, value), &tag);
        (is_session(name) && self.keys.iter().any(fits)).then_some(bare)
    }

    /// A `Set-Cookie` value of Cockpit's as the browser gets it: session cookies with their tag, everything `Secure`.
    pub(in crate::gate) fn release(&self, line: &[u8]) -> Released {
        let end = line.iter().position(|&byte| byte == b';');
        let (pair, attributes) = line.split_at(end.unwrap_or(line.len()));
        let Some((name, value)) = split_pair(pair.trim_ascii()) else {
            return Released::Same;
        };
        let name = name.trim_ascii_end();
        let mut released = [name, b"=", value].concat();
        if is_session(name) && !value.is_empty() && value != DELETED {
            let Some(key) = self.keys.first().filter(|_| self.of_login) else {
                return Released::Withheld;
            };
            released.push(SEPARATOR);
            let tag = tag(key, name, value);
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
            Released::Same
        } else {
            Released::Changed(released)
        }
    }
}

/// Whether a `Cookie` header has cookies that a [`Binding`] released.
pub(in crate::gate) fn has_released(header: &[u8]) -> bool {
    let mut pairs = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    pairs.any(looks_released)
}

/// A `Cookie` header without the cookies that a [`Binding`] released: no other upstream has to see them.
pub(in crate::gate) fn without_released(header: &[u8]) -> Vec<u8> {
    let pairs = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> = pairs.filter(|pair| !looks_released(pair)).collect();
    kept.join(&b"; "[..])
}

/// Whether a cookie has a name of Cockpit's and a tag. One of a Cockpit that visitors log in to themselves has none.
fn looks_released(pair: &[u8]) -> bool {
    split_pair(pair).is_some_and(|(name, value)| {
        let mut parts = value.rsplitn(2, |&byte| byte == SEPARATOR);
        let tag = parts.next().unwrap_or_default();
        is_session(name) && parts.next().is_some() && tag.len() == TAG_TEXT
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

fn expand(ring: &Hkdf<Sha256>, text: &[&[u8]]) -> Key {
    let mut key = Zeroizing::new([0; KEY]);
    // HKDF refuses only outputs above 255 hash lengths.
    if ring.expand_multi_info(text, key.as_mut_slice()).is_err() {
        unreachable!("one hash length");
    }
    key
}

/// No name of a cookie has `=` in it, so the joint text is unambiguous.
fn tag(key: &Key, name: &[u8], value: &[u8]) -> [u8; TAG] {
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

fn is_session(name: &[u8]) -> bool {
    NAMES
        .into_iter()
        .any(|beginning| name.starts_with(beginning))
}

/// Cockpit also ends a cookie at a comma or a space, and so may find one of its own within another: whatever has its name
/// anywhere is suspicious.
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

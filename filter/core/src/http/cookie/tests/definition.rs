//! Reads a `Cookie` header pair by pair: the definition with which the one pass over it is compared.

use super::{CookieNames, MAX_OWN_COOKIES, OwnCookies};

/// The change of a `Cookie` header for the upstream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stripped {
    /// The header stays as it is.
    Keep,
    /// The header is replaced by this value.
    Replace(Vec<u8>),
    /// The header is removed.
    Remove,
}

/// Reads the proxy's own cookies.
pub(super) fn read<'a>(names: &CookieNames, header: &'a [u8], into: &mut OwnCookies<'a>) {
    for pair in split_pairs(header) {
        let Some(equals) = pair.iter().position(|&byte| byte == b'=') else {
            continue;
        };
        if into.count() == MAX_OWN_COOKIES {
            return;
        }
        names.read_pair(&pair[..equals], &pair[equals + 1..], into);
    }
}

/// Removes the proxy's own cookies.
pub(super) fn strip(names: &CookieNames, header: &[u8]) -> Stripped {
    if !split_pairs(header).any(|pair| is_own(names, pair)) {
        return Stripped::Keep;
    }
    let kept: Vec<&[u8]> = split_pairs(header)
        .filter(|pair| !is_own(names, pair) && !pair.is_empty())
        .collect();
    if kept.is_empty() {
        Stripped::Remove
    } else {
        Stripped::Replace(kept.join(&b"; "[..]))
    }
}

fn is_own(names: &CookieNames, pair: &[u8]) -> bool {
    let name = pair.split(|&byte| byte == b'=').next().unwrap();
    let name = name.trim_ascii();
    let session = names.session().as_bytes();
    name.get(..session.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(session))
        && (name.len() == session.len() || name[session.len()] == b'_')
}

fn split_pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header
        .split(|&byte| byte == b';')
        .map(|pair| pair.strip_prefix(b" ").unwrap_or(pair))
}

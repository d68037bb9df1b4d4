//! Request ids: 128 random bits in the shape of a version 4 UUID (RFC 9562, 5.4).

use std::cell::RefCell;

use http::HeaderValue;
use jetway_core::hex::format_uuid;

/// Bytes of one id.
const ID_BYTES: usize = 16;
/// Random bytes drawn at once. A system call for every request would cost more than the rest of the id.
const POOL_BYTES: usize = ID_BYTES * 256;
/// The longest id that is accepted from a trusted proxy.
const MAX_TRUSTED: usize = 128;

/// A worker's source of request ids.
pub(crate) struct RequestIds {
    pool: RefCell<RandomPool>,
}

struct RandomPool {
    bytes: Vec<u8>,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self {
            pool: RefCell::new(RandomPool { bytes: Vec::new() }),
        }
    }
}

impl RequestIds {
    /// Returns a new id.
    pub(crate) fn next(&self) -> HeaderValue {
        let text = format_uuid(self.pool.borrow_mut().draw());
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

impl RandomPool {
    /// Draws the bytes of one id; each byte is used once. Ids name requests in logs, so that without randomness in the
    /// system they merely are not unique.
    fn draw(&mut self) -> [u8; ID_BYTES] {
        if self.bytes.len() < ID_BYTES {
            self.bytes.resize(POOL_BYTES, 0);
            if getrandom::fill(&mut self.bytes).is_err() {
                tracing::error!("cannot draw random bytes for request ids");
            }
        }
        let rest = self.bytes.len().saturating_sub(ID_BYTES);
        let mut id = [0; ID_BYTES];
        for (to, from) in id.iter_mut().zip(self.bytes.drain(rest..)) {
            *to = from;
        }
        id
    }
}

/// Returns whether an id from a trusted proxy is fit for logs and pages.
pub(crate) fn is_acceptable(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let clear = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=MAX_TRUSTED).contains(&bytes.len()) && bytes.iter().all(clear)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_uuids_and_differ() {
        let ids = RequestIds::default();
        let seen: HashSet<String> = (0..1000)
            .map(|_| ids.next().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(seen.len(), 1000);
        for id in seen {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
        }
    }

    #[test]
    fn an_id_of_a_trusted_proxy_is_checked() {
        assert!(is_acceptable(&HeaderValue::from_static("abc-1_2.3")));
        for bad in ["", "a b", "<a>"] {
            assert!(!is_acceptable(&HeaderValue::from_static(bad)), "{bad}");
        }
        assert!(!is_acceptable(
            &HeaderValue::from_str(&"a".repeat(129)).unwrap()
        ));
    }
}

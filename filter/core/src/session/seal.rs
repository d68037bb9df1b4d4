//! Authenticated encryption of what browsers store: sessions and sign-in attempts.
//!
//! A sealed value is unpadded base64url of `version ‖ key id ‖ nonce ‖ ciphertext ‖ tag` with XChaCha20-Poly1305. Each purpose has
//! its own key (HKDF-SHA256, RFC 5869), and the host is authenticated with the value, so that a value can be used neither for
//! another purpose nor on another host. Nonces are 24 random bytes: instances need no shared counter.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::env::{Env, NoRandomness};
use crate::http::cookie::MAX_SESSION_VALUE;
use crate::secret::Secret;

/// First byte of every sealed value; values with another one are refused.
const VERSION: u8 = 1;
/// Length of a key id, which distinguishes the few keys of one ring.
const KEY_ID: usize = 4;
const NONCE: usize = 24;
const HEADER: usize = 1 + KEY_ID + NONCE;
const TAG: usize = 16;
/// Longest sealed value that is read: a session in as many cookies as it may take.
const MAX_SEALED: usize = MAX_SESSION_VALUE;

/// The purpose of a sealed value. Each has its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The session of a browser.
    Session,
    /// A sign-in attempt that waits for its callback.
    Attempt,
    /// How often a browser was recently sent to sign in.
    LoginCount,
    /// A request from a route's host to the sign-in host.
    CrossHostRequest,
    /// A session that the sign-in host passes to a route's host.
    Ticket,
    /// A session in the data that the workers of a process share.
    Shared,
    /// The session of an API client.
    ApiClient,
    /// The confirmation of a programmatic login.
    Handover,
}

/// Number of purposes.
const PURPOSES: usize = 8;

impl Purpose {
    const ALL: [Self; PURPOSES] = [
        Self::Session,
        Self::Attempt,
        Self::LoginCount,
        Self::CrossHostRequest,
        Self::Ticket,
        Self::Shared,
        Self::ApiClient,
        Self::Handover,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Attempt => "sign-in attempt",
            Self::LoginCount => "login_loop",
            Self::CrossHostRequest => "cross_host_sign_in",
            Self::Ticket => "ticket",
            Self::Shared => "shared session",
            Self::ApiClient => "program",
            Self::Handover => "handover",
        }
    }
}

/// The key ring: it seals with the newest secret, and opens with the secret that sealed.
pub struct Sealer {
    newest: SealingKeys,
    previous: Vec<SealingKeys>,
}

/// The sealing keys of one secret.
struct SealingKeys {
    id: [u8; KEY_ID],
    ciphers: [XChaCha20Poly1305; PURPOSES],
}

/// The content of a sealed value.
#[derive(Debug)]
pub struct Opened {
    /// The bytes that were sealed.
    pub plaintext: Vec<u8>,
    /// Whether the newest secret sealed the value. Otherwise it should be sealed again before the old secret is removed.
    pub by_newest: bool,
}

impl SealingKeys {
    fn new(secret: &Secret) -> Self {
        let ring = Hkdf::<Sha256>::new(Some(b"jetway sealed cookies"), secret.expose());
        let mut id = [0; KEY_ID];
        expand(&ring, "key id", &mut id);
        Self {
            id,
            ciphers: Purpose::ALL.map(|purpose| cipher(&ring, purpose)),
        }
    }

    const fn cipher(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        let [
            session,
            attempt,
            login_loop,
            cross_host_sign_in,
            ticket,
            shared,
            api_client,
            handover,
        ] = &self.ciphers;
        match purpose {
            Purpose::Session => session,
            Purpose::Attempt => attempt,
            Purpose::LoginCount => login_loop,
            Purpose::CrossHostRequest => cross_host_sign_in,
            Purpose::Ticket => ticket,
            Purpose::Shared => shared,
            Purpose::ApiClient => api_client,
            Purpose::Handover => handover,
        }
    }
}

impl Sealer {
    /// Derives the keys. Each secret has 32 bytes, as the configuration has checked.
    #[must_use]
    pub fn new(newest: &Secret, previous: &[Secret]) -> Self {
        Self {
            newest: SealingKeys::new(newest),
            previous: previous.iter().map(SealingKeys::new).collect(),
        }
    }

    /// Seals `plaintext` for one purpose and host.
    ///
    /// # Errors
    /// There is no randomness for the nonce.
    pub fn seal(
        &self,
        purpose: Purpose,
        host: &str,
        plaintext: &[u8],
        env: &mut Env<'_>,
    ) -> Result<String, NoRandomness> {
        let nonce: [u8; NONCE] = env.bytes()?;
        let mut sealed = Vec::with_capacity(HEADER + plaintext.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.newest.id);
        sealed.extend_from_slice(&nonce);
        let aad = associated(&sealed, purpose, host);
        let payload = Payload {
            msg: plaintext,
            aad: &aad,
        };
        // Encryption fails only for a plaintext of 256 GiB, which is refused as well.
        let ciphertext = self
            .newest
            .cipher(purpose)
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| NoRandomness)?;
        sealed.extend_from_slice(&ciphertext);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens a sealed value; `None` for anything that no key of the ring has sealed for this purpose and host.
    #[must_use]
    pub fn open(&self, purpose: Purpose, host: &str, sealed: &[u8]) -> Option<Opened> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (header, ciphertext) = bytes.split_at_checked(HEADER)?;
        let (version, rest) = header.split_first()?;
        let (key_id, nonce) = rest.split_at_checked(KEY_ID)?;
        if *version != VERSION {
            return None;
        }
        let mut previous = self.previous.iter();
        let (keys, by_newest) = if key_id == self.newest.id {
            (&self.newest, true)
        } else {
            (previous.find(|keys| key_id == keys.id)?, false)
        };
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let aad = associated(header, purpose, host);
        let payload = Payload {
            msg: ciphertext,
            aad: &aad,
        };
        let plaintext = keys.cipher(purpose).decrypt(&XNonce::from(nonce), payload);
        plaintext.ok().map(|plaintext| Opened {
            plaintext,
            by_newest,
        })
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

fn expand(ring: &Hkdf<Sha256>, label: &str, into: &mut [u8]) {
    // HKDF refuses only outputs above 255 hash lengths; ours are constants far below.
    if ring.expand(label.as_bytes(), into).is_err() {
        unreachable!("a constant output length below 255 * 32 bytes");
    }
}

fn cipher(ring: &Hkdf<Sha256>, purpose: Purpose) -> XChaCha20Poly1305 {
    let mut key = zeroize::Zeroizing::new([0; 32]);
    expand(ring, purpose.label(), key.as_mut_slice());
    XChaCha20Poly1305::new(&(*key).into())
}

/// Returns the associated data: header, purpose and host. No label contains a NUL, so that they cannot be confused.
fn associated(header: &[u8], purpose: Purpose, host: &str) -> Vec<u8> {
    let label = purpose.label();
    let mut aad = Vec::with_capacity(header.len() + label.len() + 1 + host.len());
    aad.extend_from_slice(header);
    aad.extend_from_slice(label.as_bytes());
    aad.push(0);
    aad.extend_from_slice(host.as_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new(vec![byte; 32]), &[])
    }

    fn sealed(fixture: &mut Fixture) -> String {
        sealer(1)
            .seal(Purpose::Session, "app.test", b"hello", &mut fixture.env())
            .unwrap()
    }

    #[test]
    fn opens_what_it_sealed() {
        let value = sealed(&mut Fixture::new());
        assert_eq!(
            sealer(1)
                .open(Purpose::Session, "app.test", value.as_bytes())
                .unwrap()
                .plaintext,
            b"hello"
        );
    }

    #[test]
    fn purpose_host_and_key_are_bound_in() {
        let value = sealed(&mut Fixture::new());
        assert!(
            sealer(1)
                .open(Purpose::Attempt, "app.test", value.as_bytes())
                .is_none()
        );
        assert!(
            sealer(1)
                .open(Purpose::Session, "b.test", value.as_bytes())
                .is_none()
        );
        assert!(
            sealer(2)
                .open(Purpose::Session, "app.test", value.as_bytes())
                .is_none()
        );
    }

    #[test]
    fn previous_secrets_open_and_never_seal() {
        let mut fixture = Fixture::new();
        let old = sealed(&mut fixture);
        let secret = |byte| Secret::new(vec![byte; 32]);
        let ring = Sealer::new(&secret(2), &[secret(3), secret(1)]);
        let open = |value: &str| ring.open(Purpose::Session, "app.test", value.as_bytes());
        assert!(open(&old).is_some_and(|opened| !opened.by_newest));
        let new = ring
            .seal(Purpose::Session, "app.test", b"hello", &mut fixture.env())
            .unwrap();
        assert!(open(&new).is_some_and(|opened| opened.by_newest));
        assert!(
            sealer(1)
                .open(Purpose::Session, "app.test", new.as_bytes())
                .is_none()
        );
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let value = sealed(&mut Fixture::new());
        let bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let text = URL_SAFE_NO_PAD.encode(changed);
            assert!(
                sealer(1)
                    .open(Purpose::Session, "app.test", text.as_bytes())
                    .is_none(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn cut_and_long_values_are_refused() {
        let value = sealed(&mut Fixture::new());
        for length in 0..value.len() {
            assert!(
                sealer(1)
                    .open(Purpose::Session, "app.test", &value.as_bytes()[..length])
                    .is_none()
            );
        }
        assert!(
            sealer(1)
                .open(Purpose::Session, "app.test", &vec![b'A'; MAX_SEALED + 1])
                .is_none()
        );
    }

    #[test]
    fn a_dead_random_source_seals_nothing() {
        let mut broken = |_: &mut [u8]| Err(NoRandomness);
        let mut env = Env {
            now: crate::time::Timestamp(0),
            random: &mut broken,
            shared: &crate::store::LocalShared::default(),
        };
        assert_eq!(
            sealer(1).seal(Purpose::Session, "app.test", b"", &mut env),
            Err(NoRandomness)
        );
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?} {:?}", sealer(1), Secret::new(b"hush".to_vec())),
            "Sealer(..) Secret(..)"
        );
    }
}
